//! The simulator: whole days at a station in moments, each bad in another way, with an oracle that looks at every step.
//!
//! Real are each gate's core with its policy, replay, passback and modes; reading and looking up a credential; the steps
//! of the journal's writer on the real journal (redb, on a [`disk`] that loses power); the followers of lists, trust list
//! and directives, the delivery of passages and claims with their back-off, signatures and judgement; and the backend's inbox and
//! its claims.
//! The codes cache is the fake of its trait. People, lanes, clocks, disks and links are the world's, and all of them come
//! from one seed: a failing seed is repeated with `turnstiled simulate --seeds N..N+1 --trace`.
//!
//! A day has a safety phase, in which the faults happen, and a liveness phase: 10 s after the faults have ended somebody
//! in order must be served at every lane, and some minutes later every record must be at the backend and every grant
//! ended.

mod aisle;
mod cast;
mod centre;
mod claiming;
mod claims;
mod controller;
mod disk;
mod ending;
mod faults;
mod following;
mod link;
mod mood;
mod oracle;
mod papers;
mod passengers;
mod plant;
mod post;
mod power;
mod records;
mod script;
mod settings;
mod shrink;
mod station;
mod trouble;
mod turns;
mod verdicts;
mod walk;
mod wishes;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::backend::StoreError;
use crate::core::Pairs;
use crate::store::journal::JournalError;

pub use plant::Plant;
pub use script::Options;
pub use shrink::{Shrunk, shrink};

/// Something of the simulation itself could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SimulationError(String);

impl From<JournalError> for SimulationError {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for SimulationError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// What became of one day.
#[derive(Clone, Debug)]
pub struct Day {
    /// People who walked through with a grant.
    pub passages: u64,
    /// Grants.
    pub grants: u64,
    /// Things shown.
    pub presentations: u64,
    /// How many items were drawn: people who come, faults, what the centre does.
    pub items: usize,
    /// Faults by kind, and people who are some trouble.
    pub faults: BTreeMap<&'static str, u64>,
    /// The first rule that was broken.
    pub violation: Option<String>,
    /// How long it was.
    pub virtual_us: u64,
    /// Everything that happened, if it was asked for.
    pub trace: Vec<String>,
    /// Stands for everything that happened.
    pub hash: u64,
    /// Pairs of state and input that the lanes have been through.
    pub pairs: Pairs,
}

/// A day with a violation.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was broken.
    pub violation: String,
}

/// What became of many days.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// How many days.
    pub seeds: u64,
    /// People who walked through with a grant.
    pub passages: u64,
    /// Grants.
    pub grants: u64,
    /// Things shown.
    pub presentations: u64,
    /// Hours of virtual time.
    pub virtual_hours: f64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many days with a violation.
    pub violations: u64,
    /// The first of them.
    pub failures: Vec<Failure>,
    /// Pairs of state and input of the lanes' machines: how many there are, and how many of them were reached.
    pub pairs: (usize, usize),
    /// Those that were reached.
    #[serde(skip)]
    pub reached: Pairs,
}

/// Failures that are named in a summary.
const NAMED_MAX: usize = 10;

/// Lives through the day of one seed.
///
/// # Errors
/// [`SimulationError`] if the world cannot be made; what breaks later is a violation.
pub fn day(seed: u64, options: &Options) -> Result<Day, SimulationError> {
    Ok(world::World::new(seed, options)?.live())
}

/// Lives through many days.
///
/// # Errors
/// As [`day`].
pub fn days(seeds: Range<u64>, options: &Options) -> Result<Summary, SimulationError> {
    let mut summary = Summary::default();
    for seed in seeds {
        summary.add(seed, day(seed, options)?);
    }
    Ok(summary)
}

impl Summary {
    /// Counts one more day.
    pub fn add(&mut self, seed: u64, day: Day) {
        self.seeds += 1;
        self.passages += day.passages;
        self.grants += day.grants;
        self.presentations += day.presentations;
        self.virtual_hours +=
            std::time::Duration::from_micros(day.virtual_us).as_secs_f64() / 3_600.0;
        for (fault, count) in day.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.reached.add(&day.pairs);
        let all = self.reached.all();
        let reached = all.iter().filter(|(.., seen)| *seen).count();
        self.pairs = (all.len(), reached);
        if let Some(violation) = day.violation {
            self.violations += 1;
            if self.failures.len() < NAMED_MAX {
                self.failures.push(Failure { seed, violation });
            }
        }
    }
}
