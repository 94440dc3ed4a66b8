//! What a presentation leaves for its records, and the words and counters of a decision on it.

use super::desk::{Pass, Said};
use super::policy;
use super::turn::Turn;
use crate::domain::{
    Action, Assessed, Decided, Direction, Elsewhere, Finding, GrantId, IssuerId, Kind, LaneId,
    ListVersion, Medium, Mono, Reason, Subject, Verdict,
};

/// What a presentation leaves for its records.
#[derive(Clone, Debug)]
pub(super) struct Slip {
    pub(super) number: u64,
    pub(super) lane: LaneId,
    pub(super) direction: Direction,
    pub(super) medium: Medium,
    pub(super) issuer: Option<IssuerId>,
    pub(super) subject: Option<Subject>,
    pub(super) lists: Vec<ListVersion>,
    pub(super) region: u8,
    pub(super) seen: Mono,
    pub(super) read: Mono,
    pub(super) online_us: u64,
    pub(super) claim_us: u64,
    /// Who was first, if it was another gate.
    pub(super) elsewhere: Option<Elsewhere>,
}

impl Slip {
    pub(super) fn of(assessed: Assessed) -> (Self, Finding) {
        let slip = Self {
            number: assessed.number,
            lane: assessed.lane,
            direction: assessed.direction,
            medium: assessed.medium,
            issuer: None,
            subject: None,
            lists: Vec::new(),
            region: 0,
            seen: assessed.seen,
            read: assessed.read,
            online_us: 0,
            claim_us: 0,
            elsewhere: None,
        };
        (slip, assessed.finding)
    }

    pub(super) const fn pass(&self, grant: GrantId) -> Pass {
        Pass {
            grant,
            direction: self.direction,
        }
    }

    /// Refuses for a reason that no rule softens.
    pub(super) fn refused(&self, reason: Reason, turn: &mut Turn<'_>) -> Said {
        self.closed(policy::refusal(self.direction, reason), reason, turn)
    }

    pub(super) fn closed(&self, verdict: Verdict, reason: Reason, turn: &mut Turn<'_>) -> Said {
        // A flood at a busy lane must not fill the journal.
        if reason != Reason::LaneBusy {
            let kind = self.record(verdict, reason, None);
            turn.record(Some(self.lane), kind, None, Vec::new());
        }
        turn.act(Action::Decided(self.decided(verdict, reason, None)));
        let prompt = policy::prompt(verdict, reason);
        Said::Refused(self.direction, prompt, verdict == Verdict::Assist)
    }

    pub(super) fn record(&self, verdict: Verdict, reason: Reason, grant: Option<GrantId>) -> Kind {
        Kind::Decision {
            direction: self.direction,
            medium: self.medium,
            issuer: self.issuer.clone(),
            subject: self.subject,
            verdict,
            reason,
            prompt: policy::prompt(verdict, reason),
            grant,
            lists: self.lists.clone(),
            elsewhere: self.elsewhere.clone(),
            region: self.region,
        }
    }

    pub(super) const fn decided(
        &self,
        verdict: Verdict,
        reason: Reason,
        grant: Option<GrantId>,
    ) -> Decided {
        Decided {
            number: self.number,
            lane: self.lane,
            direction: self.direction,
            medium: self.medium,
            verdict,
            reason,
            grant,
            seen: self.seen,
            read: self.read,
            online_us: self.online_us,
            claim_us: self.claim_us,
        }
    }
}
