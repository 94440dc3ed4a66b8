//! Answers of the backend that no list holds: kept for a short time, so that whoever comes back is not asked about
//! again, and is answered even when the backend is gone.
//!
//! In memory only. An answer lives for minutes and a restart asks again, so there is nothing to save on a disk that
//! wears; and what is not written cannot be stolen with the card. A row key stands for the person, never the
//! identifier. The lists are asked first and always win: this store speaks only where none of them knows the person.
//! It is bounded; at its limit the answer that would expire first goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{HealthOutcome, Mono, RowKey, Standing};

/// Most answers at once: some hundred bytes each, about 1 MiB in all.
pub const ANSWERS_MAX: usize = 4_096;

/// What the backend said of a person that no list knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This.
    Known(Standing),
    /// It does not know them either.
    Nobody,
}

/// How often an answer was at hand, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Presentations answered with what the backend knew.
    pub known: u64,
    /// Presentations answered with that it knew nothing.
    pub nobody: u64,
    /// Answers kept now.
    pub kept: usize,
}

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<RowKey, (Mono, Said)>,
    by_end: BTreeSet<(Mono, RowKey)>,
}

/// The store. Shared by the lanes that look up and the task that asks.
#[derive(Debug)]
pub struct Learned {
    kept: Mutex<Kept>,
    known_for: Duration,
    nobody_for: Duration,
    answers_max: usize,
    known: AtomicU64,
    nobody: AtomicU64,
}

impl Learned {
    /// An empty store. Zero means that such answers are not kept. That somebody is not known, or has not applied for a
    /// code, may change in a moment: it is kept for `nobody_for`.
    #[must_use]
    pub fn new(known_for: Duration, nobody_for: Duration) -> Self {
        Self::with_room(known_for, nobody_for, ANSWERS_MAX)
    }

    fn with_room(known_for: Duration, nobody_for: Duration, answers_max: usize) -> Self {
        Self {
            kept: Mutex::default(),
            known_for,
            nobody_for,
            answers_max,
            known: AtomicU64::new(0),
            nobody: AtomicU64::new(0),
        }
    }

    /// Keeps an answer of the backend. That it could not find out, or did not answer, is no answer.
    pub fn keep(&self, now: Mono, key: RowKey, answer: &Result<Standing, HealthOutcome>) {
        let (said, keep_for) = match answer {
            Ok(standing) if standing.health == HealthOutcome::NotApplied => {
                (Said::Known(standing.clone()), self.nobody_for)
            }
            Ok(standing) => (Said::Known(standing.clone()), self.known_for),
            Err(HealthOutcome::Unknown) => (Said::Nobody, self.nobody_for),
            Err(
                HealthOutcome::Green
                | HealthOutcome::Yellow
                | HealthOutcome::Red
                | HealthOutcome::NotApplied
                | HealthOutcome::QueryFailed
                | HealthOutcome::TimedOut,
            ) => return,
        };
        let mut kept = self.lock();
        kept.forget(&key);
        if keep_for.is_zero() {
            return;
        }
        kept.sweep(now);
        while kept.answers.len() >= self.answers_max {
            let Some((_, oldest)) = kept.by_end.first().copied() else {
                return;
            };
            kept.forget(&oldest);
        }
        let end = now + keep_for;
        kept.by_end.insert((end, key));
        kept.answers.insert(key, (end, said));
    }

    /// What the backend said of this key, if it is not too long ago.
    #[must_use]
    pub fn look_up(&self, now: Mono, key: &RowKey) -> Option<Said> {
        let mut kept = self.lock();
        let (end, said) = kept.answers.get(key)?;
        if *end <= now {
            kept.forget(key);
            return None;
        }
        let said = said.clone();
        drop(kept);
        match said {
            Said::Known(_) => self.known.fetch_add(1, Ordering::Relaxed),
            Said::Nobody => self.nobody.fetch_add(1, Ordering::Relaxed),
        };
        Some(said)
    }

    /// How often an answer was at hand, and how many are kept.
    #[must_use]
    pub fn counts(&self, now: Mono) -> Counts {
        let mut kept = self.lock();
        kept.sweep(now);
        Counts {
            known: self.known.load(Ordering::Relaxed),
            nobody: self.nobody.load(Ordering::Relaxed),
            kept: kept.answers.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here panics halfway through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, key: &RowKey) {
        if let Some((end, _)) = self.answers.remove(key) {
            self.by_end.remove(&(end, *key));
        }
    }

    /// Forgets what has expired.
    fn sweep(&mut self, now: Mono) {
        while let Some((end, key)) = self.by_end.first().copied() {
            if now < end {
                return;
            }
            self.forget(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Duration = Duration::from_secs(300);
    const NOBODY: Duration = Duration::from_secs(30);

    fn key(n: u8) -> RowKey {
        RowKey([n; 16])
    }

    fn at_s(s: u64) -> Mono {
        Mono::from_millis(s * 1_000)
    }

    fn standing(health: HealthOutcome) -> Standing {
        Standing {
            health,
            ..Standing::unknown()
        }
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_no_longer() {
        let learned = Learned::new(KNOWN, NOBODY);
        let green = standing(HealthOutcome::Green);
        learned.keep(at_s(10), key(1), &Ok(green.clone()));
        assert_eq!(
            learned.look_up(at_s(309), &key(1)),
            Some(Said::Known(green))
        );
        assert_eq!(learned.look_up(at_s(310), &key(1)), None);
        assert_eq!(learned.look_up(at_s(20), &key(2)), None, "nobody asked");
    }

    #[test]
    fn that_somebody_is_not_known_expires_sooner_and_so_does_not_applied() {
        let learned = Learned::new(KNOWN, NOBODY);
        learned.keep(at_s(0), key(1), &Err(HealthOutcome::Unknown));
        let not_applied = standing(HealthOutcome::NotApplied);
        learned.keep(at_s(0), key(2), &Ok(not_applied.clone()));
        assert_eq!(learned.look_up(at_s(29), &key(1)), Some(Said::Nobody));
        let said = learned.look_up(at_s(29), &key(2));
        assert_eq!(said, Some(Said::Known(not_applied)));
        assert_eq!(learned.look_up(at_s(30), &key(1)), None);
        assert_eq!(learned.look_up(at_s(30), &key(2)), None);
    }

    #[test]
    fn no_answer_is_not_kept_and_the_one_before_stays() {
        let learned = Learned::new(KNOWN, NOBODY);
        for none in [HealthOutcome::QueryFailed, HealthOutcome::TimedOut] {
            learned.keep(at_s(0), key(1), &Err(none));
        }
        assert_eq!(learned.look_up(at_s(1), &key(1)), None);
        learned.keep(at_s(1), key(1), &Ok(standing(HealthOutcome::Red)));
        learned.keep(at_s(2), key(1), &Err(HealthOutcome::TimedOut));
        assert!(matches!(
            learned.look_up(at_s(3), &key(1)),
            Some(Said::Known(_))
        ));
    }

    #[test]
    fn the_newest_answer_counts() {
        let learned = Learned::new(KNOWN, NOBODY);
        learned.keep(at_s(0), key(1), &Ok(standing(HealthOutcome::Green)));
        learned.keep(at_s(1), key(1), &Err(HealthOutcome::Unknown));
        assert_eq!(learned.look_up(at_s(2), &key(1)), Some(Said::Nobody));
        assert_eq!(learned.look_up(at_s(40), &key(1)), None);
    }

    #[test]
    fn the_store_is_bounded_and_the_next_to_expire_goes() {
        let learned = Learned::with_room(KNOWN, NOBODY, 3);
        let green = Ok(standing(HealthOutcome::Green));
        learned.keep(at_s(1), key(1), &green);
        learned.keep(at_s(0), key(2), &green);
        learned.keep(at_s(2), key(3), &Err(HealthOutcome::Unknown));
        learned.keep(at_s(3), key(4), &green);
        assert_eq!(learned.counts(at_s(4)).kept, 3);
        assert_eq!(learned.look_up(at_s(4), &key(3)), None, "it went first");
        learned.keep(at_s(5), key(5), &green);
        assert_eq!(learned.look_up(at_s(6), &key(2)), None, "it went next");
        for n in [1, 4, 5] {
            assert!(learned.look_up(at_s(6), &key(n)).is_some(), "{n}");
        }
    }

    #[test]
    fn a_lifetime_of_zero_keeps_nothing() {
        let learned = Learned::new(Duration::ZERO, Duration::ZERO);
        learned.keep(at_s(0), key(1), &Ok(standing(HealthOutcome::Green)));
        learned.keep(at_s(0), key(2), &Err(HealthOutcome::Unknown));
        assert_eq!(learned.counts(at_s(0)), Counts::default());
    }

    #[test]
    fn hits_are_counted_by_what_was_known() {
        let learned = Learned::new(KNOWN, NOBODY);
        learned.keep(at_s(0), key(1), &Ok(standing(HealthOutcome::Green)));
        learned.keep(at_s(0), key(2), &Err(HealthOutcome::Unknown));
        for n in [1, 1, 2, 3] {
            let _ = learned.look_up(at_s(1), &key(n));
        }
        let counts = learned.counts(at_s(31));
        let counts = (counts.known, counts.nobody, counts.kept);
        assert_eq!(counts, (2, 1, 1));
    }
}
