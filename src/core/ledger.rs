//! What the gate remembers between presentations: which grants are open, which are not durable, which codes were
//! used and who passed. Memory is changed when a decision is made, so that the lane beside knows at once.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Claims;
use super::forgiven::Forgiven;
use super::passback::{Answer, Before, Passback};
use super::replay::SeenSet;
use super::settings::{self, Settings};
use super::slip::Slip;
use crate::domain::{
    Claim, ClaimId, Credential, Direction, GrantId, LaneId, Now, Outcome, PassbackKey, PersonClaim,
    Replay, ReplayKey, Restored, StateChange, Utc,
};

/// Most grants that may be waiting for a journal that does not answer. Past this the site's rule applies at once.
const UNSETTLED_MAX: usize = 256;

/// What a grant has changed, to be undone if nobody walks.
#[derive(Debug, Default)]
struct Ticket {
    replay: Option<ReplayKey>,
    passback: Option<(PassbackKey, Before)>,
    claim: Option<ClaimId>,
    /// They passed because staff forgave them.
    forgiven: bool,
}

/// What the gate remembers of somebody who may pass otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Neither their code nor they, going this way.
    Fresh,
    /// Their code was used.
    Used,
    /// They went this way, then, if there was a date.
    Again(Option<Utc>),
    /// They went this way, but without the date nobody can say when.
    Undated,
}

/// Whoever is let through: what they showed, and what was claimed for it.
pub(super) type Bearer<'a> = (&'a Credential, Option<ClaimId>);

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
    forgiven: Forgiven,
    claims: Claims,
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
            passback: Passback::new(now, remember(settings), &restored.passed),
            forgiven: Forgiven::default(),
            claims: Claims::default(),
            open: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            late: BTreeSet::new(),
            unrecorded: 0,
        }
    }

    pub(super) const fn boot(&self) -> u32 {
        self.boot
    }

    /// What is remembered of this code and this person, of what other lanes are claiming too.
    pub(super) fn recall(&self, now: Now, slip: &Slip, credential: &Credential) -> Memory {
        self.recall_before(now, slip, credential, Claims::NEXT)
    }

    /// The same without what this claim itself and those after it are about.
    pub(super) fn recall_before(
        &self,
        now: Now,
        slip: &Slip,
        credential: &Credential,
        claim: ClaimId,
    ) -> Memory {
        let replay = credential.replay.map(|replay| replay.key);
        if replay
            .is_some_and(|key| self.seen.contains(now, &key) || self.claims.has_code(&key, claim))
        {
            return Memory::Used;
        }
        let Some(key) = self.passback.key(credential, slip.subject) else {
            return Memory::Fresh;
        };
        if self.claims.has_person(&key, claim) {
            return Memory::Again(None);
        }
        if self.forgiven.has(now, &key) {
            return Memory::Fresh;
        }
        match self.passback.ask(now, &key, slip.direction) {
            Answer::Fine => Memory::Fresh,
            Answer::Again => Memory::Again(self.passback.dated(now, &key).map(|(_, at)| at)),
            Answer::Undated => Memory::Undated,
        }
    }

    /// The person part of a claim.
    pub(super) fn person(
        &self,
        now: Now,
        slip: &Slip,
        credential: &Credential,
        rule: settings::Passback,
        known_here: bool,
    ) -> Option<PersonClaim> {
        let key = self.passback.key(credential, slip.subject)?;
        Some(PersonClaim {
            key,
            direction: slip.direction,
            remember_s: u32::try_from(rule.remember.as_secs()).unwrap_or(u32::MAX),
            enforced: !rule.soft && !self.forgiven.has(now, &key),
            known_here,
        })
    }

    /// Makes a claim; until its end other lanes take what it is about for used.
    pub(super) fn begin_claim(
        &mut self,
        replay: Option<Replay>,
        person: Option<PersonClaim>,
    ) -> Claim {
        self.claims.begin(self.boot, replay, person)
    }

    /// Somebody else has won what this claim is about: there is nothing to take back.
    pub(super) fn lose_claim(&mut self, claim: ClaimId) {
        self.claims.settle(claim);
    }

    /// A claim whose presentation is not let through is taken back.
    pub(super) fn give_up_claim(&mut self, claim: ClaimId) {
        self.claims.give_up(claim);
    }

    /// Claims to take back at the backend since this was asked last.
    pub(super) fn given_up(&mut self) -> Vec<ClaimId> {
        self.claims.take_given_up()
    }

    /// Somebody was refused for passback: staff may forgive that.
    pub(super) fn note_passback(&mut self, now: Now, slip: &Slip, credential: &Credential) {
        if let Some(key) = self.passback.key(credential, slip.subject) {
            self.forgiven.note(now, slip.lane, slip.direction, key);
        }
    }

    /// True if somebody was refused here lately whom staff can forgive.
    pub(super) fn may_forgive(&self, now: Now, lane: LaneId, direction: Direction) -> bool {
        self.forgiven.may(now, lane, direction)
    }

    /// Whoever was refused here last may pass once more: what the gate remembers of them is gone.
    pub(super) fn forgive(
        &mut self,
        now: Now,
        lane: LaneId,
        direction: Direction,
    ) -> Option<StateChange> {
        let key = self.forgiven.forgive(now, lane, direction)?;
        self.passback.forget(&key);
        Some(StateChange::PassedBack { key, before: None })
    }

    /// False while so many grants wait for the journal that one more would only wait behind them.
    pub(super) fn has_room(&self) -> bool {
        self.abandoned.len() + self.late.len() < UNSETTLED_MAX
    }

    /// Issues a grant and remembers what it uses up. The changes go into its record.
    pub(super) fn issue(
        &mut self,
        now: Now,
        slip: &Slip,
        bearer: Option<Bearer<'_>>,
    ) -> (GrantId, Vec<StateChange>) {
        self.issued = self.issued.wrapping_add(1);
        let grant = GrantId(u64::from(self.boot) << 32 | u64::from(self.issued));
        let (mut ticket, mut changes) = (Ticket::default(), Vec::new());
        if let Some((credential, claim)) = bearer {
            if let Some(claim) = claim {
                self.claims.settle(claim);
                ticket.claim = Some(claim);
            }
            if let Some(replay) = credential.replay {
                changes.extend(self.seen.add(now, replay, grant));
                ticket.replay = Some(replay.key);
            }
            if let Some(key) = self.passback.key(credential, slip.subject) {
                ticket.forgiven = self.forgiven.take(now, &key);
                let (before, change) = self.passback.add(now, key, slip.direction, grant);
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
            (Some(mut ticket), Outcome::NoEntryAfterGrant) => {
                self.undo(now, grant, &mut ticket);
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
        if let Some(mut ticket) = self.open.remove(&grant) {
            self.undo(now, grant, &mut ticket);
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
        if let Some(mut ticket) = self.open.remove(&grant) {
            self.undo(now, grant, &mut ticket);
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

    fn undo(&mut self, now: Now, grant: GrantId, ticket: &mut Ticket) {
        if let Some(claim) = ticket.claim.take() {
            self.claims.give_up(claim);
        }
        if let Some(key) = &ticket.replay {
            self.seen.undo(now, key, grant);
        }
        if let Some((key, before)) = ticket.passback {
            self.passback.undo(now, key, grant, before);
            if std::mem::take(&mut ticket.forgiven) {
                self.forgiven.give_back(now, key);
            }
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

/// How long passages are remembered, if at all.
fn remember(settings: &Settings) -> Option<std::time::Duration> {
    settings.passback.map(|rule| rule.remember)
}
