//! What a drawn picture is before it is exposed, and the ways a lens and a moving hand blur it.

use super::screen::{HEIGHT, WIDTH};

/// Light, 0 to 1. [HEIGHT x WIDTH] f32, row-major.
pub(super) struct Canvas(pub(super) Vec<f32>);

impl Canvas {
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.0.chunks_mut(WIDTH)
    }
}

/// The whole part of a small number that is not negative.
pub(super) fn whole(value: f64) -> Option<usize> {
    if (0.0..65_536.0).contains(&value) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked one line above"
        )]
        Some(value as usize)
    } else {
        None
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "light has no more than 12 bits that matter"
)]
pub(super) const fn narrow(value: f64) -> f32 {
    value as f32
}

pub(super) fn grey(value: f64) -> u8 {
    u8::try_from(whole(value.clamp(0.0, 255.0) + 0.5).unwrap_or(0)).unwrap_or(u8::MAX)
}

/// Out of focus by a radius, and moved by a way while the shutter was open, both in pixels.
pub(super) fn blur(canvas: &mut Canvas, defocus: f64, motion: (f64, f64)) {
    // Two boxes are close to the disc of a lens.
    let radius = defocus.max(0.0);
    for _ in 0..2 {
        soft_box(canvas, radius * 0.7);
    }
    smear(canvas, motion);
}

/// A box of a broken radius: the mean of the two whole ones beside it.
fn soft_box(canvas: &mut Canvas, radius: f64) {
    let inner = whole(radius).unwrap_or(0);
    let part = narrow(radius - inner as f64);
    if inner > 0 {
        box_blur(canvas, inner);
    }
    if part > 0.05 {
        let sharp = canvas.0.clone();
        box_blur(canvas, 1);
        for (soft, sharp) in canvas.0.iter_mut().zip(sharp) {
            *soft = sharp * (1.0 - part) + *soft * part;
        }
    }
}

pub(super) fn box_blur(canvas: &mut Canvas, radius: usize) {
    let mut line = vec![0.0; WIDTH];
    for row in canvas.rows_mut() {
        line.copy_from_slice(row);
        running_mean(&line, radius, row);
    }
    // Down the columns: the rows are summed as they enter and leave.
    let before = canvas.0.clone();
    let rows: Vec<&[f32]> = before.chunks(WIDTH).collect();
    let mut sums = vec![0.0f32; WIDTH];
    for row in rows.iter().take(radius) {
        sums.iter_mut().zip(*row).for_each(|(s, p)| *s += p);
    }
    for (y, out) in canvas.rows_mut().enumerate() {
        if let Some(row) = rows.get(y + radius) {
            sums.iter_mut().zip(*row).for_each(|(s, p)| *s += p);
        }
        if let Some(row) = y.checked_sub(radius + 1).and_then(|k| rows.get(k)) {
            sums.iter_mut().zip(*row).for_each(|(s, p)| *s -= p);
        }
        let count = ((y + radius + 1).min(HEIGHT) - y.saturating_sub(radius)) as f32;
        out.iter_mut().zip(&sums).for_each(|(o, s)| *o = s / count);
    }
}

fn running_mean(line: &[f32], radius: usize, out: &mut [f32]) {
    let mut sum: f32 = line.iter().take(radius).sum();
    let mut count = line.len().min(radius) as f32;
    for (x, mean) in out.iter_mut().enumerate() {
        if let Some(entering) = line.get(x + radius) {
            sum += entering;
            count += 1.0;
        }
        if let Some(leaving) = x.checked_sub(radius + 1).and_then(|k| line.get(k)) {
            sum -= leaving;
            count -= 1.0;
        }
        *mean = sum / count;
    }
}

/// The mean along the way of the phone.
fn smear(canvas: &mut Canvas, (dx, dy): (f64, f64)) {
    let length = dx.hypot(dy);
    let steps = whole(length.ceil()).unwrap_or(0).min(40);
    if steps < 2 {
        return;
    }
    let before = canvas.0.clone();
    canvas.0.fill(0.0);
    for step in 0..=steps {
        let part = step as f64 / steps as f64 - 0.5;
        let (right, left) = shift(dx * part);
        let (below, above) = shift(dy * part);
        let rows = before.chunks(WIDTH).skip(below);
        for (out, row) in canvas.0.chunks_mut(WIDTH).skip(above).zip(rows) {
            let pixels = row.iter().skip(right);
            out.iter_mut()
                .skip(left)
                .zip(pixels)
                .for_each(|(o, p)| *o += p);
        }
    }
    let count = (steps + 1) as f32;
    canvas.0.iter_mut().for_each(|pixel| *pixel /= count);
}

/// How much is skipped of the source and of the target to shift by `by`.
fn shift(by: f64) -> (usize, usize) {
    let amount = whole(by.abs() + 0.5).unwrap_or(0);
    if by < 0.0 { (amount, 0) } else { (0, amount) }
}
