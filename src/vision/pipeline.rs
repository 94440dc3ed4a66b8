//! The stages a frame goes through, cheapest first, until one of them reads a text.
//!
//! The order was measured, see [`STAGES`]. What stands here is bounded: a frame is given up rather than waited for.

use std::cell::{OnceCell, RefCell};
use std::fmt;

use super::bare::read_bare;
use super::binarise::{otsu, otsu_threshold};
use super::bounded::{Budget, Found, read_bitmap};
use super::frame::{Luma, LumaImage};
use super::levels::Levels;
use super::locate::{Both, Finder, Finders, Rows, find, floor};
use super::plane::{Light, Point};
use super::sample::{Seen, read_sampled};
use super::second::{Area, read_edges};

/// Pictures are scaled down to fit this, as a camera would give them.
pub const FIT: (usize, usize) = (1280, 720);
/// Texts of one frame.
pub const TEXTS_MAX: usize = 4;
/// Characters of one text: the largest code holds so many digits.
pub const CHARS_MAX: usize = 7_089;
/// Steps a frame may take, all stages together.
const STEPS_MAX: u64 = 8_000_000;

/// Rows that look like those of a finder pattern, for another threshold to be worth a try.
const RUNS_MIN: usize = 3;

/// Half the side of the middle of a code, of its diagonal, that is looked at for a smaller one; and the least that may
/// hold one, pixels.
const INNER_REACH: f32 = 0.22;
const INNER_MIN: usize = 42;

/// Finder patterns of one threshold that the next frame may ask for.
const FINDERS_KEPT: usize = 16;

/// A picture of more pixels than this is not enlarged.
const ENLARGED_PIXELS_MAX: usize = 640 * 480;

/// One way to read a frame.
pub struct Stage {
    /// Its name, for reports and tests.
    pub name: &'static str,
    run: fn(&View<'_>, &Budget) -> Option<Found>,
}

/// The stages, in order. A stage answers `None` where it is not worth its time: fewer than three finder patterns.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "coarse",
        run: |view, budget| view.sampled(view.coarse()?, false, budget),
    },
    Stage {
        name: "fine",
        run: |view, budget| view.sampled(view.fine(), false, budget),
    },
    Stage {
        name: "coarse inverted",
        run: |view, budget| view.sampled(view.coarse()?, true, budget),
    },
    Stage {
        name: "fine inverted",
        run: |view, budget| view.sampled(view.fine(), true, budget),
    },
    Stage {
        name: "one level",
        run: |view, budget| view.sampled(view.one_level()?, false, budget),
    },
    Stage {
        name: "edges",
        run: |view, budget| view.edges(view.fine(), false, budget),
    },
    Stage {
        name: "edges inverted",
        run: |view, budget| view.edges(view.fine(), true, budget),
    },
    Stage {
        name: "edges one level",
        run: |view, budget| view.edges(view.one_level()?, false, budget),
    },
    Stage {
        name: "enlarged",
        run: |view, budget| view.enlarged(budget),
    },
    Stage {
        name: "bare",
        run: |view, budget| read_bare(view.luma, otsu_threshold(view.luma), budget),
    },
    Stage {
        name: "rqrr",
        run: |view, budget| view.rqrr(budget),
    },
];

/// Thresholds of a frame, and the finder patterns that stand out by them.
struct Looked {
    levels: Levels,
    finders: Both,
}

impl Looked {
    fn new(luma: Luma<'_>, levels: Levels) -> Self {
        let rows = Rows {
            top: 0,
            bottom: luma.height(),
            step: 2,
        };
        let finders = find(luma, &levels, rows);
        Self { levels, finders }
    }
}

/// A frame, and what is known of it so far.
struct View<'a> {
    luma: Luma<'a>,
    coarse: OnceCell<Option<Looked>>,
    fine: OnceCell<Looked>,
    one_level: OnceCell<Looked>,
    /// Centres of codes that were tried.
    used: RefCell<Vec<Point>>,
}

impl<'a> View<'a> {
    fn new(luma: Luma<'a>) -> Self {
        Self {
            luma,
            coarse: OnceCell::new(),
            fine: OnceCell::new(),
            one_level: OnceCell::new(),
            used: RefCell::default(),
        }
    }

    /// At half the size: a quarter of the work, and noise and stripes of a screen are less.
    fn coarse(&self) -> Option<&Looked> {
        let look = || {
            let half = self.luma.halved()?;
            let looked = Looked::new(half.as_luma(), Levels::local(half.as_luma()));
            Some(Looked {
                levels: looked.levels.doubled(),
                finders: looked.finders.doubled(),
            })
        };
        self.coarse.get_or_init(look).as_ref()
    }

    fn fine(&self) -> &Looked {
        self.fine
            .get_or_init(|| Looked::new(self.luma, Levels::local(self.luma)))
    }

    /// One threshold for the whole picture; only where rows looked like those of a finder pattern before.
    fn one_level(&self) -> Option<&Looked> {
        let seen = self.all().any(|looked| looked.finders.runs >= RUNS_MIN);
        seen.then(|| {
            self.one_level.get_or_init(|| {
                let level = otsu_threshold(self.luma);
                Looked::new(self.luma, self.fine().levels.with_one_level(level))
            })
        })
    }

    fn all(&self) -> impl Iterator<Item = &Looked> {
        let coarse = self.coarse.get().and_then(Option::as_ref);
        let others = [self.fine.get(), self.one_level.get()];
        coarse.into_iter().chain(others.into_iter().flatten())
    }

    /// All finder patterns, by whatever threshold: a few of them may be there more than once.
    fn finders(&self) -> [Vec<Finder>; 2] {
        let of = |side: fn(&Both) -> &Finders| -> Vec<Finder> {
            let each = self.all().map(|looked| side(&looked.finders));
            let fit = each.filter(|finders| !finders.crowded);
            fit.flat_map(|finders| finders.all.iter().take(FINDERS_KEPT).copied())
                .collect()
        };
        [of(|both| &both.plain), of(|both| &both.inverted)]
    }

    /// `rqrr` as it is, around the finder patterns that stand out.
    fn rqrr(&self, budget: &Budget) -> Option<Found> {
        let mut all = self.all().map(|looked| &looked.finders.plain);
        let finders = all.find(|finders| finders.may_be_a_code())?;
        let light = Light {
            luma: self.luma,
            inverted: false,
        };
        let part = Area::around(light, &finders.all).of(self.luma)?;
        Some(read_bitmap(&otsu(part), budget))
    }

    fn crowded(&self) -> bool {
        self.all()
            .any(|looked| looked.finders.plain.crowded || looked.finders.inverted.crowded)
    }

    /// At one and a half times its size, a small picture with small modules: blocks and rows are finer there.
    fn enlarged(&self, budget: &Budget) -> Option<Found> {
        let pixels = self.luma.width() * self.luma.height();
        let worth_it = self.all().any(|looked| looked.finders.runs >= RUNS_MIN);
        if pixels > ENLARGED_PIXELS_MAX || !worth_it || self.crowded() {
            return None;
        }
        if !budget.spend(pixels as u64 * 8) {
            return None;
        }
        let large = self.luma.enlarged()?;
        let view = View::new(large.as_luma());
        let mut all = Found::default();
        for (looked, inverted) in [(view.fine(), false), (view.fine(), true)] {
            all.add(view.sampled(looked, inverted, budget));
        }
        if all.texts.is_empty() {
            all.add(
                view.one_level()
                    .and_then(|looked| view.sampled(looked, false, budget)),
            );
        }
        all.seen = all
            .seen
            .into_iter()
            .filter_map(|code| code.scaled(2.0 / 3.0))
            .collect();
        Some(all)
    }

    fn edges(&self, looked: &Looked, inverted: bool, budget: &Budget) -> Option<Found> {
        let (light, finders) = self.side(looked, inverted);
        finders
            .may_be_a_code()
            .then(|| read_edges(light, &looked.levels, &finders.all, budget))
    }

    /// What a smaller code says that stands in the middle of one that was read ("double QR").
    fn inner(&self, seen: &[Seen], budget: &Budget) -> Vec<String> {
        let read = seen.iter().filter(|code| code.read && !code.inverted);
        let mut texts = Vec::new();
        for code in read {
            let [_, right, below] = code.centres;
            // The middle between these two corners is that of the code.
            let whole = |v: f32| floor(v).and_then(|v| usize::try_from(v).ok()).unwrap_or(0);
            let reach = right.minus(below).length() * INNER_REACH;
            let left = whole((right.x + below.x) / 2.0 - reach);
            let top = whole((right.y + below.y) / 2.0 - reach);
            let wide = whole(reach * 2.0);
            let Some(part) = (wide >= INNER_MIN).then(|| self.luma.part(left, top, wide, wide))
            else {
                continue;
            };
            let Some(luma) = part else { continue };
            let looked = Looked::new(luma, Levels::local(luma));
            if looked.finders.plain.may_be_a_code() {
                let (levels, finders) = (&looked.levels, &looked.finders.plain.all);
                let light = Light {
                    luma,
                    inverted: false,
                };
                texts.extend(read_sampled(light, levels, finders, &mut Vec::new(), budget).texts);
            }
        }
        texts
    }

    fn side<'l>(&self, looked: &'l Looked, inverted: bool) -> (Light<'a>, &'l Finders) {
        let light = Light {
            luma: self.luma,
            inverted,
        };
        if inverted {
            (light, &looked.finders.inverted)
        } else {
            (light, &looked.finders.plain)
        }
    }

    fn sampled(&self, looked: &Looked, inverted: bool, budget: &Budget) -> Option<Found> {
        let (light, finders) = self.side(looked, inverted);
        finders.may_be_a_code().then(|| {
            let mut used = self.used.borrow_mut();
            read_sampled(light, &looked.levels, &finders.all, &mut used, budget)
        })
    }
}

/// What a frame gave. Texts are personal data: `Debug` does not show them.
#[derive(Clone, Default)]
pub struct Reading {
    /// Distinct texts, at most [`TEXTS_MAX`].
    pub texts: Vec<String>,
    /// True if something like a code is in view, whether it was read or not.
    pub located: bool,
    /// The stage that read it.
    pub stage: Option<&'static str>,
    /// Panics of the decoder, contained.
    pub panics: u32,
    /// True if the frame was given up: too many patterns, or the budget was spent.
    pub gave_up: bool,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("texts", &self.texts.len())
            .field("located", &self.located)
            .field("stage", &self.stage)
            .field("panics", &self.panics)
            .field("gave_up", &self.gave_up)
            .finish()
    }
}

/// Reads the codes of a frame.
#[must_use]
pub fn read(luma: Luma<'_>) -> Reading {
    let small: Option<LumaImage> = luma.shrunk_to_fit(FIT.0, FIT.1);
    read_fitting(small.as_ref().map_or(luma, LumaImage::as_luma)).0
}

/// What was noticed in a frame, for the next one.
#[derive(Default)]
pub struct Noticed {
    /// Codes that were located, read or not.
    pub seen: Vec<Seen>,
    /// Finder patterns: dark on light, and light on dark.
    pub finders: [Vec<Finder>; 2],
}

/// Reads what stands out at half the size of a frame: whether somebody else is there, too.
#[must_use]
pub fn glance(luma: Luma<'_>) -> Vec<String> {
    let view = View::new(luma);
    let budget = Budget::new(STEPS_MAX / 4);
    let sides = [false, true].into_iter();
    let found = sides.filter_map(|inverted| view.sampled(view.coarse()?, inverted, &budget));
    found.flat_map(|found| found.texts).collect()
}

/// Reads a part of a frame at its full resolution: where a code was a frame ago.
#[must_use]
pub fn read_part(luma: Luma<'_>) -> (Reading, Noticed) {
    let view = View::new(luma);
    let budget = Budget::new(STEPS_MAX / 4);
    let mut reading = Reading::default();
    let mut seen = Vec::new();
    for inverted in [false, true] {
        if let Some(found) = view.sampled(view.fine(), inverted, &budget) {
            reading.located |= found.grids > 0;
            reading.panics += found.panics;
            seen.extend(found.seen);
            keep(found.texts, &mut reading);
        }
        if !reading.texts.is_empty() {
            reading.stage = Some("where it was");
            break;
        }
    }
    let finders = view.finders();
    (reading, Noticed { seen, finders })
}

/// Reads a frame that fits. Gives what was noticed in it, too.
#[must_use]
pub fn read_fitting(luma: Luma<'_>) -> (Reading, Noticed) {
    let view = View::new(luma);
    let mut seen = Vec::new();
    let budget = Budget::new(STEPS_MAX);
    let mut reading = Reading::default();
    for stage in STAGES {
        let Some(found) = (stage.run)(&view, &budget) else {
            continue;
        };
        reading.located |= found.grids > 0;
        reading.panics += found.panics;
        reading.gave_up |= found.gave_up;
        seen.extend(found.seen);
        keep(found.texts, &mut reading);
        keep(view.inner(&seen, &budget), &mut reading);
        if !reading.texts.is_empty() {
            reading.stage = Some(stage.name);
            break;
        }
    }
    reading.gave_up |= reading.texts.is_empty() && view.crowded();
    let finders = view.finders();
    (reading, Noticed { seen, finders })
}

/// Keeps what is new, short enough and not empty.
pub(super) fn keep(found: Vec<String>, reading: &mut Reading) {
    let texts = &mut reading.texts;
    for text in found {
        let fits = !text.is_empty() && text.chars().nth(CHARS_MAX).is_none();
        if fits && texts.len() < TEXTS_MAX && !texts.contains(&text) {
            texts.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_distinct_and_bounded() {
        let mut reading = Reading::default();
        let long = "x".repeat(CHARS_MAX + 1);
        let fits = "马".repeat(CHARS_MAX);
        let found = ["", "A", "A", &long, &fits, "B", "C", "D"];
        keep(found.map(String::from).to_vec(), &mut reading);
        assert_eq!(reading.texts, ["A", &fits, "B", "C"]);
    }

    #[test]
    fn a_frame_that_hurts_is_given_up() {
        // Finder patterns with modules of two pixels, everywhere.
        let mut image = LumaImage::filled(640, 480, 255);
        for (i, pixel) in image.pixels_mut().iter_mut().enumerate() {
            let (x, y) = (i % 640 % 18 / 2, i / 640 % 18 / 2);
            let ring = x.abs_diff(3).max(y.abs_diff(3));
            *pixel = if ring == 2 || ring > 3 { 255 } else { 0 };
        }
        let reading = read(image.as_luma());
        assert!(reading.gave_up && reading.texts.is_empty());
    }

    #[test]
    fn texts_do_not_show_in_a_log() {
        let reading = Reading {
            texts: vec!["SECRET".into()],
            ..Reading::default()
        };
        assert!(!format!("{reading:?}").contains("SECRET"));
    }

    #[test]
    fn the_smallest_pictures_stop_nothing() {
        for (width, height) in [(1, 1), (1, 480), (640, 1), (7, 7), (3000, 2)] {
            let image = LumaImage::filled(width, height, 9);
            assert!(read(image.as_luma()).texts.is_empty());
        }
    }
}
