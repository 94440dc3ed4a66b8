//! What a camera at the gate sees: a phone with a code on its screen, held into view.
//!
//! A picture is drawn by asking, for every pixel of the camera, what of the phone lies there, then blurred by focus
//! and motion, dimmed and made noisy. The same seed gives the same picture.

use qrcode::{EcLevel, QrCode};

use super::canvas::{Canvas, blur, box_blur, grey, narrow, whole};
use super::mint::picture::bytes_of;
use super::random::SplitMix64;
use crate::vision::LumaImage;

/// Pixels in a row of the camera.
pub const WIDTH: usize = 640;
/// Rows of the camera.
pub const HEIGHT: usize = 480;

/// How the phone is held and how the camera sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Side of the code in the picture, pixels.
    pub side: f64,
    /// Centre of the code from the centre of the picture, pixels.
    pub offset: (f64, f64),
    /// Turned in the plane, radians.
    pub turn: f64,
    /// Tilted away, about the upright and the level axis, radians.
    pub tilt: (f64, f64),
    /// Radius of the blur of a lens out of focus, pixels.
    pub defocus: f64,
    /// Way of the phone while the shutter is open, pixels.
    pub motion: (f64, f64),
    /// Brightness of the screen, 1 is white at full exposure.
    pub brightness: f64,
    /// Noise of the sensor, grey levels.
    pub noise: f64,
    /// The app is in its dark colours: the code is light on dark.
    pub dark: bool,
}

impl View {
    /// Held still in front of the camera, as most people do it.
    #[must_use]
    pub fn at_rest(seed: u64) -> Self {
        let random = &mut SplitMix64::new(seed ^ 0x5EED_0001);
        Self {
            side: random.between(170.0, 270.0),
            offset: (random.between(-60.0, 60.0), random.between(-40.0, 40.0)),
            turn: random.between(-0.35, 0.35),
            tilt: (random.between(-0.3, 0.3), random.between(-0.3, 0.3)),
            defocus: random.between(0.3, 1.1),
            motion: (random.between(-0.8, 0.8), random.between(-0.8, 0.8)),
            brightness: random.between(0.55, 0.95),
            noise: random.between(1.0, 5.0),
            dark: false,
        }
    }

    /// The same for a code with more in it: who shows one holds it closer, and straighter.
    #[must_use]
    pub fn at_rest_with(text: &str, seed: u64) -> Self {
        let rest = Self::at_rest(seed);
        let near = Phone::new(text, false).count as f64 * MODULE_PIXELS;
        if near <= rest.side {
            return rest;
        }
        Self {
            side: near.min(NEAREST),
            offset: (rest.offset.0 * 0.3, rest.offset.1 * 0.3),
            turn: rest.turn * 0.2,
            tilt: (rest.tilt.0 * 0.5, rest.tilt.1 * 0.5),
            defocus: rest.defocus.min(0.7),
            ..rest
        }
    }
}

/// Pixels that a module of a code needs.
const MODULE_PIXELS: f64 = 3.4;
/// Side of a code that fills the picture.
const NEAREST: f64 = 380.0;

/// The screen of a phone, in units of the code's side; the code's centre is (0, 0).
struct Phone {
    modules: Vec<bool>,
    count: usize,
    dark: bool,
}

/// Half the width of the phone.
const PHONE_HALF: f64 = 0.68;
/// Top and bottom of the phone, from the centre of the code.
const PHONE_TOP: f64 = -1.25;
const PHONE_BOTTOM: f64 = 1.5;

impl Phone {
    /// Texts that no code can hold leave the screen without one.
    fn new(text: &str, dark: bool) -> Self {
        let bytes = bytes_of(text);
        let code = QrCode::with_error_correction_level(&bytes, EcLevel::M)
            .or_else(|_| QrCode::with_error_correction_level(&bytes, EcLevel::L));
        let (modules, count) = match code {
            Ok(code) => {
                let count = code.width();
                let colors = code.into_colors();
                let modules = colors.iter().map(|&c| c == qrcode::Color::Dark).collect();
                (modules, count)
            }
            Err(_) => (Vec::new(), 0),
        };
        Self {
            modules,
            count,
            dark,
        }
    }

    /// Light of the screen at a place, 0 to 1; `None` beside the phone.
    fn light(&self, x: f64, y: f64) -> Option<f64> {
        if x.abs() > PHONE_HALF || !(PHONE_TOP..PHONE_BOTTOM).contains(&y) {
            return None;
        }
        let bezel = 0.04;
        if x.abs() > PHONE_HALF - bezel || !(PHONE_TOP + bezel..PHONE_BOTTOM - bezel).contains(&y) {
            return Some(0.03);
        }
        let light = self.screen(x, y);
        Some(if self.dark { 0.97 - light } else { light })
    }

    fn screen(&self, x: f64, y: f64) -> f64 {
        if x.abs() < 0.5 && y.abs() < 0.5 {
            return if self.module(x, y) { 0.03 } else { 0.95 };
        }
        if x.abs() < 0.58 && y.abs() < 0.58 {
            return 0.95;
        }
        // Bars where an app has its title, a line of text and a button.
        let word = ((x + 2.0) * 11.0).fract() > 0.3;
        if (-1.0..-0.86).contains(&y) && x.abs() < 0.4 && word {
            return 0.2;
        }
        if (0.74..0.8).contains(&y) && x.abs() < 0.45 && ((x + 2.0) * 19.0).fract() > 0.35 {
            return 0.35;
        }
        if (0.98..1.2).contains(&y) && x.abs() < 0.45 {
            return 0.5;
        }
        0.88
    }

    fn module(&self, x: f64, y: f64) -> bool {
        let place = |v: f64| whole((v + 0.5) * self.count as f64);
        match (place(x), place(y)) {
            (Some(column), Some(row)) if column < self.count => {
                self.modules.get(row * self.count + column) == Some(&true)
            }
            _ => false,
        }
    }
}

/// From a pixel of the camera to a place on the phone: the inverse of a perspective map.
struct Projection([f64; 9]);

impl Projection {
    fn new(view: &View) -> Self {
        // The plane, turned and tilted, at a distance of 3 sides; the focal length makes the side `view.side` pixels.
        let distance = 3.0;
        let focal = view.side * distance;
        let (st, ct) = view.turn.sin_cos();
        let (sy, cy) = view.tilt.0.sin_cos();
        let (sx, cx) = view.tilt.1.sin_cos();
        // First and second column of Ry * Rx * Rz; the third is not needed for a plane.
        let first = [cy * ct + sy * sx * st, cx * st, -sy * ct + cy * sx * st];
        let second = [-cy * st + sy * sx * ct, cx * ct, sy * st + cy * sx * ct];
        let centre = (
            WIDTH as f64 / 2.0 + view.offset.0,
            HEIGHT as f64 / 2.0 + view.offset.1,
        );
        let forward = [
            focal * first[0] + centre.0 * first[2],
            focal * second[0] + centre.0 * second[2],
            centre.0 * distance,
            focal * first[1] + centre.1 * first[2],
            focal * second[1] + centre.1 * second[2],
            centre.1 * distance,
            first[2],
            second[2],
            distance,
        ];
        Self(inverse(forward))
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let scale = g * x + h * y + i;
        ((a * x + b * y + c) / scale, (d * x + e * y + f) / scale)
    }
}

/// The adjugate: the inverse up to a factor, which a perspective map does not see.
fn inverse(m: [f64; 9]) -> [f64; 9] {
    let [a, b, c, d, e, f, g, h, i] = m;
    [
        e * i - f * h,
        c * h - b * i,
        b * f - c * e,
        f * g - d * i,
        a * i - c * g,
        c * d - a * f,
        d * h - e * g,
        b * g - a * h,
        a * e - b * d,
    ]
}

/// What the camera sees of a phone that shows `text`. luma: [480 x 640] u8, row-major.
#[must_use]
pub fn render(text: &str, view: &View, seed: u64) -> LumaImage {
    let mut random = SplitMix64::new(seed);
    let mut canvas = background(&mut random);
    draw(&Phone::new(text, view.dark), view, &mut canvas);
    blur(&mut canvas, view.defocus, view.motion);
    expose(&canvas, view.noise, &mut random)
}

/// The gate with nobody in view.
#[must_use]
pub fn empty_scene(seed: u64) -> LumaImage {
    let mut random = SplitMix64::new(seed);
    let mut canvas = background(&mut random);
    box_blur(&mut canvas, 2);
    expose(&canvas, 3.0, &mut random)
}

/// A phone that comes into view and to rest: `frames` pictures, the last third of them at rest.
#[must_use]
pub fn approach(text: &str, seed: u64, frames: usize) -> Vec<LumaImage> {
    let rest = View::at_rest_with(text, seed);
    (0..frames)
        .map(|i| {
            let way = ((i + 1) as f64 / (frames as f64 * 0.67)).min(1.0);
            let left = (1.0 - way).powi(2);
            let view = View {
                side: rest.side * (1.0 - 0.55 * left),
                offset: (rest.offset.0 + 140.0 * left, rest.offset.1 + 180.0 * left),
                tilt: (rest.tilt.0 + 0.4 * left, rest.tilt.1 - 0.3 * left),
                defocus: rest.defocus + 2.5 * left,
                motion: (rest.motion.0 + 14.0 * left, rest.motion.1 + 18.0 * left),
                ..rest
            };
            render(text, &view, seed)
        })
        .collect()
}

/// A dim hall: a slope of light and a few things in it.
fn background(random: &mut SplitMix64) -> Canvas {
    let base = narrow(random.between(0.1, 0.3));
    let slope = narrow(random.between(-0.1, 0.1)) / WIDTH as f32;
    let mut canvas = Canvas(Vec::with_capacity(WIDTH * HEIGHT));
    for _ in 0..HEIGHT {
        canvas.0.extend((0..WIDTH).map(|x| base + slope * x as f32));
    }
    for _ in 0..8 {
        let left = random.index(WIDTH);
        let top = random.index(HEIGHT);
        let width = 20 + random.index(180);
        let height = 20 + random.index(180);
        let light = narrow(random.between(0.02, 0.5));
        for row in canvas.rows_mut().skip(top).take(height) {
            for pixel in row.iter_mut().skip(left).take(width) {
                *pixel = light;
            }
        }
    }
    canvas
}

fn draw(phone: &Phone, view: &View, canvas: &mut Canvas) {
    let projection = Projection::new(view);
    // Four looks into each pixel: modules of two pixels keep their edges.
    let looks = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
    for (y, row) in canvas.rows_mut().enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let (mut light, mut hits) = (0.0, 0u8);
            for (dx, dy) in looks {
                let (u, v) = projection.place(x as f64 + dx, y as f64 + dy);
                if let Some(look) = phone.light(u, v) {
                    light += look;
                    hits += 1;
                }
            }
            if hits > 0 {
                let unseen = 1.0 - f32::from(hits) / 4.0;
                *pixel = *pixel * unseen + narrow(light / 4.0 * view.brightness);
            }
        }
    }
}

fn expose(canvas: &Canvas, noise: f64, random: &mut SplitMix64) -> LumaImage {
    // The sensor's curve, once for 1024 levels of light.
    let curve: Vec<f64> = (0..=1024)
        .map(|i| 255.0 * (f64::from(i) / 1024.0).powf(1.0 / 1.8))
        .collect();
    let pixels = canvas
        .0
        .iter()
        .map(|&light| {
            let level = whole(f64::from(light.clamp(0.0, 1.0)) * 1024.0).unwrap_or(0);
            let clean = curve.get(level).copied().unwrap_or(255.0);
            grey(clean + noise * bell(random))
        })
        .collect();
    LumaImage::new(WIDTH, HEIGHT, pixels).unwrap_or_else(|_| LumaImage::filled(WIDTH, HEIGHT, 0))
}

/// About normal, with a spread of 1: the sum of four bytes, centred.
fn bell(random: &mut SplitMix64) -> f64 {
    let [a, b, c, d, ..] = random.next_u64().to_be_bytes();
    let sum = f64::from(a) + f64::from(b) + f64::from(c) + f64::from(d);
    (sum - 510.0) / 147.8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::read;

    /// A made-up text of `length` characters.
    fn text(length: usize, seed: u64) -> String {
        let mut random = SplitMix64::new(seed);
        let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789+/=";
        (0..length)
            .map(|_| char::from(letters[random.index(letters.len())]))
            .collect()
    }

    #[test]
    fn a_phone_at_rest_is_read() {
        let read_count = (0..40)
            .filter(|&seed| {
                let shown = text(20 + usize::try_from(seed).unwrap(), seed);
                let image = render(&shown, &View::at_rest(seed), seed);
                read(image.as_luma()).texts == [shown]
            })
            .count();
        assert!(read_count * 100 >= 95 * 40, "{read_count} of 40");
    }

    #[test]
    fn the_same_seed_gives_the_same_picture() {
        let view = View::at_rest(4);
        assert!(render("SAME", &view, 4) == render("SAME", &view, 4));
        assert!(render("SAME", &view, 4) != render("SAME", &view, 5));
    }

    #[test]
    fn an_approaching_phone_is_unread_at_first_and_read_at_the_end() {
        let (mut first, mut last) = (0, 0);
        for seed in 0..6 {
            let shown = text(40, seed);
            let clip = approach(&shown, seed, 12);
            assert_eq!(clip.len(), 12);
            first += usize::from(!read(clip[0].as_luma()).texts.is_empty());
            last += usize::from(read(clip[11].as_luma()).texts == [shown]);
        }
        assert!(
            first <= 3 && last >= 5,
            "{first} at first, {last} at the end"
        );
    }

    #[test]
    fn an_empty_gate_has_no_code_in_view() {
        for seed in 0..20 {
            let reading = read(empty_scene(seed).as_luma());
            assert!(reading.texts.is_empty() && !reading.located, "seed {seed}");
        }
    }

    #[test]
    fn a_text_that_fits_no_code_leaves_the_screen_without_one() {
        let image = render(&"x".repeat(4_000), &View::at_rest(1), 1);
        assert!(read(image.as_luma()).texts.is_empty());
    }

    #[test]
    fn a_code_of_a_dark_screen_is_read() {
        let view = View {
            dark: true,
            ..View::at_rest(3)
        };
        let image = render("DARK-SCREEN-0123456789", &view, 3);
        let reading = read(image.as_luma());
        assert_eq!(reading.texts, ["DARK-SCREEN-0123456789"]);
        assert!(
            reading
                .stage
                .is_some_and(|stage| stage.ends_with("inverted"))
        );
    }
}
