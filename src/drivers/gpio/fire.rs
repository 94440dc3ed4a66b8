//! The fire loop and key switches are believed once they have kept their state for a moment.

use std::time::Duration;

use crate::domain::Mono;

/// How long the fire loop has to stay open, or closed, before it is believed: five polls. A spark on a long wire
/// must not empty a station, and ten milliseconds do not matter in a fire.
pub const FIRE_CONFIRM: Duration = Duration::from_millis(10);

/// How long a key switch has to stand at a position: it passes others on the way, and its contacts bounce.
pub(super) const KEY_CONFIRM: Duration = Duration::from_millis(50);

/// What is known of an input that has to keep its state to be believed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steady<T> {
    /// Its state; `None` until the first has been kept.
    pub(super) believed: Option<T>,
    candidate: Option<(T, Mono)>,
}

impl<T: Copy + PartialEq> Steady<T> {
    /// Takes one reading; true if it changes what is believed.
    pub(super) fn see(&mut self, state: T, now: Mono, confirm: Duration) -> bool {
        let since = match self.candidate {
            Some((same, since)) if same == state => since,
            Some(_) | None => now,
        };
        self.candidate = Some((state, since));
        if self.believed == Some(state) || now.since(since) < confirm {
            return false;
        }
        self.believed = Some(state);
        true
    }
}

/// What is known of the fire loop: true for a fire.
pub(super) type Fire = Steady<bool>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_is_no_fire_and_an_open_loop_is_one_after_ten_milliseconds() {
        let mut fire = Fire::default();
        let mut see = |ms, open| {
            let changed = fire.see(open, Mono::from_millis(ms), FIRE_CONFIRM);
            (changed, fire.believed)
        };
        assert_eq!(see(0, false), (false, None));
        assert_eq!(see(10, false), (true, Some(false)));
        assert_eq!(see(12, true), (false, Some(false)), "a spark");
        assert_eq!(see(14, false), (false, Some(false)));
        assert_eq!(see(20, true), (false, Some(false)));
        assert_eq!(see(29, true), (false, Some(false)));
        assert_eq!(see(30, true), (true, Some(true)));
        assert_eq!(see(32, true), (false, Some(true)));
        assert_eq!(
            see(34, false),
            (false, Some(true)),
            "the end has to be sure as well"
        );
        assert_eq!(see(44, false), (true, Some(false)));
    }
}
