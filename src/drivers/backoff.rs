//! Waiting longer after each failure, with jitter, so that a fleet does not knock in step.

use std::time::Duration;

/// First wait.
pub const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest wait (READERS R2: 0.25 to 5 s).
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Waits of 0.25, 0.5, 1, 2, 4, 5, 5 … s, each up to a quarter longer.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
    jitter: u64,
}

impl Backoff {
    /// Starts at the shortest wait. `seed` sets the jitter.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            next: BACKOFF_MIN,
            jitter: seed | 1,
        }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(BACKOFF_MAX);
        // xorshift64: good enough to spread, and repeatable.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let quarter_us = u64::try_from(base.as_micros() / 4)
            .unwrap_or(u64::MAX)
            .max(1);
        base + Duration::from_micros(self.jitter % quarter_us)
    }

    /// The connection held: start over.
    pub const fn reset(&mut self) {
        self.next = BACKOFF_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_over() {
        let mut backoff = Backoff::new(7);
        let waits: Vec<_> = (0..8).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= BACKOFF_MIN && waits[0] < BACKOFF_MIN * 5 / 4);
        assert!(waits[7] >= BACKOFF_MAX && waits[7] < BACKOFF_MAX * 5 / 4);
        backoff.reset();
        assert!(backoff.wait() < BACKOFF_MIN * 5 / 4);
    }
}
