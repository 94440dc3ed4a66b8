//! The two contacts of a tripod: which way the rotor turns, and when it is home again.

use super::aisle::{Fact, Side};
use crate::domain::Direction;

/// The rotor.
#[derive(Debug, Default)]
pub(super) struct Rotor {
    turning: Option<Direction>,
}

impl Rotor {
    /// The way of the turn that is under way.
    pub(super) const fn occupant(&self) -> Option<Direction> {
        self.turning
    }

    /// Follows the contacts. A turn keeps its way until the rotor is home: swinging back may close the other contact.
    pub(super) fn follow(
        &mut self,
        (entry, exit): (bool, bool),
        side: Side,
        facts: &mut Vec<Fact>,
    ) {
        self.turning = match (self.turning, entry, exit) {
            (None, false, false) => None,
            (None, entry, exit) => {
                let way = match (entry, exit) {
                    (true, false) => Direction::Entry,
                    (false, true) => Direction::Exit,
                    (true, true) | (false, false) => side.expected.unwrap_or(Direction::Entry),
                };
                facts.push(Fact::Entered(way));
                Some(way)
            }
            (Some(way), false, false) => {
                facts.push(Fact::Crossed(way));
                None
            }
            (Some(way), true, _) | (Some(way), false, true) => Some(way),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rotor_returning_home_completes_the_turn() {
        let (mut rotor, mut facts) = (Rotor::default(), Vec::new());
        let side = Side {
            expected: None,
            passable: false,
        };
        for levels in [(false, true), (true, true), (true, false), (false, false)] {
            rotor.follow(levels, side, &mut facts);
        }
        let way = Direction::Exit;
        assert_eq!(facts, [Fact::Entered(way), Fact::Crossed(way)]);
        assert_eq!(rotor.occupant(), None);
    }
}
