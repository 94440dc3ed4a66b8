//! The two signs of a lane, one a side. Each shows what the lane is doing, and for a while what was just said.

use std::time::Duration;

use crate::domain::{Action, Direction, LaneId, Mono, Prompt};

/// How long the answer to a presentation stays.
pub(super) const ANSWER: Duration = Duration::from_millis(2_500);

/// One sign.
#[derive(Clone, Copy, Debug, Default)]
struct Sign {
    shown: Option<Prompt>,
    /// Until when the answer stays; `None`: it shows what the lane is doing.
    until: Option<Mono>,
    /// The answer is only a hint: any other may replace it.
    hint: bool,
}

/// Both signs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    entry: Sign,
    exit: Sign,
}

impl Signs {
    const fn of(&mut self, side: Direction) -> &mut Sign {
        match side {
            Direction::Entry => &mut self.entry,
            Direction::Exit => &mut self.exit,
        }
    }

    /// Gives an answer. The same answer again is shown again: each presentation gets its tone.
    pub(super) fn answer(
        &mut self,
        now: Mono,
        lane: LaneId,
        side: Direction,
        prompt: Prompt,
        out: &mut Vec<Action>,
    ) {
        *self.of(side) = Sign {
            shown: Some(prompt),
            until: Some(now + ANSWER),
            hint: false,
        };
        out.push(Action::Show(lane, side, prompt));
    }

    /// Gives a hint that a reader repeats: shown once, and for as long as it is repeated. It does not hide an answer.
    pub(super) fn hint(
        &mut self,
        now: Mono,
        lane: LaneId,
        side: Direction,
        prompt: Prompt,
        out: &mut Vec<Action>,
    ) {
        let sign = self.of(side);
        if !sign.hint && sign.until.is_some_and(|until| now < until) {
            return;
        }
        if sign.shown != Some(prompt) {
            out.push(Action::Show(lane, side, prompt));
        }
        *sign = Sign {
            shown: Some(prompt),
            until: Some(now + ANSWER),
            hint: true,
        };
    }

    /// Takes the answer away: what the lane does now matters more.
    pub(super) const fn end_answer(&mut self, side: Direction) {
        let sign = self.of(side);
        (sign.until, sign.hint) = (None, false);
    }

    /// Shows what the lane is doing, unless an answer stays.
    pub(super) fn refresh(
        &mut self,
        now: Mono,
        lane: LaneId,
        side: Direction,
        doing: Prompt,
        out: &mut Vec<Action>,
    ) {
        let sign = self.of(side);
        if sign.until.is_some_and(|until| now < until) {
            return;
        }
        (sign.until, sign.hint) = (None, false);
        if sign.shown != Some(doing) {
            sign.shown = Some(doing);
            out.push(Action::Show(lane, side, doing));
        }
    }

    /// When an answer has stayed long enough.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.entry.until.into_iter().chain(self.exit.until).min()
    }
}
