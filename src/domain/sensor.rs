//! The sensors of a lane, and their levels at one instant.

macro_rules! sensors {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// A sensor of a lane. Beams and limit switches belong to leaves, rotor contacts to tripods.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sensor { $($(#[$doc])* $name),+ }

        impl Sensor {
            /// Every sensor.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name in config keys, logs and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

sensors! {
    /// The outermost beam: a person who enters breaks it first.
    EntryBeam = "entry_beam",
    /// The first beam between the two outer ones, counted from the entry side.
    Middle1 = "middle_beam_1",
    /// The second.
    Middle2 = "middle_beam_2",
    /// The third.
    Middle3 = "middle_beam_3",
    /// The fourth.
    Middle4 = "middle_beam_4",
    /// The beam on the paid side: a person who leaves breaks it first.
    ExitBeam = "exit_beam",
    /// A beam at the height of a shin, at the leaf: a child, a bag or somebody who crawls breaks no other.
    LowBeam = "low_beam",
    /// A mat, a radar or a light curtain between the beams: somebody is there, wherever.
    Presence = "presence",
    /// The rotor is turning inwards, from its first contact until it is home again.
    EntryRotor = "entry_rotor",
    /// The rotor is turning outwards.
    ExitRotor = "exit_rotor",
    /// The rotor has turned past 67 degrees: the person is through and cannot be pushed back.
    PassPoint = "pass_point",
    /// The rotor has turned past 112 degrees: the pawl holds the next arm, and the next turn may be freed.
    ResetPoint = "reset_point",
    /// The leaf is at its open end.
    Opened = "opened",
    /// The leaf is shut.
    Closed = "closed",
}

impl Sensor {
    /// The beams, in the order in which somebody who enters breaks them.
    pub const BEAMS: [Self; 6] = [
        Self::EntryBeam,
        Self::Middle1,
        Self::Middle2,
        Self::Middle3,
        Self::Middle4,
        Self::ExitBeam,
    ];
}

/// Sensor levels of one lane at one instant. Drivers repeat them, so that one lost edge heals by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels(u16);

impl Levels {
    /// Nothing is active.
    pub const NONE: Self = Self(0);

    /// The same levels with `sensor` set to `active`.
    #[must_use]
    pub const fn with(self, sensor: Sensor, active: bool) -> Self {
        let bit = 1 << sensor as u16;
        Self(if active { self.0 | bit } else { self.0 & !bit })
    }

    /// True if the beam is broken, the contact closed, the rotor away from home.
    #[must_use]
    pub const fn is_active(self, sensor: Sensor) -> bool {
        self.0 & (1 << sensor as u16) != 0
    }

    /// The levels of `mask` only: every other sensor says nothing.
    #[must_use]
    pub const fn only(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }

    /// Active where these two differ.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// Active where either is.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if no sensor is active.
    #[must_use]
    pub const fn is_quiet(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Sensor> for Levels {
    /// These sensors active, every other not.
    fn from_iter<I: IntoIterator<Item = Sensor>>(sensors: I) -> Self {
        let sensors = sensors.into_iter();
        sensors.fold(Self::default(), |levels, sensor| levels.with(sensor, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sensor_has_a_level_of_its_own() {
        for sensor in Sensor::ALL {
            let levels = Levels::default().with(*sensor, true);
            let active = Sensor::ALL.iter().filter(|of| levels.is_active(**of));
            assert_eq!(active.collect::<Vec<_>>(), [sensor]);
            assert!(levels.with(*sensor, false).is_quiet());
        }
    }
}
