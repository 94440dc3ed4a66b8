//! Whoever may pass must not have passed already: at this gate, which knows at once, or at another, which the backend
//! knows. A claim is waited for as long as the site allows; then this gate goes by what it remembers itself.
//!
//! This gate's own memory speaks for its own lanes: it is durable with the grant. A claim of this gate that it does not
//! remember is a use that never came about, and gives way to a retry ([`crate::domain::PersonClaim::known_here`]).

use super::desk::{Desk, Said, conclude};
use super::ledger::Memory;
use super::policy::{self, Advice};
use super::slip::Slip;
use super::turn::Turn;
use crate::domain::{
    Action, Claim, ClaimId, Claimed, Credential, Direction, Elsewhere, Mono, Reason,
};

/// A presentation that waits for its claim.
#[derive(Debug)]
pub(super) struct Claiming {
    pub(super) slip: Slip,
    credential: Credential,
    /// The reason for the grant, if nobody was first.
    open: Reason,
    pub(super) claim: ClaimId,
    asked: Mono,
    pub(super) until: Mono,
}

/// Whoever may pass, if nobody was first, is claimed where that helps.
pub(super) fn check(
    slip: Slip,
    credential: Credential,
    open: Reason,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    let memory = turn.ledger.recall(turn.now, &slip, &credential);
    let Some((claim, budget)) = claim(&slip, &credential, memory, turn) else {
        let advice = advise(&slip, memory, open, turn);
        return settle(slip, &credential, advice, None, turn);
    };
    let until = turn.mono() + budget;
    turn.act(Action::Claim { claim, until });
    let said = Said::Working(slip.direction);
    let claiming = Claiming {
        slip,
        credential,
        open,
        claim: claim.id,
        asked: turn.mono(),
        until,
    };
    (Desk::Claiming(Box::new(claiming)), said)
}

/// What is to be claimed and for how long that is waited; nothing if nobody else can know more than this gate.
fn claim(
    slip: &Slip,
    credential: &Credential,
    memory: Memory,
    turn: &mut Turn<'_>,
) -> Option<(Claim, std::time::Duration)> {
    let budget = turn.settings.claims?;
    let known_here = match memory {
        Memory::Fresh => false,
        // Somebody elsewhere may have seen them go the other way since.
        Memory::Again(_) => true,
        Memory::Used | Memory::Undated => return None,
    };
    if !turn.ledger.has_room() {
        return None;
    }
    let wide = turn.settings.passback.filter(|passback| passback.wide);
    if known_here && wide.is_none() {
        return None;
    }
    let person = wide.and_then(|rule| {
        let ledger = &turn.ledger;
        ledger.person(turn.now, slip, credential, rule, known_here)
    });
    if credential.replay.is_none() && person.is_none() {
        return None;
    }
    let claim = turn.ledger.begin_claim(credential.replay, person);
    Some((claim, budget))
}

impl Claiming {
    /// The backend answered, or nobody did.
    pub(super) fn resume(mut self, answer: Claimed, turn: &mut Turn<'_>) -> (Desk, Said) {
        let waited = turn.mono().since(self.asked).as_micros();
        self.slip.claim_us = u64::try_from(waited).unwrap_or(u64::MAX);
        let direction = self.slip.direction;
        // The lane beside may have decided meanwhile.
        let memory = turn
            .ledger
            .recall_before(turn.now, &self.slip, &self.credential, self.claim);
        let lost = matches!(answer, Claimed::Replayed(_) | Claimed::PassedBack(_));
        let advice = match answer {
            Claimed::Replayed(by) => {
                self.slip.elsewhere = Some(by);
                policy::refuse(direction, Reason::Replayed)
            }
            Claimed::PassedBack(by) => {
                self.slip.elsewhere = Some(by);
                policy::refuse(direction, Reason::Passback)
            }
            Claimed::Won { before } => {
                let memory = match (&before, memory) {
                    // Seen at another gate since this one saw them: that one knows better.
                    (Some((_, by)), Memory::Again(Some(at))) if by.at() > at => Memory::Fresh,
                    (Some(_) | None, memory) => memory,
                };
                self.advise_won(before, memory, turn)
            }
            Claimed::Unanswered => advise(&self.slip, memory, self.open, turn),
        };
        let claim = self.claim;
        if lost {
            turn.ledger.lose_claim(claim);
        } else if matches!(advice, Advice::Refuse(..)) {
            turn.ledger.give_up_claim(claim);
        }
        settle(self.slip, &self.credential, advice, Some(claim), turn)
    }

    fn advise_won(
        &mut self,
        before: Option<(Direction, Elsewhere)>,
        memory: Memory,
        turn: &Turn<'_>,
    ) -> Advice {
        let again = before.filter(|(direction, _)| *direction == self.slip.direction);
        let soft = turn.settings.passback.is_some_and(|rule| rule.soft);
        match (memory, again) {
            // Let through all the same, and the record says so; unless staff forgave.
            (Memory::Fresh, Some((_, by))) if soft => {
                self.slip.elsewhere = Some(by);
                Advice::Open(Reason::Passback)
            }
            (memory, Some(_) | None) => advise(&self.slip, memory, self.open, turn),
        }
    }

    /// The lane stops serving.
    pub(super) fn cancel(self, reason: Option<Reason>, turn: &mut Turn<'_>) -> Said {
        turn.ledger.give_up_claim(self.claim);
        reason.map_or(Said::Nothing, |reason| self.slip.refused(reason, turn))
    }
}

/// What this gate's own memory advises.
fn advise(slip: &Slip, memory: Memory, open: Reason, turn: &Turn<'_>) -> Advice {
    let soft = turn.settings.passback.is_some_and(|rule| rule.soft);
    match memory {
        Memory::Fresh => Advice::Open(open),
        Memory::Used => policy::refuse(slip.direction, Reason::Replayed),
        Memory::Again(_) | Memory::Undated if soft => Advice::Open(Reason::Passback),
        Memory::Again(_) => policy::refuse(slip.direction, Reason::Passback),
        Memory::Undated => {
            let rule = turn.settings.rules(slip.direction).clock_untrusted;
            policy::by_rule(slip.direction, rule, Reason::ClockUntrusted)
        }
    }
}

fn settle(
    slip: Slip,
    credential: &Credential,
    advice: Advice,
    claim: Option<ClaimId>,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    if matches!(advice, Advice::Refuse(_, Reason::Passback)) {
        turn.ledger.note_passback(turn.now, &slip, credential);
    }
    conclude(slip, Some((credential, claim)), advice, turn)
}
