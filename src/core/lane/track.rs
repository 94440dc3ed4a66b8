//! Levels in, facts about bodies out: who came in from which side, got how far, and left where.
//!
//! A flap has two beams. A person who enters breaks the outer one, then both, then the inner one alone, then none. The
//! tracker takes one change of one beam at a time; where both change in one sample, it takes them in the order of a
//! walk. A tripod's rotor contacts tell a turn directly: a turn is a body that came, got across and left.

use super::GAP_MAX;
use crate::core::settings::Barrier;
use crate::domain::{Direction, Mono};

/// What is known of bodies, before anybody judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A body came into the aisle from this direction's side; or another, behind the one that is inside.
    Entered(Direction),
    /// It has got to the far side, and is still inside.
    Reached(Direction),
    /// It has left on the far side.
    Crossed(Direction),
    /// It has left on the side it came from.
    TurnedBack(Direction),
    /// The aisle is empty.
    Cleared,
}

/// Follows the aisle of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Tracker {
    kind: Kind,
    near_entry: bool,
    near_exit: bool,
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Beams,
    Rotor,
}

/// Who is in the aisle.
#[derive(Clone, Copy, Debug)]
struct Body {
    /// It walks in this direction: it came from the side where people of this direction come from.
    from: Direction,
    /// It has broken the far beam.
    reached: bool,
    /// Somebody broke the near beam again after it had left it.
    follower: bool,
    /// Neither beam is broken since: it is between them, or has turned back.
    gap_since: Option<Mono>,
}

impl Tracker {
    /// An empty aisle.
    #[must_use]
    pub const fn new(barrier: Barrier) -> Self {
        let kind = match barrier {
            Barrier::Flap => Kind::Beams,
            Barrier::Tripod { .. } => Kind::Rotor,
        };
        Self {
            kind,
            near_entry: false,
            near_exit: false,
            body: None,
        }
    }

    /// The direction of whoever is in the aisle.
    #[must_use]
    pub fn occupant(&self) -> Option<Direction> {
        self.body.map(|body| body.from)
    }

    /// When a gap between the beams counts as turning back.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.body
            .and_then(|body| body.gap_since)
            .map(|since| since + GAP_MAX)
    }

    /// Takes the believed levels: sensor of the entry side, sensor of the exit side. `expected` is the direction of a
    /// live grant: it decides where both beams break in one sample.
    pub fn follow(
        &mut self,
        now: Mono,
        levels: (bool, bool),
        expected: Option<Direction>,
        out: &mut Vec<Fact>,
    ) {
        let first = self.occupant().or(expected).unwrap_or(Direction::Entry);
        // In the order of a walk: the near sensor breaks first and clears first, and breaks come before clears.
        for side in [first, first.opposite()] {
            if self.wants(side, levels) == Some(true) {
                self.set(side, true);
                self.broke(side, out);
            }
        }
        for side in [first, first.opposite()] {
            if self.wants(side, levels) == Some(false) {
                self.set(side, false);
                self.cleared(now, side, out);
            }
        }
        self.end_gap(now, out);
    }

    /// The new level of a side's sensor, if it differs from the one at hand.
    const fn wants(&self, side: Direction, levels: (bool, bool)) -> Option<bool> {
        let (held, wanted) = match side {
            Direction::Entry => (self.near_entry, levels.0),
            Direction::Exit => (self.near_exit, levels.1),
        };
        if held == wanted { None } else { Some(wanted) }
    }

    const fn set(&mut self, side: Direction, level: bool) {
        match side {
            Direction::Entry => self.near_entry = level,
            Direction::Exit => self.near_exit = level,
        }
    }

    const fn is_broken(&self, side: Direction) -> bool {
        match side {
            Direction::Entry => self.near_entry,
            Direction::Exit => self.near_exit,
        }
    }

    /// The sensor at the side where people of direction `side` come from has become active.
    fn broke(&mut self, side: Direction, out: &mut Vec<Fact>) {
        match &mut self.body {
            None => {
                let reached = self.kind == Kind::Rotor;
                self.body = Some(Body {
                    from: side,
                    reached,
                    follower: false,
                    gap_since: None,
                });
                out.push(Fact::Entered(side));
                if reached {
                    out.push(Fact::Reached(side));
                }
            }
            Some(body) if body.from == side => {
                if body.gap_since.take().is_none() && !body.follower {
                    // It had left this beam and somebody breaks it again, while it is at the far one.
                    body.follower = true;
                    out.push(Fact::Entered(side));
                }
            }
            Some(body) => {
                body.gap_since = None;
                if !body.reached {
                    body.reached = true;
                    out.push(Fact::Reached(body.from));
                }
            }
        }
    }

    /// The sensor of `side` has become inactive.
    fn cleared(&mut self, now: Mono, side: Direction, out: &mut Vec<Fact>) {
        let empty = !self.is_broken(side.opposite());
        let Some(mut body) = self.body else { return };
        let mut stays = !empty;
        if self.kind == Kind::Rotor {
            if side == body.from {
                out.push(Fact::Crossed(side));
                stays = false;
            }
        } else if side != body.from {
            // The far beam.
            if empty || body.follower {
                out.push(Fact::Crossed(body.from));
            }
            // Whoever is still at the near beam: the follower, or the same person one step back.
            body = Body {
                reached: false,
                follower: false,
                ..body
            };
        } else if empty && body.reached {
            // Out by the near beam after having been at the far one: it stepped back and left.
            out.push(Fact::TurnedBack(body.from));
        } else if empty {
            body.gap_since = Some(now);
            stays = true;
        }
        self.body = stays.then_some(body);
        if !stays {
            out.push(Fact::Cleared);
        }
    }

    fn end_gap(&mut self, now: Mono, out: &mut Vec<Fact>) {
        let Some(body) = self.body else { return };
        if body.gap_since.is_some_and(|since| now >= since + GAP_MAX) {
            self.body = None;
            out.extend([Fact::TurnedBack(body.from), Fact::Cleared]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Entry, Exit};
    use Fact::{Cleared, Crossed, Entered, Reached, TurnedBack};
    use std::time::Duration;

    fn facts(barrier: Barrier, levels: &[(u64, bool, bool)]) -> Vec<Fact> {
        let mut tracker = Tracker::new(barrier);
        let mut out = Vec::new();
        for &(ms, entry, exit) in levels {
            tracker.follow(Mono::from_millis(ms), (entry, exit), None, &mut out);
        }
        out
    }

    fn beams(levels: &[(u64, bool, bool)]) -> Vec<Fact> {
        facts(Barrier::Flap, levels)
    }

    #[test]
    fn a_walk_is_entered_reached_crossed_cleared_in_both_directions() {
        let walk = [
            (0, true, false),
            (1, true, true),
            (2, false, true),
            (3, false, false),
        ];
        assert_eq!(
            beams(&walk),
            [Entered(Entry), Reached(Entry), Crossed(Entry), Cleared]
        );
        let back = walk.map(|(ms, entry, exit)| (ms, exit, entry));
        assert_eq!(
            beams(&back),
            [Entered(Exit), Reached(Exit), Crossed(Exit), Cleared]
        );
    }

    #[test]
    fn levels_that_are_repeated_add_nothing() {
        let walk = [
            (0, true, false),
            (1, true, false),
            (2, true, true),
            (3, true, true),
            (4, false, true),
        ];
        assert_eq!(beams(&walk), [Entered(Entry), Reached(Entry)]);
    }

    #[test]
    fn a_lost_edge_heals() {
        // Both beams break and clear between two samples of the driver.
        assert_eq!(
            beams(&[(0, true, true), (1, false, false)]),
            [Entered(Entry), Reached(Entry), Crossed(Entry), Cleared]
        );
    }

    #[test]
    fn a_thin_body_between_the_beams_has_not_turned_back() {
        let walk = [
            (0, true, false),
            (100, false, false),
            (300, false, true),
            (400, false, false),
        ];
        assert_eq!(
            beams(&walk),
            [Entered(Entry), Reached(Entry), Crossed(Entry), Cleared]
        );
    }

    #[test]
    fn turning_back_is_seen_at_the_mouth_and_after_the_far_beam() {
        assert_eq!(
            beams(&[(0, true, false), (100, false, false), (600, false, false)]),
            [Entered(Entry), TurnedBack(Entry), Cleared]
        );
        let dither = [
            (0, true, false),
            (1, true, true),
            (2, true, false),
            (3, false, false),
            (500, false, false),
        ];
        assert_eq!(
            beams(&dither),
            [Entered(Entry), Reached(Entry), TurnedBack(Entry), Cleared]
        );
    }

    #[test]
    fn a_follower_enters_while_the_first_is_at_the_far_beam() {
        let pair = [
            (0, true, false),
            (1, true, true),
            (2, false, true),
            (3, true, true), // the follower
            (4, true, false),
            (5, true, true),
            (6, false, true),
            (7, false, false),
        ];
        assert_eq!(
            beams(&pair),
            [
                Entered(Entry),
                Reached(Entry),
                Entered(Entry),
                Crossed(Entry),
                Reached(Entry),
                Crossed(Entry),
                Cleared
            ]
        );
    }

    #[test]
    fn a_turn_of_the_rotor_is_a_body_that_crossed() {
        let tripod = Barrier::Tripod {
            pulse: Duration::from_millis(500),
        };
        assert_eq!(
            facts(tripod, &[(0, false, true), (800, false, false)]),
            [Entered(Exit), Reached(Exit), Crossed(Exit), Cleared]
        );
    }
}
