//! The last hour for the charts of the status page, and how long records have waited for the backend.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Mono, Outcome, Verdict};
use crate::store::journal::JournalStatus;
use crate::telemetry::hour::Hour;
use crate::telemetry::status::MachineStatus;

/// What is counted by the minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    hour: Arc<Hour>,
    /// Since when records wait, and up to which all were acknowledged then.
    waiting: Option<(Mono, u64)>,
}

impl Minutes {
    /// The last hour as it stands.
    pub(super) fn hour(&self) -> Arc<Hour> {
        Arc::clone(&self.hour)
    }

    pub(super) fn decided(&mut self, now: Mono, verdict: Verdict) {
        let minute = Arc::make_mut(&mut self.hour).minute(since_start(now));
        let count = match verdict {
            Verdict::Grant => &mut minute.granted,
            Verdict::Deny => &mut minute.denied,
            Verdict::Assist => &mut minute.assisted,
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn released(&mut self, now: Mono, own_share: Duration) {
        let minute = Arc::make_mut(&mut self.hour).minute(since_start(now));
        let own_share = u64::try_from(own_share.as_micros()).unwrap_or(u64::MAX);
        minute.slowest_us = minute.slowest_us.max(own_share);
    }

    pub(super) fn ended(&mut self, now: Mono, outcome: Outcome) {
        let minute = Arc::make_mut(&mut self.hour).minute(since_start(now));
        let count = match outcome.as_str() {
            "passed" | "passed_uncontrolled" => &mut minute.passed,
            "intrusion" | "tailgating" | "forced" => &mut minute.intruded,
            _ => return,
        };
        *count = count.saturating_add(1);
    }

    /// What is true of the whole minute; gives how long records have waited without an acknowledgement.
    pub(super) fn tick(
        &mut self,
        now: Mono,
        journal: &JournalStatus,
        machine: &MachineStatus,
    ) -> Duration {
        let minute = Arc::make_mut(&mut self.hour).minute(since_start(now));
        minute.backlog = minute.backlog.max(journal.backlog);
        let warmest = machine.celsius.iter().map(|(_, celsius)| *celsius);
        minute.celsius = warmest.reduce(f64::max);
        let since = match self.waiting {
            _ if journal.backlog == 0 => None,
            Some((since, acked)) if acked == journal.acked_seq => Some(since),
            Some(_) | None => Some(now),
        };
        self.waiting = since.map(|since| (since, journal.acked_seq));
        since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

fn since_start(now: Mono) -> Duration {
    Duration::from_millis(now.as_millis())
}
