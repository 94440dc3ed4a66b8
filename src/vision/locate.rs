//! Finder patterns: dark, light, dark, light, dark in the ratio 1:1:3:1:1, across and down (ISO/IEC 18004, 6.3.3).
//!
//! Edges are found between the pixels, where the light crosses the threshold, and compared with edges of their own
//! kind: a threshold that is off, or a lens that lets the light run over, moves all edges into the dark by the same way, and
//! leaves the distance of two such edges as it is. Patterns of a screen in dark mode, light on dark, are found on the way.

use super::frame::Luma;
use super::levels::Levels;
use super::plane::{Light, Point};

/// A finder pattern, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finder {
    /// Centre, pixels from the left edge; the centre of pixel 0 is 0.5.
    pub x: f32,
    /// Centre, pixels from the top edge.
    pub y: f32,
    /// Width of a module along rows and columns, pixels.
    pub module: f32,
    /// In how many lines it was seen.
    pub lines: u32,
}

/// More than this and the picture is no queue of passengers: it is given up.
pub const FINDERS_MAX: usize = 64;
/// Places that are kept while rows are looked through: many are seen in one row only.
const SEEN_MAX: usize = 200;
/// Lines whose runs fit, over the picture. Beyond this it is noise or made to hurt.
const CANDIDATES_MAX: usize = 2_500;
/// A module narrower than this, in pixels, cannot be told from its neighbours.
const MODULE_MIN: f32 = 0.9;
/// Steps from the centre of a pattern to its edge.
const STEPS_MAX: f32 = 400.0;

/// What the search gave.
#[derive(Clone, Debug, Default)]
pub struct Finders {
    /// What was found, most often seen first.
    pub all: Vec<Finder>,
    /// True if there were too many.
    pub crowded: bool,
}

impl Finders {
    /// The same patterns in the picture of twice the size.
    #[must_use]
    pub fn doubled(mut self) -> Self {
        for finder in &mut self.all {
            finder.x *= 2.0;
            finder.y *= 2.0;
            finder.module *= 2.0;
        }
        self
    }

    /// Three of them may be a code.
    #[must_use]
    pub fn may_be_a_code(&self) -> bool {
        !self.crowded && self.all.len() >= 3
    }
}

/// Finder patterns dark on light, and light on dark.
#[derive(Clone, Debug, Default)]
pub struct Both {
    /// As printed.
    pub plain: Finders,
    /// As in dark mode.
    pub inverted: Finders,
    /// Rows with runs in the ratio of a pattern, whether it was one or not.
    pub runs: usize,
}

impl Both {
    /// The same patterns in the picture of twice the size.
    #[must_use]
    pub fn doubled(self) -> Self {
        Self {
            plain: self.plain.doubled(),
            inverted: self.inverted.doubled(),
            runs: self.runs,
        }
    }
}

/// Rows that are looked through.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The first.
    pub top: usize,
    /// One past the last.
    pub bottom: usize,
    /// Every so many.
    pub step: usize,
}

/// Looks through rows of a picture.
#[must_use]
pub fn find(luma: Luma<'_>, levels: &Levels, rows: Rows) -> Both {
    let mut both = Both::default();
    let mut edges: Vec<f32> = Vec::new();
    let wanted = luma.rows().enumerate().take(rows.bottom).skip(rows.top);
    for (y, row) in wanted.step_by(rows.step.max(1)) {
        edges_of(row, levels, y, &mut edges);
        for (i, window) in edges.windows(6).enumerate() {
            let Some((centre, module)) = ratio(window) else {
                continue;
            };
            both.runs += 1;
            let too_many = both.runs > CANDIDATES_MAX;
            // The first edge leads into the dark.
            let inverted = i % 2 == 1;
            let light = Light { luma, inverted };
            let finders = if inverted {
                &mut both.inverted
            } else {
                &mut both.plain
            };
            finders.crowded |= too_many;
            if !finders.crowded {
                check(
                    light,
                    levels,
                    Point::new(centre, y as f32 + 0.5),
                    module,
                    finders,
                );
            }
            if finders.crowded {
                return both;
            }
        }
    }
    for finders in [&mut both.plain, &mut both.inverted] {
        // Seen in one line only: an accident.
        finders.all.retain(|finder| finder.lines >= 2);
        finders.crowded |= finders.all.len() > FINDERS_MAX;
        finders
            .all
            .sort_by_key(|finder| std::cmp::Reverse(finder.lines));
    }
    both
}

/// Where the light of a row crosses its threshold, in pixels from the left. Around the picture it is light: a code may
/// touch the border.
fn edges_of(row: &[u8], levels: &Levels, y: usize, edges: &mut Vec<f32>) {
    let wide = levels.block();
    edges.clear();
    let mut dark = false;
    let mut last = 0i16;
    for ((block, (level, busy)), number) in row.chunks(wide).zip(levels.row(y)).zip(0u16..) {
        if !busy {
            // Flat: on the one side or on the other, and no edge within.
            last = block.last().copied().map_or(0, i16::from);
            continue;
        }
        let (level, left) = (i16::from(level), f32::from(number) * wide as f32);
        for (&pixel, column) in block.iter().zip(0u8..) {
            let pixel = i16::from(pixel);
            if (pixel < level) != dark {
                dark = !dark;
                let (from, to) = (f32::from(last - level), f32::from(pixel - level));
                let part = if from * to < 0.0 {
                    from / (from - to)
                } else {
                    0.5
                };
                edges.push((left + f32::from(column) - 0.5 + part).max(0.0));
            }
            last = pixel;
        }
    }
    if dark {
        edges.push(row.len() as f32);
    }
}

/// Centre and module of six edges in the ratio 1:1:3:1:1.
fn ratio(edges: &[f32]) -> Option<(f32, f32)> {
    let &[a, b, c, d, e, f] = edges else {
        return None;
    };
    // Two edges of one kind are 2, 4 or 6 modules apart, wherever the threshold lies.
    let module = ((e - a) + (f - b)) / 12.0;
    let fits =
        |width: f32, modules: f32, slack: f32| (width - modules * module).abs() < slack * module;
    let pairs = fits(c - a, 2.0, 0.8)
        && fits(f - d, 2.0, 0.8)
        && fits(d - b, 4.0, 1.1)
        && fits(e - c, 4.0, 1.1);
    let thin = 0.25 * module;
    let runs = b - a > thin && c - b > thin && e - d > thin && f - e > thin;
    let heart = (1.7 * module..4.3 * module).contains(&(d - c));
    (module >= MODULE_MIN && pairs && runs && heart)
        .then(|| ((a + b + c + d + e + f) / 6.0, module))
}

/// The six edges on a line through the centre of a pattern, pixels from it; before it less than 0. `way` is one pixel long.
#[must_use]
pub fn edges_through(
    light: Light<'_>,
    levels: &Levels,
    centre: Point,
    way: Point,
    reach: f32,
) -> Option<[f32; 6]> {
    let walk = |sign: f32| {
        let mut ends = [0f32; 3];
        let mut last = levels.above(light, centre);
        if last >= 0.0 {
            return None;
        }
        let mut at = 0.0f32;
        let mut dark = true;
        for end in &mut ends {
            loop {
                at += 1.0;
                if at > reach.min(STEPS_MAX) {
                    return None;
                }
                let now = levels.above(light, centre.plus(way, sign * at));
                let part = last / (last - now);
                last = now;
                if (now < 0.0) != dark {
                    *end = sign * (at - 1.0 + part);
                    dark = !dark;
                    break;
                }
            }
        }
        Some(ends)
    };
    let [c, b, a] = walk(-1.0)?;
    let [d, e, f] = walk(1.0)?;
    Some([a, b, c, d, e, f])
}

fn check(light: Light<'_>, levels: &Levels, seen: Point, module: f32, finders: &mut Finders) {
    let middle = |v: f32| v.floor() + 0.5;
    let reach = module * 9.0 + 3.0;
    let down = Point::new(0.0, 1.0);
    // Tilted screens foreshorten one way: half to twice as long is the same pattern.
    let alike = |own: f32| own < 2.2 * module && own > module / 2.2;
    let start = Point::new(middle(seen.x), seen.y);
    let Some((off, tall)) =
        edges_through(light, levels, start, down, reach).and_then(|e| ratio(&e))
    else {
        return;
    };
    let y = start.y + off;
    let start = Point::new(start.x, middle(y));
    let across = edges_through(light, levels, start, Point::new(1.0, 0.0), reach);
    let Some((off, wide)) = across.and_then(|e| ratio(&e)) else {
        return;
    };
    if alike(tall) && alike(wide) {
        let found = Finder {
            x: start.x + off,
            y,
            module: (tall + wide) / 2.0,
            lines: 1,
        };
        merge(found, finders);
    }
}

fn merge(new: Finder, finders: &mut Finders) {
    let full = finders.all.len() >= SEEN_MAX;
    let near = finders.all.iter_mut().find(|old| {
        let reach = old.module.max(new.module) * 1.5;
        (old.x - new.x).abs() < reach && (old.y - new.y).abs() < reach
    });
    match near {
        Some(old) => {
            let seen = old.lines as f32;
            let mean = |old: f32, new: f32| (old * seen + new) / (seen + 1.0);
            old.x = mean(old.x, new.x);
            old.y = mean(old.y, new.y);
            old.module = mean(old.module, new.module);
            old.lines += 1;
        }
        None if full => finders.crowded = true,
        None => finders.all.push(new),
    }
}

/// The whole pixel a place lies in; `None` far outside of any picture.
#[must_use]
pub fn floor(place: f32) -> Option<i64> {
    if place.abs() < 65_536.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was checked one line above"
        )]
        Some(place.floor() as i64)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    fn plain(image: &LumaImage) -> Finders {
        let luma = image.as_luma();
        let rows = Rows {
            top: 0,
            bottom: luma.height(),
            step: 2,
        };
        find(luma, &Levels::local(luma), rows).plain
    }

    fn stamp(image: &mut LumaImage, left: usize, top: usize, module: usize) {
        let width = image.width();
        for y in 0..7 * module {
            for x in 0..7 * module {
                let ring = (x / module).abs_diff(3).max((y / module).abs_diff(3));
                image.pixels_mut()[(top + y) * width + left + x] = if ring == 2 { 230 } else { 20 };
            }
        }
    }

    #[test]
    fn three_patterns_are_found_where_they_are() {
        let mut image = LumaImage::filled(200, 160, 230);
        for (left, top) in [(20, 20), (120, 20), (20, 100)] {
            stamp(&mut image, left, top, 4);
        }
        let finders = plain(&image);
        assert!(finders.may_be_a_code() && finders.all.len() == 3);
        let first = finders.all.iter().find(|f| f.x < 50.0 && f.y < 50.0);
        let first = first.unwrap();
        assert!((first.x - 34.0).abs() < 0.6 && (first.y - 34.0).abs() < 0.6);
        assert!((first.module - 4.0).abs() < 0.2);
    }

    #[test]
    fn an_empty_wall_has_none_and_a_field_is_crowded() {
        let wall = LumaImage::filled(320, 240, 120);
        assert!(plain(&wall).all.is_empty());
        let mut field = LumaImage::filled(640, 480, 230);
        for top in (2..460).step_by(18) {
            for left in (2..620).step_by(18) {
                stamp(&mut field, left, top, 2);
            }
        }
        let finders = plain(&field);
        assert!(finders.crowded && !finders.may_be_a_code());
    }
}
