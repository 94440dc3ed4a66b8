//! Luma to black and white.

use super::frame::Luma;

/// black: [height x width] u8, row-major: 1 is black, 0 is white.
#[derive(Clone)]
pub struct Bitmap {
    width: usize,
    height: usize,
    black: Vec<u8>,
}

impl Bitmap {
    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// All pixels.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.black
    }
}

/// Every so many rows are counted: a threshold needs no more.
const ROWS_STEP: usize = 3;

/// The threshold that separates the two classes best (Otsu 1979): pixels up to it are black.
#[must_use]
pub fn otsu_threshold(luma: Luma<'_>) -> u8 {
    let mut histogram = [0u64; 256];
    for &pixel in luma.rows().step_by(ROWS_STEP).flatten() {
        if let Some(count) = histogram.get_mut(usize::from(pixel)) {
            *count += 1;
        }
    }
    let total: u64 = histogram.iter().sum();
    let sum: u64 = (0u64..).zip(histogram).map(|(v, n)| v * n).sum();
    let (mut below, mut sum_below) = (0u64, 0u64);
    let (mut best, mut best_variance) = (127u8, 0f64);
    for (value, count) in (0u8..=255).zip(histogram) {
        below += count;
        sum_below += u64::from(value) * count;
        let above = total - below;
        if below == 0 || above == 0 {
            continue;
        }
        let gap = sum_below as f64 / below as f64 - (sum - sum_below) as f64 / above as f64;
        let variance = below as f64 * above as f64 * gap * gap;
        if variance > best_variance {
            (best, best_variance) = (value, variance);
        }
    }
    best
}

/// One threshold for the whole picture.
#[must_use]
pub fn otsu(luma: Luma<'_>) -> Bitmap {
    let threshold = otsu_threshold(luma);
    Bitmap {
        width: luma.width(),
        height: luma.height(),
        black: luma
            .rows()
            .flatten()
            .map(|&pixel| u8::from(pixel <= threshold))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    #[test]
    fn otsu_parts_the_dark_from_the_light() {
        let image = LumaImage::new(4, 2, vec![20, 25, 200, 210, 22, 198, 24, 205]).unwrap();
        let bitmap = otsu(image.as_luma());
        assert_eq!(bitmap.pixels(), [1, 1, 0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_picture_of_one_brightness_does_not_stop_anything() {
        for value in [0, 127, 255] {
            let image = LumaImage::filled(30, 30, value);
            assert_eq!(otsu(image.as_luma()).pixels().len(), 900);
        }
    }
}
