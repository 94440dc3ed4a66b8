//! A picture that is nothing but a code: drawn by a machine, upright, of few pixels a module, with or without a margin.
//!
//! A camera never sees one; whoever tries a code with `codes read-image` has them. The dark pixels span the code, and the
//! upper left finder pattern begins with seven dark modules: that is all there is to know.

use super::bounded::{Budget, Found};
use super::frame::Luma;
use super::sample::decode_values;
use super::second::decode_modules;

/// Such a picture has no more pixels than this.
const PIXELS_MAX: usize = 512 * 512;

/// Reads it; `None` if it is no such picture. Pixels darker than `level` are dark.
#[must_use]
pub fn read_bare(luma: Luma<'_>, level: u8, budget: &Budget) -> Option<Found> {
    let pixels = luma.width() * luma.height();
    if pixels > PIXELS_MAX || !budget.spend(4 * pixels as u64) {
        return None;
    }
    let (left, top, width) = square(luma, level)?;
    let run = luma.rows().nth(top)?.iter().skip(left);
    let run = run.take_while(|&&pixel| pixel <= level).count();
    // Seven modules, to the half of a pixel: one size or two.
    let side = (17..=177)
        .step_by(4)
        .skip(1)
        .filter(|side| (width * 7).abs_diff(run * side) * 2 <= *side)
        .min_by_key(|side| (width * 7).abs_diff(run * side))?;
    let values: Vec<f32> = (0..side * side)
        .map(|i| {
            let at = |module: usize| (module * 2 + 1) * width / (side * 2);
            let pixel = luma.at(left + at(i % side), top + at(i / side));
            if pixel <= level { -1.0 } else { 1.0 }
        })
        .collect();
    let mut found = Found::default();
    // Whoever draws codes draws old and rare kinds of them, too: the other decoder knows those.
    let read = decode_values(side, &values, &mut found) || decode_modules(side, &values, &mut found);
    found.grids += usize::from(read);
    Some(found)
}

/// Left, top and side of the square that the dark pixels span; `None` if it is none.
fn square(luma: Luma<'_>, level: u8) -> Option<(usize, usize, usize)> {
    let (mut left, mut right) = (usize::MAX, 0);
    let (mut top, mut bottom) = (None, 0);
    for (y, row) in luma.rows().enumerate() {
        let is_dark = |&pixel: &u8| pixel <= level;
        let Some(first) = row.iter().position(is_dark) else {
            continue;
        };
        let last = row.iter().rposition(is_dark)?;
        (left, right) = (left.min(first), right.max(last + 1));
        top.get_or_insert(y);
        bottom = y + 1;
    }
    let (top, width) = (top?, right.checked_sub(left)?);
    let is_square = width.abs_diff(bottom - top) <= 1 && width >= 21;
    is_square.then_some((left, top, width))
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    #[cfg(feature = "lab")]
    #[test]
    fn a_code_of_few_pixels_a_module_is_read_with_a_margin_and_without() {
        use qrcode::{Color, EcLevel, QrCode, Version};
        let code = QrCode::with_version(b"RIDE-42", Version::Normal(3), EcLevel::M).unwrap();
        for (pixels, margin) in [(1, 0), (1, 6), (2, 1), (3, 0)] {
            let wide = code.width() * pixels + 2 * margin;
            let mut image = LumaImage::filled(wide, wide, 250);
            for (i, pixel) in image.pixels_mut().iter_mut().enumerate() {
                let module = |at: usize| (at.checked_sub(margin)? / pixels < code.width()).then(|| (at - margin) / pixels);
                if let (Some(x), Some(y)) = (module(i % wide), module(i / wide)) {
                    *pixel = if code[(x, y)] == Color::Dark { 5 } else { 250 };
                }
            }
            let found = read_bare(image.as_luma(), 128, &Budget::new(1_000_000)).unwrap();
            assert_eq!(found.texts, ["RIDE-42"], "{pixels} pixels, {margin} around");
        }
    }

    #[test]
    fn a_camera_picture_a_bar_and_a_black_picture_are_none() {
        let budget = Budget::new(u64::MAX);
        let large = LumaImage::filled(640, 480, 0);
        assert!(read_bare(large.as_luma(), 128, &budget).is_none());
        let bar = LumaImage::filled(200, 30, 0);
        assert!(read_bare(bar.as_luma(), 128, &budget).is_none());
        let black = LumaImage::filled(100, 100, 0);
        assert!(read_bare(black.as_luma(), 128, &budget).is_none_or(|found| found.texts.is_empty()));
        let white = LumaImage::filled(100, 100, 255);
        assert!(read_bare(white.as_luma(), 128, &budget).is_none());
    }
}
