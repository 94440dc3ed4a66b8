//! Points, and the map from the modules of a code to the pixels of a picture.

use super::frame::Luma;

/// A place in a picture, pixels; the centre of the first pixel is (0.5, 0.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// From the left edge.
    pub x: f32,
    /// From the top edge.
    pub y: f32,
}

impl Point {
    /// A place.
    #[must_use]
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// This and `times` that.
    #[must_use]
    pub fn plus(self, that: Self, times: f32) -> Self {
        Self::new(self.x + that.x * times, self.y + that.y * times)
    }

    /// From `that` to this.
    #[must_use]
    pub fn minus(self, that: Self) -> Self {
        self.plus(that, -1.0)
    }

    /// Length of the way from the origin.
    #[must_use]
    pub fn length(self) -> f32 {
        self.x.hypot(self.y)
    }

    /// Cosine times both lengths.
    #[must_use]
    pub fn dot(self, that: Self) -> f32 {
        self.x * that.x + self.y * that.y
    }

    /// Sine times both lengths: positive if `that` lies clockwise, with y downwards.
    #[must_use]
    pub fn cross(self, that: Self) -> f32 {
        self.x * that.y - self.y * that.x
    }
}

/// A perspective map: (x, y) -> ((a x + b y + c) / (g x + h y + 1), (d x + e y + f) / (g x + h y + 1)).
#[derive(Clone, Copy, Debug)]
pub struct Map {
    across: [f32; 3],
    down: [f32; 3],
    depth: [f32; 2],
}

impl Map {
    /// The map that takes each of four places to another. `None` if three of them lie in a line.
    #[must_use]
    pub fn between(from: [Point; 4], to: [Point; 4]) -> Option<Self> {
        // Eight equations, linear in the eight numbers; solved with pivots.
        let mut rows = [[0f64; 9]; 8];
        for ((from, to), pair) in from.iter().zip(to).zip(rows.chunks_mut(2)) {
            let (x, y) = (f64::from(from.x), f64::from(from.y));
            let (u, v) = (f64::from(to.x), f64::from(to.y));
            if let [first, second] = pair {
                *first = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
                *second = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a map is solved in 53 bits; to use it, 24 are enough for the pixels of a picture"
        )]
        let [a, b, c, d, e, f, g, h] = solve(rows)?.map(|number| number as f32);
        Some(Self {
            across: [a, b, c],
            down: [d, e, f],
            depth: [g, h],
        })
    }

    /// Where a place goes. Behind the picture it is somewhere far outside.
    #[inline]
    #[must_use]
    pub fn place(&self, x: f32, y: f32) -> Point {
        let line = |[a, b, c]: [f32; 3]| a * x + b * y + c;
        let [g, h] = self.depth;
        let depth = g * x + h * y + 1.0;
        if depth < 1e-6 {
            return Point::new(-1e6, -1e6);
        }
        let near = 1.0 / depth;
        Point::new(line(self.across) * near, line(self.down) * near)
    }
}

/// Gauss, with the largest pivot of each column.
fn solve(mut rows: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for column in 0..8 {
        let size = |row: &[f64; 9]| row.get(column).map_or(0.0, |v| v.abs());
        let (pivot, best) = rows
            .iter()
            .enumerate()
            .skip(column)
            .max_by(|(_, a), (_, b)| size(a).total_cmp(&size(b)))?;
        let best = *best;
        if size(&best) < 1e-9 {
            return None;
        }
        rows.swap(column, pivot);
        let lead = *best.get(column)?;
        for (i, row) in rows.iter_mut().enumerate() {
            let factor = row.get(column).copied()? / lead;
            if i == column {
                row.iter_mut().for_each(|value| *value /= lead);
            } else {
                for (value, above) in row.iter_mut().zip(best) {
                    *value -= factor * above;
                }
            }
        }
    }
    Some(rows.map(|[.., last]| last))
}

/// The picture as light, with a code that is light on dark turned round.
#[derive(Clone, Copy)]
pub struct Light<'a> {
    /// The picture.
    pub luma: Luma<'a>,
    /// Black is white.
    pub inverted: bool,
}

impl Light<'_> {
    /// Brightness between the pixels, 0 to 255; mid grey outside. This is what most of the time of a frame goes into.
    #[inline]
    #[must_use]
    pub fn at(&self, place: Point) -> f32 {
        let (x, y) = (place.x - 0.5, place.y - 0.5);
        if !(0.0..65_536.0).contains(&x) || !(0.0..65_536.0).contains(&y) {
            return 128.0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        let (left, top) = (x as u32, y as u32);
        let (dx, dy) = (x - left as f32, y - top as f32);
        let Some(four) = self.luma.four(left as usize, top as usize) else {
            return self.at_the_edge(left as usize, top as usize);
        };
        let [a, b, c, d] = four.map(f32::from);
        let (above, below) = (a + (b - a) * dx, c + (d - c) * dx);
        let value = above + (below - above) * dy;
        if self.inverted { 255.0 - value } else { value }
    }

    /// The last column and the last row have no neighbours to mix with.
    #[cold]
    fn at_the_edge(&self, x: usize, y: usize) -> f32 {
        let value = f32::from(self.luma.at(x, y));
        if self.inverted { 255.0 - value } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    #[test]
    fn a_map_takes_its_corners_where_they_belong() {
        let square = [(0., 0.), (10., 0.), (10., 10.), (0., 10.)].map(|(x, y)| Point::new(x, y));
        let seen = [(20., 30.), (90., 42.), (80., 110.), (25., 95.)].map(|(x, y)| Point::new(x, y));
        let map = Map::between(square, seen).unwrap();
        for (from, to) in square.iter().zip(seen) {
            let there = map.place(from.x, from.y);
            assert!(there.minus(to).length() < 1e-3, "{there:?} {to:?}");
        }
        let line = [(0., 0.), (1., 1.), (2., 2.), (3., 3.)].map(|(x, y)| Point::new(x, y));
        assert!(Map::between(square, line).is_none() || Map::between(line, square).is_none());
    }

    #[test]
    fn light_is_mixed_between_pixels_and_turned_round() {
        let image = LumaImage::new(2, 1, vec![0, 100]).unwrap();
        let light = |inverted| Light {
            luma: image.as_luma(),
            inverted,
        };
        assert!((light(false).at(Point::new(0.5, 0.5)) - 0.0).abs() < 1e-3);
        assert!((light(true).at(Point::new(0.5, 0.5)) - 255.0).abs() < 1e-3);
        assert!((light(false).at(Point::new(-5.0, 0.5)) - 128.0).abs() < 1e-3);
    }
}
