//! A picture as the pipeline takes it: luma: [height x width] u8, row-major.

/// Longest side of a picture that is looked at, pixels.
pub const SIDE_MAX: usize = 8_192;
/// Most pixels of a picture that is looked at.
pub const PIXELS_MAX: usize = 40_000_000;

/// Why bytes are not a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A side is zero or beyond [`SIDE_MAX`], or there are more than [`PIXELS_MAX`] pixels.
    #[error("a picture of {width} x {height} pixels is outside 1 x 1 to {SIDE_MAX} pixels a side")]
    Size {
        /// As given.
        width: usize,
        /// As given.
        height: usize,
    },
    /// Fewer bytes than rows and stride need.
    #[error("{got} bytes where {want} are needed")]
    Short {
        /// Bytes at hand.
        got: usize,
        /// Bytes needed.
        want: usize,
    },
    /// The distance of two rows is shorter than a row.
    #[error("rows of {width} pixels do not fit a stride of {stride}")]
    Stride {
        /// As given.
        width: usize,
        /// As given.
        stride: usize,
    },
}

const fn check_size(width: usize, height: usize) -> Result<(), FrameError> {
    let sides = width >= 1 && height >= 1 && width <= SIDE_MAX && height <= SIDE_MAX;
    if sides && width.saturating_mul(height) <= PIXELS_MAX {
        Ok(())
    } else {
        Err(FrameError::Size { width, height })
    }
}

/// A borrowed picture. luma: [height x width] u8, row-major, rows `stride` bytes apart.
#[derive(Clone, Copy)]
pub struct Luma<'a> {
    width: usize,
    height: usize,
    stride: usize,
    data: &'a [u8],
}

impl<'a> Luma<'a> {
    /// A picture whose rows follow one another.
    ///
    /// # Errors
    /// [`FrameError`] if the size is not one we look at, or `data` is too short for it.
    pub fn new(width: usize, height: usize, data: &'a [u8]) -> Result<Self, FrameError> {
        Self::with_stride(width, height, width, data)
    }

    /// A picture whose rows are `stride` bytes apart.
    ///
    /// # Errors
    /// As [`Self::new`], and if `stride` is shorter than a row.
    pub fn with_stride(
        width: usize,
        height: usize,
        stride: usize,
        data: &'a [u8],
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        if stride < width {
            return Err(FrameError::Stride { width, stride });
        }
        let want = stride.saturating_mul(height - 1).saturating_add(width);
        if data.len() < want {
            return Err(FrameError::Short {
                got: data.len(),
                want,
            });
        }
        Ok(Self {
            width,
            height,
            stride,
            data,
        })
    }

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
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let width = self.width;
        self.data
            .chunks(self.stride)
            .take(self.height)
            .filter_map(move |row| row.get(..width))
    }

    /// The pixel at column `x` of row `y`; mid grey outside.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> u8 {
        if x >= self.width {
            return 128;
        }
        self.data.get(y * self.stride + x).copied().unwrap_or(128)
    }

    /// The four pixels whose top left one is at column `x` of row `y`. `None` if one of them lies outside.
    #[inline]
    #[must_use]
    pub fn four(&self, x: usize, y: usize) -> Option<[u8; 4]> {
        if x + 1 >= self.width {
            return None;
        }
        let from = y * self.stride + x;
        let above = self.data.get(from..from + 2)?;
        let below = self.data.get(from + self.stride..from + self.stride + 2)?;
        match (above, below) {
            (&[a, b], &[c, d]) => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// The part of it from column `left` and row `top` on; what lies outside is left off. `None` if nothing is left.
    #[must_use]
    pub fn part(&self, left: usize, top: usize, width: usize, height: usize) -> Option<Self> {
        let width = width.min(self.width.checked_sub(left)?);
        let height = height.min(self.height.checked_sub(top)?);
        if width == 0 || height == 0 {
            return None;
        }
        let data = self.data.get(top * self.stride + left..)?;
        Some(Self {
            width,
            height,
            stride: self.stride,
            data,
        })
    }

    /// A copy of its own, rows without gaps.
    #[must_use]
    pub fn to_image(&self) -> LumaImage {
        LumaImage {
            width: self.width,
            height: self.height,
            data: self.rows().flatten().copied().collect(),
        }
    }

    /// The picture scaled down, by the mean of what each new pixel covers, to fit into `width` x `height`.
    /// `None` if it fits as it is.
    #[must_use]
    pub fn shrunk_to_fit(&self, width: usize, height: usize) -> Option<LumaImage> {
        if self.width <= width && self.height <= height {
            return None;
        }
        // The tighter side decides: new = side * width / self.width or side * height / self.height.
        let (numerator, denominator) = if self.width * height >= self.height * width {
            (width, self.width)
        } else {
            (height, self.height)
        };
        let new_width = (self.width * numerator / denominator).max(1);
        let new_height = (self.height * numerator / denominator).max(1);
        Some(self.shrunk(new_width, new_height))
    }

    /// The picture at half its size, by the mean of four pixels. A last odd row or column is left out.
    /// `None` if nothing would be left.
    #[must_use]
    pub fn halved(&self) -> Option<LumaImage> {
        let (width, height) = (self.width / 2, self.height / 2);
        if width == 0 || height == 0 {
            return None;
        }
        let mut data = Vec::with_capacity(width * height);
        let mut rows = self.rows();
        while let (Some(above), Some(below)) = (rows.next(), rows.next()) {
            // Pairs of known length and plain sums: the compiler makes wide instructions of it.
            let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
            data.extend(pairs.map(|(&[a, b], &[c, d])| {
                let sum = u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d);
                #[expect(clippy::cast_possible_truncation, reason = "a mean of bytes is a byte")]
                let mean = ((sum + 2) >> 2) as u8;
                mean
            }));
        }
        Some(LumaImage {
            width,
            height,
            data,
        })
    }

    /// The picture at one and a half times its size, by cubic curves through its pixels (Catmull-Rom): edges stay as
    /// steep as they were. `None` if it would be larger than we look at.
    #[must_use]
    pub fn enlarged(&self) -> Option<LumaImage> {
        let (width, height) = (self.width * 3 / 2, self.height * 3 / 2);
        check_size(width, height).ok()?;
        // Each row is stretched once, and four of them are mixed for a row of the result.
        let stretched: Vec<Vec<i32>> = self.rows().map(|row| stretch(row, width)).collect();
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            let (first, weights) = tap(y);
            let row = |i: usize| {
                let at = (first + i).saturating_sub(2).min(self.height - 1);
                stretched.get(at).map_or(&[][..], Vec::as_slice)
            };
            let ([a, b], [c, d]) = ([row(0), row(1)], [row(2), row(3)]);
            let [p, q, r, s] = weights;
            let lines = a.iter().zip(b).zip(c.iter().zip(d));
            data.extend(lines.map(|((a, b), (c, d))| {
                let sum = (a * p + b * q + c * r + d * s) >> 16;
                u8::try_from(sum.clamp(0, 255)).unwrap_or(u8::MAX)
            }));
        }
        Some(LumaImage {
            width,
            height,
            data,
        })
    }

    fn shrunk(&self, width: usize, height: usize) -> LumaImage {
        let across = Cover::all(self.width, width);
        let down = Cover::all(self.height, height);
        let rows: Vec<&[u8]> = self.rows().collect();
        let mut data = Vec::with_capacity(width * height);
        let mut columns = vec![0u64; self.width];
        for line in &down {
            columns.fill(0);
            for (row, weight) in line.pick(&rows) {
                for (sum, &pixel) in columns.iter_mut().zip(*row) {
                    *sum += u64::from(pixel) * weight;
                }
            }
            for cell in &across {
                let sum: u64 = cell.pick(&columns).map(|(sum, weight)| sum * weight).sum();
                let mean = sum / (self.width as u64 * self.height as u64);
                data.push(u8::try_from(mean).unwrap_or(u8::MAX));
            }
        }
        LumaImage {
            width,
            height,
            data,
        }
    }
}

/// The first of the four old pixels, plus two, that the new one number `i` is mixed from, and their weights of 256. Three
/// new pixels stand on two old ones, at a sixth before the first, between both, and a sixth after the second.
const fn tap(i: usize) -> (usize, [i32; 4]) {
    let pair = i / 3 * 2;
    match i % 3 {
        0 => (pair, [-3, 34, 240, -15]),
        1 => (pair + 1, [-16, 144, 144, -16]),
        _ => (pair + 2, [-15, 240, 34, -3]),
    }
}

/// A row at one and a half times its length, times 256.
fn stretch(row: &[u8], width: usize) -> Vec<i32> {
    let last = row.len().saturating_sub(1);
    let pixel = |at: usize| {
        let at = at.saturating_sub(2).min(last);
        row.get(at).copied().map_or(0, i32::from)
    };
    (0..width)
        .map(|x| {
            let (first, [p, q, r, s]) = tap(x);
            pixel(first) * p + pixel(first + 1) * q + pixel(first + 2) * r + pixel(first + 3) * s
        })
        .collect()
}

/// Which old pixels a new one covers, and how much of each, in parts of 1/new.
struct Cover {
    first: usize,
    weights: Vec<u64>,
}

impl Cover {
    fn all(old: usize, new: usize) -> Vec<Self> {
        (0..new)
            .map(|i| {
                let (from, to) = (i * old, (i + 1) * old);
                let first = from / new;
                let weights = (first..to.div_ceil(new))
                    .map(|k| (to.min((k + 1) * new) - from.max(k * new)) as u64)
                    .collect();
                Self { first, weights }
            })
            .collect()
    }

    fn pick<'t, T>(&'t self, line: &'t [T]) -> impl Iterator<Item = (&'t T, u64)> {
        line.iter()
            .skip(self.first)
            .zip(self.weights.iter().copied())
    }
}

/// A picture of its own. luma: [height x width] u8, row-major.
#[derive(Clone, PartialEq, Eq)]
pub struct LumaImage {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl LumaImage {
    /// Takes the pixels.
    ///
    /// # Errors
    /// [`FrameError`] if the size is not one we look at, or the bytes are fewer than it needs.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Result<Self, FrameError> {
        Luma::new(width, height, &data)?;
        Ok(Self {
            width,
            height,
            data,
        })
    }

    /// A picture of one brightness. Sides are clamped to what we look at.
    #[must_use]
    pub fn filled(width: usize, height: usize, value: u8) -> Self {
        let (width, height) = (width.clamp(1, SIDE_MAX), height.clamp(1, SIDE_MAX));
        Self {
            width,
            height,
            data: vec![value; width * height],
        }
    }

    /// The same picture, borrowed.
    #[must_use]
    pub fn as_luma(&self) -> Luma<'_> {
        Luma {
            width: self.width,
            height: self.height,
            stride: self.width,
            data: &self.data,
        }
    }

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
        &self.data
    }

    /// All pixels, to be changed.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The pixels, without a copy.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_picture_are_refused() {
        assert!(matches!(Luma::new(0, 4, &[]), Err(FrameError::Size { .. })));
        assert!(matches!(
            Luma::new(SIDE_MAX + 1, 1, &[0; SIDE_MAX + 1]),
            Err(FrameError::Size { .. })
        ));
        assert_eq!(
            Luma::new(4, 2, &[0; 7]).err(),
            Some(FrameError::Short { got: 7, want: 8 })
        );
        assert!(matches!(
            Luma::with_stride(4, 2, 3, &[0; 8]),
            Err(FrameError::Stride { .. })
        ));
    }

    #[test]
    fn the_gap_between_rows_is_not_part_of_the_picture() {
        let luma = Luma::with_stride(2, 2, 3, &[1, 2, 99, 3, 4]).unwrap();
        assert_eq!(luma.to_image().pixels(), [1, 2, 3, 4]);
        assert_eq!(luma.at(1, 1), 4);
        assert_eq!(luma.at(2, 0), 128, "outside");
        assert_eq!(luma.four(0, 0), Some([1, 2, 3, 4]));
        assert_eq!(luma.four(1, 0), None);
        assert_eq!(luma.four(0, 1), None);
    }

    #[test]
    fn a_part_is_what_lies_inside() {
        let image = LumaImage::new(4, 3, (0..12).collect()).unwrap();
        let part = image.as_luma().part(2, 1, 9, 1).unwrap();
        assert_eq!((part.width(), part.height()), (2, 1));
        assert_eq!(part.to_image().pixels(), [6, 7]);
        let corner = image.as_luma().part(3, 2, 5, 5).unwrap();
        assert_eq!(corner.to_image().pixels(), [11]);
        assert!(image.as_luma().part(4, 0, 1, 1).is_none());
        assert!(image.as_luma().part(0, 0, 0, 1).is_none());
    }

    #[test]
    fn a_large_picture_is_scaled_down_by_its_means() {
        let image = LumaImage::new(4, 2, vec![0, 100, 200, 200, 100, 0, 200, 100]).unwrap();
        let small = image.as_luma().shrunk_to_fit(2, 2).unwrap();
        assert_eq!((small.width(), small.height()), (2, 1));
        assert_eq!(small.pixels(), [50, 175]);
        assert!(image.as_luma().shrunk_to_fit(4, 2).is_none());

        let half = image.as_luma().halved().unwrap();
        assert_eq!((half.width(), half.height()), (2, 1));
        assert_eq!(half.pixels(), [50, 175]);
        assert!(LumaImage::filled(1, 9, 0).as_luma().halved().is_none());

        let large = image.as_luma().enlarged().unwrap();
        assert_eq!((large.width(), large.height()), (6, 3));
        let flat = LumaImage::filled(10, 7, 93).as_luma().enlarged().unwrap();
        assert!(flat.pixels().iter().all(|&p| p == 93));
        let ramp = LumaImage::new(20, 1, (0..20).map(|x| x * 12).collect()).unwrap();
        let ramp = ramp.as_luma().enlarged().unwrap();
        // The new pixel number 13 lies at 9 of the old ones.
        assert!(ramp.pixels()[12].abs_diff(94) < 3 && ramp.pixels()[14].abs_diff(110) < 3);

        let grey = LumaImage::filled(1000, 777, 93);
        let small = grey.as_luma().shrunk_to_fit(640, 480).unwrap();
        assert_eq!((small.width(), small.height()), (617, 480));
        assert!(small.pixels().iter().all(|&p| p == 93));
    }
}
