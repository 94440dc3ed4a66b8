//! The duty cycle of a solenoid: how much of a minute it may be powered.

use std::time::Duration;

use crate::domain::Mono;

/// Over which time the share is counted.
const WINDOW_US: u64 = 60_000_000;

/// A solenoid, as warm as its last minute has made it.
#[derive(Debug)]
pub(super) struct Duty {
    /// The share in percent; 100: no limit.
    percent: u64,
    /// Time powered that has not been rested off, in hundredths of a microsecond.
    spent: u64,
    powered: bool,
    at: Mono,
}

impl Duty {
    pub(super) fn new(percent: u8) -> Self {
        Self {
            percent: u64::from(percent),
            spent: 0,
            powered: false,
            at: Mono::default(),
        }
    }

    /// The solenoid is powered, or falls.
    pub(super) fn power(&mut self, now: Mono, on: bool) {
        self.count(now);
        self.powered = on;
    }

    /// True if it must rest before it is powered for so long again.
    pub(super) fn must_rest(&mut self, now: Mono, pulse: Duration) -> bool {
        self.count(now);
        let pulse = u64::try_from(pulse.as_micros())
            .unwrap_or(WINDOW_US)
            .min(WINDOW_US);
        let limit = self.percent.saturating_mul(WINDOW_US);
        // One pulse after a long rest is always allowed: nobody is kept in by a small share.
        self.percent < 100 && self.spent > limit.saturating_sub(pulse.saturating_mul(100))
    }

    fn count(&mut self, now: Mono) {
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        if self.powered {
            self.spent = self.spent.saturating_add(passed.saturating_mul(100));
        }
        self.spent = self
            .spent
            .saturating_sub(passed.saturating_mul(self.percent));
        self.spent = self.spent.min(WINDOW_US.saturating_mul(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PULSE: Duration = Duration::from_secs(1);

    fn at(s: u64) -> Mono {
        Mono::from_millis(s * 1_000)
    }

    #[test]
    fn a_solenoid_rests_once_its_share_of_a_minute_is_spent() {
        // A tenth of a minute is six seconds.
        let mut duty = Duty::new(10);
        let mut pulses = 0;
        for second in (0..20).step_by(2) {
            if !duty.must_rest(at(second), PULSE) {
                duty.power(at(second), true);
                duty.power(at(second + 1), false);
                pulses += 1;
            }
        }
        assert_eq!(pulses, 7, "six, and what was rested off meanwhile");
        assert!(duty.must_rest(at(19), PULSE));
        assert!(!duty.must_rest(at(40), PULSE), "it has rested");
    }

    #[test]
    fn without_a_limit_it_never_rests() {
        let mut duty = Duty::new(100);
        duty.power(at(0), true);
        assert!(!duty.must_rest(at(10_000), PULSE));
    }
}
