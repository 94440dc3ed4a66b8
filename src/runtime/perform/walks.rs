//! The log of passages: one line each at `info`. A refusal is told when it is decided; a grant when its passage has ended,
//! with what it was granted for. The grant itself is told at `debug`.

use std::collections::BTreeMap;

use crate::domain::{Decided, Direction, GrantId, LaneId, Medium, Outcome, Reason};

/// Grants whose passages have not ended; one a lane, or a few where a group is let through.
#[derive(Debug, Default)]
pub(super) struct Walks(BTreeMap<GrantId, Walk>);

#[derive(Debug)]
struct Walk {
    lane: LaneId,
    number: u64,
    medium: Medium,
    reason: Reason,
}

/// Every grant ends once. Should one not, what is remembered of a lane stays bounded.
const WALKS_MAX: usize = 64;

impl Walks {
    /// A decision was made.
    pub(super) fn decided(&mut self, lane: &str, decided: &Decided) {
        let (direction, medium) = (decided.direction.as_str(), decided.medium.as_str());
        let (verdict, reason) = (decided.verdict.as_str(), decided.reason.as_str());
        // A grant that could not be recorded is refused after all: its own line tells that.
        self.0.retain(|_, walk| {
            (walk.lane, walk.number) != (decided.lane, decided.number) || decided.grant.is_some()
        });
        let Some(grant) = decided.grant else {
            tracing::info!(lane, direction, medium, verdict, reason, "refused");
            return;
        };
        tracing::debug!(lane, direction, medium, verdict, reason, %grant, "granted");
        if self.0.len() == WALKS_MAX {
            self.0.pop_first();
        }
        let walk = Walk {
            lane: decided.lane,
            number: decided.number,
            medium: decided.medium,
            reason: decided.reason,
        };
        self.0.insert(grant, walk);
    }

    /// The sensors say what came of it.
    pub(super) fn ended(
        &mut self,
        lane: &str,
        direction: Direction,
        outcome: Outcome,
        grant: Option<GrantId>,
    ) {
        let walk = grant.and_then(|grant| self.0.remove(&grant));
        let (direction, outcome) = (direction.as_str(), outcome.as_str());
        let medium = walk.as_ref().map(|walk| walk.medium.as_str());
        let reason = walk.as_ref().map(|walk| walk.reason.as_str());
        let grant = grant.map(tracing::field::display);
        tracing::info!(lane, direction, medium, reason, outcome, grant, "passage");
    }
}
