//! The controller while it has power: the real gate, the real writer's steps on the real journal, the real look-up and
//! the real followers. What a power cut takes away lives here; what it leaves lies in [`Lasting`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use super::SimulationError;
use super::centre::Centre;
use super::claiming::Claiming;
use super::claims::LEARNED;
use super::disk::Disk;
use super::link::Link;
use super::plant::Plant;
use crate::codes::{Pepper, Reader, TrustList};
use crate::core::{Gate, Settings};
use crate::domain::{
    Action, Assessed, Directive, Entry, GateId, HealthOutcome, JournalTrouble, ListId, Mono, Now,
    Presentation, Standing, Utc,
};
use crate::runtime::assess::{Assessor, Job};
use crate::runtime::online::Asking;
use crate::runtime::trust::InForce;
use crate::store::codes::{Codes as _, MemoryCodes};
use crate::store::journal::scribe::{GROUP_MAX, Queued, Scribe};
use crate::store::journal::{Journal, Limits, QUEUE_MAX, Written};
use crate::store::learned::Learned;
use crate::sync::lists::{Follower, floor_name};
use crate::sync::online::Online;
use crate::sync::passages::{Next, Uplink};
use crate::sync::trust::{self, FollowedTrust, SignedTrust};
use crate::sync::{self, Addressee, Followed, Parts, PinnedKeys, Report, SyncEvent, directives};

/// From which age the list is stale.
const STALE_AFTER: Duration = Duration::from_secs(86_400);
/// How often a newer manifest is looked for.
const POLL: Duration = Duration::from_secs(4);
/// Events of sync that wait to be heard.
pub(super) const EVENTS_MAX: usize = 64;

/// What outlives a power cut.
pub(super) struct Lasting {
    /// The gate's name.
    pub(super) gate: GateId,
    /// The list that it follows.
    pub(super) list: ListId,
    /// Its pepper.
    pub(super) pepper: Pepper,
    /// What the site wants, as the gate has it.
    pub(super) settings: Settings,
    /// Where the journal lies.
    pub(super) disk: Disk,
    /// How large it may become.
    pub(super) limits: Limits,
    /// The codes cache.
    pub(super) codes: MemoryCodes,
    /// The link to the centre.
    pub(super) link: Link,
    /// The centre.
    pub(super) centre: Centre,
    /// The signed trust list that was accepted last.
    pub(super) trust: Arc<Mutex<Vec<u8>>>,
    /// A bug.
    pub(super) plant: Option<Plant>,
}

/// The controller with its power on.
pub(super) struct Controller {
    gate: Gate,
    scribe: Scribe,
    queue: VecDeque<Queued>,
    bounded: bool,
    journal: Journal,
    assessor: Assessor,
    follower: Follower<Link>,
    trust: trust::Follower<Link>,
    directives: directives::Follower<Link>,
    /// Directives that count from the start.
    accepted: Vec<Arc<Directive>>,
    uplink: Uplink<Link>,
    online: Online<Link>,
    asking: Option<(u64, Asking)>,
    learned: Arc<Learned>,
    parts: Arc<Parts<Link>>,
    claims: Option<Claiming>,
    events: mpsc::Receiver<SyncEvent>,
    clock: Arc<AtomicU64>,
    clock_floor: Utc,
}

/// How long it is remembered that nobody knows somebody.
const NOBODY: Duration = Duration::from_secs(5);
fn wrong(error: &dyn std::fmt::Display) -> SimulationError {
    SimulationError(error.to_string())
}

/// The trust list beside the config: that of the demo.
fn file() -> Result<TrustList, SimulationError> {
    static FILE: OnceLock<TrustList> = OnceLock::new();
    if let Some(list) = FILE.get() {
        return Ok(list.clone());
    }
    let list =
        TrustList::parse(include_str!("../demo/trust.toml")).map_err(|error| wrong(&error))?;
    Ok(FILE.get_or_init(|| list).clone())
}

impl Controller {
    #[expect(
        clippy::too_many_lines,
        reason = "every part of a gate is put together once"
    )]
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
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let report = Arc::new(Report::new(events_in));
        let keys = PinnedKeys::parse(&[lasting.centre.public_key()]).map_err(|e| wrong(&e))?;
        let parts = |journal: Journal| {
            Arc::new(Parts {
                gate: lasting.gate.clone(),
                transport: Arc::new(lasting.link.clone()),
                codes: Arc::new(lasting.codes.clone()),
                journal,
                keys: keys.clone(),
                poll: POLL,
                report: Arc::clone(&report),
                wake: Arc::new(Notify::new()),
                now: Arc::clone(&read),
            })
        };
        let floors = if lasting.plant == Some(Plant::FloorForgotten) {
            // Floors that are gone with the power.
            let disk = Disk::default();
            Journal::open_backend(move || disk.clone(), lasting.limits)?.0
        } else {
            journal.clone()
        };
        let (parts, of_lists) = (parts(journal.clone()), parts(floors));
        let followed = Followed {
            list: lasting.list.clone(),
            pepper_ids: vec![lasting.pepper.id()],
        };
        let (list, digest) = kept(lasting, &keys)?;
        let version = list.version;
        let peppers = vec![(lasting.list.clone(), lasting.pepper.clone())];
        let in_force: InForce = Reader::new(list, peppers).map_err(|e| wrong(&e))?.into();
        let forever = lasting.plant == Some(Plant::LearnedForEver);
        let known_for = if forever { STALE_AFTER } else { LEARNED };
        let learned = Arc::new(Learned::new(known_for, NOBODY));
        let assessor = Assessor {
            trust: in_force.clone(),
            cache: Arc::new(lasting.codes.clone()),
            lists: vec![(lasting.list.clone(), STALE_AFTER)],
            certificates: Vec::new(),
            learned: Some(Arc::clone(&learned)),
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
            Arc::clone(&report),
        );
        let addressee = Addressee::new(&lasting.gate, &[], keys.clone());
        let accepted = addressee.accepted(&journal)?;
        let trusted = FollowedTrust {
            keys,
            in_force: (version, digest),
            take: take(in_force, Arc::clone(&lasting.trust)),
        };
        let gate = Gate::new(lasting.settings.clone(), restored, now(clock_floor), out);
        Ok(Self {
            gate,
            scribe: Scribe::new(journal.clone(), read),
            queue: VecDeque::new(),
            bounded: lasting.plant != Some(Plant::QueueUnbounded),
            journal,
            assessor,
            follower: Follower::new(of_lists, followed),
            trust: trust::Follower::new(Arc::clone(&parts), trusted),
            directives: directives::Follower::new(Arc::clone(&parts), addressee, accepted.clone()),
            accepted,
            uplink: Uplink::new(Arc::clone(&parts)),
            online,
            asking: None,
            learned,
            parts,
            claims: None,
            events,
            clock,
            clock_floor,
        })
    }

    /// The gate.
    pub(super) const fn gate(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// True if nobody is on the way at any lane.
    #[must_use]
    pub(super) fn is_at_rest(&self) -> bool {
        self.gate.is_at_rest()
    }

    /// The journal, to be looked at.
    #[must_use]
    pub(super) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Directives that were accepted before the start.
    #[must_use]
    pub(super) fn accepted(&self) -> Vec<Arc<Directive>> {
        self.accepted.clone()
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

    /// The version of the trust list in force.
    #[must_use]
    pub(super) fn trust_version(&self) -> u64 {
        self.assessor.trust.reader().trust().version
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
            floor: self.clock_floor,
            certificates: None,
            presentation,
        };
        let assessment = self.assessor.assess(&job);
        if let Some(asking) = assessment.asking {
            self.asking = Some((number, asking));
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
        match &self.asking {
            Some((of, Asking { question, key })) if *of == number => {
                let answer = runtime.block_on(self.online.resolve(question, within));
                if let Some(key) = *key {
                    self.learned.keep((self.parts.now)(), key, &answer);
                }
                answer
            }
            Some(_) | None => Err(HealthOutcome::Unknown),
        }
    }

    /// Starts who claims. `process` makes its claims unlike those of any other start.
    pub(super) fn begin_claims(&mut self, runtime: &Runtime, process: u64) {
        self.claims = Some(Claiming::begin(&self.parts, runtime, process));
    }

    /// Who claims, if the site wants that.
    pub(super) const fn claims(&mut self) -> Option<&mut Claiming> {
        self.claims.as_mut()
    }

    /// Queues an entry for the writer, as the runtime does.
    ///
    /// # Errors
    /// The trouble of an entry that finds no room.
    pub(super) fn submit(&mut self, entry: Entry, now: Mono) -> Result<(), JournalTrouble> {
        if self.bounded && self.queue.len() >= QUEUE_MAX {
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

    /// Entries that wait for the writer.
    #[must_use]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// One turn of the list's follower; how long until the next.
    pub(super) fn follow(&mut self, runtime: &Runtime) -> Duration {
        sync::alone(|| runtime.block_on(self.follower.turn()))
    }

    /// One turn of who follows the trust list, and one of who follows directives; how long until the next.
    pub(super) fn follow_papers(&mut self, runtime: &Runtime) -> Duration {
        sync::alone(|| {
            let trust = runtime.block_on(self.trust.turn());
            trust.min(runtime.block_on(self.directives.turn()))
        })
    }

    /// One turn of the delivery; how long until the next.
    pub(super) fn deliver(&mut self, runtime: &Runtime) -> Duration {
        match sync::alone(|| runtime.block_on(self.uplink.turn())) {
            Next::AtOnce => Duration::from_millis(5),
            Next::Woken(pause) | Next::In(pause) => pause,
        }
    }

    /// Takes what sync has to say: something signed says that it is at least that late. New directives are for the gate.
    pub(super) fn hear(&mut self) -> Option<Vec<Arc<Directive>>> {
        let mut directed = None;
        while let Ok(event) = self.events.try_recv() {
            match event {
                SyncEvent::ListApplied { state, .. } | SyncEvent::ListCurrent { state, .. } => {
                    self.clock_floor = self.clock_floor.max(state.created);
                }
                SyncEvent::TrustApplied { created, .. } => {
                    self.clock_floor = self.clock_floor.max(created);
                }
                SyncEvent::Directed { directives } => directed = Some(directives),
                SyncEvent::ListFailed { .. }
                | SyncEvent::TrustFailed { .. }
                | SyncEvent::DirectiveFailed { .. }
                | SyncEvent::BackendUp(_)
                | SyncEvent::Untrusted { .. }
                | SyncEvent::Delivered { .. }
                | SyncEvent::DeliveryRefused { .. }
                | SyncEvent::BackendLost { .. }
                | SyncEvent::EpochConflict { .. } => {}
            }
        }
        directed
    }
}

/// The trust list that a gate starts with: the kept one if it is newer than the file, and signed as it must be.
fn kept(
    lasting: &Lasting,
    keys: &PinnedKeys,
) -> Result<(TrustList, Option<[u8; 32]>), SimulationError> {
    let of_file = file()?;
    let envelope = lasting.trust.lock().unwrap_or_else(PoisonError::into_inner);
    if envelope.is_empty() {
        return Ok((of_file, None));
    }
    let signed = SignedTrust::open(envelope.clone(), keys).map_err(|error| wrong(&error))?;
    let list = TrustList::parse_compiled(&signed.document).map_err(|error| wrong(&error))?;
    Ok((list, Some(trust::digest(&signed.document))))
}

/// What is done with a newer trust list: it is kept, and in force.
fn take(in_force: InForce, kept: Arc<Mutex<Vec<u8>>>) -> trust::Take {
    Arc::new(move |signed: &SignedTrust| {
        let list = TrustList::parse_compiled(&signed.document).map_err(|e| e.to_string())?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone_from(&signed.envelope);
        in_force.put(list);
        Ok(())
    })
}
