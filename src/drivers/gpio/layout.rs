//! Which line is whose: the lines of the config, by lane and by use.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::config::tree::{Barrier, Lane};
use crate::config::types::Line;
use crate::domain::{Direction, LaneId, Mode, Sensor};

/// The lines of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneLines {
    /// The barrier may close on a body: a flap, and not a tripod.
    pub closes: bool,
    /// Releases the barrier inwards.
    pub release_entry: Option<Line>,
    /// Releases the barrier outwards; the same line as `release_entry` on a flap with one relay.
    pub release_exit: Option<Line>,
    /// Green light.
    pub green: Option<Line>,
    /// Red light.
    pub red: Option<Line>,
    /// Buzzer.
    pub buzzer: Option<Line>,
    /// Beams and contacts.
    pub sensors: Vec<(Sensor, Line)>,
    /// Positions of its key switch and of the gate's, the strongest first.
    pub keys: Vec<(Mode, Line)>,
}

impl LaneLines {
    /// The relay that releases the barrier in `direction`.
    #[must_use]
    pub const fn release(&self, direction: Direction) -> Option<Line> {
        match direction {
            Direction::Entry => self.release_entry,
            Direction::Exit => self.release_exit,
        }
    }

    /// Every output once.
    pub fn outputs(&self) -> impl Iterator<Item = Line> + use<'_> {
        let exit = self
            .release_exit
            .filter(|exit| self.release_entry.is_none_or(|entry| entry.pin != exit.pin));
        [self.release_entry, exit, self.green, self.red, self.buzzer]
            .into_iter()
            .flatten()
    }
}

impl From<&Lane> for LaneLines {
    fn from(lane: &Lane) -> Self {
        let (outputs, sensors) = (&lane.outputs, &lane.sensors);
        let sensors = [
            (Sensor::EntryBeam, sensors.entry_beam),
            (Sensor::ExitBeam, sensors.exit_beam),
            (Sensor::EntryRotor, sensors.entry_rotor),
            (Sensor::ExitRotor, sensors.exit_rotor),
        ];
        Self {
            closes: lane.barrier == Barrier::Flap,
            release_entry: outputs.release_entry,
            release_exit: outputs.release_exit,
            green: outputs.green_light,
            red: outputs.red_light,
            buzzer: outputs.buzzer,
            sensors: sensors
                .into_iter()
                .filter_map(|(sensor, line)| Some((sensor, line?)))
                .collect(),
            keys: lane
                .key_switch
                .iter()
                .map(|key| (key.mode, key.line))
                .collect(),
        }
    }
}

/// The lines of a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// By lane, in the order of the config.
    pub lanes: Vec<LaneLines>,
    /// The fire loop, normally closed: active while it is intact.
    pub fire_loop: Option<Line>,
}

/// An input, and what it reads while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// The line.
    pub line: Line,
    /// True for the fire loop, which is closed; false for a beam or contact.
    pub quiet: bool,
}

impl Layout {
    /// The lines of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let of_gate = &config.gpio.key_switch;
        let lane = |lane: &Lane| {
            let mut lines = LaneLines::from(lane);
            lines
                .keys
                .extend(of_gate.iter().map(|key| (key.mode, key.line)));
            lines
        };
        Self {
            lanes: config.lanes.iter().map(lane).collect(),
            fire_loop: config.gpio.fire_loop,
        }
    }

    /// Lanes with their ids.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneId, &LaneLines)> {
        (0..=u8::MAX).map(LaneId).zip(&self.lanes)
    }

    /// The lines of one lane.
    #[must_use]
    pub fn lane(&self, id: LaneId) -> Option<&LaneLines> {
        self.lanes.get(usize::from(id.0))
    }

    /// Every output once.
    pub fn outputs(&self) -> impl Iterator<Item = Line> + use<'_> {
        self.lanes.iter().flat_map(LaneLines::outputs)
    }

    /// Every input.
    pub fn inputs(&self) -> impl Iterator<Item = Input> + use<'_> {
        let sensors = self.lanes.iter().flat_map(|lane| &lane.sensors);
        let sensors = sensors.map(|(_, line)| Input {
            line: *line,
            quiet: false,
        });
        // A position of the gate's key switch belongs to every lane.
        let keys = self.lanes.iter().flat_map(|lane| &lane.keys);
        let keys: BTreeMap<_, _> = keys.map(|(_, line)| (line.pin, *line)).collect();
        let keys = keys.into_values().map(|line| Input { line, quiet: false });
        let fire = self.fire_loop.map(|line| Input { line, quiet: true });
        sensors.chain(keys).chain(fire)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_lines_of_the_example_are_all_there() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let shared = text.replace("# release_exit = 17", "release_exit = 17");
        for text in [text, shared] {
            let layout = Layout::new(&crate::config::parse(Path::new(path), &text).unwrap());
            let outputs: Vec<_> = layout.outputs().map(|line| line.pin.get()).collect();
            assert_eq!(
                outputs,
                [17, 22, 23, 24, 27, 25, 12],
                "a shared relay is one output"
            );
            let inputs: Vec<_> = layout
                .inputs()
                .map(|i| (i.line.pin.get(), i.quiet))
                .collect();
            assert_eq!(inputs, [(5, false), (6, false), (13, false), (4, true)]);
            let out = layout.lane(LaneId(1)).unwrap();
            assert_eq!(out.release(Direction::Exit).unwrap().pin.get(), 27);
            assert_eq!(layout.lane(LaneId(2)), None);
        }
    }
}
