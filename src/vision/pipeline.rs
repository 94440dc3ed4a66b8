//! The stages a frame goes through, cheapest first, until one of them reads a text.
//!
//! The order was measured, see [`STAGES`]. What stands here is bounded: a frame is given up rather than waited for.

use std::cell::OnceCell;
use std::fmt;

use super::binarise::{Bitmap, block_mean, otsu};
use super::bounded::{Budget, Found, read_bitmap, read_luma};
use super::frame::{Luma, LumaImage};
use super::locate::{Finders, find};
use super::plane::Light;
use super::sample::read_sampled;

/// Pictures are scaled down to fit this, as a camera would give them.
pub const FIT: (usize, usize) = (1280, 720);
/// Texts of one frame.
pub const TEXTS_MAX: usize = 4;
/// Characters of one text.
pub const CHARS_MAX: usize = 1_500;
/// Steps a frame may take, all stages together.
const STEPS_MAX: u64 = 6_000_000;

/// One way to read a frame.
pub struct Stage {
    /// Its name, for reports and tests.
    pub name: &'static str,
    run: fn(&View<'_>, &Budget) -> Option<Found>,
}

/// The stages, in order. A stage answers `None` where it is not worth its time: fewer than three finder patterns.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "sampled",
        run: |view, budget| view.sampled(&view.otsu, budget),
    },
    Stage {
        name: "sampled inverted",
        run: |view, budget| view.sampled(&view.inverted, budget),
    },
    Stage {
        name: "sampled block mean",
        run: |view, budget| view.sampled(view.blocks(), budget),
    },
    Stage {
        name: "rqrr otsu",
        run: |view, budget| view.otsu.worth_it(|bitmap| read_bitmap(bitmap, budget)),
    },
    Stage {
        name: "rqrr",
        run: |view, budget| view.otsu.worth_it(|_| read_luma(view.luma, budget)),
    },
    Stage {
        name: "rqrr inverted",
        run: |view, budget| view.inverted.worth_it(|bitmap| read_bitmap(bitmap, budget)),
    },
];

/// A black and white picture and the finder patterns in it.
struct Looked {
    bitmap: Bitmap,
    finders: Finders,
    inverted: bool,
}

impl Looked {
    fn new(bitmap: Bitmap, inverted: bool) -> Self {
        let finders = find(&bitmap);
        Self {
            bitmap,
            finders,
            inverted,
        }
    }

    fn worth_it(&self, run: impl FnOnce(&Bitmap) -> Found) -> Option<Found> {
        self.finders.may_be_a_code().then(|| run(&self.bitmap))
    }
}

/// A frame, and what is known of it so far.
struct View<'a> {
    luma: Luma<'a>,
    otsu: Looked,
    inverted: Looked,
    blocks: OnceCell<Looked>,
}

impl View<'_> {
    fn blocks(&self) -> &Looked {
        self.blocks
            .get_or_init(|| Looked::new(block_mean(self.luma), false))
    }

    fn sampled(&self, looked: &Looked, budget: &Budget) -> Option<Found> {
        let light = Light {
            luma: self.luma,
            inverted: looked.inverted,
        };
        looked.worth_it(|bitmap| read_sampled(light, bitmap, &looked.finders.all, budget))
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
    /// True if a text was read that is longer than [`CHARS_MAX`]; it is not kept.
    pub too_long: bool,
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
            .field("too_long", &self.too_long)
            .field("panics", &self.panics)
            .field("gave_up", &self.gave_up)
            .finish()
    }
}

/// Reads the codes of a frame.
#[must_use]
pub fn read(luma: Luma<'_>) -> Reading {
    let small: Option<LumaImage> = luma.shrunk_to_fit(FIT.0, FIT.1);
    read_fitting(small.as_ref().map_or(luma, LumaImage::as_luma))
}

fn read_fitting(luma: Luma<'_>) -> Reading {
    let bitmap = otsu(luma);
    let view = View {
        luma,
        inverted: Looked::new(bitmap.inverted(), true),
        otsu: Looked::new(bitmap, false),
        blocks: OnceCell::new(),
    };
    let budget = Budget::new(STEPS_MAX);
    let mut reading = Reading {
        gave_up: view.otsu.finders.crowded || view.inverted.finders.crowded,
        ..Reading::default()
    };
    if reading.gave_up {
        return reading;
    }
    for stage in STAGES {
        let Some(found) = (stage.run)(&view, &budget) else {
            continue;
        };
        reading.located |= found.grids > 0;
        reading.panics += found.panics;
        reading.gave_up |= found.gave_up;
        keep(found.texts, &mut reading);
        if !reading.texts.is_empty() || reading.too_long {
            reading.stage = Some(stage.name);
            break;
        }
    }
    reading
}

/// Keeps what is new, short enough and not empty.
fn keep(found: Vec<String>, reading: &mut Reading) {
    let texts = &mut reading.texts;
    for text in found {
        if text.chars().nth(CHARS_MAX).is_some() {
            reading.too_long = true;
        } else if !text.is_empty() && texts.len() < TEXTS_MAX && !texts.contains(&text) {
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
        assert!(reading.too_long);
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
