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

    /// The rows, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.black.chunks(self.width)
    }

    /// True if the pixel is black; false outside.
    #[must_use]
    pub fn is_black(&self, x: usize, y: usize) -> bool {
        x < self.width && self.black.get(y * self.width + x) == Some(&1)
    }

    /// All pixels.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.black
    }

    /// Black for white: codes of a dark screen.
    #[must_use]
    pub fn inverted(&self) -> Self {
        Self {
            width: self.width,
            height: self.height,
            black: self.black.iter().map(|&b| b ^ 1).collect(),
        }
    }
}

/// The threshold that separates the two classes best (Otsu 1979): pixels up to it are black.
#[must_use]
pub fn otsu_threshold(luma: Luma<'_>) -> u8 {
    let mut histogram = [0u64; 256];
    for &pixel in luma.rows().flatten() {
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

/// A threshold for each pixel: the mean of the square around it, about a tenth of the picture wide.
/// It follows light that falls unevenly.
#[must_use]
pub fn block_mean(luma: Luma<'_>) -> Bitmap {
    let (width, height) = (luma.width(), luma.height());
    let radius = (width.min(height) / 20).max(4);
    let rows: Vec<&[u8]> = luma.rows().collect();
    let mut columns = vec![0u64; width];
    let mut black = Vec::with_capacity(width * height);
    for row in rows.iter().take(radius) {
        add(&mut columns, row);
    }
    for (y, row) in rows.iter().enumerate() {
        if let Some(entering) = rows.get(y + radius) {
            add(&mut columns, entering);
        }
        if let Some(leaving) = y.checked_sub(radius + 1).and_then(|k| rows.get(k)) {
            for (sum, &pixel) in columns.iter_mut().zip(*leaving) {
                *sum -= u64::from(pixel);
            }
        }
        let covered_rows = (y + radius + 1).min(height) - y.saturating_sub(radius);
        push_row(&columns, row, radius, covered_rows, &mut black);
    }
    Bitmap {
        width,
        height,
        black,
    }
}

fn add(columns: &mut [u64], row: &[u8]) {
    for (sum, &pixel) in columns.iter_mut().zip(row) {
        *sum += u64::from(pixel);
    }
}

fn push_row(columns: &[u64], row: &[u8], radius: usize, rows: usize, black: &mut Vec<u8>) {
    let mut sum: u64 = columns.iter().take(radius).sum();
    let mut count = columns.len().min(radius);
    for (x, &pixel) in row.iter().enumerate() {
        if let Some(entering) = columns.get(x + radius) {
            sum += entering;
            count += 1;
        }
        if let Some(leaving) = x.checked_sub(radius + 1).and_then(|k| columns.get(k)) {
            sum -= leaving;
            count -= 1;
        }
        black.push(u8::from(sum > u64::from(pixel) * (rows * count) as u64));
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
        assert_eq!(bitmap.inverted().pixels(), [0, 0, 1, 1, 0, 1, 0, 1]);
        assert!(!bitmap.is_black(4, 0), "outside is white");
    }

    #[test]
    fn a_picture_of_one_brightness_does_not_stop_anything() {
        for value in [0, 127, 255] {
            let image = LumaImage::filled(30, 30, value);
            assert_eq!(otsu(image.as_luma()).pixels().len(), 900);
            assert!(block_mean(image.as_luma()).pixels().iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn the_block_mean_follows_uneven_light() {
        // Stripes of 4 pixels on a ramp so steep that one threshold cannot part them.
        let pixels = (0..200 * 60)
            .map(|i| {
                let x = i % 200;
                let stripe = if (x / 4) % 2 == 0 { 40 } else { 0 };
                u8::try_from(x + stripe).unwrap_or(255)
            })
            .collect();
        let image = LumaImage::new(200, 60, pixels).unwrap();
        let bitmap = block_mean(image.as_luma());
        let right = (20..180).filter(|&x| bitmap.is_black(x, 30) == ((x / 4) % 2 == 1));
        assert!(right.count() > 150);
    }
}
