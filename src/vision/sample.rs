//! Our own way from finder patterns to a grid of modules; `rqrr` only decodes it.
//!
//! Three finder patterns that stand like the corners of a square give the size of the code and where its modules are
//! ([`super::place`]); each module is then sampled from the grey picture and compared with its neighbours, so that neither
//! blur nor uneven light decides ([`super::equalise`]). What a triple may cost is taken from the budget of the frame.

use rqrr::{Grid, SimpleGrid};

use super::bounded::{Budget, Found, decode as decode_grid};
use super::corners::triples;
use super::equalise::Modules;
use super::format::format_errors;
use super::known::{Known, known};
use super::levels::Levels;
use super::locate::Finder;
use super::place::{Look, Place, locate};
use super::plane::{Light, Point};

/// Triples that are looked at, the squarest first.
const TRIPLES_MAX: usize = 12;
/// Sizes and maps of one triple that are refined, the best timing pattern first.
const PLACES_MAX: usize = 3;
/// A timing pattern that fits no better than this is none.
const TIMING_MIN: f32 = 0.3;
/// Known modules that must have their colour, of all: fewer and it is no code of this size.
const KNOWN_MIN: f32 = 0.70;
/// From this size of a module on, pixels, a code that was not read is looked at once more, by the corners of its modules.
const LARGE: f32 = 4.0;
/// Bits of the format information, of thirty, that may be wrong: a code with more is not worth its decoding.
const FORMAT_ERRORS_MAX: u32 = 6;
/// And so many for it to be decoded: no code has the redundancy for more.
const DECODED_MIN: f32 = 0.90;
/// Located codes that are handed to the next frame.
const SEEN_MAX: usize = 4;

/// A code that was located, and what its modules look like.
#[derive(Clone)]
pub struct Seen {
    /// Where it lies, and how large it is.
    pub place: Place,
    /// Centres of its finder patterns, pixels: top left, top right, bottom left.
    pub centres: [Point; 3],
    /// Light on dark.
    pub inverted: bool,
    /// How light each module is, less than 0 is dark. [side x side] f32, row-major; about 1 where it is sure.
    pub values: Vec<f32>,
    /// True if it was read.
    pub read: bool,
}

impl Seen {
    /// Modules a side.
    #[must_use]
    pub const fn side(&self) -> usize {
        self.place.side
    }

    /// The same in a picture that is so many times as large.
    #[must_use]
    pub fn scaled(mut self, by: f32) -> Option<Self> {
        let scale = |at: Point| Point::new(at.x * by, at.y * by);
        self.place = self.place.carried(scale)?;
        self.centres = self.centres.map(scale);
        Some(self)
    }

    /// The same in a picture of which this was a part that began so far from the left and the top.
    #[must_use]
    pub fn shifted(mut self, by: Point) -> Option<Self> {
        self.place = self.place.carried(|at| at.plus(by, 1.0))?;
        self.centres = self.centres.map(|at| at.plus(by, 1.0));
        Some(self)
    }
}

/// Reads the codes that the finder patterns may belong to. `used`: centres of codes that were tried before in this frame,
/// by whatever threshold; they are not tried again.
#[must_use]
pub fn read_sampled(
    light: Light<'_>,
    levels: &Levels,
    finders: &[Finder],
    used: &mut Vec<Point>,
    budget: &Budget,
) -> Found {
    let mut found = Found::default();
    for corners in triples(finders).into_iter().take(TRIPLES_MAX) {
        let own = corners.centres();
        let near = corners.top_left.module * 1.5;
        let is_used = |corner: &Point| used.iter().any(|old| old.minus(*corner).length() < near);
        if own.iter().any(is_used) {
            continue;
        }
        let Some(mut places) = locate(light, levels, &corners, budget) else {
            found.gave_up = true;
            break;
        };
        places.retain(|place| place.timing > TIMING_MIN);
        places.sort_by(|a, b| b.timing.total_cmp(&a.timing));
        places.truncate(PLACES_MAX);
        let is_large = places.first().is_some_and(|place| place.module() >= LARGE);
        let middles = best_of(light, &places, own, Look::Middles, budget, &mut found);
        let again = is_large && !found.gave_up && !middles.as_ref().is_some_and(|seen| seen.read);
        let corners = again
            .then(|| best_of(light, &places, own, Look::Corners, budget, &mut found))
            .flatten();
        if let Some(seen) = corners.filter(|seen| seen.read).or(middles) {
            found.grids += 1;
            // A code that was located well is not looked for in other threes.
            used.extend(own);
            if found.seen.len() < SEEN_MAX {
                found.seen.push(seen);
            }
        }
        if found.gave_up {
            break;
        }
    }
    found
}

/// Refines the places, and decodes the one whose known modules fit best.
fn best_of(
    light: Light<'_>,
    places: &[Place],
    centres: [Point; 3],
    look: Look,
    budget: &Budget,
    found: &mut Found,
) -> Option<Seen> {
    let mut best: Option<(f32, Modules, Vec<Known>, Place)> = None;
    for mut place in places.iter().copied() {
        let known = known(place.side);
        let steps = (place.side * place.side * 40) as u64;
        if !place.refine(light, &known, look, budget) || !budget.spend(steps) {
            found.gave_up = true;
            return None;
        }
        let modules = Modules::levelled(place.side, &sampled(light, &place));
        let fit = agreement(&modules.sharpened(0.0), place.side, &known);
        if fit > best.as_ref().map_or(KNOWN_MIN, |(fit, ..)| *fit) {
            best = Some((fit, modules, known, place));
        }
    }
    let (_, modules, known, place) = best?;
    let mut seen = Seen {
        place,
        centres,
        inverted: light.inverted,
        values: Vec::new(),
        read: false,
    };
    for values in views(&modules, &known) {
        seen.values = values;
        if !budget.spend((seen.side() * seen.side() * 60) as u64) {
            found.gave_up = true;
            break;
        }
        let is_hopeless = agreement(&seen.values, seen.side(), &known) < DECODED_MIN;
        if !is_hopeless && decode_values(seen.side(), &seen.values, found) {
            seen.read = true;
            break;
        }
    }
    Some(seen)
}

/// The modules as seen, sharpened, and with the mix of the lens taken back; the next only if the last was not read.
pub(super) fn views<'a>(modules: &'a Modules, known: &'a [Known]) -> impl Iterator<Item = Vec<f32>> + 'a {
    let mut last: Option<Vec<f32>> = None;
    (0..6).map_while(move |turn| {
        let next = match turn {
            0 => modules.sharpened(0.0),
            1 => modules.sharpened(0.5),
            2 => modules.unmixed(known)?,
            _ => modules.unmixed_again(last.as_ref()?, known)?,
        };
        last = Some(next.clone());
        Some(next)
    })
}

/// Decodes modules: less than 0 is dark. A code seen in a mirror, or through a window from behind, is turned round.
pub fn decode_values(side: usize, values: &[f32], found: &mut Found) -> bool {
    let dark = |x: usize, y: usize| values.get(y * side + x).is_some_and(|&v| v < 0.0);
    let mirrored = |x: usize, y: usize| dark(y, x);
    let (as_seen, turned) = (format_errors(side, dark), format_errors(side, mirrored));
    if as_seen.min(turned) > FORMAT_ERRORS_MAX {
        return false;
    }
    if turned < as_seen {
        decode_grid(&Grid::new(SimpleGrid::from_func(side, mirrored)), found)
    } else {
        decode_grid(&Grid::new(SimpleGrid::from_func(side, dark)), found)
    }
}

/// How many of the known modules have their colour, of 1.
fn agreement(values: &[f32], side: usize, known: &[Known]) -> f32 {
    let right = known.iter().filter(|k| {
        let value = values.get(k.y * side + k.x);
        value.is_some_and(|&v| (v < 0.0) == k.dark)
    });
    right.count() as f32 / (known.len() as f32).max(1.0)
}

/// Brightness of each module and of a margin: the middle of a small one, the mean of the middle of a larger one.
pub(super) fn sampled(light: Light<'_>, place: &Place) -> Vec<f32> {
    const SMALL: [(f32, f32); 1] = [(0.5, 0.5)];
    const LARGE: [(f32, f32); 5] = [(0.5, 0.5), (0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7)];
    let looks: &[(f32, f32)] = if place.module() < 3.0 { &SMALL } else { &LARGE };
    let margin = Modules::margin();
    let wide = place.side + 2 * margin;
    let mut values = Vec::with_capacity(wide * wide);
    for y in 0..wide {
        for x in 0..wide {
            let (left, top) = (x as f32 - margin as f32, y as f32 - margin as f32);
            let at = |(dx, dy): &(f32, f32)| light.at(place.map.place(left + dx, top + dy));
            values.push(looks.iter().map(at).sum::<f32>() / looks.len() as f32);
        }
    }
    values
}
