//! Two beams, one on each side of a flap: where the body in the aisle is.
//!
//! With two beams one long body and two short ones can look alike. The track takes what is likely, and keeps in
//! mind that somebody may stand between the beams, unseen, before it calls the aisle clear.

use std::time::Duration;

use super::aisle::{Fact, Side};
use crate::domain::{Direction, Mono};

/// Where the body is. Each state holds the way it came: *near* is the beam it met first, *far* the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    /// Nobody.
    Clear,
    /// In the near beam.
    Near(Direction),
    /// One body in both beams.
    Over(Direction),
    /// The same body in the near beam again: it goes back.
    Back(Direction),
    /// Between the beams, unseen, until then.
    Inside(Direction, Mono),
    /// Somebody in the near beam while one may be between: the same turning back, or a follower.
    Again(Direction),
    /// In the far beam; true if another may be between.
    Far(Direction, bool),
    /// The first in the far beam, a follower in the near one.
    Two(Direction),
}

/// Which beams are broken, seen from the way of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Neither,
    Near,
    Far,
    Both,
}

/// The track of one aisle.
#[derive(Debug)]
pub(super) struct Beams {
    track: Track,
    /// How long somebody may stand unseen between the beams.
    linger: Duration,
}

impl Beams {
    /// Beams over an aisle; `unseen`: somebody on this way may stand between them already.
    pub(super) fn new(now: Mono, linger: Duration, unseen: Option<Direction>) -> Self {
        let track = unseen.map_or(Track::Clear, |way| Track::Inside(way, now + linger));
        Self { track, linger }
    }

    /// The way of whoever is in the aisle.
    pub(super) const fn occupant(&self) -> Option<Direction> {
        match self.track {
            Track::Clear => None,
            Track::Near(way)
            | Track::Over(way)
            | Track::Back(way)
            | Track::Inside(way, _)
            | Track::Again(way)
            | Track::Far(way, _)
            | Track::Two(way) => Some(way),
        }
    }

    /// When somebody unseen counts as gone.
    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self.track {
            Track::Inside(_, until) => Some(until),
            Track::Clear
            | Track::Near(_)
            | Track::Over(_)
            | Track::Back(_)
            | Track::Again(_)
            | Track::Far(..)
            | Track::Two(_) => None,
        }
    }

    /// Whoever was unseen for so long has gone back.
    pub(super) fn timed_out(&mut self, now: Mono, facts: &mut Vec<Fact>) {
        if let Track::Inside(way, until) = self.track
            && until <= now
        {
            self.track = Track::Clear;
            facts.push(Fact::Left(way));
        }
    }

    /// Follows the beams. `passable`: the barrier lets a body stand between them.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm a pair: the table is the track"
    )]
    pub(super) fn follow(
        &mut self,
        now: Mono,
        (entry, exit): (bool, bool),
        side: Side,
        facts: &mut Vec<Fact>,
    ) {
        use {Fact as F, Seen as S, Track as T};
        let way = self.occupant().unwrap_or_else(|| match (entry, exit) {
            (true, false) => Direction::Entry,
            (false, true) => Direction::Exit,
            // Both at once: whoever is expected is the likely one.
            (true, true) | (false, false) => side.expected.unwrap_or(Direction::Entry),
        });
        let inside = if side.passable {
            T::Inside(way, now + self.linger)
        } else {
            T::Clear
        };
        let mut say = |fact: fn(Direction) -> F| facts.push(fact(way));
        self.track = match (self.track, Seen::of(way, entry, exit)) {
            (T::Clear, S::Neither) => T::Clear,
            (T::Clear, S::Near | S::Far) => {
                say(F::Entered);
                T::Near(way)
            }
            (T::Clear, S::Both) => {
                say(F::Entered);
                T::Over(way)
            }

            (T::Near(_), S::Near) => self.track,
            (T::Near(_), S::Neither) => {
                if !side.passable {
                    say(F::Left);
                }
                inside
            }
            (T::Near(_), S::Far) => T::Far(way, false),
            (T::Near(_), S::Both) => T::Over(way),

            (T::Over(_), S::Both) => self.track,
            (T::Over(_), S::Far) => T::Far(way, false),
            (T::Over(_), S::Near) => T::Back(way),
            (T::Over(_), S::Neither) => {
                say(F::Crossed);
                T::Clear
            }

            (T::Back(_), S::Near) => self.track,
            (T::Back(_), S::Both) => T::Over(way),
            (T::Back(_), S::Far) => T::Far(way, false),
            // A body that was in both beams does not fit between them.
            (T::Back(_), S::Neither) => {
                say(F::Left);
                T::Clear
            }

            (T::Inside(..), S::Neither) => self.track,
            (T::Inside(..), S::Near) => T::Again(way),
            (T::Inside(..), S::Far) => T::Far(way, false),
            (T::Inside(..) | T::Again(_), S::Both) => {
                say(F::Followed);
                T::Two(way)
            }

            (T::Again(_), S::Near) => self.track,
            (T::Again(_), S::Neither) => inside,
            (T::Again(_), S::Far) => T::Far(way, true),

            (T::Far(..), S::Far) => self.track,
            (T::Far(_, alone), S::Neither) => {
                say(F::Crossed);
                if alone { inside } else { T::Clear }
            }
            (T::Far(..), S::Both) => {
                say(F::Followed);
                T::Two(way)
            }
            (T::Far(..), S::Near) => {
                say(F::Crossed);
                say(F::Entered);
                T::Near(way)
            }

            (T::Two(_), S::Both) => self.track,
            (T::Two(_), S::Far) => T::Far(way, true),
            (T::Two(_), S::Near) => {
                say(F::Crossed);
                T::Near(way)
            }
            (T::Two(_), S::Neither) => {
                say(F::Crossed);
                inside
            }
        };
    }
}

impl Seen {
    const fn of(way: Direction, entry: bool, exit: bool) -> Self {
        let (near, far) = match way {
            Direction::Entry => (entry, exit),
            Direction::Exit => (exit, entry),
        };
        match (near, far) {
            (false, false) => Self::Neither,
            (true, false) => Self::Near,
            (false, true) => Self::Far,
            (true, true) => Self::Both,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fact::{Crossed, Entered, Followed, Left};

    const IN: Direction = Direction::Entry;
    const RELEASED: Side = Side {
        expected: Some(IN),
        passable: true,
    };
    const LOCKED: Side = Side {
        expected: None,
        passable: false,
    };

    /// Plays pictures of the two beams, `#` broken, 100 ms apart.
    fn facts(side: Side, pictures: &[&str]) -> (Vec<Fact>, Track) {
        let (mut beams, mut facts) = (
            Beams::new(Mono::default(), Duration::from_secs(5), None),
            Vec::new(),
        );
        for (at, picture) in (0u64..).zip(pictures) {
            let levels = (picture.starts_with('#'), picture.ends_with('#'));
            beams.follow(Mono::from_millis(at * 100), levels, side, &mut facts);
        }
        (facts, beams.track)
    }

    #[test]
    fn a_rider_walks_through_with_or_without_a_gap_between_the_beams() {
        for pictures in [
            ["..", "#.", "..", ".#", ".."],
            ["..", "#.", "##", ".#", ".."],
            ["..", "#.", "#.", ".#", ".."],
            ["..", "#.", "##", "##", ".."],
        ] {
            let walked = (vec![Entered(IN), Crossed(IN)], Track::Clear);
            assert_eq!(facts(RELEASED, &pictures), walked, "{pictures:?}");
        }
    }

    #[test]
    fn a_long_body_that_goes_back_has_left_at_once() {
        let seen = facts(RELEASED, &["#.", "##", "#.", ".."]);
        assert_eq!(seen, (vec![Entered(IN), Left(IN)], Track::Clear));
    }

    #[test]
    fn somebody_unseen_between_the_beams_is_still_there_for_a_while() {
        let (mut beams, mut facts) = (
            Beams::new(Mono::default(), Duration::from_secs(5), None),
            Vec::new(),
        );
        beams.follow(Mono::from_millis(0), (true, false), RELEASED, &mut facts);
        beams.follow(Mono::from_millis(100), (false, false), RELEASED, &mut facts);
        assert_eq!(
            (beams.occupant(), beams.deadline()),
            (Some(IN), Some(Mono::from_millis(5_100)))
        );
        beams.timed_out(Mono::from_millis(5_099), &mut facts);
        assert_eq!(beams.occupant(), Some(IN));
        beams.timed_out(Mono::from_millis(5_100), &mut facts);
        assert_eq!(
            (facts, beams.track),
            (vec![Entered(IN), Left(IN)], Track::Clear)
        );
    }

    #[test]
    fn nobody_can_stand_inside_a_locked_flap() {
        let seen = facts(LOCKED, &["#.", ".."]);
        assert_eq!(seen, (vec![Entered(IN), Left(IN)], Track::Clear));
    }

    #[test]
    fn a_follower_is_seen_while_the_rider_is_at_the_far_beam() {
        let (seen, track) = facts(RELEASED, &["#.", "..", ".#", "##", "#."]);
        assert_eq!(seen, [Entered(IN), Followed(IN), Crossed(IN)]);
        assert_eq!(track, Track::Near(IN), "the follower is still in the aisle");
    }

    #[test]
    fn a_follower_close_behind_keeps_the_aisle_occupied_after_the_rider_has_crossed() {
        let (seen, track) = facts(RELEASED, &["#.", "..", "#.", "..", ".#"]);
        assert_eq!(seen, [Entered(IN)]);
        assert_eq!(track, Track::Far(IN, false));
        let (seen, track) = facts(RELEASED, &["#.", "..", "#.", ".#", ".."]);
        assert_eq!(seen, [Entered(IN), Crossed(IN)]);
        assert!(
            matches!(track, Track::Inside(..)),
            "somebody may be between"
        );
    }

    #[test]
    fn somebody_from_the_other_side_is_told_apart() {
        let (seen, _) = facts(RELEASED, &[".#", "..", "#.", ".."]);
        assert_eq!(seen, [Entered(Direction::Exit), Crossed(Direction::Exit)]);
    }
}
