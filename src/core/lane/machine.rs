//! What all kinds of barrier have in common: the inputs, the effects, and which machine it is. Flap, swing gate and
//! full-height gate are leaves and share one; they differ in their sensors and times.

use std::time::Duration;

use super::flap::{After, Flap};
use super::tripod::Tripod;
use crate::core::desk::Pass;
use crate::core::settings::{Barrier, Drive, LaneSettings};
use crate::domain::{Direction, GrantId, Mono, Outcome};

/// An input of a barrier's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A grant is to be released; true if its rider stands in the aisle already.
    Granted(Pass, bool),
    /// Somebody stepped in, or began to turn the rotor.
    Entered(Direction),
    /// Somebody has walked through, or the rotor is home again.
    Crossed(Direction),
    /// A second person stepped in behind the first.
    Followed(Direction),
    /// Whoever stepped in went back.
    Left(Direction),
    /// The rotor or the leaf was moved though it is locked.
    Forced(Direction),
    /// Nobody is in the aisle. Repeated while it is so.
    Cleared,
    /// Fire, free mode: open to everybody.
    HoldOpen,
    /// Fire and free mode are over.
    EndOpen,
    /// The lane goes out of service: a grant that nobody has used is taken back.
    Withdraw,
    /// A deadline may be here.
    TimedOut,
}

/// What a barrier's state machine wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Release for one direction.
    Release(Direction),
    /// Release both ways.
    ReleaseBoth,
    /// Lock.
    Lock,
    /// A grant ends, or somebody passed an open barrier.
    Outcome(Direction, Outcome, Option<GrantId>),
    /// Somebody goes where nobody granted it.
    Stray(Direction, Outcome),
}

impl Effect {
    pub(super) const fn passed(pass: Pass) -> Self {
        Self::Outcome(pass.direction, Outcome::Passed, Some(pass.grant))
    }

    pub(super) const fn nobody_came(pass: Pass) -> Self {
        Self::Outcome(pass.direction, Outcome::NoEntryAfterGrant, Some(pass.grant))
    }

    pub(super) const fn uncontrolled(direction: Direction) -> Self {
        Self::Outcome(direction, Outcome::PassedUncontrolled, None)
    }
}

/// Times of a barrier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) release: Duration,
    /// How long a solenoid is powered; `None`: as long as the release takes.
    pub(super) pulse: Option<Duration>,
}

/// The barrier of a lane.
#[derive(Debug)]
pub(super) enum Machine {
    Flap(Flap, Times),
    Tripod(Tripod, Times),
}

impl Machine {
    pub(super) const fn new(lane: &LaneSettings) -> Self {
        let release = lane.release;
        match lane.barrier {
            Barrier::Flap | Barrier::Swing | Barrier::FullHeight => {
                let pulse = None;
                Self::Flap(Flap::Unsensed, Times { release, pulse })
            }
            Barrier::Tripod { drive } => {
                let pulse = match drive {
                    Drive::Pulse(pulse) => Some(pulse),
                    Drive::Hold => None,
                };
                Self::Tripod(Tripod::Locked, Times { release, pulse })
            }
        }
    }

    pub(super) fn step(&mut self, now: Mono, input: Input, out: &mut Vec<Effect>) {
        match self {
            Self::Flap(flap, times) => flap.step(now, *times, input, out),
            Self::Tripod(tripod, times) => tripod.step(now, *times, input, out),
        }
    }

    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Flap(flap, _) => flap.deadline(),
            Self::Tripod(tripod, _) => tripod.deadline(),
        }
    }

    /// The grant that is being used.
    pub(super) const fn pass(&self) -> Option<Pass> {
        match self {
            Self::Flap(flap, _) => flap.pass(),
            Self::Tripod(tripod, _) => tripod.pass(),
        }
    }

    /// True if nobody is let through.
    pub(super) const fn is_locked(&self) -> bool {
        match self {
            Self::Flap(flap, _) => matches!(flap, Flap::Locked | Flap::Unsensed),
            Self::Tripod(tripod, _) => matches!(tripod, Tripod::Locked),
        }
    }

    /// True if locking cannot hurt anybody who is not seen: the arms of a tripod do not close on a body.
    pub(super) const fn may_lock_unseen(&self) -> bool {
        match self {
            Self::Flap(..) => false,
            Self::Tripod(..) => true,
        }
    }

    /// Nothing is sensed until the next levels.
    pub(super) const fn lose_sight(&mut self) {
        if let Self::Flap(flap @ Flap::Locked, _) = self {
            *flap = Flap::Unsensed;
        }
    }

    /// True while a rider is in the aisle, or has just left it: who comes behind him, in his way, may be tailgating.
    pub(super) fn has_rider(&self, way: Direction) -> bool {
        match self {
            Self::Flap(Flap::Passing { pass, .. }, _) => pass.direction == way,
            Self::Flap(flap, _) => matches!(flap, Flap::Closing(After::Rider)),
            Self::Tripod(..) => false,
        }
    }

    /// True if nobody's grant is being used, and the next may be.
    pub(super) const fn takes_next(&self) -> bool {
        match self {
            Self::Flap(flap, _) => matches!(flap, Flap::Locked | Flap::Closing(_)),
            Self::Tripod(tripod, _) => matches!(tripod, Tripod::Locked),
        }
    }

    /// False while somebody is on the way, or the aisle is waited for.
    pub(super) const fn is_at_rest(&self) -> bool {
        match self {
            Self::Flap(flap, _) => {
                matches!(
                    flap,
                    Flap::Locked | Flap::Unsensed | Flap::Open { rider: None }
                )
            }
            Self::Tripod(tripod, _) => {
                matches!(tripod, Tripod::Locked | Tripod::Open { rider: None })
            }
        }
    }

    /// True while a tripod is released and its rotor has not moved; `None`: it is a leaf.
    pub(super) const fn is_tripod_still(&self) -> Option<bool> {
        match self {
            Self::Flap(..) => None,
            Self::Tripod(tripod, _) => Some(matches!(
                tripod,
                Tripod::Pulsed { told: false, .. } | Tripod::Armed { told: false, .. }
            )),
        }
    }

    /// The name of the state, for pages and metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Flap(flap, _) => flap.name(),
            Self::Tripod(tripod, _) => tripod.name(),
        }
    }
}
