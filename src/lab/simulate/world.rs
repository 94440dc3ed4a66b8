//! One day at a gate under virtual time: people, a lane, a controller, a backend, and what goes wrong.
//!
//! The queue holds what happens, in the order of (time, number). Before each of them the gate's own deadline is kept.
//! After the safety phase the faults end and the gate must serve again; in the end everything must have been said.

use std::collections::BTreeMap;
use std::time::Duration;

use super::aisle::Aisle;
use super::cast::{self, Known, Person, Visit};
use super::centre::Centre;
use super::controller::{Controller, Lasting};
use super::faults::{self, Fault, Mix};
use super::oracle::{Expected, Oracle};
use super::plan::lasting;
use super::plant::Plant;
use super::{Day, SimulationError, settings};
use crate::codes::Pepper;
use crate::domain::{
    Colour, Event, GrantId, HealthOutcome, LaneId, Levels, ListId, Presentation, RowKey, Standing,
    Utc,
};
use crate::lab::random::SplitMix64;
use crate::store::journal::Written;

pub(super) const LANE: LaneId = LaneId(0);
pub(super) const MS: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;
/// The date on which every day begins.
pub(super) const TODAY_S: u64 = 1_900_000_000;
/// The safety phase.
pub(super) const DAY: u64 = 240 * SECOND;
/// After the faults have ended, the gate serves again within this time.
const SERVES_AGAIN: u64 = 10 * SECOND;
/// Until everything has settled: the longest back-off of the delivery is 75 s, a call to staff 30 s.
const SETTLED: u64 = 240 * SECOND;
/// Sensors are repeated as the line driver does.
const REPEAT: u64 = 100 * MS;

/// How a phase begins, and how long it lasts.
type Phase = (fn(&mut World), u64);

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Happens {
    /// Somebody comes; how often they have tried.
    Comes(Visit, u32),
    /// What was read reaches the gate.
    Shown(u64, Box<Presentation>, Box<Expected>),
    /// The backend's answer reaches the gate.
    Answered(u32, u64, Result<Standing, HealthOutcome>),
    /// The writer looks at its queue.
    Write(u32),
    /// The writer has written.
    Written(u32, Vec<Written>),
    /// The list is asked for.
    Follow(u32),
    /// Records are delivered.
    Deliver(u32),
    /// A body moves.
    Moves(u64),
    /// An edge is reported.
    Reported(Levels),
    /// The sensors are repeated.
    Repeat,
    /// A planned fault begins or ends.
    Begins(usize),
    Ends(usize),
    /// The power is back.
    PowerBack,
    /// The centre publishes changes.
    Publishes,
    /// The centre makes a backup.
    BacksUp,
    /// Staff reset the fire, a person declares a new era.
    Recovers,
}

/// One day.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what goes wrong is on or off, each by itself"
)]
pub(super) struct World {
    pub(super) random: SplitMix64,
    pub(super) mix: Mix,
    pub(super) plant: Option<Plant>,
    pub(super) lasting: Lasting,
    pub(super) people: Vec<Person>,
    pub(super) keys: BTreeMap<(usize, u64), RowKey>,
    pub(super) controller: Option<Controller>,
    pub(super) boot: u32,
    pub(super) booted_at: u64,
    pub(super) now: u64,
    pub(super) queue: BTreeMap<(u64, u64), Happens>,
    pub(super) numbered: u64,
    pub(super) presentations: u64,
    pub(super) shown: BTreeMap<u64, Expected>,
    pub(super) visits: BTreeMap<u64, (Visit, u32)>,
    pub(super) granted: BTreeMap<GrantId, u64>,
    pub(super) aisle: Aisle,
    /// Until when the gate may not know what the sensors say.
    pub(super) blind_until: u64,
    pub(super) writing: bool,
    /// Records up to here came before the backend was restored from an older copy.
    pub(super) lost_before: u64,
    pub(super) date_offset_s: i64,
    pub(super) vouched: bool,
    pub(super) fire_input: bool,
    pub(super) reader_away: bool,
    pub(super) reader_late: bool,
    pub(super) disk_slow: u64,
    pub(super) flood: bool,
    pub(super) fail_safe: bool,
    pub(super) oracle: Oracle,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) trace: Option<Vec<String>>,
    pub(super) hash: u64,
    /// The backend came back with older versions, and nobody has declared a new era yet.
    pub(super) restored: bool,
    /// Somebody whose code nobody has shown yet, for the end.
    pub(super) fresh: Option<usize>,
    /// That person, until they are granted.
    pub(super) probe: Option<usize>,
}

impl World {
    /// Draws the day of a seed.
    pub(super) fn new(
        seed: u64,
        plant: Option<Plant>,
        traced: bool,
    ) -> Result<Self, SimulationError> {
        let mut random = SplitMix64::new(seed);
        let mix = faults::draw(&mut random, DAY);
        let settings = settings::draw(&mut random);
        let wrong = |error: &dyn std::fmt::Display| SimulationError(error.to_string());
        let list = ListId::new("health").map_err(|error| wrong(&error))?;
        let pepper = Pepper::from_bytes([9; 32]);
        let count = 6 + random.index(18);
        let mut people = cast::people(&mut random, count);
        let fresh = people.len();
        people.push(Person {
            carries: cast::Carries::StaticCode("HC:fresh".into()),
            known: Known::Listed(cast::row(fresh, Some(Colour::Green))),
        });
        let centre = Centre::new(list.clone(), pepper.id())?;
        let clean_clock = !mix
            .planned
            .iter()
            .any(|planned| matches!(planned.fault, Fault::ClockSteps(_) | Fault::ClockUntrusted));
        let lane = settings.lanes.first().ok_or_else(|| wrong(&"no lane"))?;
        let (barrier, directions) = (lane.barrier, lane.directions.clone());
        let lasting = lasting(settings.clone(), &mix, list, pepper, centre)?;
        let mut world = Self {
            mix,
            plant,
            lasting,
            people,
            keys: BTreeMap::new(),
            controller: None,
            boot: 0,
            booted_at: 0,
            now: 0,
            queue: BTreeMap::new(),
            numbered: 0,
            presentations: 0,
            shown: BTreeMap::new(),
            visits: BTreeMap::new(),
            granted: BTreeMap::new(),
            aisle: Aisle::new(barrier),
            blind_until: 0,
            writing: false,
            lost_before: 0,
            date_offset_s: 0,
            vouched: true,
            fire_input: false,
            reader_away: false,
            reader_late: false,
            disk_slow: 0,
            flood: false,
            fail_safe: random.percent(50),
            oracle: Oracle::new(settings, clean_clock),
            faults: BTreeMap::new(),
            trace: traced.then(Vec::new),
            hash: seed,
            restored: false,
            fresh: Some(fresh),
            probe: None,
            random,
        };
        world.enrol()?;
        world.plan(&directions);
        Ok(world)
    }

    /// Lives through the day.
    pub(super) fn live(mut self) -> Day {
        self.power_on();
        self.run_until(DAY);
        let phases: [Phase; 3] = [
            (Self::end_faults, SERVES_AGAIN),
            (Self::serves_again, SETTLED),
            (Self::close, 0),
        ];
        for (begin, lasts) in phases {
            if self.oracle.violation.is_none() {
                begin(&mut self);
                self.run_until(self.now.saturating_add(lasts));
            }
        }
        Day {
            passages: self.oracle.passages,
            grants: self.oracle.grants(),
            presentations: self.presentations,
            faults: self.faults,
            violation: self.oracle.violation,
            virtual_us: self.now,
            trace: self.trace.unwrap_or_default(),
            hash: self.hash,
        }
    }

    pub(super) fn at(&mut self, at: u64, happens: Happens) {
        self.numbered += 1;
        self.queue
            .insert((at.max(self.now), self.numbered), happens);
    }

    pub(super) fn soon(&mut self, after: u64, happens: Happens) {
        self.at(self.now.saturating_add(after), happens);
    }

    pub(super) fn run_until(&mut self, until: u64) {
        while self.oracle.violation.is_none() {
            let due = self.deadline().filter(|due| *due <= until);
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            match (due, next.filter(|at| *at <= until)) {
                (Some(due), next) if next.is_none_or(|next| due <= next) => {
                    self.now = self.now.max(due);
                    let before = self.deadline();
                    self.step(Event::TimedOut);
                    if self.deadline() == before && before.is_some_and(|due| due <= self.now) {
                        self.oracle
                            .violated("a deadline is not met by waiting for it");
                    }
                }
                (_, Some(at)) => {
                    self.now = self.now.max(at);
                    if let Some((_, happens)) = self.queue.pop_first() {
                        self.happens(happens);
                    }
                }
                (_, None) => {
                    self.now = self.now.max(until);
                    return;
                }
            }
        }
    }

    /// The gate's deadline in microseconds of the day.
    fn deadline(&mut self) -> Option<u64> {
        let booted_at = self.booted_at;
        let controller = self.controller.as_mut()?;
        let due = controller.gate().deadline()?;
        Some(booted_at.saturating_add(due.as_micros()))
    }

    fn happens(&mut self, happens: Happens) {
        match happens {
            Happens::Comes(visit, tries) => self.comes(visit, tries),
            Happens::Shown(number, presentation, expected) => {
                self.present(number, *presentation, *expected);
            }
            Happens::Answered(boot, number, answer) if boot == self.boot => {
                self.step(Event::Answered { number, answer });
            }
            Happens::Write(boot) if boot == self.boot => self.write(),
            Happens::Written(boot, answers) if boot == self.boot => self.written(answers),
            Happens::Follow(boot) if boot == self.boot => {
                let (controller, runtime) = (self.controller.as_mut(), &self.lasting.runtime);
                let pause = controller.map(|controller| controller.follow(runtime));
                if let Some(pause) = pause {
                    self.soon(micros(pause), Happens::Follow(boot));
                    self.look_at_list();
                }
            }
            Happens::Deliver(boot) if boot == self.boot => {
                // What a failing disk has taken all the same must be seen before it is delivered and deleted.
                self.look_at_journal();
                let (controller, runtime) = (self.controller.as_mut(), &self.lasting.runtime);
                let pause = controller.map(|controller| controller.deliver(runtime));
                if let Some(pause) = pause {
                    self.soon(micros(pause), Happens::Deliver(boot));
                }
            }
            Happens::Moves(body) => {
                if self.aisle.advance(body, self.now) {
                    self.edge();
                }
                if let Some(after) = self.aisle.moves_in(body) {
                    self.soon(after, Happens::Moves(body));
                }
            }
            Happens::Reported(levels) => self.step(Event::Sensed(LANE, levels)),
            Happens::Repeat => {
                if self.plant != Some(Plant::UnrepeatedBeams) {
                    self.step(Event::Sensed(LANE, self.aisle.levels()));
                }
                self.step(Event::Fire(self.fire_input));
                if self.flood {
                    self.nonsense();
                }
                self.soon(REPEAT, Happens::Repeat);
            }
            Happens::Begins(place) => self.begins(place),
            Happens::Ends(place) => self.ends(place),
            Happens::PowerBack => self.power_on(),
            Happens::Publishes => self.publishes(),
            Happens::BacksUp => self.lasting.centre.back_up(),
            Happens::Recovers => self.recovers(),
            // Whatever an earlier start was waiting for is gone with it.
            Happens::Answered(..)
            | Happens::Write(_)
            | Happens::Written(..)
            | Happens::Follow(_)
            | Happens::Deliver(_) => {}
        }
    }

    pub(super) fn note(&mut self, line: &str) {
        // FNV-1a over everything that happens: two runs of a seed have the same.
        let told = format!("{:>12} {line}", self.now);
        self.hash = told.bytes().fold(self.hash, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if let Some(trace) = &mut self.trace {
            trace.push(told);
        }
    }
}

/// The true date at a moment of the day.
pub(super) fn utc(at: u64) -> Utc {
    Utc::from_secs(TODAY_S) + Duration::from_micros(at)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
