//! Codes as pictures.

use image::{GrayImage, Luma};
use qrcode::{Color, EcLevel, QrCode};

use super::{MintError, failed};

/// Pixels of a module.
const MODULE: u32 = 6;
/// Modules of white around the code (ISO/IEC 18004).
const QUIET: u32 = 4;

/// What a QR code holds for a text: the bytes that a reader gives this text for.
#[must_use]
pub fn bytes_of(text: &str) -> Vec<u8> {
    // ISO 8859-1 is what readers take bytes for that are no UTF-8.
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    latin
        .filter(|bytes| std::str::from_utf8(bytes).is_err())
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The QR code of a text, black on white.
///
/// # Errors
/// [`MintError`] for a text that fits no QR code.
pub fn qr(text: &str) -> Result<GrayImage, MintError> {
    let code = QrCode::with_error_correction_level(bytes_of(text), EcLevel::L)
        .map_err(failed("a QR code"))?;
    let width = code.width();
    let modules = code.to_colors();
    let side = u32::try_from(width).map_err(failed("a QR code"))? + 2 * QUIET;
    Ok(GrayImage::from_fn(side * MODULE, side * MODULE, |x, y| {
        let place = |at: u32| (at / MODULE).checked_sub(QUIET).map(|at| at as usize);
        let dark = place(x)
            .zip(place(y))
            .filter(|(x, y)| *x < width && *y < width)
            .and_then(|(x, y)| modules.get(y * width + x))
            .is_some_and(|module| *module == Color::Dark);
        Luma([if dark { 0 } else { 255 }])
    }))
}
