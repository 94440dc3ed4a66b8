//! What the loop tells whoever watches: the demo's people see the light and the barrier through it.

use std::time::Duration;

use crate::domain::{Decided, Direction, GrantId, LaneId, Outcome, Prompt};

/// Something a person at the gate, or a test, can notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A decision.
    Decided(Decided),
    /// The relay of a grant was commanded.
    Released {
        /// The presentation.
        number: u64,
        /// Its lane.
        lane: LaneId,
        /// Text or card facts at hand to relay commanded, without online waits.
        own_share: Duration,
        /// In view to relay commanded.
        end_to_end: Duration,
    },
    /// An outcome.
    Ended(LaneId, Direction, Outcome, Option<GrantId>),
    /// What is shown.
    Shown(LaneId, Direction, Prompt),
}

impl Observation {
    /// At which lane.
    #[must_use]
    pub const fn lane(&self) -> LaneId {
        match self {
            Self::Decided(decided) => decided.lane,
            Self::Released { lane, .. } | Self::Ended(lane, ..) | Self::Shown(lane, ..) => *lane,
        }
    }
}
