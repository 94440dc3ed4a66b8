//! Lights and tones in time: steady, blinking, so many beeps.

use std::time::Duration;

use crate::domain::Mono;

/// Which light is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// None.
    #[default]
    Off,
    /// Green.
    Green,
    /// Red.
    Red,
}

/// A level over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// Off.
    #[default]
    Off,
    /// On.
    Steady,
    /// On and off for ever, starting with on.
    Blink {
        /// How long it is on.
        on_ms: u16,
        /// How long it is off.
        off_ms: u16,
    },
    /// On and off so many times, then off.
    Times {
        /// How long it is on.
        on_ms: u16,
        /// How long it is off.
        off_ms: u16,
        /// How many times.
        times: u16,
    },
}

impl Pattern {
    /// Whether it is on, so long after it began.
    #[must_use]
    pub fn is_on(self, after: Duration) -> bool {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let within = |on_ms: u16, off_ms: u16| {
            let period = (u64::from(on_ms) + u64::from(off_ms)).max(1);
            (after / period, after % period < u64::from(on_ms))
        };
        match self {
            Self::Off => false,
            Self::Steady => true,
            Self::Blink { on_ms, off_ms } => within(on_ms, off_ms).1,
            Self::Times {
                on_ms,
                off_ms,
                times,
            } => {
                let (round, on) = within(on_ms, off_ms);
                on && round < u64::from(times)
            }
        }
    }
}

/// What one side of a lane shows and sounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// The light.
    pub colour: Colour,
    /// How it is on.
    pub light: Pattern,
    /// The tone.
    pub tone: Pattern,
}

/// A signal that is being given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub(super) signal: Signal,
    pub(super) since: Mono,
}

impl Given {
    pub(super) fn lights(&self, now: Mono, colour: Colour) -> bool {
        self.signal.colour == colour && self.signal.light.is_on(now.since(self.since))
    }

    pub(super) fn sounds(&self, now: Mono) -> bool {
        self.signal.tone.is_on(now.since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(pattern: Pattern, at_ms: &[u64]) -> Vec<bool> {
        let is_on = |ms: &u64| pattern.is_on(Duration::from_millis(*ms));
        at_ms.iter().map(is_on).collect()
    }

    #[test]
    fn a_pattern_says_when_it_is_on() {
        let (on_ms, off_ms) = (100, 200);
        assert_eq!(on(Pattern::Off, &[0, 9_000]), [false, false]);
        assert_eq!(on(Pattern::Steady, &[0, 9_000]), [true, true]);
        let blink = Pattern::Blink { on_ms, off_ms };
        assert_eq!(
            on(blink, &[0, 99, 100, 299, 300, 30_050]),
            [true, true, false, false, true, true]
        );
        let twice = Pattern::Times {
            on_ms,
            off_ms,
            times: 2,
        };
        assert_eq!(
            on(twice, &[0, 100, 300, 399, 400, 600]),
            [true, false, true, true, false, false]
        );
        let nothing = Pattern::Blink {
            on_ms: 0,
            off_ms: 0,
        };
        assert_eq!(on(nothing, &[0, 1]), [false, false]);
    }
}
