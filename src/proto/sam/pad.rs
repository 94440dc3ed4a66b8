//! What is known of the card that lies on the reader: handed on or not, failed how often, told what.

use super::latch::{Absence, Latches};
use super::machine::Output;
use crate::domain::{IdCard, Mono, Prompt};

const TRIES_MAX: u32 = 3;

/// The place a card is laid on.
#[derive(Default)]
pub(super) struct Pad {
    latches: Latches,
    absence: Absence,
    told: Told,
    /// Failed tries at the card that lies there.
    tries: u32,
}

/// What has been said about the card that lies there, so that it is said once.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    retap: bool,
    not_supported: bool,
    not_authentic: bool,
}

impl Pad {
    /// The same pad after a break of the connection: what was handed on stays held back.
    pub(super) fn after_break(self) -> Self {
        Self {
            latches: self.latches,
            ..Self::default()
        }
    }

    /// A card, or an answer that cannot be read: nobody may call the pad empty.
    pub(super) const fn may_hold_a_card(&mut self) {
        self.absence.broken();
    }

    /// A clean "no card".
    pub(super) fn missed(&mut self, now: Mono, out: &mut Vec<Output>) {
        if !self.absence.missed(now) {
            return;
        }
        // Lifted too early: the passenger must hear of it, or they wait for nothing.
        if self.tries > 0 {
            self.prompt_retap(out);
        }
        self.latches.lifted(now);
        self.tries = 0;
        self.told = Told::default();
    }

    /// A good read.
    pub(super) fn read(&mut self, now: Mono, seen: Mono, card: IdCard, out: &mut Vec<Output>) {
        self.tries = 0;
        self.told = Told::default();
        if self.latches.accept(&card.number, now) {
            out.push(Output::Presented { card, seen });
        }
    }

    /// A card that could not be selected or read.
    pub(super) fn failed_try(&mut self, out: &mut Vec<Output>) {
        // A card that has been handed on and is being lifted fails its last read: nobody needs to hear of it.
        if self.latches.is_served() {
            return;
        }
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            self.prompt_retap(out);
        }
    }

    /// A card of another kind.
    pub(super) fn not_supported(&mut self, out: &mut Vec<Output>) {
        self.absence.broken();
        if !std::mem::replace(&mut self.told.not_supported, true) {
            out.push(Output::Prompt(Prompt::CardNotSupported));
        }
    }

    /// A card that is not what it says it is.
    pub(super) fn not_authentic(&mut self, out: &mut Vec<Output>) {
        self.absence.broken();
        if !std::mem::replace(&mut self.told.not_authentic, true) {
            out.push(Output::NotAuthentic);
        }
    }

    fn prompt_retap(&mut self, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.told.retap, true) {
            out.push(Output::Prompt(Prompt::LiftAndRetap));
        }
    }
}
