//! Levels that must stay before they count.

use std::time::Duration;

use crate::domain::{Levels, Mono, Sensor};

const SENSORS: &[Sensor] = Sensor::ALL;

/// The sensors of one lane.
#[derive(Debug)]
pub(super) struct Debounce {
    time: Duration,
    raw: Levels,
    stable: Levels,
    /// Since when a sensor has differed from what counts.
    since: [Option<Mono>; SENSORS.len()],
}

impl Debounce {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            raw: Levels::default(),
            stable: Levels::default(),
            since: [None; SENSORS.len()],
        }
    }

    /// Takes levels as they are now; gives those that count.
    pub(super) fn sense(&mut self, now: Mono, levels: Levels) -> Levels {
        self.raw = levels;
        for (sensor, since) in SENSORS.iter().copied().zip(&mut self.since) {
            let active = levels.is_active(sensor);
            *since = (active != self.stable.is_active(sensor)).then(|| since.unwrap_or(now));
        }
        self.timed_out(now)
    }

    /// Lets those levels count that have stayed long enough.
    pub(super) fn timed_out(&mut self, now: Mono) -> Levels {
        for (sensor, since) in SENSORS.iter().copied().zip(&mut self.since) {
            if since.is_some_and(|since| since + self.time <= now) {
                *since = None;
                self.stable = self.stable.with(sensor, self.raw.is_active(sensor));
            }
        }
        self.stable
    }

    /// When the next level counts. Until then the sensors are not settled.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let since = self.since.iter().flatten().min()?;
        Some(*since + self.time)
    }

    /// True if none of these sensors is active, not even for an instant.
    pub(super) const fn is_quiet(&self, of: Levels) -> bool {
        self.raw.or(self.stable).only(of).is_quiet()
    }

    /// The levels that count.
    pub(super) const fn levels(&self) -> Levels {
        self.stable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: fn() -> Levels = || Levels::default().with(Sensor::EntryBeam, true);

    fn ms(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    #[test]
    fn a_level_counts_once_it_has_stayed_and_repeats_do_not_start_it_over() {
        let mut sensors = Debounce::new(Duration::from_millis(10));
        assert_eq!(sensors.sense(ms(0), BROKEN()), Levels::default());
        assert_eq!(sensors.sense(ms(6), BROKEN()), Levels::default());
        assert_eq!(sensors.deadline(), Some(ms(10)));
        assert_eq!(sensors.timed_out(ms(10)), BROKEN());
        assert_eq!(sensors.deadline(), None);
    }

    #[test]
    fn a_flicker_does_not_count_but_is_not_quiet_either() {
        let mut sensors = Debounce::new(Duration::from_millis(10));
        sensors.sense(ms(0), BROKEN());
        assert!(!sensors.is_quiet(BROKEN()));
        sensors.sense(ms(5), Levels::default());
        assert_eq!(sensors.timed_out(ms(50)), Levels::default());
        assert!(sensors.is_quiet(BROKEN()));
    }

    #[test]
    fn a_clock_that_goes_back_is_harmless() {
        let mut sensors = Debounce::new(Duration::from_millis(10));
        sensors.sense(ms(100), BROKEN());
        assert_eq!(sensors.timed_out(ms(1)), Levels::default());
        assert_eq!(sensors.timed_out(ms(110)), BROKEN());
    }
}
