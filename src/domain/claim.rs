//! "This was used here, now": what a gate asks of its backend, so that no other gate takes the same code, or lets the
//! same person in twice.

use serde::{Deserialize, Serialize};

use super::credential::Replay;
use super::ids::{Direction, GateId};
use super::passage::PassbackKey;
use super::time::Utc;

/// One claim of one gate. Counted in a process; whoever sends it makes it unlike those of other processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub u64);

/// What is claimed for somebody who is about to be let through. One of the two is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Names it.
    pub id: ClaimId,
    /// The code, if it can be used once only.
    pub replay: Option<Replay>,
    /// The person, if passback reaches beyond this gate.
    pub person: Option<PersonClaim>,
}

/// The person part of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonClaim {
    /// Who.
    pub key: PassbackKey,
    /// Which way they go.
    pub direction: Direction,
    /// How long that is remembered, in seconds.
    pub remember_s: u32,
    /// False if they pass although they have been here: passback is soft, or staff forgave them.
    pub enforced: bool,
    /// True if this gate itself remembers them going this way. If not, what the backend holds of this gate is a use that
    /// never came about, and gives way.
    pub known_here: bool,
}

/// Another gate that was first, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Which gate.
    pub gate: GateId,
    /// When, in milliseconds since 1970, by the backend's clock.
    pub at_ms: u64,
}

impl Elsewhere {
    /// When.
    #[must_use]
    pub const fn at(&self) -> Utc {
        Utc::from_millis(self.at_ms)
    }
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours.
    Won {
        /// Where the person went last, if that is still remembered.
        before: Option<(Direction, Elsewhere)>,
    },
    /// The code was used there.
    Replayed(Elsewhere),
    /// The person went this way there.
    PassedBack(Elsewhere),
    /// Nobody answered in time: this gate goes by what it remembers itself.
    Unanswered,
}

impl Claimed {
    /// The word in metrics: `won`, `replayed`, `passback` or `unanswered`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Won { .. } => "won",
            Self::Replayed(_) => "replayed",
            Self::PassedBack(_) => "passback",
            Self::Unanswered => "unanswered",
        }
    }
}
