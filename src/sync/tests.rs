//! The follower and the uplink against a backend that lies, breaks and goes away. Time is virtual.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and passes over the others"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;

use super::client::{Ask, Fetched};
use super::manifest::{ChunkId, Delta, Manifest, PAYLOAD_TYPE};
use super::wire::{Acknowledged, Delivery};
use super::*;
use crate::domain::{
    Digest, Entry, HealthOutcome, IssuerId, Kind, ListId, Now, Personal, Record, RowKey, Utc,
};
use crate::store::codes::{Change, Codes, CodesError, ListState, MemoryCodes};
use crate::store::journal::{Journal, Limits};

type Rows = BTreeMap<u8, u8>;

fn list() -> ListId {
    ListId::new("health").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A row whose colour byte is `colour`.
fn put(n: u8, colour: u8) -> Change {
    let mut value = [0; 20];
    value[16] = colour;
    Change::Put(RowKey([n; 16]), value)
}

/// What the backend answers, changed by the test while the gate runs.
#[derive(Default)]
struct Answers {
    envelope: Option<Vec<u8>>,
    chunks: BTreeMap<ChunkId, Vec<u8>>,
    /// Answers to deliveries, then all is acknowledged.
    passages: VecDeque<Result<Reply, LinkError>>,
    resolve: Option<Result<Vec<u8>, LinkError>>,
    away: bool,
    /// What every question is answered with.
    trouble: Option<LinkError>,
    /// These chunks do not come.
    missing: Vec<ChunkId>,
    /// The answer is held while the caller has the newest version.
    holds: bool,
}

/// What comes back for a delivery.
enum Reply {
    /// An acknowledgement for who asked.
    Acked(u64),
    /// One that a test has changed.
    Changed(fn(&mut Acknowledged)),
    /// Anything.
    Raw(&'static [u8]),
}

#[derive(Default)]
struct Fake {
    answers: Mutex<Answers>,
    manifests: AtomicUsize,
    chunks: AtomicUsize,
    delivered: Mutex<Vec<Delivery>>,
}

impl Fake {
    fn now(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    fn there(&self) -> Result<(), LinkError> {
        if self.answers.lock().unwrap().away {
            return Err(LinkError::Away("connection refused".into()));
        }
        let trouble = self.answers.lock().unwrap().trouble.clone();
        trouble.map_or(Ok(()), Err)
    }
}

impl Transport for Fake {
    async fn manifest(&self, _: &ListId, ask: &Ask) -> Result<Fetched, LinkError> {
        self.manifests.fetch_add(1, Ordering::Relaxed);
        self.there()?;
        let asked = self.answers.lock().unwrap().envelope.clone();
        let waited = time::Instant::now();
        while self.answers.lock().unwrap().holds
            && ask.have.is_some()
            && waited.elapsed() < ask.wait
        {
            if self.answers.lock().unwrap().envelope != asked {
                break;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        let envelope = self.answers.lock().unwrap().envelope.clone();
        let envelope = envelope.ok_or(LinkError::NotFound)?;
        Ok(Fetched::New {
            etag: None,
            envelope,
        })
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, LinkError> {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        self.there()?;
        let answers = self.answers.lock().unwrap();
        if answers.missing.contains(id) {
            return Err(LinkError::Late);
        }
        answers.chunks.get(id).cloned().ok_or(LinkError::NotFound)
    }

    async fn passages(&self, delivery: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        self.there()?;
        let delivery: Delivery = serde_json::from_slice(&delivery).unwrap();
        let mut acked = Acknowledged {
            gate: delivery.gate.clone(),
            epoch: delivery.epoch.clone(),
            acked_seq: delivery.events.last().unwrap().seq,
        };
        self.delivered.lock().unwrap().push(delivery);
        match self.answers.lock().unwrap().passages.pop_front() {
            Some(Err(error)) => return Err(error),
            Some(Ok(Reply::Raw(bytes))) => return Ok(bytes.to_vec()),
            Some(Ok(Reply::Acked(seq))) => acked.acked_seq = seq,
            Some(Ok(Reply::Changed(change))) => change(&mut acked),
            None => {}
        }
        Ok(serde_json::to_vec(&acked).unwrap())
    }

    async fn resolve(&self, question: Vec<u8>, _: Duration) -> Result<Vec<u8>, LinkError> {
        self.there()?;
        let scripted = self.answers.lock().unwrap().resolve.clone();
        let question: wire::Question = serde_json::from_slice(&question).unwrap();
        match scripted {
            Some(answer) => answer.map(|text| {
                let text = String::from_utf8(text).unwrap();
                text.replace("{id}", &question.id).into_bytes()
            }),
            None => std::future::pending().await,
        }
    }
}

fn state_of(rows: &Rows, version: u64) -> ListState {
    let mut digest = Digest::default();
    for (n, colour) in rows {
        let Change::Put(key, value) = put(*n, *colour) else {
            unreachable!()
        };
        digest.add(&key, &value);
    }
    ListState {
        era: 1,
        version,
        created: Utc::from_secs(1_770_000_000 + version),
        fresh_until: Utc::from_secs(1_780_000_000),
        pepper_id: 7,
        rows: rows.len() as u64,
        digest,
    }
}

/// A manifest of `rows` at `version`, with its snapshot in the fake, and a delta if `delta` says from where.
struct Made {
    manifest: Manifest,
    key: SigningKey,
}

impl Made {
    fn new(fake: &Fake, rows: &[(u8, u8)], version: u64) -> Self {
        let rows: Rows = rows.iter().copied().collect();
        let changes: Vec<_> = rows.iter().map(|(n, colour)| put(*n, *colour)).collect();
        let state = state_of(&rows, version);
        let manifest = Manifest {
            list: list(),
            era: state.era,
            version,
            created: state.created,
            fresh_until: state.fresh_until,
            pepper_id: state.pepper_id,
            rows: state.rows,
            digest: state.digest,
            snapshot: vec![store(fake, &changes)],
            deltas: Vec::new(),
        };
        Self {
            manifest,
            key: key(),
        }
    }

    fn with_delta(mut self, fake: &Fake, from: u64, changes: &[Change]) -> Self {
        let chunks = vec![store(fake, changes)];
        self.manifest.deltas.push(Delta { from, chunks });
        self
    }

    fn changed(mut self, change: impl FnOnce(&mut Manifest)) -> Self {
        change(&mut self.manifest);
        self
    }

    fn signed_by(mut self, seed: u8) -> Self {
        self.key = SigningKey::from_bytes(&[seed; 32]);
        self
    }

    fn publish(self, fake: &Fake) {
        let payload = serde_json::to_vec(&self.manifest).unwrap();
        let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &self.key).into_bytes();
        fake.now(|answers| answers.envelope = Some(envelope));
    }
}

fn store(fake: &Fake, changes: &[Change]) -> ChunkId {
    let (id, packed) = chunk::pack(changes).unwrap();
    fake.now(|answers| {
        answers.chunks.insert(id, packed);
    });
    id
}

struct Gate {
    fake: Arc<Fake>,
    codes: MemoryCodes,
    journal: Journal,
    parts: Arc<Parts<Fake>>,
    events: mpsc::Receiver<SyncEvent>,
    stop: watch::Sender<bool>,
    stopped: Stop,
    tasks: JoinSet<()>,
    _dir: TempDir,
}

impl Gate {
    fn new() -> Self {
        Self::on(MemoryCodes::default(), None)
    }

    /// `disk` stands between the gate and its cache.
    fn on(codes: MemoryCodes, disk: Option<Arc<dyn Codes>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Arc::new(Fake::default());
        let (journal, _) = Journal::open(dir.path(), Limits::of_mib(8)).unwrap();
        let (send, events) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let started = time::Instant::now();
        let parts = Arc::new(Parts {
            gate: GateId::new("gate-1").unwrap(),
            transport: Arc::clone(&fake),
            codes: disk.unwrap_or_else(|| Arc::new(codes.clone())),
            journal: journal.clone(),
            keys: PinnedKeys::parse(&[dsse::public_key_text(&key().verifying_key())]).unwrap(),
            poll: Duration::from_secs(2),
            report: Arc::new(Report::new(send)),
            wake: Arc::new(Notify::new()),
            now: Arc::new(move || Mono::default() + started.elapsed()),
        });
        let tasks = JoinSet::new();
        Self {
            fake,
            codes,
            journal,
            parts,
            events,
            stop,
            stopped,
            tasks,
            _dir: dir,
        }
    }

    /// With version 1 of two green rows in force.
    async fn with_a_list() -> Self {
        Self::new().has_a_list().await
    }

    async fn has_a_list(self) -> Self {
        let mut gate = self;
        Made::new(&gate.fake, &[(1, 0), (2, 0)], 1).publish(&gate.fake);
        gate.start();
        let event = gate.next().await;
        assert_eq!(event, SyncEvent::BackendUp(true));
        let event = gate.next().await;
        assert!(matches!(event, SyncEvent::ListApplied { .. }), "{event:?}");
        gate
    }

    fn start(&mut self) {
        let follow = Followed {
            list: list(),
            pepper_ids: vec![7],
        };
        self.tasks = super::start(&self.parts, &[follow], &self.stopped);
    }

    async fn next(&mut self) -> SyncEvent {
        time::timeout(Duration::from_secs(3_600), self.events.recv())
            .await
            .expect("nothing is told")
            .expect("sync ended")
    }

    /// Why the list is refused; nothing else is told before.
    async fn refused(&mut self) -> String {
        match self.next().await {
            SyncEvent::ListFailed { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn applied(&mut self) -> u64 {
        match self.next().await {
            SyncEvent::ListApplied { state, .. } => state.version,
            other => panic!("{other:?}"),
        }
    }

    /// How often the manifest was asked for.
    fn asked(&self) -> usize {
        self.fake.manifests.load(Ordering::Relaxed)
    }

    fn version(&self) -> Option<u64> {
        self.codes.state(&list()).map(|state| state.version)
    }

    fn record(&self, count: u32) {
        let entry = |n| Entry {
            grant: None,
            record: Record::new(1, Now::default(), None, Kind::Gap { unrecorded: n }),
            changes: Vec::new(),
        };
        self.journal
            .append(&(0..count).map(entry).collect::<Vec<_>>())
            .unwrap();
        self.parts.wake.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_version_is_refused_even_after_the_cache_was_deleted() {
    let mut gate = Gate::with_a_list().await;
    Made::new(&gate.fake, &[(1, 2)], 2).publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
    Made::new(&gate.fake, &[(1, 0), (2, 0)], 1).publish(&gate.fake);
    assert!(gate.refused().await.contains("version 1 is older"));
    assert_eq!(gate.version(), Some(2));
    gate.codes.lose(&list());
    time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        gate.version(),
        None,
        "the floor in the journal outlives the cache"
    );
    // A new era is the signed way back.
    let back = Made::new(&gate.fake, &[(1, 0)], 1).changed(|manifest| manifest.era = 2);
    back.publish(&gate.fake);
    assert_eq!(gate.applied().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_or_swapped_manifest_is_refused_and_told_once() {
    let mut gate = Gate::with_a_list().await;
    Made::new(&gate.fake, &[(1, 1)], 2)
        .signed_by(2)
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("no pinned key"));
    time::sleep(Duration::from_secs(600)).await;
    let other = Made::new(&gate.fake, &[(1, 1)], 2);
    other
        .changed(|manifest| manifest.list = ListId::new("ride").unwrap())
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("manifest of list ride"));
    let other = Made::new(&gate.fake, &[(1, 1)], 2);
    other
        .changed(|manifest| manifest.pepper_id = 8)
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("made with pepper 00000008"));
    let forked = Made::new(&gate.fake, &[(1, 1)], 1);
    forked.publish(&gate.fake);
    assert!(gate.refused().await.contains("with other rows"));
    assert_eq!(gate.version(), Some(1), "the last good list stays in force");
    Made::new(&gate.fake, &[(1, 1)], 2).publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_or_a_wrong_count_is_refused_and_the_old_list_stays() {
    let mut gate = Gate::with_a_list().await;
    let bad = Made::new(&gate.fake, &[(1, 1), (3, 2)], 2);
    let id = bad.manifest.snapshot[0];
    gate.fake
        .now(|answers| answers.chunks.get_mut(&id).unwrap()[9] ^= 4);
    bad.publish(&gate.fake);
    assert!(gate.refused().await.contains("not what its name says"));
    Made::new(&gate.fake, &[(1, 1)], 2)
        .changed(|manifest| manifest.rows = 2)
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("not what the manifest says"));
    Made::new(&gate.fake, &[(1, 1), (2, 1)], 2)
        .changed(|manifest| manifest.rows = 1)
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("more rows"));
    Made::new(&gate.fake, &[(1, 1)], 2)
        .changed(|manifest| manifest.digest = Digest::from_bytes([9; 32]))
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("not what the manifest says"));
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let id = ChunkId(
        sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            &bomb,
        ))
        .into(),
    );
    gate.fake.now(|answers| {
        answers.chunks.insert(id, bomb);
    });
    Made::new(&gate.fake, &[(1, 1)], 2)
        .changed(|manifest| manifest.snapshot = vec![id])
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("does not inflate"));
    assert_eq!(gate.version(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_delta_is_taken_where_it_leads_right() {
    let mut gate = Gate::with_a_list().await;
    let before = gate.fake.chunks.load(Ordering::Relaxed);
    Made::new(&gate.fake, &[(1, 2), (3, 1)], 2)
        .with_delta(
            &gate.fake,
            1,
            &[put(1, 2), Change::Remove(RowKey([2; 16])), put(3, 1)],
        )
        .publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
    assert_eq!(
        gate.fake.chunks.load(Ordering::Relaxed) - before,
        1,
        "only the delta was fetched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_leads_elsewhere_costs_one_snapshot() {
    let mut gate = Gate::with_a_list().await;
    let before = gate.fake.chunks.load(Ordering::Relaxed);
    Made::new(&gate.fake, &[(1, 2), (2, 0)], 2)
        .with_delta(&gate.fake, 1, &[put(1, 1)])
        .publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
    assert_eq!(gate.fake.chunks.load(Ordering::Relaxed) - before, 2);
}

#[tokio::test(start_paused = true)]
async fn when_the_snapshot_is_wrong_too_the_gate_backs_off() {
    let mut gate = Gate::with_a_list().await;
    let before = gate.fake.chunks.load(Ordering::Relaxed);
    Made::new(&gate.fake, &[(1, 2)], 2)
        .with_delta(&gate.fake, 1, &[put(1, 1)])
        .changed(|manifest| manifest.digest = Digest::from_bytes([9; 32]))
        .publish(&gate.fake);
    gate.refused().await;
    let first = gate.fake.chunks.load(Ordering::Relaxed) - before;
    assert_eq!(first, 2, "one delta, one snapshot");
    time::sleep(Duration::from_secs(600)).await;
    let all = gate.fake.chunks.load(Ordering::Relaxed) - before;
    assert_eq!(all, 2, "the same list is not fetched again");
    assert!(
        gate.asked() < 40,
        "{} questions in ten minutes",
        gate.asked()
    );
    assert_eq!(gate.version(), Some(1));
    // The backend repairs it.
    Made::new(&gate.fake, &[(1, 2)], 2).publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_signed_again_becomes_fresher_without_a_load() {
    let mut gate = Gate::with_a_list().await;
    let before = gate.fake.chunks.load(Ordering::Relaxed);
    let later = Utc::from_secs(1_770_003_600);
    Made::new(&gate.fake, &[(1, 0), (2, 0)], 1)
        .changed(|manifest| manifest.created = later)
        .publish(&gate.fake);
    let SyncEvent::ListCurrent { state, .. } = gate.next().await else {
        panic!()
    };
    assert_eq!((state.created, state.version), (later, 1));
    assert_eq!(gate.codes.state(&list()), Some(state));
    // An older signature of the same list changes nothing.
    Made::new(&gate.fake, &[(1, 0), (2, 0)], 1).publish(&gate.fake);
    time::sleep(Duration::from_secs(60)).await;
    assert_eq!(gate.codes.state(&list()), Some(state));
    assert_eq!(gate.fake.chunks.load(Ordering::Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn a_lost_cache_is_filled_again_from_the_same_version() {
    let mut gate = Gate::with_a_list().await;
    gate.codes.lose(&list());
    assert_eq!(gate.applied().await, 1);
    assert_eq!(gate.version(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_link_is_told_once_a_change_and_a_load_survives_a_short_break() {
    let mut gate = Gate::with_a_list().await;
    gate.fake.now(|answers| answers.away = true);
    assert_eq!(gate.next().await, SyncEvent::BackendUp(false));
    let before = gate.fake.manifests.load(Ordering::Relaxed);
    time::sleep(Duration::from_secs(600)).await;
    let asked = gate.fake.manifests.load(Ordering::Relaxed) - before;
    assert!(
        (90..=140).contains(&asked),
        "asked {asked} times in ten minutes"
    );
    gate.fake.now(|answers| answers.away = false);
    assert_eq!(gate.next().await, SyncEvent::BackendUp(true));
    assert_eq!(gate.version(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_manifest_cut_off_anywhere_is_refused_and_told_once() {
    let mut gate = Gate::with_a_list().await;
    Made::new(&gate.fake, &[(1, 1)], 2).publish(&gate.fake);
    let whole = gate.fake.answers.lock().unwrap().envelope.clone().unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        let cut = whole[..length].to_vec();
        gate.fake.now(|answers| answers.envelope = Some(cut));
        time::sleep(Duration::from_secs(300)).await;
    }
    assert!(gate.refused().await.contains("not a signed document"));
    assert!(gate.events.try_recv().is_err(), "told once, not once a try");
    assert_eq!(gate.version(), Some(1));
    gate.fake.now(|answers| answers.envelope = Some(whole));
    assert_eq!(gate.applied().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_answers_500_for_an_hour_changes_nothing_and_is_asked_in_measure() {
    let mut gate = Gate::with_a_list().await;
    gate.fake
        .now(|answers| answers.trouble = Some(LinkError::Status(500)));
    Made::new(&gate.fake, &[(1, 2)], 2).publish(&gate.fake);
    let before = gate.asked();
    time::sleep(Duration::from_secs(3_600)).await;
    let asked = gate.asked() - before;
    assert!(
        (600..=800).contains(&asked),
        "asked {asked} times in an hour"
    );
    assert_eq!(gate.next().await, SyncEvent::BackendUp(false));
    assert!(gate.events.try_recv().is_err(), "told once");
    assert_eq!(gate.version(), Some(1));
    gate.fake.now(|answers| answers.trouble = None);
    assert_eq!(gate.next().await, SyncEvent::BackendUp(true));
    assert_eq!(gate.applied().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_decides_within_a_second_where_the_backend_holds_its_answers() {
    let mut gate = Gate::new();
    gate.fake.now(|answers| answers.holds = true);
    gate = gate.has_a_list().await;
    for version in 2..6 {
        // Whenever it comes: while an answer is held, or between two questions.
        time::sleep(Duration::from_millis(version * 9_990)).await;
        let published = time::Instant::now();
        Made::new(&gate.fake, &[(1, 2)], version).publish(&gate.fake);
        assert_eq!(gate.applied().await, version);
        let took = published.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert!(gate.asked() < 40, "{} questions", gate.asked());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_the_link_breaks_off_goes_on_where_it_was() {
    let mut gate = Gate::with_a_list().await;
    let before = gate.fake.chunks.load(Ordering::Relaxed);
    let parts: Vec<ChunkId> = (10..15).map(|n| store(&gate.fake, &[put(n, 0)])).collect();
    let last = parts[4];
    gate.fake.now(|answers| answers.missing = vec![last]);
    let rows: Vec<(u8, u8)> = (10..15).map(|n| (n, 0)).collect();
    let of_parts = |manifest: &mut Manifest| manifest.snapshot.clone_from(&parts);
    Made::new(&gate.fake, &rows, 2)
        .changed(of_parts)
        .publish(&gate.fake);
    time::sleep(Duration::from_secs(900)).await;
    assert_eq!(gate.next().await, SyncEvent::BackendUp(false));
    assert_eq!(gate.version(), Some(1));
    gate.fake.now(|answers| answers.missing.clear());
    loop {
        if let SyncEvent::ListApplied { state, .. } = gate.next().await {
            assert_eq!(state.version, 2);
            break;
        }
    }
    let fetched = gate.fake.chunks.load(Ordering::Relaxed) - before;
    let tries = fetched - 4;
    assert!(
        tries > 20,
        "the first four came once, the last was tried {tries} times"
    );
    assert!(tries < 400, "{tries}");
}

/// A disk that takes so many rows.
struct SmallDisk {
    codes: MemoryCodes,
    room: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

struct SmallLoad(Box<dyn crate::store::codes::Load>, Arc<AtomicUsize>);

impl Codes for SmallDisk {
    fn look_up(
        &self,
        list: &ListId,
        key: &RowKey,
    ) -> Result<Option<crate::domain::Row>, CodesError> {
        self.codes.look_up(list, key)
    }

    fn state(&self, list: &ListId) -> Option<ListState> {
        self.codes.state(list)
    }

    fn begin(
        &self,
        list: &ListId,
        rows: u64,
    ) -> Result<Box<dyn crate::store::codes::Load>, CodesError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let load = self.codes.begin(list, rows)?;
        Ok(Box::new(SmallLoad(load, Arc::clone(&self.room))))
    }

    fn apply(&self, list: &ListId, changes: &[Change], next: &ListState) -> Result<(), CodesError> {
        self.codes.apply(list, changes, next)
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

impl crate::store::codes::Load for SmallLoad {
    fn push(&mut self, key: RowKey, value: &[u8; 20]) -> Result<(), CodesError> {
        if self.1.load(Ordering::Relaxed) == 0 {
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(CodesError::Broken(full.to_string()));
        }
        self.1.fetch_sub(1, Ordering::Relaxed);
        self.0.push(key, value)
    }

    fn commit(self: Box<Self>, state: &ListState) -> Result<(), CodesError> {
        self.0.commit(state)
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_while_loading_leaves_the_old_list_in_force() {
    let (codes, room) = (MemoryCodes::default(), Arc::new(AtomicUsize::new(100)));
    let begun = Arc::new(AtomicUsize::new(0));
    let disk = SmallDisk {
        codes: codes.clone(),
        room: Arc::clone(&room),
        begun: Arc::clone(&begun),
    };
    let mut gate = Gate::on(codes, Some(Arc::new(disk))).has_a_list().await;
    room.store(1, Ordering::Relaxed);
    Made::new(&gate.fake, &[(1, 2), (2, 2), (3, 2)], 2).publish(&gate.fake);
    let before = begun.load(Ordering::Relaxed);
    time::sleep(Duration::from_secs(3_600)).await;
    let why = gate.refused().await;
    assert!(why.contains("no storage space"), "{why}");
    assert!(gate.events.try_recv().is_err(), "told once");
    let tries = begun.load(Ordering::Relaxed) - before;
    assert!((30..=80).contains(&tries), "{tries} loads in an hour");
    assert_eq!(gate.version(), Some(1));
    room.store(100, Ordering::Relaxed);
    assert_eq!(gate.applied().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_pepper_comes_as_a_new_generation_and_both_are_honoured_meanwhile() {
    let mut gate = Gate::new();
    let follow = Followed {
        list: list(),
        pepper_ids: vec![7, 8],
    };
    Made::new(&gate.fake, &[(1, 0), (2, 0)], 1).publish(&gate.fake);
    gate.tasks = super::start(&gate.parts, &[follow], &gate.stopped);
    assert_eq!(gate.next().await, SyncEvent::BackendUp(true));
    assert_eq!(gate.applied().await, 1);
    // The same people under other keys. A delta from the old keys, if somebody offers one, is not taken.
    Made::new(&gate.fake, &[(11, 0), (12, 0)], 2)
        .with_delta(&gate.fake, 1, &[put(11, 0), put(12, 0)])
        .changed(|manifest| manifest.pepper_id = 8)
        .publish(&gate.fake);
    assert_eq!(gate.applied().await, 2);
    assert_eq!(
        gate.codes.state(&list()).map(|state| state.pepper_id),
        Some(8)
    );
    let other = Made::new(&gate.fake, &[(11, 0)], 3);
    other
        .changed(|manifest| manifest.pepper_id = 9)
        .publish(&gate.fake);
    assert!(gate.refused().await.contains("made with pepper 00000009"));
}

#[tokio::test(start_paused = true)]
async fn tasks_end_when_told() {
    let mut gate = Gate::with_a_list().await;
    gate.stop.send(true).unwrap();
    while time::timeout(Duration::from_secs(1), gate.tasks.join_next())
        .await
        .unwrap()
        .is_some()
    {}
}

#[tokio::test(start_paused = true)]
async fn passages_go_in_order_in_bounded_batches_with_their_chain() {
    let mut gate = Gate::new();
    gate.record(2_600);
    gate.start();
    let mut last = 0;
    while last < 2_600 {
        if let SyncEvent::Delivered { seq, .. } = gate.next().await {
            last = seq;
        }
    }
    let delivered = gate.fake.delivered.lock().unwrap().clone();
    let sizes: Vec<_> = delivered
        .iter()
        .map(|delivery| delivery.events.len())
        .collect();
    assert_eq!(
        sizes,
        [500, 500, 1_000, 600],
        "the second is put together while the first is under way"
    );
    let mut before = [0; 32];
    for (expected, event) in (1..).zip(delivered.iter().flat_map(|delivery| &delivery.events)) {
        assert_eq!(event.seq, expected);
        let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
            sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), before),
            &event.record,
        ))
        .into();
        assert_eq!(hex::encode(&hash), event.hash);
        before = hash;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_what_was_never_sent_deletes_nothing() {
    let mut gate = Gate::new();
    gate.record(3);
    let ack = |acked_seq| Ok(Reply::Acked(acked_seq));
    let other_gate = |acked: &mut Acknowledged| acked.gate = GateId::new("gate-2").unwrap();
    gate.fake.now(|answers| {
        answers.passages = [
            ack(4),
            ack(u64::MAX),
            Ok(Reply::Raw(b"[]")),
            Ok(Reply::Raw(br#"{"acked_seq":3}"#)),
            Ok(Reply::Changed(other_gate)),
            Ok(Reply::Changed(|acked| acked.epoch = "0".repeat(32))),
            ack(0),
            ack(2),
        ]
        .into();
    });
    let mut refused = Vec::new();
    gate.start();
    loop {
        match gate.next().await {
            SyncEvent::Delivered { seq, records } => {
                // The first that is believed: two of three.
                assert_eq!((seq, records), (2, 2));
                break;
            }
            SyncEvent::DeliveryRefused { why } => refused.push(why),
            SyncEvent::BackendUp(_) | SyncEvent::ListFailed { .. } => {
                assert!(gate.fake.delivered.lock().unwrap().len() < 8);
            }
            other => panic!("{other:?}"),
        }
    }
    let told = [
        "acknowledges 4",
        "acknowledges 18446744073709551615",
        "no acknowledgement",
        "another gate or another epoch",
    ];
    assert_eq!(refused.len(), told.len(), "{refused:?}");
    for (why, part) in refused.iter().zip(told) {
        assert!(why.contains(part), "{why}");
    }
    let event = gate.next().await;
    assert_eq!(event, SyncEvent::Delivered { seq: 3, records: 1 });
    assert_eq!(gate.fake.delivered.lock().unwrap().len(), 9);
    assert_eq!(gate.journal.status().backlog, 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_has_lost_records_gets_the_others_under_one_new_epoch() {
    let mut gate = Gate::new();
    gate.record(5);
    gate.journal.acknowledge(3).unwrap();
    let old = gate.journal.status().epoch;
    gate.fake.now(|answers| {
        answers.passages = [
            Ok(Reply::Acked(1)),
            // It does not want to know of them under the new epoch either, for a while.
            Ok(Reply::Acked(1)),
            Ok(Reply::Acked(0)),
        ]
        .into();
    });
    gate.start();
    let (mut lost, mut refused) = (Vec::new(), 0);
    loop {
        match gate.next().await {
            SyncEvent::BackendLost { from, to } => lost.push((from, to)),
            SyncEvent::DeliveryRefused { .. } => refused += 1,
            SyncEvent::Delivered { seq, records } => {
                assert_eq!((seq, records), (5, 2));
                break;
            }
            _ => {}
        }
    }
    assert_eq!(
        (lost, refused),
        (vec![(2, 3)], 2),
        "one new epoch, not one a try"
    );
    let delivered = gate.fake.delivered.lock().unwrap();
    let new = gate.journal.status().epoch.to_string();
    let epochs: Vec<_> = delivered.iter().map(|delivery| &delivery.epoch).collect();
    assert_eq!(epochs, [&old.to_string(), &new, &new, &new]);
    assert!(delivered.iter().all(|delivery| delivery.first_seq == 4));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_starts_a_new_epoch_and_everything_is_sent_again() {
    let mut gate = Gate::new();
    gate.record(2);
    let old = gate.journal.status().epoch;
    gate.fake
        .now(|answers| answers.passages = [Err(LinkError::Conflict)].into());
    gate.start();
    let new = loop {
        if let SyncEvent::EpochConflict { epoch } = gate.next().await {
            break epoch;
        }
    };
    assert_ne!(new, old);
    loop {
        if let SyncEvent::Delivered { seq, records } = gate.next().await {
            assert_eq!((seq, records), (2, 2));
            break;
        }
    }
    let delivered = gate.fake.delivered.lock().unwrap();
    assert_eq!(delivered[0].epoch, old.to_string());
    assert_eq!(delivered[1].epoch, new.to_string());
    assert_eq!(delivered[0].events, delivered[1].events);
}

#[tokio::test(start_paused = true)]
async fn an_online_answer_is_late_lost_or_nonsense_but_never_red() {
    let gate = Gate::new();
    let (fake, report) = (Arc::clone(&gate.fake), Arc::clone(&gate.parts.report));
    let online = Online::new(gate.parts.gate.clone(), &[list()], fake, report);
    let question = online::Question {
        profile: "opaque".into(),
        issuer: IssuerId::new("demo").unwrap(),
        identifier: Personal::new("CODE-1".into()),
        held_by: None,
    };
    let within = Duration::from_millis(800);
    let ask = async |answer: Option<Result<&str, LinkError>>| {
        let answer = answer.map(|answer| answer.map(|text| text.as_bytes().to_vec()));
        gate.fake.now(|answers| answers.resolve = answer);
        online.resolve(&question, within).await
    };
    let failed = Err(HealthOutcome::QueryFailed);
    assert_eq!(ask(None).await, Err(HealthOutcome::TimedOut));
    assert_eq!(
        ask(Some(Err(LinkError::NotFound))).await,
        Err(HealthOutcome::Unknown)
    );
    assert_eq!(ask(Some(Err(LinkError::Status(500)))).await, failed);
    assert_eq!(ask(Some(Err(LinkError::TooLong))).await, failed);
    assert_eq!(ask(Some(Ok("<html>"))).await, failed);
    assert_eq!(
        ask(Some(Ok(r#"{"id":"{id}","health":"gree"}"#))).await,
        failed
    );
    assert_eq!(
        ask(Some(Ok(r#"{"id":"{id}","health":"green","subject":"12"}"#))).await,
        failed
    );
    assert_eq!(
        ask(Some(Ok(r#"{"id":"{id}","health":"query_failed"}"#))).await,
        failed
    );
    // The answer to somebody else's question.
    for other in ["", r#""id":"0123456789abcdef","#] {
        let text = format!(r#"{{{other}"health":"green"}}"#);
        assert_eq!(ask(Some(Ok(&text))).await, failed, "{text}");
    }
    assert_eq!(
        ask(Some(Ok(r#"{"id":"{id}","health":"unknown"}"#))).await,
        Err(HealthOutcome::Unknown)
    );
    let away = Err(LinkError::Away("reset".into()));
    assert_eq!(ask(Some(away)).await, Err(HealthOutcome::TimedOut));
    let green = ask(Some(Ok(
        r#"{"id":"{id}","health":"green","entitlements":3}"#,
    )))
    .await
    .unwrap();
    assert_eq!(
        (green.health, green.entitlements),
        (HealthOutcome::Green, 3)
    );
    assert_eq!((green.subject, green.valid_until), (None, None));
}
