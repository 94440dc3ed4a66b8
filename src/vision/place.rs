//! Where the modules of a code are: its size and the map from modules to pixels.
//!
//! Three corners give sizes to try, the alignment pattern next to the fourth corner a first map; that is then moved until all
//! known modules fit best, in steps down to a sixteenth of a module.

use super::bounded::Budget;
use super::corners::Corners;
use super::known::Known;
use super::levels::Levels;
use super::locate::{Finder, edges_through, floor};
use super::plane::{Light, Map, Point};

/// Sides of a code in modules: 17 + 4 x version.
const SIDE_MIN: usize = 21;
const SIDE_MAX: usize = 177;
/// Corners of a module from its middle.
const OFFSETS: [(f32, f32); 5] = [(-1.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (0.0, 0.0)];
/// Known modules that are looked at when a map is refined.
const LOOKS_MAX: usize = 420;

/// Where known modules are looked at when a map is refined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// In the middle: right for small modules and for paper that is not flat.
    Middles,
    /// At one corner of each, of each another: the middle of a large module says little about where it ends.
    Corners,
}

/// A code of so many modules a side, and where they are.
#[derive(Clone, Copy)]
pub struct Place {
    /// Modules a side.
    pub side: usize,
    /// From modules to pixels.
    pub map: Map,
    /// How well the timing patterns fit: 1 is perfect.
    pub timing: f32,
    /// Places in the code, and where they are in the picture.
    from: [Point; 4],
    to: [Point; 4],
}

impl Place {
    fn new(light: Light<'_>, side: usize, from: [Point; 4], to: [Point; 4]) -> Option<Self> {
        let map = Map::between(from, to)?;
        let timing = timing(light, &map, side);
        Some(Self {
            side,
            map,
            timing,
            from,
            to,
        })
    }

    /// The same code with its four places moved.
    #[must_use]
    pub fn carried(&self, carry: impl Fn(Point) -> Point) -> Option<Self> {
        let to = self.to.map(carry);
        Some(Self {
            map: Map::between(self.from, to)?,
            to,
            ..*self
        })
    }

    /// A code of `side` modules whose corners lie on a square of so many pixels: for tests.
    #[cfg(test)]
    pub(super) fn upright(side: usize, left: f32, top: f32, pixels: f32) -> Self {
        let last = side as f32;
        let from = [(0.0, 0.0), (last, 0.0), (0.0, last), (last, last)];
        let to = from.map(|(x, y)| Point::new(left + x * pixels / last, top + y * pixels / last));
        let from = from.map(|(x, y)| Point::new(x, y));
        Self {
            side,
            map: Map::between(from, to).unwrap(),
            timing: 1.0,
            from,
            to,
        }
    }

    /// Width of a module in the middle of the code, pixels.
    #[must_use]
    pub fn module(&self) -> f32 {
        let middle = self.side as f32 / 2.0;
        let here = self.map.place(middle, middle);
        let across = self.map.place(middle + 1.0, middle).minus(here).length();
        let down = self.map.place(middle, middle + 1.0).minus(here).length();
        across.min(down)
    }

    /// Moves the four places until the known modules stand out best. False if the budget is spent.
    pub fn refine(
        &mut self,
        light: Light<'_>,
        known: &[Known],
        look: Look,
        budget: &Budget,
    ) -> bool {
        let step = known.len().div_ceil(LOOKS_MAX).max(1);
        let looks: Vec<Known> = known.iter().step_by(step).copied().collect();
        let off = match look {
            Look::Middles => 0.0,
            Look::Corners => 0.3,
        };
        let fit = |map: &Map| -> f32 {
            let each = looks.iter().zip(OFFSETS.iter().cycle()).map(|(k, (dx, dy))| {
                let (x, y) = (k.x as f32 + 0.5 + dx * off, k.y as f32 + 0.5 + dy * off);
                let value = light.at(map.place(x, y));
                if k.dark { -value } else { value }
            });
            each.sum()
        };
        let mut best = fit(&self.map);
        for reach in [0.5, 0.25, 0.12, 0.06] {
            for corner in 0..4 {
                if !budget.spend(looks.len() as u64 * 8 * 8) {
                    return false;
                }
                for (du, dv) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
                    if let Some((map, to)) = self.moved(corner, du * reach, dv * reach) {
                        let now = fit(&map);
                        if now > best {
                            (best, self.map, self.to) = (now, map, to);
                        }
                    }
                }
            }
        }
        self.timing = timing(light, &self.map, self.side);
        true
    }

    /// The map with one of its places moved by parts of a module.
    fn moved(&self, corner: usize, du: f32, dv: f32) -> Option<(Map, [Point; 4])> {
        let mut to = self.to;
        let at = self.from.get(corner)?;
        let here = self.map.place(at.x, at.y);
        let u = self.map.place(at.x + 1.0, at.y).minus(here);
        let v = self.map.place(at.x, at.y + 1.0).minus(here);
        let place = to.get_mut(corner)?;
        *place = place.plus(u, du).plus(v, dv);
        Some((Map::between(self.from, to)?, to))
    }
}

/// Sizes and maps that fit the corners. `None` if the budget is spent.
#[must_use]
pub fn locate(
    light: Light<'_>,
    levels: &Levels,
    corners: &Corners,
    budget: &Budget,
) -> Option<Vec<Place>> {
    let points = corners.centres();
    let mut places = Vec::new();
    for side in sides(light, levels, corners) {
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
            places.extend(Place::new(light, side, from, to));
        }
    }
    Some(places)
}

/// The sizes the corners speak for: the nearest and its neighbours.
fn sides(light: Light<'_>, levels: &Levels, corners: &Corners) -> Vec<usize> {
    let leg = |a: &Finder, b: &Finder| {
        let (from, to) = (Point::new(a.x, a.y), Point::new(b.x, b.y));
        let mean = (module_along(light, levels, a, to).unwrap_or(a.module)
            + module_along(light, levels, b, from).unwrap_or(b.module))
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
    sides.truncate(if modules > 60.0 { 5 } else { 3 });
    sides
}

/// Width of a module of a pattern on the line to `towards`.
fn module_along(light: Light<'_>, levels: &Levels, at: &Finder, towards: Point) -> Option<f32> {
    let here = Point::new(at.x, at.y);
    let way = towards.minus(here);
    let unit = Point::new(way.x / way.length().max(1.0), way.y / way.length().max(1.0));
    let [a, b, _, _, e, f] = edges_through(light, levels, here, unit, at.module * 9.0 + 3.0)?;
    Some(((e - a) + (f - b)) / 12.0)
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
    let coarse = best_near(light, guess, (u, v), reach, (0.5, 2), budget)?;
    best_near(light, coarse, (u, v), 0.5, (0.125, 8), budget)
}

/// Around a place, all places that are `step` modules apart. As far as modules are whole steps, the picture is sampled once
/// for all of them.
fn best_near(
    light: Light<'_>,
    around: Point,
    (u, v): (Point, Point),
    reach: f32,
    (step, a_module): (f32, usize),
    budget: &Budget,
) -> Option<Point> {
    let count = usize::try_from(floor(2.0 * reach / step)?).ok()? + 1;
    // Two modules on each side of every place.
    let wide = count + 4 * a_module;
    if !budget.spend((wide * wide * 6 + count * count * 12) as u64) {
        return None;
    }
    let at = |row: usize, column: usize| {
        let along = column as f32 * step - reach - 2.0;
        let down = row as f32 * step - reach - 2.0;
        around.plus(u, along).plus(v, down)
    };
    let mut seen = Vec::with_capacity(wide * wide);
    for row in 0..wide {
        seen.extend((0..wide).map(|column| light.at(at(row, column))));
    }
    let mut best = (f32::MIN, around);
    for row in 0..count {
        for column in 0..count {
            let corner = seen.get(row * wide + column..).unwrap_or_default();
            let (along, down) = (column as f32 * step - reach, row as f32 * step - reach);
            // Of two that fit alike, the nearer one.
            let fit = ring_contrast(corner, wide, a_module) - along.hypot(down);
            if fit > best.0 {
                best = (fit, at(row + 2 * a_module, column + 2 * a_module));
            }
        }
    }
    Some(best.1)
}

/// How much lighter the light ring is than the dark ones. `corner`: light from the upper left module on, in rows of `wide`.
fn ring_contrast(corner: &[f32], wide: usize, a_module: usize) -> f32 {
    let (mut bright, mut dark) = (0.0, 0.0);
    for row in 0..5usize {
        let line = corner.iter().skip(row * a_module * wide);
        for (column, value) in line.step_by(a_module).take(5).enumerate() {
            match row.abs_diff(2).max(column.abs_diff(2)) {
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
