//! The fire loop is believed once it has kept its state for a moment.

use std::time::Duration;

use crate::domain::Mono;

/// How long the fire loop has to stay open, or closed, before it is believed: five polls. A spark on a long wire
/// must not empty a station, and ten milliseconds do not matter in a fire.
pub const FIRE_CONFIRM: Duration = Duration::from_millis(10);

/// What is known of the fire loop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fire {
    /// True for a fire; `None` until the first state has been kept.
    pub(super) believed: Option<bool>,
    candidate: Option<(bool, Mono)>,
}

impl Fire {
    /// Takes one reading; true if it changes what is believed.
    pub(super) fn see(&mut self, open: bool, now: Mono) -> bool {
        let since = match self.candidate {
            Some((same, since)) if same == open => since,
            Some(_) | None => now,
        };
        self.candidate = Some((open, since));
        if self.believed == Some(open) || now.since(since) < FIRE_CONFIRM {
            return false;
        }
        self.believed = Some(open);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_is_no_fire_and_an_open_loop_is_one_after_ten_milliseconds() {
        let mut fire = Fire::default();
        let mut see = |ms, open| {
            let changed = fire.see(open, Mono::from_millis(ms));
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
