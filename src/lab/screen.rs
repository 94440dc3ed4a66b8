//! What a camera at a gate sees: a phone that shows a QR code, in perspective, before a dim hall, with the blur of a hand
//! and the noise of a sensor. `luma: [480 x 640] u8`, row-major; a seed gives the same picture for ever.

use qrcode::{EcLevel, QrCode};

use super::random::SplitMix64;
use crate::vision::Luma;

/// Width of the picture.
pub const WIDTH: usize = 640;
/// Height of the picture.
pub const HEIGHT: usize = 480;

/// How a phone is held, and how the camera is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Centre of the code in the picture, pixels.
    pub centre: (f64, f64),
    /// Side of the code in the picture, pixels, if it were held flat.
    pub side: f64,
    /// Turned in the plane, radians.
    pub roll: f64,
    /// Leaning back, radians: the perspective.
    pub pitch: f64,
    /// Turned aside, radians.
    pub yaw: f64,
    /// Pixels the phone moves during an exposure, to the right.
    pub motion: usize,
    /// Radius of the defocus, pixels.
    pub defocus: usize,
    /// Deviation of the noise, grey levels.
    pub noise: f64,
    /// Brightness of the screen, 0 to 1.
    pub brightness: f64,
}

impl View {
    /// At rest before the camera, a little different each time.
    #[must_use]
    pub fn at_rest(random: &mut SplitMix64) -> Self {
        let mut around = |middle: f64, spread: f64| middle + (random.unit() - 0.5) * 2.0 * spread;
        Self {
            centre: (around(320.0, 40.0), around(240.0, 30.0)),
            side: around(205.0, 20.0),
            roll: around(0.0, 0.15),
            pitch: around(0.0, 0.18),
            yaw: around(0.0, 0.18),
            motion: 1,
            defocus: 1,
            noise: 3.0,
            brightness: around(0.85, 0.1),
        }
    }

    /// On the way there: `left` frames before rest, further off, moving and out of focus.
    #[must_use]
    pub fn approaching(self, left: usize) -> Self {
        let away = f64::from(u8::try_from(left).unwrap_or(u8::MAX));
        Self {
            centre: (self.centre.0 - 45.0 * away, self.centre.1 + 30.0 * away),
            side: self.side / (1.0 + 0.18 * away),
            roll: self.roll + 0.1 * away,
            motion: 1 + 4 * left,
            defocus: 1 + left,
            ..self
        }
    }
}

/// Why a text cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text does not fit a QR code")]
pub struct TooLong;

/// The panel of a phone that shows a code.
pub struct Phone {
    modules: Vec<bool>,
    side: usize,
}

/// Light border of the code, modules.
const QUIET: usize = 4;
/// Half width and half height of the panel, in sides of the code with its border.
const PANEL: (f64, f64) = (0.62, 1.15);

impl Phone {
    /// A phone that shows `text`.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn showing(text: &str) -> Result<Self, TooLong> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| TooLong)?;
        let modules = code
            .to_colors()
            .iter()
            .map(|colour| *colour == qrcode::Color::Dark)
            .collect();
        Ok(Self {
            modules,
            side: code.width(),
        })
    }

    /// Grey of the panel at (`u`, `v`), in sides of the code from its centre; none beside the panel.
    fn grey(&self, u: f64, v: f64) -> Option<f64> {
        if u.abs() > PANEL.0 || v.abs() > PANEL.1 {
            return None;
        }
        let size = to_f64(self.side + 2 * QUIET);
        let scale = size / to_f64(self.side);
        let (x, y) = ((u / scale + 0.5) * size, (v / scale + 0.5) * size);
        let inside = (0.0..size).contains(&x) && (0.0..size).contains(&y);
        if inside {
            let module = |at: f64| floor(at).checked_sub(QUIET).filter(|at| *at < self.side);
            let dark = module(x).zip(module(y)).is_some_and(|(x, y)| {
                self.modules
                    .get(y * self.side + x)
                    .copied()
                    .unwrap_or(false)
            });
            return Some(if dark { 0.04 } else { 0.96 });
        }
        // A title above the code and a button below it.
        let title = (-1.0..-0.85).contains(&v)
            && u.abs() < 0.4
            && !floor((u + 1.0) * 24.0).is_multiple_of(3);
        let button = (0.85..1.0).contains(&v) && u.abs() < 0.45;
        Some(if title {
            0.2
        } else if button {
            0.45
        } else {
            0.93
        })
    }
}

/// A picture of the hall, with a phone in it or without.
#[must_use]
pub fn picture(phone: Option<(&Phone, &View)>, seed: u64) -> Luma {
    let mut random = SplitMix64::new(seed);
    let mut light = hall(&mut random);
    if let Some((phone, view)) = phone {
        draw(&mut light, phone, view);
        light = blurred(&light, view.defocus, view.defocus);
        light = blurred(&light, view.motion / 2, 0);
    }
    let noise = phone.map_or(3.0, |(_, view)| view.noise);
    let pixels = light
        .iter()
        .map(|light| to_u8(light * 255.0 + noise * cheap_normal(&mut random)))
        .collect();
    // The sides are constants that make a picture.
    Luma::new(WIDTH, HEIGHT, pixels).unwrap_or_else(|_| Luma::black(WIDTH, HEIGHT))
}

/// The hall: dim, with some lamps and posters.
fn hall(random: &mut SplitMix64) -> Vec<f64> {
    let mut light = vec![0.16; WIDTH * HEIGHT];
    for _ in 0..10 {
        let (left, top) = (random.below(WIDTH), random.below(HEIGHT));
        let (right, bottom) = (left + 20 + random.below(180), top + 20 + random.below(140));
        let grey = 0.08 + random.unit() * 0.4;
        for row in light.chunks_mut(WIDTH).take(bottom).skip(top) {
            row.iter_mut()
                .take(right)
                .skip(left)
                .for_each(|pixel| *pixel = grey);
        }
    }
    light
}

/// Draws the panel through its perspective, with four samples a pixel.
fn draw(light: &mut [f64], phone: &Phone, view: &View) {
    let plane = Plane::new(view);
    for (y, row) in light.chunks_mut(WIDTH).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let mut sum = 0.0;
            let mut hits = 0.0;
            for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let (u, v) = plane.on_panel(to_f64(x) + dx, to_f64(y) + dy);
                if u.abs() > PANEL.0 || v.abs() > PANEL.1 {
                    continue;
                }
                if let Some(grey) = phone.grey(u, v) {
                    sum += grey * view.brightness;
                    hits += 1.0;
                }
            }
            *pixel = (sum + *pixel * (4.0 - hits)) / 4.0;
        }
    }
}

/// From a pixel to the panel: the panel is a plane before a pinhole, `DISTANCE` sides of the code away.
struct Plane {
    centre: (f64, f64),
    side: f64,
    right: [f64; 3],
    down: [f64; 3],
    normal: [f64; 3],
}

const DISTANCE: f64 = 3.0;

impl Plane {
    fn new(view: &View) -> Self {
        let (roll, pitch, yaw) = (
            view.roll.sin_cos(),
            view.pitch.sin_cos(),
            view.yaw.sin_cos(),
        );
        // Roll in the plane, then lean back, then turn aside.
        let turn = |x: f64, y: f64| {
            let (x, y) = (x * roll.1 - y * roll.0, x * roll.0 + y * roll.1);
            let (y, z) = (y * pitch.1, y * pitch.0);
            [x * yaw.1 + z * yaw.0, y, z * yaw.1 - x * yaw.0]
        };
        let (right, down) = (turn(1.0, 0.0), turn(0.0, 1.0));
        Self {
            centre: view.centre,
            side: view.side,
            right,
            down,
            normal: cross(right, down),
        }
    }

    fn on_panel(&self, x: f64, y: f64) -> (f64, f64) {
        let ray = [
            (x - self.centre.0) / self.side / DISTANCE,
            (y - self.centre.1) / self.side / DISTANCE,
            1.0,
        ];
        let slope = dot(ray, self.normal);
        if slope.abs() < 1e-9 {
            return (f64::MAX, f64::MAX);
        }
        let far = DISTANCE * dot([0.0, 0.0, 1.0], self.normal) / slope;
        let [px, py, pz] = ray.map(|part| part * far);
        let at = [px, py, pz - DISTANCE];
        (dot(at, self.right), dot(at, self.down))
    }
}

fn dot([a, b, c]: [f64; 3], [x, y, z]: [f64; 3]) -> f64 {
    a * x + b * y + c * z
}

fn cross([a, b, c]: [f64; 3], [x, y, z]: [f64; 3]) -> [f64; 3] {
    [b * z - c * y, c * x - a * z, a * y - b * x]
}

/// A box blur of these radii; twice gives a soft edge.
fn blurred(light: &[f64], radius_x: usize, radius_y: usize) -> Vec<f64> {
    let across = if radius_x == 0 {
        light.to_vec()
    } else {
        lines(light, WIDTH, 1, radius_x)
    };
    if radius_y == 0 {
        across
    } else {
        lines(&across, HEIGHT, WIDTH, radius_y)
    }
}

/// Blurs along lines of `length` pixels that are `step` apart.
fn lines(light: &[f64], length: usize, step: usize, radius: usize) -> Vec<f64> {
    let mut out = vec![0.0; light.len()];
    let count = light.len() / length;
    for line in 0..count {
        let start = if step == 1 { line * length } else { line };
        let at = |position: usize| {
            light
                .get(start + position.min(length - 1) * step)
                .copied()
                .unwrap_or(0.0)
        };
        let mut sum: f64 = (0..=radius).map(at).sum::<f64>() + at(0) * to_f64(radius);
        for position in 0..length {
            if let Some(pixel) = out.get_mut(start + position * step) {
                *pixel = sum / to_f64(2 * radius + 1);
            }
            sum += at(position + radius + 1) - at(position.saturating_sub(radius));
        }
    }
    out
}

/// Noise for three hundred thousand pixels a picture: the sum of four 16-bit numbers of one draw.
fn cheap_normal(random: &mut SplitMix64) -> f64 {
    let draw = random.next();
    let sum: u64 = (0..4).map(|part| (draw >> (16 * part)) & 0xFFFF).sum();
    // Mean 2 x 65535, deviation 65536 / sqrt(3).
    (to_f64(usize::try_from(sum).unwrap_or(0)) - 131_070.0) / 37_837.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pixels and modules are far below 2^52"
)]
const fn to_f64(n: usize) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped to the range first"
)]
const fn to_u8(light: f64) -> u8 {
    light.clamp(0.0, 255.0) as u8
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped to the range first"
)]
const fn floor(at: f64) -> usize {
    at.clamp(0.0, 1e9) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision;

    #[test]
    fn a_phone_at_rest_is_read_nearly_always() {
        let read = (0..40)
            .filter(|seed| {
                let text = format!("HC:{seed:024}");
                let phone = Phone::showing(&text).unwrap();
                let view = View::at_rest(&mut SplitMix64::new(*seed));
                vision::read(&picture(Some((&phone, &view)), *seed)).texts == [text]
            })
            .count();
        assert!(read >= 36, "{read} of 40 read");
    }

    #[test]
    fn an_empty_hall_has_no_code_and_the_same_seed_the_same_picture() {
        for seed in 0..10 {
            let hall = picture(None, seed);
            assert_eq!(vision::read(&hall).texts, Vec::<String>::new());
            assert_eq!(hall, picture(None, seed));
        }
    }

    #[test]
    fn a_phone_that_is_still_coming_is_hard_to_read() {
        let phone = Phone::showing("HC:coming").unwrap();
        let read = (0..10)
            .filter(|seed| {
                let view = View::at_rest(&mut SplitMix64::new(*seed)).approaching(4);
                !vision::read(&picture(Some((&phone, &view)), *seed))
                    .texts
                    .is_empty()
            })
            .count();
        assert!(read <= 5, "{read} of 10 read");
    }
}
