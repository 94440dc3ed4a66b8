//! Counts finder patterns: dark and light runs of 1:1:3:1:1, along the row and along the column through its centre.
//!
//! It is the cheap look before the dear one. Decoders group finders by threes, so their time grows with the cube of the
//! count; a field of small patterns stalls rqrr for more than 24 s. Real codes have three each.

/// Patterns counted at most; more are not told apart.
pub const COUNTED_MAX: usize = 64;

struct Finder {
    x: usize,
    y: usize,
    module: usize,
}

/// How many finder patterns a bitmap holds, up to [`COUNTED_MAX`].
pub fn count(width: usize, height: usize, is_black: impl Fn(usize, usize) -> bool) -> usize {
    let mut finders: Vec<Finder> = Vec::new();
    for y in 0..height {
        let mut runs = Runs::default();
        for x in 0..=width {
            let black = x < width && is_black(x, y);
            let Some(module7) = runs.advance(black) else {
                continue;
            };
            let centre = x.saturating_sub(module7 / 2 + 1);
            let known = finders.iter().any(|finder| {
                finder.x.abs_diff(centre) <= finder.module * 3
                    && finder.y.abs_diff(y) <= finder.module * 5
            });
            if !known && crosses(height, y, module7, |y| is_black(centre, y)) {
                finders.push(Finder {
                    x: centre,
                    y,
                    module: module7.div_ceil(7),
                });
                if finders.len() == COUNTED_MAX {
                    return COUNTED_MAX;
                }
            }
        }
    }
    finders.len()
}

/// The last five runs of a line.
#[derive(Default)]
struct Runs {
    lengths: [usize; 5],
    current: usize,
    black: bool,
}

impl Runs {
    /// Takes a pixel; the total length of a finder's five runs if one has just ended.
    fn advance(&mut self, black: bool) -> Option<usize> {
        if black == self.black {
            self.current += 1;
            return None;
        }
        self.lengths.rotate_left(1);
        if let Some(last) = self.lengths.last_mut() {
            *last = self.current;
        }
        self.current = 1;
        let ended_black = self.black;
        self.black = black;
        (ended_black && is_finder(self.lengths)).then(|| self.lengths.iter().sum())
    }
}

/// 1:1:3:1:1, each run off by at most three quarters of a module; decoders are as generous.
fn is_finder(lengths: [usize; 5]) -> bool {
    let total: usize = lengths.iter().sum();
    let fits = |(length, modules): (&usize, usize)| {
        // In sevenths of a module times four, to stay with whole numbers.
        (length * 28).abs_diff(modules * total * 4) <= total * 3 && *length > 0
    };
    total >= 7 && lengths.iter().zip([1, 1, 3, 1, 1]).all(fits)
}

/// True if the column through the centre shows the same five runs.
fn crosses(height: usize, y: usize, module7: usize, is_black: impl Fn(usize) -> bool) -> bool {
    // Tilted codes are longer one way than the other.
    let reach = module7 * 2;
    let (from, to) = (y.saturating_sub(reach), (y + reach).min(height));
    let mut runs = Runs::default();
    for at in from..=to {
        let black = at < to && is_black(at);
        if let Some(length) = runs.advance(black) {
            let start = at.saturating_sub(length);
            if (start..at).contains(&y) && length * 2 >= module7 && length <= module7 * 2 {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A finder of modules of `scale` pixels with its corner at (`left`, `top`).
    fn finder(left: usize, top: usize, scale: usize) -> impl Fn(usize, usize) -> bool {
        move |x, y| {
            let (Some(dx), Some(dy)) = (x.checked_sub(left), y.checked_sub(top)) else {
                return false;
            };
            let (u, v) = (dx / scale, dy / scale);
            u < 7 && v < 7 && u.abs_diff(3).max(v.abs_diff(3)) != 2
        }
    }

    #[test]
    fn each_finder_counts_once_at_any_size() {
        for scale in 1..9 {
            let (one, two) = (finder(10, 20, scale), finder(30 + 7 * scale, 25, scale));
            assert_eq!(
                count(200, 120, |x, y| one(x, y) || two(x, y)),
                2,
                "modules of {scale} pixels"
            );
        }
    }

    #[test]
    fn stripes_and_blank_walls_have_none() {
        assert_eq!(count(200, 100, |x, _| matches!(x % 8, 0 | 2..=4 | 6)), 0);
        assert_eq!(count(200, 100, |_, _| false), 0);
        assert_eq!(count(200, 100, |_, _| true), 0);
    }

    #[test]
    fn a_field_of_finders_is_not_counted_to_its_end() {
        let field = |x: usize, y: usize| finder(0, 0, 1)(x % 9, y % 9);
        assert_eq!(count(640, 480, field), COUNTED_MAX);
    }
}
