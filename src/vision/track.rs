//! What consecutive frames of one camera tell together.
//!
//! A code that was located and not read leaves votes: how light each of its modules was. The next frame adds its own, and
//! their sum is decoded: blur, glare and stripes differ from frame to frame, the code does not. Votes that gave a text are
//! not counted again, so that no frame counts as read by what others saw. A code that was read is looked for where it was,
//! at full resolution; and when a part of it has left the picture, by what is left of it ([`super::follow`]).

use super::bounded::{Budget, Found};
use super::follow::follow;
use super::frame::{Luma, LumaImage};
use super::locate::{Finder, floor};
use super::pipeline::{FIT, Noticed, Reading, glance, keep, read_fitting, read_part};
use super::plane::Point;
use super::sample::{Seen, decode_values};

/// Codes whose votes are kept.
const CODES_MAX: usize = 4;
/// Frames after which votes nobody adds to are dropped.
const FRAMES_MAX: u8 = 6;
/// What the votes of earlier frames weigh beside those of the next.
const FADE: f32 = 0.8;
/// The most one module may say in one frame.
const VOTE_MAX: f32 = 1.5;
/// The names of these ways of reading in [`Reading::stage`].
pub const STAGE: &str = "votes";
/// A code of which a part is out of view.
pub const FOLLOWED: &str = "followed";
/// Every so many frames the whole picture is looked at, though the code is read where it was: somebody else may come.
const WHOLE_EVERY: u8 = 4;
/// How far around a code is looked for it in the next frame, of its size.
const SLACK: f32 = 0.2;
/// Steps for following the codes of one frame.
const STEPS_MAX: u64 = 4_000_000;

/// The frames of one camera, one after the other.
#[derive(Default)]
pub struct Tracker {
    codes: Vec<Votes>,
    /// Frames since the whole picture was looked at.
    since_whole: u8,
}

/// A code in view.
struct Votes {
    code: Seen,
    /// Frames since the last vote.
    age: u8,
}

impl Tracker {
    /// Reads the next frame.
    #[must_use]
    pub fn read(&mut self, luma: Luma<'_>) -> Reading {
        let small = luma.shrunk_to_fit(FIT.0, FIT.1);
        let luma = small.as_ref().map_or(luma, LumaImage::as_luma);
        self.codes.iter_mut().for_each(|votes| votes.age += 1);
        self.codes.retain(|votes| votes.age <= FRAMES_MAX);
        if let Some(reading) = self.read_where_it_was(luma) {
            return reading;
        }
        self.since_whole = 0;
        let (mut reading, Noticed { seen, finders }) = read_fitting(luma);
        for code in seen {
            self.vote(code, &mut reading);
        }
        if reading.texts.is_empty() {
            self.follow(luma, &finders, &mut reading);
        }
        reading
    }

    /// A code that was read a moment ago is looked for where it was, at full resolution.
    fn read_where_it_was(&mut self, luma: Luma<'_>) -> Option<Reading> {
        let [only] = self.codes.as_slice() else {
            return None;
        };
        if !only.code.read {
            return None;
        }
        let (left, top, width, height) = only.around();
        let (mut reading, noticed) = read_part(luma.part(left, top, width, height)?);
        let by = Point::new(left as f32, top as f32);
        for code in noticed.seen.into_iter().filter_map(|code| code.shifted(by)) {
            self.vote(code, &mut reading);
        }
        if reading.texts.is_empty() {
            let finders = noticed.finders.map(|finders| shifted(finders, by));
            self.follow(luma, &finders, &mut reading);
        }
        if reading.texts.is_empty() {
            return None;
        }
        self.since_whole += 1;
        if self.since_whole >= WHOLE_EVERY {
            self.since_whole = 0;
            keep(glance(luma), &mut reading);
        }
        Some(reading)
    }

    /// Codes of which too little is in view, or too much glare on them, to be found anew.
    fn follow(&mut self, luma: Luma<'_>, [plain, inverted]: &[Vec<Finder>; 2], reading: &mut Reading) {
        let budget = Budget::new(STEPS_MAX);
        for votes in self.codes.iter_mut().filter(|votes| votes.code.read && votes.age > 0) {
            let finders = if votes.code.inverted { inverted } else { plain };
            let mut found = Found::default();
            let seen = follow(&votes.code, luma, finders, &budget, &mut found);
            reading.panics += found.panics;
            let Some(seen) = seen else { continue };
            reading.located = true;
            if seen.read {
                // Its age stays that of the last frame that showed enough of it: what is filled in does not live for ever.
                votes.code = seen;
                keep(found.texts, reading);
                reading.stage = Some(FOLLOWED);
            }
        }
    }

    fn vote(&mut self, mut code: Seen, reading: &mut Reading) {
        let place = self.codes.iter().position(|old| old.is_same(&code));
        let before = place.map(|place| self.codes.swap_remove(place));
        code.values
            .iter_mut()
            .for_each(|v| *v = v.clamp(-VOTE_MAX, VOTE_MAX));
        let votes = before.filter(|old| {
            // What was read has had its say.
            old.code.values.len() == code.values.len() && !code.read && !old.code.read
        });
        if let Some(before) = votes {
            for (vote, old) in code.values.iter_mut().zip(before.code.values) {
                *vote += FADE * old;
            }
            let mut found = Found::default();
            let read =
                reading.texts.is_empty() && decode_values(code.side(), &code.values, &mut found);
            reading.panics += found.panics;
            if read {
                keep(found.texts, reading);
                reading.stage = Some(STAGE);
                code.read = true;
            }
        }
        if self.codes.len() < CODES_MAX {
            self.codes.push(Votes { code, age: 0 });
        }
    }
}

/// Finder patterns of a part, in the whole picture.
fn shifted(mut finders: Vec<Finder>, by: Point) -> Vec<Finder> {
    for finder in &mut finders {
        finder.x += by.x;
        finder.y += by.y;
    }
    finders
}

impl Votes {
    /// The part of the picture around it: left, top, width, height.
    fn around(&self) -> (usize, usize, usize, usize) {
        let side = self.code.side() as f32;
        let corners = [(0.0, 0.0), (side, 0.0), (0.0, side), (side, side)];
        let corners = corners.map(|(x, y)| self.code.place.map.place(x, y));
        let (mut low, mut high) = (Point::new(1e6, 1e6), Point::new(0.0, 0.0));
        for at in corners {
            low = Point::new(low.x.min(at.x), low.y.min(at.y));
            high = Point::new(high.x.max(at.x), high.y.max(at.y));
        }
        let slack = (high.x - low.x).max(high.y - low.y) * SLACK;
        let whole = |v: f32| floor(v).and_then(|v| usize::try_from(v).ok()).unwrap_or(0);
        let (left, top) = (whole(low.x - slack), whole(low.y - slack));
        let (right, bottom) = (whole(high.x + slack), whole(high.y + slack));
        (left, top, right.saturating_sub(left), bottom.saturating_sub(top))
    }

    /// True if it may be the same code a frame or a few later: of its size, and not moved by more than half of it.
    fn is_same(&self, new: &Seen) -> bool {
        let [top_left, top_right, bottom_left] = new.centres;
        let length = |a: Point, b: Point| a.minus(b).length();
        let reach = length(top_left, top_right).max(length(top_left, bottom_left)) * 0.5;
        let moved = |(a, b): (Point, Point)| length(a, b) < reach;
        self.code.side() == new.side()
            && self.code.inverted == new.inverted
            && self.code.centres.into_iter().zip(new.centres).all(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;

    const SIDE: usize = 21;

    /// A code of 21 modules that says "AB" or so; here only its values matter.
    fn seen(shift: f32, values: Vec<f32>) -> Seen {
        let at = |x, y| Point::new(x + shift, y);
        Seen {
            place: Place::upright(SIDE, shift, 0.0, 70.0),
            centres: [at(20.0, 20.0), at(80.0, 20.0), at(20.0, 80.0)],
            inverted: false,
            values,
            read: false,
        }
    }

    #[cfg(feature = "lab")]
    fn modules(text: &str) -> Vec<f32> {
        use qrcode::{Color, EcLevel, QrCode, Version};
        let code = QrCode::with_version(text, Version::Normal(1), EcLevel::L).unwrap();
        let light = |color: &Color| if *color == Color::Dark { -1.0 } else { 1.0 };
        code.to_colors().iter().map(light).collect()
    }

    /// Each frame has lost another third of the modules, which say the contrary, weakly.
    #[cfg(feature = "lab")]
    fn damaged(text: &str, frame: usize) -> Vec<f32> {
        let spoil = |(i, v): (usize, f32)| {
            if (i / 7 + frame).is_multiple_of(3) {
                -0.6 * v
            } else {
                v
            }
        };
        modules(text).into_iter().enumerate().map(spoil).collect()
    }

    #[cfg(feature = "lab")]
    #[test]
    fn frames_that_say_too_little_each_are_read_together_and_then_forgotten() {
        let mut tracker = Tracker::default();
        let mut texts = Vec::new();
        for frame in 0..3 {
            let mut reading = Reading::default();
            tracker.vote(
                seen(frame as f32 * 3.0, damaged("RIDE-42", frame)),
                &mut reading,
            );
            texts.push(reading.texts);
        }
        assert!(texts[0].is_empty(), "one frame is not enough");
        let read: Vec<&String> = texts.iter().flatten().collect();
        assert_eq!(read, ["RIDE-42"]);
        // What is in view next is damaged beyond reading: the old votes do not read it.
        let mut reading = Reading::default();
        tracker.vote(seen(10.0, vec![0.1; SIDE * SIDE]), &mut reading);
        assert!(reading.texts.is_empty());
    }

    #[test]
    fn a_code_elsewhere_or_of_another_size_is_another_code() {
        let votes = Votes {
            code: seen(0.0, Vec::new()),
            age: 0,
        };
        assert!(votes.is_same(&seen(20.0, Vec::new())));
        assert!(!votes.is_same(&seen(40.0, Vec::new())));
        let larger = Seen {
            place: Place::upright(25, 0.0, 0.0, 70.0),
            ..seen(0.0, Vec::new())
        };
        assert!(!votes.is_same(&larger));
    }

    #[test]
    fn votes_grow_old_and_codes_are_few() {
        let mut tracker = Tracker::default();
        for n in 0..20u8 {
            tracker.vote(
                seen(f32::from(n) * 100.0, vec![1.0; SIDE * SIDE]),
                &mut Reading::default(),
            );
        }
        assert_eq!(tracker.codes.len(), CODES_MAX);
        let wall = LumaImage::filled(64, 48, 90);
        for _ in 0..=FRAMES_MAX {
            assert!(tracker.read(wall.as_luma()).texts.is_empty());
        }
        assert!(tracker.codes.is_empty());
    }
}
