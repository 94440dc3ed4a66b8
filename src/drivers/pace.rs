//! How fast one reader may present. People show one thing after another; a scanner that has gone mad, or a screen that
//! changes with every frame, shows thousands a minute. Each would be looked up, decided, recorded and perhaps asked
//! about. What comes faster than people can is dropped here, in front of the channel that all readers share: the lane
//! beside, the journal and the backend do not notice, and once it ends the reader serves again within [`EVERY`].

use std::time::Duration;

use crate::domain::Mono;

/// Presentations that may come at once.
pub const BURST: u32 = 10;
/// After those, one in so long: twice as fast as a full aisle. In a minute at most 130.
pub const EVERY: Duration = Duration::from_millis(500);

/// The pace of one reader.
#[derive(Debug, Default)]
pub struct Pace {
    /// When everything that was let in would have come, one every [`EVERY`].
    filled_until: Mono,
}

impl Pace {
    /// Takes one presentation; false if it is one too many.
    pub fn admits(&mut self, now: Mono) -> bool {
        let filled_until = self.filled_until.max(now);
        let admits = filled_until.since(now) <= EVERY * (BURST - 1);
        if admits {
            self.filled_until = filled_until + EVERY;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    #[test]
    fn people_are_always_served() {
        let mut pace = Pace::default();
        for n in 0..10_000 {
            // Sixty a minute, and now and then somebody who taps five times.
            assert!(pace.admits(ms(n * 1_000)));
            if n % 60 == 0 {
                assert!((0..5).all(|nth| pace.admits(ms(n * 1_000 + nth))));
            }
        }
    }

    #[test]
    fn of_ten_thousand_in_a_minute_a_hundred_and_thirty_are_served_and_the_next_one_is() {
        let mut pace = Pace::default();
        let served = (0..10_000)
            .filter(|n| pace.admits(ms(1_000 + n * 6)))
            .count();
        assert!((129..=130).contains(&served), "{served}");
        assert!(pace.admits(ms(61_500)));
    }

    #[test]
    fn a_clock_that_goes_back_is_harmless() {
        let mut pace = Pace::default();
        let served = (0..20).filter(|_| pace.admits(ms(10_000))).count();
        assert_eq!(served, 10);
        assert!(!pace.admits(ms(1)));
        assert!(pace.admits(ms(10_500)));
    }
}
