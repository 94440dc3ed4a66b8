//! Finder patterns: dark, light, dark, light, dark in the ratio 1:1:3:1:1, across and down (ISO/IEC 18004, 6.3.3).

use super::binarise::Bitmap;

/// A finder pattern, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finder {
    /// Centre, pixels from the left edge; the centre of pixel 0 is 0.5.
    pub x: f32,
    /// Centre, pixels from the top edge.
    pub y: f32,
    /// Width of a module along the rows, pixels.
    pub module: f32,
    /// In how many lines it was seen.
    pub lines: u32,
}

/// More than this and the picture is no queue of passengers: it is given up.
pub const FINDERS_MAX: usize = 64;
/// Lines whose runs fit, over the picture. Beyond this it is noise or made to hurt.
const CANDIDATES_MAX: usize = 6_000;

/// What the search gave.
#[derive(Clone, Debug, Default)]
pub struct Finders {
    /// What was found, most often seen first.
    pub all: Vec<Finder>,
    /// True if there were too many.
    pub crowded: bool,
}

impl Finders {
    /// Three of them may be a code.
    #[must_use]
    pub fn may_be_a_code(&self) -> bool {
        !self.crowded && self.all.len() >= 3
    }
}

/// Looks through every second row.
#[must_use]
pub fn find(bitmap: &Bitmap) -> Finders {
    let mut finders = Finders::default();
    let mut runs: Vec<u32> = Vec::with_capacity(bitmap.width());
    let mut candidates = 0;
    for (y, row) in bitmap.rows().enumerate().skip(1).step_by(2) {
        run_lengths(row, &mut runs);
        let mut start = 0;
        // Runs at even places are white, starting with a white run of length 0 or more.
        for (i, window) in runs.windows(5).enumerate() {
            if i % 2 == 1
                && let Some(centre) = ratio(window)
            {
                candidates += 1;
                if candidates > CANDIDATES_MAX {
                    finders.crowded = true;
                    return finders;
                }
                let total: u32 = window.iter().sum();
                check(bitmap, start as f32 + centre, y, total, &mut finders);
                if finders.crowded {
                    return finders;
                }
            }
            start += window.first().copied().unwrap_or(0);
        }
    }
    // Seen in one line only: an accident.
    finders.all.retain(|finder| finder.lines >= 2);
    finders
        .all
        .sort_by_key(|finder| std::cmp::Reverse(finder.lines));
    finders
}

fn run_lengths(row: &[u8], runs: &mut Vec<u32>) {
    runs.clear();
    let mut colour = 0;
    let mut length = 0;
    for &pixel in row {
        if pixel == colour {
            length += 1;
        } else {
            runs.push(length);
            (colour, length) = (pixel, 1);
        }
    }
    runs.push(length);
}

/// The centre of five runs in the ratio 1:1:3:1:1, from the start of the first.
fn ratio(runs: &[u32]) -> Option<f32> {
    let &[a, b, c, d, e] = runs else { return None };
    let total = a + b + c + d + e;
    if total < 7 {
        return None;
    }
    let module = total as f32 / 7.0;
    let slack = module * 0.6;
    let one = |run: u32| (run as f32 - module).abs() < slack;
    let three = (c as f32 - 3.0 * module).abs() < 3.0 * slack;
    (one(a) && one(b) && three && one(d) && one(e)).then(|| (a + b) as f32 + c as f32 / 2.0)
}

/// Five runs through a point, one pixel a step: lengths and the place of the centre along the line.
fn cross(is_black: impl Fn(i64) -> bool, middle: i64, total: u32) -> Option<(f32, u32)> {
    let limit = i64::from(total) * 2;
    let walk = |step: i64| {
        let mut at = middle;
        let mut ends = [0i64; 3];
        for (end, black) in ends.iter_mut().zip([true, false, true]) {
            while is_black(at) == black {
                at += step;
                if (at - middle).abs() > limit {
                    return None;
                }
            }
            *end = (at - middle).abs();
        }
        Some(ends)
    };
    if !is_black(middle) {
        return None;
    }
    let [near_a, near_b, near_c] = walk(-1)?;
    let [far_a, far_b, far_c] = walk(1)?;
    let runs = [
        near_c - near_b,
        near_b - near_a,
        near_a + far_a - 1,
        far_b - far_a,
        far_c - far_b,
    ]
    .map(|run| u32::try_from(run).unwrap_or(0));
    ratio(&runs)?;
    let sum: u32 = runs.iter().sum();
    // Tilted screens foreshorten one way: half to twice as long is the same pattern.
    if sum * 2 < total || sum > total * 2 {
        return None;
    }
    let centre = middle as f32 + (far_a - near_a) as f32 / 2.0 + 0.5;
    Some((centre, sum))
}

fn check(bitmap: &Bitmap, x: f32, y: usize, total: u32, finders: &mut Finders) {
    let black_at = |x: i64, y: i64| match (usize::try_from(x), usize::try_from(y)) {
        (Ok(x), Ok(y)) => bitmap.is_black(x, y),
        _ => false,
    };
    let Some(column) = floor(x) else { return };
    let Ok(row) = i64::try_from(y) else { return };
    let Some((centre_y, _)) = cross(|at| black_at(column, at), row, total) else {
        return;
    };
    let Some(middle_row) = floor(centre_y) else {
        return;
    };
    let Some((centre_x, across)) = cross(|at| black_at(at, middle_row), column, total) else {
        return;
    };
    merge(
        Finder {
            x: centre_x,
            y: centre_y,
            module: across as f32 / 7.0,
            lines: 1,
        },
        finders,
    );
}

fn merge(new: Finder, finders: &mut Finders) {
    let full = finders.all.len() >= FINDERS_MAX;
    let near = finders.all.iter_mut().find(|old| {
        let reach = old.module.max(new.module) * 1.5;
        (old.x - new.x).abs() < reach && (old.y - new.y).abs() < reach
    });
    match near {
        Some(old) => {
            let seen = old.lines as f32;
            let mean = |old: f32, new: f32| (old * seen + new) / (seen + 1.0);
            old.x = mean(old.x, new.x);
            old.y = mean(old.y, new.y);
            old.module = mean(old.module, new.module);
            old.lines += 1;
        }
        None if full => finders.crowded = true,
        None => finders.all.push(new),
    }
}

/// The whole pixel a place lies in; `None` far outside of any picture.
#[must_use]
pub fn floor(place: f32) -> Option<i64> {
    if place.abs() < 65_536.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was checked one line above"
        )]
        Some(place.floor() as i64)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::binarise::otsu;
    use super::super::frame::LumaImage;
    use super::*;

    fn stamp(image: &mut LumaImage, left: usize, top: usize, module: usize) {
        let width = image.width();
        for y in 0..7 * module {
            for x in 0..7 * module {
                let ring = (x / module).abs_diff(3).max((y / module).abs_diff(3));
                image.pixels_mut()[(top + y) * width + left + x] = if ring == 2 { 230 } else { 20 };
            }
        }
    }

    #[test]
    fn three_patterns_are_found_where_they_are() {
        let mut image = LumaImage::filled(200, 160, 230);
        for (left, top) in [(20, 20), (120, 20), (20, 100)] {
            stamp(&mut image, left, top, 4);
        }
        let finders = find(&otsu(image.as_luma()));
        assert!(finders.may_be_a_code() && finders.all.len() == 3);
        let first = finders.all.iter().find(|f| f.x < 50.0 && f.y < 50.0);
        let first = first.unwrap();
        assert!((first.x - 34.0).abs() < 0.6 && (first.y - 34.0).abs() < 0.6);
        assert!((first.module - 4.0).abs() < 0.2);
    }

    #[test]
    fn an_empty_wall_has_none_and_a_field_is_crowded() {
        let wall = LumaImage::filled(320, 240, 120);
        assert!(find(&otsu(wall.as_luma())).all.is_empty());
        let mut field = LumaImage::filled(640, 480, 230);
        for top in (2..460).step_by(18) {
            for left in (2..620).step_by(18) {
                stamp(&mut field, left, top, 2);
            }
        }
        let finders = find(&otsu(field.as_luma()));
        assert!(finders.crowded && !finders.may_be_a_code());
    }
}
