//! One lane below the decision: levels become facts ([`track`]), facts move the machine ([`machine`]).

pub mod debounce;
pub mod machine;
pub mod track;

use std::time::Duration;

use self::debounce::Debounced;
use self::machine::{Input, Machine, Output};
use self::track::{Fact, Tracker};
use crate::core::settings::{Barrier, LaneSettings};
use crate::domain::{Direction, GrantId, Levels, Mono, Sensor};

/// Barrier and aisle of one lane.
#[derive(Clone, Debug)]
pub struct Lane {
    outer: Debounced,
    inner: Debounced,
    sensors: (Sensor, Sensor),
    tracker: Tracker,
    machine: Machine,
}

impl Lane {
    /// A locked lane with an empty aisle.
    #[must_use]
    pub fn new(settings: &LaneSettings) -> Self {
        let sensors = match settings.barrier {
            Barrier::Flap => (Sensor::EntryBeam, Sensor::ExitBeam),
            Barrier::Tripod { .. } => (Sensor::EntryRotor, Sensor::ExitRotor),
        };
        Self {
            outer: Debounced::new(settings.debounce),
            inner: Debounced::new(settings.debounce),
            sensors,
            tracker: Tracker::new(settings.barrier),
            machine: Machine::new(settings.barrier, settings.release, settings.obstruction),
        }
    }

    /// Takes the levels of the sensors, as often as the driver repeats them.
    pub fn sense(&mut self, now: Mono, levels: Levels, out: &mut Vec<Output>) {
        self.outer.sense(now, levels.is_active(self.sensors.0));
        self.inner.sense(now, levels.is_active(self.sensors.1));
        self.follow(now, out);
    }

    /// A durable grant: release.
    pub fn grant(
        &mut self,
        now: Mono,
        grant: GrantId,
        direction: Direction,
        out: &mut Vec<Output>,
    ) {
        self.machine
            .step(now, Input::Granted(grant, direction), out);
        // The person may stand in the mouth of the aisle already.
        if self.tracker.occupant() == Some(direction) {
            self.machine
                .step(now, Input::Fact(Fact::Entered(direction)), out);
        }
    }

    /// Fire, free or emergency mode: hold the barrier open, or stop doing so.
    pub fn hold_open(&mut self, now: Mono, open: bool, out: &mut Vec<Output>) {
        let input = if open {
            Input::HoldOpen
        } else {
            Input::EndHold {
                occupied: self.tracker.occupant().is_some(),
            }
        };
        self.machine.step(now, input, out);
    }

    /// Serves every timer that is due.
    pub fn wake(&mut self, now: Mono, out: &mut Vec<Output>) {
        self.follow(now, out);
        self.machine.step(
            now,
            Input::TimedOut {
                occupied: self.is_occupied(),
            },
            out,
        );
    }

    /// When [`Lane::wake`] is wanted at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        [
            self.outer.deadline(),
            self.inner.deadline(),
            self.tracker.deadline(),
            self.machine.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// True if a grant in this direction could be served now.
    #[must_use]
    pub fn is_free_for(&self, direction: Direction) -> bool {
        self.machine.is_locked() && self.tracker.occupant().is_none_or(|from| from == direction)
    }

    /// True while the aisle is not empty.
    #[must_use]
    pub fn is_occupied(&self) -> bool {
        self.tracker.occupant().is_some()
    }

    /// Name of the state, for pages and metrics.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        self.machine.state_name()
    }

    fn follow(&mut self, now: Mono, out: &mut Vec<Output>) {
        let mut facts = Vec::new();
        let levels = (self.outer.settle(now), self.inner.settle(now));
        self.tracker
            .follow(now, levels, self.machine.granted_direction(), &mut facts);
        for fact in facts {
            self.machine.step(now, Input::Fact(fact), out);
        }
    }
}

/// How long a body may be between two beams without breaking either. Longer, and it has turned back.
pub const GAP_MAX: Duration = Duration::from_millis(400);
