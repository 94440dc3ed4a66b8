//! What the core needs to know of the config, in its own words.

use std::time::Duration;

use crate::domain::{Direction, HealthOutcome, Mode, Rule};

/// Settings of one gate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lanes in the order of the config.
    pub lanes: Vec<LaneSettings>,
    /// Rules on the way in.
    pub entry: Rules,
    /// Rules on the way out. "Hold" counts as "assist" here: nobody is trapped.
    pub exit: Rules,
    /// Entitlements that a grant needs, as bits; 0 for none.
    pub required_entitlements: u16,
    /// How long passback remembers; none where it is off.
    pub passback: Option<Duration>,
    /// How long the backend may be waited for; none where it is never asked.
    pub resolve: Option<Duration>,
    /// How long a grant may take to be durable.
    pub stall: Duration,
    /// What a grant does that is not durable in time.
    pub on_stall: OnTrouble,
    /// What a grant does when the journal is full or refuses.
    pub on_full: OnTrouble,
    /// Version of the software, for the record of the start.
    pub software: String,
}

/// Settings of one lane.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// Its name.
    pub name: String,
    /// What moves.
    pub barrier: Barrier,
    /// Sides it serves.
    pub directions: Vec<Direction>,
    /// Mode at start.
    pub mode: Mode,
    /// How long the barrier stays released for a person who does not come.
    pub release: Duration,
    /// How long a sensor must keep a level before it counts.
    pub debounce: Duration,
    /// From when an occupied aisle is an obstruction.
    pub obstruction: Duration,
}

/// What moves, and how it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// A solenoid is powered for the pulse and frees one turn of the rotor.
    Tripod {
        /// Length of the pulse.
        pulse: Duration,
    },
    /// A relay holds the flap open for as long as it is released. It never closes on a body.
    Flap,
}

/// What a site wants when a grant cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrouble {
    /// Keep the barrier, call staff.
    Hold,
    /// Release, with an alarm, and a gap record as soon as the journal takes one.
    Open,
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
    /// A list is stale and everything else would open.
    pub stale: Rule,
    /// The decision needs the date and the clock is not trusted.
    pub clock_untrusted: Rule,
}

impl Rules {
    /// The rule for a health outcome.
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
