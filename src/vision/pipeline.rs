//! The stages, and how a frame goes through them.

use rqrr::PreparedImage;

use super::binarise::otsu;
use super::contain::contained;
use super::finders;
use super::frame::Luma;

/// Texts of one frame at most: nobody holds up more codes than they have hands.
pub const TEXTS_MAX: usize = 4;
/// A code has three finders.
const FINDERS_MIN: usize = 3;
/// More finders than this, and the frame is given up: the time of grouping grows with their cube.
const FINDERS_MAX: usize = 24;

/// One way to look at a frame.
pub struct Stage {
    /// Its name, in figures and tests.
    pub name: &'static str,
    /// How it gets its bitmap.
    pub bitmap: Bitmap,
}

/// How a stage gets its bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitmap {
    /// Dark of one threshold for the whole frame.
    Otsu,
    /// rqrr's own: a threshold that follows the light across the frame.
    Own,
    /// Light of one threshold: codes shown in dark mode.
    Inverted,
}

/// The stages in their order: cheap and likely first (VISION.md: Otsu 115 M instructions a frame, rqrr's own 185 M).
pub const STAGES: &[Stage] = &[
    Stage {
        name: "otsu",
        bitmap: Bitmap::Otsu,
    },
    Stage {
        name: "own",
        bitmap: Bitmap::Own,
    },
    Stage {
        name: "inverted",
        bitmap: Bitmap::Inverted,
    },
];

/// What a frame gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Distinct texts.
    pub texts: Vec<String>,
    /// The stage that read them.
    pub stage: Option<&'static str>,
    /// Something that looks like a code is there and could not be read.
    pub located: bool,
    /// Panics contained on the way.
    pub panics: u32,
    /// Too many finders: the frame was given up.
    pub given_up: bool,
}

/// Reads a frame. A frame larger than 1280x720 should be [`Luma::fitted`] first.
#[must_use]
pub fn read(luma: &Luma) -> Reading {
    let threshold = otsu(luma);
    let mut reading = Reading::default();
    for stage in STAGES {
        match contained(|| look(luma, stage.bitmap, threshold)) {
            Err(_) => reading.panics += 1,
            Ok(Look::Nothing) => {}
            Ok(Look::TooMany) => {
                reading.given_up = true;
                return reading;
            }
            Ok(Look::Located { texts, panics }) => {
                reading.panics += panics;
                reading.located = true;
                if !texts.is_empty() {
                    reading.texts = texts;
                    reading.stage = Some(stage.name);
                    reading.located = false;
                    return reading;
                }
            }
        }
    }
    reading
}

enum Look {
    Nothing,
    TooMany,
    Located { texts: Vec<String>, panics: u32 },
}

fn look(luma: &Luma, bitmap: Bitmap, threshold: u8) -> Look {
    let (width, height) = (luma.width(), luma.height());
    let mut prepared = match bitmap {
        Bitmap::Otsu => {
            PreparedImage::prepare_from_bitmap(width, height, |x, y| luma.at(x, y) <= threshold)
        }
        Bitmap::Inverted => {
            PreparedImage::prepare_from_bitmap(width, height, |x, y| luma.at(x, y) > threshold)
        }
        Bitmap::Own => PreparedImage::prepare_from_greyscale(width, height, |x, y| luma.at(x, y)),
    };
    // rqrr does not name its colours; a picture of one black pixel tells what black is.
    let ink = PreparedImage::prepare_from_bitmap(1, 1, |_, _| true).get_pixel_at(0, 0);
    match finders::count(width, height, |x, y| prepared.get_pixel_at(x, y) == ink) {
        0..FINDERS_MIN => return Look::Nothing,
        FINDERS_MIN..=FINDERS_MAX => {}
        _ => return Look::TooMany,
    }
    let mut texts: Vec<String> = Vec::new();
    let mut panics = 0;
    for grid in prepared.detect_grids() {
        match contained(|| grid.decode()) {
            Ok(Ok((_, text))) if texts.len() < TEXTS_MAX && !texts.contains(&text) => {
                texts.push(text)
            }
            // Another copy of a text that is known, or a grid that is no code after all.
            Ok(Ok(_) | Err(_)) => {}
            Err(_) => panics += 1,
        }
    }
    Look::Located { texts, panics }
}
