//! What the lanes show now, for their displays.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words::{Said, why};
use crate::domain::{Direction, Prompt, Reason};

/// What one side of a lane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sign {
    /// Id of the prompt, as in records.
    pub prompt: &'static str,
    /// Grows with every prompt of this side, so that the same one shown again is noticed.
    pub number: u64,
    /// What failed, where that can be said.
    pub why: Option<Said>,
}

/// What every side of every lane shows.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    discreet: bool,
    shown: BTreeMap<(String, Direction), Sign>,
}

impl Signs {
    /// Signs of a gate whose lanes have shown nothing yet. `discreet`: bystanders are not to learn of a colour.
    #[must_use]
    pub fn new(discreet: bool, sides: impl Iterator<Item = (String, Direction)>) -> Self {
        let mut signs = Self {
            discreet,
            ..Self::default()
        };
        for (lane, side) in sides {
            signs.show(&lane, side, Prompt::Idle, None);
        }
        signs
    }

    /// A side shows something; `reason` is why a passenger was refused.
    pub fn show(&mut self, lane: &str, side: Direction, prompt: Prompt, reason: Option<Reason>) {
        let key = (lane.to_owned(), side);
        let number = self.shown.get(&key).map_or(0, |sign| sign.number + 1);
        let why = reason.and_then(|reason| why(reason, self.discreet));
        let sign = Sign {
            prompt: prompt.id(),
            number,
            why,
        };
        self.shown.insert(key, sign);
    }

    /// What a side shows; out of service if there is no such side.
    #[must_use]
    pub fn of(&self, lane: &str, side: &str) -> Sign {
        let found = self
            .shown
            .iter()
            .find(|((of, direction), _)| of == lane && direction.as_str() == side);
        found.map_or(
            Sign {
                prompt: Prompt::OutOfService.id(),
                number: 0,
                why: None,
            },
            |(_, sign)| *sign,
        )
    }

    /// Sides of a lane.
    pub fn sides(&self, lane: &str) -> impl Iterator<Item = &'static str> {
        self.shown
            .keys()
            .filter(move |(of, _)| of == lane)
            .map(|(_, side)| side.as_str())
    }

    /// Lanes that there are.
    #[must_use]
    pub fn lanes(&self) -> Vec<String> {
        let mut lanes: Vec<_> = self.shown.keys().map(|(lane, _)| lane.clone()).collect();
        lanes.dedup();
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_prompt_again_is_another_sign() {
        let side = ("north".to_owned(), Direction::Entry);
        let mut signs = Signs::new(false, [side].into_iter());
        let first = signs.of("north", "entry");
        assert_eq!(first.prompt, "idle");
        signs.show("north", Direction::Entry, Prompt::Idle, None);
        let again = signs.of("north", "entry");
        assert_eq!((again.prompt, again.number), ("idle", first.number + 1));
        assert_eq!(signs.of("south", "entry").prompt, "out_of_service");
    }

    #[test]
    fn a_discreet_site_says_no_colour() {
        for discreet in [false, true] {
            let mut signs = Signs::new(discreet, std::iter::empty());
            signs.show("n", Direction::Entry, Prompt::Hold, Some(Reason::RedCode));
            let said = signs.of("n", "entry").why.unwrap();
            let names_it = said.en.contains("red") || said.zh.contains('红');
            assert_eq!(names_it, !discreet, "{said:?}");
        }
    }
}
