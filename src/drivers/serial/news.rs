//! What a reader has to say and has not said yet, and when a line counts as noisy.

use std::time::Duration;

use tokio::time::Instant;

use crate::drivers::{PortNews, ReaderReport};
use crate::proto::osdp::Provisioned;

/// Faults, and what came too fast, are told together, this long after the first.
const COUNTS_PERIOD: Duration = Duration::from_secs(1);
/// A line is degraded by so many faults …
const NOISE_MAX: u32 = 5;
/// … within this, and good again after this without any.
const NOISE_TIME: Duration = Duration::from_secs(10);

/// News that waits for room in the channel.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) up: Option<bool>,
    pub(super) tamper: Option<bool>,
    pub(super) power_failure: Option<bool>,
    pub(super) not_authentic: u32,
    pub(super) too_fast: u32,
    pub(super) faults: u32,
    pub(super) port: Option<PortNews>,
    pub(super) provisioned: Option<Provisioned>,
    pub(super) identity: Option<String>,
    /// When counts are told.
    counts_due: Option<Instant>,
}

impl Waiting {
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let is_told = self.up.is_none()
            && self.port.is_none()
            && self.identity.is_none()
            && self.provisioned.is_none()
            && self.tamper.is_none()
            && self.power_failure.is_none();
        if !is_told || self.not_authentic > 0 {
            return Some(now);
        }
        self.counts_due
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<ReaderReport> {
        if let Some(up) = self.up.take() {
            return Some(ReaderReport::Up(up));
        }
        if let Some(port) = self.port.take() {
            return Some(ReaderReport::Port(port));
        }
        if let Some(identity) = self.identity.take() {
            return Some(ReaderReport::Identified(identity));
        }
        if let Some(how) = self.provisioned.take() {
            return Some(ReaderReport::Provisioned(how));
        }
        if let Some(on) = self.tamper.take() {
            return Some(ReaderReport::Tamper(on));
        }
        if let Some(on) = self.power_failure.take() {
            return Some(ReaderReport::PowerFailure(on));
        }
        if self.not_authentic > 0 {
            self.not_authentic -= 1;
            return Some(ReaderReport::NotAuthentic);
        }
        let due = self.counts_due.filter(|due| *due <= now)?;
        if self.too_fast > 0 {
            return Some(ReaderReport::TooFast(std::mem::take(&mut self.too_fast)));
        }
        self.counts_due.take_if(|at| *at == due);
        (self.faults > 0).then(|| ReaderReport::Faults(std::mem::take(&mut self.faults)))
    }

    /// Counts are told a while after the first of them.
    pub(super) fn tell_counts(&mut self) {
        let due = Instant::now() + COUNTS_PERIOD;
        self.counts_due.get_or_insert(due);
    }
}

/// How noisy a line is. It counts as degraded from so many faults on, and until it was good for a while.
pub(super) struct Noise {
    since: Instant,
    count: u32,
    last: Instant,
}

impl Noise {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            count: 0,
            last: now,
        }
    }

    /// So many faults more; true if that is too much.
    pub(super) fn hears(&mut self, faults: u32) -> bool {
        let now = Instant::now();
        if now - self.since > NOISE_TIME {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(faults);
        self.last = now;
        self.count >= NOISE_MAX
    }

    /// From when on the line is good again.
    pub(super) fn over_at(&self) -> Instant {
        self.last + NOISE_TIME
    }
}
