//! What some seconds of a camera look like: the facts a technician needs, and what to do about them. Pure.

use std::time::Duration;

use crate::vision::{Luma, Reading};

/// Below this mean it is too dark to read printed paper; above that one it is all but white.
const DARK_BELOW: f64 = 45.0;
const BRIGHT_ABOVE: f64 = 215.0;
/// More of its pixels at the very end of the scale than this, of 100, is glare or an exposure that is too long.
const WHITE_MAX: f64 = 35.0;
/// The steepest edges of a picture in focus, as a share of the range of its brightness; a picture out of focus has none.
const SHARP_MIN: f64 = 0.16;
/// Modules narrower than this, in pixels, are read only in good light.
const MODULE_MIN: f32 = 2.0;
/// Of the frames that were to come, so many must have come.
const RATE_MIN: f64 = 0.85;

/// Collects what frames show.
#[derive(Debug, Default)]
pub struct Looks {
    frames: u32,
    damaged: u32,
    mean: f64,
    white: f64,
    sharp: f64,
    located: u32,
    read: u32,
    gave_up: u32,
    module: Option<f32>,
}

impl Looks {
    /// A frame, and what was read in it; `module` is the width of the modules of a code that was located, pixels.
    pub fn frame(&mut self, luma: Luma<'_>, reading: &Reading, module: Option<f32>) {
        self.frames += 1;
        let (mean, white) = brightness(luma);
        self.mean += mean;
        self.white += white;
        self.sharp = self.sharp.max(sharpness(luma));
        self.located += u32::from(reading.located);
        self.read += u32::from(!reading.texts.is_empty());
        self.gave_up += u32::from(reading.gave_up);
        if let Some(module) = module {
            self.module = Some(self.module.map_or(module, |old| old.max(module)));
        }
    }

    /// A frame that was no picture.
    pub const fn damaged(&mut self) {
        self.damaged += 1;
    }

    /// How many were pictures.
    #[must_use]
    pub const fn frames(&self) -> u32 {
        self.frames
    }

    /// What is wrong, one sentence each; nothing if all is well. `lasted`: how long it was looked; `fps`: the wanted rate.
    #[must_use]
    pub fn complaints(&self, lasted: Duration, fps: u32) -> Vec<String> {
        if self.frames == 0 {
            return vec!["no picture came: is it plugged in, and free of other programs?".into()];
        }
        let count = f64::from(self.frames);
        let (mean, white) = (self.mean / count, self.white / count);
        let mut all = Vec::new();
        let rate = count / lasted.as_secs_f64().max(0.1);
        if rate < RATE_MIN * f64::from(fps) {
            all.push(format!(
                "frames dropped: {rate:.0} a second came, {fps} were asked for; use another USB socket, a smaller `size`, or YUYV instead of MJPEG"
            ));
        }
        if self.damaged > 0 {
            all.push(format!(
                "{} damaged frames: look at the cable and its length",
                self.damaged
            ));
        }
        if mean < DARK_BELOW {
            all.push(format!(
                "too dark: the mean brightness is {mean:.0} of 255; more light, a longer `exposure_us`, or more `gain`"
            ));
        } else if mean > BRIGHT_ABOVE || white > WHITE_MAX {
            all.push(format!(
                "too bright: {white:.0} of 100 pixels are white; a shorter `exposure_us`, or shade against the lamp"
            ));
        }
        if self.sharp < SHARP_MIN {
            all.push("out of focus, or the glass is dirty: no edge in the picture is sharp; clean the glass, set `focus`".into());
        }
        match self.module {
            Some(module) if module < MODULE_MIN => all.push(format!(
                "too far: the modules of the code in view are {module:.1} pixels wide, {MODULE_MIN:.0} are needed; hold it nearer, or a larger `size`"
            )),
            _ if self.located > 0 && self.read == 0 => {
                all.push("a code is in view and was never read: hold it still, brighter, and whole in the picture".into());
            }
            _ => {}
        }
        if self.gave_up * 2 > self.frames {
            all.push("the picture is full of things that look like codes: turn the camera away from the pattern".into());
        }
        all
    }

    /// What was seen, in one line.
    #[must_use]
    pub fn summary(&self, lasted: Duration) -> String {
        let count = f64::from(self.frames.max(1));
        let rate = f64::from(self.frames) / lasted.as_secs_f64().max(0.1);
        let module = self.module.map_or(String::new(), |module| {
            format!(", modules of {module:.1} pixels")
        });
        format!(
            "{} frames, {rate:.1} a second; brightness {:.0} of 255, {:.0} of 100 pixels white, sharpest edge {:.0} of 100; a code in view in {} frames, read in {}{module}",
            self.frames,
            self.mean / count,
            self.white / count,
            self.sharp * 100.0,
            self.located,
            self.read,
        )
    }
}

/// Mean brightness, and how many of 100 pixels are white.
fn brightness(luma: Luma<'_>) -> (f64, f64) {
    let (mut sum, mut white, mut count) = (0u64, 0u64, 0u64);
    for row in luma.rows().step_by(3) {
        sum += row.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
        white += row.iter().filter(|&&pixel| pixel > 250).count() as u64;
        count += row.len() as u64;
    }
    let count = count.max(1) as f64;
    (sum as f64 / count, 100.0 * white as f64 / count)
}

/// The steepest step of two pixels that is not a single accident (one in a thousand is steeper), as a share of the range.
fn sharpness(luma: Luma<'_>) -> f64 {
    let (mut steps, mut levels) = ([0u64; 256], [0u64; 256]);
    for row in luma.rows().step_by(2) {
        for pair in row.windows(3).step_by(2) {
            if let &[left, middle, right] = pair {
                // Over two pixels, so that the noise of one counts half.
                let step = usize::from(left.abs_diff(right) / 2);
                let _counted = steps.get_mut(step).map(|count| *count += 1);
                let _counted = levels.get_mut(usize::from(middle)).map(|count| *count += 1);
            }
        }
    }
    let total: u64 = steps.iter().sum();
    let from_above = |counts: &[u64; 256]| {
        let mut left = total / 1_000;
        counts
            .iter()
            .enumerate()
            .rev()
            .find(|(_, count)| {
                let is_it = **count > left;
                left = left.saturating_sub(**count);
                is_it
            })
            .map_or(0, |(value, _)| value)
    };
    let lowest = levels.iter().position(|count| *count > 0).unwrap_or(0);
    let range = from_above(&levels).saturating_sub(lowest);
    // A wall has no edges, and nothing can be said of it: it counts as flat.
    if range < 24 {
        0.0
    } else {
        from_above(&steps) as f64 / range as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::LumaImage;

    /// Bars of 16 pixels, `blur` pixels from dark to light.
    fn bars(dark: u8, light: u8, blur: usize) -> LumaImage {
        let mut image = LumaImage::filled(320, 240, 0);
        for (i, pixel) in image.pixels_mut().iter_mut().enumerate() {
            // Up over `blur` pixels around 8, and down around 24.
            let at = (i % 320 % 32)
                .abs_diff(16)
                .clamp(8 - blur / 2, 8 + blur.div_ceil(2));
            let part = (8 + blur.div_ceil(2) - at) * 255 / blur.max(1);
            let step = usize::from(light - dark) * part.min(255) / 255;
            *pixel = dark + u8::try_from(step).unwrap();
        }
        image
    }

    fn complaints(
        image: &LumaImage,
        frames: u32,
        reading: &Reading,
        module: Option<f32>,
    ) -> String {
        let mut looks = Looks::default();
        (0..frames).for_each(|_| looks.frame(image.as_luma(), reading, module));
        looks.complaints(Duration::from_secs(1), 30).join("; ")
    }

    #[test]
    fn a_good_picture_has_no_complaint() {
        assert_eq!(
            complaints(&bars(30, 200, 1), 30, &Reading::default(), None),
            ""
        );
    }

    #[test]
    fn each_thing_that_is_wrong_is_said_in_plain_words() {
        let nothing = Reading::default();
        let unread = Reading {
            located: true,
            ..Reading::default()
        };
        let good = bars(30, 200, 1);
        for (says, said) in [
            ("too dark", complaints(&bars(5, 60, 1), 30, &nothing, None)),
            (
                "too bright",
                complaints(&bars(200, 255, 1), 30, &nothing, None),
            ),
            (
                "out of focus",
                complaints(&bars(30, 200, 8), 30, &nothing, None),
            ),
            ("frames dropped: 12", complaints(&good, 12, &nothing, None)),
            ("too far", complaints(&good, 30, &unread, Some(1.4))),
            (
                "a code is in view and was never read",
                complaints(&good, 30, &unread, Some(4.0)),
            ),
            ("no picture came", complaints(&good, 0, &nothing, None)),
        ] {
            assert!(said.starts_with(says), "{says}: {said}");
        }
    }
}
