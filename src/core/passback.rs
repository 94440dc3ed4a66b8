//! Passback: the same person in the same direction again, within the time that the site chose.

use std::time::Duration;

use super::expiring::{Expiring, Until};
use crate::domain::{Credential, Direction, GrantId, Now, PassbackKey, StateChange, Subject, Utc};

/// Most people remembered: about twenty hours of one crowded gate.
pub(super) const PEOPLE_MAX: usize = 200_000;

/// The last passage of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    direction: Direction,
    at: Option<Utc>,
    grant: Option<GrantId>,
}

/// What was remembered before a grant, to be put back if nobody walks.
pub(super) type Before = Option<(Until, Passage)>;

/// What passback says of somebody who wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not in this direction, not lately.
    Fine,
    /// In this direction, within the time.
    Again,
    /// In this direction, but without the date nobody can say when.
    Undated,
}

/// Who went which way last.
#[derive(Debug)]
pub(super) struct Passback {
    people: Expiring<PassbackKey, Passage>,
    remember: Option<Duration>,
}

impl Passback {
    /// Passback as it was before the restart. `remember`: `None` turns it off.
    pub(super) fn new(
        now: Now,
        remember: Option<Duration>,
        restored: &[(PassbackKey, Direction, Utc)],
    ) -> Self {
        let mut people = Expiring::new(PEOPLE_MAX);
        for (key, direction, at) in restored {
            let passage = Passage {
                direction: *direction,
                at: Some(*at),
                grant: None,
            };
            if let Some(time) = remember {
                people.insert(now, *key, Until::Utc(*at + time), passage);
            }
        }
        Self { people, remember }
    }

    /// Who passback remembers: the person, or without one the first row key; `None` while it is off.
    pub(super) fn key(
        &self,
        credential: &Credential,
        subject: Option<Subject>,
    ) -> Option<PassbackKey> {
        self.remember?;
        subject
            .filter(|subject| *subject != Subject::NONE)
            .map(PassbackKey::Subject)
            .or_else(|| {
                credential
                    .keys
                    .first()
                    .map(|(_, key)| PassbackKey::Row(*key))
            })
    }

    /// May `key` go in `direction`?
    pub(super) fn ask(&self, now: Now, key: &PassbackKey, direction: Direction) -> Answer {
        match self.people.get(now, key) {
            Some((until, passage)) if passage.direction == direction => {
                if !until.is_dated(now) {
                    return Answer::Undated;
                }
                // A passage dated after today was written by a clock that was wrong.
                match (until, passage.at, now.utc) {
                    (Until::Utc(_), Some(at), Some(utc)) if at > utc => Answer::Fine,
                    (Until::Utc(_) | Until::Mono(_), Some(_) | None, Some(_) | None) => {
                        Answer::Again
                    }
                }
            }
            Some(_) | None => Answer::Fine,
        }
    }

    /// Remembers a grant at once, so that the lane beside refuses the same person.
    pub(super) fn add(
        &mut self,
        now: Now,
        key: PassbackKey,
        direction: Direction,
        grant: GrantId,
    ) -> (Before, Option<StateChange>) {
        let before = self
            .people
            .get(now, &key)
            .map(|(until, passage)| (until, *passage));
        let passage = Passage {
            direction,
            at: now.utc,
            grant: Some(grant),
        };
        let time = self.remember.unwrap_or_default();
        self.people
            .insert(now, key, Until::Mono(now.mono + time), passage);
        let change = now.utc.map(|at| StateChange::Passed { key, direction, at });
        (before, change)
    }

    /// The passage of `grant` did not happen: puts back what was before, unless somebody passed since.
    pub(super) fn undo(&mut self, now: Now, key: PassbackKey, grant: GrantId, before: Before) {
        let latest = self
            .people
            .get(now, &key)
            .and_then(|(_, passage)| passage.grant);
        if latest != Some(grant) {
            return;
        }
        match before {
            Some((until, passage)) => self.people.insert(now, key, until, passage),
            None => {
                self.people.remove(&key);
            }
        }
    }

    /// Nobody remembers where they went.
    pub(super) fn forget(&mut self, key: &PassbackKey) {
        self.people.remove(key);
    }

    /// What the store should hold of `key` now.
    pub(super) fn dated(&self, now: Now, key: &PassbackKey) -> Option<(Direction, Utc)> {
        let (_, passage) = self.people.get(now, key)?;
        Some((passage.direction, passage.at?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Mono, RowKey};
    use Direction::{Entry, Exit};

    const HER: PassbackKey = PassbackKey::Row(RowKey([1; 16]));
    const HOUR: Duration = Duration::from_secs(3600);

    fn at(s: u64) -> Now {
        Now {
            mono: Mono::from_millis(s * 1000),
            utc: Some(Utc::from_secs(10_000 + s)),
            ..Now::default()
        }
    }

    #[test]
    fn the_same_direction_again_is_refused_within_the_time_and_the_other_is_not() {
        let mut passback = Passback::new(at(0), Some(HOUR), &[]);
        passback.add(at(0), HER, Entry, GrantId(1));
        assert_eq!(passback.ask(at(3600), &HER, Entry), Answer::Again);
        assert_eq!(passback.ask(at(3601), &HER, Entry), Answer::Fine);
        assert_eq!(passback.ask(at(1), &HER, Exit), Answer::Fine);
        passback.add(at(2), HER, Exit, GrantId(2));
        assert_eq!(passback.ask(at(3), &HER, Entry), Answer::Fine);
    }

    #[test]
    fn a_grant_that_nobody_used_is_taken_back_to_what_was_before() {
        let mut passback = Passback::new(at(0), Some(HOUR), &[(HER, Exit, Utc::from_secs(9_999))]);
        let (before, _) = passback.add(at(0), HER, Entry, GrantId(1));
        passback.undo(at(1), HER, GrantId(1), before);
        assert_eq!(
            passback.dated(at(1), &HER),
            Some((Exit, Utc::from_secs(9_999)))
        );
    }

    #[test]
    fn taking_a_grant_back_does_not_touch_a_later_passage() {
        let mut passback = Passback::new(at(0), Some(HOUR), &[]);
        let (before, _) = passback.add(at(0), HER, Entry, GrantId(1));
        passback.add(at(1), HER, Exit, GrantId(2));
        passback.undo(at(2), HER, GrantId(1), before);
        assert_eq!(passback.ask(at(2), &HER, Exit), Answer::Again);
    }

    #[test]
    fn without_a_date_a_passage_before_the_restart_is_neither_fresh_nor_old() {
        let passback = Passback::new(at(0), Some(HOUR), &[(HER, Entry, Utc::from_secs(9_000))]);
        let dateless = Now { utc: None, ..at(0) };
        assert_eq!(passback.ask(dateless, &HER, Entry), Answer::Undated);
        assert_eq!(passback.ask(at(0), &HER, Entry), Answer::Again);
        assert_eq!(passback.ask(at(9_000), &HER, Entry), Answer::Fine);
    }

    #[test]
    fn a_passage_dated_in_the_future_keeps_nobody_out() {
        let passback = Passback::new(at(0), Some(HOUR), &[(HER, Entry, Utc::from_secs(99_000))]);
        assert_eq!(passback.ask(at(0), &HER, Entry), Answer::Fine);
    }
}
