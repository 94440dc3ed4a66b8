//! The physical lane: bodies that walk, a barrier that moves, sensors that see. The gate knows of it only what the
//! sensors say.

use std::collections::{BTreeMap, VecDeque};

use super::cast::{Place, Step};
use crate::core::Barrier;
use crate::domain::{Direction, Levels, Sensor};

/// How the barrier stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stands {
    /// Nobody gets through.
    #[default]
    Locked,
    /// Released for one direction.
    For(Direction),
    /// Released both ways.
    Both,
}

impl Stands {
    /// True if somebody can go this way.
    #[must_use]
    pub(super) fn lets(self, way: Direction) -> bool {
        self == Self::Both || self == Self::For(way)
    }
}

/// A body on its way.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// The way it faces.
    pub(super) way: Direction,
    /// Where it is.
    pub(super) place: Place,
    /// Since when, in microseconds.
    pub(super) since: u64,
    /// Where it goes.
    pub(super) steps: VecDeque<Step>,
}

/// The lane.
#[derive(Debug)]
pub(super) struct Aisle {
    barrier: Barrier,
    /// How the barrier stands.
    pub(super) stands: Stands,
    /// A tripod whose solenoid has fallen still lets one turn through.
    armed: Option<Direction>,
    /// Who is about.
    pub(super) bodies: BTreeMap<u64, Body>,
    next: u64,
    /// Sensors that are stuck: first, second.
    pub(super) stuck: [Option<bool>; 2],
}

impl Aisle {
    /// An empty lane with a locked barrier.
    #[must_use]
    pub(super) const fn new(barrier: Barrier) -> Self {
        Self {
            barrier,
            stands: Stands::Locked,
            armed: None,
            bodies: BTreeMap::new(),
            next: 0,
            stuck: [None; 2],
        }
    }

    /// True if the barrier is arms that turn.
    #[must_use]
    pub(super) const fn is_tripod(&self) -> bool {
        self.barrier.is_tripod()
    }

    /// The barrier is moved.
    pub(super) fn stand(&mut self, stands: Stands) {
        self.stands = stands;
        if let Stands::For(way) = stands {
            self.armed = Some(way);
        }
    }

    /// Somebody sets out; the number of the body.
    pub(super) fn enter(&mut self, way: Direction, steps: Vec<Step>, now: u64) -> u64 {
        self.next = self.next.saturating_add(1);
        let body = Body {
            way,
            place: Place::default(),
            since: now,
            steps: steps.into(),
        };
        self.bodies.insert(self.next, body);
        self.next
    }

    /// When a body moves on.
    #[must_use]
    pub(super) fn moves_in(&self, body: u64) -> Option<u64> {
        let next = self.bodies.get(&body)?.steps.front()?;
        Some(next.0)
    }

    /// A body moves on, unless the barrier is in its way: then it goes back. True if a sensor may see a difference.
    pub(super) fn advance(&mut self, number: u64, now: u64) -> bool {
        let Some(mut body) = self.bodies.remove(&number) else {
            return false;
        };
        let Some((_, place)) = body.steps.pop_front() else {
            return false;
        };
        if self.blocks(&body, place) {
            body.steps.clear();
            // A rotor that is locked does not move at all; in front of a flap somebody stands for a moment.
            if self.is_tripod() || !body.place.near {
                return true;
            }
            body.steps.push_back((700_000, Place::default()));
            self.bodies.insert(number, body);
            return true;
        }
        let turned = self.is_tripod() && place == Place::default() && body.place.far;
        if turned && self.armed == Some(body.way) {
            self.armed = None;
        }
        body.place = place;
        body.since = now;
        if !body.steps.is_empty() {
            self.bodies.insert(number, body);
        }
        true
    }

    fn blocks(&self, body: &Body, place: Place) -> bool {
        let lets = self.stands.lets(body.way);
        if self.is_tripod() {
            let begins = body.place == Place::default() && place != Place::default();
            return begins && !lets && self.armed != Some(body.way);
        }
        place.under && !body.place.under && !lets
    }

    /// Since when one of the sensors has been touched for certain; `None` if neither is.
    #[must_use]
    pub(super) fn touched_since(&self) -> Option<u64> {
        let touching = |body: &&Body| body.place.near || body.place.far;
        self.bodies
            .values()
            .filter(touching)
            .map(|body| body.since)
            .min()
    }

    /// What the sensors say.
    #[must_use]
    pub(super) fn levels(&self) -> Levels {
        let (mut entry, mut exit) = (false, false);
        for body in self.bodies.values() {
            let (first, last) = match body.way {
                Direction::Entry => (&mut entry, &mut exit),
                Direction::Exit => (&mut exit, &mut entry),
            };
            *first |= body.place.near;
            *last |= body.place.far;
        }
        let [first, second] = if self.is_tripod() {
            [Sensor::EntryRotor, Sensor::ExitRotor]
        } else {
            [Sensor::EntryBeam, Sensor::ExitBeam]
        };
        let [stuck_first, stuck_second] = self.stuck;
        Levels::default()
            .with(first, stuck_first.unwrap_or(entry))
            .with(second, stuck_second.unwrap_or(exit))
    }
}
