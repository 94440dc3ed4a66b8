//! How often frames are read while nobody is there: every third. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::domain::Mono;

/// Nobody for so long, and nothing that looks like a code for as long: the lane is empty.
const EMPTY_AFTER: Duration = Duration::from_secs(3);
/// Of an empty lane every so many frames are read. At 30 a second, whoever comes is noticed 67 ms later at the worst.
const READ_EVERY: u32 = 3;

// 0, the default: nothing is known.
const NOBODY: u8 = 1;
const SOMEBODY: u8 = 2;

/// What the beams of a lane say, for its cameras. A lane without beams says nothing, and its cameras read every frame.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<AtomicU8>);

impl Presence {
    /// The beams say that somebody stands in the lane, or that nobody does.
    pub fn set(&self, somebody: bool) {
        let word = if somebody { SOMEBODY } else { NOBODY };
        self.0.store(word, Ordering::Relaxed);
    }

    fn is_nobody(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOBODY
    }
}

/// The rate of one camera.
#[derive(Debug, Default)]
pub(super) struct Idle {
    presence: Presence,
    /// When somebody was there last, or something like a code was in view.
    last: Option<Mono>,
    skipped: u32,
}

impl Idle {
    pub(super) fn new(presence: Presence) -> Self {
        Self {
            presence,
            ..Self::default()
        }
    }

    /// True if the frame taken at `at` need not be read.
    pub(super) fn skips(&mut self, at: Mono) -> bool {
        let is_nobody = self.presence.is_nobody();
        let last = *self.last.get_or_insert(at);
        if !is_nobody {
            self.last = Some(at);
        }
        let is_empty = is_nobody && at.since(last) >= EMPTY_AFTER;
        if !is_empty || self.skipped + 1 >= READ_EVERY {
            self.skipped = 0;
            return false;
        }
        self.skipped += 1;
        true
    }

    /// Something like a code is in view.
    pub(super) fn saw(&mut self, at: Mono) {
        self.last = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` frames, 33 ms apart from `from` on, are read.
    fn read(idle: &mut Idle, from: u64, count: u64) -> usize {
        let frames = (0..count).map(|n| Mono::from_millis(from + n * 33));
        frames.filter(|at| !idle.skips(*at)).count()
    }

    #[test]
    fn an_empty_lane_is_looked_at_less_often_until_somebody_comes() {
        let presence = Presence::default();
        let mut idle = Idle::new(presence.clone());
        presence.set(false);
        assert_eq!(read(&mut idle, 0, 90), 90, "somebody may just have gone");
        assert_eq!(read(&mut idle, 10_000, 90), 30);
        presence.set(true);
        assert_eq!(read(&mut idle, 20_000, 90), 90);
    }

    #[test]
    fn a_code_in_view_is_looked_at_in_every_frame_whatever_the_beams_say() {
        let presence = Presence::default();
        let mut idle = Idle::new(presence.clone());
        presence.set(false);
        assert_eq!(read(&mut idle, 0, 1), 1);
        assert_eq!(read(&mut idle, 10_000, 30), 10);
        idle.saw(Mono::from_millis(11_000));
        assert_eq!(read(&mut idle, 11_000, 90), 90);
    }

    #[test]
    fn a_lane_without_beams_is_read_in_every_frame() {
        let mut idle = Idle::new(Presence::default());
        assert_eq!(read(&mut idle, 0, 1), 1);
        assert_eq!(read(&mut idle, 100_000, 90), 90);
    }
}
