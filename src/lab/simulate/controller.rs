//! The controller while it has power: the real gate, the real writer's steps on the real journal, the real look-up and
//! the real followers. What a power cut takes away lives here; what it leaves lies in [`Lasting`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use super::centre::Centre;
use super::disk::Disk;
use super::{SimulationError, trust};
use crate::codes::{Pepper, Reader};
use crate::core::{Gate, Settings};
use crate::domain::{
    Action, Assessed, Direction, Entry, GateId, HealthOutcome, JournalTrouble, ListId, Mode, Mono,
    Now, Presentation, Standing, Utc,
};
use crate::runtime::assess::{Assessor, Job};
use crate::store::codes::{Codes as _, MemoryCodes};
use crate::store::journal::scribe::{GROUP_MAX, Queued, Scribe};
use crate::store::journal::{Journal, Limits, QUEUE_MAX, Written};
use crate::sync::lists::{Follower, floor_name};
use crate::sync::online::{Online, Question};
use crate::sync::passages::{Next, Uplink};
use crate::sync::{Followed, Parts, PinnedKeys, Report, SyncEvent};

/// From which age the list is stale.
const STALE_AFTER: Duration = Duration::from_secs(86_400);
/// How often a newer manifest is looked for.
const POLL: Duration = Duration::from_secs(2);

/// What outlives a power cut.
pub(super) struct Lasting {
    /// The gate's name.
    pub(super) gate: GateId,
    /// The list that it follows.
    pub(super) list: ListId,
    /// Its pepper.
    pub(super) pepper: Pepper,
    /// What the site wants.
    pub(super) settings: Settings,
    /// Where the journal lies.
    pub(super) disk: Disk,
    /// How large it may become.
    pub(super) limits: Limits,
    /// The codes cache.
    pub(super) codes: MemoryCodes,
    /// The backend.
    pub(super) centre: Centre,
    /// Runs the asynchronous parts to their end, under virtual time.
    pub(super) runtime: Runtime,
}

impl Lasting {
    /// The mode of the lane at start.
    #[must_use]
    pub(super) fn mode(&self) -> Mode {
        let lane = self.settings.lanes.first();
        lane.map_or(Mode::Normal, |lane| lane.mode)
    }

    /// The sides that the lane serves.
    #[must_use]
    pub(super) fn sides(&self) -> &[Direction] {
        let lane = self.settings.lanes.first();
        lane.map_or(&[], |lane| &lane.directions)
    }
}

/// The controller with its power on.
pub(super) struct Controller {
    gate: Gate,
    scribe: Scribe,
    queue: VecDeque<Queued>,
    journal: Journal,
    assessor: Assessor,
    follower: Follower<Centre>,
    uplink: Uplink<Centre>,
    online: Online<Centre>,
    question: Option<(u64, Question)>,
    events: mpsc::Receiver<SyncEvent>,
    clock: Arc<AtomicU64>,
    clock_floor: Utc,
}

impl Controller {
    /// Switches it on; the first actions go to `out`. `now` gives both clocks at a clock floor.
    ///
    /// # Errors
    /// [`SimulationError`] if the journal does not open: after a power cut that is a violation.
    pub(super) fn start(
        lasting: &Lasting,
        now: impl FnOnce(Utc) -> Now,
        out: &mut Vec<Action>,
    ) -> Result<Self, SimulationError> {
        let disk = lasting.disk.clone();
        let (journal, restored) = Journal::open_backend(move || disk.clone(), lasting.limits)?;
        let clock = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&clock);
        let read: Arc<dyn Fn() -> Mono + Send + Sync> =
            Arc::new(move || Mono::from_micros(read.load(Ordering::Relaxed)));
        let (events_in, events) = mpsc::channel(64);
        let parts = Arc::new(Parts {
            gate: lasting.gate.clone(),
            transport: Arc::new(lasting.centre.clone()),
            codes: Arc::new(lasting.codes.clone()),
            journal: journal.clone(),
            keys: PinnedKeys::parse(&[lasting.centre.public_key()])
                .map_err(|error| SimulationError(error.to_string()))?,
            poll: POLL,
            report: Arc::new(Report::new(events_in)),
            wake: Arc::new(Notify::new()),
            now: Arc::clone(&read),
        });
        let followed = Followed {
            list: lasting.list.clone(),
            pepper_ids: vec![lasting.pepper.id()],
        };
        let peppers = vec![(lasting.list.clone(), lasting.pepper.clone())];
        let assessor = Assessor {
            trust: Reader::new(trust()?, peppers)
                .map_err(|error| SimulationError(error.to_string()))?
                .into(),
            cache: Arc::new(lasting.codes.clone()),
            lists: vec![(lasting.list.clone(), STALE_AFTER)],
            certificates: Vec::new(),
            // The oracle judges by what the backend says now.
            learned: None,
        };
        let listed = lasting.codes.state(&lasting.list);
        let clock_floor = restored
            .clock_floor
            .max(listed.map(|state| state.created))
            .unwrap_or_default();
        let online = Online::new(
            lasting.gate.clone(),
            &[],
            Arc::clone(&parts.transport),
            Arc::clone(&parts.report),
        );
        let gate = Gate::new(lasting.settings.clone(), restored, now(clock_floor), out);
        Ok(Self {
            gate,
            scribe: Scribe::new(journal.clone(), read),
            queue: VecDeque::new(),
            journal,
            assessor,
            follower: Follower::new(Arc::clone(&parts), followed),
            uplink: Uplink::new(parts),
            online,
            question: None,
            events,
            clock,
            clock_floor,
        })
    }

    /// The gate.
    pub(super) const fn gate(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// The journal, to be looked at.
    #[must_use]
    pub(super) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// No date below this is believed.
    #[must_use]
    pub(super) const fn clock_floor(&self) -> Utc {
        self.clock_floor
    }

    /// Highest list version that the journal remembers.
    ///
    /// # Errors
    /// [`SimulationError`] if the journal cannot be read now.
    pub(super) fn list_floor(&self, list: &ListId) -> Result<Option<(u32, u64)>, SimulationError> {
        Ok(self.journal.floor(&floor_name(list))?)
    }

    /// Tells the parts that keep no clock what time it is.
    pub(super) fn tell_time(&self, now: Mono) {
        self.clock.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Reads and looks up what was shown.
    pub(super) fn assess(&mut self, number: u64, now: Now, presentation: Presentation) -> Assessed {
        let job = Job {
            number,
            now,
            presentation,
        };
        let assessment = self.assessor.assess(&job);
        if let Some(asking) = assessment.asking {
            self.question = Some((number, asking.question));
        }
        assessment.assessed
    }

    /// Asks the backend about a presentation, as the gate wished.
    pub(super) fn ask(
        &self,
        runtime: &Runtime,
        number: u64,
        within: Duration,
    ) -> Result<Standing, HealthOutcome> {
        match &self.question {
            Some((of, question)) if *of == number => {
                runtime.block_on(self.online.resolve(question, within))
            }
            Some(_) | None => Err(HealthOutcome::Unknown),
        }
    }

    /// Queues an entry for the writer, as the runtime does.
    ///
    /// # Errors
    /// The trouble of an entry that finds no room.
    pub(super) fn submit(&mut self, entry: Entry, now: Mono) -> Result<(), JournalTrouble> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(JournalTrouble::Failed);
        }
        self.queue.push_back(Queued::new(entry, now));
        Ok(())
    }

    /// True if the writer has something to do at `now`.
    #[must_use]
    pub(super) fn has_to_write(&self, now: Mono) -> bool {
        !self.queue.is_empty() || self.scribe.retry_at().is_some_and(|at| at <= now)
    }

    /// When the writer wants to try again.
    #[must_use]
    pub(super) fn retry_at(&self) -> Option<Mono> {
        self.scribe.retry_at()
    }

    /// One turn of the writer.
    pub(super) fn write(&mut self) -> Vec<Written> {
        let count = self.queue.len().min(GROUP_MAX);
        let group = self.queue.drain(..count).collect();
        let mut answers = Vec::new();
        self.scribe
            .take(group, &mut |written| answers.push(written));
        answers
    }

    /// Entries in memory that are on no disk yet, and those given up.
    #[must_use]
    pub(super) fn unwritten(&self) -> (usize, u64) {
        let status = self.scribe.status();
        (self.queue.len().saturating_add(status.kept), status.lost)
    }

    /// One turn of the list's follower; how long until the next.
    pub(super) fn follow(&mut self, runtime: &Runtime) -> Duration {
        let pause = runtime.block_on(self.follower.turn());
        self.hear();
        pause
    }

    /// One turn of the delivery; how long until the next.
    pub(super) fn deliver(&mut self, runtime: &Runtime) -> Duration {
        let next = runtime.block_on(self.uplink.turn());
        self.hear();
        match next {
            Next::AtOnce => Duration::from_millis(5),
            Next::Woken(_) => Duration::from_millis(250),
            Next::In(pause) => pause,
        }
    }

    /// Takes what sync has to say: something signed says that it is at least that late.
    fn hear(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            if let SyncEvent::ListApplied { state, .. } | SyncEvent::ListCurrent { state, .. } =
                event
            {
                self.clock_floor = self.clock_floor.max(state.created);
            }
        }
    }
}
