//! What every reader says to the runtime: cameras, card modules and scanners alike.

use std::time::Duration;

use crate::domain::{Direction, LaneId, Medium, Mono, Presentation, Prompt, Shown};

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

/// What a reader can say.
#[derive(Clone, Debug)]
pub enum ReaderReport {
    /// Somebody showed something.
    Presented(Presentation),
    /// The passenger should be told something that is no decision: hold still, lift and tap again.
    Prompt(Prompt),
    /// The driver has a working connection, or has lost it. Sent once a change.
    Up(bool),
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
    /// The reader says that its supply fails, or is back. Sent once a change.
    PowerFailure(bool),
}
