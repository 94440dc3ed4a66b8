//! What a camera may be shown. An input is not a picture, which would be too large to be varied, but says how one is drawn.

use std::time::Duration;

use qrcode::{Color, QrCode};
use rustix::time::{ClockId, clock_gettime};

use crate::vision::{Luma, Tracker};

/// Longest that one frame may take: processor time of the thread, so that a busy machine is no finding. Counting what was
/// reached makes the pipeline several times slower; `FRAME_MS` allows for that while inputs are made, and the whole corpus is
/// run again as it is shipped, with this bound.
const FRAME_MS: u64 = 150;

fn frame_max() -> Duration {
    let allowed = std::env::var("FRAME_MS").ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(allowed.unwrap_or(FRAME_MS))
}
/// Frames of one input, one after the other, as one camera would see them.
const FRAMES: usize = 3;

struct Drawing {
    width: usize,
    height: usize,
    stride: usize,
    luma: Vec<u8>,
}

/// Reads what the input draws, as three frames of one camera.
pub fn frames(data: &[u8]) {
    let &[w0, w1, h0, h1, padding, kind, grain, noise, ref rest @ ..] = data else {
        return;
    };
    let width = 1 + usize::from(u16::from_le_bytes([w0, w1])) % 1_400;
    let height = 1 + usize::from(u16::from_le_bytes([h0, h1])) % 800;
    let stride = width + usize::from(padding % 64);
    let mut drawing = Drawing {
        width,
        height,
        stride,
        luma: vec![128; stride * height],
    };
    let mut tracker = Tracker::default();
    for frame in 0..FRAMES {
        drawing.draw(kind, usize::from(grain) + 1, rest, frame);
        drawing.spoil(noise, frame);
        // The last row need not have the padding.
        let bytes = &drawing.luma[..stride * (height - 1) + width];
        let luma = Luma::with_stride(width, height, stride, bytes).expect("it is as large as it says");
        let begun = thread_time();
        let reading = tracker.read(luma);
        let took = thread_time().saturating_sub(begun);
        assert!(took <= frame_max(), "a frame of {width} x {height} took {took:?}: {reading:?}");
        assert!(reading.texts.iter().all(|text| !text.is_empty()));
    }
}

impl Drawing {
    fn draw(&mut self, kind: u8, grain: usize, rest: &[u8], frame: usize) {
        let byte = |i: usize| rest.get(i % rest.len().max(1)).copied().unwrap_or(0);
        match kind % 6 {
            // The bytes as blocks of pixels.
            0 => self.fill(|x, y| byte(x / grain + y / grain * 37 + frame)),
            // A field of finder patterns, each of its own size.
            1 => self.fill(|x, y| {
                let module = 1 + grain % 12;
                let (column, row) = (x / (9 * module), y / (9 * module));
                let module = 1 + usize::from(byte(column + row * 11)) % module;
                let (x, y) = ((x / module) % 9, (y / module) % 9);
                let ring = x.abs_diff(3).max(y.abs_diff(3));
                if ring == 2 || ring > 3 { 230 } else { 20 }
            }),
            // Stripes.
            2 => self.fill(|x, y| byte((x * grain + y * usize::from(byte(0))) / 64 + frame)),
            // A code, as it is; inverted; with a hole.
            _ => self.code(kind, grain, rest, frame),
        }
    }

    fn code(&mut self, kind: u8, grain: usize, text: &[u8], frame: usize) {
        let Ok(code) = QrCode::new(text.get(..text.len().min(900)).unwrap_or_default()) else {
            return;
        };
        let (module, left) = (1 + grain % 8, (grain * 7 + frame * 3) % self.width);
        let is_dark = |x: usize, y: usize| {
            let (x, y) = (x.checked_sub(left)? / module, y.checked_sub(left / 2)? / module);
            (x < code.width() && y < code.width()).then(|| code[(x, y)] == Color::Dark)
        };
        let hole = usize::from(text.first().copied().unwrap_or(0));
        self.fill(|x, y| {
            let in_hole = kind % 6 == 5 && x.abs_diff(hole * 3) < 40 && y.abs_diff(hole * 2) < 40;
            match is_dark(x, y) {
                Some(dark) if !in_hole => if dark != (kind % 6 == 4) { 25 } else { 220 },
                _ => if kind % 6 == 4 { 25 } else { 220 },
            }
        });
    }

    fn fill(&mut self, pixel: impl Fn(usize, usize) -> u8) {
        for (y, row) in self.luma.chunks_mut(self.stride).enumerate().take(self.height) {
            for (x, place) in row.iter_mut().enumerate() {
                *place = pixel(x, y);
            }
        }
    }

    /// Noise, which is another one in each frame.
    fn spoil(&mut self, noise: u8, frame: usize) {
        let mut state = 0x9E37_79B9_7F4A_7C15u64 ^ frame as u64;
        for pixel in &mut self.luma {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (state >> 56) as u8;
            *pixel = pixel.saturating_add(random % (noise / 2 + 1)).saturating_sub(noise / 4);
        }
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Inputs to begin with: one a kind of drawing, and sizes that cameras have.
pub fn seeds() -> Vec<Vec<u8>> {
    let sizes = [(639u16, 479u16), (1279, 719), (0, 0), (20, 700), (319, 239)];
    let kinds = (0u8..6).flat_map(|kind| sizes.map(|size| (kind, size)));
    kinds
        .map(|(kind, (width, height))| {
            let mut seed = Vec::new();
            seed.extend(width.to_le_bytes());
            seed.extend(height.to_le_bytes());
            seed.extend([kind * 7, kind, 3, kind * 9]);
            seed.extend(b"RIDE-42 a code that a phone would show at a gate, of some length");
            seed
        })
        .collect()
}
