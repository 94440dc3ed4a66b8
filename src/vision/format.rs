//! The format information of a code (ISO/IEC 18004, 7.9): fifteen bits, written twice beside the finder patterns. Whether
//! they make sense tells a code from its mirror image before anything is decoded.

/// BCH (15, 5): generator and mask of 7.9.1 and Annex C.
const GENERATOR: u32 = 0x537;
const MASK: u32 = 0x5412;
/// Where the fifteen bits stand around the top left pattern, the highest first: column, row.
const AROUND: [(usize, usize); 15] = [
    (0, 8),
    (1, 8),
    (2, 8),
    (3, 8),
    (4, 8),
    (5, 8),
    (7, 8),
    (8, 8),
    (8, 7),
    (8, 5),
    (8, 4),
    (8, 3),
    (8, 2),
    (8, 1),
    (8, 0),
];

/// Bits, of thirty, that differ from the nearest format there is.
#[must_use]
pub fn format_errors(side: usize, dark: impl Fn(usize, usize) -> bool) -> u32 {
    let word = |bits: &mut dyn Iterator<Item = (usize, usize)>| {
        bits.fold(0u32, |word, (x, y)| word << 1 | u32::from(dark(x, y)))
    };
    let first = word(&mut AROUND.into_iter());
    // The second copy: seven modules up from the bottom left corner, then eight to the right edge.
    let down = (0..7).map(|i| (8, side.saturating_sub(1 + i)));
    let across = (0..8).map(|i| (side.saturating_sub(8 - i), 8));
    let second = word(&mut down.chain(across));
    let errors = |code: u32| ((first ^ code).count_ones()) + (second ^ code).count_ones();
    (0..32).map(|data| errors(code(data))).min().unwrap_or(30)
}

/// The word that stands for five bits of data.
fn code(data: u32) -> u32 {
    let mut rest = data << 10;
    for bit in (10..15).rev() {
        if rest & (1 << bit) != 0 {
            rest ^= GENERATOR << (bit - 10);
        }
    }
    (data << 10 | rest) ^ MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO/IEC 18004, Annex C, table C.1: data 00101 is 0x77C4's neighbour in the list of masked words.
    #[test]
    fn the_words_are_those_of_the_standard() {
        assert_eq!(code(0b00000), 0x5412);
        assert_eq!(code(0b00101), 0x40CE);
        assert_eq!(code(0b01000), 0x77C4);
        assert_eq!(code(0b11111), 0x2BED);
    }

    #[cfg(feature = "lab")]
    #[test]
    fn a_code_and_its_mirror_image_are_told_apart() {
        use qrcode::{Color, EcLevel, QrCode, Version};
        for version in [1, 4, 9] {
            let code = QrCode::with_version(b"RIDE", Version::Normal(version), EcLevel::M).unwrap();
            let dark = |x: usize, y: usize| code[(x, y)] == Color::Dark;
            assert_eq!(format_errors(code.width(), dark), 0);
            assert!(format_errors(code.width(), |x, y| dark(y, x)) > 3);
        }
    }
}
