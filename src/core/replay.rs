//! Codes that were used: a copy or a screenshot is refused for as long as the code could still be shown.

use std::time::Duration;

use super::expiring::{Expiring, Until};
use crate::domain::{GrantId, Now, Replay, ReplayKey, StateChange, Utc};

/// Most codes remembered. Four busy lanes see about 10 000 an hour, and a code lives for minutes.
pub(super) const SEEN_MAX: usize = 100_000;

/// The seen-set.
#[derive(Debug)]
pub(super) struct SeenSet(Expiring<ReplayKey, Option<GrantId>>);

impl SeenSet {
    /// The seen-set as it was before the restart.
    pub(super) fn new(now: Now, restored: &[(ReplayKey, Utc)]) -> Self {
        let mut seen = Expiring::new(SEEN_MAX);
        for (key, until) in restored {
            seen.insert(now, *key, Until::Utc(*until), None);
        }
        Self(seen)
    }

    /// True if this code was used. That needs no date: the same code is the same code.
    pub(super) fn contains(&self, now: Now, key: &ReplayKey) -> bool {
        self.0.get(now, key).is_some()
    }

    /// Remembers a use. What must survive a restart is returned; without a trusted date nothing can.
    pub(super) fn add(&mut self, now: Now, replay: Replay, grant: GrantId) -> Option<StateChange> {
        let window = Duration::from_secs(replay.window_s.into());
        self.0
            .insert(now, replay.key, Until::Mono(now.mono + window), Some(grant));
        Some(StateChange::Seen {
            key: replay.key,
            until: now.utc? + window,
        })
    }

    /// The use by `grant` did not happen. A later use by another grant stays.
    pub(super) fn undo(&mut self, now: Now, key: &ReplayKey, grant: GrantId) {
        if self
            .0
            .get(now, key)
            .is_some_and(|(_, by)| *by == Some(grant))
        {
            self.0.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Mono;

    const CODE: Replay = Replay {
        key: ReplayKey([7; 32]),
        window_s: 60,
    };

    fn at(s: u64) -> Now {
        Now {
            mono: Mono::from_millis(s * 1000),
            utc: Some(Utc::from_secs(1_000 + s)),
            ..Now::default()
        }
    }

    #[test]
    fn a_code_is_remembered_for_its_window_and_no_longer() {
        let mut seen = SeenSet::new(at(0), &[]);
        assert_eq!(
            seen.add(at(0), CODE, GrantId(1)),
            Some(StateChange::Seen {
                key: CODE.key,
                until: Utc::from_secs(1_060)
            })
        );
        assert!(seen.contains(at(60), &CODE.key));
        assert!(!seen.contains(at(61), &CODE.key));
    }

    #[test]
    fn only_the_grant_that_used_a_code_can_undo_the_use() {
        let mut seen = SeenSet::new(at(0), &[]);
        seen.add(at(0), CODE, GrantId(1));
        seen.undo(at(1), &CODE.key, GrantId(2));
        assert!(seen.contains(at(1), &CODE.key));
        seen.undo(at(1), &CODE.key, GrantId(1));
        assert!(!seen.contains(at(1), &CODE.key));
    }

    #[test]
    fn however_many_are_used_so_many_are_remembered_and_over_a_restart_too() {
        let key = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            ReplayKey(key)
        };
        let all = SEEN_MAX + 50;
        let use_of = |n| Replay {
            key: key(n),
            window_s: 60,
        };
        let mut seen = SeenSet::new(at(0), &[]);
        let mut kept = Vec::new();
        for n in 0..all {
            // The first ones are over first.
            let second = u64::try_from(n / 10_000).unwrap();
            match seen.add(at(second), use_of(n), GrantId(1)) {
                Some(StateChange::Seen { key, until }) => kept.push((key, until)),
                other => panic!("{other:?}"),
            }
        }
        let again = SeenSet::new(at(11), &kept);
        for set in [&seen, &again] {
            let known = (0..all).filter(|n| set.contains(at(11), &key(*n)));
            assert_eq!(known.count(), SEEN_MAX);
            assert!(set.contains(at(11), &key(all - 1)));
        }
    }

    #[test]
    fn a_use_before_the_restart_counts_even_while_the_date_is_unknown() {
        let seen = SeenSet::new(at(0), &[(CODE.key, Utc::from_secs(1_010))]);
        let dateless = Now {
            utc: None,
            ..at(500)
        };
        assert!(seen.contains(dateless, &CODE.key));
        assert!(!seen.contains(at(11), &CODE.key));
    }
}
