//! Everything a gate can ask for. Actions are idempotent: "lock", never "toggle".

use super::claim::{Claim, ClaimId};
use super::credential::Medium;
use super::decision::{Outcome, Prompt, Reason, Verdict};
use super::ids::{Direction, GrantId, LaneId};
use super::passage::Entry;
use super::sensor::Sensor;
use super::time::Mono;

/// What staff are called for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The fire loop is open; everything is released until a person resets it.
    Fire,
    /// Somebody crossed without a grant, or followed another.
    Intrusion,
    /// The aisle does not clear.
    Obstruction,
    /// Somebody needs staff at the lane.
    Assist,
    /// A grant was given without a durable record, by the site's rule.
    Unrecorded,
    /// A leaf does not shut: somebody holds it.
    HeldOpen,
    /// The barrier does not do what it is told: a welded or a dead relay, a drive that has failed.
    BarrierFault,
    /// A sensor contradicts the others.
    SensorFault,
}

impl Alarm {
    /// The name in records and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fire => "fire",
            Self::Intrusion => "intrusion",
            Self::Obstruction => "obstruction",
            Self::Assist => "assist",
            Self::Unrecorded => "unrecorded",
            Self::HeldOpen => "held_open",
            Self::BarrierFault => "barrier_fault",
            Self::SensorFault => "sensor_fault",
        }
    }
}

/// An output of [`crate::core`], performed in order by the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Release the barrier for one direction.
    ReleaseBarrier(LaneId, Direction),
    /// Release the barrier both ways: fire, free mode.
    ReleaseBothWays(LaneId),
    /// Lock the barrier.
    LockBarrier(LaneId),
    /// Show a prompt on one side; lights and tones follow from it.
    Show(LaneId, Direction, Prompt),
    /// Ask the backend about this presentation, and answer with `Event::Answered` before `until` or not at all.
    AskOnline {
        /// The presentation.
        number: u64,
        /// After this the answer is not wanted.
        until: Mono,
    },
    /// Claim a use at the backend, and answer with `Event::Claimed` before `until` or not at all.
    Claim {
        /// What is claimed.
        claim: Claim,
        /// After this the gate goes by what it remembers itself.
        until: Mono,
    },
    /// The use of a claim did not come about, or is not recorded: take it back.
    Unclaim(ClaimId),
    /// Write an entry. If it carries a grant, `Event::Durable` or `Event::NotDurable` must follow.
    Record(Entry),
    /// A decision has been made; for counters, pages and the log.
    Decided(Decided),
    /// An outcome is known; for counters, pages and the log.
    Ended(LaneId, Direction, Outcome, Option<GrantId>),
    /// A sensor contradicts the others, or has begun to say something again; for counters and the log.
    SensorSticks(LaneId, Sensor, bool),
    /// Staff are called, or no longer.
    Alarm(Option<LaneId>, Alarm, bool),
}

/// A decision as counters and pages need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The presentation it is about.
    pub number: u64,
    /// At which lane.
    pub lane: LaneId,
    /// On which side.
    pub direction: Direction,
    /// What carried the credential.
    pub medium: Medium,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
    /// The grant, if there is one. The barrier is released later, when it is durable.
    pub grant: Option<GrantId>,
    /// When the thing came into view.
    pub seen: Mono,
    /// When its text or card facts were at hand.
    pub read: Mono,
    /// How long the backend was waited for, in microseconds; zero if it was not asked.
    pub online_us: u64,
    /// How long a claim was waited for, in microseconds; zero if nothing was claimed.
    pub claim_us: u64,
}
