//! The desk of a lane: takes one presentation at a time from "shown" to "refused" or "release the barrier".

use std::mem;

use super::claiming::{self, Claiming};
use super::ledger::Bearer;
use super::policy::{self, Advice, Case};
use super::settings::OnTrouble;
use super::slip::Slip;
use super::turn::Turn;
use crate::domain::{
    Action, Assessed, ClaimId, Claimed, Credential, Direction, Finding, GrantId, HealthOutcome,
    JournalTrouble, Mono, Prompt, Reason, Standing, Subject, Verdict,
};

/// From when a presentation is too old to open a gate (READERS R6).
const FRESH: std::time::Duration = std::time::Duration::from_secs(1);

/// A grant on its way to the barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) grant: GrantId,
    pub(super) direction: Direction,
}

/// Where the desk stands.
#[derive(Debug, Default)]
pub(super) enum Desk {
    /// Nobody is being served.
    #[default]
    Idle,
    /// The backend is being asked.
    Asking(Box<Asking>),
    /// The use is being claimed.
    Claiming(Box<Claiming>),
    /// The grant is on its way to the disk.
    Recording(Box<Recording>),
}

/// A presentation that waits for the backend.
#[derive(Debug)]
pub(super) struct Asking {
    slip: Slip,
    credential: Credential,
    /// What the lists say: it counts if nobody answers.
    standing: Standing,
    asked: Mono,
    until: Mono,
}

/// A grant that waits for the disk.
#[derive(Debug)]
pub(super) struct Recording {
    slip: Slip,
    pass: Pass,
    until: Mono,
}

/// What happens at a desk.
#[derive(Debug)]
pub(super) enum Input {
    /// Somebody shows something; `barred`: the lane refuses whatever it is.
    Presented {
        assessed: Assessed,
        barred: Option<Reason>,
    },
    /// The backend answered.
    Answered(Result<Standing, HealthOutcome>),
    /// What came of the claim.
    Claimed(Claimed),
    /// The grant is on the disk.
    Durable,
    /// The grant will not be on the disk.
    NotDurable(JournalTrouble),
    /// The lane stops serving; `None`: because it opens to everybody.
    Cancelled(Option<Reason>),
    /// A deadline may be here.
    TimedOut,
}

/// What the desk tells its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing to show.
    Nothing,
    /// The backend is being asked, or the disk: the passenger waits.
    Working(Direction),
    /// Refused; true if staff are called.
    Refused(Direction, Prompt, bool),
    /// Release the barrier.
    Release(Pass),
}

impl Desk {
    /// Advances the desk by one input.
    pub(super) fn step(&mut self, input: Input, turn: &mut Turn<'_>) -> Said {
        let (next, said) = match (mem::take(self), input) {
            (Self::Idle, Input::Presented { assessed, barred }) => receive(assessed, barred, turn),
            (
                state @ (Self::Asking(_) | Self::Claiming(_) | Self::Recording(_)),
                Input::Presented { assessed, .. },
            ) => {
                let (slip, _) = Slip::of(assessed);
                (state, slip.refused(Reason::LaneBusy, turn))
            }
            (Self::Asking(asking), Input::Answered(answer)) => resume(*asking, answer, turn),
            (Self::Asking(asking), Input::TimedOut) if asking.until <= turn.mono() => {
                resume(*asking, Err(HealthOutcome::TimedOut), turn)
            }
            (Self::Asking(asking), Input::Cancelled(reason)) => {
                let said = reason.map_or(Said::Nothing, |reason| asking.slip.refused(reason, turn));
                (Self::Idle, said)
            }
            (Self::Claiming(claiming), Input::Claimed(answer)) => claiming.resume(answer, turn),
            (Self::Claiming(claiming), Input::TimedOut) if claiming.until <= turn.mono() => {
                claiming.resume(Claimed::Unanswered, turn)
            }
            (Self::Claiming(claiming), Input::Cancelled(reason)) => {
                (Self::Idle, claiming.cancel(reason, turn))
            }
            (Self::Recording(recording), Input::Durable) => {
                (Self::Idle, Said::Release(recording.pass))
            }
            (Self::Recording(recording), Input::NotDurable(trouble)) => {
                (Self::Idle, recording.lost(trouble, turn))
            }
            (Self::Recording(recording), Input::TimedOut) if recording.until <= turn.mono() => {
                (Self::Idle, recording.stalled(turn))
            }
            (Self::Recording(recording), Input::Cancelled(reason)) => {
                recording.abandon(turn);
                let said = reason.map_or(Said::Nothing, |r| recording.slip.refused(r, turn));
                (Self::Idle, said)
            }
            // Answers and timers that nobody waits for any more are harmless.
            (
                Self::Idle,
                Input::Answered(_)
                | Input::Claimed(_)
                | Input::Durable
                | Input::NotDurable(_)
                | Input::Cancelled(_)
                | Input::TimedOut,
            ) => (Self::Idle, Said::Nothing),
            (
                state @ Self::Asking(_),
                Input::Claimed(_) | Input::Durable | Input::NotDurable(_) | Input::TimedOut,
            )
            | (
                state @ Self::Claiming(_),
                Input::Answered(_) | Input::Durable | Input::NotDurable(_) | Input::TimedOut,
            )
            | (
                state @ Self::Recording(_),
                Input::Answered(_) | Input::Claimed(_) | Input::TimedOut,
            ) => (state, Said::Nothing),
        };
        *self = next;
        said
    }

    /// When the desk wants to be woken.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Idle => None,
            Self::Asking(asking) => Some(asking.until),
            Self::Claiming(claiming) => Some(claiming.until),
            Self::Recording(recording) => Some(recording.until),
        }
    }

    /// The direction of the presentation that is being decided on.
    pub(super) fn serving(&self) -> Option<Direction> {
        match self {
            Self::Idle => None,
            Self::Asking(asking) => Some(asking.slip.direction),
            Self::Claiming(claiming) => Some(claiming.slip.direction),
            Self::Recording(recording) => Some(recording.slip.direction),
        }
    }

    /// The presentation that the backend is asked about.
    pub(super) fn asks_about(&self) -> Option<u64> {
        match self {
            Self::Idle | Self::Claiming(_) | Self::Recording(_) => None,
            Self::Asking(asking) => Some(asking.slip.number),
        }
    }

    /// The claim that is waited for.
    pub(super) fn claims(&self) -> Option<ClaimId> {
        match self {
            Self::Idle | Self::Asking(_) | Self::Recording(_) => None,
            Self::Claiming(claiming) => Some(claiming.claim),
        }
    }

    /// The grant that waits for the disk.
    pub(super) fn waits_for(&self) -> Option<GrantId> {
        match self {
            Self::Idle | Self::Asking(_) | Self::Claiming(_) => None,
            Self::Recording(recording) => Some(recording.pass.grant),
        }
    }

    /// The name of the state, for pages and metrics.
    pub(super) const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Idle => None,
            Self::Asking(_) => Some("asking"),
            Self::Claiming(_) => Some("claiming"),
            Self::Recording(_) => Some("recording"),
        }
    }
}

fn receive(assessed: Assessed, barred: Option<Reason>, turn: &mut Turn<'_>) -> (Desk, Said) {
    let (mut slip, finding) = Slip::of(assessed);
    let too_late = turn.mono().since(slip.read) > FRESH;
    if let Some(reason) = barred.or(too_late.then_some(Reason::TooLate)) {
        return (Desk::Idle, slip.refused(reason, turn));
    }
    match finding {
        Finding::Refused { reason, issuer } => {
            slip.issuer = issuer;
            let advice = if reason == Reason::ClockUntrusted {
                // Its checks need the date: the rule for that speaks.
                let rules = turn.settings.rules(slip.direction);
                policy::by_rule(slip.direction, rules.clock_untrusted, reason)
            } else {
                policy::refuse(slip.direction, reason)
            };
            conclude(slip, None, advice, turn)
        }
        Finding::ByStaff => conclude(slip, None, Advice::Open(Reason::ByStaff), turn),
        Finding::Read {
            credential,
            standing,
        } => decide(slip, credential, standing, true, turn),
    }
}

fn resume(
    asking: Asking,
    answer: Result<Standing, HealthOutcome>,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    let mut slip = asking.slip;
    let waited = turn.mono().since(asking.asked).as_micros();
    slip.online_us = u64::try_from(waited).unwrap_or(u64::MAX);
    let standing = match answer {
        Ok(mut standing) => {
            // What the code says by itself, signed, still counts.
            standing.join_said(None, asking.standing.entitlements);
            standing
        }
        Err(health) => Standing {
            health: match health {
                // No answer is never a colour.
                HealthOutcome::Green | HealthOutcome::Yellow | HealthOutcome::Red => {
                    HealthOutcome::QueryFailed
                }
                HealthOutcome::Unknown
                | HealthOutcome::NotApplied
                | HealthOutcome::QueryFailed
                | HealthOutcome::TimedOut => health,
            },
            ..asking.standing
        },
    };
    decide(slip, asking.credential, standing, false, turn)
}

fn decide(
    mut slip: Slip,
    credential: Credential,
    standing: Standing,
    may_ask: bool,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    slip.issuer = Some(credential.issuer.clone());
    slip.subject = standing.subject.filter(|subject| *subject != Subject::NONE);
    slip.lists.clone_from(&standing.lists);
    slip.region = standing.region;
    let (settings, direction) = (turn.settings, slip.direction);
    let rules = settings.rules_for(direction, &credential.issuer, &standing);
    let advice = policy::judge(Case {
        direction,
        credential: &credential,
        standing: &standing,
        utc: turn.now.utc,
        rules,
        required: settings.required_entitlements,
        health: settings.health_required,
        may_ask: may_ask && settings.resolve.is_some(),
    });
    if let Some(advice) = advice {
        return match advice {
            Advice::Open(reason) => claiming::check(slip, credential, reason, turn),
            Advice::Refuse(..) => conclude(slip, None, advice, turn),
        };
    }
    let until = turn.mono() + settings.resolve.unwrap_or_default();
    turn.act(Action::AskOnline {
        number: slip.number,
        until,
    });
    let asking = Asking {
        slip,
        credential,
        standing,
        asked: turn.mono(),
        until,
    };
    (Desk::Asking(Box::new(asking)), Said::Working(direction))
}

/// What comes of the advice; `bearer`: what a grant uses up.
pub(super) fn conclude(
    slip: Slip,
    bearer: Option<Bearer<'_>>,
    advice: Advice,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    match advice {
        Advice::Refuse(verdict, reason) => (Desk::Idle, slip.closed(verdict, reason, turn)),
        Advice::Open(reason) if turn.ledger.has_room() => grant(slip, bearer, reason, turn),
        // The journal has not answered for so long that one more record would only wait behind the others.
        Advice::Open(reason) => match turn.settings.on_stall {
            OnTrouble::Hold => {
                if let Some(claim) = bearer.and_then(|(_, claim)| claim) {
                    turn.ledger.give_up_claim(claim);
                }
                (Desk::Idle, slip.refused(Reason::JournalStalled, turn))
            }
            OnTrouble::Open => {
                let (grant, _) = turn.ledger.issue(turn.now, &slip, bearer);
                turn.act(Action::Decided(slip.decided(
                    Verdict::Grant,
                    reason,
                    Some(grant),
                )));
                turn.ledger.count_unrecorded();
                (Desk::Idle, Said::Release(slip.pass(grant)))
            }
        },
    }
}

fn grant(
    slip: Slip,
    bearer: Option<Bearer<'_>>,
    reason: Reason,
    turn: &mut Turn<'_>,
) -> (Desk, Said) {
    let (grant, changes) = turn.ledger.issue(turn.now, &slip, bearer);
    let kind = slip.record(Verdict::Grant, reason, Some(grant));
    turn.record(Some(slip.lane), kind, Some(grant), changes);
    turn.act(Action::Decided(slip.decided(
        Verdict::Grant,
        reason,
        Some(grant),
    )));
    let recording = Recording {
        pass: slip.pass(grant),
        until: turn.mono() + turn.settings.stall,
        slip,
    };
    let said = Said::Working(recording.pass.direction);
    (Desk::Recording(Box::new(recording)), said)
}

impl Recording {
    /// The time is up, or the disk failed in the middle. The record may still be on the disk.
    fn stalled(&self, turn: &mut Turn<'_>) -> Said {
        match turn.settings.on_stall {
            OnTrouble::Hold => {
                self.abandon(turn);
                self.slip.refused(Reason::JournalStalled, turn)
            }
            OnTrouble::Open => {
                turn.ledger.expect_late(self.pass.grant);
                Said::Release(self.pass)
            }
        }
    }

    /// The record will never be on the disk.
    fn lost(&self, trouble: JournalTrouble, turn: &mut Turn<'_>) -> Said {
        let (rule, reason) = match trouble {
            JournalTrouble::Full => (turn.settings.on_full, Reason::JournalFull),
            JournalTrouble::Failed => (turn.settings.on_stall, Reason::JournalStalled),
            JournalTrouble::InDoubt => return self.stalled(turn),
        };
        match rule {
            OnTrouble::Hold => {
                turn.ledger.withdraw(turn.now, self.pass.grant);
                self.slip.refused(reason, turn)
            }
            OnTrouble::Open => {
                turn.ledger.count_unrecorded();
                Said::Release(self.pass)
            }
        }
    }

    fn abandon(&self, turn: &mut Turn<'_>) {
        let Pass { grant, direction } = self.pass;
        turn.ledger
            .abandon(turn.now, grant, self.slip.lane, direction);
    }
}
