//! Performs the actions of the gate, in order, and keeps what counters and pages need. Nothing here waits: every
//! queue is bounded, and what does not fit is answered as a failure at once.

mod claims;
mod orders;
mod reports;
mod walks;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::assess::Job;
use super::board::Board;
use super::lights::{look, signal};
use super::lines::Lines;
use super::observe::Observation;
use super::online::{Asking, Online};
use super::orders::Said;
use super::service::{Barriers, Readers};
use crate::config::{Config, tree};
use crate::core::Gate;
use crate::domain::{
    Action, Alarm, Decided, Direction, Entry, Event, GrantId, HealthOutcome, JournalTrouble,
    LaneId, Medium, Mono, Now, Outcome, Prompt, Reason, Utc, Verdict,
};
use crate::drivers::camera::Presence;
use crate::drivers::gpio::Command;
use crate::drivers::serial::Looks;
use crate::store::journal::{Writer, Written};
use crate::sync::SyncEvent;
use crate::sync::claims::Order;
use crate::telemetry::metrics::seconds;
use crate::telemetry::status::DeviceState;
use walks::Walks;

/// Everything that actions go out to.
pub struct Outlets {
    /// Relays and lights.
    pub lines: Lines,
    /// The boards, in the order of their numbers: name and lanes.
    pub boards: Vec<(String, Vec<LaneId>)>,
    /// What the readers that have lights show.
    pub looks: watch::Sender<Looks>,
    /// The journal's writer.
    pub writer: Writer,
    /// One a lane.
    pub assessors: Vec<SyncSender<Job>>,
    /// Whom to ask about unknown credentials.
    pub online: Option<Online>,
    /// Where claims go.
    pub claims: Option<mpsc::Sender<Order>>,
    /// Tells the uplink that there is something to send.
    pub uplink: Arc<tokio::sync::Notify>,
    /// Who watches, in the demo and in tests.
    pub observer: Option<mpsc::Sender<Observation>>,
    /// Ends every task that listens to it.
    pub stop_tasks: watch::Sender<bool>,
}

/// The performing half of the loop.
pub struct Performer {
    outlets: Outlets,
    board: Board,
    readers: Readers,
    barriers: Barriers,
    questions: BTreeMap<LaneId, (u64, Asking)>,
    granted: BTreeMap<LaneId, Granted>,
    walks: Walks,
    /// Staff who let somebody through and wait for what comes of it, by the number of the presentation.
    awaited: BTreeMap<u64, oneshot::Sender<Said>>,
    /// Where the cameras of each lane learn whether somebody stands there; none for a lane without beams.
    presences: Vec<Option<Presence>>,
}

/// A grant on its way to the relay.
struct Granted {
    number: u64,
    medium: Medium,
    seen: Mono,
    read: Mono,
    /// For the backend.
    waited_us: u64,
    /// When the release was wanted: the grant is durable, or may go before.
    wanted: Option<Mono>,
}

impl Performer {
    /// A performer that reports on `board`; `readers` and `barriers` as configured.
    #[must_use]
    pub fn new(outlets: Outlets, board: Board, readers: Readers, barriers: Barriers) -> Self {
        Self {
            outlets,
            board,
            readers,
            barriers,
            questions: BTreeMap::new(),
            granted: BTreeMap::new(),
            walks: Walks::default(),
            awaited: BTreeMap::new(),
            presences: Vec::new(),
        }
    }

    /// Cameras are told from now on what the beams of their lane say. A tripod has none: its cameras are told nothing.
    pub fn tell_presence(&mut self, config: &Config, presences: Vec<Presence>) {
        let lanes = config.lanes.iter().zip(presences);
        let of = |(lane, presence): (&tree::Lane, _)| {
            (lane.barrier != tree::Barrier::Tripod).then_some(presence)
        };
        self.presences = lanes.map(of).collect();
    }

    /// Performs one action; what follows from it at once goes to `follow_up`.
    pub fn perform(&mut self, now: Now, action: Action, follow_up: &mut VecDeque<Event>) {
        match action {
            Action::ReleaseBarrier(lane, direction) => {
                if let Some(granted) = self.granted.get_mut(&lane) {
                    granted.wanted = Some(now.mono);
                }
                self.lines(Command::Release(lane, direction));
                self.answer_staff(lane);
            }
            Action::ReleaseBothWays(lane) => self.lines(Command::ReleaseBoth(lane)),
            Action::LockBarrier(lane) => self.lines(Command::Lock(lane)),
            Action::Show(lane, direction, prompt) => self.show(lane, direction, prompt),
            Action::AskOnline { number, until } => {
                let asking = self.questions.values().find(|(of, _)| *of == number);
                if let (Some(online), Some((_, asking))) = (&self.outlets.online, asking) {
                    online.ask(number, asking.clone(), until.since(now.mono));
                } else {
                    // Nobody to ask, or the answer is known: the deadline need not be waited for.
                    let answer = Err(HealthOutcome::Unknown);
                    follow_up.push_back(Event::Answered { number, answer });
                }
            }
            Action::Claim { claim, until } => {
                follow_up.extend(self.claim(claim, until.since(now.mono)));
            }
            Action::Unclaim(claim) => self.take_back(claim),
            Action::Record(entry) => self.record(entry, follow_up),
            Action::Decided(decided) => self.decided(now, &decided),
            Action::Ended(lane, direction, outcome, grant) => {
                self.ended(lane, direction, outcome, grant)
            }
            Action::SensorSticks(lane, sensor, on) => self.sensor_sticks(lane, sensor, on),
            Action::Alarm(lane, alarm, on) => self.alarm(lane, alarm, on),
        }
    }

    /// The loop turns: the line driver may go on believing what it was told.
    pub fn is_alive(&mut self) {
        self.lines(Command::Alive);
    }

    fn lines(&mut self, command: Command) {
        let Err(number) = self.outlets.lines.command(command) else {
            return;
        };
        let boards = self.outlets.boards.get(number);
        let name = boards.map_or("lines", |(name, _)| name);
        if self.board.device(name, DeviceState::Down) {
            tracing::error!(
                name,
                "the line driver does not take commands; the lines stay as they are"
            );
        }
    }

    fn show(&mut self, lane: LaneId, direction: Direction, prompt: Prompt) {
        self.lines(Command::Signal(lane, direction, signal(prompt)));
        self.outlets.looks.send_modify(|looks| {
            looks.insert((lane, direction), look(prompt));
        });
        self.board.shown(lane, direction, prompt);
        self.observe(Observation::Shown(lane, direction, prompt));
    }

    /// Hands an entry to the writer, which keeps what it cannot write at once. Where even its queue is full, somebody who
    /// waits is refused, and another record is counted as given up.
    fn record(&mut self, entry: Entry, follow_up: &mut VecDeque<Event>) {
        let Err(entry) = self.outlets.writer.submit(entry) else {
            return;
        };
        match entry.grant {
            Some(grant) => follow_up.push_back(Event::NotDurable(grant, JournalTrouble::Failed)),
            None => {
                self.board.metrics.journal_dropped.inc();
                tracing::error!("a record is given up: the disk refuses and the queue is full");
            }
        }
    }

    /// What the writer says about an entry: an event if somebody waits for it.
    pub fn written(&mut self, written: &Written) -> Option<Event> {
        self.board
            .metrics
            .stages
            .journal_append
            .observe(seconds(Duration::from_micros(written.took_us)));
        if written.result.is_ok() {
            self.outlets.uplink.notify_one();
        }
        let grant = written.grant?;
        Some(match written.result {
            Ok(()) => Event::Durable(grant),
            Err(trouble) => Event::NotDurable(grant, trouble),
        })
    }

    fn decided(&mut self, now: Now, decided: &Decided) {
        let lane = self.board.lane_name(decided.lane);
        let result = if decided.verdict == Verdict::Grant {
            "granted"
        } else {
            decided.reason.as_str()
        };
        let medium = decided.medium.as_str();
        self.board
            .metrics
            .presentations
            .with_label_values(&[lane.as_str(), medium, result])
            .inc();
        let waited = Duration::from_micros(decided.online_us);
        let claiming = Duration::from_micros(decided.claim_us);
        let deciding = now.mono.since(decided.read);
        let deciding = deciding.saturating_sub(waited.saturating_add(claiming));
        let decide = &self.board.metrics.stages.decide;
        decide
            .with_label_values(&[lane.as_str(), medium])
            .observe(seconds(deciding));
        if decided.online_us > 0 {
            self.board
                .metrics
                .stages
                .online_wait
                .observe(seconds(waited));
        }
        if decided.claim_us > 0 {
            let claim_wait = &self.board.metrics.stages.claim_wait;
            claim_wait.observe(seconds(Duration::from_micros(decided.claim_us)));
        }
        self.walks.decided(&lane, decided);
        if decided.grant.is_some() {
            let &Decided {
                number,
                medium,
                seen,
                read,
                online_us,
                claim_us,
                ..
            } = decided;
            self.granted.insert(
                decided.lane,
                Granted {
                    number,
                    medium,
                    seen,
                    read,
                    waited_us: online_us.saturating_add(claim_us),
                    wanted: None,
                },
            );
        }
        // A grant that could not be recorded is refused after all: no relay will be commanded for it.
        let taken_back =
            |granted: &Granted| granted.number == decided.number && decided.grant.is_none();
        if self.granted.get(&decided.lane).is_some_and(taken_back) {
            self.granted.remove(&decided.lane);
        }
        if decided.reason != Reason::LaneBusy {
            self.questions.remove(&decided.lane);
        }
        self.refuse_staff(decided);
        self.board.decided(now, decided);
        self.observe(Observation::Decided(*decided));
    }

    fn ended(
        &mut self,
        lane: LaneId,
        direction: Direction,
        outcome: Outcome,
        grant: Option<GrantId>,
    ) {
        let name = self.board.lane_name(lane);
        self.board
            .metrics
            .passages
            .with_label_values(&[name.as_str(), outcome.as_str()])
            .inc();
        self.walks.ended(&name, direction, outcome, grant);
        if grant.is_some() {
            self.granted.remove(&lane);
        }
        self.board.ended(outcome);
        self.observe(Observation::Ended(lane, direction, outcome, grant));
    }

    fn alarm(&mut self, lane: Option<LaneId>, alarm: Alarm, on: bool) {
        if let Some(lane) = lane {
            self.lines(Command::Alarm(lane, on));
        }
        let (name, is_change) = self.board.alarm(lane, alarm, on);
        if !is_change {
            return;
        }
        if on {
            tracing::warn!(lane = name, ?alarm, "staff are called");
        } else {
            tracing::info!(lane = name, ?alarm, "the call to staff has ended");
        }
    }

    /// Keeps the question that goes with a presentation, should the gate want to ask.
    pub fn remember_question(&mut self, lane: LaneId, number: u64, asking: Option<Asking>) {
        if let Some(asking) = asking {
            self.questions.insert(lane, (number, asking));
        }
    }

    /// Hands a presentation to its lane's thread. A reader that floods it loses presentations, and they are counted.
    pub fn assess(&mut self, job: Job) {
        let lane = job.presentation.lane;
        let Some(assessor) = self.outlets.assessors.get(usize::from(lane.0)) else {
            return;
        };
        if assessor.try_send(job).is_err() {
            self.drop_presentations(lane, 1);
        }
    }

    /// Counts presentations that nobody looks at.
    pub(super) fn drop_presentations(&self, lane: LaneId, count: u32) {
        let name = self.board.lane_name(lane);
        self.board
            .metrics
            .presentations
            .with_label_values(&[name.as_str(), "any", "dropped"])
            .inc_by(count.into());
    }

    /// The relay of a lane was commanded at `at`.
    fn released(&mut self, lane: LaneId, at: Mono) {
        let Some(granted) = self.granted.remove(&lane) else {
            return;
        };
        let own_share = at
            .since(granted.read)
            .saturating_sub(Duration::from_micros(granted.waited_us));
        let end_to_end = at.since(granted.seen);
        let name = self.board.lane_name(lane);
        if let Some(wanted) = granted.wanted {
            let relay = &self.board.metrics.stages.relay;
            let relay = relay.with_label_values(&[name.as_str()]);
            relay.observe(seconds(at.since(wanted)));
        }
        self.board.released(own_share);
        self.board
            .metrics
            .stages
            .own_share
            .with_label_values(&[name.as_str()])
            .observe(seconds(own_share));
        self.board
            .metrics
            .stages
            .end_to_end
            .with_label_values(&[name.as_str(), granted.medium.as_str()])
            .observe(seconds(end_to_end));
        self.observe(Observation::Released {
            number: granted.number,
            lane,
            own_share,
            end_to_end,
        });
    }

    /// What sync says; a date if something signed says that it is at least that late.
    pub fn synced(&mut self, event: SyncEvent) -> Option<Utc> {
        self.board.synced(event)
    }

    /// Gauges, pages, and entries that wait. `jumps`: how often the date has jumped.
    pub fn tick(&mut self, now: Now, jumps: u64, gate: &Gate) {
        self.board.clock_jumps(jumps);
        let writer = self.outlets.writer.status();
        self.board.writer(&writer);
        self.board.tick(now, gate);
    }

    fn observe(&self, observation: Observation) {
        if let Some(observer) = &self.outlets.observer {
            // A watcher that does not keep up misses something; the gate does not wait for it.
            let _ = observer.try_send(observation);
        }
    }

    /// Lines into their safe state, the last records on the disk, every task told to end.
    pub async fn shut_down(self, within: Duration) {
        let Outlets {
            lines,
            writer,
            stop_tasks,
            ..
        } = self.outlets;
        // Whoever is gone already has ended.
        let _ = stop_tasks.send(true);
        let closing = tokio::task::spawn_blocking(move || {
            let safe = lines.end();
            (safe, writer.close())
        });
        match tokio::time::timeout(within, closing).await {
            Ok(Ok((true, status))) if status.kept == 0 => {}
            Ok(Ok((safe, status))) => {
                tracing::error!(
                    safe,
                    records = status.kept,
                    "not everything was put in order"
                );
            }
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the disk did not take the last records in time")
            }
        }
    }
}
