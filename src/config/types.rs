//! Values that are checked as they are parsed: a value in hand is a valid one.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident: $inner:ty, $unit:literal, $min:literal ..= $max:literal, default $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name($inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let number = d.deserialize_i64(Number { unit: $unit, min: $min, max: $max })?;
                Self::try_from(number).map_err(D::Error::custom)
            }
        }

        impl $name {
            /// The number, in the unit of the key.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfRange;

            fn try_from(value: i64) -> Result<Self, OutOfRange> {
                match <$inner>::try_from(value) {
                    Ok(inner) if ($min..=$max).contains(&inner) => Ok(Self(inner)),
                    _ => Err(OutOfRange { value, unit: $unit, min: $min, max: $max }),
                }
            }
        }
    };
    ($(#[$doc:meta])* time $name:ident, $unit:literal, $scale:literal, $min:literal ..= $max:literal, default $default:literal) => {
        bounded! { $(#[$doc])* $name: u64, $unit, $min..=$max, default $default }

        impl $name {
            /// The same as a duration.
            #[must_use]
            pub const fn duration(self) -> Duration {
                Duration::from_millis(self.0 * $scale)
            }
        }
    };
}

/// Reads a whole number, and says the allowed range where something else stands.
struct Number {
    unit: &'static str,
    min: u64,
    max: u64,
}

impl Visitor<'_> for Number {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, min, max } = self;
        write!(f, "a whole number from {min} to {max}{}", spaced(unit))
    }

    fn visit_i64<E>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<i64, E> {
        Ok(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

fn spaced(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    }
}

/// A number outside the range its key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value}{} is outside {min} to {max}{}", spaced(.unit), spaced(.unit))]
pub struct OutOfRange {
    value: i64,
    unit: &'static str,
    min: u64,
    max: u64,
}

bounded! {
    /// How long the barrier stays released for a person who does not come.
    time ReleaseTime, "ms", 1, 500..=30_000, default 5_000
}
bounded! {
    /// How long a tripod's solenoid is powered.
    time PulseTime, "ms", 1, 50..=5_000, default 500
}
bounded! {
    /// How long a sensor must keep a level before it counts.
    time DebounceTime, "ms", 1, 0..=200, default 10
}
bounded! {
    /// How long the aisle may stay occupied before it counts as obstructed.
    time ObstructionTime, "ms", 1, 2_000..=120_000, default 10_000
}
bounded! {
    /// How long a leaf takes from one end to the other.
    time TravelTime, "ms", 1, 200..=15_000, default 2_000
}
bounded! {
    /// Whoever steps in sooner behind another is tailgating.
    time FollowerGap, "ms", 1, 0..=10_000, default 1_000
}
bounded! {
    /// How many grants of one direction may be open at once.
    GroupSize: u8, "grants", 1..=8, default 1
}
bounded! {
    /// How much of a minute a solenoid may be powered.
    DutyCycle: u8, "percent", 1..=100, default 100
}
bounded! {
    /// How long the backend is waited for.
    time ResolveTime, "ms", 1, 50..=1_500, default 800
}
bounded! {
    /// How long the answer to a claim is waited for.
    time ClaimTime, "ms", 1, 10..=150, default 150
}
bounded! {
    /// How long an answer of the backend is kept for the next time.
    time LearnedTime, "s", 1_000, 0..=86_400, default 300
}
bounded! {
    /// How long it is kept that the backend does not know somebody.
    time UnknownTime, "s", 1_000, 0..=3_600, default 30
}
bounded! {
    /// How long a grant may take to become durable before the site's rule applies.
    time StallTime, "ms", 1, 50..=2_000, default 300
}
bounded! {
    /// From which age a list counts as stale.
    time StaleAfter, "minutes", 60_000, 1..=43_200, default 1_440
}
bounded! {
    /// How long passback remembers who went through.
    time PassbackTime, "minutes", 60_000, 1..=2_880, default 240
}
bounded! {
    /// How long a camera exposes a frame.
    ExposureTime: u32, "us", 100..=33_000, default 8_000
}
bounded! {
    /// A number of a camera's control, which is its maker's own.
    ControlValue: u32, "", 0..=65_535, default 0
}
bounded! {
    /// Frames a second.
    FrameRate: u32, "frames/s", 1..=120, default 30
}
bounded! {
    /// Largest size of the journal.
    JournalSize: u64, "MiB", 8..=65_536, default 1_024
}
bounded! {
    /// How long records are kept after the backend has acknowledged them.
    time KeepTime, "hours", 3_600_000, 0..=720, default 24
}
bounded! {
    /// How often the backend is asked for a newer manifest.
    time PollTime, "ms", 1, 100..=3_600_000, default 2_000
}

/// A GPIO line: the BCM number on a Raspberry Pi, the offset on the chip elsewhere. 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin(u8);

impl Pin {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<u8> for Pin {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl TryFrom<i64> for Pin {
    type Error = OutOfRange;

    fn try_from(value: i64) -> Result<Self, OutOfRange> {
        u8::try_from(value).map(Self).map_err(|_| OutOfRange {
            value,
            unit: "",
            min: 0,
            max: 255,
        })
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = d.deserialize_i64(Number {
            unit: "",
            min: 0,
            max: 255,
        })?;
        Self::try_from(number).map_err(D::Error::custom)
    }
}

/// Which voltage means "active": relay pulled in, beam broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Active {
    /// High is active.
    #[default]
    High,
    /// Low is active.
    Low,
}

/// One line with its polarity: `17`, or `{ pin = 17, active = "low" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub pin: Pin,
    /// Its polarity.
    pub active: Active,
}

impl Line {
    /// The voltage level, true for high, at which the line is active, or is not.
    #[must_use]
    pub const fn level(self, active: bool) -> bool {
        match self.active {
            Active::High => active,
            Active::Low => !active,
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            pin: Pin,
            #[serde(default)]
            active: Active,
        }

        struct NumberOrTable;

        impl<'de> Visitor<'de> for NumberOrTable {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line number from 0 to 255, or { pin = 17, active = \"low\" },")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Line, E> {
                let pin = Pin::try_from(value).map_err(E::custom)?;
                Ok(Line {
                    pin,
                    active: Active::High,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Line, A::Error> {
                let Table { pin, active } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Line { pin, active })
            }
        }

        d.deserialize_any(NumberOrTable)
    }
}
