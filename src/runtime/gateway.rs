//! The loop. It owns the gate as a plain local value; everything else talks to it over bounded channels.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::assess::{Assessment, Job};
use super::clock::WallClock;
use super::lines::LineEvents;
use super::notify::{self, Systemd};
use super::orders::Order;
use super::perform::Performer;
use crate::core::Gate;
use crate::domain::{Action, Event, HealthOutcome, Standing, Wanted};
use crate::drivers::gpio::GpioEvent;
use crate::drivers::{ReaderEvent, ReaderReport};
use crate::store::journal::Written;
use crate::sync::SyncEvent;
use crate::sync::claims::News;

/// How often gauges, the status page and the watchdog are served.
const TICK: Duration = Duration::from_millis(250);
/// After a stop, how long whoever is on the way is waited for: a barrier does not close on them because the daemon ends.
const LET_OUT: Duration = Duration::from_secs(4);
/// After that, how long the last records may take to reach the disk.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Answer of the backend to a question of the gate.
pub type Answer = (u64, Result<Standing, HealthOutcome>);

/// Everything the loop listens to.
pub struct Inlets {
    /// Readers.
    pub readers: mpsc::Receiver<ReaderEvent>,
    /// Presentations, read and looked up.
    pub assessments: mpsc::Receiver<Assessment>,
    /// Sensors, fire loop, relays.
    pub lines: LineEvents,
    /// Staff, and reloads.
    pub orders: mpsc::Receiver<Order>,
    /// Entries that are on the disk, or will not be.
    pub written: mpsc::Receiver<Written>,
    /// Lists, uplink.
    pub sync: mpsc::Receiver<SyncEvent>,
    /// Online answers.
    pub answers: mpsc::Receiver<Answer>,
    /// What came of claims.
    pub claimed: mpsc::Receiver<News>,
}

/// The loop's own state.
pub struct Gateway {
    pub(super) clock: WallClock,
    pub(super) gate: Gate,
    pub(super) perform: Performer,
    /// Actions of the turn at hand.
    pub(super) out: Vec<Action>,
    /// Events that performing an action gave rise to.
    follow_up: VecDeque<Event>,
    pub(super) presentations: u64,
}

/// What a turn of the loop is about.
enum Turn {
    Reader(ReaderEvent),
    Assessed(Box<Assessment>),
    Lines(usize, GpioEvent),
    Order(Order),
    Written(Written),
    Sync(SyncEvent),
    Answered(Answer),
    Claimed(News),
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
                Some((board, event)) = inlets.lines.next() => Turn::Lines(board, event),
                Some(order) = inlets.orders.recv() => Turn::Order(order),
                Some(written) = inlets.written.recv() => Turn::Written(written),
                Some(answer) = inlets.answers.recv() => Turn::Answered(answer),
                Some(news) = inlets.claimed.recv() => Turn::Claimed(news),
                Some(assessment) = inlets.assessments.recv() => Turn::Assessed(Box::new(assessment)),
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
            if matches!(turn, Turn::Tick) {
                self.perform.is_alive();
            }
            if watchdog && matches!(turn, Turn::Tick) {
                systemd.alive();
            }
            self.take(turn);
        }
        systemd.stopping();
        self.let_out(&mut inlets).await;
        drop(inlets);
        self.perform.shut_down(LAST_WORDS).await;
    }

    /// Serves nobody new, and waits a while for whoever is on the way.
    async fn let_out(&mut self, inlets: &mut Inlets) {
        self.step(Event::Stopping);
        let end = tokio::time::Instant::now() + LET_OUT;
        while !self.gate.is_at_rest() {
            let due = self.gate.deadline().map(|at| self.clock.mono().instant(at));
            let turn = tokio::select! {
                biased;
                Some((board, event)) = inlets.lines.next() => Turn::Lines(board, event),
                Some(written) = inlets.written.recv() => Turn::Written(written),
                () = sleep_until(due.map_or(end, |due| due.min(end))) => Turn::Due,
            };
            if tokio::time::Instant::now() >= end {
                tracing::warn!("somebody is still on the way: their barrier is left as it is");
                return;
            }
            self.take(turn);
        }
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Reader(event) => self.reader(event),
            Turn::Assessed(assessment) => {
                let Assessment { assessed, asking } = *assessment;
                self.perform
                    .remember_question(assessed.lane, assessed.number, asking);
                self.step(Event::Presented(assessed));
            }
            Turn::Lines(board, GpioEvent::Up(up)) => {
                for event in self.perform.board_up(board, up) {
                    self.step(event);
                }
            }
            Turn::Lines(_, event) => self.lines(event),
            Turn::Order(order) => self.order(order),
            Turn::Written(written) => {
                if let Some(event) = self.perform.written(&written) {
                    self.step(event);
                }
            }
            Turn::Sync(event) => {
                if let SyncEvent::Directed { directives } = &event {
                    self.step(Event::Directed(directives.clone()));
                }
                if let Some(date) = self.perform.synced(event) {
                    self.clock.raise_floor(date);
                }
            }
            Turn::Answered((number, answer)) => self.step(Event::Answered { number, answer }),
            Turn::Claimed(News {
                claim,
                claimed,
                late,
            }) => {
                self.perform.claimed(&claimed, late);
                if !late {
                    self.step(Event::Claimed(claim, claimed));
                }
            }
            Turn::Due => self.step(Event::TimedOut),
            Turn::Tick => {
                let now = self.clock.now();
                self.perform.tick(now, self.clock.jumps(), &self.gate);
            }
            Turn::Stop => {}
        }
    }

    pub(super) fn step(&mut self, event: Event) {
        let now = self.clock.now();
        self.gate.step(now, event, &mut self.out);
        self.perform_all();
    }

    /// Performs the actions of this turn, and the events they give rise to at once.
    pub(super) fn perform_all(&mut self) {
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
                self.perform.reader_read(&port.name, &presentation);
                self.presentations += 1;
                let job = Job {
                    number: self.presentations,
                    now: self.clock.now(),
                    floor: self.clock.floor(),
                    certificates: self.gate.certificate_rules(),
                    presentation,
                };
                self.perform.assess(job);
            }
            ReaderReport::Prompt(prompt) => {
                self.step(Event::ReaderPrompt(port.lane, port.direction, prompt))
            }
            other @ (ReaderReport::Up(_)
            | ReaderReport::Port(_)
            | ReaderReport::Identified(_)
            | ReaderReport::Provisioned(_)
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
            GpioEvent::Sensed(lane, levels) => {
                self.perform.sensed(lane, levels);
                self.step(Event::Sensed(lane, levels));
            }
            GpioEvent::Fire(fire) => self.step(Event::Fire(fire)),
            GpioEvent::Key(lane, mode) => {
                self.step(Event::ModeSet(lane, Wanted::by_key(mode)));
            }
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
