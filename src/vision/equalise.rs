//! Takes back what the lens, the motion and the glass did to the modules.
//!
//! Each module seen is a mix of itself and its neighbours. The known modules of the code tell the mix: 25 weights are
//! fitted to them (least squares, held near "the module itself"), and applied to all. A second and a third fit use the
//! modules as just decided, which are many more, and mostly right.

use super::known::Known;

/// Neighbours on each side that are mixed in.
const REACH: usize = 2;
const TAPS: usize = (2 * REACH + 1) * (2 * REACH + 1);
const UNKNOWNS: usize = TAPS + 1;
/// Modules a fit uses.
const SAMPLES_MAX: usize = 1_500;
/// How strongly the weights are held to the first guess, in samples.
const HOLD: f32 = 6.0;

/// Brightness of modules with a margin of [`REACH`] around them.
pub struct Modules {
    side: usize,
    wide: usize,
    /// [side + 4 x side + 4] f32, row-major; the mean around each module is 0, and their spread 1.
    values: Vec<f32>,
}

impl Modules {
    /// Modules a side, without the margin.
    #[must_use]
    pub const fn side(&self) -> usize {
        self.side
    }

    /// Rows and columns of margin on each side.
    #[must_use]
    pub const fn margin() -> usize {
        REACH
    }

    /// Levels brightness: each module against the mean around it, so that uneven light does not decide.
    /// values: [side + 4 x side + 4] f32, row-major.
    #[must_use]
    pub fn levelled(side: usize, values: &[f32]) -> Self {
        let wide = side + 2 * REACH;
        let means = means_around(values, wide);
        let mut own: Vec<f32> = values.iter().zip(means).map(|(v, m)| v - m).collect();
        let spread = own.iter().map(|v| v.abs()).sum::<f32>() / (own.len() as f32).max(1.0);
        own.iter_mut()
            .for_each(|v| *v = (*v / spread.max(0.5)).clamp(-3.0, 3.0));
        Self {
            side,
            wide,
            values: own,
        }
    }

    /// The modules as they are, sharpened: `by` of the difference to the four neighbours is added.
    /// Less than 0 is dark. [side x side] f32, row-major.
    #[must_use]
    pub fn sharpened(&self, by: f32) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.side * self.side);
        for (above, (row, below)) in self.lines(1).zip(self.lines(2).zip(self.lines(3))) {
            let middle = row.get(1..).unwrap_or_default().windows(3);
            let up = above.iter().skip(REACH);
            let down = below.iter().skip(REACH);
            for ((three, up), down) in middle.zip(up).zip(down).take(self.side) {
                if let &[left, own, right] = three {
                    out.push(own + by * (own - (left + right + up + down) / 4.0));
                }
            }
        }
        out
    }

    fn lines(&self, from: usize) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.wide).skip(from).take(self.side)
    }

    /// A module and its neighbours, and 1 for the part that is the same for all.
    fn around(&self, x: usize, y: usize) -> [f32; UNKNOWNS] {
        let mut taps = [1f32; UNKNOWNS];
        let rows = self.values.chunks(self.wide).skip(y).take(2 * REACH + 1);
        for (five, row) in taps.chunks_mut(2 * REACH + 1).zip(rows) {
            if let Some(from) = row.get(x..x + 2 * REACH + 1) {
                five.copy_from_slice(from);
            }
        }
        taps
    }

    /// The modules with the mix taken back, fitted to what is known of them. [side x side] f32, row-major.
    #[must_use]
    pub fn unmixed(&self, known: &[Known]) -> Option<Vec<f32>> {
        let weights = self.fit(
            known
                .iter()
                .map(|k| (k.x, k.y, if k.dark { -1.0 } else { 1.0 })),
        )?;
        Some(self.mixed(&weights))
    }

    /// The same, fitted to modules as decided before: less than 0 is dark; the known ones are right.
    #[must_use]
    pub fn unmixed_again(&self, decided: &[f32], known: &[Known]) -> Option<Vec<f32>> {
        let side = self.side;
        let step = (decided.len() / SAMPLES_MAX).max(1);
        // A step that shares no factor with the side, so that all columns are seen.
        let step = if side.is_multiple_of(step.max(2)) {
            step + 1
        } else {
            step
        };
        let guessed = decided.iter().enumerate().step_by(step);
        let guessed = guessed.map(|(i, v)| (i % side, i / side, v.signum()));
        let sure = known
            .iter()
            .map(|k| (k.x, k.y, if k.dark { -1.0 } else { 1.0 }));
        let weights = self.fit(guessed.chain(sure))?;
        Some(self.mixed(&weights))
    }

    fn mixed(&self, weights: &[f32; UNKNOWNS]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.side * self.side);
        for y in 0..self.side {
            for x in 0..self.side {
                let taps = self.around(x, y);
                out.push(taps.iter().zip(weights).map(|(t, w)| t * w).sum());
            }
        }
        out
    }

    fn fit(&self, wanted: impl Iterator<Item = (usize, usize, f32)>) -> Option<[f32; UNKNOWNS]> {
        let mut square = [[0f32; UNKNOWNS]; UNKNOWNS];
        let mut right = [0f32; UNKNOWNS];
        for (x, y, want) in wanted {
            let taps = self.around(x, y);
            for ((row, &tap), sum) in square.iter_mut().zip(&taps).zip(&mut right) {
                row.iter_mut()
                    .zip(&taps)
                    .for_each(|(cell, other)| *cell += tap * other);
                *sum += tap * want;
            }
        }
        for (i, (row, sum)) in square.iter_mut().zip(&mut right).enumerate() {
            if let Some(cell) = row.get_mut(i) {
                *cell += HOLD;
            }
            // The first guess: a module is itself.
            *sum += if i == TAPS / 2 { HOLD } else { 0.0 };
        }
        solve(square, right)
    }
}

/// Gauss without pivots: the matrix is symmetric and positive.
fn solve(
    mut square: [[f32; UNKNOWNS]; UNKNOWNS],
    mut right: [f32; UNKNOWNS],
) -> Option<[f32; UNKNOWNS]> {
    for i in 0..UNKNOWNS {
        let lead = *square.get(i)?;
        let (pivot, value) = (*lead.get(i)?, *right.get(i)?);
        if pivot.abs() < 1e-6 {
            return None;
        }
        for (j, (row, sum)) in square.iter_mut().zip(&mut right).enumerate() {
            if j != i {
                let factor = row.get(i)? / pivot;
                row.iter_mut()
                    .zip(&lead)
                    .for_each(|(cell, above)| *cell -= factor * above);
                *sum -= factor * value;
            }
        }
    }
    for (i, sum) in right.iter_mut().enumerate() {
        *sum /= square.get(i)?.get(i)?;
    }
    Some(right)
}

/// The mean of the square around each value, eleven wide.
fn means_around(values: &[f32], side: usize) -> Vec<f32> {
    const AROUND: usize = 5;
    let wide = side + 1;
    // Sums over the rectangle above and to the left, for means in four look-ups.
    let mut sums = vec![0f32; wide * wide];
    for (y, row) in values.chunks(side.max(1)).take(side).enumerate() {
        let mut line = 0.0;
        for (x, value) in row.iter().enumerate() {
            line += value;
            let above = sums.get(y * wide + x + 1).copied().unwrap_or(0.0);
            if let Some(sum) = sums.get_mut((y + 1) * wide + x + 1) {
                *sum = above + line;
            }
        }
    }
    let sum = |x: usize, y: usize| sums.get(y * wide + x).copied().unwrap_or(0.0);
    let mut means = Vec::with_capacity(values.len());
    for y in 0..side {
        let (top, bottom) = (y.saturating_sub(AROUND), (y + AROUND + 1).min(side));
        for x in 0..side {
            let (left, right) = (x.saturating_sub(AROUND), (x + AROUND + 1).min(side));
            let area = ((right - left) * (bottom - top)) as f32;
            let all = sum(right, bottom) - sum(left, bottom) - sum(right, top) + sum(left, top);
            means.push(all / area);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::super::known::known;
    use super::*;

    /// A grid of 29 modules with the known ones in place and the others by a rule, light outside.
    fn grid(side: usize) -> Vec<Vec<f32>> {
        let wide = side + 4;
        let mut rows = vec![vec![200f32; wide]; wide];
        for y in 0..side {
            for x in 0..side {
                rows[y + 2][x + 2] = if (x * 7 + y * 13 + x * y) % 5 < 2 {
                    30.0
                } else {
                    200.0
                };
            }
        }
        for module in known(side) {
            rows[module.y + 2][module.x + 2] = if module.dark { 30.0 } else { 200.0 };
        }
        rows
    }

    fn wrong(values: &[f32], truth: &[Vec<f32>], side: usize) -> usize {
        (0..side * side)
            .filter(|i| (values[*i] < 0.0) != (truth[i / side + 2][i % side + 2] < 100.0))
            .count()
    }

    #[test]
    fn motion_over_two_modules_is_taken_back() {
        let side = 29;
        let truth = grid(side);
        let mut seen: Vec<f32> = Vec::new();
        for row in &truth {
            for x in 0..row.len() {
                let at = |x: usize| row[x.min(row.len() - 1)];
                seen.push(0.45 * at(x) + 0.4 * at(x + 1) + 0.15 * at(x.saturating_sub(1)));
            }
        }
        let modules = Modules::levelled(side, &seen);
        let before = wrong(&modules.sharpened(0.0), &truth, side);
        let known = known(side);
        let first = modules.unmixed(&known).unwrap();
        let again = modules.unmixed_again(&first, &known).unwrap();
        let after = wrong(&again, &truth, side);
        assert!(before > 60, "the blur was to hurt: {before}");
        assert!(
            after * 2 < before,
            "{before} wrong modules before, {after} after"
        );
    }

    #[test]
    fn modules_of_one_brightness_give_no_fit_that_is_not_a_number() {
        let modules = Modules::levelled(21, &[128.0; 625]);
        let values = modules.unmixed(&known(21)).unwrap();
        assert!(values.iter().all(|v| v.is_finite()));
        assert_eq!(values.len(), 441);
    }
}
