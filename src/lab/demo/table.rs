//! The closing table, for people and for machines.

use std::time::Duration;

use serde::Serialize;

use super::lane::Witness;
use crate::domain::Verdict;

/// Figures of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Seed of the run.
    pub seed: u64,
    /// People who showed something.
    pub presentations: usize,
    /// Of them granted.
    pub granted: usize,
    /// Denied.
    pub denied: usize,
    /// Sent to staff.
    pub assisted: usize,
    /// Text or card facts at hand to relay commanded, without online waits.
    pub own_share_ms: Spread,
    /// In view to relay commanded.
    pub end_to_end_ms: Spread,
    /// Most records that waited while the backend was gone.
    pub buffered: u64,
    /// Records the backend has.
    pub delivered: u64,
    /// Of them there twice.
    pub duplicates: u64,
    /// Records of the journal that the backend has not.
    pub lost: u64,
    /// People for whom something else came out than had to.
    pub unexpected: usize,
    /// One 4 KiB append made durable with fdatasync on the same disk: what no journal can beat.
    pub disk_sync_ms: Spread,
}

/// Median, tail and worst, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are not above this.
    pub p99: f64,
    /// The worst.
    pub max: f64,
}

impl Spread {
    /// The spread of these times; all zero without one.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |share: usize| {
            // The smallest time that is not below `share` of a hundred.
            let rank = (times.len() * share).div_ceil(100).saturating_sub(1);
            times
                .get(rank)
                .map_or(0.0, |time| (time.as_secs_f64() * 1e6).round() / 1e3)
        };
        Self {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

impl Table {
    /// Counts what the witnesses saw.
    #[must_use]
    pub fn of(seed: u64, witnesses: &[Witness]) -> Self {
        let verdicts = |verdict| {
            witnesses
                .iter()
                .filter_map(|w| w.decided)
                .filter(|d| d.verdict == verdict)
                .count()
        };
        let released = || witnesses.iter().filter_map(|witness| witness.released);
        Self {
            seed,
            presentations: witnesses
                .iter()
                .filter(|witness| witness.decided.is_some())
                .count(),
            granted: verdicts(Verdict::Grant),
            denied: verdicts(Verdict::Deny),
            assisted: verdicts(Verdict::Assist),
            own_share_ms: Spread::of(released().map(|(own, _)| own).collect()),
            end_to_end_ms: Spread::of(released().map(|(_, whole)| whole).collect()),
            unexpected: witnesses
                .iter()
                .filter(|witness| !witness.is_expected())
                .count(),
            ..Self::default()
        }
    }

    /// The table in lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let spread = |s: &Spread| {
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
                s.p50, s.p99, s.max
            )
        };
        let goal = if self.own_share_ms.p99 <= 20.0 {
            "the goal of 20 ms is met"
        } else {
            "the goal of 20 ms is missed"
        };
        vec![
            format!(
                "people          {} came: {} granted, {} denied, {} to staff",
                self.presentations, self.granted, self.denied, self.assisted
            ),
            format!("own share       {} ({goal})", spread(&self.own_share_ms)),
            format!("end to end      {}", spread(&self.end_to_end_ms)),
            format!(
                "the disk        {} for one 4 KiB append with fdatasync",
                spread(&self.disk_sync_ms)
            ),
            format!(
                "records         {} waited while the backend was gone; {} delivered, {} twice, {} lost",
                self.buffered, self.delivered, self.duplicates, self.lost
            ),
            format!("unexpected      {}", self.unexpected),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_taken_by_rank() {
        let times = (1..=100).map(Duration::from_millis).collect();
        let spread = Spread::of(times);
        assert_eq!(
            format!("{spread:?}"),
            "Spread { p50: 50.0, p99: 99.0, max: 100.0 }"
        );
        assert_eq!(
            format!("{:?}", Spread::of(vec![])),
            "Spread { p50: 0.0, p99: 0.0, max: 0.0 }"
        );
    }
}
