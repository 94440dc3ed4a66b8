//! Grey to black and white.

use super::frame::Luma;

/// The threshold that parts the histogram best (Otsu, 1979: largest variance between the classes): what is not above
/// it is black.
#[must_use]
pub fn otsu(luma: &Luma) -> u8 {
    let mut histogram = [0_u32; 256];
    for pixel in luma.pixels() {
        if let Some(count) = histogram.get_mut(usize::from(*pixel)) {
            *count += 1;
        }
    }
    let total: f64 = histogram.iter().map(|count| f64::from(*count)).sum();
    let sum: f64 = histogram
        .iter()
        .zip(0_u32..)
        .map(|(count, level)| f64::from(*count) * f64::from(level))
        .sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut best, mut threshold) = (-1.0, 127);
    for (count, level) in histogram.iter().zip(0_u8..=255) {
        below += f64::from(*count);
        sum_below += f64::from(*count) * f64::from(level);
        let above = total - below;
        if below <= 0.0 || above <= 0.0 {
            continue;
        }
        let difference = sum_below / below - (sum - sum_below) / above;
        let variance = below * above * difference * difference;
        if variance > best {
            (best, threshold) = (variance, level);
        }
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_parts_two_greys() {
        let pixels = (0..900)
            .map(|at| if at % 3 == 0 { 60 } else { 180 })
            .collect();
        let threshold = otsu(&Luma::new(30, 30, pixels).unwrap());
        assert!((60..180).contains(&threshold), "{threshold}");
    }

    #[test]
    fn a_blank_wall_has_a_threshold_too() {
        assert_eq!(otsu(&Luma::new(30, 30, vec![200; 900]).unwrap()), 127);
    }
}
