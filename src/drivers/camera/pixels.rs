//! Luma out of a camera's raw buffer, and out of picture files.

use std::io::Cursor;

use image::{ImageReader, Limits};

use crate::vision::Luma;
use crate::vision::frame::{FrameError, SIDE_MAX};

/// Memory that decoding one picture may take.
const ALLOC_MAX: u64 = 256 << 20;

/// How a buffer holds its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Two bytes a pixel, luma first (YUYV).
    EverySecondByte,
    /// A plane of luma first (NV12, GREY).
    Plane,
    /// JPEG pictures (MJPEG).
    Jpeg,
}

/// Why bytes are no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Not a picture, or one that is too large.
    #[error("not a picture that can be read: {0}")]
    Unreadable(#[from] image::ImageError),
    /// Not a known format.
    #[error("not a picture: {0}")]
    Format(std::io::Error),
    /// Sides or bytes.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Luma of a raw buffer of `width` x `height`.
///
/// # Errors
/// [`PictureError`].
pub fn luma(
    packing: Packing,
    width: usize,
    height: usize,
    bytes: &[u8],
) -> Result<Luma, PictureError> {
    match packing {
        Packing::EverySecondByte => Ok(Luma::from_strided(
            width,
            height,
            width.saturating_mul(2),
            2,
            bytes,
        )?),
        Packing::Plane => Ok(Luma::from_strided(width, height, width, 1, bytes)?),
        Packing::Jpeg => picture(bytes),
    }
}

/// Luma of a PNG, JPEG, WebP or PGM file.
///
/// # Errors
/// [`PictureError`]; sides and memory are bounded before anything is decoded.
pub fn picture(bytes: &[u8]) -> Result<Luma, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(PictureError::Format)?;
    let side = u32::try_from(SIDE_MAX).unwrap_or(u32::MAX);
    let mut limits = Limits::default();
    limits.max_image_width = Some(side);
    limits.max_image_height = Some(side);
    limits.max_alloc = Some(ALLOC_MAX);
    reader.limits(limits);
    let grey = reader.decode()?.into_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    Ok(Luma::new(width, height, grey.into_raw())?)
}
