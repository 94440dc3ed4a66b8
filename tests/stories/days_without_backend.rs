//! Days go by in a minute: the core, the assessment, journal, cache and sync of a gate under virtual time, against a
//! backend that is away for two days, or says the same for two days.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use redb::backends::InMemoryBackend;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use turnstiled::backend::inbox::Inbox;
use turnstiled::codes::row_key::{OPAQUE, row_key};
use turnstiled::codes::{Pepper, Reader, TrustList};
use turnstiled::core::{
    Barrier, Below, Drive, Gate, LaneSettings, OnTrouble, Passback, Rules, Settings,
};
use turnstiled::domain::{
    Action, Assurance, ClockQuality, Colour, Decided, Digest, Direction, Event, GateId, IssuerId,
    LaneId, Levels, ListId, Medium, Mode, Mono, Outcome, Personal, Presentation, Reason, Row, Rule,
    Schedule, Sensor, Shown, Subject, Utc, Verdict,
};
use turnstiled::drivers::MonoClock;
use turnstiled::runtime::assess::{Assessor, Job};
use turnstiled::runtime::clock::{DateSource, WallClock};
use turnstiled::store::codes::{Change, Codes, SledCodes, Verify};
use turnstiled::store::journal::{Journal, Limits};
use turnstiled::sync::client::{Ask, Fetched};
use turnstiled::sync::manifest::{ChunkId, Manifest};
use turnstiled::sync::{
    Followed, LinkError, Parts, PinnedKeys, Report, SyncEvent, Transport, chunk, dsse, start,
};

use crate::link::{health, signed};

const HOUR: Duration = Duration::from_secs(3_600);
const STALE_AFTER: Duration = Duration::from_secs(24 * 3_600);
const START: Utc = Utc::from_secs(1_790_000_000);
const PEPPER: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

fn name() -> GateId {
    GateId::new("gate-1").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The date goes with virtual time.
struct Days(MonoClock);

impl DateSource for Days {
    fn date(&self) -> Utc {
        START + self.0.now().since(Mono::default())
    }

    fn vouched(&mut self, _: Option<Mono>) -> ClockQuality {
        ClockQuality::Synchronised
    }
}

/// The backend: its own code for deliveries, a list that the story signs.
struct Centre {
    away: AtomicBool,
    list: Mutex<(Manifest, BTreeMap<ChunkId, Vec<u8>>)>,
    inbox: Inbox,
    manifests: AtomicU64,
    passages: AtomicU64,
}

impl Centre {
    fn new() -> Self {
        let pepper = Pepper::parse(PEPPER).unwrap();
        let mut changes: Vec<Change> = (0..200)
            .map(|n| {
                let issuer = IssuerId::new("health").unwrap();
                let key = row_key(&pepper, OPAQUE, &issuer, &code(n)).unwrap();
                Change::Put(key, row(n).encode())
            })
            .collect();
        changes.sort_by_key(|change| *change.key());
        let mut digest = Digest::default();
        for change in &changes {
            if let Change::Put(key, value) = change {
                digest.add(key, value);
            }
        }
        let (id, packed) = chunk::pack(&changes).unwrap();
        let manifest = Manifest {
            list: health(),
            era: 1,
            version: 1,
            created: START,
            fresh_until: START + STALE_AFTER,
            pepper_id: pepper.id(),
            rows: changes.len() as u64,
            digest,
            snapshot: vec![id],
            deltas: Vec::new(),
        };
        Self {
            away: AtomicBool::new(false),
            list: Mutex::new((manifest, BTreeMap::from([(id, packed)]))),
            inbox: Inbox::open(InMemoryBackend::new()).unwrap(),
            manifests: AtomicU64::new(0),
            passages: AtomicU64::new(0),
        }
    }

    fn signs_again(&self, created: Utc) {
        let manifest = &mut self.list.lock().unwrap().0;
        manifest.created = created;
        manifest.fresh_until = created + STALE_AFTER;
    }

    fn there(&self) -> Result<(), LinkError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(LinkError::Away("connection refused".into()));
        }
        Ok(())
    }
}

fn code(n: u32) -> String {
    format!("HC:PERSON{n:06}")
}

/// Every tenth is red.
fn row(n: u32) -> Row {
    Row {
        subject: Subject::NONE,
        valid_from_s: 0,
        valid_until_s: 0,
        colour: Some(if n % 10 == 9 {
            Colour::Red
        } else {
            Colour::Green
        }),
        entitlements: 1,
        region: 0,
    }
}

impl Transport for Centre {
    async fn manifest(&self, _: &ListId, ask: &Ask) -> Result<Fetched, LinkError> {
        self.manifests.fetch_add(1, Ordering::Relaxed);
        self.there()?;
        let manifest = self.list.lock().unwrap().0.clone();
        if ask.have == Some(manifest.version) {
            sleep(ask.wait).await;
            self.there()?;
        }
        let manifest = self.list.lock().unwrap().0.clone();
        Ok(Fetched::New {
            etag: None,
            envelope: signed(&manifest, &key()),
        })
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, LinkError> {
        self.there()?;
        self.list
            .lock()
            .unwrap()
            .1
            .get(id)
            .cloned()
            .ok_or(LinkError::NotFound)
    }

    async fn passages(&self, delivery: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        self.passages.fetch_add(1, Ordering::Relaxed);
        self.there()?;
        self.inbox.take(&delivery).map_err(LinkError::Status)
    }

    async fn resolve(&self, _: Vec<u8>, _: Duration) -> Result<Vec<u8>, LinkError> {
        Err(LinkError::NotFound)
    }
}

/// The gate without its threads.
struct Station {
    centre: Arc<Centre>,
    clock: WallClock,
    gate: Gate,
    assessor: Assessor,
    journal: Journal,
    wake: Arc<Notify>,
    people: u64,
    seen: Vec<(Verdict, Reason)>,
    outcomes: Vec<Outcome>,
    link: Arc<Mutex<Vec<bool>>>,
    _stop: watch::Sender<bool>,
    _tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Station {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mono = MonoClock::start();
        let mut clock = WallClock::new(mono, Box::new(Days(mono)), None);
        let (journal, restored) =
            Journal::open(&folder.path().join("journal"), Limits::of_mib(64)).unwrap();
        let cache: Arc<dyn Codes> = Arc::new(
            SledCodes::open(&folder.path().join("codes"), &[health()], Verify::First).unwrap(),
        );
        let trust = "version = 1\nissuer = [{ id = \"health\", profile = \"opaque\", detect = [{ prefix = \"HC:\" }] }]";
        let pepper = Pepper::parse(PEPPER).unwrap();
        let followed = Followed {
            list: health(),
            pepper_ids: vec![pepper.id()],
        };
        let assessor = Assessor {
            trust: Reader::new(TrustList::parse(trust).unwrap(), vec![(health(), pepper)])
                .unwrap()
                .into(),
            cache: Arc::clone(&cache),
            lists: vec![(health(), STALE_AFTER)],
            certificates: Vec::new(),
            learned: None,
        };
        let (centre, wake) = (Arc::new(Centre::new()), Arc::new(Notify::new()));
        let (events_in, mut events) = mpsc::channel(16);
        let parts = Arc::new(Parts {
            gate: name(),
            transport: Arc::clone(&centre),
            codes: cache,
            journal: journal.clone(),
            keys: PinnedKeys::parse(&[dsse::public_key_text(&key().verifying_key())]).unwrap(),
            poll: Duration::from_secs(30),
            report: Arc::new(Report::new(events_in)),
            wake: Arc::clone(&wake),
            now: Arc::new(move || mono.now()),
        });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = start(&parts, &[followed], &stopped);
        let link: Arc<Mutex<Vec<bool>>> = Arc::default();
        let told = Arc::clone(&link);
        tasks.spawn(async move {
            while let Some(event) = events.recv().await {
                if let SyncEvent::BackendUp(up) = event {
                    told.lock().unwrap().push(up);
                }
            }
        });
        let mut first = Vec::new();
        let gate = Gate::new(settings(), restored, clock.now(), &mut first);
        let mut station = Self {
            centre,
            clock,
            gate,
            assessor,
            journal,
            wake,
            people: 0,
            seen: Vec::new(),
            outcomes: Vec::new(),
            link,
            _stop: stop,
            _tasks: tasks,
            _folder: folder,
        };
        station.perform(first);
        station
    }

    fn step(&mut self, event: Event) {
        let mut out = Vec::new();
        self.gate.step(self.clock.now(), event, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut follow_up = Vec::new();
        for action in actions {
            match action {
                Action::Record(entry) => {
                    self.journal.append(std::slice::from_ref(&entry)).unwrap();
                    self.wake.notify_one();
                    follow_up.extend(entry.grant.map(Event::Durable));
                }
                Action::Decided(Decided {
                    verdict, reason, ..
                }) => self.seen.push((verdict, reason)),
                Action::Ended(_, _, outcome, _) => self.outcomes.push(outcome),
                Action::ReleaseBarrier(..)
                | Action::ReleaseBothWays(_)
                | Action::LockBarrier(_)
                | Action::Show(..)
                | Action::AskOnline { .. }
                | Action::Claim { .. }
                | Action::Unclaim(_)
                | Action::SensorSticks(..)
                | Action::Alarm(..) => {}
            }
        }
        for event in follow_up {
            self.step(event);
        }
    }

    /// Lets time go by; the gate is woken when it wants to be.
    async fn wait(&mut self, time: Duration) {
        let until = self.clock.mono().now() + time;
        loop {
            let due = self.gate.deadline().filter(|due| *due <= until);
            sleep_until(self.clock.mono().instant(due.unwrap_or(until))).await;
            if due.is_none() {
                return;
            }
            // A little later: deadlines are in microseconds, timers in milliseconds.
            sleep(Duration::from_millis(1)).await;
            self.step(Event::TimedOut);
        }
    }

    /// Somebody comes, and passes if they may.
    async fn comes(&mut self, n: u32) -> (Verdict, Reason) {
        self.people += 1;
        let now = self.clock.now();
        let presentation = Presentation {
            lane: LaneId(0),
            direction: Direction::Entry,
            medium: Medium::QrCode,
            shown: Shown::Code(Personal::new(code(n))),
            seen: now.mono,
            read: now.mono,
        };
        let assessed = self
            .assessor
            .assess(&Job {
                number: self.people,
                now,
                floor: turnstiled::domain::Utc::default(),
                certificates: None,
                presentation,
            })
            .assessed;
        self.step(Event::Presented(assessed));
        let decided = *self.seen.last().unwrap();
        if decided.0 == Verdict::Grant {
            for turning in [true, false] {
                self.wait(Duration::from_millis(300)).await;
                let levels = Levels::default().with(Sensor::EntryRotor, turning);
                self.step(Event::Sensed(LaneId(0), levels));
            }
        }
        self.wait(Duration::from_secs(3)).await;
        decided
    }

    /// Everything has arrived at the backend: in order, once.
    fn assert_arrived(&self) {
        let written = self.journal.status().next_seq - 1;
        let (received, _) = self
            .centre
            .inbox
            .received(&name(), 0, usize::MAX / 200)
            .unwrap();
        let numbers: Vec<u64> = received.iter().map(|one| one.seq).collect();
        assert_eq!(
            numbers,
            (1..=written).collect::<Vec<_>>(),
            "each once, in order"
        );
        assert_eq!(
            self.centre.inbox.counts(&name()).unwrap().len(),
            1,
            "one epoch"
        );
    }
}

fn settings() -> Settings {
    let open = Rules {
        green: Rule::Open,
        yellow: Rule::Open,
        red: Rule::Open,
        unknown: Rule::Open,
        not_applied: Rule::Open,
        query_failed: Rule::Open,
        timed_out: Rule::Open,
        stale: Rule::Open,
        trust_expired: Rule::Open,
        clock_untrusted: Rule::Open,
        assurance: Assurance::Identifier,
    };
    let lane = LaneSettings {
        name: "entry".into(),
        barrier: Barrier::Tripod {
            drive: Drive::Pulse(Duration::from_millis(300)),
        },
        directions: vec![Direction::Entry],
        mode: Mode::Normal,
        schedule: Schedule::default(),
        release: Duration::from_secs(2),
        debounce: Duration::from_millis(10),
        obstruction: Duration::from_secs(10),
        sensors: vec![Sensor::EntryRotor],
        travel: Duration::from_secs(2),
        follower_gap: Duration::from_secs(1),
        below: Below::Luggage,
        group_max: 1,
        duty_percent: 100,
    };
    Settings {
        lanes: vec![lane],
        entry: Rules {
            red: Rule::Hold,
            stale: Rule::Assist,
            trust_expired: Rule::Assist,
            unknown: Rule::Hold,
            ..open
        },
        exit: open,
        passback: Some(Passback {
            remember: HOUR * 4,
            soft: false,
            wide: false,
        }),
        claims: None,
        resolve: None,
        stall: Duration::from_millis(300),
        on_stall: OnTrouble::Hold,
        on_full: OnTrouble::Hold,
        software: "story".into(),
        required_entitlements: 0,
        health_required: true,
        overlays: Vec::new(),
        certificates: None,
    }
}

/// What this process holds, in KiB.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

const PASSES: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);
const STALE: (Verdict, Reason) = (Verdict::Assist, Reason::StaleList);
const RED: (Verdict, Reason) = (Verdict::Deny, Reason::RedCode);

#[tokio::test(start_paused = true)]
async fn away_for_days_decisions_go_on_and_then_everything_arrives_once_and_in_order() {
    let mut station = Station::open();
    station.wait(Duration::from_secs(60)).await;
    assert_eq!(station.comes(0).await, PASSES);
    station.wait(Duration::from_secs(60)).await;
    assert_eq!(station.journal.status().backlog, 0);
    station.centre.away.store(true, Ordering::Relaxed);
    let before = (
        station.centre.manifests.load(Ordering::Relaxed),
        station.centre.passages.load(Ordering::Relaxed),
    );
    let mut resident = 0;
    for hour in 0..48 {
        station.wait(HOUR).await;
        if hour == 2 {
            resident = resident_kib();
        }
        let n = 10 + hour;
        // Green by the list while it is young; then by the rule for a stale one. Red stays red.
        let wanted = match (hour < 23, n % 10 == 9) {
            (_, true) => RED,
            (true, false) => PASSES,
            (false, false) => STALE,
        };
        assert_eq!(station.comes(n).await, wanted, "hour {hour}");
    }
    let passed = station
        .outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Passed)
        .count();
    assert_eq!(passed, 1 + 21, "who was granted walked");
    let asked = (
        station.centre.manifests.load(Ordering::Relaxed) - before.0,
        station.centre.passages.load(Ordering::Relaxed) - before.1,
    );
    // Every 5 to 6.25 s in 48 hours: neither given up nor hammered.
    for tries in [asked.0, asked.1] {
        assert!((27_000..=34_700).contains(&tries), "asked {asked:?} times");
    }
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 24 << 10, "{grown} KiB more after two days");
    let kept = station.journal.status().backlog;
    assert!(kept >= 48 + 21, "{kept} records");
    assert_eq!(*station.link.lock().unwrap(), [true, false], "told once");

    station.centre.away.store(false, Ordering::Relaxed);
    station.centre.signs_again(START + HOUR * 48);
    station.wait(Duration::from_secs(120)).await;
    assert_eq!(*station.link.lock().unwrap(), [true, false, true]);
    assert_eq!(station.journal.status().backlog, 0);
    station.assert_arrived();
    assert_eq!(station.comes(100).await, PASSES, "fresh again");
}

#[tokio::test(start_paused = true)]
async fn frozen_for_days_the_list_counts_as_stale_from_its_date_however_often_it_is_repeated() {
    let mut station = Station::open();
    for hour in 0..36 {
        station.wait(HOUR).await;
        let n = 10 + hour;
        let wanted = match (hour < 23, n % 10 == 9) {
            (_, true) => RED,
            (true, false) => PASSES,
            (false, false) => STALE,
        };
        assert_eq!(station.comes(n).await, wanted, "hour {hour}");
    }
    assert_eq!(
        *station.link.lock().unwrap(),
        [true],
        "it answers all the time"
    );
    assert_eq!(
        station.journal.status().backlog,
        0,
        "and takes what is delivered"
    );
    station.centre.signs_again(START + HOUR * 36);
    station.wait(Duration::from_secs(120)).await;
    assert_eq!(station.comes(100).await, PASSES);
    station.wait(Duration::from_secs(120)).await;
    station.assert_arrived();
}
