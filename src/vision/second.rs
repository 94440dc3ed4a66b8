//! A second opinion: `rxing`, a port of zxing-cpp to Rust, on a picture that is black and white already.
//!
//! It follows the edges of finder patterns where our own sampler trusts their centres, and so reads other codes than
//! that one does; and its decoder knows modes that `rqrr` does not. It has no bounds of its own: what it is given is
//! counted first, and each step is contained by itself.

use rxing::common::{BIT_FIELD_BASE_BITS, BitArray, BitMatrix, DetectorRXingResult};
use rxing::qrcode::cpp_port::decoder::Decode;
use rxing::qrcode::cpp_port::detector::{
    FinderPatternSet, FindFinderPatterns, GenerateFinderPatternSets, SampleQR,
};

use super::bounded::{Budget, Found};
use super::contain::contain;
use super::levels::Levels;
use super::locate::{Finder, floor};
use super::plane::Light;

/// Finder patterns it may combine.
const PATTERNS_MAX: usize = 24;
/// Threes of them that are sampled, the most plausible first.
const SETS_MAX: usize = 8;
/// What the search of a picture takes, in steps a pixel, and what sampling one code does.
const STEPS_A_PIXEL: u64 = 4;
const STEPS_A_SET: u64 = 300_000;
/// The part of a picture around some finder patterns.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Area {
    /// All of them, and as much around them as a code may reach beyond.
    fn around(light: Light<'_>, finders: &[Finder]) -> Self {
        let (mut low, mut high) = ((f32::MAX, f32::MAX), (0f32, 0f32));
        for finder in finders {
            let reach = finder.module * 8.0 + 4.0;
            low = (low.0.min(finder.x - reach), low.1.min(finder.y - reach));
            high = (high.0.max(finder.x + reach), high.1.max(finder.y + reach));
        }
        // The fourth corner may lie further out than the three, in a picture taken at a slant.
        let slack = (high.0 - low.0).max(high.1 - low.1) * 0.3;
        let whole = |v: f32| floor(v).and_then(|v| usize::try_from(v).ok()).unwrap_or(0);
        Self {
            left: whole(low.0 - slack),
            top: whole(low.1 - slack),
            right: whole(high.0 + slack).min(light.luma.width()),
            bottom: whole(high.1 + slack).min(light.luma.height()),
        }
    }
}

/// Reads the codes that the finder patterns may belong to.
#[must_use]
pub fn read_edges(light: Light<'_>, levels: &Levels, finders: &[Finder], budget: &Budget) -> Found {
    let area = Area::around(light, finders);
    search(light, levels, area, budget, |bits| {
        let mut patterns = FindFinderPatterns(bits, true, 0);
        if patterns.len() > PATTERNS_MAX {
            return Err(());
        }
        Ok(GenerateFinderPatternSets(&mut patterns))
    })
}

fn search(
    light: Light<'_>,
    levels: &Levels,
    area: Area,
    budget: &Budget,
    sets: impl FnOnce(&BitMatrix) -> Result<Vec<FinderPatternSet>, ()>,
) -> Found {
    let mut found = Found::default();
    let pixels = area.right.saturating_sub(area.left) * area.bottom.saturating_sub(area.top);
    if !budget.spend(pixels as u64 * STEPS_A_PIXEL) {
        found.gave_up = true;
        return found;
    }
    let located = contain(|| {
        let bits = bits_of(light, levels, area)?;
        let sets = sets(&bits);
        Some((bits, sets))
    });
    let (bits, sets) = match located {
        Ok(Some((bits, Ok(sets)))) => (bits, sets),
        Ok(Some((_, Err(())))) => {
            found.gave_up = true;
            return found;
        }
        Ok(None) => return found,
        Err(why) => {
            found.stopped(why);
            return found;
        }
    };
    for set in sets.into_iter().take(SETS_MAX) {
        if !budget.spend(STEPS_A_SET) {
            found.gave_up = true;
            break;
        }
        match contain(|| text_of(SampleQR(&bits, &set).ok()?.getBits())) {
            Ok(Some(text)) => {
                found.grids += 1;
                found.texts.push(text);
                break;
            }
            Ok(None) => {}
            Err(why) => found.stopped(why),
        }
    }
    found
}

/// Decodes modules that were sampled already: less than 0 is dark. True if they gave a text.
pub fn decode_modules(side: usize, values: &[f32], found: &mut Found) -> bool {
    let read = contain(|| {
        let mut bits = BitMatrix::with_single_dimension(u32::try_from(side).ok()?).ok()?;
        for (row, y) in values.chunks(side.max(1)).zip(0..) {
            for (_, x) in row.iter().zip(0..).filter(|(value, _)| **value < 0.0) {
                bits.set(x, y);
            }
        }
        text_of(&bits)
    });
    match read {
        Ok(Some(text)) => {
            found.texts.push(text);
            true
        }
        Ok(None) => false,
        Err(why) => {
            found.stopped(why);
            false
        }
    }
}

fn text_of(grid: &BitMatrix) -> Option<String> {
    let decoded = Decode(grid).ok()?;
    decoded.isValid().then(|| decoded.text())
}

/// Black and white, a bit a pixel.
fn bits_of(light: Light<'_>, levels: &Levels, area: Area) -> Option<BitMatrix> {
    let width = area.right.checked_sub(area.left)?;
    let columns = u32::try_from(width).ok()?;
    let rows = u32::try_from(area.bottom.checked_sub(area.top)?).ok()?;
    let mut bits = BitMatrix::new(columns, rows).ok()?;
    let mut line = BitArray::with_size(width);
    let seen = light.luma.rows().enumerate().skip(area.top);
    for ((y, row), number) in seen.zip(0..rows) {
        let mut dark = levels
            .dark(row, y)
            .skip(area.left)
            .take(width)
            .map(|dark| dark != light.inverted);
        for from in (0..width).step_by(BIT_FIELD_BASE_BITS) {
            let word = dark
                .by_ref()
                .take(BIT_FIELD_BASE_BITS)
                .zip(0..)
                .fold(0, |word, (dark, place)| word | usize::from(dark) << place);
            line.setBulk(from, word);
        }
        bits.setRow(number, &line);
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    #[test]
    fn a_spent_budget_ends_it() {
        let image = LumaImage::filled(640, 480, 255);
        let luma = image.as_luma();
        let light = Light {
            luma,
            inverted: false,
        };
        let levels = Levels::local(luma);
        let finder = Finder {
            x: 320.0,
            y: 240.0,
            module: 4.0,
            lines: 4,
        };
        let found = read_edges(light, &levels, &[finder; 3], &Budget::new(9));
        assert!(found.gave_up && found.texts.is_empty());
    }

    #[test]
    fn bits_are_those_of_the_area() {
        let image = LumaImage::new(100, 3, (0..3 * 100).map(|i| if i % 100 == 70 { 0 } else { 255 }).collect());
        let image = image.unwrap();
        let luma = image.as_luma();
        let light = Light {
            luma,
            inverted: false,
        };
        let area = Area {
            left: 2,
            top: 1,
            right: 90,
            bottom: 3,
        };
        let levels = Levels::local(luma).with_one_level(128);
        let bits = bits_of(light, &levels, area).unwrap();
        assert_eq!((bits.width(), bits.height()), (88, 2));
        let dark = (0..88).filter(|x| bits.get(*x, 1)).collect::<Vec<_>>();
        assert_eq!(dark, [68]);
    }
}
