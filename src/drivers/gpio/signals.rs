//! The lights and buzzers of a gate: what each should be at an instant.

use super::signal::{Colour, Given, Signal};
use super::{LaneLines, Layout};
use crate::config::types::Line;
use crate::domain::{Direction, LaneId, Mono};

/// The signals of one lane.
#[derive(Clone, Copy, Debug, Default)]
struct OfLane {
    /// Of the entry side, and of the exit side.
    sides: [Given; 2],
    /// The side that got its signal last: a lane with one pair of lights shows that.
    last: usize,
    /// Staff are called: the buzzer is on whatever else sounds.
    alarm: bool,
}

/// The signals of a gate.
#[derive(Debug)]
pub(super) struct Signals(Vec<OfLane>);

impl Signals {
    pub(super) fn new(layout: &Layout) -> Self {
        Self(vec![OfLane::default(); layout.lanes.len()])
    }

    /// One side of a lane gets another signal.
    pub(super) fn give(&mut self, now: Mono, lane: LaneId, side: Direction, signal: Signal) {
        let Some(of) = self.0.get_mut(usize::from(lane.0)) else {
            return;
        };
        let [entry, exit] = &mut of.sides;
        let (given, last) = match side {
            Direction::Entry => (entry, 0),
            Direction::Exit => (exit, 1),
        };
        *given = Given { signal, since: now };
        of.last = last;
    }

    /// Staff are called to a lane, or no longer.
    pub(super) fn alarm(&mut self, lane: LaneId, on: bool) {
        if let Some(of) = self.0.get_mut(usize::from(lane.0)) {
            of.alarm = on;
        }
    }

    /// Whether an output of a lane is on now; `None` if it is no light and no buzzer.
    pub(super) fn wanted(
        &self,
        now: Mono,
        lane: LaneId,
        lines: &LaneLines,
        line: Line,
    ) -> Option<bool> {
        let of = self.0.get(usize::from(lane.0))?;
        let is = |other: Option<Line>| other.is_some_and(|other| other.pin == line.pin);
        if is(lines.buzzer) {
            return Some(of.alarm || of.sides.iter().any(|given| given.sounds(now)));
        }
        let ([_, green], [_, red]) = (lines.green, lines.red);
        let has_exit = green.or(red).is_some();
        let [entry, exit] = of.sides;
        let outer = if has_exit || of.last == 0 {
            entry
        } else {
            exit
        };
        let lights = [(lines.green, Colour::Green), (lines.red, Colour::Red)];
        lights
            .into_iter()
            .find_map(|([at_entry, at_exit], colour)| {
                let given = if is(at_entry) { outer } else { exit };
                (is(at_entry) || is(at_exit)).then(|| given.lights(now, colour))
            })
    }
}
