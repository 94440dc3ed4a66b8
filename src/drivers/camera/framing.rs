//! What of a picture is looked at, and which way up it is: the region and the rotation of the config.

use super::Shape;
use crate::config::readers::{Region, Rotation};
use crate::vision::{FrameError, Luma};

/// Takes the region out of a picture and turns it. luma: [height x width] u8, row-major, before and after.
///
/// # Errors
/// [`FrameError`] if `luma` is no picture of this shape.
pub(super) fn framed(
    shape: Shape,
    luma: &[u8],
    region: Region,
    rotation: Rotation,
    out: &mut Vec<u8>,
) -> Result<Shape, FrameError> {
    let whole = Luma::new(shape.width, shape.height, luma)?;
    let [left, top, width, height] = region.percent().map(usize::from);
    let of = |side: usize, percent: usize| side * percent / 100;
    let part = whole
        .part(
            of(shape.width, left),
            of(shape.height, top),
            of(shape.width, width).max(1),
            of(shape.height, height).max(1),
        )
        .unwrap_or(whole);
    let (width, height) = (part.width(), part.height());
    out.clear();
    match rotation {
        Rotation::None => part.rows().for_each(|row| out.extend(row)),
        Rotation::Half => {
            part.rows().for_each(|row| out.extend(row));
            out.reverse();
        }
        Rotation::Right => (0..width).for_each(|x| {
            out.extend((0..height).rev().map(|y| part.at(x, y)));
        }),
        Rotation::Left => (0..width).rev().for_each(|x| {
            out.extend((0..height).map(|y| part.at(x, y)));
        }),
    }
    Ok(match rotation {
        Rotation::None | Rotation::Half => Shape { width, height },
        Rotation::Right | Rotation::Left => Shape {
            width: height,
            height: width,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        width: 3,
        height: 2,
    };
    const LUMA: [u8; 6] = [1, 2, 3, 4, 5, 6];

    fn turned(rotation: Rotation) -> (usize, Vec<u8>) {
        let mut out = Vec::new();
        let shape = framed(SHAPE, &LUMA, Region::default(), rotation, &mut out).unwrap();
        (shape.width, out)
    }

    #[test]
    fn a_picture_is_turned_as_the_camera_hangs() {
        assert_eq!(turned(Rotation::None), (3, LUMA.to_vec()));
        assert_eq!(turned(Rotation::Half), (3, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(Rotation::Right), (2, vec![4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(Rotation::Left), (2, vec![3, 6, 2, 5, 1, 4]));
    }

    #[test]
    fn a_region_is_a_part_in_percent() {
        let luma: Vec<u8> = (0..100).collect();
        let shape = Shape {
            width: 10,
            height: 10,
        };
        let region = Region::try_from([20, 50, 30, 20]).unwrap();
        let mut out = Vec::new();
        let shape = framed(shape, &luma, region, Rotation::None, &mut out).unwrap();
        assert_eq!((shape.width, shape.height), (3, 2));
        assert_eq!(out, [52, 53, 54, 62, 63, 64]);
    }
}
