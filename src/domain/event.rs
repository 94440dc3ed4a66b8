//! Everything that can happen to a gate. Drivers, the store and the backend all speak in these.

use std::sync::Arc;
use std::time::Duration;

use super::claim::{ClaimId, Claimed};
use super::credential::{Credential, Medium};
use super::decision::Reason;
use super::directive::Directive;
use super::ids::{Direction, GrantId, IssuerId, LaneId};
use super::mode::{Deed, Mode, Source};
use super::sensor::Levels;
use super::standing::{HealthOutcome, Standing};
use super::time::Mono;

/// What the codes module found out about a presentation before anybody decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is not a credential that anybody of the trust list vouches for.
    Refused {
        /// Why.
        reason: Reason,
        /// Whose it claimed to be, if that much is clear.
        issuer: Option<IssuerId>,
    },
    /// Staff let one person through: nobody shows anything.
    ByStaff,
    /// Its own checks passed; `standing` says what the lists know.
    Read {
        /// What it is.
        credential: Credential,
        /// What the lists say.
        standing: Standing,
    },
}

/// A presentation, read and looked up. It holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    /// Number of the presentation in this process: ties an online answer to its question.
    pub number: u64,
    /// At which lane.
    pub lane: LaneId,
    /// On which side.
    pub direction: Direction,
    /// What carried it.
    pub medium: Medium,
    /// When it came into view.
    pub seen: Mono,
    /// When its text or card facts were at hand.
    pub read: Mono,
    /// What came out.
    pub finding: Finding,
}

/// Why a grant or another entry is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalTrouble {
    /// At its configured size. Nothing old is dropped.
    Full,
    /// The disk refused: it is not there.
    Failed,
    /// The disk failed in the middle: it may be there or not. A second answer follows when that is known.
    InDoubt,
}

/// What the readers of one side of a lane can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// Everything the side is built for.
    #[default]
    Full,
    /// Cards, but no codes: its cameras and scanners are gone or see nothing.
    CardsOnly,
    /// Codes, but no cards.
    CodesOnly,
    /// Nothing: no reader works.
    None,
}

/// What staff or a key switch want of a lane's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// [`Source::Staff`] or [`Source::Key`]; nobody else is heard here.
    pub source: Source,
    /// The mode; `None`: none any more.
    pub mode: Option<Mode>,
    /// Who it is, if it is staff.
    pub by: Option<u32>,
    /// For how long; `None`: until it is taken back.
    pub lasts: Option<Duration>,
}

impl Wanted {
    /// Staff want a mode until it is taken back; for tests and the simulator.
    #[must_use]
    pub const fn by_staff(mode: Option<Mode>) -> Self {
        Self {
            source: Source::Staff,
            mode,
            by: None,
            lasts: None,
        }
    }

    /// A key switch stands at a mode, or at none.
    #[must_use]
    pub const fn by_key(mode: Option<Mode>) -> Self {
        Self {
            source: Source::Key,
            mode,
            by: None,
            lasts: None,
        }
    }
}

/// An input of [`crate::core`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody showed something.
    Presented(Assessed),
    /// The backend answered a question, or the deadline passed: `health` is `TimedOut` then.
    Answered {
        /// The presentation it was about.
        number: u64,
        /// What came back; `Err` keeps apart why nothing did.
        answer: Result<Standing, HealthOutcome>,
    },
    /// What came of a claim.
    Claimed(ClaimId, Claimed),
    /// The entry with this grant is on the disk.
    Durable(GrantId),
    /// The entry with this grant will not be on the disk.
    NotDurable(GrantId, JournalTrouble),
    /// The sensors of a lane, repeated.
    Sensed(LaneId, Levels),
    /// The lines of a lane are away: nobody knows what is in its aisle until its levels are said again.
    LinesLost(LaneId),
    /// Fire loop of the gate: true while there is a fire or the loop is broken. Repeated.
    Fire(bool),
    /// A person resets the latched fire.
    FireReset,
    /// Somebody who may wants a mode of a lane, or, by `None`, no longer: staff and key switches.
    ModeSet(LaneId, Wanted),
    /// The directives that were accepted last, the most specific first; what was wanted before by directive is over.
    Directed(Vec<Arc<Directive>>),
    /// Staff did something, with this user id; for the record, before what it leads to. Forgiving is done by it.
    Staffed(u32, Option<LaneId>, Deed),
    /// A prompt from a reader: located but not read, lift and tap again.
    ReaderPrompt(LaneId, Direction, super::decision::Prompt),
    /// What the readers of one side of a lane can take has changed. Until it is said, they can take everything.
    Readers(LaneId, Direction, Service),
    /// The barrier of a lane can be moved, or cannot: relays and sensors are gone, or a relay does not obey. Until it is
    /// said, it can.
    BarrierWorks(LaneId, bool),
    /// The daemon is about to end: nobody new is served, and what nobody has used is taken back.
    Stopping,
    /// Nothing happened, but the deadline is here.
    TimedOut,
}
