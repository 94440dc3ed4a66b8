//! A bounded map whose rows expire. What happened in this process is timed by the monotonic clock, what was
//! restored by the date; a row restored while the date is not trusted stays until the date is back.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Mono, Now, Utc};

/// When a row is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// By the monotonic clock of this process.
    Mono(Mono),
    /// By the date: restored after a restart.
    Utc(Utc),
}

impl Until {
    /// True if the clocks say it is over; false if they do not know.
    fn is_over(self, now: Now) -> bool {
        match self {
            Self::Mono(until) => until < now.mono,
            Self::Utc(until) => now.utc.is_some_and(|utc| until < utc),
        }
    }

    /// True if the clock that this needs can be read.
    pub(super) const fn is_dated(self, now: Now) -> bool {
        match self {
            Self::Mono(_) => true,
            Self::Utc(_) => now.utc.is_some(),
        }
    }
}

/// The map. At its limit the row that would expire first goes, whatever its clock.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    rows: BTreeMap<K, (Until, V)>,
    by_mono: BTreeSet<(Mono, K)>,
    by_utc: BTreeSet<(Utc, K)>,
    rows_max: usize,
}

impl<K: Copy + Ord, V> Expiring<K, V> {
    pub(super) const fn new(rows_max: usize) -> Self {
        Self {
            rows: BTreeMap::new(),
            by_mono: BTreeSet::new(),
            by_utc: BTreeSet::new(),
            rows_max,
        }
    }

    /// The row of `key`, if it has not expired.
    pub(super) fn get(&self, now: Now, key: &K) -> Option<(Until, &V)> {
        let (until, value) = self.rows.get(key)?;
        (!until.is_over(now)).then_some((*until, value))
    }

    /// Sets the row of `key`; forgets what has expired, and the next to expire if there is no room.
    pub(super) fn insert(&mut self, now: Now, key: K, until: Until, value: V) {
        self.remove(&key);
        self.sweep(now);
        while self.rows.len() >= self.rows_max {
            let Some(oldest) = self.next_by_utc().or_else(|| self.next_by_mono()) else {
                return;
            };
            self.remove(&oldest);
        }
        match until {
            Until::Mono(at) => self.by_mono.insert((at, key)),
            Until::Utc(at) => self.by_utc.insert((at, key)),
        };
        self.rows.insert(key, (until, value));
    }

    /// Forgets `key`.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (until, value) = self.rows.remove(key)?;
        match until {
            Until::Mono(at) => self.by_mono.remove(&(at, *key)),
            Until::Utc(at) => self.by_utc.remove(&(at, *key)),
        };
        Some(value)
    }

    fn next_by_mono(&self) -> Option<K> {
        self.by_mono.first().map(|(_, key)| *key)
    }

    /// Restored rows are older than any of this process: they make room first.
    fn next_by_utc(&self) -> Option<K> {
        self.by_utc.first().map(|(_, key)| *key)
    }

    fn sweep(&mut self, now: Now) {
        for next in [Self::next_by_mono, Self::next_by_utc] {
            while let Some(key) = next(self) {
                if !self.rows.get(&key).is_some_and(|row| row.0.is_over(now)) {
                    break;
                }
                self.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64, utc_s: Option<u64>) -> Now {
        Now {
            mono: Mono::from_millis(s * 1000),
            utc: utc_s.map(Utc::from_secs),
            ..Now::default()
        }
    }

    #[test]
    fn a_row_is_forgotten_when_its_time_is_over() {
        let mut map = Expiring::new(10);
        map.insert(at(0, None), 1, Until::Mono(Mono::from_millis(5_000)), 'a');
        assert!(map.get(at(5, None), &1).is_some());
        assert!(map.get(at(6, None), &1).is_none());
        map.insert(at(6, None), 2, Until::Mono(Mono::from_millis(9_000)), 'b');
        assert_eq!(map.rows.len(), 1, "swept, not only hidden");
    }

    #[test]
    fn a_restored_row_stays_while_nobody_knows_the_date() {
        let mut map = Expiring::new(10);
        map.insert(at(0, None), 1, Until::Utc(Utc::from_secs(100)), 'a');
        let (until, _) = map.get(at(1_000_000, None), &1).unwrap();
        assert!(!until.is_dated(at(1_000_000, None)));
        assert!(map.get(at(1, Some(100)), &1).is_some());
        assert!(map.get(at(1, Some(101)), &1).is_none());
    }

    #[test]
    fn it_never_holds_more_than_its_limit_and_drops_what_expires_first() {
        let mut map = Expiring::new(3);
        map.insert(at(0, None), 0, Until::Utc(Utc::from_secs(1)), ());
        for n in 1..100u64 {
            map.insert(at(0, None), n, Until::Mono(Mono::from_millis(n)), ());
            assert!(map.rows.len() <= 3);
            assert_eq!(map.rows.len(), map.by_mono.len() + map.by_utc.len());
        }
        assert!(map.get(at(0, None), &99).is_some() && map.get(at(0, None), &96).is_none());
    }

    #[test]
    fn setting_a_row_again_leaves_no_trace_of_the_old_time() {
        let mut map = Expiring::new(3);
        map.insert(at(0, None), 7, Until::Mono(Mono::from_millis(1)), 'a');
        map.insert(at(0, None), 7, Until::Mono(Mono::from_millis(9)), 'b');
        assert_eq!((map.by_mono.len(), map.remove(&7)), (1, Some('b')));
        assert!(map.by_mono.is_empty());
    }
}
