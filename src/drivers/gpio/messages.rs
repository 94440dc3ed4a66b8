//! What is said to the thread that owns the lines, and what it says.

use super::signal::Signal;
use crate::domain::{Direction, LaneId, Levels, Mode, Mono};

/// What is wanted of the lines. Every command names a state, so a repeated one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The barrier is released in this direction only. Answered by [`GpioEvent::Performed`].
    Release(LaneId, Direction),
    /// The barrier is released both ways. Answered by [`GpioEvent::Performed`].
    ReleaseBoth(LaneId),
    /// The barrier is locked.
    Lock(LaneId),
    /// What one side of the lane shows and sounds.
    Signal(LaneId, Direction, Signal),
    /// Staff are called to the lane: its buzzer is on, or no longer.
    Alarm(LaneId, bool),
    /// Whoever gives commands is alive.
    Alive,
}

impl Command {
    /// Whose lines it is about; `None`: it is for every board.
    #[must_use]
    pub const fn lane(&self) -> Option<LaneId> {
        match self {
            Self::Release(lane, _)
            | Self::ReleaseBoth(lane)
            | Self::Lock(lane)
            | Self::Signal(lane, ..)
            | Self::Alarm(lane, _) => Some(*lane),
            Self::Alive => None,
        }
    }
}

/// What the thread has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpioEvent {
    /// The sensors of a lane, at once when they change and again every 100 ms.
    Sensed(LaneId, Levels),
    /// The fire loop: true while it is open. At once when it changes and again every 100 ms.
    Fire(bool),
    /// Where the key switch of a lane stands; `None`: at no mode. At once when it changes and again every 100 ms.
    Key(LaneId, Option<Mode>),
    /// The board works, or has failed. Once a change.
    Up(bool),
    /// The relay of a release has been switched.
    Performed {
        /// Of which lane.
        lane: LaneId,
        /// When.
        at: Mono,
    },
    /// An output of the lane is not at the level it was given. Once until it agrees again; it is driven again at
    /// every repetition.
    ReadBackMismatch {
        /// Of which lane.
        lane: LaneId,
    },
    /// The relay of a barrier has not been at its wanted level for a while, or is again. Once a change.
    BarrierObeys {
        /// Of which lane.
        lane: LaneId,
        /// True if it does again.
        obeys: bool,
    },
}

impl GpioEvent {
    /// The lane that it is about; none if it is about the board or the fire loop.
    #[must_use]
    pub const fn lane(&self) -> Option<LaneId> {
        match self {
            Self::Sensed(lane, _)
            | Self::Key(lane, _)
            | Self::Performed { lane, .. }
            | Self::ReadBackMismatch { lane }
            | Self::BarrierObeys { lane, .. } => Some(*lane),
            Self::Fire(_) | Self::Up(_) => None,
        }
    }
}
