//! One lane: its aisle, its barrier, its desk and its signs, and what ties them together.

mod aisle;
mod beams;
mod below;
mod debounce;
mod doing;
mod duty;
mod feedback;
mod flap;
mod group;
mod judge;
mod machine;
#[cfg(any(test, feature = "lab"))]
pub(in crate::core) mod pairs;
mod relay;
mod rotor;
mod signs;
mod suspects;
#[cfg(test)]
mod table;
mod tripod;
mod watch;

use std::time::Duration;

use aisle::Aisle;
use doing::Works;
use duty::Duty;
use feedback::Feedback;
use group::{Group, Turns};
use machine::{Input, Machine};
use relay::Relay;
use signs::Signs;
use watch::Watch;

use super::desk::{self, Desk};
use super::settings::{Barrier, Below, Drive, LaneSettings};
use super::turn::Turn;
use crate::domain::{
    Action, Alarm, Assessed, ClaimId, Claimed, Direction, Finding, GrantId, HealthOutcome,
    JournalTrouble, LaneId, Levels, Mode, Mono, Prompt, Reason, Sensor, Standing,
};

const SIDES: [Direction; 2] = [Direction::Entry, Direction::Exit];

/// Nobody walks through more often than this; a contact that flickers does, and must not fill the journal.
const STRIDE: Duration = Duration::from_millis(250);

/// What the gate knew of a lane when the daemon ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    /// The fire latch was set.
    pub(super) fire: bool,
    /// Somebody with a grant may still be on the way, in this direction.
    pub(super) rider: Option<Direction>,
    /// The mode that is wanted of it now.
    pub(super) mode: Mode,
}

/// A lane.
#[derive(Debug)]
pub(super) struct Lane {
    id: LaneId,
    directions: Vec<Direction>,
    mode: Mode,
    fire: bool,
    machine: Machine,
    aisle: Aisle,
    desk: Desk,
    signs: Signs,
    watch: Watch,
    works: Works,
    /// What the limit switches of a leaf say; nothing where there are none.
    feedback: Option<Feedback>,
    duty: Duty,
    /// What the turns say of a tripod's relay.
    relay: Relay,
    /// How long a release powers the solenoid.
    pulse: Duration,
    group: Group,
    turns: Turns,
    below: Below,
    /// The way of the last grant.
    last_way: Direction,
    /// The daemon is about to end: nobody new is served.
    stopping: bool,
    /// When somebody last walked through uncontrolled.
    strode: Option<Mono>,
    /// What its machine has been through.
    #[cfg(feature = "lab")]
    pairs: pairs::Pairs,
}

impl Lane {
    /// A lane after a start. A tripod is locked at once. A flap stays as it was found until its aisle is seen clear:
    /// power may be back with somebody in it.
    pub(super) fn new(
        id: LaneId,
        settings: &LaneSettings,
        before: Before,
        turn: &mut Turn<'_>,
    ) -> Self {
        let has = |sensor| settings.sensors.contains(&sensor);
        let pulse = match settings.barrier {
            Barrier::Tripod { drive } => match drive {
                Drive::Pulse(pulse) => pulse,
                Drive::Hold => settings.release,
            },
            Barrier::Flap | Barrier::Swing | Barrier::FullHeight => Duration::ZERO,
        };
        let mut lane = Self {
            id,
            directions: settings.directions.clone(),
            mode: before.mode,
            fire: before.fire,
            machine: Machine::new(settings),
            aisle: Aisle::new(settings, turn.mono(), before.rider),
            desk: Desk::default(),
            signs: Signs::default(),
            watch: Watch::new(settings.obstruction),
            works: Works::default(),
            feedback: has(Sensor::Closed)
                .then(|| Feedback::new(settings.travel, has(Sensor::Opened))),
            duty: Duty::new(settings.duty_percent),
            relay: Relay::default(),
            pulse,
            group: Group::new(settings.group_max),
            turns: Turns::default(),
            below: settings.below,
            last_way: Direction::Entry,
            stopping: false,
            strode: None,
            #[cfg(feature = "lab")]
            pairs: pairs::Pairs::default(),
        };
        if lane.is_held_open() {
            lane.drive(Input::HoldOpen, turn);
        } else if lane.machine.may_lock_unseen() {
            turn.act(Action::LockBarrier(id));
        }
        lane.settle(turn);
        lane
    }

    /// Somebody shows something. Where everybody may walk there is nothing to decide.
    pub(super) fn presented(&mut self, assessed: Assessed, turn: &mut Turn<'_>) {
        if self.is_held_open() {
            return;
        }
        let (now, side) = (turn.mono(), assessed.direction);
        let barred = if self.is_out_of_service(side) {
            Some(Reason::OutOfService)
        } else if !self.is_free_for(side)
            || !self.turns.serves(now, side)
            || self.duty.must_rest(now, self.pulse)
        {
            Some(Reason::LaneBusy)
        } else if !self.serves(side) && !self.staff_may(&assessed) {
            Some(Reason::LaneClosed)
        } else {
            None
        };
        // The desk tells whoever comes while it decides on the other side to wait, too.
        let waits = self.side().expected == Some(side.opposite()) && self.serves(side);
        if waits && matches!(barred, None | Some(Reason::LaneBusy)) {
            self.turns.told_to_wait(side);
        }
        self.ask_desk(desk::Input::Presented { assessed, barred }, turn);
    }

    /// The backend answered what the desk asked.
    pub(super) fn answered(
        &mut self,
        answer: Result<Standing, HealthOutcome>,
        turn: &mut Turn<'_>,
    ) {
        self.ask_desk(desk::Input::Answered(answer), turn);
    }

    /// What came of the claim that the desk waits for.
    pub(super) fn claimed(&mut self, answer: Claimed, turn: &mut Turn<'_>) {
        self.ask_desk(desk::Input::Claimed(answer), turn);
    }

    /// The grant that the desk waits for is on the disk.
    pub(super) fn durable(&mut self, turn: &mut Turn<'_>) {
        self.ask_desk(desk::Input::Durable, turn);
    }

    /// The grant that the desk waits for will not be on the disk.
    pub(super) fn not_durable(&mut self, trouble: JournalTrouble, turn: &mut Turn<'_>) {
        self.ask_desk(desk::Input::NotDurable(trouble), turn);
    }

    /// The presentation that the backend is asked about.
    pub(super) fn asks_about(&self) -> Option<u64> {
        self.desk.asks_about()
    }

    /// The claim that the desk waits for.
    pub(super) fn claims(&self) -> Option<ClaimId> {
        self.desk.claims()
    }

    /// The grant that waits for the disk.
    pub(super) fn waits_for(&self) -> Option<GrantId> {
        self.desk.waits_for()
    }

    /// The sensors, repeated.
    pub(super) fn sensed(&mut self, levels: Levels, turn: &mut Turn<'_>) {
        let facts = self.aisle.sense(turn.mono(), levels, self.side());
        self.judge(&facts, turn);
    }

    /// Nothing is sensed until the next levels: a flap that was locked may stand open now, with somebody in it.
    pub(super) fn lose_sight(&mut self) {
        self.aisle.lose_sight();
        self.machine.lose_sight();
        if let Some(feedback) = &mut self.feedback {
            feedback.lose_sight();
        }
    }

    /// The daemon is about to end: nobody new is served, and what nobody has used is taken back.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        self.stopping = true;
        self.withdraw(Some(Reason::OutOfService), turn);
    }

    /// True if nobody is on the way, so that the daemon may end.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.machine.is_at_rest()
    }

    /// A reader wants to help a passenger: only while nobody is being served.
    pub(super) fn hint(&mut self, side: Direction, prompt: Prompt, turn: &mut Turn<'_>) {
        let idle = self.desk.serving().is_none() && self.machine.is_locked();
        let serves = self.serves(side) && !self.is_out_of_service(side);
        if idle && !self.is_held_open() && serves {
            let now = turn.mono();
            self.signs.hint(now, self.id, side, prompt, turn.out);
        }
    }

    /// Sets the mode. It counts at once, or when the fire is over.
    pub(super) fn set_mode(&mut self, mode: Mode, turn: &mut Turn<'_>) {
        if mode != self.mode {
            let was_open = self.is_held_open();
            self.mode = mode;
            self.reopen(was_open, turn);
        }
    }

    /// There is a fire, or it is over.
    pub(super) fn set_fire(&mut self, fire: bool, turn: &mut Turn<'_>) {
        let was_open = self.is_held_open();
        self.fire = fire;
        self.reopen(was_open, turn);
    }

    /// Deadlines may be here.
    pub(super) fn timed_out(&mut self, turn: &mut Turn<'_>) {
        let facts = self.aisle.timed_out(turn.mono(), self.side());
        self.judge(&facts, turn);
        // A level that is about to count may be the rider who comes at the last moment.
        if !self.aisle.is_settling() {
            self.drive(Input::TimedOut, turn);
        }
        self.ask_desk(desk::Input::TimedOut, turn);
        self.settle(turn);
    }

    /// What follows from where things stand: locking a clear aisle, alarms, signs. To be called at the end of a turn.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.next_of_group(false, turn);
        if self.aisle.is_clear() {
            self.drive(Input::Cleared, turn);
        }
        self.look_at_leaf(turn);
        if self.machine.is_locked() && self.desk.serving().is_none() {
            self.turns.is_free(turn.mono());
        }
        let occupant = self.aisle.occupant().filter(|_| !self.is_held_open());
        let clear = self.aisle.is_clear();
        self.watch.settle(self.id, occupant, clear, turn);
        for side in SIDES {
            if let Some(doing) = self.doing(side) {
                let now = turn.mono();
                self.signs.refresh(now, self.id, side, doing, turn.out);
            }
        }
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let leaf = self.feedback.as_ref().filter(|_| self.aisle.is_sensed());
        let leaf = leaf.and_then(Feedback::deadline);
        let machine = self
            .machine
            .deadline()
            .filter(|_| !self.aisle.is_settling());
        [
            machine,
            self.aisle.deadline(),
            self.desk.deadline(),
            self.signs.deadline(),
            self.watch.deadline(),
            self.works.deadline(),
            leaf,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What its machine has been through.
    #[cfg(feature = "lab")]
    pub(super) const fn pairs(&self) -> &pairs::Pairs {
        &self.pairs
    }

    pub(super) fn is_occupied(&self) -> bool {
        !self.aisle.is_clear()
    }

    /// The name of the state: of the desk while it decides, else of the barrier.
    pub(super) fn name(&self) -> &'static str {
        let deciding = self.desk.name().filter(|_| self.machine.is_locked());
        deciding.unwrap_or(self.machine.name())
    }

    /// Opens to everybody, or ends that, as mode and fire say now.
    fn reopen(&mut self, was_open: bool, turn: &mut Turn<'_>) {
        if self.is_held_open() {
            self.drive(Input::HoldOpen, turn);
            self.ask_desk(desk::Input::Cancelled(None), turn);
            self.watch.quieten(self.id, turn);
            for side in SIDES {
                self.signs.end_answer(side);
            }
            return;
        }
        if was_open {
            self.drive(Input::EndOpen, turn);
        }
        if self.desk.serving().is_some_and(|side| !self.serves(side)) {
            self.ask_desk(desk::Input::Cancelled(Some(Reason::LaneClosed)), turn);
        }
        if self.mode == Mode::Maintenance {
            self.drive(Input::Withdraw, turn);
        }
    }

    /// True if everybody may walk.
    pub(super) const fn is_held_open(&self) -> bool {
        self.fire || self.mode.is_open()
    }

    /// Does the lane decide on presentations of this side at all?
    fn serves(&self, side: Direction) -> bool {
        let by_mode = match self.mode {
            Mode::Normal | Mode::Free | Mode::Emergency => true,
            Mode::Closed | Mode::ExitOnly => side == Direction::Exit,
            Mode::EntryOnly => side == Direction::Entry,
            Mode::Maintenance => false,
        };
        by_mode && self.directions.contains(&side)
    }

    /// Staff let through whom the mode keeps out; but nothing moves at a lane that somebody works on.
    fn staff_may(&self, assessed: &Assessed) -> bool {
        let by_staff = matches!(assessed.finding, Finding::ByStaff);
        by_staff && self.mode != Mode::Maintenance && self.directions.contains(&assessed.direction)
    }

    /// One at a time: nobody else is being served, and nobody stands against the way. A beam that seems stuck is
    /// nobody who stands there.
    fn is_free_for(&self, side: Direction) -> bool {
        let rider = self.machine.pass().map(|pass| pass.direction);
        let rider = rider.or(self.group.way());
        if rider == Some(side) && self.group.has_room() {
            return true;
        }
        let way_is_free = match self.aisle.occupant() {
            None => true,
            // Whoever wants in has been refused already.
            Some(_) if self.watch.is_obstructed() => true,
            Some(way) => way == side,
        };
        // A leaf that a stuck beam keeps open serves whoever comes.
        let waits_in_vain = self.watch.is_obstructed() && self.machine.takes_next();
        (self.machine.is_locked() || waits_in_vain) && self.group.is_empty() && way_is_free
    }
}

/// Raises or ends an alarm of a lane.
fn alarm(lane: LaneId, alarm: Alarm, on: bool, turn: &mut Turn<'_>) {
    turn.act(Action::Alarm(Some(lane), alarm, on));
}
