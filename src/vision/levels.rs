//! The brightness that parts dark from light, for each block of eight by eight pixels.
//!
//! A threshold map is all that the search for finder patterns needs: a black and white picture is only made for the
//! stages that want one. Blocks without contrast are marked, so that an empty hall costs next to nothing.

use super::frame::Luma;
use super::plane::{Light, Point};

/// Side of a block, pixels.
const BLOCK: usize = 8;
/// Darkest to lightest pixel of a block in which something may be seen. Noise of a dim camera stays below it.
const CONTRAST_MIN: u8 = 22;

/// Thresholds of a picture.
pub struct Levels {
    across: usize,
    /// Pixels a block is wide.
    block: usize,
    /// level: [blocks down x blocks across] u8, row-major.
    level: Vec<u8>,
    /// busy: [blocks down x blocks across] bool, row-major: something to see in this block or beside it.
    busy: Vec<bool>,
}

impl Levels {
    /// A threshold for each block: the mean of the square around it, about a tenth of the picture wide.
    #[must_use]
    pub fn local(luma: Luma<'_>) -> Self {
        let blocks = Blocks::of(luma);
        let radius = (luma.width().min(luma.height()) / 20 / BLOCK).max(2);
        let level = blocks.means(radius);
        Self {
            across: blocks.across,
            block: BLOCK,
            level,
            busy: blocks.busy(),
        }
    }

    /// The same places, one threshold for all.
    #[must_use]
    pub fn with_one_level(&self, level: u8) -> Self {
        Self {
            across: self.across,
            block: self.block,
            level: vec![level; self.level.len()],
            busy: self.busy.clone(),
        }
    }

    /// Threshold at a pixel: darker is dark. Mid grey outside.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> u8 {
        let (column, row) = (x / self.block, y / self.block);
        if column >= self.across {
            return 128;
        }
        self.level
            .get(row * self.across + column)
            .copied()
            .unwrap_or(128)
    }

    /// For each block of the row of pixels `y`: its threshold, and whether something is to be seen there.
    pub fn row(&self, y: usize) -> impl Iterator<Item = (u8, bool)> {
        let from = y / self.block * self.across;
        let level = self.level.iter().skip(from).take(self.across);
        level.copied().zip(self.busy.iter().skip(from).copied())
    }

    /// Which pixels of a row are dark.
    pub fn dark<'r>(&'r self, row: &'r [u8], y: usize) -> impl Iterator<Item = bool> + 'r {
        row.chunks(self.block).zip(self.row(y)).flat_map(|(block, (level, _))| {
            block.iter().map(move |&pixel| pixel < level)
        })
    }

    /// How much lighter than the threshold a place is; less than 0 is dark. An inverted light turns both round.
    #[must_use]
    pub fn above(&self, light: Light<'_>, place: Point) -> f32 {
        let (width, height) = (light.luma.width() as f32, light.luma.height() as f32);
        if !(0.5..width - 0.5).contains(&place.x) || !(0.5..height - 0.5).contains(&place.y) {
            // Around the picture it is light, as far as a code is concerned.
            return 64.0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked above"
        )]
        let (x, y) = (place.x as usize, place.y as usize);
        let level = f32::from(self.at(x, y));
        let level = if light.inverted { 255.0 - level } else { level };
        light.at(place) - level
    }

    /// The same levels, for the picture of twice the size.
    #[must_use]
    pub fn doubled(mut self) -> Self {
        self.block *= 2;
        self
    }

    /// Pixels a block is wide.
    #[must_use]
    pub const fn block(&self) -> usize {
        self.block
    }
}

/// Sum and range of each block.
struct Blocks {
    across: usize,
    down: usize,
    mean: Vec<u32>,
    range: Vec<u8>,
}

impl Blocks {
    fn of(luma: Luma<'_>) -> Self {
        let (width, height) = (luma.width(), luma.height());
        let (across, down) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
        let mut blocks = Self {
            across,
            down,
            mean: Vec::with_capacity(across * down),
            range: Vec::with_capacity(across * down),
        };
        let (mut sum, mut low, mut high) =
            (vec![0u16; width], vec![u8::MAX; width], vec![0u8; width]);
        let mut rows = 0u32;
        for (y, row) in luma.rows().enumerate() {
            // Three plain passes over a row: the compiler makes wide instructions of each.
            sum.iter_mut()
                .zip(row)
                .for_each(|(s, &p)| *s += u16::from(p));
            low.iter_mut().zip(row).for_each(|(l, &p)| *l = (*l).min(p));
            high.iter_mut()
                .zip(row)
                .for_each(|(h, &p)| *h = (*h).max(p));
            rows += 1;
            if (y + 1) % BLOCK == 0 || y + 1 == height {
                for ((s, l), h) in sum
                    .chunks(BLOCK)
                    .zip(low.chunks(BLOCK))
                    .zip(high.chunks(BLOCK))
                {
                    let total: u32 = s.iter().map(|&v| u32::from(v)).sum();
                    let columns = u32::try_from(s.len()).unwrap_or(1);
                    blocks.mean.push(total / (columns * rows).max(1));
                    let low = l.iter().copied().min().unwrap_or(0);
                    let high = h.iter().copied().max().unwrap_or(0);
                    blocks.range.push(high.saturating_sub(low));
                }
                sum.fill(0);
                low.fill(u8::MAX);
                high.fill(0);
                rows = 0;
            }
        }
        blocks
    }

    /// Mean over the blocks no further than `radius`.
    fn means(&self, radius: usize) -> Vec<u8> {
        let wide = self.across + 1;
        let mut sums = vec![0u32; wide * (self.down + 1)];
        for (y, row) in self.mean.chunks(self.across.max(1)).enumerate() {
            let mut line = 0;
            for (x, mean) in row.iter().enumerate() {
                line += mean;
                let above = sums.get(y * wide + x + 1).copied().unwrap_or(0);
                if let Some(sum) = sums.get_mut((y + 1) * wide + x + 1) {
                    *sum = above + line;
                }
            }
        }
        let sum = |x: usize, y: usize| sums.get(y * wide + x).copied().unwrap_or(0);
        let mut level = Vec::with_capacity(self.mean.len());
        for y in 0..self.down {
            let (top, bottom) = (y.saturating_sub(radius), (y + radius + 1).min(self.down));
            for x in 0..self.across {
                let (left, right) = (x.saturating_sub(radius), (x + radius + 1).min(self.across));
                let area = u32::try_from((right - left) * (bottom - top)).unwrap_or(1);
                let all = sum(right, bottom) + sum(left, top) - sum(left, bottom) - sum(right, top);
                level.push(u8::try_from(all / area.max(1)).unwrap_or(u8::MAX));
            }
        }
        level
    }

    fn busy(&self) -> Vec<bool> {
        let own: Vec<bool> = self
            .range
            .iter()
            .map(|&range| range >= CONTRAST_MIN)
            .collect();
        let at =
            |x: usize, y: usize| x < self.across && own.get(y * self.across + x) == Some(&true);
        (0..self.down)
            .flat_map(|y| (0..self.across).map(move |x| (x, y)))
            .map(|(x, y)| at(x, y) || at(x + 1, y) || x > 0 && at(x - 1, y))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::LumaImage;
    use super::*;

    #[test]
    fn a_wall_is_not_busy_and_an_edge_is() {
        let wall = LumaImage::filled(64, 48, 90);
        assert!(
            Levels::local(wall.as_luma())
                .row(3)
                .all(|(level, busy)| level == 90 && !busy)
        );
        let mut edge = LumaImage::filled(64, 48, 200);
        edge.pixels_mut()
            .chunks_mut(64)
            .for_each(|row| row[..28].fill(20));
        let levels = Levels::local(edge.as_luma());
        let busy: Vec<bool> = levels.row(20).map(|(_, busy)| busy).collect();
        assert_eq!(busy, [false, false, true, true, true, false, false, false]);
        assert!((20..200).contains(&levels.at(28, 20)));
        assert_eq!(levels.with_one_level(77).at(63, 47), 77);
        assert_eq!(levels.at(64, 0), 128, "outside");
    }

    #[test]
    fn a_picture_smaller_than_a_block_has_one() {
        let small = LumaImage::filled(3, 2, 40);
        let levels = Levels::local(small.as_luma());
        assert_eq!(levels.row(1).count(), 1);
        assert_eq!(levels.at(2, 1), 40);
    }
}
