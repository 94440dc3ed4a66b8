//! The alarms of a lane: somebody where nobody should be, an aisle that does not clear, somebody who needs staff.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alarm;
use crate::core::turn::Turn;
use crate::domain::{Alarm, Direction, Kind, LaneId, Mono, Outcome};

/// How long the aisle must be clear before an intrusion is over: a flickering beam is one intrusion, not many.
const CALM: Duration = Duration::from_secs(1);

/// How long staff are called for somebody who needs them.
const CALL: Duration = Duration::from_secs(30);

/// The alarms of one lane.
#[derive(Debug)]
pub(super) struct Watch {
    unrest: Option<Unrest>,
    obstruction: Obstruction,
    obstruction_after: Duration,
    call_until: Option<Mono>,
    /// Alarms that are on for as long as something is so.
    on: BTreeSet<Alarm>,
}

/// Somebody went where nobody granted it.
#[derive(Clone, Copy, Debug)]
struct Unrest {
    way: Direction,
    /// Since when the aisle has been clear.
    clear_since: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
enum Obstruction {
    /// The aisle is clear, or open to everybody.
    None,
    /// Somebody has been there since then.
    Since(Mono),
    /// For longer than a person needs.
    Raised,
}

impl Watch {
    pub(super) fn new(obstruction_after: Duration) -> Self {
        Self {
            unrest: None,
            obstruction: Obstruction::None,
            obstruction_after,
            call_until: None,
            on: BTreeSet::new(),
        }
    }

    /// Raises or ends an alarm that lasts for as long as something is so. Both are recorded; true if that is new.
    pub(super) fn set(&mut self, lane: LaneId, of: Alarm, on: bool, turn: &mut Turn<'_>) -> bool {
        let is_new = if on {
            self.on.insert(of)
        } else {
            self.on.remove(&of)
        };
        if is_new {
            alarm(lane, of, on, turn);
            turn.record(Some(lane), Kind::Alarm { alarm: of, on }, None, Vec::new());
        }
        is_new
    }

    /// Somebody holds the leaf, or no longer.
    pub(super) fn hold(&mut self, lane: LaneId, held: bool, way: Direction, turn: &mut Turn<'_>) {
        if self.set(lane, Alarm::HeldOpen, held, turn) && held {
            turn.outcome(lane, way, Outcome::HeldOpen, None);
        }
    }

    /// Somebody strays; true if the alarm was off until now.
    pub(super) fn stray(&mut self, lane: LaneId, way: Direction, turn: &mut Turn<'_>) -> bool {
        let begins = self.unrest.is_none();
        if begins {
            alarm(lane, Alarm::Intrusion, true, turn);
        }
        self.unrest = Some(Unrest {
            way,
            clear_since: None,
        });
        begins
    }

    /// The side that should step back.
    pub(super) fn unrest(&self) -> Option<Direction> {
        self.unrest.map(|unrest| unrest.way)
    }

    /// The intrusion is over, whoever is in the aisle.
    pub(super) fn quieten(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        if self.unrest.take().is_some() {
            alarm(lane, Alarm::Intrusion, false, turn);
        }
    }

    /// Calls staff to the lane.
    pub(super) fn call_staff(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        alarm(lane, Alarm::Assist, true, turn);
        self.call_until = Some(turn.mono() + CALL);
    }

    pub(super) const fn is_obstructed(&self) -> bool {
        matches!(self.obstruction, Obstruction::Raised)
    }

    /// Follows the aisle and the clock. `occupant`: who keeps it occupied, if that may be an obstruction.
    pub(super) fn settle(
        &mut self,
        lane: LaneId,
        occupant: Option<Direction>,
        clear: bool,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.mono();
        if let Some(unrest) = &mut self.unrest {
            unrest.clear_since = clear.then(|| unrest.clear_since.unwrap_or(now));
            if unrest.clear_since.is_some_and(|since| since + CALM <= now) {
                self.quieten(lane, turn);
            }
        }
        if self.call_until.is_some_and(|until| until <= now) {
            self.call_until = None;
            alarm(lane, Alarm::Assist, false, turn);
        }
        self.obstruction = match (self.obstruction, occupant) {
            (Obstruction::None, None) => Obstruction::None,
            (Obstruction::None, Some(_)) => Obstruction::Since(now),
            (Obstruction::Since(_), None) => Obstruction::None,
            (Obstruction::Since(since), Some(way)) if since + self.obstruction_after <= now => {
                turn.outcome(lane, way, Outcome::Obstruction, None);
                alarm(lane, Alarm::Obstruction, true, turn);
                Obstruction::Raised
            }
            (Obstruction::Since(since), Some(_)) => Obstruction::Since(since),
            (Obstruction::Raised, Some(_)) => Obstruction::Raised,
            (Obstruction::Raised, None) => {
                alarm(lane, Alarm::Obstruction, false, turn);
                let over = Kind::Alarm {
                    alarm: Alarm::Obstruction,
                    on: false,
                };
                turn.record(Some(lane), over, None, Vec::new());
                Obstruction::None
            }
        };
    }

    /// When the clock may change something.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let calm = self.unrest.and_then(|unrest| unrest.clear_since);
        let obstruction = match self.obstruction {
            Obstruction::Since(since) => Some(since + self.obstruction_after),
            Obstruction::None | Obstruction::Raised => None,
        };
        [calm.map(|since| since + CALM), obstruction, self.call_until]
            .into_iter()
            .flatten()
            .min()
    }
}
