//! Claims on their way to the backend, and what came of them.

use std::time::Duration;

use super::Performer;
use crate::domain::{Claim, ClaimId, Claimed, Event};
use crate::sync::claims::Order;

impl Performer {
    /// Hands a claim on; an event if nobody takes it: then the gate goes by what it remembers itself.
    pub(super) fn claim(&self, claim: Claim, within: Duration) -> Option<Event> {
        if self.order(Order::Claim(claim, within)) {
            return None;
        }
        self.claimed(&Claimed::Unanswered, false);
        Some(Event::Claimed(claim.id, Claimed::Unanswered))
    }

    /// A use did not come about.
    pub(super) fn take_back(&self, claim: ClaimId) {
        if !self.order(Order::TakeBack(claim)) {
            tracing::warn!("a claim is not taken back; it ends by itself");
        }
    }

    /// What came of a claim; `late`: the gate had decided without.
    pub fn claimed(&self, claimed: &Claimed, late: bool) {
        let when = if late { "late" } else { "in_time" };
        let claims = &self.board.metrics.claims;
        claims.with_label_values(&[claimed.as_str(), when]).inc();
        if late && let Claimed::Replayed(by) | Claimed::PassedBack(by) = claimed {
            tracing::warn!(
                gate = %by.gate,
                used = claimed.as_str(),
                "somebody was let through while the backend was away, who had been let through there"
            );
        }
    }

    /// False if nobody takes it.
    fn order(&self, order: Order) -> bool {
        let claims = self.outlets.claims.as_ref();
        claims.is_some_and(|claims| claims.try_send(order).is_ok())
    }
}
