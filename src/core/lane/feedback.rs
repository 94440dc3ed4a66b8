//! What the limit switches of a leaf say of what it was told: a relay that is welded or dead, a drive that has failed,
//! a leaf that somebody holds or forces.

use std::time::Duration;

use crate::domain::Mono;

/// What the leaf was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing since the start, or since the lines were away.
    Nothing,
    /// To open, then.
    Open(Mono),
    /// To shut, then.
    Shut(Mono),
    /// To shut, and it has.
    Settled,
}

/// What is wrong with a leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Wrong {
    /// It does not open, or does not begin to shut: its relay is dead or welded, or its drive has failed.
    pub(super) fault: bool,
    /// It has begun to shut and does not end: somebody holds it.
    pub(super) held: bool,
    /// It has left its shut end without being told to; on for the one look in which that is seen.
    pub(super) forced: bool,
    /// It says that it is open and shut at once.
    pub(super) contradiction: bool,
}

/// The limit switches of a leaf.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Feedback {
    /// Longest time from one end to the other.
    travel: Duration,
    has_opened: bool,
    told: Told,
    opened: bool,
    closed: bool,
    /// It has had its time, and that has been looked at.
    late: bool,
}

impl Feedback {
    /// `has_opened`: there is a switch at the open end too; one at the shut end there is.
    pub(super) const fn new(travel: Duration, has_opened: bool) -> Self {
        Self {
            travel,
            has_opened,
            told: Told::Nothing,
            opened: false,
            closed: false,
            late: false,
        }
    }

    /// The leaf is told to open or to shut. The same again does not start its time over.
    pub(super) const fn tell(&mut self, now: Mono, open: bool) {
        self.told = match (self.told, open) {
            (Told::Nothing | Told::Shut(_) | Told::Settled, true) => Told::Open(now),
            (Told::Nothing | Told::Open(_), false) => Told::Shut(now),
            (told @ Told::Open(_), true) | (told @ (Told::Shut(_) | Told::Settled), false) => told,
        };
    }

    /// Nothing is known until the next levels, and the leaf may be anywhere.
    pub(super) const fn lose_sight(&mut self) {
        self.told = Told::Nothing;
    }

    /// The switches as they are now.
    pub(super) const fn sense(&mut self, opened: bool, closed: bool) {
        (self.opened, self.closed) = (opened, closed);
    }

    /// Compares what was told with what is.
    pub(super) fn look(&mut self, now: Mono) -> Wrong {
        self.late = match self.told {
            Told::Open(since) | Told::Shut(since) => since + self.travel <= now,
            Told::Nothing | Told::Settled => false,
        };
        let mut wrong = Wrong {
            contradiction: self.opened && self.closed,
            ..Wrong::default()
        };
        match self.told {
            Told::Nothing => {}
            Told::Open(_) => wrong.fault = self.late && !self.is_open(),
            Told::Shut(_) if self.closed => self.told = Told::Settled,
            Told::Shut(_) => {
                wrong.fault = self.late && self.opened;
                wrong.held = self.late && !self.opened;
            }
            Told::Settled if !self.closed => {
                wrong.forced = true;
                self.told = Told::Shut(now);
            }
            Told::Settled => {}
        }
        wrong
    }

    /// When the leaf has had the time that it may take.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let due = match self.told {
            Told::Open(since) if !self.is_open() => since + self.travel,
            Told::Shut(since) if !self.closed => since + self.travel,
            Told::Nothing | Told::Open(_) | Told::Shut(_) | Told::Settled => return None,
        };
        (!self.late).then_some(due)
    }

    const fn is_open(&self) -> bool {
        if self.has_opened {
            self.opened
        } else {
            !self.closed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: (bool, bool) = (true, false);
    const BETWEEN: (bool, bool) = (false, false);
    const CLOSED: (bool, bool) = (false, true);
    const FINE: Wrong = Wrong {
        fault: false,
        held: false,
        forced: false,
        contradiction: false,
    };

    struct Leaf(Feedback);

    impl Leaf {
        fn at(&mut self, ms: u64, tell: Option<bool>, (opened, closed): (bool, bool)) -> Wrong {
            let now = Mono::from_millis(ms);
            if let Some(open) = tell {
                self.0.tell(now, open);
            }
            self.0.sense(opened, closed);
            self.0.look(now)
        }
    }

    fn leaf() -> Leaf {
        let mut leaf = Leaf(Feedback::new(Duration::from_secs(2), true));
        assert_eq!(leaf.at(0, None, BETWEEN), FINE, "nothing was told yet");
        assert_eq!(leaf.at(0, Some(false), CLOSED), FINE);
        leaf
    }

    #[test]
    fn a_leaf_that_does_as_it_is_told_is_fine() {
        let mut leaf = leaf();
        assert_eq!(leaf.at(100, Some(true), CLOSED), FINE);
        assert_eq!(leaf.0.deadline(), Some(Mono::from_millis(2_100)));
        assert_eq!(leaf.at(1_000, None, BETWEEN), FINE);
        assert_eq!(leaf.at(9_000, None, OPENED), FINE);
        assert_eq!(leaf.at(9_100, Some(false), OPENED), FINE);
        assert_eq!(leaf.at(10_000, None, BETWEEN), FINE);
        assert_eq!(leaf.at(11_000, None, CLOSED), FINE);
        assert_eq!(leaf.0.deadline(), None);
    }

    #[test]
    fn a_dead_relay_and_a_welded_one_are_faults() {
        let mut dead = leaf();
        assert_eq!(dead.at(100, Some(true), CLOSED), FINE);
        assert_eq!(
            dead.at(2_100, None, CLOSED),
            Wrong {
                fault: true,
                ..FINE
            }
        );
        let mut welded = leaf();
        welded.at(100, Some(true), OPENED);
        assert_eq!(welded.at(5_000, Some(false), OPENED), FINE);
        assert_eq!(
            welded.at(7_000, None, OPENED),
            Wrong {
                fault: true,
                ..FINE
            }
        );
        assert_eq!(welded.at(8_000, None, CLOSED), FINE, "it has let go");
    }

    #[test]
    fn a_leaf_that_is_held_is_told_from_one_that_is_forced() {
        let mut leaf = leaf();
        leaf.at(100, Some(true), OPENED);
        leaf.at(5_000, Some(false), BETWEEN);
        assert_eq!(leaf.at(7_000, None, BETWEEN), Wrong { held: true, ..FINE });
        assert_eq!(leaf.at(8_000, None, CLOSED), FINE);
        assert_eq!(
            leaf.at(9_000, None, BETWEEN),
            Wrong {
                forced: true,
                ..FINE
            }
        );
        assert_eq!(leaf.at(9_100, None, BETWEEN), FINE, "once");
        assert_eq!(leaf.at(11_000, None, BETWEEN), Wrong { held: true, ..FINE });
        assert_eq!(leaf.at(12_000, None, CLOSED), FINE);
    }

    #[test]
    fn open_and_shut_at_once_is_a_contradiction() {
        let wrong = Wrong {
            contradiction: true,
            ..FINE
        };
        assert_eq!(leaf().at(100, None, (true, true)), wrong);
    }
}
