//! One module and the card on it: find, select, read, hand on once, wait for the lift.
//!
//! Pure: a reply or the passing of time goes in, commands and news come out. The order of states is PROBE → ID → FIND →
//! SELECT → READ → FIND …; FIND goes on every 200 ms, for a module never speaks unasked.

use std::time::Duration;

use super::card::{CardError, card_of};
use super::frame::{Command, Reply, Verdict};
use super::pad::Pad;
use crate::domain::{IdCard, Mono, Personal, Prompt};

const PROBE_TIME: Duration = Duration::from_millis(500);
const FIND_PERIOD: Duration = Duration::from_millis(200);
const REPLY_TIME: Duration = Duration::from_secs(1);
const READ_TIME: Duration = Duration::from_secs(3);
const SERVICE_PERIOD: Duration = Duration::from_secs(5);
const UNANSWERED_MAX: u32 = 3;
const MODULE_ID_LEN: usize = 16;

/// What can happen to the machine.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A whole reply.
    Reply(Reply<'a>),
    /// Bytes came and the line fell silent, but they are no reply.
    Corrupt,
    /// Time has passed. Early or late is harmless.
    TimedOut,
}

/// What the machine wants done or known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this, after forgetting what came before.
    Send(Command),
    /// The module is well.
    Ready,
    /// Its 16 bytes of identification, as hex: how they are split into fields is not established.
    Identified(String),
    /// The module says that it is broken or not authorised. It goes on being asked.
    OutOfService,
    /// A card was shown.
    Presented {
        /// What it says.
        card: IdCard,
        /// When it answered "find".
        seen: Mono,
    },
    /// The passenger should be told this.
    Prompt(Prompt),
    /// Card and module did not authenticate each other. Nothing else of the card is ever taken instead.
    NotAuthentic,
    /// An answer was missing, or not the one to expect: to be counted.
    Fault,
    /// Too many answers in a row are missing: the connection should be opened anew.
    GaveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected.
    Stopped,
    /// Asked for its status.
    Probing { until: Mono },
    /// Well, and asked which one it is. A module that does not say is as good as one that does.
    Identifying { until: Mono },
    /// Between two FINDs.
    Resting { until: Mono },
    /// Asked for a card.
    Finding { until: Mono },
    /// A card answered at `seen`, and is being selected.
    Selecting { seen: Mono, until: Mono },
    /// It is being read.
    Reading { seen: Mono, until: Mono },
    /// Told to start over.
    Resetting { until: Mono },
    /// Broken by its own word; asked again at `until`.
    OutOfService { until: Mono },
}

/// The polling of one SAM module.
pub struct SamMachine {
    state: State,
    pad: Pad,
    /// Commands in a row without a good reply.
    unanswered: u32,
    /// The command of this exchange has been sent a second time.
    is_repeated: bool,
    heard: bool,
    in_service: Option<bool>,
    was_asked_who: bool,
    /// A number whose check digit does not hold.
    doubted: Option<Personal<String>>,
}

impl Default for SamMachine {
    fn default() -> Self {
        Self {
            state: State::Stopped,
            pad: Pad::default(),
            unanswered: 0,
            is_repeated: false,
            heard: false,
            in_service: None,
            was_asked_who: false,
            doubted: None,
        }
    }
}

impl SamMachine {
    /// Begins on a fresh connection. A number that was handed on before the break stays held back.
    pub fn start(&mut self, now: Mono, out: &mut Vec<Output>) {
        *self = Self {
            pad: std::mem::take(&mut self.pad).after_break(),
            ..Self::default()
        };
        self.probe(now, out);
    }

    /// When [`Input::TimedOut`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::Stopped => None,
            State::Probing { until }
            | State::Identifying { until }
            | State::Resting { until }
            | State::Finding { until }
            | State::Selecting { until, .. }
            | State::Reading { until, .. }
            | State::Resetting { until }
            | State::OutOfService { until } => Some(until),
        }
    }

    /// True if this connection has brought at least one whole reply.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Advances by one input. Pure: no clock, no I/O, no randomness.
    pub fn step(&mut self, now: Mono, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Reply(reply) => {
                self.heard = true;
                // A probe is answered by "done" only, or it would be repeated for ever.
                let is_probing = matches!(self.state, State::Probing { .. });
                if !is_probing || reply.verdict == Verdict::Done {
                    self.unanswered = 0;
                }
                self.replied(now, reply, out);
            }
            // The driver has counted the bad bytes.
            Input::Corrupt => self.broken(now, out),
            Input::TimedOut => {
                if self.deadline().is_some_and(|due| due <= now) {
                    self.timed_out(now, out);
                }
            }
        }
    }

    fn timed_out(&mut self, now: Mono, out: &mut Vec<Output>) {
        match self.state {
            State::Stopped => {}
            State::Resting { .. } => {
                let until = now + REPLY_TIME;
                self.ask(State::Finding { until }, Command::Find, out);
            }
            State::Identifying { .. } => self.state = State::Resting { until: now },
            // A module that starts over need not say so.
            State::Resetting { .. } | State::OutOfService { .. } => self.probe(now, out),
            State::Probing { .. }
            | State::Finding { .. }
            | State::Selecting { .. }
            | State::Reading { .. } => {
                out.push(Output::Fault);
                self.unanswered(now, out);
            }
        }
    }

    /// An answer that cannot be read.
    fn broken(&mut self, now: Mono, out: &mut Vec<Output>) {
        match self.state {
            State::Reading { seen, .. } if !self.is_repeated => {
                self.read_again(now, seen, out);
            }
            State::Stopped
            | State::Probing { .. }
            | State::Identifying { .. }
            | State::Resting { .. }
            | State::Finding { .. }
            | State::Selecting { .. }
            | State::Reading { .. }
            | State::Resetting { .. }
            | State::OutOfService { .. } => self.unanswered(now, out),
        }
    }

    /// No answer, or none that can be read. Neither says that the reader is empty.
    fn unanswered(&mut self, now: Mono, out: &mut Vec<Output>) {
        let awaited = self.state;
        match awaited {
            State::Identifying { .. } => {
                self.state = State::Resting { until: now };
                return;
            }
            // Nothing was asked.
            State::Stopped
            | State::Resting { .. }
            | State::Resetting { .. }
            | State::OutOfService { .. } => return,
            State::Probing { .. }
            | State::Finding { .. }
            | State::Selecting { .. }
            | State::Reading { .. } => {}
        }
        self.pad.may_hold_a_card();
        self.unanswered += 1;
        if self.unanswered >= UNANSWERED_MAX {
            self.state = State::Stopped;
            out.push(Output::GaveUp);
        } else if matches!(awaited, State::Probing { .. }) {
            self.probe(now, out);
        } else {
            if !matches!(awaited, State::Finding { .. }) {
                self.pad.failed_try(out);
            }
            self.rest(now);
        }
    }

    fn replied(&mut self, now: Mono, reply: Reply<'_>, out: &mut Vec<Output>) {
        match self.state {
            // Late: nobody is waiting for it.
            State::Stopped | State::Resting { .. } | State::OutOfService { .. } => {}
            State::Resetting { .. } => self.probe(now, out),
            State::Probing { .. } => self.probed(now, reply.verdict, out),
            State::Identifying { .. } => self.identified(now, reply, out),
            State::Finding { .. } | State::Selecting { .. } | State::Reading { .. } => {
                self.exchanged(now, reply, out);
            }
        }
    }

    fn probed(&mut self, now: Mono, verdict: Verdict, out: &mut Vec<Output>) {
        match verdict {
            Verdict::Done => {
                self.set_service(true, out);
                // Once a connection; after a reset it is the same module.
                if std::mem::replace(&mut self.was_asked_who, true) {
                    self.state = State::Resting { until: now };
                } else {
                    let until = now + PROBE_TIME;
                    self.ask(State::Identifying { until }, Command::ModuleId, out);
                }
            }
            Verdict::SelfTestFailed | Verdict::NotAuthorised => self.out_of_service(now, out),
            // Late answers to what was asked before the probe, or a fault: the probe is repeated in time.
            Verdict::LineFault
            | Verdict::CardFound
            | Verdict::NoCard
            | Verdict::SelectFailed
            | Verdict::ReadFailed
            | Verdict::ItemAbsent
            | Verdict::NotAuthentic
            | Verdict::CardNotSupported
            | Verdict::RandomFailed
            | Verdict::NotPermitted
            | Verdict::Other(_) => out.push(Output::Fault),
        }
    }

    fn identified(&mut self, now: Mono, reply: Reply<'_>, out: &mut Vec<Output>) {
        if matches!(
            reply.verdict,
            Verdict::SelfTestFailed | Verdict::NotAuthorised
        ) {
            return self.out_of_service(now, out);
        }
        if reply.verdict == Verdict::Done && reply.data.len() == MODULE_ID_LEN {
            let hex = reply.data.iter().map(|byte| format!("{byte:02X}"));
            out.push(Output::Identified(hex.collect()));
        }
        self.state = State::Resting { until: now };
    }

    /// A reply to FIND, SELECT or READ.
    fn exchanged(&mut self, now: Mono, reply: Reply<'_>, out: &mut Vec<Output>) {
        match reply.verdict {
            Verdict::NoCard => self.no_card(now, out),
            Verdict::CardFound => self.found(now, out),
            Verdict::Done => self.done(now, reply.data, out),
            Verdict::SelectFailed | Verdict::ReadFailed => self.card_failed(now, out),
            Verdict::NotAuthentic => {
                self.pad.not_authentic(out);
                self.rest(now);
            }
            Verdict::CardNotSupported => {
                self.pad.not_supported(out);
                self.rest(now);
            }
            Verdict::RandomFailed => {
                out.push(Output::Fault);
                let until = now + READ_TIME;
                self.ask(State::Resetting { until }, Command::Reset, out);
            }
            Verdict::SelfTestFailed | Verdict::NotAuthorised => self.out_of_service(now, out),
            Verdict::LineFault => self.line_fault(now, out),
            Verdict::ItemAbsent | Verdict::NotPermitted | Verdict::Other(_) => {
                out.push(Output::Fault);
                self.card_failed(now, out);
            }
        }
    }

    fn no_card(&mut self, now: Mono, out: &mut Vec<Output>) {
        if !matches!(self.state, State::Finding { .. }) {
            // It went away between FIND and here.
            self.card_failed(now, out);
            return;
        }
        self.pad.missed(now, out);
        self.rest(now);
    }

    fn found(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.pad.may_hold_a_card();
        if matches!(self.state, State::Finding { .. }) {
            let until = now + REPLY_TIME;
            self.ask(State::Selecting { seen: now, until }, Command::Select, out);
        }
    }

    fn done(&mut self, now: Mono, data: &[u8], out: &mut Vec<Output>) {
        match self.state {
            State::Selecting { seen, .. } => {
                let until = now + READ_TIME;
                self.ask(State::Reading { seen, until }, Command::Read, out);
            }
            State::Reading { seen, .. } => self.read(now, seen, data, out),
            // A late answer to an earlier command.
            State::Finding { .. }
            | State::Stopped
            | State::Probing { .. }
            | State::Identifying { .. }
            | State::Resting { .. }
            | State::Resetting { .. }
            | State::OutOfService { .. } => self.pad.may_hold_a_card(),
        }
    }

    fn read(&mut self, now: Mono, seen: Mono, data: &[u8], out: &mut Vec<Output>) {
        match card_of(data) {
            // A card that says the same twice says so, whether it adds up or not.
            Ok(card) if card.adds_up() || self.doubted.as_ref() == Some(&card.number) => {
                self.doubted = None;
                self.pad.read(now, seen, card, out);
            }
            Err(CardError::Kind) => self.pad.not_supported(out),
            // One XOR over 1295 bytes: two turned bits in one place of their bytes go through it.
            Ok(card) => {
                self.doubted = Some(card.number);
                return self.misread(now, seen, out);
            }
            Err(CardError::Lengths | CardError::Number | CardError::Validity) => {
                return self.misread(now, seen, out);
            }
        }
        self.rest(now);
    }

    /// What came is not what a card says.
    fn misread(&mut self, now: Mono, seen: Mono, out: &mut Vec<Output>) {
        out.push(Output::Fault);
        if self.is_repeated {
            self.pad.failed_try(out);
            self.rest(now);
        } else {
            self.read_again(now, seen, out);
        }
    }

    /// The text of a card is asked for once more: some modules find no card any longer that they have read, and whoever holds it
    /// there would wait for nothing.
    fn read_again(&mut self, now: Mono, seen: Mono, out: &mut Vec<Output>) {
        self.pad.may_hold_a_card();
        let until = now + READ_TIME;
        self.ask(State::Reading { seen, until }, Command::Read, out);
        self.is_repeated = true;
    }

    fn card_failed(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.pad.may_hold_a_card();
        // An answer to FIND that speaks of a card's failure belongs to an earlier command.
        if !matches!(self.state, State::Finding { .. }) {
            self.pad.failed_try(out);
        }
        self.rest(now);
    }

    /// The module could not read the command: once more, then as if the card had failed.
    fn line_fault(&mut self, now: Mono, out: &mut Vec<Output>) {
        out.push(Output::Fault);
        let (state, command) = match self.state {
            State::Finding { .. } => {
                let until = now + REPLY_TIME;
                (State::Finding { until }, Command::Find)
            }
            State::Selecting { seen, .. } => {
                let until = now + REPLY_TIME;
                (State::Selecting { seen, until }, Command::Select)
            }
            State::Reading { seen, .. } => {
                let until = now + READ_TIME;
                (State::Reading { seen, until }, Command::Read)
            }
            State::Stopped
            | State::Probing { .. }
            | State::Identifying { .. }
            | State::Resting { .. }
            | State::Resetting { .. }
            | State::OutOfService { .. } => return,
        };
        if self.is_repeated {
            self.card_failed(now, out);
        } else {
            self.ask(state, command, out);
            self.is_repeated = true;
        }
    }

    fn out_of_service(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.set_service(false, out);
        let until = now + SERVICE_PERIOD;
        self.state = State::OutOfService { until };
    }

    fn set_service(&mut self, on: bool, out: &mut Vec<Output>) {
        if self.in_service.replace(on) != Some(on) {
            out.push(if on {
                Output::Ready
            } else {
                Output::OutOfService
            });
        }
    }

    fn probe(&mut self, now: Mono, out: &mut Vec<Output>) {
        let until = now + PROBE_TIME;
        self.ask(State::Probing { until }, Command::Status, out);
    }

    fn ask(&mut self, state: State, command: Command, out: &mut Vec<Output>) {
        self.state = state;
        self.is_repeated = false;
        out.push(Output::Send(command));
    }

    fn rest(&mut self, now: Mono) {
        let until = now + FIND_PERIOD;
        self.state = State::Resting { until };
    }
}

#[cfg(test)]
mod tests;
