//! Codes that were used, remembered for as long as a copy of one could still be valid.

use std::collections::BTreeMap;

use crate::domain::{Mono, Now, Replay, ReplayKey, Utc};

/// Codes remembered at once; at 60 people a minute and 20 minutes of window a lane needs about 1,200.
const SEEN_MAX: usize = 100_000;

/// How long an entry counts: by the monotonic clock in the process that saw it, by date after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Mono(Mono),
    Utc(Utc),
}

impl Until {
    fn is_over(self, now: Now) -> bool {
        match self {
            Self::Mono(until) => now.mono > until,
            // Without a trusted date nobody can say that it is over.
            Self::Utc(until) => now.utc.is_some_and(|utc| utc > until),
        }
    }
}

/// The seen-set.
#[derive(Clone, Debug, Default)]
pub struct SeenSet {
    seen: BTreeMap<ReplayKey, Until>,
}

impl SeenSet {
    /// What was remembered before a restart.
    #[must_use]
    pub fn restore(seen: &[(ReplayKey, Utc)]) -> Self {
        Self {
            seen: seen
                .iter()
                .take(SEEN_MAX)
                .map(|(key, until)| (*key, Until::Utc(*until)))
                .collect(),
        }
    }

    /// True if the code was used and the memory of it still counts.
    #[must_use]
    pub fn is_seen(&self, now: Now, key: &ReplayKey) -> bool {
        self.seen.get(key).is_some_and(|until| !until.is_over(now))
    }

    /// Remembers a use.
    pub fn remember(&mut self, now: Now, replay: &Replay) {
        if self.seen.len() >= SEEN_MAX {
            self.seen.retain(|_, until| !until.is_over(now));
        }
        if self.seen.len() >= SEEN_MAX {
            // Every entry still counts: a flood. The set stays bounded, and passback still holds.
            self.seen.pop_first();
        }
        let window = std::time::Duration::from_secs(replay.window_s.into());
        self.seen.insert(replay.key, Until::Mono(now.mono + window));
    }

    /// Forgets a use that did not happen.
    pub fn forget(&mut self, key: &ReplayKey) {
        self.seen.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: Replay = Replay {
        key: ReplayKey([3; 32]),
        window_s: 60,
    };

    fn at(mono_s: u64, utc_s: Option<u64>) -> Now {
        Now {
            mono: Mono::from_millis(mono_s * 1000),
            utc: utc_s.map(Utc::from_secs),
            ..Now::default()
        }
    }

    #[test]
    fn a_code_is_remembered_for_its_window_and_no_longer() {
        let mut seen = SeenSet::default();
        seen.remember(at(0, None), &CODE);
        assert!(seen.is_seen(at(60, None), &CODE.key));
        assert!(!seen.is_seen(at(61, None), &CODE.key));
    }

    #[test]
    fn a_clock_step_of_a_year_does_not_free_a_code() {
        let mut seen = SeenSet::default();
        seen.remember(at(0, Some(1_000)), &CODE);
        assert!(seen.is_seen(at(5, Some(1_000 + 365 * 86_400)), &CODE.key));
    }

    #[test]
    fn after_a_restart_the_date_counts_and_without_one_the_code_stays_used() {
        let seen = SeenSet::restore(&[(CODE.key, Utc::from_secs(500))]);
        assert!(seen.is_seen(at(0, Some(500)), &CODE.key));
        assert!(seen.is_seen(at(0, None), &CODE.key));
        assert!(!seen.is_seen(at(0, Some(501)), &CODE.key));
    }

    #[test]
    fn a_flood_of_codes_does_not_grow_the_set_without_bound() {
        let mut seen = SeenSet::default();
        for n in 0..SEEN_MAX + 10 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            seen.remember(
                at(0, None),
                &Replay {
                    key: ReplayKey(key),
                    window_s: 60,
                },
            );
        }
        assert_eq!(seen.seen.len(), SEEN_MAX);
    }
}
