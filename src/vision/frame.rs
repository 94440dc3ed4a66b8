//! A grey picture.

/// Smallest side that can hold a code.
const SIDE_MIN: usize = 21;
/// Largest side of a picture that is looked at.
pub const SIDE_MAX: usize = 8_192;

/// `luma: [height x width] u8`, row-major, 0 is black.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luma {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Sides or bytes that make no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too small to hold a code, or too large to be looked at.
    #[error("a picture has sides of {SIDE_MIN} to {SIDE_MAX} pixels, this has {width}x{height}")]
    Sides {
        /// Width.
        width: usize,
        /// Height.
        height: usize,
    },
    /// Fewer bytes than its sides need.
    #[error("a picture of {width}x{height} needs {needed} bytes, there are {given}")]
    Short {
        /// Width.
        width: usize,
        /// Height.
        height: usize,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
}

impl Luma {
    /// A picture of these pixels, without padding between rows.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, FrameError> {
        check(width, height, pixels.len(), width.saturating_mul(height))?;
        let mut pixels = pixels;
        pixels.truncate(width * height);
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// A black picture with sides brought into range.
    #[must_use]
    pub fn black(width: usize, height: usize) -> Self {
        let (width, height) = (
            width.clamp(SIDE_MIN, SIDE_MAX),
            height.clamp(SIDE_MIN, SIDE_MAX),
        );
        Self {
            width,
            height,
            pixels: vec![0; width * height],
        }
    }

    /// Takes every `step`th byte of rows that are `stride` bytes apart: the luma of a camera's raw buffer.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_strided(
        width: usize,
        height: usize,
        stride: usize,
        step: usize,
        bytes: &[u8],
    ) -> Result<Self, FrameError> {
        let step = step.max(1);
        let row_len = width.saturating_mul(step);
        if row_len > stride {
            return Err(FrameError::Short {
                width,
                height,
                needed: row_len,
                given: stride,
            });
        }
        // The last row may end at its last pixel.
        let needed = stride
            .saturating_mul(height.saturating_sub(1))
            .saturating_add(row_len - (step - 1));
        check(width, height, bytes.len(), needed)?;
        let mut pixels = Vec::with_capacity(width * height);
        for row in bytes.chunks(stride).take(height) {
            pixels.extend(row.iter().step_by(step).take(width));
        }
        Self::new(width, height, pixels)
    }

    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row-major.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One pixel; outside the picture it is white.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> u8 {
        if x < self.width {
            self.pixels.get(y * self.width + x).copied().unwrap_or(255)
        } else {
            255
        }
    }

    /// The picture as a camera of `width` x `height` would have taken it: the mean of whole blocks of pixels, so that
    /// it fits. A picture that fits is left as it is.
    #[must_use]
    pub fn fitted(self, width: usize, height: usize) -> Self {
        let factor = self
            .width
            .div_ceil(width.max(1))
            .max(self.height.div_ceil(height.max(1)));
        let (small_width, small_height) = (self.width / factor.max(1), self.height / factor.max(1));
        if factor <= 1 || small_width < SIDE_MIN || small_height < SIDE_MIN {
            return self;
        }
        let area = u32::try_from(factor * factor).unwrap_or(u32::MAX);
        let mut pixels = Vec::with_capacity(small_width * small_height);
        for y in 0..small_height {
            for x in 0..small_width {
                let block = (0..factor * factor)
                    .map(|at| (x * factor + at % factor, y * factor + at / factor));
                let sum: u32 = block.map(|(x, y)| u32::from(self.at(x, y))).sum();
                pixels.push(u8::try_from(sum / area).unwrap_or(255));
            }
        }
        Self {
            width: small_width,
            height: small_height,
            pixels,
        }
    }
}

const fn check(width: usize, height: usize, given: usize, needed: usize) -> Result<(), FrameError> {
    if width < SIDE_MIN || height < SIDE_MIN || width > SIDE_MAX || height > SIDE_MAX {
        return Err(FrameError::Sides { width, height });
    }
    if given < needed {
        return Err(FrameError::Short {
            width,
            height,
            needed,
            given,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_taken_out_of_packed_and_padded_rows() {
        // YUYV, 22 pixels, rows padded to 48 bytes; the last row is not.
        let (width, height, stride) = (22, 21, 48);
        let mut raw = vec![0xEE; stride * (height - 1) + width * 2];
        for y in 0..height {
            for x in 0..width {
                raw[y * stride + x * 2] = u8::try_from(x * 3 + y).unwrap();
            }
        }
        let luma = Luma::from_strided(width, height, stride, 2, &raw).unwrap();
        assert_eq!((luma.at(0, 0), luma.at(21, 20), luma.at(5, 7)), (0, 83, 22));
        assert!(Luma::from_strided(width, height, stride, 2, &raw[..raw.len() - 2]).is_err());
        assert!(Luma::from_strided(width, height, 43, 2, &raw).is_err());
    }

    #[test]
    fn impossible_sides_are_refused() {
        assert!(Luma::new(20, 100, vec![0; 2_000]).is_err());
        assert!(Luma::new(usize::MAX, 100, vec![]).is_err());
        assert!(Luma::new(30, 30, vec![0; 899]).is_err());
    }

    #[test]
    fn a_large_picture_is_made_to_fit() {
        let luma = Luma::new(100, 60, vec![9; 6_000]).unwrap().fitted(50, 50);
        assert_eq!((luma.width(), luma.height(), luma.at(10, 10)), (50, 30, 9));
    }
}
