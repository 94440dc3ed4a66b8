//! A contact sheet: what the camera saw, small, one beside the other, with a light border around what was read.

use std::path::Path;

use image::{GrayImage, Luma as Pixel, imageops};

use crate::vision::{Luma, LumaImage};

/// Pictures in a row, and the most there are.
const ACROSS: u32 = 6;
const PICTURES_MAX: usize = 48;
/// Width and height of one, pixels, and the border around it.
const WIDE: usize = 160;
const TALL: usize = 120;
const BORDER: u32 = 4;
/// Border of a picture that was read, of one in which a code was located, and of any other.
const READ: u8 = 255;
const LOCATED: u8 = 128;
const NOTHING: u8 = 32;

/// Collects pictures.
#[derive(Default)]
pub(super) struct Sheet(Vec<(GrayImage, u8)>);

impl Sheet {
    /// The next picture. Those beyond [`PICTURES_MAX`] are left out.
    pub(super) fn add(&mut self, luma: Luma<'_>, read: bool, located: bool) {
        if self.0.len() >= PICTURES_MAX {
            return;
        }
        let small = luma
            .shrunk_to_fit(WIDE, TALL)
            .unwrap_or_else(|| luma.to_image());
        let border = match (read, located) {
            (true, _) => READ,
            (false, true) => LOCATED,
            (false, false) => NOTHING,
        };
        self.0.extend(grey(small).map(|small| (small, border)));
    }

    /// Writes the sheet as PNG.
    pub(super) fn save(&self, path: &Path) -> Result<(), String> {
        let (wide, tall) = (cell(WIDE), cell(TALL));
        let count = u32::try_from(self.0.len()).unwrap_or(0).max(1);
        let (columns, rows) = (count.min(ACROSS), count.div_ceil(ACROSS));
        let mut sheet = GrayImage::new(columns * wide, rows * tall);
        for ((picture, border), number) in self.0.iter().zip(0u32..) {
            let (left, top) = (number % ACROSS * wide, number / ACROSS * tall);
            let frame = GrayImage::from_pixel(wide - 2, tall - 2, Pixel([*border]));
            imageops::replace(&mut sheet, &frame, i64::from(left) + 1, i64::from(top) + 1);
            let (x, y) = (left + BORDER, top + BORDER);
            imageops::replace(&mut sheet, picture, i64::from(x), i64::from(y));
        }
        let format = image::ImageFormat::Png;
        sheet
            .save_with_format(path, format)
            .map_err(|error| error.to_string())
    }
}

fn cell(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(0) + 2 * BORDER
}

fn grey(image: LumaImage) -> Option<GrayImage> {
    let (width, height) = (image.width(), image.height());
    GrayImage::from_raw(
        u32::try_from(width).ok()?,
        u32::try_from(height).ok()?,
        image.into_pixels(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_has_its_place_and_the_border_of_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sheet.png");
        let wall = LumaImage::filled(640, 480, 90);
        let mut sheet = Sheet::default();
        for n in 0..8 {
            sheet.add(wall.as_luma(), n == 0, n < 2);
        }
        sheet.save(&file).unwrap();
        let made = image::open(&file).unwrap().into_luma8();
        assert_eq!(made.dimensions(), (6 * cell(WIDE), 2 * cell(TALL)));
        let at = |x: u32| made.get_pixel(x, 1).0[0];
        assert_eq!(
            [at(1), at(cell(WIDE) + 1), at(2 * cell(WIDE) + 1)],
            [READ, LOCATED, NOTHING]
        );
        assert_eq!(made.get_pixel(20, 20).0[0], 90);
        assert!(
            Sheet::default()
                .save(&folder.path().join("gone/sheet.png"))
                .is_err()
        );
    }
}
