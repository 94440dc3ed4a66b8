//! Who went through in which direction: the same person in the same direction again has handed back their code.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Direction, Mono, Now, PassbackKey, Utc};

/// People remembered at once: several hours of a busy station.
const REMEMBERED_MAX: usize = 200_000;

/// When somebody passed: by the monotonic clock in the process that saw it, and by date where there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    direction: Direction,
    mono: Option<Mono>,
    utc: Option<Utc>,
}

impl Passed {
    /// Direction and date, as the journal keeps them; none if there was no date.
    #[must_use]
    pub fn dated(&self) -> Option<(Direction, Utc)> {
        self.utc.map(|utc| (self.direction, utc))
    }

    fn is_over(&self, now: Now, remember: Duration) -> bool {
        match (self.mono, self.utc, now.utc) {
            (Some(mono), _, _) => now.mono.since(mono) > remember,
            (None, Some(then), Some(now)) => now.since(then) > remember,
            // From before a restart, and nobody can say how long ago: not held against the person.
            (None, _, _) => true,
        }
    }
}

/// Passback states of this gate.
#[derive(Clone, Debug)]
pub struct Passback {
    remember: Duration,
    passed: BTreeMap<PassbackKey, Passed>,
}

impl Passback {
    /// What was remembered before a restart; each entry counts for `remember`.
    #[must_use]
    pub fn restore(remember: Duration, passed: &[(PassbackKey, Direction, Utc)]) -> Self {
        let entry = |(key, direction, utc): &(PassbackKey, Direction, Utc)| {
            (
                *key,
                Passed {
                    direction: *direction,
                    mono: None,
                    utc: Some(*utc),
                },
            )
        };
        Self {
            remember,
            passed: passed.iter().take(REMEMBERED_MAX).map(entry).collect(),
        }
    }

    /// True if this person has already gone through in this direction and has not come back.
    #[must_use]
    pub fn is_passback(&self, now: Now, key: &PassbackKey, direction: Direction) -> bool {
        self.passed.get(key).is_some_and(|passed| {
            passed.direction == direction && !passed.is_over(now, self.remember)
        })
    }

    /// Remembers a passage; returns what it replaces.
    pub fn remember(&mut self, now: Now, key: PassbackKey, direction: Direction) -> Option<Passed> {
        if self.passed.len() >= REMEMBERED_MAX {
            let remember = self.remember;
            self.passed
                .retain(|_, passed| !passed.is_over(now, remember));
        }
        if self.passed.len() >= REMEMBERED_MAX {
            self.passed.pop_first();
        }
        self.passed.insert(
            key,
            Passed {
                direction,
                mono: Some(now.mono),
                utc: now.utc,
            },
        )
    }

    /// Takes a passage back that did not happen.
    pub fn annul(&mut self, key: PassbackKey, before: Option<Passed>) {
        match before {
            Some(before) => self.passed.insert(key, before),
            None => self.passed.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Subject;
    use Direction::{Entry, Exit};

    const WHO: PassbackKey = PassbackKey::Subject(Subject([1; 8]));

    fn at(mono_s: u64) -> Now {
        Now {
            mono: Mono::from_millis(mono_s * 1000),
            ..Now::default()
        }
    }

    fn passback() -> Passback {
        Passback::restore(Duration::from_secs(100), &[])
    }

    #[test]
    fn entry_and_exit_pair_up() {
        let mut passback = passback();
        passback.remember(at(0), WHO, Entry);
        assert!(passback.is_passback(at(1), &WHO, Entry));
        assert!(!passback.is_passback(at(1), &WHO, Exit));
        passback.remember(at(2), WHO, Exit);
        assert!(!passback.is_passback(at(3), &WHO, Entry));
    }

    #[test]
    fn it_is_forgotten_after_its_time() {
        let mut passback = passback();
        passback.remember(at(0), WHO, Entry);
        assert!(passback.is_passback(at(100), &WHO, Entry));
        assert!(!passback.is_passback(at(101), &WHO, Entry));
    }

    #[test]
    fn who_did_not_walk_may_come_again() {
        let mut passback = passback();
        passback.remember(at(0), WHO, Exit);
        let before = passback.remember(at(1), WHO, Entry);
        passback.annul(WHO, before);
        assert!(!passback.is_passback(at(2), &WHO, Entry));
        assert!(passback.is_passback(at(2), &WHO, Exit));
    }
}
