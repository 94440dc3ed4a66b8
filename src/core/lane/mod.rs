//! One lane: its aisle, its barrier, its desk and its signs, and what ties them together.

mod aisle;
mod beams;
mod debounce;
mod doing;
mod flap;
mod machine;
mod rotor;
mod signs;
mod tripod;
mod watch;

use std::time::Duration;

use aisle::{Aisle, Fact, Side};
use doing::Works;
use machine::{Effect, Input, Machine};
use signs::Signs;
use watch::Watch;

use super::desk::{self, Desk, Pass, Said};
use super::settings::LaneSettings;
use super::turn::Turn;
use crate::domain::{
    Action, Alarm, Assessed, Direction, Finding, GrantId, HealthOutcome, JournalTrouble, LaneId,
    Levels, Mode, Mono, Outcome, Prompt, Reason, Standing,
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
    /// When somebody last walked through uncontrolled.
    strode: Option<Mono>,
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
            strode: None,
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
        let side = assessed.direction;
        let barred = if self.is_out_of_service(side) {
            Some(Reason::OutOfService)
        } else if !self.is_free_for(side) {
            Some(Reason::LaneBusy)
        } else if !self.serves(side) && !self.staff_may(&assessed) {
            Some(Reason::LaneClosed)
        } else {
            None
        };
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

    /// The grant that waits for the disk.
    pub(super) fn waits_for(&self) -> Option<GrantId> {
        self.desk.waits_for()
    }

    /// The sensors, repeated.
    pub(super) fn sensed(&mut self, levels: Levels, turn: &mut Turn<'_>) {
        let facts = self.aisle.sense(turn.mono(), levels, self.side());
        self.judge(facts, turn);
    }

    /// Nothing is sensed until the next levels: a flap that was locked may stand open now, with somebody in it.
    pub(super) fn lose_sight(&mut self) {
        self.aisle.lose_sight();
        self.machine.lose_sight();
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
        self.judge(facts, turn);
        // A level that is about to count may be the rider who comes at the last moment.
        if !self.aisle.is_settling() {
            self.drive(Input::TimedOut, turn);
        }
        self.ask_desk(desk::Input::TimedOut, turn);
        self.settle(turn);
    }

    /// What follows from where things stand: locking a clear aisle, alarms, signs. To be called at the end of a turn.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        if self.aisle.is_clear() {
            self.drive(Input::Cleared, turn);
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
        ]
        .into_iter()
        .flatten()
        .min()
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
        let way_is_free = match self.aisle.occupant() {
            None => true,
            // Whoever wants in has been refused already.
            Some(_) if self.watch.is_obstructed() => true,
            Some(way) => way == side,
        };
        self.machine.is_locked() && way_is_free
    }

    fn side(&self) -> Side {
        let expected = self.machine.pass().map(|pass| pass.direction);
        Side {
            expected: expected.or(self.desk.serving()),
            passable: !self.machine.is_locked(),
        }
    }

    fn ask_desk(&mut self, input: desk::Input, turn: &mut Turn<'_>) {
        match self.desk.step(input, turn) {
            Said::Nothing => {}
            Said::Working(side) => self.signs.end_answer(side),
            Said::Refused(side, prompt, assist) => {
                let now = turn.mono();
                self.signs.answer(now, self.id, side, prompt, turn.out);
                if assist {
                    self.watch.call_staff(self.id, turn);
                }
            }
            Said::Release(pass) => self.release(pass, turn),
        }
    }

    fn release(&mut self, pass: Pass, turn: &mut Turn<'_>) {
        // A sensor that seems stuck says nothing of this rider: he has the time that everybody has.
        let inside = self.aisle.occupant() == Some(pass.direction) && !self.watch.is_obstructed();
        self.drive(Input::Granted(pass, inside), turn);
        // Whoever stepped in too early has been granted the way now.
        self.watch.quieten(self.id, turn);
        self.signs.end_answer(pass.direction);
    }

    fn judge(&mut self, facts: Vec<Fact>, turn: &mut Turn<'_>) {
        for fact in facts {
            match fact {
                // He walks on while his own code is being decided on: no intrusion yet, the barrier is locked.
                Fact::Entered(way)
                    if self.desk.serving() == Some(way) && self.machine.is_locked() => {}
                Fact::Entered(way) => self.drive(Input::Entered(way), turn),
                Fact::Crossed(way) => self.drive(Input::Crossed(way), turn),
                Fact::Followed(way) => self.drive(Input::Followed(way), turn),
                Fact::Left(way) => self.drive(Input::Left(way), turn),
            }
        }
    }

    fn drive(&mut self, input: Input, turn: &mut Turn<'_>) {
        let mut effects = Vec::new();
        self.machine.step(turn.mono(), input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Release(side) => turn.act(Action::ReleaseBarrier(self.id, side)),
                Effect::ReleaseBoth => turn.act(Action::ReleaseBothWays(self.id)),
                Effect::Lock => turn.act(Action::LockBarrier(self.id)),
                Effect::Outcome(way, outcome, grant) => {
                    if grant.is_some() || self.strides(turn.mono()) {
                        turn.outcome(self.id, way, outcome, grant);
                    }
                }
                Effect::Stray(way, outcome) => {
                    if self.watch.stray(self.id, way, turn) || outcome != Outcome::Intrusion {
                        turn.outcome(self.id, way, outcome, None);
                    }
                    // Whoever was just refused and stands too close reads the reason first.
                    if outcome != Outcome::Intrusion {
                        self.signs.end_answer(way);
                    }
                }
            }
        }
    }

    /// False for a "person" who comes sooner than people walk.
    fn strides(&mut self, now: Mono) -> bool {
        let too_soon = self
            .strode
            .is_some_and(|last| last <= now && now.since(last) < STRIDE);
        if !too_soon {
            self.strode = Some(now);
        }
        !too_soon
    }
}

/// Raises or ends an alarm of a lane.
fn alarm(lane: LaneId, alarm: Alarm, on: bool, turn: &mut Turn<'_>) {
    turn.act(Action::Alarm(Some(lane), alarm, on));
}
