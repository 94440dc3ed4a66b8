//! What a site wants of its gate, as the core needs it. Checked by `config` before it comes here.

use std::time::Duration;

use crate::domain::{Assurance, Direction, HealthOutcome, Mode, Rule};

/// Settings of a gate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its lanes; `LaneId` counts them from 0.
    pub lanes: Vec<LaneSettings>,
    /// Rules on the way in.
    pub entry: Rules,
    /// Rules on the way out. Whatever they say, nobody gets a bare denial there.
    pub exit: Rules,
    /// How long passback remembers; `None`: it is off.
    pub passback: Option<Duration>,
    /// How long the backend is waited for; `None`: it is never asked.
    pub resolve: Option<Duration>,
    /// How long a grant may take to be durable.
    pub stall: Duration,
    /// What happens to a grant that is not durable in time, or that the disk refused.
    pub on_stall: OnTrouble,
    /// What happens to a grant while the journal is full.
    pub on_full: OnTrouble,
    /// Version of the daemon, for the record of the start.
    pub software: String,
    /// Entitlements that a passenger must have, all of them; bit 0 is the ride.
    pub required_entitlements: u16,
}

impl Settings {
    /// The rules of one direction.
    #[must_use]
    pub const fn rules(&self, direction: Direction) -> &Rules {
        match direction {
            Direction::Entry => &self.entry,
            Direction::Exit => &self.exit,
        }
    }
}

/// What to do with a grant that the journal does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrouble {
    /// Keep the barrier and call staff.
    Hold,
    /// Release, with an alarm, and a gap record later.
    Open,
}

/// Settings of a lane.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// Its name in records.
    pub name: String,
    /// What moves.
    pub barrier: Barrier,
    /// Which sides it serves.
    pub directions: Vec<Direction>,
    /// Its mode at start.
    pub mode: Mode,
    /// How long the barrier stays released for a rider who does not come.
    pub release: Duration,
    /// How long a sensor must keep a level before it counts.
    pub debounce: Duration,
    /// From when an occupied aisle is an obstruction.
    pub obstruction: Duration,
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// A pulsed solenoid frees one turn; rotor contacts tell the turn.
    Tripod {
        /// How long the solenoid is powered.
        pulse: Duration,
    },
    /// A held relay keeps the flap open; two beams tell the body.
    Flap,
}

/// What is done with each outcome in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Green.
    pub green: Rule,
    /// Yellow.
    pub yellow: Rule,
    /// Red.
    pub red: Rule,
    /// No list and no backend knows the person.
    pub unknown: Rule,
    /// Known, but has not applied for a code.
    pub not_applied: Rule,
    /// The backend could not find out.
    pub query_failed: Rule,
    /// Nobody answered in time.
    pub timed_out: Rule,
    /// A list is stale.
    pub stale: Rule,
    /// The trust list is past its date.
    pub trust_expired: Rule,
    /// The decision needs the date and the clock is not trusted.
    pub clock_untrusted: Rule,
    /// How well a credential must be known to be what it says.
    pub assurance: Assurance,
}

impl Rules {
    /// The rule for what a look-up ended in.
    #[must_use]
    pub const fn of(&self, health: HealthOutcome) -> Rule {
        match health {
            HealthOutcome::Green => self.green,
            HealthOutcome::Yellow => self.yellow,
            HealthOutcome::Red => self.red,
            HealthOutcome::Unknown => self.unknown,
            HealthOutcome::NotApplied => self.not_applied,
            HealthOutcome::QueryFailed => self.query_failed,
            HealthOutcome::TimedOut => self.timed_out,
        }
    }
}
