//! A beam at the height of a shin: a child, a bag, or somebody who crawls under breaks it and no other.

use std::time::Duration;

use crate::domain::Mono;

/// So long before or after a foot the rest of a person breaks another beam.
const STEP: Duration = Duration::from_millis(300);

/// Where the low beam stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Low {
    Clear,
    /// Broken since then, and no other beam near that time.
    Alone(Mono),
    /// Whoever breaks it, or broke it, has been told apart.
    Told,
}

/// The low beam.
#[derive(Debug)]
pub(super) struct Below {
    low: Low,
    /// When another beam was last broken.
    upright: Option<Mono>,
}

impl Below {
    pub(super) const fn new() -> Self {
        Self {
            low: Low::Clear,
            upright: None,
        }
    }

    /// Follows the low beam and the others; true once if somebody is below them.
    pub(super) fn follow(&mut self, now: Mono, low: bool, upright: bool) -> bool {
        if upright {
            self.upright = Some(now);
        }
        let just_now = self.upright.is_some_and(|at| now.since(at) < STEP);
        let (next, told) = match (self.low, low) {
            (Low::Clear, false) => (Low::Clear, false),
            (Low::Clear, true) if just_now => (Low::Told, false),
            (Low::Clear, true) => (Low::Alone(now), false),
            (Low::Alone(_), _) if upright => (Low::Told, false),
            (Low::Alone(since), _) if since + STEP <= now => (Low::Told, true),
            (Low::Alone(since), _) => (Low::Alone(since), false),
            (Low::Told, true) => (Low::Told, false),
            (Low::Told, false) => (Low::Clear, false),
        };
        self.low = next;
        told
    }

    /// When it is certain that nobody upright comes with it.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self.low {
            Low::Alone(since) => Some(since + STEP),
            Low::Clear | Low::Told => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether somebody was below, for levels of the low beam and of the others at milliseconds.
    fn told(levels: &[(u64, bool, bool)]) -> usize {
        let mut below = Below::new();
        let follow = |(ms, low, upright): &(u64, bool, bool)| {
            below.follow(Mono::from_millis(*ms), *low, *upright)
        };
        levels.iter().map(follow).filter(|told| *told).count()
    }

    #[test]
    fn a_bag_or_a_child_breaks_the_low_beam_alone() {
        assert_eq!(
            told(&[(0, true, false), (200, false, false), (300, false, false)]),
            1
        );
        assert_eq!(
            told(&[(0, true, false), (300, true, false), (9_000, true, false)]),
            1
        );
    }

    #[test]
    fn the_foot_of_somebody_upright_is_no_child() {
        assert_eq!(
            told(&[(0, true, false), (150, true, true), (900, false, false)]),
            0
        );
        assert_eq!(
            told(&[(0, false, true), (200, true, false), (900, true, false)]),
            0
        );
    }

    #[test]
    fn each_of_them_is_told_once() {
        let child = |at| {
            [
                (at, true, false),
                (at + 300, true, false),
                (at + 400, false, false),
            ]
        };
        assert_eq!(told(&[child(0), child(1_000)].concat()), 2);
    }
}
