//! The decision desk of one lane: one presentation at a time, from what was read to a durable grant.

use crate::domain::{
    Action, Assessed, Credential, Decided, Entry, Finding, GrantId, HealthOutcome, Kind, Mono, Now,
    PassbackKey, Reason, Record, ReplayKey, Standing, StateChange, Verdict,
};

use super::passback::{Passback, Passed};
use super::policy::{self, Facts, Ruling};
use super::replay::SeenSet;
use super::settings::Settings;

/// Who is being served.
#[derive(Clone, Debug, Default)]
pub(super) enum Desk {
    /// Nobody.
    #[default]
    Free,
    /// The backend is being asked.
    Asking {
        /// About this.
        assessed: Box<Assessed>,
        /// Since.
        since: Mono,
        /// The answer is not wanted later.
        until: Mono,
    },
    /// A grant is on its way to the disk.
    Recording {
        /// The decision, told once it is final.
        decided: Decided,
        /// The grant.
        grant: GrantId,
        /// The site's rule applies from then on.
        until: Mono,
    },
}

impl Desk {
    /// When this lane wants to be woken.
    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Free => None,
            Self::Asking { until, .. } | Self::Recording { until, .. } => Some(*until),
        }
    }
}

/// What to undo if nobody walks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undo {
    replay: Option<ReplayKey>,
    passback: Option<(PassbackKey, Option<Passed>)>,
}

/// What this gate remembers of people, shared by its lanes.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) seen: SeenSet,
    pub(super) passback: Option<Passback>,
}

impl Memory {
    /// Takes back what a grant had remembered; returns the changes for the journal.
    pub(super) fn undo(&mut self, undo: Undo) -> Vec<StateChange> {
        let mut changes = Vec::new();
        if let Some(key) = undo.replay {
            self.seen.forget(&key);
            changes.push(StateChange::Unseen { key });
        }
        if let (Some((key, before)), Some(passback)) = (undo.passback, &mut self.passback) {
            passback.annul(key, before);
            changes.push(StateChange::PassedBack {
                key,
                before: before.and_then(|passed| passed.dated()),
            });
        }
        changes
    }

    /// Remembers a grant before anybody walks, so that the lane beside refuses the same code at once.
    fn remember(
        &mut self,
        now: Now,
        assessed: &Assessed,
        credential: &Credential,
        standing: &Standing,
    ) -> (Undo, Vec<StateChange>) {
        let mut undo = Undo::default();
        let mut changes = Vec::new();
        if let Some(replay) = credential.replay {
            self.seen.remember(now, &replay);
            undo.replay = Some(replay.key);
            if let Some(utc) = now.utc {
                let until = utc + std::time::Duration::from_secs(replay.window_s.into());
                changes.push(StateChange::Seen {
                    key: replay.key,
                    until,
                });
            }
        }
        if let (Some(passback), Some(key)) =
            (&mut self.passback, passback_key(credential, standing))
        {
            let before = passback.remember(now, key, assessed.direction);
            undo.passback = Some((key, before));
            if let Some(at) = now.utc {
                changes.push(StateChange::Passed {
                    key,
                    direction: assessed.direction,
                    at,
                });
            }
        }
        (undo, changes)
    }

    /// Why this may not be used again, if it was used.
    fn used(
        &self,
        now: Now,
        assessed: &Assessed,
        credential: &Credential,
        standing: &Standing,
    ) -> Option<Reason> {
        if credential
            .replay
            .is_some_and(|replay| self.seen.is_seen(now, &replay.key))
        {
            return Some(Reason::Replayed);
        }
        let key = passback_key(credential, standing)?;
        let passback = self.passback.as_ref()?;
        passback
            .is_passback(now, &key, assessed.direction)
            .then_some(Reason::Passback)
    }
}

/// The subject where there is one, else the credential itself.
fn passback_key(credential: &Credential, standing: &Standing) -> Option<PassbackKey> {
    let row = || {
        credential
            .keys
            .first()
            .map(|(_, key)| PassbackKey::Row(*key))
    };
    standing.subject.map(PassbackKey::Subject).or_else(row)
}

/// What the desk decided on an assessed presentation.
pub(super) enum Step {
    /// Ask the backend first.
    Ask,
    /// Refused, or for staff.
    Refuse(Ruling),
    /// Granted.
    Grant {
        /// Why.
        ruling: Ruling,
        /// What to undo if nobody walks.
        undo: Undo,
        /// What to write with the record.
        changes: Vec<StateChange>,
    },
}

/// Decides. `answer` is what the backend said, if it was asked.
pub(super) fn decide(
    settings: &Settings,
    memory: &mut Memory,
    now: Now,
    assessed: &Assessed,
    answer: Option<&Result<Standing, HealthOutcome>>,
) -> Step {
    let direction = assessed.direction;
    let (credential, listed) = match &assessed.finding {
        Finding::Refused { reason, .. } => {
            return Step::Refuse(policy::refuse(
                direction,
                crate::domain::Rule::Hold,
                *reason,
            ));
        }
        Finding::Read {
            credential,
            standing,
        } => (credential, standing),
    };
    let standing = match answer {
        None if listed.health == HealthOutcome::Unknown && settings.resolve.is_some() => {
            return Step::Ask;
        }
        None => listed.clone(),
        Some(Ok(standing)) => Standing {
            lists: listed.lists.clone(),
            ..standing.clone()
        },
        Some(Err(health)) => Standing {
            health: *health,
            ..listed.clone()
        },
    };
    let online = matches!(answer, Some(Ok(_)));
    let facts = Facts {
        direction,
        utc: now.utc,
        credential,
        standing: &standing,
        online,
    };
    let ruling = policy::rule(settings, facts);
    if ruling.verdict != Verdict::Grant {
        return Step::Refuse(ruling);
    }
    if let Some(reason) = memory.used(now, assessed, credential, &standing) {
        return Step::Refuse(policy::refuse(direction, crate::domain::Rule::Hold, reason));
    }
    let (undo, changes) = memory.remember(now, assessed, credential, &standing);
    Step::Grant {
        ruling,
        undo,
        changes,
    }
}

/// Everything that makes up the record of a decision.
pub(super) struct Sheet<'a> {
    pub(super) boot: u32,
    pub(super) lane: String,
    pub(super) assessed: &'a Assessed,
    pub(super) answer: Option<&'a Result<Standing, HealthOutcome>>,
    pub(super) ruling: Ruling,
    pub(super) grant: Option<GrantId>,
    pub(super) changes: Vec<StateChange>,
}

impl Sheet<'_> {
    /// The action that writes it down.
    pub(super) fn record(self, now: Now) -> Action {
        let (issuer, subject, lists) = match &self.assessed.finding {
            Finding::Refused { issuer, .. } => (issuer.clone(), None, Vec::new()),
            Finding::Read {
                credential,
                standing,
            } => {
                let online = self
                    .answer
                    .and_then(|answer| answer.as_ref().ok())
                    .and_then(|answer| answer.subject);
                (
                    Some(credential.issuer.clone()),
                    standing.subject.or(online),
                    standing.lists.clone(),
                )
            }
        };
        let Ruling { verdict, reason } = self.ruling;
        let prompt = if verdict == Verdict::Grant {
            crate::domain::Prompt::Go
        } else {
            reason.prompt()
        };
        let kind = Kind::Decision {
            direction: self.assessed.direction,
            medium: self.assessed.medium,
            issuer,
            subject,
            verdict,
            reason,
            prompt,
            grant: self.grant,
            lists,
        };
        let record = Record::new(self.boot, now, Some(self.lane), kind);
        Action::Record(Entry {
            grant: self.grant,
            record,
            changes: self.changes,
        })
    }
}

/// The decision as counters and pages need it.
pub(super) const fn decided(
    assessed: &Assessed,
    ruling: Ruling,
    grant: Option<GrantId>,
    online_us: u64,
) -> Decided {
    Decided {
        number: assessed.number,
        lane: assessed.lane,
        direction: assessed.direction,
        medium: assessed.medium,
        verdict: ruling.verdict,
        reason: ruling.reason,
        grant,
        seen: assessed.seen,
        read: assessed.read,
        online_us,
    }
}
