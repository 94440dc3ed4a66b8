//! The last hour of a gate, minute by minute, kept in memory for the charts of its status page.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// Minutes that are kept.
pub const MINUTES: usize = 60;

/// What happened in one minute. Counts of people, never who they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Minute {
    /// Minutes since the start.
    pub number: u64,
    /// Grants.
    pub granted: u32,
    /// Refusals.
    pub denied: u32,
    /// People whom staff were called for.
    pub assisted: u32,
    /// Passages that the sensors saw.
    pub passed: u32,
    /// Crossings without a grant.
    pub intruded: u32,
    /// Slowest own share of a grant, microseconds; 0 without one.
    pub slowest_us: u64,
    /// Most records that waited for the backend.
    pub backlog: u64,
    /// Warmest part of the board, degrees Celsius, where it tells.
    pub celsius: Option<f64>,
}

/// The newest minutes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hour {
    past: VecDeque<Minute>,
    now: Minute,
}

impl Hour {
    /// The minute that `uptime` is in, to be written in. A minute in which nothing happened is kept too.
    pub fn minute(&mut self, uptime: Duration) -> &mut Minute {
        let number = uptime.as_secs() / 60;
        let kept = u64::try_from(MINUTES).unwrap_or(u64::MAX);
        if number.saturating_sub(self.now.number) > kept {
            // The clock of a machine that slept: nothing of the hour before is left.
            self.past.clear();
            self.now = Minute {
                number: number.saturating_sub(kept),
                ..Minute::default()
            };
        }
        while self.now.number < number {
            self.past.push_back(self.now);
            self.past
                .drain(..self.past.len().saturating_sub(MINUTES - 1));
            self.now = Minute {
                number: self.now.number + 1,
                ..Minute::default()
            };
        }
        &mut self.now
    }

    /// The minutes that are kept, the oldest first.
    pub fn minutes(&self) -> impl Iterator<Item = &Minute> {
        self.past.iter().chain(std::iter::once(&self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes + 7)
    }

    #[test]
    fn an_hour_is_kept_minute_by_minute_and_no_more() {
        let mut hour = Hour::default();
        for minute in [0, 1, 3, 70] {
            hour.minute(at(minute)).granted += 1;
        }
        let kept: Vec<_> = hour.minutes().collect();
        assert_eq!(kept.len(), MINUTES);
        let numbers: Vec<_> = kept.iter().map(|minute| minute.number).collect();
        assert_eq!(numbers, (11..=70).collect::<Vec<_>>());
        assert_eq!(kept.iter().map(|minute| minute.granted).sum::<u32>(), 1);
    }

    #[test]
    fn a_long_sleep_costs_no_more_than_an_hour() {
        let mut hour = Hour::default();
        hour.minute(at(2)).denied = 5;
        hour.minute(Duration::from_secs(u64::MAX)).granted = 1;
        assert_eq!(hour.minutes().count(), MINUTES);
        assert!(hour.minutes().all(|minute| minute.denied == 0));
    }

    #[test]
    fn what_comes_late_counts_for_the_newest_minute() {
        let mut hour = Hour::default();
        hour.minute(at(5)).granted = 1;
        hour.minute(at(4)).granted += 1;
        assert_eq!(hour.minutes().last().map(|minute| minute.granted), Some(2));
    }
}
