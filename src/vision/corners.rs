//! Three finder patterns that may be the corners of one code.

use super::locate::Finder;
use super::plane::Point;

/// Finder patterns that are combined, the most often seen first: 560 threes.
const FINDERS_MAX: usize = 16;

/// Three corners of a code.
#[derive(Clone, Copy, Debug)]
pub struct Corners {
    /// Between the other two.
    pub top_left: Finder,
    /// Along the first row.
    pub top_right: Finder,
    /// Down the first column.
    pub bottom_left: Finder,
    /// How far it is from a square: 0 is one.
    pub error: f32,
}

impl Corners {
    /// Centres: top left, top right, bottom left.
    #[must_use]
    pub const fn centres(&self) -> [Point; 3] {
        [
            centre(&self.top_left),
            centre(&self.top_right),
            centre(&self.bottom_left),
        ]
    }
}

const fn centre(finder: &Finder) -> Point {
    Point::new(finder.x, finder.y)
}

/// All threes that could be the corners of one code, the squarest first.
#[must_use]
pub fn triples(finders: &[Finder]) -> Vec<Corners> {
    let finders: Vec<&Finder> = finders.iter().take(FINDERS_MAX).collect();
    let mut all = Vec::new();
    for (i, a) in finders.iter().enumerate() {
        for (j, b) in finders.iter().enumerate().skip(i + 1) {
            for c in finders.iter().skip(j + 1) {
                all.extend(corners([a, b, c]));
            }
        }
    }
    all.sort_by(|a, b| a.error.total_cmp(&b.error));
    all
}

/// A true pattern is seen in all rows through its heart, three modules of them; an accident in few. 0 is sure.
fn doubt(finder: &Finder) -> f32 {
    1.0 - (finder.lines as f32 / (finder.module * 1.2).max(1.0)).min(1.0)
}

/// Which of the three is the corner between the others. `None` if they cannot belong together.
fn corners([a, b, c]: [&Finder; 3]) -> Option<Corners> {
    let gap = |p: &Finder, q: &Finder| centre(p).minus(centre(q)).length();
    let (ab, bc, ca) = (gap(a, b), gap(b, c), gap(c, a));
    // The corner is opposite the longest side.
    let (corner, p, q) = if ab >= bc && ab >= ca {
        (c, a, b)
    } else if bc >= ca {
        (a, b, c)
    } else {
        (b, c, a)
    };
    let (to_p, to_q) = (
        centre(p).minus(centre(corner)),
        centre(q).minus(centre(corner)),
    );
    let (long, short) = (
        to_p.length().max(to_q.length()),
        to_p.length().min(to_q.length()),
    );
    let modules = [a, b, c].map(|finder| finder.module);
    let (low, high) = modules
        .iter()
        .fold((f32::MAX, 0f32), |(l, h), &m| (l.min(m), h.max(m)));
    let slant = (to_p.dot(to_q) / (long * short).max(1.0)).abs();
    let lopsided = long / short.max(1.0) - 1.0;
    let uneven = high / low.max(0.1) - 1.0;
    if short < 8.0 * low || long > 180.0 * high || slant > 0.6 || lopsided > 1.2 || uneven > 1.2 {
        return None;
    }
    let (top_right, bottom_left) = if to_p.cross(to_q) > 0.0 {
        (p, q)
    } else {
        (q, p)
    };
    Some(Corners {
        top_left: *corner,
        top_right: *top_right,
        bottom_left: *bottom_left,
        error: slant + lopsided + uneven * 0.7 + 0.25 * [a, b, c].map(doubt).iter().sum::<f32>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(x: f32, y: f32, module: f32) -> Finder {
        Finder {
            x,
            y,
            module,
            lines: 5,
        }
    }

    #[test]
    fn the_squarest_three_come_first_and_stand_the_right_way_round() {
        let square = [(100.0, 100.0), (30.0, 100.0), (30.0, 30.0)].map(|(x, y)| finder(x, y, 3.0));
        let stray = finder(170.0, 65.0, 4.0);
        let all = triples(&[square[0], stray, square[1], square[2]]);
        let [a, b, c] = all[0].centres();
        assert_eq!(
            (a, b, c),
            (
                Point::new(30.0, 100.0),
                Point::new(30.0, 30.0),
                Point::new(100.0, 100.0)
            )
        );
        assert!(all[0].error < 0.01);
    }

    #[test]
    fn patterns_of_different_sizes_or_in_a_line_are_no_corners() {
        let line = [10.0, 60.0, 110.0].map(|x| finder(x, 50.0, 3.0));
        assert!(triples(&line).is_empty());
        let sizes = [(10.0, 10.0, 3.0), (90.0, 10.0, 9.0), (10.0, 90.0, 3.0)]
            .map(|(x, y, m)| finder(x, y, m));
        assert!(triples(&sizes).is_empty());
    }
}
