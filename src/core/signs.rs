//! What a lane shows, and for how long; and for how long staff are called.

use std::time::Duration;

use crate::domain::{Action, Alarm, Direction, LaneId, Mono, Prompt};

/// How long a prompt about a refusal stays: long enough to be read by somebody who looks up from a phone.
const PROMPT_TIME: Duration = Duration::from_millis(2_500);
/// How long a call to staff lasts that ends by itself.
const CALL_TIME: Duration = Duration::from_millis(3_000);

/// Signs and calls of one lane.
#[derive(Clone, Debug)]
pub(super) struct Signs {
    sides: Vec<Side>,
    calls: Vec<(Alarm, Mono)>,
}

#[derive(Clone, Copy, Debug)]
struct Side {
    direction: Direction,
    resting: Prompt,
    /// Back to rest then; `None` while at rest, or while held.
    until: Option<Mono>,
    /// Shown until the lane is ready again.
    held: Option<Prompt>,
}

impl Signs {
    /// Both sides at rest. A side that is not served has a sign too: it says so.
    pub(super) fn new(directions: &[Direction]) -> Self {
        let side = |direction: &Direction| Side {
            direction: *direction,
            resting: Prompt::Idle,
            until: None,
            held: None,
        };
        Self {
            sides: directions.iter().map(side).collect(),
            calls: Vec::new(),
        }
    }

    /// Something is shown for as long as it takes to read.
    pub(super) fn flash(&mut self, now: Mono, direction: Direction) {
        for side in self
            .sides
            .iter_mut()
            .filter(|side| side.direction == direction)
        {
            side.until = Some(now + PROMPT_TIME);
        }
    }

    /// Shows `prompt` until [`Signs::release`].
    pub(super) fn hold(&mut self, direction: Direction, prompt: Prompt) {
        for side in self
            .sides
            .iter_mut()
            .filter(|side| side.direction == direction)
        {
            side.until = None;
            side.held = Some(prompt);
        }
    }

    /// The lane is ready for the next person: what was held goes back to rest.
    pub(super) fn release(&mut self, now: Mono) {
        for side in self.sides.iter_mut().filter(|side| side.held.is_some()) {
            side.held = None;
            side.until = Some(side.until.unwrap_or(now));
        }
    }

    /// True while the prompt of somebody who is served stands.
    pub(super) fn is_held(&self, direction: Direction) -> bool {
        self.sides.iter().any(|side| {
            side.direction == direction && (side.held.is_some() || side.until.is_some())
        })
    }

    /// Sets what is shown at rest, and shows it.
    pub(super) fn rest(
        &mut self,
        prompt: impl Fn(Direction) -> Prompt,
        mut show: impl FnMut(Direction, Prompt),
    ) {
        for side in &mut self.sides {
            side.resting = prompt(side.direction);
            side.until = None;
            side.held = None;
            show(side.direction, side.resting);
        }
    }

    /// Calls staff; the call ends by itself.
    pub(super) fn call(&mut self, now: Mono, lane: LaneId, alarm: Alarm, out: &mut Vec<Action>) {
        let until = now + CALL_TIME;
        match self.calls.iter_mut().find(|(called, _)| *called == alarm) {
            Some((_, end)) => *end = until,
            None => {
                self.calls.push((alarm, until));
                out.push(Action::Alarm(Some(lane), alarm, true));
            }
        }
    }

    /// Serves what is due.
    pub(super) fn wake(&mut self, now: Mono, lane: LaneId, out: &mut Vec<Action>) {
        for side in self
            .sides
            .iter_mut()
            .filter(|side| side.until.is_some_and(|until| now >= until))
        {
            side.until = None;
            out.push(Action::Show(
                lane,
                side.direction,
                side.held.unwrap_or(side.resting),
            ));
        }
        self.calls.retain(|(alarm, until)| {
            let lasts = now < *until;
            if !lasts {
                out.push(Action::Alarm(Some(lane), *alarm, false));
            }
            lasts
        });
    }

    /// When [`Signs::wake`] is wanted.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let sides = self.sides.iter().filter_map(|side| side.until);
        sides
            .chain(self.calls.iter().map(|(_, until)| *until))
            .min()
    }
}
