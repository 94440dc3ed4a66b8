//! The lines of a lane: relays, lights, and sensors.

use serde::Deserialize;

use super::types::Line;
use crate::domain::{Mode, Sensor};

/// `[lane.outputs]`
#[derive(Clone, Copy, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Releases the barrier inwards.
    pub release_entry: Option<Line>,
    /// Releases the barrier outwards. May be the same line as `release_entry` on a leaf.
    pub release_exit: Option<Line>,
    /// Green light, on both sides or on the entry side.
    pub green_light: Option<Line>,
    /// Red light, on both sides or on the entry side.
    pub red_light: Option<Line>,
    /// Green light of the exit side.
    pub green_light_exit: Option<Line>,
    /// Red light of the exit side.
    pub red_light_exit: Option<Line>,
    /// Buzzer.
    pub buzzer: Option<Line>,
}

impl Outputs {
    /// Every output with its key.
    #[must_use]
    pub const fn lines(&self) -> [(&'static str, Option<Line>); 7] {
        [
            ("release_entry", self.release_entry),
            ("release_exit", self.release_exit),
            ("green_light", self.green_light),
            ("red_light", self.red_light),
            ("green_light_exit", self.green_light_exit),
            ("red_light_exit", self.red_light_exit),
            ("buzzer", self.buzzer),
        ]
    }
}

/// `[lane.sensors]`
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensors {
    /// A leaf: the beam on the outer side; active means broken.
    pub entry_beam: Option<Line>,
    /// A leaf: the beams between the two outer ones, from the entry side, up to four.
    #[serde(default)]
    pub middle_beams: Vec<Line>,
    /// A leaf: the beam on the paid side.
    pub exit_beam: Option<Line>,
    /// A leaf: a beam at the height of a shin, below the others.
    pub low_beam: Option<Line>,
    /// A leaf: a mat, radar or curtain between the beams; active means that somebody is there.
    pub presence: Option<Line>,
    /// `tripod`: contact of a turn inwards.
    pub entry_rotor: Option<Line>,
    /// `tripod`: contact of a turn outwards.
    pub exit_rotor: Option<Line>,
    /// `tripod`: closed past 67 degrees.
    pub pass_point: Option<Line>,
    /// `tripod`: closed past 112 degrees.
    pub reset_point: Option<Line>,
    /// A leaf: the limit switch at its open end.
    pub opened: Option<Line>,
    /// A leaf: the limit switch at its shut end.
    pub closed: Option<Line>,
}

impl Sensors {
    /// Beams between the two outer ones, at most.
    pub const MIDDLE_MAX: usize = 4;

    /// Every sensor that is given, with its key below `lane.sensors`.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, Sensor, Line)> {
        use Sensor as S;
        let middle = [S::Middle1, S::Middle2, S::Middle3, S::Middle4].into_iter();
        let middle = middle.zip(&self.middle_beams).enumerate();
        let middle =
            middle.map(|(nth, (sensor, line))| (format!("middle_beams[{nth}]"), sensor, *line));
        let single = [
            (S::EntryBeam, self.entry_beam),
            (S::ExitBeam, self.exit_beam),
            (S::LowBeam, self.low_beam),
            (S::Presence, self.presence),
            (S::EntryRotor, self.entry_rotor),
            (S::ExitRotor, self.exit_rotor),
            (S::PassPoint, self.pass_point),
            (S::ResetPoint, self.reset_point),
            (S::Opened, self.opened),
            (S::Closed, self.closed),
        ];
        let single = single
            .into_iter()
            .filter_map(|(sensor, line)| Some((sensor.as_str().to_owned(), sensor, line?)));
        single.chain(middle).collect()
    }
}

/// A position of a key switch, `{ line = 26, mode = "maintenance" }`: while the line is active, that mode is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its contact.
    pub line: Line,
    /// What it wants.
    pub mode: Mode,
}
