//! The physical lane: bodies that walk, a barrier that moves or does not, sensors that see or do not. The gate knows of
//! it only what the sensors say.

use std::collections::{BTreeMap, VecDeque};

use super::walk::{OUT, Place, Sights, Step};
use crate::core::{Barrier, LaneSettings};
use crate::domain::{Direction, Levels, Sensor};

/// How long a leaf takes from one end to the other, microseconds.
pub(super) const TRAVEL: u64 = 800_000;

/// How the barrier was told to stand.
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

/// A body on its way.
#[derive(Clone, Debug)]
pub(super) struct Body {
    way: Direction,
    place: Place,
    /// Since when a sensor has seen it, in microseconds.
    since: u64,
    steps: VecDeque<Step>,
    /// It goes through whatever the barrier does.
    climbs: bool,
}

/// The lane.
#[derive(Debug)]
pub(super) struct Aisle {
    barrier: Barrier,
    own: Levels,
    /// What it has to see bodies with.
    pub(super) sights: Sights,
    /// How the barrier was told to stand.
    pub(super) stands: Stands,
    /// When it was told.
    told_at: u64,
    /// It does not do what it is told: it stays open, or shut.
    stuck_open: Option<bool>,
    /// A tripod whose solenoid has fallen still lets one turn through.
    armed: Option<Direction>,
    bodies: BTreeMap<u64, Body>,
    next: u64,
    /// Somebody pushes the leaf until then.
    pushed_until: u64,
    /// Sensors that are stuck at a level.
    stuck: Vec<(Sensor, bool)>,
}

impl Aisle {
    /// An empty lane with a locked barrier.
    #[must_use]
    pub(super) fn new(lane: &LaneSettings) -> Self {
        Self {
            barrier: lane.barrier,
            own: lane.sensors.iter().copied().collect(),
            sights: Sights::new(&lane.sensors),
            stands: Stands::Locked,
            told_at: 0,
            stuck_open: None,
            armed: None,
            bodies: BTreeMap::new(),
            next: 0,
            pushed_until: 0,
            stuck: Vec::new(),
        }
    }

    /// True if the barrier is arms that turn.
    #[must_use]
    pub(super) const fn is_tripod(&self) -> bool {
        self.barrier.is_tripod()
    }

    /// True if nobody is about.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// True if some sensor does not say what is.
    #[must_use]
    pub(super) fn has_stuck_sensor(&self) -> bool {
        !self.stuck.is_empty()
    }

    /// The barrier is told how to stand.
    pub(super) fn stand(&mut self, stands: Stands, now: u64) {
        let opens = |stands| stands != Stands::Locked;
        if opens(stands) != opens(self.stands) {
            self.told_at = now;
        }
        self.stands = stands;
        if let Stands::For(way) = stands {
            self.armed = Some(way);
        }
    }

    /// A sensor is stuck, or no longer.
    pub(super) fn stick(&mut self, sensor: Sensor, level: Option<bool>) {
        self.stuck.retain(|(stuck, _)| *stuck != sensor);
        self.stuck.extend(level.map(|level| (sensor, level)));
    }

    /// The barrier stays as it is, or, if `welded`, as if it were released; `None`: it obeys again.
    pub(super) fn stick_barrier(&mut self, welded: Option<bool>, now: u64) {
        self.stuck_open = welded;
        self.told_at = now;
    }

    /// Somebody pushes the leaf for so long.
    pub(super) const fn push(&mut self, until: u64) {
        self.pushed_until = until;
    }

    /// Somebody sets out; the number of the body.
    pub(super) fn enter(
        &mut self,
        way: Direction,
        steps: Vec<Step>,
        climbs: bool,
        now: u64,
    ) -> u64 {
        self.next = self.next.saturating_add(1);
        let body = Body {
            way,
            place: OUT,
            since: now,
            steps: steps.into(),
            climbs,
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
        let before = body.place;
        if self.blocks(&body, place) {
            body.steps.clear();
            // A rotor that is locked does not move at all; in front of a leaf somebody stands for a moment.
            if before != OUT {
                body.steps.push_back((700_000, OUT));
                self.bodies.insert(number, body);
            }
            return false;
        }
        if self.is_tripod() && place == OUT && self.armed == Some(body.way) {
            self.armed = None;
        }
        body.place = place;
        if before.levels.is_quiet() {
            body.since = now;
        }
        if !body.steps.is_empty() {
            self.bodies.insert(number, body);
        }
        before.levels != place.levels
    }

    /// True if somebody can go this way now.
    fn lets(&self, way: Direction) -> bool {
        if let Some(open) = self.stuck_open {
            return open;
        }
        match self.stands {
            Stands::Both => true,
            // An open leaf asks nobody where he comes from.
            Stands::For(of) => of == way || !self.is_tripod(),
            Stands::Locked => false,
        }
    }

    fn blocks(&self, body: &Body, place: Place) -> bool {
        let begins = place.under && !body.place.under && !body.climbs;
        let armed = self.is_tripod() && self.stuck_open.is_none() && self.armed == Some(body.way);
        begins && !self.lets(body.way) && !armed
    }

    /// Since when somebody has been seen for certain; `None` if nobody is.
    #[must_use]
    pub(super) fn touched_since(&self) -> Option<u64> {
        let touching = |body: &&Body| !body.place.levels.is_quiet();
        self.bodies
            .values()
            .filter(touching)
            .map(|body| body.since)
            .min()
    }

    fn is_somebody_under(&self) -> bool {
        self.bodies.values().any(|body| body.place.under)
    }

    /// What the sensors say.
    #[must_use]
    pub(super) fn levels(&self, now: u64) -> Levels {
        let mut levels = Levels::NONE;
        for body in self.bodies.values() {
            levels = levels.or(body.place.levels);
        }
        let told_open = self.stands != Stands::Locked;
        let arrived = now >= self.told_at.saturating_add(TRAVEL);
        let is_open = self.stuck_open.unwrap_or(told_open);
        let pushed = now < self.pushed_until;
        let opened = is_open && arrived;
        let closed = !is_open && arrived && !pushed && !self.is_somebody_under();
        levels = levels
            .with(Sensor::Opened, opened)
            .with(Sensor::Closed, closed);
        for (sensor, level) in &self.stuck {
            levels = levels.with(*sensor, *level);
        }
        levels.only(self.own)
    }
}
