//! Our own way from finder patterns to a grid of modules; `rqrr` only decodes it.
//!
//! Three finder patterns that stand like the corners of a square give the size of the code; the alignment pattern, if
//! it has one, the fourth corner; each module is then sampled from the grey picture and compared with its neighbours,
//! so that neither blur nor uneven light decides. What a triple may cost is taken from the budget of the frame.

use rqrr::{Grid, SimpleGrid};

use super::binarise::Bitmap;
use super::bounded::{Budget, Found, decode as decode_grid};
use super::locate::{Finder, floor};
use super::plane::{Light, Map, Point};

/// Finder patterns that are combined, the most often seen first: 220 triples.
const FINDERS_MAX: usize = 12;
/// Triples that are looked at, the squarest first.
const TRIPLES_MAX: usize = 10;
/// Sizes and maps of one triple that are decoded, the best timing pattern first.
const PLACES_MAX: usize = 4;
/// A timing pattern that fits no better than this is none.
const TIMING_MIN: f32 = 0.35;
/// Sides of a code in modules: 17 + 4 x version.
const SIDE_MIN: usize = 21;
const SIDE_MAX: usize = 177;

/// Three corners of a code.
#[derive(Clone, Copy, Debug)]
struct Corners {
    top_left: Finder,
    top_right: Finder,
    bottom_left: Finder,
    /// How far it is from a square: 0 is one.
    error: f32,
}

/// A code of so many modules a side, and where they are.
struct Located {
    side: usize,
    map: Map,
    /// How well the timing pattern fits: 1 is perfect.
    timing: f32,
}

const fn centre(finder: &Finder) -> Point {
    Point::new(finder.x, finder.y)
}

/// Reads the codes that the finder patterns may belong to.
#[must_use]
pub fn read_sampled(
    light: Light<'_>,
    bitmap: &Bitmap,
    finders: &[Finder],
    budget: &Budget,
) -> Found {
    let mut found = Found::default();
    let mut used: Vec<Point> = Vec::new();
    for corners in triples(finders).into_iter().take(TRIPLES_MAX) {
        let own = [&corners.top_left, &corners.top_right, &corners.bottom_left].map(centre);
        if own.iter().any(|corner| used.contains(corner)) {
            continue;
        }
        let Some(mut places) = locate(light, bitmap, &corners, budget) else {
            found.gave_up = true;
            break;
        };
        places.sort_by(|a, b| b.timing.total_cmp(&a.timing));
        found.grids += usize::from(places.iter().any(|place| place.timing > 0.6));
        let read = places
            .iter()
            .filter(|place| place.timing > TIMING_MIN)
            .take(PLACES_MAX)
            .any(|place| decode(light, place, budget, &mut found));
        if read {
            used.extend(own);
        }
        if found.gave_up {
            break;
        }
    }
    found
}

/// All threes that could be the corners of one code, the squarest first.
fn triples(finders: &[Finder]) -> Vec<Corners> {
    let finders: Vec<&Finder> = finders.iter().take(FINDERS_MAX).collect();
    let mut all = Vec::new();
    for (i, a) in finders.iter().enumerate() {
        for (j, b) in finders.iter().enumerate().skip(i + 1) {
            for c in finders.iter().skip(j + 1) {
                all.extend(corners([a, b, c]));
            }
        }
    }
    all.sort_by(|a, b| a.error.total_cmp(&b.error));
    all
}

/// Which of the three is the corner between the others. `None` if they cannot belong together.
fn corners([a, b, c]: [&Finder; 3]) -> Option<Corners> {
    let gap = |p: &Finder, q: &Finder| centre(p).minus(centre(q)).length();
    let (ab, bc, ca) = (gap(a, b), gap(b, c), gap(c, a));
    // The corner is opposite the longest side.
    let (corner, p, q) = if ab >= bc && ab >= ca {
        (c, a, b)
    } else if bc >= ca {
        (a, b, c)
    } else {
        (b, c, a)
    };
    let (to_p, to_q) = (
        centre(p).minus(centre(corner)),
        centre(q).minus(centre(corner)),
    );
    let (long, short) = (
        to_p.length().max(to_q.length()),
        to_p.length().min(to_q.length()),
    );
    let modules = [a, b, c].map(|finder| finder.module);
    let (low, high) = modules
        .iter()
        .fold((f32::MAX, 0f32), |(l, h), &m| (l.min(m), h.max(m)));
    let slant = (to_p.dot(to_q) / (long * short).max(1.0)).abs();
    let lopsided = long / short.max(1.0) - 1.0;
    let uneven = high / low.max(0.1) - 1.0;
    if short < 8.0 * low || long > 180.0 * high || slant > 0.6 || lopsided > 1.2 || uneven > 1.2 {
        return None;
    }
    let (top_right, bottom_left) = if to_p.cross(to_q) > 0.0 {
        (p, q)
    } else {
        (q, p)
    };
    Some(Corners {
        top_left: *corner,
        top_right: *top_right,
        bottom_left: *bottom_left,
        error: slant + lopsided + uneven * 0.7,
    })
}

/// Sizes and maps that fit the corners. `None` if the budget is spent.
fn locate(
    light: Light<'_>,
    bitmap: &Bitmap,
    corners: &Corners,
    budget: &Budget,
) -> Option<Vec<Located>> {
    let points = [
        centre(&corners.top_left),
        centre(&corners.top_right),
        centre(&corners.bottom_left),
    ];
    let mut places = Vec::new();
    for side in sides(bitmap, corners) {
        let [top_left, top_right, bottom_left] = points;
        let steps = 1.0 / (side - 7) as f32;
        let across = top_right.minus(top_left);
        let down = bottom_left.minus(top_left);
        let far = side as f32 - 3.5;
        let flat = top_right.plus(down, 1.0);
        let mut fourths = vec![(flat, far)];
        if side > SIDE_MIN {
            let guess = top_left
                .plus(across, (side - 10) as f32 * steps)
                .plus(down, (side - 10) as f32 * steps);
            let (u, v) = (
                Point::new(across.x * steps, across.y * steps),
                Point::new(down.x * steps, down.y * steps),
            );
            let reach = (side as f32 * 0.1).clamp(4.0, 9.0);
            let seen = alignment(light, guess, u, v, reach, budget)?;
            fourths.insert(0, (seen, side as f32 - 6.5));
        }
        for (fourth, module) in fourths {
            let from = [(3.5, 3.5), (far, 3.5), (3.5, far), (module, module)];
            let from = from.map(|(x, y)| Point::new(x, y));
            let to = [top_left, top_right, bottom_left, fourth];
            places.extend(Map::between(from, to).map(|map| Located {
                side,
                timing: timing(light, &map, side),
                map,
            }));
        }
    }
    Some(places)
}

/// The sizes the corners speak for: the nearest and its neighbours.
fn sides(bitmap: &Bitmap, corners: &Corners) -> Vec<usize> {
    let leg = |a: &Finder, b: &Finder| {
        let (from, to) = (centre(a), centre(b));
        let mean = (module_along(bitmap, from, to).unwrap_or(a.module)
            + module_along(bitmap, to, from).unwrap_or(b.module))
            / 2.0;
        to.minus(from).length() / mean.max(0.5)
    };
    let modules = (leg(&corners.top_left, &corners.top_right)
        + leg(&corners.top_left, &corners.bottom_left))
        / 2.0
        + 7.0;
    let mut sides: Vec<usize> = (SIDE_MIN..=SIDE_MAX).step_by(4).collect();
    let off = |side: &usize| (*side as f32 - modules).abs();
    sides.sort_by(|a, b| off(a).total_cmp(&off(b)));
    // A guess of a large code is off by more modules.
    sides.truncate(if modules > 60.0 { 4 } else { 3 });
    sides
}

/// Width of a module of the pattern at `at`, on the line to `towards`: the seven modules across it.
fn module_along(bitmap: &Bitmap, at: Point, towards: Point) -> Option<f32> {
    let way = towards.minus(at);
    let step = Point::new(way.x / way.length() * 0.5, way.y / way.length() * 0.5);
    let ahead = edge(bitmap, at, step)?;
    let back = edge(bitmap, at, Point::new(-step.x, -step.y))?;
    Some((ahead + back) / 7.0)
}

/// How far the outer edge of a pattern is from its centre: through dark, light and dark.
fn edge(bitmap: &Bitmap, from: Point, step: Point) -> Option<f32> {
    let black = |place: Point| {
        let (x, y) = (floor(place.x)?, floor(place.y)?);
        Some(bitmap.is_black(usize::try_from(x).ok()?, usize::try_from(y).ok()?))
    };
    let mut changes = 0;
    let mut last = true;
    for i in 0..1_000u16 {
        let now = black(from.plus(step, f32::from(i)))?;
        if now != last {
            changes += 1;
            last = now;
        }
        if changes == 3 {
            return Some(f32::from(i) * 0.5);
        }
    }
    None
}

/// The place near `guess` that looks most like an alignment pattern: dark, light and dark rings of 1, 3 and 5 modules.
/// `None` if the budget is spent.
fn alignment(
    light: Light<'_>,
    guess: Point,
    u: Point,
    v: Point,
    reach: f32,
    budget: &Budget,
) -> Option<Point> {
    let coarse = best_near(light, guess, (u, v), reach, 0.5, budget)?;
    best_near(light, coarse, (u, v), 0.5, 0.125, budget)
}

fn best_near(
    light: Light<'_>,
    around: Point,
    (u, v): (Point, Point),
    reach: f32,
    step: f32,
    budget: &Budget,
) -> Option<Point> {
    let count = floor(2.0 * reach / step)? + 1;
    let steps = u16::try_from(count).ok()?;
    if !budget.spend(u64::from(steps) * u64::from(steps) * 100) {
        return None;
    }
    let mut best = (f32::MIN, around);
    for row in 0..steps {
        for column in 0..steps {
            let (a, b) = (
                f32::from(column) * step - reach,
                f32::from(row) * step - reach,
            );
            let place = around.plus(u, a).plus(v, b);
            // Of two that fit alike, the nearer one.
            let fit = ring_contrast(light, place, u, v) - a.hypot(b);
            if fit > best.0 {
                best = (fit, place);
            }
        }
    }
    Some(best.1)
}

/// How much lighter the light ring is than the dark ones.
fn ring_contrast(light: Light<'_>, at: Point, u: Point, v: Point) -> f32 {
    let (mut bright, mut dark) = (0.0, 0.0);
    for row in -2i8..=2 {
        for column in -2i8..=2 {
            let place = at.plus(u, f32::from(column)).plus(v, f32::from(row));
            let value = light.at(place);
            match row.abs().max(column.abs()) {
                1 => bright += value / 8.0,
                0 => dark += value * 0.25,
                _ => dark += value * 0.75 / 16.0,
            }
        }
    }
    bright - dark
}

/// The two lines of modules that are dark and light in turn: 1 if they are, 0 if there is no such thing.
fn timing(light: Light<'_>, map: &Map, side: usize) -> f32 {
    let (mut signed, mut total) = (0.0, 0.0);
    for line in [false, true] {
        let value = |i: usize| {
            let (along, fixed) = (i as f32 + 0.5, 6.5);
            light.at(if line {
                map.place(along, fixed)
            } else {
                map.place(fixed, along)
            })
        };
        for i in 7..side - 7 {
            // Each module against the mean of its neighbours.
            let step = value(i) - (value(i - 1) + value(i + 1)) / 2.0;
            signed += if i % 2 == 0 { -step } else { step };
            total += step.abs();
        }
    }
    if total > 0.0 { signed / total } else { 0.0 }
}

/// Samples the modules and decodes them, plain and sharpened.
fn decode(light: Light<'_>, place: &Located, budget: &Budget, found: &mut Found) -> bool {
    let side = place.side;
    if !budget.spend((side * side * 60) as u64) {
        found.gave_up = true;
        return false;
    }
    let values = modules(light, place);
    for sharpen in [0.0, 0.35] {
        let dark = dark_modules(&values, side, sharpen);
        let grid = SimpleGrid::from_func(side, |x, y| dark.get(y * side + x) == Some(&true));
        if decode_grid(&Grid::new(grid), found) {
            return true;
        }
    }
    false
}

/// Brightness of each module: the mean of its middle. [side x side] f32, row-major.
fn modules(light: Light<'_>, place: &Located) -> Vec<f32> {
    let looks = [(0.5, 0.5), (0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7)];
    let mut values = Vec::with_capacity(place.side * place.side);
    for y in 0..place.side {
        for x in 0..place.side {
            let sum: f32 = looks
                .iter()
                .map(|(dx, dy)| light.at(place.map.place(x as f32 + dx, y as f32 + dy)))
                .sum();
            values.push(sum / looks.len() as f32);
        }
    }
    values
}

/// A module is dark if it is darker than the mean of the modules around it. `sharpen` takes back what the lens mixed
/// in from the four neighbours.
fn dark_modules(values: &[f32], side: usize, sharpen: f32) -> Vec<bool> {
    const AROUND: usize = 5;
    let at = |x: usize, y: usize| values.get(y * side + x).copied().unwrap_or(128.0);
    // Sums over the rectangle above and to the left, for means in four look-ups.
    let wide = side + 1;
    let mut sums = vec![0f32; wide * wide];
    for y in 0..side {
        let mut line = 0.0;
        for x in 0..side {
            line += at(x, y);
            let above = sums.get(y * wide + x + 1).copied().unwrap_or(0.0);
            if let Some(sum) = sums.get_mut((y + 1) * wide + x + 1) {
                *sum = above + line;
            }
        }
    }
    let sum = |x: usize, y: usize| sums.get(y * wide + x).copied().unwrap_or(0.0);
    let mut dark = Vec::with_capacity(values.len());
    for y in 0..side {
        let (top, bottom) = (y.saturating_sub(AROUND), (y + AROUND + 1).min(side));
        for x in 0..side {
            let (left, right) = (x.saturating_sub(AROUND), (x + AROUND + 1).min(side));
            let area = ((right - left) * (bottom - top)) as f32;
            let mean =
                (sum(right, bottom) - sum(left, bottom) - sum(right, top) + sum(left, top)) / area;
            let own = at(x, y);
            let neighbours = at(x.saturating_sub(1), y)
                + at((x + 1).min(side - 1), y)
                + at(x, y.saturating_sub(1))
                + at(x, (y + 1).min(side - 1));
            dark.push(own + sharpen * (own - neighbours / 4.0) < mean);
        }
    }
    dark
}
