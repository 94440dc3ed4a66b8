//! `rqrr` with a budget.
//!
//! `rqrr` has no bound of its own: it copies the picture for every three finder patterns that might belong together,
//! and a picture full of them takes it minutes. It does ask its canvas for everything, so the canvas counts, and ends
//! the call when the budget is spent or too many finder patterns were found. Every loop of `rqrr` that can be long
//! asks for the size or writes a pixel in each turn, or is bounded by the number of finder patterns.

use std::cell::Cell;
use std::rc::Rc;

use image::{GenericImage, GenericImageView, Luma as Pixel};
use rqrr::{BitGrid, Grid, PreparedImage};

use super::binarise::Bitmap;
use super::contain::{Stopped, contain, give_up};
use super::frame::Luma;
use super::sample::Seen;

/// Finder patterns in one picture. Four codes have 12; past this the search for triples gets long.
const FINDERS_MAX: u32 = 48;
/// Grids that are decoded in one picture.
const GRIDS_MAX: usize = 8;
/// The values `rqrr` paints a finder pattern with: first for measuring it, then for good.
const PAINT_MEASURED: u8 = 4;
const PAINT_FINDER: u8 = 2;

/// Steps the decoder may take; shared by the stages of a frame.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Cell<u64>>);

impl Budget {
    /// So many steps; one is about a nanosecond or two.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self(Rc::new(Cell::new(steps)))
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.get()
    }

    /// Takes `steps`, if there are as many.
    #[must_use]
    pub fn spend(&self, steps: u64) -> bool {
        let enough = self.0.get() >= steps;
        self.0.set(self.0.get().saturating_sub(steps));
        enough
    }
}

/// What a call into `rqrr` gave.
#[derive(Default)]
pub struct Found {
    /// Texts that were read.
    pub texts: Vec<String>,
    /// Grids that were located, read or not.
    pub grids: usize,
    /// Panics contained.
    pub panics: u32,
    /// True if the budget ended it.
    pub gave_up: bool,
    /// Codes our own locator found, read or not.
    pub seen: Vec<Seen>,
}

impl Found {
    /// What another call gave, as well.
    pub(super) fn add(&mut self, other: Option<Self>) {
        if let Some(other) = other {
            self.texts.extend(other.texts);
            self.grids += other.grids;
            self.panics += other.panics;
            self.gave_up |= other.gave_up;
            self.seen.extend(other.seen);
        }
    }

    pub(super) fn stopped(&mut self, why: Stopped) {
        match why {
            Stopped::Panicked => self.panics += 1,
            Stopped::OutOfBudget => self.gave_up = true,
        }
    }
}

/// `rqrr` with its own binariser.
#[must_use]
pub fn read_luma(luma: Luma<'_>, budget: &Budget) -> Found {
    let pixels = luma.rows().flatten().map(|&p| Pixel([p])).collect();
    let canvas = Canvas::new(luma.width(), luma.height(), pixels, budget);
    search(move || PreparedImage::prepare(canvas))
}

/// `rqrr` on a picture that is black and white already.
#[must_use]
pub fn read_bitmap(bitmap: &Bitmap, budget: &Budget) -> Found {
    let pixels = bitmap.pixels().iter().map(|&p| Pixel([p])).collect();
    let canvas = Canvas::new(bitmap.width(), bitmap.height(), pixels, budget);
    search(move || PreparedImage::without_preparation(canvas))
}

fn search(prepare: impl FnOnce() -> PreparedImage<Canvas>) -> Found {
    let mut found = Found::default();
    let mut image = match contain(prepare) {
        Ok(image) => image,
        Err(why) => {
            found.stopped(why);
            return found;
        }
    };
    let grids = match contain(|| image.detect_grids()) {
        Ok(grids) => grids,
        Err(why) => {
            found.stopped(why);
            return found;
        }
    };
    found.grids = grids.len();
    for grid in grids.iter().take(GRIDS_MAX) {
        decode(grid, &mut found);
    }
    found
}

/// Decodes one grid. True if it gave a text; located and not read shows in the numbers.
pub fn decode<G: BitGrid>(grid: &Grid<G>, found: &mut Found) -> bool {
    let decoded = contain(|| {
        let mut bytes = Vec::new();
        grid.decode_to(&mut bytes).ok().map(|_| bytes)
    });
    match decoded {
        Ok(Some(bytes)) => {
            found.texts.push(text_of(bytes));
            true
        }
        Ok(None) => false,
        Err(why) => {
            found.stopped(why);
            false
        }
    }
}

/// UTF-8 if it is; Shift JIS if that fits and the bytes stand as it has them, in a row; else ISO 8859-1, which is what a
/// code without other word is in (ISO/IEC 18004, 7.3.5). A passenger who shows such a code is told that it is not ours, and not
/// to hold still for ever.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let bytes = error.as_bytes();
        // 0x80 to 0x9F are no letters in ISO 8859-1, and its letters hardly ever stand two in a row.
        let is_high = |b: &u8| *b >= 0x80;
        let in_a_row = bytes.windows(2).any(|pair| pair.iter().all(is_high))
            || bytes.iter().any(|b| (0x80..0xA0).contains(b));
        let (text, _, damaged) = encoding_rs::SHIFT_JIS.decode(bytes);
        if in_a_row && !damaged {
            text.into_owned()
        } else {
            bytes.iter().map(|&b| char::from(b)).collect()
        }
    })
}

struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<Pixel<u8>>,
    budget: Budget,
    finders: Rc<Cell<u32>>,
    last_paint: u8,
}

impl Canvas {
    fn new(width: usize, height: usize, pixels: Vec<Pixel<u8>>, budget: &Budget) -> Self {
        Self {
            width: u32::try_from(width).unwrap_or(0),
            height: u32::try_from(height).unwrap_or(0),
            pixels,
            budget: budget.clone(),
            finders: Rc::default(),
            last_paint: 0,
        }
    }

    fn spend(&self, steps: u64) {
        if !self.budget.spend(steps) {
            give_up();
        }
    }

    const fn index(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }
}

impl Clone for Canvas {
    fn clone(&self) -> Self {
        self.spend(self.pixels.len() as u64 / 8);
        Self {
            width: self.width,
            height: self.height,
            pixels: self.pixels.clone(),
            budget: self.budget.clone(),
            finders: Rc::clone(&self.finders),
            last_paint: self.last_paint,
        }
    }
}

impl GenericImageView for Canvas {
    type Pixel = Pixel<u8>;

    fn dimensions(&self) -> (u32, u32) {
        self.spend(1);
        (self.width, self.height)
    }

    fn get_pixel(&self, x: u32, y: u32) -> Pixel<u8> {
        self.pixels
            .get(self.index(x, y))
            .copied()
            .unwrap_or(Pixel([0]))
    }
}

impl GenericImage for Canvas {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Pixel<u8> {
        let index = self.index(x, y);
        match self.pixels.get_mut(index) {
            Some(pixel) => pixel,
            // The trait leaves no other way to say it, and nothing calls this.
            None => give_up(),
        }
    }

    fn put_pixel(&mut self, x: u32, y: u32, pixel: Pixel<u8>) {
        self.spend(1);
        let Pixel([paint]) = pixel;
        if paint == PAINT_FINDER && self.last_paint == PAINT_MEASURED {
            self.finders.set(self.finders.get() + 1);
            if self.finders.get() > FINDERS_MAX {
                give_up();
            }
        }
        self.last_paint = paint;
        let index = self.index(x, y);
        if let Some(place) = self.pixels.get_mut(index) {
            *place = pixel;
        }
    }

    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Pixel<u8>) {
        self.put_pixel(x, y, pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    /// Finder patterns with modules of one pixel, everywhere.
    pub(crate) fn field_of_finders(width: usize, height: usize) -> LumaImage {
        let mut image = LumaImage::filled(width, height, 255);
        for (i, pixel) in image.pixels_mut().iter_mut().enumerate() {
            let (x, y) = (i % width % 9, i / width % 9);
            if x < 7 && y < 7 {
                let ring = x.abs_diff(3).max(y.abs_diff(3));
                *pixel = if ring == 2 { 255 } else { 0 };
            }
        }
        image
    }

    #[test]
    fn a_field_of_finder_patterns_is_given_up() {
        let image = field_of_finders(640, 480);
        let budget = Budget::new(1_000_000_000);
        let found = read_luma(image.as_luma(), &budget);
        assert!(found.gave_up);
        assert!(budget.left() > 900_000_000, "by the count of the patterns");
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_taken_byte_by_byte() {
        assert_eq!(text_of("马".as_bytes().to_vec()), "马");
        assert_eq!(text_of(vec![b'A', 0xE9]), "A\u{e9}");
        assert_eq!(text_of(vec![0x83, 0x65, 0x83, 0x58, 0x83, 0x67]), "テスト");
    }

    #[test]
    fn a_spent_budget_ends_the_call() {
        let image = field_of_finders(64, 48);
        let found = read_luma(image.as_luma(), &Budget::new(1_000));
        assert!(found.gave_up && found.texts.is_empty() && found.panics == 0);
    }
}
