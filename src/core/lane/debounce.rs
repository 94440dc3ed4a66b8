//! One sensor, believed once it has kept a level for the configured time.

use std::time::Duration;

use crate::domain::Mono;

/// A debounced level.
#[derive(Clone, Copy, Debug)]
pub struct Debounced {
    keep: Duration,
    settled: bool,
    /// The other level, and since when.
    pending: Option<Mono>,
}

impl Debounced {
    /// An inactive sensor.
    #[must_use]
    pub const fn new(keep: Duration) -> Self {
        Self {
            keep,
            settled: false,
            pending: None,
        }
    }

    /// Takes a level.
    pub fn sense(&mut self, now: Mono, active: bool) {
        self.pending = (active != self.settled).then(|| self.pending.unwrap_or(now));
    }

    /// The level that is believed at `now`.
    pub fn settle(&mut self, now: Mono) -> bool {
        if self.pending.is_some_and(|since| now >= since + self.keep) {
            self.settled = !self.settled;
            self.pending = None;
        }
        self.settled
    }

    /// When a pending level will be believed.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.pending.map(|since| since + self.keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_is_not_believed_and_a_level_is() {
        let mut sensor = Debounced::new(Duration::from_millis(10));
        sensor.sense(Mono::from_millis(0), true);
        assert!(!sensor.settle(Mono::from_millis(9)));
        sensor.sense(Mono::from_millis(9), false);
        assert!(!sensor.settle(Mono::from_millis(30)));
        assert_eq!(sensor.deadline(), None);
        sensor.sense(Mono::from_millis(30), true);
        assert_eq!(sensor.deadline(), Some(Mono::from_millis(40)));
        assert!(sensor.settle(Mono::from_millis(40)));
    }
}
