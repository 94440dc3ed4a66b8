//! The modules of a code that are the same whatever it says (ISO/IEC 18004, 6.3): finder patterns with their
//! separators, timing patterns, alignment patterns. They tell where a code lies and what the lens made of it.

/// A module whose colour is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Column, from 0.
    pub x: usize,
    /// Row, from 0.
    pub y: usize,
    /// True if it is dark.
    pub dark: bool,
}

/// The known modules of a code of `side` modules.
#[must_use]
pub fn known(side: usize) -> Vec<Known> {
    let mut all = Vec::new();
    let far = side.saturating_sub(7);
    for (left, top) in [(0, 0), (far, 0), (0, far)] {
        for y in top.saturating_sub(1)..(top + 8).min(side) {
            for x in left.saturating_sub(1)..(left + 8).min(side) {
                let ring = ring(x, y, left + 3, top + 3);
                let dark = ring != 2 && ring != 4;
                all.push(Known { x, y, dark });
            }
        }
    }
    for i in 8..side.saturating_sub(8) {
        let dark = i % 2 == 0;
        all.push(Known { x: i, y: 6, dark });
        all.push(Known { x: 6, y: i, dark });
    }
    for (x, y) in alignment_centres(side) {
        for (dy, dx) in (0..5).flat_map(|dy| (0..5).map(move |dx| (dy, dx))) {
            let (x, y) = (x + dx - 2, y + dy - 2);
            let dark = dx.abs_diff(2).max(dy.abs_diff(2)) != 1;
            all.push(Known { x, y, dark });
        }
    }
    all
}

const fn ring(x: usize, y: usize, middle_x: usize, middle_y: usize) -> usize {
    let (dx, dy) = (x.abs_diff(middle_x), y.abs_diff(middle_y));
    if dx > dy { dx } else { dy }
}

/// Middle modules of the alignment patterns, but those on the timing patterns, whose modules are listed already.
#[must_use]
pub fn alignment_centres(side: usize) -> Vec<(usize, usize)> {
    let lines = alignment_lines(side);
    let last = side.saturating_sub(7);
    let mut centres = Vec::new();
    for &y in &lines {
        for &x in &lines {
            if x != 6 && y != 6 && x <= last && y <= last {
                centres.push((x, y));
            }
        }
    }
    centres
}

/// Annex E: the first line is 6, the others go up to `side - 7` in equal even steps.
fn alignment_lines(side: usize) -> Vec<usize> {
    let version = side.saturating_sub(17) / 4;
    if version < 2 {
        return Vec::new();
    }
    let count = version / 7 + 2;
    let step = if version == 32 {
        26
    } else {
        (version * 4 + count * 2 + 1) / (count * 2 - 2) * 2
    };
    let mut lines: Vec<usize> = (0..count - 1)
        .map(|i| (side - 7).saturating_sub(i * step))
        .collect();
    lines.push(6);
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_lines_are_those_of_the_standard() {
        assert_eq!(alignment_lines(21), [] as [usize; 0]);
        assert_eq!(alignment_lines(25), [6, 18]);
        assert_eq!(alignment_lines(45), [6, 22, 38]);
        assert_eq!(
            alignment_lines(145),
            [6, 34, 60, 86, 112, 138],
            "version 32 is its own"
        );
        assert_eq!(alignment_lines(177), [6, 30, 58, 86, 114, 142, 170]);
    }

    #[cfg(feature = "lab")]
    #[test]
    fn known_modules_are_so_in_codes_made_by_others() {
        use qrcode::{Color, EcLevel, QrCode, Version};
        for version in [1, 2, 7, 15, 32, 40] {
            let code = QrCode::with_version(b"RIDE", Version::Normal(version), EcLevel::L).unwrap();
            let known = known(code.width());
            assert!(known.len() > 190);
            for module in known {
                let dark = code[(module.x, module.y)] == Color::Dark;
                assert_eq!(dark, module.dark, "version {version}: {module:?}");
            }
        }
    }
}
