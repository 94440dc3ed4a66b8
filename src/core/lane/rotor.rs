//! The contacts of a tripod: which way the rotor turns, when the person is through, and when it is home again.
//!
//! A turn is 120 degrees. Up to 67 degrees the person can step back, and the rotor swings home; past that they are
//! through. Past 112 degrees the pawl holds the next arm, so that the next turn may be freed (ID GATE 6000: PASS at
//! 67, reset at 112 degrees). Where the two points are not fitted, a rotor that is home again has turned.

use super::aisle::{Fact, Side};
use crate::domain::{Direction, Levels, Sensor};

/// The rotor.
#[derive(Debug)]
pub(super) struct Rotor {
    turn: Turn,
    /// The points of 67 and 112 degrees are fitted.
    has_points: bool,
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The rotor is home.
    Home,
    /// It has left home; a rotor that is locked rattles.
    Begun(Direction),
    /// Past 67 degrees.
    Through(Direction),
    /// Past 112 degrees: the next may be served.
    Reset(Direction),
}

impl Rotor {
    pub(super) const fn new(has_points: bool) -> Self {
        Self {
            turn: Turn::Home,
            has_points,
        }
    }

    /// The way of the turn that is under way.
    pub(super) const fn occupant(&self) -> Option<Direction> {
        match self.turn {
            Turn::Begun(way) | Turn::Through(way) => Some(way),
            Turn::Home | Turn::Reset(_) => None,
        }
    }

    /// True while somebody is through and the pawl does not hold the next arm yet.
    pub(super) const fn is_leaving(&self) -> bool {
        matches!(self.turn, Turn::Through(_))
    }

    /// Follows the contacts; true if somebody has gone the whole turn. A turn keeps its way until the rotor is home:
    /// swinging back may close the other contact.
    pub(super) fn follow(&mut self, levels: Levels, side: Side, facts: &mut Vec<Fact>) -> bool {
        let is = |sensor| levels.is_active(sensor);
        let (entry, exit) = (is(Sensor::EntryRotor), is(Sensor::ExitRotor));
        let (home, before) = (!entry && !exit, self.turn);
        let way = match (before, entry, exit) {
            (Turn::Begun(way) | Turn::Through(way) | Turn::Reset(way), ..) => way,
            (Turn::Home, true, false) => Direction::Entry,
            (Turn::Home, false, true) => Direction::Exit,
            // Both at once: whoever is expected is the likely one.
            (Turn::Home, true, true) | (Turn::Home, false, false) => {
                side.expected.unwrap_or(Direction::Entry)
            }
        };
        // With its points a rotor that is locked tells play from a turn.
        let rattles = self.has_points && !side.passable;
        let through = self.has_points && is(Sensor::PassPoint);
        self.turn = match before {
            Turn::Home if home => Turn::Home,
            Turn::Home => {
                facts.extend((!rattles).then_some(Fact::Entered(way)));
                Turn::Begun(way)
            }
            Turn::Begun(_) if through => {
                facts.push(if rattles {
                    Fact::Forced(way)
                } else {
                    Fact::Crossed(way)
                });
                Turn::Through(way)
            }
            Turn::Begun(_) if home && self.has_points => {
                facts.extend((!rattles).then_some(Fact::Left(way)));
                Turn::Home
            }
            Turn::Begun(_) if home => {
                facts.push(Fact::Crossed(way));
                Turn::Home
            }
            Turn::Through(_) | Turn::Reset(_) if home => Turn::Home,
            Turn::Through(_) if is(Sensor::ResetPoint) => Turn::Reset(way),
            Turn::Begun(_) | Turn::Through(_) | Turn::Reset(_) => before,
        };
        before != Turn::Home
            && self.turn == Turn::Home
            && !matches!((before, self.has_points), (Turn::Begun(_), true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sensor::{EntryRotor, ExitRotor, PassPoint, ResetPoint};

    const IN: Direction = Direction::Entry;

    fn play(has_points: bool, passable: bool, pictures: &[&[Sensor]]) -> (Vec<Fact>, Turn) {
        let (mut rotor, mut facts) = (Rotor::new(has_points), Vec::new());
        let side = Side {
            expected: None,
            passable,
            obstructed: false,
        };
        for picture in pictures {
            rotor.follow(picture.iter().copied().collect(), side, &mut facts);
        }
        (facts, rotor.turn)
    }

    #[test]
    fn the_rotor_returning_home_completes_the_turn() {
        let pictures: &[&[Sensor]] = &[&[ExitRotor], &[EntryRotor, ExitRotor], &[EntryRotor], &[]];
        let way = Direction::Exit;
        let turned = vec![Fact::Entered(way), Fact::Crossed(way)];
        assert_eq!(play(false, false, pictures), (turned, Turn::Home));
    }

    #[test]
    fn past_67_degrees_somebody_is_through_and_past_112_the_next_may_come() {
        let past_67: &[&[Sensor]] = &[&[EntryRotor], &[EntryRotor, PassPoint]];
        let turned = vec![Fact::Entered(IN), Fact::Crossed(IN)];
        assert_eq!(
            play(true, true, past_67),
            (turned.clone(), Turn::Through(IN))
        );
        let past_112 = [past_67, &[&[EntryRotor, PassPoint, ResetPoint]]].concat();
        assert_eq!(
            play(true, true, &past_112),
            (turned.clone(), Turn::Reset(IN))
        );
        let home = [&past_112[..], &[&[EntryRotor], &[]]].concat();
        assert_eq!(play(true, true, &home), (turned, Turn::Home));
    }

    #[test]
    fn a_rotor_that_swings_home_before_67_degrees_was_a_step_back() {
        let pictures: &[&[Sensor]] = &[&[EntryRotor], &[ExitRotor], &[]];
        let back = vec![Fact::Entered(IN), Fact::Left(IN)];
        assert_eq!(play(true, true, pictures), (back, Turn::Home));
    }

    #[test]
    fn a_locked_rotor_rattles_and_is_forced_past_67_degrees_only() {
        assert_eq!(
            play(true, false, &[&[EntryRotor], &[]]),
            (vec![], Turn::Home)
        );
        let forced: &[&[Sensor]] = &[&[EntryRotor], &[EntryRotor, PassPoint], &[]];
        assert_eq!(
            play(true, false, forced),
            (vec![Fact::Forced(IN)], Turn::Home)
        );
    }
}
