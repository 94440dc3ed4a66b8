//! Whether a camera sees anything. Its driver is content as long as frames come; a picture that never changes and a
//! picture of nothing are found out here. Pure.

use std::time::Duration;

use crate::domain::Mono;
use crate::drivers::Blindness;

/// Frames that must agree, however slow the camera is.
const FRAMES_MIN: u32 = 10;
/// A picture is dark below this mean. Black is 16 where a camera keeps to the levels of video, and a covered sensor
/// is noisy; a phone in a hall at night is far above it.
const DARK_BELOW: u64 = 24;
/// Every so many pixels are looked at for the mean.
const STEP: usize = 7;

/// In the operator's words.
pub(super) const fn words(blindness: Blindness) -> &'static str {
    match blindness {
        Blindness::Frozen => "its picture is frozen: not one pixel changes",
        Blindness::Dark => {
            "it sees nothing but darkness: its lens is covered, or there is no light"
        }
    }
}

/// What the frames of one connection look like.
#[derive(Debug)]
pub(super) struct Sight {
    /// For how long frames must look bad before that is believed.
    blind_after: Duration,
    /// Before the last word: what holds until there is proof of something else.
    verdict: Option<Blindness>,
    /// True once the verdict has been said.
    is_said: bool,
    /// What the last frames look like, since when, and how many they are.
    looks: Option<Blindness>,
    since: Option<Mono>,
    frames: u32,
    /// The last frame, to compare with. luma: [height x width] u8, row-major.
    last: Vec<u8>,
}

impl Sight {
    /// Eyes that open. `before`: what was wrong when they closed; that holds until frames prove the contrary.
    pub(super) const fn new(blind_after: Duration, before: Option<Blindness>) -> Self {
        Self {
            blind_after,
            verdict: before,
            is_said: before.is_none(),
            looks: None,
            since: None,
            frames: 0,
            last: Vec::new(),
        }
    }

    /// Looks at a frame of luma; gives the verdict when it is a new one: `Some(None)`, it sees.
    pub(super) fn look(&mut self, at: Mono, luma: &[u8]) -> Option<Option<Blindness>> {
        let looks = self.judge(luma);
        if self.since.is_none() || looks != self.looks {
            (self.looks, self.since, self.frames) = (looks, Some(at), 0);
        }
        self.frames = self.frames.saturating_add(1);
        let lasted = self.since.map_or(Duration::ZERO, |since| at.since(since));
        // Sight is believed sooner than blindness: people wait.
        let needed = if looks.is_none() {
            self.blind_after / 3
        } else {
            self.blind_after
        };
        if self.frames < FRAMES_MIN || lasted < needed {
            return None;
        }
        if self.is_said && self.verdict == looks {
            return None;
        }
        (self.verdict, self.is_said) = (looks, true);
        Some(looks)
    }

    fn judge(&mut self, luma: &[u8]) -> Option<Blindness> {
        // After a reopening there is nothing to compare with: a frozen camera has not proved anything yet.
        let is_same = if self.last.is_empty() {
            self.verdict == Some(Blindness::Frozen)
        } else {
            self.last == luma
        };
        if !is_same || self.last.is_empty() {
            self.last.clear();
            self.last.extend_from_slice(luma);
        }
        if mean(luma) < DARK_BELOW {
            Some(Blindness::Dark)
        } else if is_same {
            Some(Blindness::Frozen)
        } else {
            None
        }
    }
}

fn mean(luma: &[u8]) -> u64 {
    let sum: u64 = luma
        .iter()
        .step_by(STEP)
        .map(|&level| u64::from(level))
        .sum();
    sum / (luma.len().div_ceil(STEP) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLIND_AFTER: Duration = Duration::from_secs(3);

    /// The verdicts on pictures that come 100 ms apart, with the number of their picture.
    fn verdicts(
        sight: &mut Sight,
        pictures: impl IntoIterator<Item = [u8; 64]>,
    ) -> Vec<(u64, Option<Blindness>)> {
        let looked = (0..).zip(pictures).filter_map(|(n, picture)| {
            let said = sight.look(Mono::from_millis(n * 100), &picture)?;
            Some((n, said))
        });
        looked.collect()
    }

    /// A hall, with the noise that every sensor has.
    fn hall(n: u8) -> [u8; 64] {
        let mut picture = [90; 64];
        picture[usize::from(n % 64)] += 1 + n % 3;
        picture
    }

    fn live(count: u8) -> impl Iterator<Item = [u8; 64]> {
        (0..count).map(hall)
    }

    #[test]
    fn a_live_picture_is_nothing_to_speak_of() {
        let mut sight = Sight::new(BLIND_AFTER, None);
        assert_eq!(verdicts(&mut sight, live(200)), []);
    }

    #[test]
    fn a_picture_that_does_not_change_is_frozen_after_three_seconds() {
        let mut sight = Sight::new(BLIND_AFTER, None);
        let pictures = live(10).chain([hall(9); 60]).chain(live(40));
        assert_eq!(
            verdicts(&mut sight, pictures),
            [(40, Some(Blindness::Frozen)), (80, None)]
        );
    }

    #[test]
    fn one_pixel_that_changes_is_a_sign_of_life() {
        let mut sight = Sight::new(BLIND_AFTER, None);
        let almost = (0..200).map(|n| if n % 25 == 0 { hall(1) } else { hall(2) });
        assert_eq!(verdicts(&mut sight, almost), []);
    }

    #[test]
    fn a_covered_lens_is_dark_though_its_sensor_is_noisy_or_its_black_is_that_of_video() {
        let noisy = (0..50_u8).map(|n| {
            let mut picture = [12; 64];
            picture[usize::from(n)] = 60;
            picture
        });
        for pictures in [vec![[0; 64]; 50], vec![[16; 64]; 50], noisy.collect()] {
            let mut sight = Sight::new(BLIND_AFTER, None);
            assert_eq!(
                verdicts(&mut sight, pictures),
                [(30, Some(Blindness::Dark))]
            );
        }
    }

    #[test]
    fn a_hand_before_the_lens_for_a_moment_is_no_darkness() {
        let mut sight = Sight::new(BLIND_AFTER, None);
        let passing = (0..100).map(|n| if n % 30 < 20 { [5; 64] } else { hall(n) });
        assert_eq!(verdicts(&mut sight, passing), []);
    }

    #[test]
    fn a_phone_in_a_dark_hall_is_light_enough() {
        let mut picture = [4; 64];
        picture[..20].fill(160);
        assert!(mean(&picture) >= DARK_BELOW);
    }

    #[test]
    fn a_camera_that_was_opened_again_has_to_prove_that_it_sees() {
        let mut sight = Sight::new(BLIND_AFTER, Some(Blindness::Frozen));
        assert_eq!(
            verdicts(&mut sight, [hall(1); 60]),
            [(30, Some(Blindness::Frozen))],
            "said again, so that it is opened again"
        );
        let mut sight = Sight::new(BLIND_AFTER, Some(Blindness::Frozen));
        assert_eq!(verdicts(&mut sight, live(60)), [(11, None)]);
    }

    #[test]
    fn a_slow_camera_gets_its_ten_frames() {
        let mut sight = Sight::new(BLIND_AFTER, None);
        let said = (0..12).map(|n| sight.look(Mono::from_millis(n * 1_000), &hall(1)));
        let said: Vec<_> = said.collect();
        assert_eq!(said.iter().position(Option::is_some), Some(10));
    }
}
