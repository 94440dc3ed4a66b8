//! What staff are told of what they asked for, and what a reload changes on the board.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Performer;
use crate::domain::{Decided, Deed, LaneId, ListId, Reason, Verdict};
use crate::runtime::orders::Said;
use crate::runtime::trust_watch::TrustWatch;

impl Performer {
    /// Name of a lane.
    #[must_use]
    pub fn lane_name(&self, lane: LaneId) -> String {
        self.board.lane_name(lane)
    }

    /// Staff ordered something, and it was done, or could not be.
    pub fn ordered(&self, uid: u32, deed: Deed, done: bool) {
        let (order, result) = (order_name(deed), if done { "done" } else { "refused" });
        let orders = &self.board.metrics.staff_orders;
        orders.with_label_values(&[order, result]).inc();
        tracing::info!(uid, order, result, "staff");
    }

    /// Somebody waits for what comes of this presentation.
    pub fn awaits(&mut self, number: u64, answer: oneshot::Sender<Said>) {
        self.awaited.insert(number, answer);
    }

    /// The barrier of a lane is released; whoever let that person through is told.
    pub(super) fn answer_staff(&mut self, lane: LaneId) {
        let number = self.granted.get(&lane).map(|granted| granted.number);
        let Some(answer) = number.and_then(|number| self.awaited.remove(&number)) else {
            return;
        };
        let name = self.board.lane_name(lane);
        // Whoever asked may be gone.
        let _ = answer.send(Said::Done(format!(
            "lane {name} is released for one person, and that is recorded"
        )));
    }

    /// A decision against letting somebody through.
    pub(super) fn refuse_staff(&mut self, decided: &Decided) {
        if decided.verdict == Verdict::Grant {
            return;
        }
        if let Some(answer) = self.awaited.remove(&decided.number) {
            let name = self.board.lane_name(decided.lane);
            let _ = answer.send(Said::Refused(format!(
                "lane {name}: {}",
                why(decided.reason)
            )));
        }
    }

    /// From which age each list counts as stale, from now on.
    pub fn stale_after(&mut self, lists: Vec<(ListId, Duration)>) {
        self.board.stale_after(lists);
    }

    /// The trust list that is in force from now on.
    pub fn trusts(&mut self, trust: TrustWatch) {
        self.board.trusts(trust);
    }

    /// The config was read again; `said`: what was not taken up, or why nothing was.
    pub fn reloaded(&mut self, taken: bool, said: Vec<String>) {
        self.board.reloaded(taken, said);
    }
}

const fn order_name(deed: Deed) -> &'static str {
    match deed {
        Deed::SetMode { .. } => "mode",
        Deed::EndMode => "mode_auto",
        Deed::OpenOnce { .. } => "open_once",
        Deed::ResetFire => "reset_fire",
        Deed::Forgive { .. } => "forgive",
        Deed::ProvisionReader { .. } => "provision_reader",
    }
}

fn why(reason: Reason) -> String {
    if reason == Reason::LaneBusy {
        return "it is serving somebody; try again in a moment".into();
    }
    if reason == Reason::OutOfService {
        return "its barrier does not obey, or its aisle does not clear: it cannot be released"
            .into();
    }
    if matches!(reason, Reason::JournalStalled | Reason::JournalFull) {
        return "the journal does not take the record, and this site holds in that case".into();
    }
    format!("refused: {}", reason.as_str())
}
