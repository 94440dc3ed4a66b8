//! A code that was located a frame ago, found again where too little of it is in view to be found anew.
//!
//! The corner of a phone leaves the picture, or glare lies on a finder pattern. Two patterns, or a phone held still, say
//! where the code went; the modules as seen before say whether that is true. Modules that are in view are taken from this
//! frame alone; only those outside of the picture are filled in from before.

use super::bounded::{Budget, Found};
use super::equalise::Modules;
use super::frame::Luma;
use super::known::{Known, known};
use super::locate::Finder;
use super::place::{Look, Place};
use super::plane::{Light, Point};
use super::sample::{Seen, decode_values, sampled, views};

/// Of its modules, so many must be in view.
const VIEW_MIN: f32 = 0.65;
/// Of those in view, so many must be as they were, before the place is refined and after.
const ALIKE_MIN: f32 = 0.62;
const ALIKE_AFTER: f32 = 0.8;
/// Modules that are compared for a first idea.
const COMPARED: usize = 160;
/// Finder patterns that are tried for one corner, the nearest first.
const NEAR_MAX: usize = 3;

/// Looks for `old` again. `None` if it is not there; else what was seen of it: [`Found::texts`] has its text if it was read.
#[must_use]
pub fn follow(
    old: &Seen,
    luma: Luma<'_>,
    finders: &[Finder],
    budget: &Budget,
    found: &mut Found,
) -> Option<Seen> {
    let light = Light {
        luma,
        inverted: old.inverted,
    };
    let (like, mut place) = moved(old, finders)
        .into_iter()
        .take_while(|_| budget.spend(COMPARED as u64 * 16))
        .map(|place| (alike_at(light, old, &place), place))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    if like < ALIKE_MIN {
        return None;
    }
    let before: Vec<Known> = modules_of(old)
        .filter(|module| inside(luma, &place, module.x, module.y))
        .collect();
    if !place.refine(light, &before, Look::Middles, budget) {
        return None;
    }
    let side = old.side();
    let modules = Modules::levelled(side, &sampled(light, &place));
    let in_view: Vec<bool> = (0..side * side)
        .map(|i| inside(luma, &place, i % side, i / side))
        .collect();
    let own = modules.sharpened(0.0);
    if !is_it(old, &own, &in_view) {
        return None;
    }
    let known: Vec<Known> = known(side)
        .into_iter()
        .filter(|module| inside(luma, &place, module.x, module.y))
        .collect();
    let mut seen = Seen {
        place,
        centres: [(3.5, 3.5), (side as f32 - 3.5, 3.5), (3.5, side as f32 - 3.5)]
            .map(|(x, y)| place.map.place(x, y)),
        inverted: old.inverted,
        values: Vec::new(),
        read: false,
    };
    for mut values in views(&modules, &known) {
        for ((value, before), in_view) in values.iter_mut().zip(&old.values).zip(&in_view) {
            if !in_view {
                *value = *before;
            }
        }
        seen.values = values;
        if !budget.spend((side * side * 60) as u64) {
            break;
        }
        if decode_values(side, &seen.values, found) {
            seen.read = true;
            break;
        }
    }
    Some(seen)
}

/// Enough of it is in view, and that is as it was.
fn is_it(old: &Seen, own: &[f32], in_view: &[bool]) -> bool {
    let (mut seen, mut alike) = (0u32, 0u32);
    for ((own, before), in_view) in own.iter().zip(&old.values).zip(in_view) {
        if *in_view {
            seen += 1;
            alike += u32::from((*own < 0.0) == (*before < 0.0));
        }
    }
    seen as f32 >= VIEW_MIN * in_view.len() as f32 && alike as f32 >= ALIKE_AFTER * seen as f32
}

/// Where it may be now: where it was, and where two of its corners are now by the finder patterns near them.
fn moved(old: &Seen, finders: &[Finder]) -> Vec<Place> {
    let [top_left, top_right, bottom_left] = old.centres;
    let legs = [top_right.minus(top_left), bottom_left.minus(top_left)].map(Point::length);
    let [across, down] = legs;
    let reach = across.max(down) * 0.4;
    let size = old.place.module();
    let near = |corner: Point| -> Vec<Point> {
        let alike = |f: &&Finder| (0.5 * size..2.2 * size).contains(&f.module);
        let at = finders.iter().filter(alike).map(|f| Point::new(f.x, f.y));
        let mut near: Vec<(f32, Point)> = at
            .map(|at| (at.minus(corner).length(), at))
            .filter(|(far, _)| *far < reach)
            .collect();
        near.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        near.into_iter().take(NEAR_MAX).map(|(_, at)| at).collect()
    };
    let mut places = vec![old.place];
    for (a, b) in [(top_left, top_right), (top_left, bottom_left), (top_right, bottom_left)] {
        for &to_a in &near(a) {
            for &to_b in &near(b) {
                places.extend(turned(&old.place, (a, b), (to_a, to_b)));
            }
        }
    }
    places
}

/// The place turned, shifted and scaled so that two points come where they are now.
fn turned(place: &Place, (a, b): (Point, Point), (to_a, to_b): (Point, Point)) -> Option<Place> {
    let (before, after) = (b.minus(a), to_b.minus(to_a));
    let square = before.dot(before).max(1.0);
    // As a complex number: after / before.
    let (along, aside) = (before.dot(after) / square, before.cross(after) / square);
    let scale = along.hypot(aside);
    if !(0.6..1.7).contains(&scale) || aside.abs() > 0.6 * along {
        return None;
    }
    place.carried(|at| {
        let from = at.minus(a);
        let turned = Point::new(
            from.x * along - from.y * aside,
            from.x * aside + from.y * along,
        );
        to_a.plus(turned, 1.0)
    })
}

/// How many of a few modules are as they were, of 1: darker or lighter than the module beside them that was not.
fn alike_at(light: Light<'_>, old: &Seen, place: &Place) -> f32 {
    let side = old.side();
    let step = (side * side / COMPARED).max(1);
    // A step that shares no factor with the side, so that all columns are seen.
    let step = step + usize::from(side.is_multiple_of(step.max(2)));
    let value = |x: usize, y: usize| light.at(place.map.place(x as f32 + 0.5, y as f32 + 0.5));
    let (mut seen, mut alike) = (0u32, 0u32);
    for i in (0..side * side).step_by(step) {
        let (x, y) = (i % side, i / side);
        let (Some(here), Some(beside)) = (old.values.get(i), old.values.get(i + 1)) else {
            continue;
        };
        let differ = x + 1 < side && (*here < 0.0) != (*beside < 0.0);
        if differ && inside(light.luma, place, x, y) && inside(light.luma, place, x + 1, y) {
            seen += 1;
            alike += u32::from((value(x, y) < value(x + 1, y)) == (*here < 0.0));
        }
    }
    if seen < 12 { 0.0 } else { alike as f32 / seen as f32 }
}

fn modules_of(old: &Seen) -> impl Iterator<Item = Known> + '_ {
    let side = old.side();
    old.values.iter().enumerate().map(move |(i, value)| Known {
        x: i % side,
        y: i / side,
        dark: *value < 0.0,
    })
}

fn inside(luma: Luma<'_>, place: &Place, x: usize, y: usize) -> bool {
    let at = place.map.place(x as f32 + 0.5, y as f32 + 0.5);
    let (width, height) = (luma.width() as f32, luma.height() as f32);
    (0.5..width - 0.5).contains(&at.x) && (0.5..height - 0.5).contains(&at.y)
}

#[cfg(all(test, feature = "lab"))]
mod tests {
    use qrcode::{Color, EcLevel, QrCode, Version};

    use super::super::frame::LumaImage;
    use super::*;

    const PIXELS: usize = 5;

    /// A picture of a code of modules of five pixels, its corner at `left` and `top`, as far as it is in view.
    fn picture(code: &QrCode, left: i32, top: i32) -> LumaImage {
        let mut image = LumaImage::filled(240, 240, 220);
        for (i, pixel) in image.pixels_mut().iter_mut().enumerate() {
            let module = |at: usize, from: i32| {
                let at = i32::try_from(at).unwrap() - from;
                usize::try_from(at).ok().map(|at| at / PIXELS).filter(|at| *at < code.width())
            };
            if let (Some(x), Some(y)) = (module(i % 240, left), module(i / 240, top)) {
                *pixel = if code[(x, y)] == Color::Dark { 30 } else { 220 };
            }
        }
        image
    }

    fn before(code: &QrCode, left: f32, top: f32) -> Seen {
        let side = code.width();
        let place = Place::upright(side, left, top, (side * PIXELS) as f32);
        let far = side as f32 - 3.5;
        let value = |color: Color| if color == Color::Dark { -1.0 } else { 1.0 };
        Seen {
            place,
            centres: [(3.5, 3.5), (far, 3.5), (3.5, far)].map(|(x, y)| place.map.place(x, y)),
            inverted: false,
            values: code.to_colors().into_iter().map(value).collect(),
            read: true,
        }
    }

    fn followed(old: &Seen, image: &LumaImage, finders: &[Finder]) -> (Option<Seen>, Vec<String>) {
        let mut found = Found::default();
        let budget = Budget::new(50_000_000);
        let seen = follow(old, image.as_luma(), finders, &budget, &mut found);
        (seen, found.texts)
    }

    #[test]
    fn a_code_that_leaves_the_picture_is_read_by_what_is_left_of_it() {
        let code = QrCode::with_version(b"RIDE-42", Version::Normal(4), EcLevel::L).unwrap();
        let old = before(&code, 60.0, 50.0);
        // It moved by 17 and 55 pixels, and its last rows are out of view.
        let image = picture(&code, 77, 105);
        let finder = |x: f32, y: f32| Finder {
            x,
            y,
            module: 5.0,
            lines: 8,
        };
        let finders = [finder(77.0 + 17.5, 105.0 + 17.5), finder(77.0 + 147.5, 105.0 + 17.5)];
        let (seen, texts) = followed(&old, &image, &finders);
        assert_eq!(texts, ["RIDE-42"]);
        let [corner, ..] = seen.unwrap().centres;
        assert!(corner.minus(Point::new(94.5, 122.5)).length() < 2.0);
    }

    #[test]
    fn another_code_and_a_wall_in_its_place_are_not_what_was_seen() {
        let code = QrCode::with_version(b"RIDE-42", Version::Normal(4), EcLevel::L).unwrap();
        let other = QrCode::with_version(b"SOMEBODY ELSE", Version::Normal(4), EcLevel::L).unwrap();
        let old = before(&code, 60.0, 50.0);
        let (seen, texts) = followed(&old, &picture(&other, 60, 50), &[]);
        assert!(seen.is_none() && texts.is_empty());
        let wall = LumaImage::filled(240, 240, 90);
        assert!(followed(&old, &wall, &[]).0.is_none());
    }

    #[test]
    fn half_a_code_is_not_enough() {
        let code = QrCode::with_version(b"RIDE-42", Version::Normal(4), EcLevel::L).unwrap();
        let old = before(&code, 60.0, 50.0);
        let image = picture(&code, 60, 160);
        let moved = before(&code, 60.0, 160.0);
        assert!(followed(&moved, &image, &[]).0.is_none());
        assert!(followed(&old, &image, &[]).0.is_none());
    }
}
