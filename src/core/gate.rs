//! The gate: routes events to lanes, keeps the fire latch, and settles what the journal answers.

mod rule;

use super::directed::Directed;
use super::lane::{Before, Lane};
use super::ledger::{Ledger, Settled};
use super::modes::Modes;
use super::settings::Settings;
use super::turn::Turn;
use crate::domain::{
    Action, Alarm, ClaimId, Claimed, Deed, Direction, Entry, Event, GrantId, HealthOutcome,
    JournalTrouble, Kind, LaneId, Mono, Now, Outcome, Record, Restored, Source, Standing,
    StateChange, Wish,
};

/// One gate, with one to four lanes.
#[derive(Debug)]
pub struct Gate {
    /// With the rules that directives change now.
    settings: Settings,
    /// As the config says.
    configured: Settings,
    directed: Directed,
    lanes: Vec<Lane>,
    /// One a lane: who wants which mode of it.
    modes: Vec<Modes>,
    ledger: Ledger,
    fire: Fire,
    /// The alarm for grants without a record is on.
    has_gap: bool,
}

/// The fire input and its latch.
#[derive(Clone, Copy, Debug, Default)]
struct Fire {
    /// Everything is released until a person resets it.
    latched: bool,
    /// What the fire loop says now.
    input: bool,
}

/// A lane as pages and metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// `unsensed`, `locked`, `asking`, `claiming`, `recording`, `released`, `passing`, `closing`, `open`; `absent` if there is no
    /// such lane.
    pub state: &'static str,
    /// Its mode and whose wish that is; while there is a fire it waits.
    pub mode: Wish,
    /// True if everybody may walk, by its mode or by the fire.
    pub is_open: bool,
    /// True if somebody is in the aisle.
    pub occupied: bool,
    /// True while the fire latch is set.
    pub fire: bool,
}

impl Gate {
    /// A gate as it stands after a start: what was restored counts again, grants that were open are closed in the
    /// journal, and every lane is released if there was a fire, or else locked: a flap once its aisle is seen clear.
    pub fn new(settings: Settings, restored: Restored, now: Now, out: &mut Vec<Action>) -> Self {
        let mut ledger = Ledger::new(now, &settings, &restored);
        let fire = Fire {
            latched: restored.fire_latched,
            // Until the loop is heard it counts as it was: nobody resets a fire that goes on.
            input: restored.fire_latched,
        };
        let mut turn = Turn {
            now,
            settings: &settings,
            ledger: &mut ledger,
            out,
        };
        let (mut lanes, mut modes) = (Vec::new(), Vec::new());
        for (id, lane) in (0..=u8::MAX).zip(&settings.lanes) {
            let mut staff = restored.staff_modes.iter();
            let staff = staff.find(|(name, _)| *name == lane.name);
            let wishes = Modes::new(lane, staff.map(|(_, staff)| *staff), now);
            let on_the_way = restored.open_grants.iter().rev();
            let mut on_the_way = on_the_way.filter(|(name, ..)| name.as_ref() == Some(&lane.name));
            let before = Before {
                fire: fire.latched,
                rider: on_the_way.next().map(|(_, direction, _)| *direction),
                mode: wishes.ruling().mode,
            };
            lanes.push(Lane::new(LaneId(id), lane, before, &mut turn));
            modes.push(wishes);
        }
        if fire.latched {
            turn.act(Action::Alarm(None, Alarm::Fire, true));
        }
        let software = settings.software.clone();
        turn.record(None, Kind::Started { software }, None, Vec::new());
        for (id, ruling) in (0..=u8::MAX)
            .map(LaneId)
            .zip(modes.iter().map(Modes::ruling))
        {
            if ruling.source != Source::Config {
                rule::record_mode(id, ruling, Vec::new(), &mut turn);
            }
        }
        for (name, direction, grant) in restored.open_grants {
            close(name, direction, grant, &mut turn);
        }
        Self {
            configured: settings.clone(),
            settings,
            directed: Directed::default(),
            lanes,
            modes,
            ledger,
            fire,
            has_gap: false,
        }
    }

    /// Takes one event. Before anybody is served, deadlines that have passed are handled, so that a late timer
    /// changes nothing. What sensors, the fire loop and staff say comes before that, so that no late timer locks
    /// a barrier on somebody who has just stepped in, or in a fire.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Vec<Action>) {
        let serves = match event {
            Event::Presented(_)
            | Event::Answered { .. }
            | Event::Claimed(..)
            | Event::Durable(_)
            | Event::NotDurable(..)
            | Event::ReaderPrompt(..)
            | Event::TimedOut => true,
            Event::Sensed(..)
            | Event::LinesLost(_)
            | Event::Fire(_)
            | Event::FireReset
            | Event::ModeSet(..)
            | Event::Directed(_)
            | Event::Staffed(..)
            | Event::Readers(..)
            | Event::BarrierWorks(..)
            | Event::Stopping => false,
        };
        self.rule(now, out);
        if serves {
            self.each_lane(now, out, Lane::timed_out);
            self.take(now, event, out);
        } else {
            self.take(now, event, out);
            self.each_lane(now, out, Lane::timed_out);
        }
        self.each_lane(now, out, Lane::settle);
        out.extend(self.ledger.given_up().into_iter().map(Action::Unclaim));
        self.watch_gap(out);
    }

    /// When the gate wants `Event::TimedOut`, at the latest. Too early or too late is harmless.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let lanes = self.lanes.iter().filter_map(Lane::deadline);
        let modes = self.modes.iter().filter_map(Modes::deadline);
        lanes.chain(modes).chain(self.directed.deadline()).min()
    }

    /// True while the fire loop says that there is a fire.
    #[must_use]
    pub const fn is_fire_sensed(&self) -> bool {
        self.fire.input
    }

    /// True if somebody was refused for passback on this side lately, so that staff can forgive it.
    #[must_use]
    pub fn may_forgive(&self, lane: LaneId, direction: Direction, now: Now) -> bool {
        self.ledger.may_forgive(now, lane, direction)
    }

    /// Every wish for the mode of a lane that counts now, the strongest first.
    #[must_use]
    pub fn wishes(&self, lane: LaneId) -> &[Wish] {
        let modes = self.modes.get(usize::from(lane.0));
        modes.map_or(&[], Modes::wishes)
    }

    /// True if nobody is on the way at any lane, so that the daemon may end.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.lanes.iter().all(Lane::is_at_rest)
    }

    /// A lane as pages and metrics show it.
    #[must_use]
    pub fn lane_view(&self, lane: LaneId) -> LaneView {
        let modes = self.modes.get(usize::from(lane.0));
        let lane = self.lanes.get(usize::from(lane.0));
        LaneView {
            state: lane.map_or("absent", Lane::name),
            mode: modes.map_or_else(Wish::default, Modes::ruling),
            is_open: lane.is_some_and(Lane::is_held_open),
            occupied: lane.is_some_and(Lane::is_occupied),
            fire: self.fire.latched,
        }
    }

    /// What the machines of its lanes have been through: pairs of state and input.
    #[cfg(feature = "lab")]
    #[must_use]
    pub fn pairs(&self) -> super::Pairs {
        let mut pairs = super::Pairs::default();
        self.lanes.iter().for_each(|lane| pairs.add(lane.pairs()));
        pairs
    }

    fn take(&mut self, now: Now, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Presented(assessed) => {
                self.at_lane(assessed.lane, now, out, |lane, turn| {
                    lane.presented(assessed, turn);
                });
            }
            Event::Answered { number, answer } => self.answered(number, answer, now, out),
            Event::Claimed(claim, answer) => self.claimed(claim, answer, now, out),
            Event::Durable(grant) => self.durable(grant, now, out),
            Event::NotDurable(grant, trouble) => self.not_durable(grant, trouble, now, out),
            Event::Sensed(lane, levels) => {
                self.at_lane(lane, now, out, |lane, turn| lane.sensed(levels, turn));
            }
            Event::LinesLost(lane) => self.at_lane(lane, now, out, |lane, _| lane.lose_sight()),
            Event::Fire(input) => {
                self.fire.input = input;
                if input && !self.fire.latched {
                    self.latch_fire(true, now, out);
                }
            }
            Event::FireReset => {
                if self.fire.latched && !self.fire.input {
                    self.latch_fire(false, now, out);
                }
            }
            Event::ModeSet(lane, wanted) => self.want(lane, wanted, now, out),
            Event::Directed(directives) => {
                for (modes, lane) in self.modes.iter_mut().zip(&self.configured.lanes) {
                    modes.direct(&lane.name, &directives);
                }
                let mut directed = std::mem::take(&mut self.directed);
                directed.replace(directives, &mut self.turn(now, out).1);
                self.directed = directed;
                self.rule(now, out);
            }
            Event::Staffed(uid, lane, deed) => {
                let (_, mut turn) = self.turn(now, out);
                let change = match (lane, deed) {
                    (Some(lane), Deed::Forgive { direction }) => {
                        turn.ledger.forgive(now, lane, direction)
                    }
                    (Some(_) | None, _) => None,
                };
                let changes = change.into_iter().collect();
                turn.record(lane, Kind::Staff { uid, deed }, None, changes);
            }
            Event::ReaderPrompt(lane, side, prompt) => {
                self.at_lane(lane, now, out, |lane, turn| lane.hint(side, prompt, turn));
            }
            Event::Readers(lane, side, service) => {
                self.at_lane(lane, now, out, |lane, _| lane.set_readers(side, service));
            }
            Event::BarrierWorks(lane, works) => {
                self.at_lane(lane, now, out, |lane, turn| lane.set_barrier(works, turn));
            }
            Event::Stopping => self.each_lane(now, out, Lane::stop),
            Event::TimedOut => {}
        }
    }

    /// The lanes, and what one turn hands to them.
    fn turn<'a>(&'a mut self, now: Now, out: &'a mut Vec<Action>) -> (&'a mut [Lane], Turn<'a>) {
        let turn = Turn {
            now,
            settings: &self.settings,
            ledger: &mut self.ledger,
            out,
        };
        (&mut self.lanes, turn)
    }

    fn each_lane(
        &mut self,
        now: Now,
        out: &mut Vec<Action>,
        run: impl Fn(&mut Lane, &mut Turn<'_>),
    ) {
        let (lanes, mut turn) = self.turn(now, out);
        for lane in lanes {
            run(lane, &mut turn);
        }
    }

    /// Runs something at one lane; nothing happens at a lane that is not there.
    fn at_lane(
        &mut self,
        id: LaneId,
        now: Now,
        out: &mut Vec<Action>,
        run: impl FnOnce(&mut Lane, &mut Turn<'_>),
    ) {
        let (lanes, mut turn) = self.turn(now, out);
        if let Some(lane) = lanes.get_mut(usize::from(id.0)) {
            run(lane, &mut turn);
        }
    }

    fn answered(
        &mut self,
        number: u64,
        answer: Result<Standing, HealthOutcome>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let (lanes, mut turn) = self.turn(now, out);
        if let Some(lane) = lanes
            .iter_mut()
            .find(|lane| lane.asks_about() == Some(number))
        {
            lane.answered(answer, &mut turn);
        }
    }

    /// What came of a claim. One that no desk waits for any more has been decided without it.
    fn claimed(&mut self, claim: ClaimId, answer: Claimed, now: Now, out: &mut Vec<Action>) {
        let (lanes, mut turn) = self.turn(now, out);
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.claims() == Some(claim)) {
            lane.claimed(answer, &mut turn);
        }
    }

    fn durable(&mut self, grant: GrantId, now: Now, out: &mut Vec<Action>) {
        let (lanes, mut turn) = self.turn(now, out);
        match lanes
            .iter_mut()
            .find(|lane| lane.waits_for() == Some(grant))
        {
            Some(lane) => lane.durable(&mut turn),
            None => match turn.ledger.settle_durable(grant) {
                Settled::Abandoned(lane, direction) => {
                    turn.outcome(lane, direction, Outcome::NoEntryAfterGrant, Some(grant));
                }
                Settled::Nothing => {}
            },
        }
        // The journal works: now the gap can be recorded.
        if let Some(unrecorded) = turn.ledger.take_gap() {
            turn.record(None, Kind::Gap { unrecorded }, None, Vec::new());
        }
    }

    fn not_durable(
        &mut self,
        grant: GrantId,
        trouble: JournalTrouble,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let (lanes, mut turn) = self.turn(now, out);
        match lanes
            .iter_mut()
            .find(|lane| lane.waits_for() == Some(grant))
        {
            Some(lane) => lane.not_durable(trouble, &mut turn),
            None if trouble == JournalTrouble::InDoubt => {}
            None => turn.ledger.settle_lost(grant),
        }
    }

    /// Sets or resets the latch. Barriers first: the record can wait.
    fn latch_fire(&mut self, on: bool, now: Now, out: &mut Vec<Action>) {
        self.fire.latched = on;
        self.each_lane(now, out, |lane, turn| lane.set_fire(on, turn));
        let (_, mut turn) = self.turn(now, out);
        turn.act(Action::Alarm(None, Alarm::Fire, on));
        let alarm = Alarm::Fire;
        let latch = vec![StateChange::FireLatched(on)];
        turn.record(None, Kind::Alarm { alarm, on }, None, latch);
    }

    /// The alarm for grants without a record follows the ledger.
    fn watch_gap(&mut self, out: &mut Vec<Action>) {
        if self.has_gap != self.ledger.has_gap() {
            self.has_gap = !self.has_gap;
            out.push(Action::Alarm(None, Alarm::Unrecorded, self.has_gap));
        }
    }
}

/// Ends a grant of an earlier start: nobody can say what came of it, and nothing is annulled.
fn close(lane: Option<String>, direction: Direction, grant: GrantId, turn: &mut Turn<'_>) {
    let outcome = Outcome::UnknownAfterRestart;
    let lanes = (0..=u8::MAX).zip(&turn.settings.lanes);
    let mut named = lanes.filter(|(_, settings)| Some(&settings.name) == lane.as_ref());
    let id = named.next().map(|(id, _)| LaneId(id));
    let kind = Kind::Outcome {
        direction,
        outcome,
        grant: Some(grant),
    };
    turn.act(Action::Record(Entry {
        grant: None,
        record: Record::new(turn.ledger.boot(), turn.now, lane, kind),
        changes: Vec::new(),
    }));
    if let Some(id) = id {
        turn.act(Action::Ended(id, direction, outcome, Some(grant)));
    }
}
