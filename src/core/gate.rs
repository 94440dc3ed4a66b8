//! Routes events to lanes and desks, and ties what lanes report to grants, records and prompts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::desk::{self, Desk, Memory, Sheet, Step, Undo};
use super::lane::Lane;
use super::lane::machine::Output;
use super::passback::Passback;
use super::policy::{self, Ruling};
use super::replay::SeenSet;
use super::settings::{OnTrouble, Settings};
use super::signs::Signs;
use crate::domain::{
    Action, Alarm, Assessed, Decided, Direction, Entry, Event, GrantId, HealthOutcome,
    JournalTrouble, Kind, LaneId, Levels, Mode, Mono, Now, Outcome, Prompt, Reason, Record,
    Restored, Rule, Standing, StateChange, Verdict,
};

/// A presentation older than this is never decided on (READERS R6).
const PRESENTATION_AGE_MAX: Duration = Duration::from_secs(1);

/// Grants whose disk answer is still out, at most: far more than lanes can have open.
const WAITING_MAX: usize = 1_024;

/// One gate with its lanes. See the module for its shape.
#[derive(Clone, Debug)]
pub struct Gate {
    settings: Settings,
    boot: u32,
    grants: u32,
    memory: Memory,
    lanes: Vec<LaneState>,
    /// Grants that have not ended: what to undo if nobody walks.
    live: BTreeMap<GrantId, Undo>,
    /// Grants that were given up before the disk answered, with what takes them back on the disk.
    abandoned: BTreeMap<GrantId, Abandoned>,
    /// Grants released before the disk answered; should it do so after all, they are no gap.
    early: BTreeSet<GrantId>,
    fire: bool,
    fire_latched: bool,
    /// Grants released without a durable record, since the last gap record.
    unrecorded: u32,
}

#[derive(Clone, Debug)]
struct Abandoned {
    lane: LaneId,
    direction: Direction,
    changes: Vec<StateChange>,
}

#[derive(Clone, Debug)]
struct LaneState {
    lane: Lane,
    desk: Desk,
    mode: Mode,
    signs: Signs,
    held_open: bool,
}

/// A lane as pages see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// State of its machine.
    pub state: &'static str,
    /// Mode in force.
    pub mode: Mode,
    /// True while the aisle is not empty.
    pub occupied: bool,
    /// True while fire holds it open.
    pub fire: bool,
}

impl Gate {
    /// A gate after a start. `out` gets the record of the start, the end of grants whose outcome is not known, and the
    /// state every lane starts in.
    pub fn new(settings: Settings, restored: &Restored, now: Now, out: &mut Vec<Action>) -> Self {
        let lanes = settings.lanes.iter().map(|lane| LaneState {
            lane: Lane::new(lane),
            desk: Desk::Free,
            mode: lane.mode,
            signs: Signs::new(&lane.directions),
            held_open: false,
        });
        let memory = Memory {
            seen: SeenSet::restore(&restored.seen),
            passback: settings
                .passback
                .map(|remember| Passback::restore(remember, &restored.passed)),
        };
        let mut gate = Self {
            boot: restored.boot,
            grants: 0,
            memory,
            lanes: lanes.collect(),
            live: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            early: BTreeSet::new(),
            fire: false,
            fire_latched: restored.fire_latched,
            unrecorded: 0,
            settings,
        };
        let started = Kind::Started {
            software: gate.settings.software.clone(),
        };
        gate.record(now, None, started, Vec::new(), out);
        for (lane, direction, grant) in &restored.open_grants {
            let outcome = Outcome::UnknownAfterRestart;
            let kind = Kind::Outcome {
                direction: *direction,
                outcome,
                grant: Some(*grant),
            };
            let record = Record::new(gate.boot, now, lane.clone(), kind);
            out.push(Action::Record(Entry {
                grant: None,
                record,
                changes: Vec::new(),
            }));
        }
        for lane in gate.lane_ids() {
            out.push(Action::LockBarrier(lane));
            gate.apply_mode(now, lane, out);
        }
        gate
    }

    /// Takes one event. Pure: no clock, no I/O, no randomness.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Presented(assessed) => self.presented(now, assessed, out),
            Event::Answered { number, answer } => self.answered(now, number, &answer, out),
            Event::Durable(grant) => self.durable(now, grant, out),
            Event::NotDurable(grant, trouble) => self.not_durable(now, grant, trouble, out),
            Event::Sensed(lane, levels) => self.sensed(now, lane, levels, out),
            Event::Fire(fire) => self.fire(now, fire, out),
            Event::FireReset => self.fire_reset(now, out),
            Event::ModeSet(lane, mode) => self.mode_set(now, lane, mode, out),
            Event::ReaderPrompt(lane, direction, prompt) => {
                self.reader_prompt(now, lane, direction, prompt, out)
            }
            Event::TimedOut => {}
        }
        self.serve_timers(now, out);
    }

    /// When [`Gate::step`] is wanted at the latest, with [`Event::TimedOut`] if nothing else has happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.lanes
            .iter()
            .flat_map(|lane| {
                [
                    lane.lane.deadline(),
                    lane.desk.deadline(),
                    lane.signs.deadline(),
                ]
            })
            .flatten()
            .min()
    }

    /// A lane as pages see it; one that is not configured is locked.
    #[must_use]
    pub fn lane_view(&self, lane: LaneId) -> LaneView {
        self.lane(lane).map_or(
            LaneView {
                state: "locked",
                mode: Mode::Closed,
                occupied: false,
                fire: false,
            },
            |state| LaneView {
                state: state.lane.state_name(),
                mode: state.mode,
                occupied: state.lane.is_occupied(),
                fire: self.fire_latched,
            },
        )
    }

    fn presented(&mut self, now: Now, assessed: Assessed, out: &mut Vec<Action>) {
        let (id, direction) = (assessed.lane, assessed.direction);
        let Some(state) = self.lane(id) else { return };
        if state.held_open {
            // Everybody walks; nothing is decided and nothing is held against anybody.
            let prompt = if self.fire_latched {
                Prompt::EmergencyExit
            } else {
                Prompt::Go
            };
            self.show(now, id, direction, prompt, out);
            return;
        }
        let busy = !matches!(state.desk, Desk::Free) || !state.lane.is_free_for(direction);
        let served = self
            .settings
            .lanes
            .get(usize::from(id.0))
            .is_some_and(|lane| lane.directions.contains(&direction));
        let turned_away = if now.mono.since(assessed.read) > PRESENTATION_AGE_MAX {
            Some(Reason::TooLate)
        } else if busy {
            Some(Reason::LaneBusy)
        } else {
            None
        };
        if let Some(reason) = turned_away {
            // Not a decision about the person: they may show it again. It is counted and not recorded, so that a
            // flood at a reader cannot fill the journal.
            let ruling = Ruling {
                verdict: Verdict::Deny,
                reason,
            };
            self.show(now, id, direction, reason.prompt(), out);
            out.push(Action::Decided(desk::decided(&assessed, ruling, None, 0)));
        } else if !served || !serves(state.mode, direction) {
            let ruling = policy::refuse(direction, Rule::Hold, Reason::LaneClosed);
            self.refuse(now, &assessed, None, ruling, 0, out);
        } else {
            self.decide(now, assessed, None, 0, out);
        }
    }

    fn decide(
        &mut self,
        now: Now,
        assessed: Assessed,
        answer: Option<&Result<Standing, HealthOutcome>>,
        online_us: u64,
        out: &mut Vec<Action>,
    ) {
        match desk::decide(&self.settings, &mut self.memory, now, &assessed, answer) {
            Step::Ask => {
                let until = now.mono + self.settings.resolve.unwrap_or_default();
                out.push(Action::AskOnline {
                    number: assessed.number,
                    until,
                });
                self.show(now, assessed.lane, assessed.direction, Prompt::Wait, out);
                let lane = assessed.lane;
                let asking = Desk::Asking {
                    assessed: Box::new(assessed),
                    since: now.mono,
                    until,
                };
                self.set_desk(lane, asking);
            }
            Step::Refuse(ruling) => self.refuse(now, &assessed, answer, ruling, online_us, out),
            Step::Grant {
                ruling,
                undo,
                changes,
            } => {
                self.grants += 1;
                let grant = GrantId((u64::from(self.boot) << 32) | u64::from(self.grants));
                self.live.insert(grant, undo);
                let lane = self.name(assessed.lane);
                let sheet = Sheet {
                    boot: self.boot,
                    lane,
                    assessed: &assessed,
                    answer,
                    ruling,
                    grant: Some(grant),
                    changes,
                };
                out.push(sheet.record(now));
                let decided = desk::decided(&assessed, ruling, Some(grant), online_us);
                self.set_desk(
                    assessed.lane,
                    Desk::Recording {
                        decided,
                        grant,
                        until: now.mono + self.settings.stall,
                    },
                );
            }
        }
    }

    fn refuse(
        &mut self,
        now: Now,
        assessed: &Assessed,
        answer: Option<&Result<Standing, HealthOutcome>>,
        ruling: Ruling,
        online_us: u64,
        out: &mut Vec<Action>,
    ) {
        let id = assessed.lane;
        let lane = self.name(id);
        let sheet = Sheet {
            boot: self.boot,
            lane,
            assessed,
            answer,
            ruling,
            grant: None,
            changes: Vec::new(),
        };
        out.push(sheet.record(now));
        self.tell_refusal(now, desk::decided(assessed, ruling, None, online_us), out);
    }

    fn tell_refusal(&mut self, now: Now, decided: Decided, out: &mut Vec<Action>) {
        self.set_desk(decided.lane, Desk::Free);
        out.push(Action::Decided(decided));
        self.show(
            now,
            decided.lane,
            decided.direction,
            decided.reason.prompt(),
            out,
        );
        if decided.verdict == Verdict::Assist {
            self.call_staff(now, decided.lane, Alarm::Assist, out);
        }
    }

    fn answered(
        &mut self,
        now: Now,
        number: u64,
        answer: &Result<Standing, HealthOutcome>,
        out: &mut Vec<Action>,
    ) {
        let asked = self.lanes.iter_mut().find_map(|lane| match &lane.desk {
            Desk::Asking {
                assessed, since, ..
            } if assessed.number == number => {
                let since = *since;
                match std::mem::take(&mut lane.desk) {
                    Desk::Asking { assessed, .. } => Some((*assessed, since)),
                    Desk::Free | Desk::Recording { .. } => None,
                }
            }
            Desk::Asking { .. } | Desk::Free | Desk::Recording { .. } => None,
        });
        // An answer that nobody waits for any more is late: the deadline has answered.
        let Some((assessed, since)) = asked else {
            return;
        };
        let online_us = u64::try_from(now.mono.since(since).as_micros()).unwrap_or(u64::MAX);
        self.decide(now, assessed, Some(answer), online_us, out);
    }

    fn durable(&mut self, now: Now, grant: GrantId, out: &mut Vec<Action>) {
        if self.early.remove(&grant) {
            self.unrecorded = self.unrecorded.saturating_sub(1);
        }
        if let Some(abandoned) = self.abandoned.remove(&grant) {
            self.end_abandoned(now, grant, abandoned, out);
        } else if let Some(decided) = self.take_recording(grant) {
            self.release(now, decided, grant, out);
        }
        if self.unrecorded > 0 {
            let unrecorded = std::mem::take(&mut self.unrecorded);
            self.record(now, None, Kind::Gap { unrecorded }, Vec::new(), out);
            out.push(Action::Alarm(None, Alarm::Unrecorded, false));
        }
    }

    fn not_durable(
        &mut self,
        now: Now,
        grant: GrantId,
        trouble: JournalTrouble,
        out: &mut Vec<Action>,
    ) {
        self.abandoned.remove(&grant);
        self.early.remove(&grant);
        let Some(decided) = self.take_recording(grant) else {
            return;
        };
        let reason = match trouble {
            JournalTrouble::Full => Reason::JournalFull,
            JournalTrouble::Failed => Reason::JournalStalled,
        };
        self.without_record(now, decided, grant, self.settings.on_full, reason, out);
        // The disk has answered: nothing more comes of this grant.
        self.abandoned.remove(&grant);
        self.early.remove(&grant);
    }

    /// The site's rule for a grant that is not recorded, or not in time.
    fn without_record(
        &mut self,
        now: Now,
        decided: Decided,
        grant: GrantId,
        rule: OnTrouble,
        reason: Reason,
        out: &mut Vec<Action>,
    ) {
        match rule {
            OnTrouble::Open => {
                self.unrecorded = self.unrecorded.saturating_add(1);
                if self.early.len() < WAITING_MAX {
                    self.early.insert(grant);
                }
                out.push(Action::Alarm(None, Alarm::Unrecorded, true));
                self.release(now, decided, grant, out);
            }
            OnTrouble::Hold => {
                let undo = self.live.remove(&grant).unwrap_or_default();
                let changes = self.memory.undo(undo);
                if self.abandoned.len() < WAITING_MAX {
                    let Decided {
                        lane, direction, ..
                    } = decided;
                    self.abandoned.insert(
                        grant,
                        Abandoned {
                            lane,
                            direction,
                            changes,
                        },
                    );
                }
                let refused = Decided {
                    verdict: Verdict::Assist,
                    reason,
                    grant: None,
                    ..decided
                };
                self.tell_refusal(now, refused, out);
            }
        }
    }

    fn release(&mut self, now: Now, decided: Decided, grant: GrantId, out: &mut Vec<Action>) {
        self.set_desk(decided.lane, Desk::Free);
        out.push(Action::Decided(decided));
        let mut lane_out = Vec::new();
        let Some(state) = self.lane_mut(decided.lane) else {
            return;
        };
        if state.held_open {
            // Fire came between the decision and the disk: the way is open, the grant is not needed.
            self.end_grant(
                now,
                decided.lane,
                decided.direction,
                Outcome::NoEntryAfterGrant,
                grant,
                out,
            );
            return;
        }
        state
            .lane
            .grant(now.mono, grant, decided.direction, &mut lane_out);
        self.report(now, decided.lane, lane_out, out);
        self.hold_sign(decided.lane, decided.direction, Prompt::Go, out);
    }

    /// The disk has a grant that was given up: it ends here, so that each grant ends exactly once.
    fn end_abandoned(&self, now: Now, grant: GrantId, abandoned: Abandoned, out: &mut Vec<Action>) {
        let Abandoned {
            lane,
            direction,
            changes,
        } = abandoned;
        let outcome = Outcome::NoEntryAfterGrant;
        let kind = Kind::Outcome {
            direction,
            outcome,
            grant: Some(grant),
        };
        self.record(now, Some(self.name(lane)), kind, changes, out);
        out.push(Action::Ended(lane, direction, outcome, Some(grant)));
    }

    fn sensed(&mut self, now: Now, id: LaneId, levels: Levels, out: &mut Vec<Action>) {
        let mut lane_out = Vec::new();
        let Some(state) = self.lane_mut(id) else {
            return;
        };
        state.lane.sense(now.mono, levels, &mut lane_out);
        self.report(now, id, lane_out, out);
    }

    fn fire(&mut self, now: Now, fire: bool, out: &mut Vec<Action>) {
        self.fire = fire;
        if fire && !self.fire_latched {
            self.fire_latched = true;
            out.push(Action::Alarm(None, Alarm::Fire, true));
            for id in self.lane_ids() {
                self.apply_mode(now, id, out);
            }
            let kind = Kind::Alarm {
                alarm: Alarm::Fire,
                on: true,
            };
            self.record(now, None, kind, vec![StateChange::FireLatched(true)], out);
        }
    }

    fn fire_reset(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.fire || !self.fire_latched {
            return;
        }
        self.fire_latched = false;
        out.push(Action::Alarm(None, Alarm::Fire, false));
        for id in self.lane_ids() {
            self.apply_mode(now, id, out);
        }
        let kind = Kind::Alarm {
            alarm: Alarm::Fire,
            on: false,
        };
        self.record(now, None, kind, vec![StateChange::FireLatched(false)], out);
    }

    fn mode_set(&mut self, now: Now, id: LaneId, mode: Mode, out: &mut Vec<Action>) {
        let Some(state) = self.lane_mut(id) else {
            return;
        };
        if state.mode != mode {
            state.mode = mode;
            let lane = Some(self.name(id));
            self.record(now, lane, Kind::Mode { mode }, Vec::new(), out);
            self.apply_mode(now, id, out);
        }
    }

    fn reader_prompt(
        &mut self,
        now: Now,
        id: LaneId,
        direction: Direction,
        prompt: Prompt,
        out: &mut Vec<Action>,
    ) {
        // While somebody is served, their prompt stands.
        let idle = self.lane(id).is_some_and(|state| {
            matches!(state.desk, Desk::Free) && !state.signs.is_held(direction)
        });
        if idle {
            self.show(now, id, direction, prompt, out);
        }
    }

    /// Brings barrier and resting prompts of a lane in line with fire and mode.
    fn apply_mode(&mut self, now: Now, id: LaneId, out: &mut Vec<Action>) {
        let fire = self.fire_latched;
        let mut lane_out = Vec::new();
        let Some(state) = self.lane_mut(id) else {
            return;
        };
        let open = fire || matches!(state.mode, Mode::Free | Mode::Emergency);
        if open != state.held_open {
            state.held_open = open;
            state.lane.hold_open(now.mono, open, &mut lane_out);
        }
        let mode = state.mode;
        state.signs.rest(
            |direction| resting_prompt(fire, mode, direction),
            |direction, prompt| {
                out.push(Action::Show(id, direction, prompt));
            },
        );
        self.report(now, id, lane_out, out);
    }

    fn serve_timers(&mut self, now: Now, out: &mut Vec<Action>) {
        for id in self.lane_ids() {
            let mut lane_out = Vec::new();
            let Some(state) = self.lane_mut(id) else {
                continue;
            };
            state.lane.wake(now.mono, &mut lane_out);
            state.signs.wake(now.mono, id, out);
            let due = state.desk.deadline().is_some_and(|until| now.mono >= until);
            self.report(now, id, lane_out, out);
            if due {
                self.desk_timed_out(now, id, out);
            }
        }
    }

    fn desk_timed_out(&mut self, now: Now, id: LaneId, out: &mut Vec<Action>) {
        let Some(state) = self.lane_mut(id) else {
            return;
        };
        match std::mem::take(&mut state.desk) {
            Desk::Free => {}
            Desk::Asking {
                assessed, since, ..
            } => {
                let online_us =
                    u64::try_from(now.mono.since(since).as_micros()).unwrap_or(u64::MAX);
                self.decide(
                    now,
                    *assessed,
                    Some(&Err(HealthOutcome::TimedOut)),
                    online_us,
                    out,
                );
            }
            Desk::Recording { decided, grant, .. } => {
                self.without_record(
                    now,
                    decided,
                    grant,
                    self.settings.on_stall,
                    Reason::JournalStalled,
                    out,
                );
            }
        }
    }

    /// Turns what a lane reports into actions and records.
    fn report(&mut self, now: Now, id: LaneId, outputs: Vec<Output>, out: &mut Vec<Action>) {
        for output in outputs {
            match output {
                Output::Release(direction) => out.push(Action::ReleaseBarrier(id, direction)),
                Output::ReleaseBothWays => out.push(Action::ReleaseBothWays(id)),
                Output::Lock => out.push(Action::LockBarrier(id)),
                Output::Ended(outcome, direction, Some(grant)) => {
                    self.end_grant(now, id, direction, outcome, grant, out);
                }
                Output::Ended(outcome, direction, None) => {
                    let kind = Kind::Outcome {
                        direction,
                        outcome,
                        grant: None,
                    };
                    self.record(now, Some(self.name(id)), kind, Vec::new(), out);
                    out.push(Action::Ended(id, direction, outcome, None));
                }
                Output::Intruder(direction) => {
                    self.show(now, id, direction, Prompt::StepBack, out);
                    self.call_staff(now, id, Alarm::Intrusion, out);
                }
                Output::Obstructed(on) => out.push(Action::Alarm(Some(id), Alarm::Obstruction, on)),
                Output::Ready => {
                    if let Some(state) = self.lane_mut(id) {
                        state.signs.release(now.mono);
                    }
                }
            }
        }
    }

    fn end_grant(
        &mut self,
        now: Now,
        id: LaneId,
        direction: Direction,
        outcome: Outcome,
        grant: GrantId,
        out: &mut Vec<Action>,
    ) {
        let undo = self.live.remove(&grant).unwrap_or_default();
        let changes = if outcome == Outcome::NoEntryAfterGrant {
            self.memory.undo(undo)
        } else {
            Vec::new()
        };
        let kind = Kind::Outcome {
            direction,
            outcome,
            grant: Some(grant),
        };
        self.record(now, Some(self.name(id)), kind, changes, out);
        out.push(Action::Ended(id, direction, outcome, Some(grant)));
    }

    fn record(
        &self,
        now: Now,
        lane: Option<String>,
        kind: Kind,
        changes: Vec<StateChange>,
        out: &mut Vec<Action>,
    ) {
        let record = Record::new(self.boot, now, lane, kind);
        out.push(Action::Record(Entry {
            grant: None,
            record,
            changes,
        }));
    }

    fn show(
        &mut self,
        now: Now,
        id: LaneId,
        direction: Direction,
        prompt: Prompt,
        out: &mut Vec<Action>,
    ) {
        if let Some(state) = self.lane_mut(id) {
            state.signs.flash(now.mono, direction);
            out.push(Action::Show(id, direction, prompt));
        }
    }

    fn hold_sign(
        &mut self,
        id: LaneId,
        direction: Direction,
        prompt: Prompt,
        out: &mut Vec<Action>,
    ) {
        if let Some(state) = self.lane_mut(id) {
            state.signs.hold(direction, prompt);
            out.push(Action::Show(id, direction, prompt));
        }
    }

    fn call_staff(&mut self, now: Now, id: LaneId, alarm: Alarm, out: &mut Vec<Action>) {
        if let Some(state) = self.lane_mut(id) {
            state.signs.call(now.mono, id, alarm, out);
        }
    }

    fn take_recording(&mut self, grant: GrantId) -> Option<Decided> {
        self.lanes.iter_mut().find_map(|lane| match lane.desk {
            Desk::Recording {
                decided,
                grant: held,
                ..
            } if held == grant => {
                lane.desk = Desk::Free;
                Some(decided)
            }
            Desk::Recording { .. } | Desk::Asking { .. } | Desk::Free => None,
        })
    }

    fn set_desk(&mut self, id: LaneId, desk: Desk) {
        if let Some(state) = self.lane_mut(id) {
            state.desk = desk;
        }
    }

    fn name(&self, id: LaneId) -> String {
        self.settings
            .lanes
            .get(usize::from(id.0))
            .map_or_else(String::new, |lane| lane.name.clone())
    }

    fn lane(&self, id: LaneId) -> Option<&LaneState> {
        self.lanes.get(usize::from(id.0))
    }

    fn lane_mut(&mut self, id: LaneId) -> Option<&mut LaneState> {
        self.lanes.get_mut(usize::from(id.0))
    }

    fn lane_ids(&self) -> Vec<LaneId> {
        (0..).map(LaneId).take(self.lanes.len()).collect()
    }
}

/// True if a mode lets presentations in this direction be decided on.
const fn serves(mode: Mode, direction: Direction) -> bool {
    match (mode, direction) {
        (Mode::Normal | Mode::Free | Mode::Emergency, _)
        | (Mode::Closed | Mode::ExitOnly, Direction::Exit)
        | (Mode::EntryOnly, Direction::Entry) => true,
        (Mode::Maintenance, _)
        | (Mode::Closed | Mode::ExitOnly, Direction::Entry)
        | (Mode::EntryOnly, Direction::Exit) => false,
    }
}

/// What a side shows while nobody is served.
const fn resting_prompt(fire: bool, mode: Mode, direction: Direction) -> Prompt {
    match mode {
        _ if fire => Prompt::EmergencyExit,
        Mode::Emergency => Prompt::EmergencyExit,
        Mode::Free => Prompt::Go,
        Mode::Maintenance => Prompt::OutOfService,
        Mode::Normal | Mode::Closed | Mode::EntryOnly | Mode::ExitOnly
            if serves(mode, direction) =>
        {
            Prompt::Idle
        }
        Mode::Normal | Mode::Closed | Mode::EntryOnly | Mode::ExitOnly => Prompt::LaneClosed,
    }
}
