//! One day of a station under virtual time: people, lanes, one or two gates, their backend, and what goes wrong.
//!
//! The queue holds what happens, in the order of (time, number). Before each of them the gates' own deadlines are kept.
//! After the safety phase the faults end and every lane must serve again; in the end everything must have been said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::cast::Visit;
use super::centre::Centre;
use super::claims::Ledger;
use super::oracle::Expected;
use super::plant::Plant;
use super::post::{Facts, Post};
use super::script::{Item, MS, Options, SECOND, Script, What};
use super::{Day, SimulationError};
use crate::core::Pairs;
use crate::domain::{
    ClaimId, Claimed, Event, HealthOutcome, LaneId, Levels, Presentation, Row, RowKey, Standing,
    Utc,
};
use crate::lab::random::SplitMix64;
use crate::store::journal::Written;

/// After the faults have ended, the gate serves again within this time.
const SERVES_AGAIN: u64 = 10 * SECOND;
/// Until everything has settled, at most: the longest back-off of the delivery is 75 s, a call to staff 30 s.
const SETTLED: u64 = 240 * SECOND;
/// How often it is looked whether it has.
const LOOKS: u64 = 2 * SECOND;
/// Sensors are repeated as the line driver does.
const REPEAT: u64 = 100 * MS;
/// What has been heard is repeated every so many times only: it changes nothing.
const WHOLE: u64 = 8;

/// A gate, by its place among the posts.
pub(super) type At = usize;

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Happens {
    /// An item of the script.
    Item(usize),
    /// Somebody comes again; how often they have tried.
    Comes(Visit, u32),
    /// What was read reaches the gate.
    Shown(At, u64, Box<Presentation>, Box<Expected>),
    /// The backend's answer reaches the gate.
    Answered(At, u32, u64, Result<Standing, HealthOutcome>),
    /// The backend's answer to a claim reaches the gate.
    Claimed(At, u32, ClaimId, Claimed),
    /// Who claims has a turn.
    Claims(At, u32),
    /// The centre says something else of a visitor.
    Changes(usize, Row),
    /// The writer looks at its queue.
    Write(At, u32),
    /// The writer has written.
    Written(At, u32, Vec<Written>),
    /// The list is asked for; trust list and directives are.
    Follow(At, u32),
    Papers(At, u32),
    /// Records are delivered.
    Deliver(At, u32),
    /// A body moves.
    Moves(At, LaneId, u64),
    /// A limit switch may change.
    Edge(At, LaneId),
    /// The sensors are repeated.
    Repeat(At),
    /// A fault of the script ends.
    Ends(usize),
    /// The fire loop is heard.
    FireHeard(At),
    /// The power is back.
    PowerBack(At),
    /// Staff reset the fire, a person declares a new era.
    Recovers,
}

/// One day.
pub(super) struct World {
    pub(super) random: SplitMix64,
    pub(super) script: Script,
    pub(super) plant: Option<Plant>,
    pub(super) centre: Centre,
    /// Runs the asynchronous parts to their end, under virtual time.
    pub(super) runtime: Runtime,
    /// How late it is for the runtime.
    pub(super) runtime_at: u64,
    pub(super) claimed: Ledger,
    /// The dynamic code that the gate is at work on.
    pub(super) about: Option<String>,
    /// What was said of visitors before it changed, and when that was.
    pub(super) visitors: BTreeMap<usize, (Facts, u64)>,
    pub(super) posts: Vec<Post>,
    pub(super) keys: BTreeMap<(usize, u64), RowKey>,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Happens>,
    numbered: u64,
    pub(super) presentations: u64,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) trace: Option<Vec<String>>,
    pub(super) hash: u64,
    /// The backend came back with older versions, and nobody has declared a new era yet.
    pub(super) restored: bool,
    /// Who is to be served in the end, until they are.
    pub(super) probes: BTreeSet<usize>,
    /// The faults have ended.
    pub(super) calm: bool,
    /// Pairs of state and input that were seen.
    pub(super) pairs: Pairs,
}

impl World {
    /// Draws the day of a seed.
    pub(super) fn new(seed: u64, options: &Options) -> Result<Self, SimulationError> {
        let script = Script::draw(seed, options);
        let (centre, posts) = super::station::build(&script, options.plant)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| SimulationError(error.to_string()))?;
        let mut world = Self {
            random: SplitMix64::new(seed ^ 0x5EED),
            plant: options.plant,
            centre,
            runtime,
            runtime_at: 0,
            claimed: Ledger::default(),
            about: None,
            visitors: BTreeMap::new(),
            posts,
            keys: BTreeMap::new(),
            now: 0,
            queue: BTreeMap::new(),
            numbered: 0,
            presentations: 0,
            faults: BTreeMap::new(),
            trace: options.traced.then(Vec::new),
            hash: seed,
            restored: false,
            probes: BTreeSet::new(),
            calm: false,
            pairs: Pairs::default(),
            script,
        };
        world.enrol()?;
        for (place, Item { at, .. }) in world.script.items.clone().into_iter().enumerate() {
            let happens = options
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&place));
            if happens {
                world.at(at, Happens::Item(place));
            }
        }
        Ok(world)
    }

    /// Lives through the day.
    pub(super) fn live(mut self) -> Day {
        for at in 0..self.posts.len() {
            self.power_on(at);
            self.at(0, Happens::Repeat(at));
        }
        let length = self.script.length;
        self.run_until(length);
        self.end_faults();
        self.run_until(self.now.saturating_add(SERVES_AGAIN));
        self.serves_again();
        let until = self.now.saturating_add(SETTLED);
        while self.violation().is_none() && self.now < until && !self.is_settled() {
            self.run_until(self.now.saturating_add(LOOKS));
        }
        self.close();
        for at in 0..self.posts.len() {
            self.learn_pairs(at);
        }
        let violation = self.violation();
        Day {
            passages: self.posts.iter().map(|post| post.oracle.passages).sum(),
            grants: self.posts.iter().map(|post| post.oracle.grants()).sum(),
            presentations: self.presentations,
            items: self.script.items.len(),
            faults: self.faults,
            violation,
            virtual_us: self.now,
            trace: self.trace.unwrap_or_default(),
            hash: self.hash,
            pairs: self.pairs,
        }
    }

    /// The first rule that was broken.
    pub(super) fn violation(&self) -> Option<String> {
        let mut posts = self.posts.iter();
        posts.find_map(|post| post.oracle.violation.clone())
    }

    pub(super) fn is_violated(&self) -> bool {
        self.posts
            .iter()
            .any(|post| post.oracle.violation.is_some())
    }

    pub(super) fn at(&mut self, at: u64, happens: Happens) {
        self.numbered += 1;
        self.queue
            .insert((at.max(self.now), self.numbered), happens);
    }

    pub(super) fn soon(&mut self, after: u64, happens: Happens) {
        self.at(self.now.saturating_add(after), happens);
    }

    /// What is still to come, and whether it shall.
    pub(super) fn keep(&mut self, shall: impl Fn(&Happens) -> bool) -> Vec<Happens> {
        let gone = self.queue.values().filter(|happens| !shall(happens));
        let gone = gone.cloned().collect();
        self.queue.retain(|_, happens| shall(happens));
        gone
    }

    pub(super) fn run_until(&mut self, until: u64) {
        while !self.is_violated() {
            let posts = self.posts.iter().enumerate();
            let due = posts.filter_map(|(at, post)| Some((post.due?, at))).min();
            let due = due.filter(|(due, _)| *due <= until);
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            match (due, next.filter(|at| *at <= until)) {
                (Some((due, at)), next) if next.is_none_or(|next| due <= next) => {
                    self.now = self.now.max(due);
                    self.step(at, Event::TimedOut);
                    let again = self.posts.get(at).and_then(|post| post.due);
                    if again.is_some_and(|again| again <= self.now && again == due) {
                        self.violated(at, "a deadline is not met by waiting for it");
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

    /// Keeps what the lanes of a gate have been through, before its controller goes.
    pub(super) fn learn_pairs(&mut self, at: At) {
        let post = self.posts.get_mut(at);
        if let Some(controller) = post.and_then(|post| post.controller.as_mut()) {
            self.pairs.add(&controller.gate().pairs());
        }
    }

    pub(super) fn violated(&mut self, at: At, what: &str) {
        if let Some(post) = self.posts.get_mut(at) {
            post.oracle.violated(what);
        }
    }

    fn is_on(&self, at: At, boot: u32) -> bool {
        let post = self.posts.get(at);
        post.is_some_and(|post| post.boot == boot && post.controller.is_some())
    }

    fn happens(&mut self, happens: Happens) {
        match happens {
            Happens::Item(place) => self.item(place),
            Happens::Comes(visit, tries) => self.comes(visit, tries),
            Happens::Shown(at, number, presentation, expected) => {
                self.present(at, number, *presentation, *expected);
            }
            Happens::Answered(at, boot, number, answer) if self.is_on(at, boot) => {
                self.step(at, Event::Answered { number, answer });
            }
            Happens::Claimed(at, boot, claim, claimed) if self.is_on(at, boot) => {
                self.step(at, Event::Claimed(claim, claimed));
            }
            Happens::Claims(at, boot) if self.is_on(at, boot) => self.claims_on(at, boot),
            Happens::Changes(person, row) => self.visitor_is(person, row),
            Happens::Write(at, boot) if self.is_on(at, boot) => self.write(at),
            Happens::Written(at, boot, answers) if self.is_on(at, boot) => {
                self.written(at, answers);
            }
            Happens::Follow(at, boot) if self.is_on(at, boot) => self.follow(at, boot),
            Happens::Papers(at, boot) if self.is_on(at, boot) => self.follow_papers(at, boot),
            Happens::Deliver(at, boot) if self.is_on(at, boot) => self.deliver(at, boot),
            Happens::Moves(at, lane, body) => self.moves(at, lane, body),
            Happens::Edge(at, lane) => self.edge(at, lane),
            Happens::Repeat(at) => {
                self.repeat(at);
                self.soon(REPEAT, Happens::Repeat(at));
            }
            Happens::Ends(place) => self.ends(place),
            Happens::FireHeard(at) => self.hear_fire(at),
            Happens::PowerBack(at) => self.power_on(at),
            Happens::Recovers => self.recovers(),
            // Whatever an earlier start was waiting for is gone with it.
            Happens::Answered(..)
            | Happens::Claimed(..)
            | Happens::Claims(..)
            | Happens::Write(..)
            | Happens::Written(..)
            | Happens::Follow(..)
            | Happens::Papers(..)
            | Happens::Deliver(..) => {}
        }
    }

    fn item(&mut self, place: usize) {
        let Some(Item { what, .. }) = self.script.items.get(place).copied() else {
            return;
        };
        match what {
            What::Comes(visit) => {
                if let Some(manner) = visit.manner.as_str() {
                    self.count(manner);
                }
                self.comes(visit, 0);
            }
            What::OpensOnce(visit) => self.opens_once(visit),
            What::Fault(at, fault, lasts) => self.begins(place, at, fault, lasts),
            What::Publishes => self.publishes(),
            What::VisitorChanges => self.visitor_changes(),
            What::Trust => {
                let today = self.utc(self.now);
                if let Err(error) = self.centre.publish_trust(today) {
                    self.violated(0, &error.to_string());
                }
            }
            What::BacksUp => self.centre.back_up(),
        }
    }

    /// Says the levels of every sensor, key switch and the fire loop again, as their drivers do.
    fn repeat(&mut self, at: At) {
        let Some(post) = self
            .posts
            .get_mut(at)
            .filter(|post| post.controller.is_some())
        else {
            return;
        };
        post.ticks = post.ticks.wrapping_add(1);
        let (whole, flood) = (post.ticks % WHOLE == 0, post.flood);
        let lanes = u8::try_from(post.places.len()).unwrap_or(0);
        for lane in (0..lanes).map(LaneId) {
            self.repeat_lane(at, lane, whole);
        }
        if whole {
            let fire = self.posts.get(at).is_some_and(|post| post.fire_input);
            if self.plant != Some(Plant::FireLate) || !fire {
                self.step(at, Event::Fire(fire));
            }
            self.look_at_lanes(at);
        }
        if flood {
            self.nonsense(at);
        }
    }

    fn repeat_lane(&mut self, at: At, lane: LaneId, whole: bool) {
        let now = self.now;
        let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) else {
            return;
        };
        if place.lines_lost {
            return;
        }
        let (levels, key) = (place.aisle.levels(now), place.key);
        let repeats = self.plant != Some(Plant::UnrepeatedBeams) || place.told.is_none();
        if (whole || place.told != Some(levels)) && repeats {
            self.sense(at, lane, levels);
        }
        if whole {
            self.turn_key(at, lane, key);
        }
    }

    /// The gate hears the levels of a lane.
    pub(super) fn sense(&mut self, at: At, lane: LaneId, levels: Levels) {
        if let Some(place) = self.posts.get_mut(at).and_then(|post| post.place(lane)) {
            place.told = Some(levels);
        }
        self.step(at, Event::Sensed(lane, levels));
    }

    /// Folds something that happens into what stands for the day: two runs of a seed have the same.
    pub(super) const fn mark(&mut self, what: u64) {
        // FNV-1a, a word at a time.
        self.hash = (self.hash ^ what).wrapping_mul(0x0100_0000_01b3);
        self.hash = (self.hash ^ self.now).wrapping_mul(0x0100_0000_01b3);
    }

    /// Keeps a line of the trace, if there is one.
    pub(super) fn note(&mut self, at: At, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12} gate {at} {}", self.now, line()));
        }
    }

    /// The true date at a moment of the day.
    pub(super) fn utc(&self, at: u64) -> Utc {
        Utc::from_secs(self.script.start_s) + Duration::from_micros(at)
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
