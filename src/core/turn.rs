//! What one turn of the loop hands to every part: the clocks, the settings, the ledger, and where actions go.

use super::ledger::Ledger;
use super::settings::Settings;
use crate::domain::{
    Action, Direction, Entry, GrantId, Kind, LaneId, Mono, Now, Outcome, Record, StateChange,
};

/// One turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a Settings,
    pub(super) ledger: &'a mut Ledger,
    pub(super) out: &'a mut Vec<Action>,
}

impl Turn<'_> {
    pub(super) const fn mono(&self) -> Mono {
        self.now.mono
    }

    pub(super) fn act(&mut self, action: Action) {
        self.out.push(action);
    }

    /// Writes a record. `grant`: somebody waits until it is durable.
    pub(super) fn record(
        &mut self,
        lane: Option<LaneId>,
        kind: Kind,
        grant: Option<GrantId>,
        changes: Vec<StateChange>,
    ) {
        let name = lane.and_then(|id| self.settings.lanes.get(usize::from(id.0)));
        let name = name.map(|lane| lane.name.clone());
        self.out.push(Action::Record(Entry {
            grant,
            record: Record::new(self.ledger.boot(), self.now, name, kind),
            changes,
        }));
    }

    /// An outcome is known; `grant` is the grant that it ends. A grant that nobody used is annulled.
    pub(super) fn outcome(
        &mut self,
        lane: LaneId,
        direction: Direction,
        outcome: Outcome,
        grant: Option<GrantId>,
    ) {
        let changes = match grant {
            Some(grant) => self.ledger.end(self.now, grant, outcome),
            None => Vec::new(),
        };
        let kind = Kind::Outcome {
            direction,
            outcome,
            grant,
        };
        self.record(Some(lane), kind, None, changes);
        self.act(Action::Ended(lane, direction, outcome, grant));
    }
}
