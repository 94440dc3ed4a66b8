//! The aisle: repeated levels in, facts out. Facts come before any judgement: a grant is not known here.

use super::beams::Beams;
use super::debounce::Debounce;
use super::rotor::Rotor;
use crate::core::settings::{Barrier, LaneSettings};
use crate::domain::{Direction, Levels, Mono, Sensor};

/// What was seen. The direction is the way the person walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Somebody stepped into the aisle, or began to turn the rotor.
    Entered(Direction),
    /// Somebody has walked through, or the rotor is home again.
    Crossed(Direction),
    /// A second person stepped in behind the first.
    Followed(Direction),
    /// Whoever stepped in went back.
    Left(Direction),
}

/// What the aisle must know of its lane to read two sensors well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// The way somebody is expected to come.
    pub(super) expected: Option<Direction>,
    /// True while the barrier is released.
    pub(super) passable: bool,
}

/// The aisle of one lane.
#[derive(Debug)]
pub(super) struct Aisle {
    debounce: Debounce,
    levels: Levels,
    watch: Watch,
    /// Levels have come since the start, or since the lines were away.
    sensed: bool,
}

#[derive(Debug)]
enum Watch {
    Beams(Beams),
    Rotor(Rotor),
}

impl Watch {
    /// The two sensors: that of a person who enters first.
    const fn sensors(&self) -> [Sensor; 2] {
        match self {
            Self::Beams(_) => [Sensor::EntryBeam, Sensor::ExitBeam],
            Self::Rotor(_) => [Sensor::EntryRotor, Sensor::ExitRotor],
        }
    }
}

impl Aisle {
    /// An aisle that nobody has looked into yet; `rider`: somebody may be in it, on this way.
    pub(super) fn new(lane: &LaneSettings, now: Mono, rider: Option<Direction>) -> Self {
        Self {
            debounce: Debounce::new(lane.debounce),
            levels: Levels::default(),
            watch: match lane.barrier {
                Barrier::Flap => Watch::Beams(Beams::new(now, lane.release, rider)),
                Barrier::Tripod { .. } => Watch::Rotor(Rotor::default()),
            },
            sensed: false,
        }
    }

    /// Nothing is known until the next levels.
    pub(super) const fn lose_sight(&mut self) {
        self.sensed = false;
    }

    /// Takes levels as the driver repeats them.
    pub(super) fn sense(&mut self, now: Mono, levels: Levels, side: Side) -> Vec<Fact> {
        self.sensed = true;
        // A sensor that this kind of barrier does not have says nothing.
        let mut own = Levels::default();
        for sensor in self.watch.sensors() {
            own = own.with(sensor, levels.is_active(sensor));
        }
        self.levels = self.debounce.sense(now, own);
        self.follow(now, side)
    }

    /// A deadline may be here.
    pub(super) fn timed_out(&mut self, now: Mono, side: Side) -> Vec<Fact> {
        self.levels = self.debounce.timed_out(now);
        let mut facts = self.follow(now, side);
        if let Watch::Beams(beams) = &mut self.watch {
            beams.timed_out(now, &mut facts);
        }
        facts
    }

    fn follow(&mut self, now: Mono, side: Side) -> Vec<Fact> {
        let mut facts = Vec::new();
        let [entry, exit] = self
            .watch
            .sensors()
            .map(|sensor| self.levels.is_active(sensor));
        match &mut self.watch {
            Watch::Beams(beams) => beams.follow(now, (entry, exit), side, &mut facts),
            Watch::Rotor(rotor) => rotor.follow((entry, exit), side, &mut facts),
        }
        facts
    }

    /// The way of whoever is in the aisle.
    pub(super) const fn occupant(&self) -> Option<Direction> {
        match &self.watch {
            Watch::Beams(beams) => beams.occupant(),
            Watch::Rotor(rotor) => rotor.occupant(),
        }
    }

    /// True if the sensors have been heard, nobody is there and none says otherwise, not even for an instant.
    pub(super) fn is_clear(&self) -> bool {
        self.sensed && self.occupant().is_none() && self.debounce.is_quiet()
    }

    /// True while a level is still too young to count: what it means is not known yet.
    pub(super) fn is_settling(&self) -> bool {
        self.debounce.deadline().is_some()
    }

    /// When the aisle wants to be woken.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let unseen = match &self.watch {
            Watch::Beams(beams) => beams.deadline(),
            Watch::Rotor(_) => None,
        };
        self.debounce.deadline().into_iter().chain(unseen).min()
    }
}
