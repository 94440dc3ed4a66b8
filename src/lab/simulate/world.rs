//! One day at a gate under virtual time: people, a lane, a controller, a backend, and what goes wrong.
//!
//! The queue holds what happens, in the order of (time, number). Before each of them the gate's own deadline is kept.
//! After the safety phase the faults end and the gate must serve again; in the end everything must have been said.

use std::collections::BTreeMap;
use std::time::Duration;

use super::aisle::{Aisle, Stands};
use super::cast::{self, Known, Person, Visit};
use super::centre::Centre;
use super::controller::{Controller, Lasting};
use super::disk::Disk;
use super::faults::{self, Fault, Mix};
use super::oracle::{Expected, Oracle, Scene};
use super::plant::Plant;
use super::{Day, SimulationError, settings};
use crate::codes::Pepper;
use crate::codes::row_key::row_key;
use crate::domain::{
    Action, ClockQuality, Colour, Direction, Event, GateId, GrantId, HealthOutcome, IssuerId,
    LaneId, Levels, ListId, Mono, Now, Presentation, RowKey, Standing, Utc,
};
use crate::lab::random::SplitMix64;
use crate::store::codes::{Codes as _, MemoryCodes};
use crate::store::journal::{Limits, Written};

pub(super) const LANE: LaneId = LaneId(0);
pub(super) const MS: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;
/// The date on which every day begins.
const TODAY_S: u64 = 1_900_000_000;
/// The safety phase.
const DAY: u64 = 240 * SECOND;
/// After the faults have ended, the gate serves again within this time.
const SERVES_AGAIN: u64 = 10 * SECOND;
/// Until everything has settled: the longest back-off of the delivery is 75 s, a call to staff 30 s.
const SETTLED: u64 = 240 * SECOND;
/// Sensors are repeated as the line driver does.
const REPEAT: u64 = 100 * MS;

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
    /// The presentation of that person, until it is granted.
    pub(super) probe: Option<u64>,
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| wrong(&error))?;
        let lasting = Lasting {
            gate: GateId::new("simulated").map_err(|error| wrong(&error))?,
            list,
            pepper,
            settings: settings.clone(),
            disk: Disk::default(),
            limits: Limits {
                bytes_max: if mix.small_journal {
                    24 << 10
                } else {
                    64 << 20
                },
                free_min: 0,
                keep: Duration::from_secs(1_800),
            },
            codes: MemoryCodes::default(),
            centre,
            runtime,
        };
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
        let phases: [(fn(&mut Self), u64); 3] = [
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

    /// Gives the centre everybody's rows.
    fn enrol(&mut self) -> Result<(), SimulationError> {
        let mut rows = Vec::new();
        for (n, person) in self.people.iter().enumerate() {
            for (code, (kind, issuer, text)) in (0..).zip(person.identifiers()) {
                let wrong = |error: &dyn std::fmt::Display| SimulationError(error.to_string());
                let issuer = IssuerId::new(issuer).map_err(|error| wrong(&error))?;
                let key = row_key(&self.lasting.pepper, kind, &issuer, &text)
                    .map_err(|error| wrong(&error))?;
                self.keys.insert((n, code), key);
                match person.known {
                    Known::Listed(row) => rows.push((key, row)),
                    Known::Online(row) => self.lasting.centre.knows(&text, row),
                    Known::Nowhere => {}
                }
            }
        }
        self.lasting.centre.publish(utc(0), &rows)
    }

    /// Draws who comes when, and when the planned faults begin.
    fn plan(&mut self, sides: &[Direction]) {
        let mut at = 3 * SECOND;
        let pace = 2 + self.random.below(12);
        while at < DAY {
            // The last of them comes when all is over.
            let guests = self.people.len().saturating_sub(1);
            let visit = cast::visit(&mut self.random, guests, sides);
            self.at(at, Happens::Comes(visit, 0));
            at += self.random.below(pace * SECOND) + 200 * MS;
        }
        for place in 0..self.mix.planned.len() {
            let Some(planned) = self.mix.planned.get(place).copied() else {
                continue;
            };
            self.at(planned.at, Happens::Begins(place));
        }
        for _ in 0..self.random.below(4) {
            let at = self.random.below(DAY);
            self.at(at, Happens::Publishes);
        }
        let at = self.random.below(DAY / 2);
        self.at(at, Happens::BacksUp);
        self.at(0, Happens::Repeat);
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
        let plant = self.plant;
        let controller = self.controller.as_mut()?;
        let due = controller.gate().deadline()?;
        let due = booted_at.saturating_add(due.as_micros());
        Some(if plant == Some(Plant::LateTimers) {
            due.saturating_add(SECOND)
        } else {
            due
        })
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

    /// Both clocks, as the gate may use them above a floor.
    pub(super) fn clocks(&self, floor: Utc) -> Now {
        let mono = Mono::from_micros(self.now.saturating_sub(self.booted_at));
        let seconds = i64::try_from(TODAY_S).unwrap_or(i64::MAX) + self.date_offset_s;
        let date =
            Utc::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_micros(self.now);
        if !self.vouched || date < floor {
            return Now {
                mono,
                utc: None,
                quality: ClockQuality::Untrusted,
            };
        }
        Now {
            mono,
            utc: Some(date),
            quality: ClockQuality::Synchronised,
        }
    }

    pub(super) fn gate_now(&self) -> Now {
        let floor = self.controller.as_ref().map(Controller::clock_floor);
        self.clocks(floor.unwrap_or_default())
    }

    /// One step of the gate, and everything that follows from it at once.
    pub(super) fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let now = self.gate_now();
            let Some(controller) = self.controller.as_mut() else {
                return;
            };
            match &event {
                Event::Fire(input) => self.oracle.fire(*input),
                Event::FireReset if !self.fire_input => self.oracle.fire_reset(),
                Event::ModeSet(_, mode) => self.oracle.mode(*mode),
                Event::Presented(_)
                | Event::Answered { .. }
                | Event::Durable(_)
                | Event::NotDurable(..)
                | Event::Sensed(..)
                | Event::FireReset
                | Event::ReaderPrompt(..)
                | Event::Readers(..)
                | Event::BarrierWorks(..)
                | Event::LinesLost
                | Event::TimedOut => {}
            }
            controller.tell_time(now.mono);
            let quiet = matches!(event, Event::Sensed(..) | Event::Fire(_) | Event::TimedOut);
            let told = (!quiet || self.trace.is_some()).then(|| format!("{event:?}"));
            let mut out = Vec::new();
            controller.gate().step(now, event, &mut out);
            if let Some(told) = told.filter(|_| !quiet || !out.is_empty()) {
                self.note(&told);
            }
            self.perform(out, &mut events);
        }
        if self.oracle.is_fire() && self.controller.is_some() {
            let open = self.aisle.stands == Stands::Both;
            if !open {
                self.oracle
                    .violated("there is a fire and the barrier is not released");
            }
        }
    }

    /// Performs actions as the runtime does.
    fn perform(&mut self, mut out: Vec<Action>, events: &mut Vec<Event>) {
        if let Some(plant) = self.plant {
            plant.tamper(&mut out);
        }
        let scene = Scene {
            now: self.now,
            aisle: &self.aisle,
            blind: self.now < self.blind_until || self.aisle.stuck != [None; 2],
        };
        self.oracle.see(&out, &scene, &self.shown);
        self.act(out, events);
    }

    /// Performs actions that the oracle has seen.
    pub(super) fn act(&mut self, out: Vec<Action>, events: &mut Vec<Event>) {
        for action in out {
            self.note(&format!("   {action:?}"));
            self.probed(&action);
            match action {
                Action::ReleaseBarrier(_, way) => {
                    self.aisle.stand(Stands::For(way));
                    self.sets_out(way);
                }
                Action::ReleaseBothWays(_) => self.aisle.stand(Stands::Both),
                Action::LockBarrier(_) => self.aisle.stand(Stands::Locked),
                Action::AskOnline { number, until } => self.ask(number, until),
                Action::Record(entry) => {
                    let now = self.gate_now().mono;
                    let grant = entry.grant;
                    let submitted = self
                        .controller
                        .as_mut()
                        .map_or(Ok(()), |controller| controller.submit(entry, now));
                    if let (Err(trouble), Some(grant)) = (submitted, grant) {
                        events.push(Event::NotDurable(grant, trouble));
                    }
                    self.wake_writer();
                }
                Action::Decided(decided) => self.decided(&decided),
                Action::Show(..) | Action::Ended(..) | Action::Alarm(..) => {}
            }
        }
    }

    fn ask(&mut self, number: u64, until: Mono) {
        let within = until.since(self.gate_now().mono);
        let Some(controller) = &self.controller else {
            return;
        };
        let answer = controller.ask(&self.lasting.runtime, number, within);
        let late = matches!(answer, Err(HealthOutcome::TimedOut));
        // The deadline is the core's own: an answer that is late may come all the same.
        let after = if late {
            micros(within) + 5 * MS
        } else {
            self.random.below(400 * MS)
        };
        self.soon(after, Happens::Answered(self.boot, number, answer));
    }

    fn wake_writer(&mut self) {
        if !self.writing {
            self.writing = true;
            self.soon(0, Happens::Write(self.boot));
        }
    }

    fn write(&mut self) {
        let now = self.gate_now().mono;
        let Some(controller) = self.controller.as_mut() else {
            return;
        };
        if !controller.has_to_write(now) {
            self.writing = false;
            if let Some(at) = controller.retry_at() {
                let at = self.booted_at.saturating_add(at.as_micros());
                self.writing = true;
                self.at(at.max(self.now + MS), Happens::Write(self.boot));
            }
            return;
        }
        controller.tell_time(now);
        let answers = controller.write();
        self.look_at_journal();
        let took = 300 + self.random.below(3 * MS) + self.disk_slow;
        self.soon(took, Happens::Written(self.boot, answers));
        self.soon(took, Happens::Write(self.boot));
    }

    fn written(&mut self, answers: Vec<Written>) {
        for written in answers {
            let Some(grant) = written.grant else { continue };
            match written.result {
                Ok(()) => {
                    self.oracle.durable(grant);
                    self.step(Event::Durable(grant));
                }
                Err(trouble) => self.step(Event::NotDurable(grant, trouble)),
            }
        }
    }

    /// Reads what was appended. A disk that refuses is looked at later.
    pub(super) fn look_at_journal(&mut self) {
        let after = self.oracle.last_seq();
        let Some(controller) = &self.controller else {
            return;
        };
        if let Ok(records) = controller.journal().read(after, usize::MAX, usize::MAX) {
            self.oracle.appended(records);
        }
    }

    /// The list in force is never below the floor.
    fn look_at_list(&mut self) {
        let Some(controller) = &self.controller else {
            return;
        };
        let live = self.lasting.codes.state(&self.lasting.list);
        let floor = controller.list_floor(&self.lasting.list);
        if let (Some(live), Ok(Some(floor))) = (live, floor)
            && (live.era, live.version) < floor
        {
            self.oracle.violated("a list below its floor is in force");
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
