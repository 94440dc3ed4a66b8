//! Which numbers have been handed on while their card is still on the reader.
//!
//! Some modules answer "no card" after a read until the card is lifted, others go on finding it. With both, one
//! showing is one presentation: a number is handed on again only once its card was away *and* the hold-off is over.

use std::time::Duration;

use crate::domain::{Mono, Personal};

/// The same number is not taken again before this.
pub(super) const HOLD_OFF: Duration = Duration::from_secs(2);
/// A card is away after this many clean misses in a row …
const MISSES_MIN: u32 = 3;
/// … that span at least this.
const AWAY_MIN: Duration = Duration::from_millis(300);
/// More cards than this do not lie on one reader.
const HELD_MAX: usize = 4;

struct Latch {
    number: Personal<String>,
    accepted: Mono,
    lifted: bool,
}

/// The numbers that are held back.
#[derive(Default)]
pub(super) struct Latches(Vec<Latch>);

impl Latches {
    /// True if this is a new showing; it is held back from then on.
    pub(super) fn accept(&mut self, number: &Personal<String>, now: Mono) -> bool {
        let same = |latch: &Latch| latch.number == *number;
        let is_held = |latch: &Latch| !latch.lifted || now.since(latch.accepted) < HOLD_OFF;
        if self.0.iter().any(|latch| same(latch) && is_held(latch)) {
            return false;
        }
        self.0.retain(|latch| !same(latch));
        if self.0.len() == HELD_MAX {
            self.0.remove(0);
        }
        self.0.push(Latch {
            number: number.clone(),
            accepted: now,
            lifted: false,
        });
        true
    }

    /// The reader is empty: forgets every number whose hold-off is over.
    pub(super) fn lifted(&mut self, now: Mono) {
        self.0.retain(|latch| now.since(latch.accepted) < HOLD_OFF);
        for latch in &mut self.0 {
            latch.lifted = true;
        }
    }

    /// True while a card that was handed on has not been lifted.
    pub(super) fn is_served(&self) -> bool {
        self.0.iter().any(|latch| !latch.lifted)
    }
}

/// Tells an empty reader from one lost answer.
#[derive(Default)]
pub(super) struct Absence {
    misses: u32,
    since: Option<Mono>,
}

impl Absence {
    /// A card, or an answer that cannot be read: nobody may call the reader empty.
    pub(super) const fn broken(&mut self) {
        self.misses = 0;
        self.since = None;
    }

    /// A clean "no card". True once the reader counts as empty.
    pub(super) fn missed(&mut self, now: Mono) -> bool {
        self.misses = self.misses.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        self.misses >= MISSES_MIN && now.since(since) >= AWAY_MIN
    }
}
