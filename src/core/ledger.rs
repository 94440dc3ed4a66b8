//! What the gate remembers between presentations: which grants are open, which are not durable, which codes were
//! used and who passed. Memory is changed when a decision is made, so that the lane beside knows at once.

use std::collections::{BTreeMap, BTreeSet};

use super::passback::{Answer, Before, Passback};
use super::replay::SeenSet;
use super::settings::Settings;
use crate::domain::{
    Credential, Direction, GrantId, LaneId, Now, Outcome, PassbackKey, ReplayKey, Restored,
    StateChange, Subject,
};

/// Most grants that may be waiting for a journal that does not answer. Past this the site's rule applies at once.
const UNSETTLED_MAX: usize = 256;

/// What a grant has changed, to be undone if nobody walks.
#[derive(Debug, Default)]
struct Ticket {
    replay: Option<ReplayKey>,
    passback: Option<(PassbackKey, Before)>,
}

/// A grant that was held back while its record was on its way to the disk.
#[derive(Debug)]
struct Abandoned {
    lane: LaneId,
    direction: Direction,
    ticket: Ticket,
}

/// What an answer of the journal means for a grant that no desk waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Held back, but on the disk: it must end there too.
    Abandoned(LaneId, Direction),
    /// Nothing is left to do.
    Nothing,
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    boot: u32,
    issued: u32,
    seen: SeenSet,
    passback: Passback,
    open: BTreeMap<GrantId, Ticket>,
    abandoned: BTreeMap<GrantId, Abandoned>,
    /// Released by the site's rule before the journal answered.
    late: BTreeSet<GrantId>,
    /// Released by the site's rule, and not recorded.
    unrecorded: u32,
}

impl Ledger {
    pub(super) fn new(now: Now, settings: &Settings, restored: &Restored) -> Self {
        Self {
            boot: restored.boot,
            issued: 0,
            seen: SeenSet::new(now, &restored.seen),
            passback: Passback::new(now, settings.passback, &restored.passed),
            open: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            late: BTreeSet::new(),
            unrecorded: 0,
        }
    }

    pub(super) const fn boot(&self) -> u32 {
        self.boot
    }

    /// True if this code was used.
    pub(super) fn is_used(&self, now: Now, credential: &Credential) -> bool {
        let replay = credential.replay.as_ref();
        replay.is_some_and(|replay| self.seen.contains(now, &replay.key))
    }

    /// May this person go this way again?
    pub(super) fn passback(
        &self,
        now: Now,
        credential: &Credential,
        subject: Option<Subject>,
        direction: Direction,
    ) -> Answer {
        match self.passback.key(credential, subject) {
            Some(key) => self.passback.ask(now, &key, direction),
            None => Answer::Fine,
        }
    }

    /// False while so many grants wait for the journal that one more would only wait behind them.
    pub(super) fn has_room(&self) -> bool {
        self.abandoned.len() + self.late.len() < UNSETTLED_MAX
    }

    /// Issues a grant and remembers what it uses up. The changes go into its record.
    pub(super) fn issue(
        &mut self,
        now: Now,
        bearer: Option<(&Credential, Option<Subject>)>,
        direction: Direction,
    ) -> (GrantId, Vec<StateChange>) {
        self.issued = self.issued.wrapping_add(1);
        let grant = GrantId(u64::from(self.boot) << 32 | u64::from(self.issued));
        let (mut ticket, mut changes) = (Ticket::default(), Vec::new());
        if let Some((credential, subject)) = bearer {
            if let Some(replay) = credential.replay {
                changes.extend(self.seen.add(now, replay, grant));
                ticket.replay = Some(replay.key);
            }
            if let Some(key) = self.passback.key(credential, subject) {
                let (before, change) = self.passback.add(now, key, direction, grant);
                changes.extend(change);
                ticket.passback = Some((key, before));
            }
        }
        self.open.insert(grant, ticket);
        (grant, changes)
    }

    /// Ends a grant. If nobody walked, what it used up is given back: here at once, on the disk by the changes.
    pub(super) fn end(&mut self, now: Now, grant: GrantId, outcome: Outcome) -> Vec<StateChange> {
        match (self.open.remove(&grant), outcome) {
            (Some(ticket), Outcome::NoEntryAfterGrant) => {
                self.undo(now, grant, &ticket);
                self.annulment(now, &ticket)
            }
            (
                Some(_) | None,
                Outcome::Passed
                | Outcome::NoEntryAfterGrant
                | Outcome::Tailgating
                | Outcome::WrongWay
                | Outcome::Intrusion
                | Outcome::Obstruction
                | Outcome::HeldOpen
                | Outcome::Forced
                | Outcome::Companion
                | Outcome::PassedUncontrolled
                | Outcome::UnknownAfterRestart,
            ) => Vec::new(),
        }
    }

    /// Holds a grant back whose record is on its way to the disk. What it used up is given back here at once.
    pub(super) fn abandon(&mut self, now: Now, grant: GrantId, lane: LaneId, direction: Direction) {
        if let Some(ticket) = self.open.remove(&grant) {
            self.undo(now, grant, &ticket);
            let abandoned = Abandoned {
                lane,
                direction,
                ticket,
            };
            self.abandoned.insert(grant, abandoned);
        }
    }

    /// Takes back a grant that will never be on the disk.
    pub(super) fn withdraw(&mut self, now: Now, grant: GrantId) {
        if let Some(ticket) = self.open.remove(&grant) {
            self.undo(now, grant, &ticket);
        }
    }

    /// A grant is released before the journal has answered.
    pub(super) fn expect_late(&mut self, grant: GrantId) {
        self.late.insert(grant);
    }

    /// A grant is released that the journal will not have.
    pub(super) const fn count_unrecorded(&mut self) {
        self.unrecorded = self.unrecorded.saturating_add(1);
    }

    /// The journal has a grant that no desk waits for. An abandoned one is opened again, to be ended.
    pub(super) fn settle_durable(&mut self, grant: GrantId) -> Settled {
        self.late.remove(&grant);
        match self.abandoned.remove(&grant) {
            Some(Abandoned {
                lane,
                direction,
                ticket,
            }) => {
                self.open.insert(grant, ticket);
                Settled::Abandoned(lane, direction)
            }
            None => Settled::Nothing,
        }
    }

    /// The journal will never have a grant that no desk waits for.
    pub(super) fn settle_lost(&mut self, grant: GrantId) {
        self.abandoned.remove(&grant);
        if self.late.remove(&grant) {
            self.count_unrecorded();
        }
    }

    /// True if grants were given that are not recorded, or not yet.
    pub(super) fn has_gap(&self) -> bool {
        self.unrecorded > 0 || !self.late.is_empty()
    }

    /// The gap to record now that the journal works again.
    pub(super) const fn take_gap(&mut self) -> Option<u32> {
        match self.unrecorded {
            0 => None,
            unrecorded => {
                self.unrecorded = 0;
                Some(unrecorded)
            }
        }
    }

    fn undo(&mut self, now: Now, grant: GrantId, ticket: &Ticket) {
        if let Some(key) = &ticket.replay {
            self.seen.undo(now, key, grant);
        }
        if let Some((key, before)) = ticket.passback {
            self.passback.undo(now, key, grant, before);
        }
    }

    /// Brings the disk to what is remembered here, so that a later use by somebody else is not lost there.
    fn annulment(&self, now: Now, ticket: &Ticket) -> Vec<StateChange> {
        let replay = ticket.replay.filter(|key| !self.seen.contains(now, key));
        let replay = replay.map(|key| StateChange::Unseen { key });
        let passback = ticket.passback.map(|(key, _)| StateChange::PassedBack {
            key,
            before: self.passback.dated(now, &key),
        });
        replay.into_iter().chain(passback).collect()
    }
}
