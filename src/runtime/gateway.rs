//! The loop. It owns the gate as a plain local value; everything else talks to it over bounded channels.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::assess::{Assessment, Job};
use super::clock::WallClock;
use super::notify::{self, Systemd};
use super::perform::Performer;
use crate::core::Gate;
use crate::domain::{Action, Event, HealthOutcome, LaneId, Mode, Standing};
use crate::drivers::gpio::GpioEvent;
use crate::drivers::{ReaderEvent, ReaderReport};
use crate::store::journal::Written;
use crate::sync::SyncEvent;

/// How often gauges, the status page and the watchdog are served.
const TICK: Duration = Duration::from_millis(250);
/// After a stop, how long the last records may take to reach the disk.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Answer of the backend to a question of the gate.
pub type Answer = (u64, Result<Standing, HealthOutcome>);

/// What staff ask of a gate. Whoever sends it has made sure that they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The fire is over. It counts only while the fire loop says so too.
    ResetFire,
    /// A lane gets another mode.
    SetMode(LaneId, Mode),
}

/// Everything the loop listens to.
pub struct Inlets {
    /// Readers.
    pub readers: mpsc::Receiver<ReaderEvent>,
    /// Presentations, read and looked up.
    pub assessments: mpsc::Receiver<Assessment>,
    /// Sensors, fire loop, relays.
    pub lines: mpsc::Receiver<GpioEvent>,
    /// Staff.
    pub orders: mpsc::Receiver<Order>,
    /// Entries that are on the disk, or will not be.
    pub written: mpsc::Receiver<Written>,
    /// Lists, uplink.
    pub sync: mpsc::Receiver<SyncEvent>,
    /// Online answers.
    pub answers: mpsc::Receiver<Answer>,
}

/// The loop's own state.
pub struct Gateway {
    clock: WallClock,
    gate: Gate,
    perform: Performer,
    /// Actions of the turn at hand.
    out: Vec<Action>,
    /// Events that performing an action gave rise to.
    follow_up: VecDeque<Event>,
    presentations: u64,
}

/// What a turn of the loop is about.
enum Turn {
    Reader(ReaderEvent),
    Assessed(Assessment),
    Lines(GpioEvent),
    Order(Order),
    Written(Written),
    Sync(SyncEvent),
    Answered(Answer),
    Due,
    Tick,
    Stop,
}

impl Gateway {
    /// A gateway around `gate`, whose first actions are in `out`.
    #[must_use]
    pub fn new(clock: WallClock, gate: Gate, perform: Performer, out: Vec<Action>) -> Self {
        Self {
            clock,
            gate,
            perform,
            out,
            follow_up: VecDeque::new(),
            presentations: 0,
        }
    }

    /// Turns until `stop` is true or its sender is gone. Returns once the last record is on the disk and every line is
    /// in its safe state.
    pub async fn run(mut self, mut inlets: Inlets, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let systemd = Systemd::listen();
        let watchdog = notify::watchdog().is_some();
        self.perform_all();
        systemd.ready();
        loop {
            let due = self.gate.deadline().map(|at| self.clock.mono().instant(at));
            // Fire and sensors first, then what people wait for, housekeeping last.
            let turn = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Turn::Stop,
                Some(event) = inlets.lines.recv() => Turn::Lines(event),
                Some(order) = inlets.orders.recv() => Turn::Order(order),
                Some(written) = inlets.written.recv() => Turn::Written(written),
                Some(answer) = inlets.answers.recv() => Turn::Answered(answer),
                Some(assessment) = inlets.assessments.recv() => Turn::Assessed(assessment),
                () = async { match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                } } => Turn::Due,
                _ = tick.tick() => Turn::Tick,
                Some(event) = inlets.readers.recv() => Turn::Reader(event),
                Some(event) = inlets.sync.recv() => Turn::Sync(event),
            };
            if matches!(turn, Turn::Stop) {
                break;
            }
            if watchdog && matches!(turn, Turn::Tick) {
                systemd.alive();
            }
            self.take(turn);
        }
        systemd.stopping();
        drop(inlets);
        self.perform.shut_down(LAST_WORDS).await;
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Reader(event) => self.reader(event),
            Turn::Assessed(assessment) => {
                let Assessment { assessed, asking } = assessment;
                self.perform
                    .remember_question(assessed.lane, assessed.number, asking);
                self.step(Event::Presented(assessed));
            }
            Turn::Lines(event) => self.lines(event),
            Turn::Order(Order::ResetFire) => self.step(Event::FireReset),
            Turn::Order(Order::SetMode(lane, mode)) => self.step(Event::ModeSet(lane, mode)),
            Turn::Written(written) => {
                if let Some(event) = self.perform.written(&written) {
                    self.step(event);
                }
            }
            Turn::Sync(event) => {
                if let Some(date) = self.perform.synced(event) {
                    self.clock.raise_floor(date);
                }
            }
            Turn::Answered((number, answer)) => self.step(Event::Answered { number, answer }),
            Turn::Due => self.step(Event::TimedOut),
            Turn::Tick => {
                let now = self.clock.now();
                self.perform.tick(now, self.clock.jumps(), &self.gate);
            }
            Turn::Stop => {}
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.clock.now();
        self.gate.step(now, event, &mut self.out);
        self.perform_all();
    }

    /// Performs the actions of this turn, and the events they give rise to at once.
    fn perform_all(&mut self) {
        loop {
            let now = self.clock.now();
            for action in self.out.drain(..) {
                self.perform.perform(now, action, &mut self.follow_up);
            }
            let Some(event) = self.follow_up.pop_front() else {
                return;
            };
            self.gate.step(self.clock.now(), event, &mut self.out);
        }
    }

    fn reader(&mut self, event: ReaderEvent) {
        let ReaderEvent { port, report } = event;
        match report {
            ReaderReport::Presented(presentation) => {
                self.presentations += 1;
                let job = Job {
                    number: self.presentations,
                    now: self.clock.now(),
                    presentation,
                };
                self.perform.assess(job);
            }
            ReaderReport::Prompt(prompt) => {
                self.step(Event::ReaderPrompt(port.lane, port.direction, prompt))
            }
            other @ (ReaderReport::Up(_)
            | ReaderReport::Blind(_)
            | ReaderReport::Frame { .. }
            | ReaderReport::Faults(_)
            | ReaderReport::TooFast(_)
            | ReaderReport::Tamper(_)
            | ReaderReport::PowerFailure(_)
            | ReaderReport::NotAuthentic) => {
                self.presentations += 1;
                let now = self.clock.now().mono;
                if let Some(event) =
                    self.perform
                        .reader_report(now, self.presentations, &port, &other)
                {
                    self.step(event);
                }
            }
        }
    }

    fn lines(&mut self, event: GpioEvent) {
        match event {
            GpioEvent::Sensed(lane, levels) => self.step(Event::Sensed(lane, levels)),
            GpioEvent::Fire(fire) => self.step(Event::Fire(fire)),
            other @ (GpioEvent::Up(_)
            | GpioEvent::Performed { .. }
            | GpioEvent::ReadBackMismatch { .. }
            | GpioEvent::BarrierObeys { .. }) => {
                for event in self.perform.line_report(&other) {
                    self.step(event);
                }
            }
        }
    }
}
