//! Waiting longer after each failure, with jitter, so that a fleet does not knock in step.

use std::time::Duration;

/// Doubles from `min` to `max`, each wait up to a quarter longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    jitter: u64,
}

impl Backoff {
    /// The backend is away: it may be back any second.
    pub(super) const fn of_link(seed: u64) -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(5), seed)
    }

    /// What came is not believed, or cannot be stored: a person has to look at it.
    pub(super) const fn of_content(seed: u64) -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60), seed)
    }

    const fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max,
            next: min,
            // xorshift must not start from zero.
            jitter: seed | 1,
        }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(self.max);
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let quarter_us = u64::try_from(base.as_micros() / 4).unwrap_or(u64::MAX);
        base + Duration::from_micros(self.jitter % quarter_us.max(1))
    }

    /// It worked: start over.
    pub(super) const fn reset(&mut self) {
        self.next = self.min;
    }
}

/// A seed out of a name: gates differ in theirs, so they do not knock in step.
pub(super) fn seed(name: &str) -> u64 {
    // FNV-1a.
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
