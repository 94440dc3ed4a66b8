//! Picture files to luma, bounded: PNG, JPEG, WebP, PGM.

use std::fs::File;
use std::io::{self, Cursor, Read as _};
use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use crate::vision::contain::contain;
use crate::vision::frame::SIDE_MAX;
use crate::vision::{FrameError, LumaImage};

/// Largest file.
pub const FILE_SIZE_MAX: u64 = 64 << 20;
/// Memory a decoder may take.
const DECODED_SIZE_MAX: u64 = 256 << 20;

/// Why a file is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a file")]
    NotAFile,
    /// Beyond [`FILE_SIZE_MAX`].
    #[error("is larger than {} MiB", FILE_SIZE_MAX >> 20)]
    TooLarge,
    /// None of the formats, damaged, or not complete.
    #[error("is not a PNG, JPEG, WebP or PGM picture that can be decoded")]
    Decode(#[source] Option<image::ImageError>),
    /// More pixels than we look at.
    #[error(transparent)]
    Size(#[from] FrameError),
}

/// Reads a picture file.
///
/// # Errors
/// [`PictureError`] says why not.
pub fn load(path: &Path) -> Result<LumaImage, PictureError> {
    // Asked before it is opened: opening a pipe would wait for its writer.
    let facts = std::fs::metadata(path).map_err(PictureError::Read)?;
    if !facts.is_file() {
        return Err(PictureError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes))
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        return Err(PictureError::TooLarge);
    }
    decode(&bytes, None)
}

/// Decodes a picture; `format` if it is known, else what the bytes say.
///
/// # Errors
/// [`PictureError`] says why not.
pub fn decode(bytes: &[u8], format: Option<ImageFormat>) -> Result<LumaImage, PictureError> {
    let decoded = contain(|| decode_within_limits(bytes, format));
    let image = decoded
        .map_err(|_| PictureError::Decode(None))?
        .map_err(|error| PictureError::Decode(Some(error)))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(LumaImage::new(width, height, to_luma(image))?)
}

fn decode_within_limits(
    bytes: &[u8],
    format: Option<ImageFormat>,
) -> Result<DynamicImage, image::ImageError> {
    let mut reader = match format {
        Some(format) => ImageReader::with_format(Cursor::new(bytes), format),
        None => ImageReader::new(Cursor::new(bytes)).with_guessed_format()?,
    };
    let side_max = u32::try_from(SIDE_MAX).ok();
    let mut limits = Limits::default();
    limits.max_image_width = side_max;
    limits.max_image_height = side_max;
    limits.max_alloc = Some(DECODED_SIZE_MAX);
    reader.limits(limits);
    reader.decode()
}

/// A see-through picture is laid on white, as every viewer does.
fn to_luma(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_luma8().into_raw();
    }
    image
        .into_luma_alpha8()
        .pixels()
        .map(|pixel| {
            let [luma, alpha] = pixel.0.map(u32::from);
            u8::try_from((luma * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_map_is_read_and_half_of_one_is_not() {
        let bytes = b"P5 2 2 255\n\x00\x40\x80\xff";
        assert_eq!(decode(bytes, None).unwrap().pixels(), [0, 64, 128, 255]);
        assert!(matches!(
            decode(&bytes[..13], None),
            Err(PictureError::Decode(_))
        ));
        assert!(decode(b"", None).is_err());
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused_before_it_takes_memory() {
        assert!(decode(b"P5 60000 60000 255\n\x00", None).is_err());
        assert!(decode(b"P5 8000 8000 255\n\x00", None).is_err());
    }

    #[test]
    fn what_is_see_through_is_white() {
        let clear = image::RgbaImage::from_raw(2, 1, vec![0, 0, 0, 0, 0, 0, 0, 255]).unwrap();
        assert_eq!(to_luma(DynamicImage::ImageRgba8(clear)), [255, 0]);
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(PictureError::NotAFile)));
        assert!(matches!(
            load(&folder.path().join("gone.png")),
            Err(PictureError::Read(_))
        ));
    }
}
