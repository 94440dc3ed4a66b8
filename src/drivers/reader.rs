//! What every reader says to the runtime: cameras, card modules and scanners alike.

use std::time::Duration;

use crate::domain::{Direction, LaneId, Medium, Mono, Presentation, Prompt, Shown};
use crate::proto::osdp::Provisioned;

/// Where a reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its lane.
    pub lane: LaneId,
    /// Its side of the lane.
    pub direction: Direction,
    /// Its name: the label of its metrics.
    pub name: String,
}

impl Port {
    /// A presentation at this reader.
    #[must_use]
    pub const fn presentation(
        &self,
        medium: Medium,
        shown: Shown,
        seen: Mono,
        read: Mono,
    ) -> Presentation {
        Presentation {
            lane: self.lane,
            direction: self.direction,
            medium,
            shown,
            seen,
            read,
        }
    }
}

/// One message of one reader; the channel to the runtime carries these.
#[derive(Clone, Debug)]
pub struct ReaderEvent {
    /// Which reader.
    pub port: std::sync::Arc<Port>,
    /// What it says.
    pub report: ReaderReport,
}

/// What is wrong with a camera whose frames go on coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blindness {
    /// Every frame is the same, to the last pixel. No sensor does that.
    Frozen,
    /// Nothing but darkness: something covers the lens, or there is no light.
    Dark,
}

/// How the port of a reader stands: one state at a time, in metrics and on the status page (READERS §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortState {
    /// There is nothing where the port should be: unplugged.
    #[default]
    Absent,
    /// It is there, and being opened.
    Opening,
    /// It is open; whether the device on it is the right one is being found out.
    Probing,
    /// The device works.
    Ready,
    /// It works, and its line brings more bad bytes than it should: a loose plug, a missing ground.
    Degraded,
    /// It cannot be opened, or the device on it is not served.
    Lost,
}

impl PortState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Absent,
        Self::Opening,
        Self::Probing,
        Self::Ready,
        Self::Degraded,
        Self::Lost,
    ];

    /// The word in metrics and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Opening => "opening",
            Self::Probing => "probing",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Lost => "lost",
        }
    }
}

/// How a port stands, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortNews {
    /// The state.
    pub state: PortState,
    /// Line speed it is or was opened at; 0 where there is none.
    pub baud: u32,
    /// Why it is absent or lost, in a sentence.
    pub why: Option<String>,
}

/// What a reader can say.
#[derive(Clone, Debug)]
pub enum ReaderReport {
    /// Somebody showed something.
    Presented(Presentation),
    /// The passenger should be told something that is no decision: hold still, lift and tap again.
    Prompt(Prompt),
    /// The driver has a working connection, or has lost it. Sent once a change.
    Up(bool),
    /// Its port stands otherwise than before. What comes and goes faster than it can be told is left out.
    Port(PortNews),
    /// What the module says of itself: a number or a name of the part, never of a person.
    Identified(String),
    /// It is connected and of no use. It counts as down until it is said to be up. Sent once a change.
    Blind(Blindness),
    /// One frame went through the pipeline.
    Frame {
        /// Thread time or wall time of the decode.
        decode: Duration,
        /// True if it gave at least one text.
        read: bool,
    },
    /// Presentations that came faster than people can show them, and were dropped: counted.
    TooFast(u32),
    /// Bad bytes, frames that could not be decoded, panics contained: counted.
    Faults(u32),
    /// Card and module did not authenticate each other (READERS §1.4, 31/32/33): a security event.
    NotAuthentic,
    /// The reader says that somebody opens it, or that it is closed again. Sent once a change.
    Tamper(bool),
    /// How far giving a reader its key has come: while it is open, staff are called.
    Provisioned(Provisioned),
    /// The reader says that its supply fails, or is back. Sent once a change.
    PowerFailure(bool),
}
