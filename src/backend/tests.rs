//! A gate's sync and the backend, over real HTTP on loopback.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and passes over the others"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;

use super::http::{OPENAPI, routes};
use super::*;
use crate::codes::row_key::{ID_CARD, OPAQUE, row_key};
use crate::domain::{
    Colour, Entry, HealthOutcome, IssuerId, Kind, Mono, Now, Personal, Record, Row, RowKey, Subject,
};
use crate::store::codes::{Codes, MemoryCodes};
use crate::store::journal::{Journal, Limits};
use crate::sync::client::{self, Client, Transport};
use crate::sync::online::Question;
use crate::sync::{Followed, Online, Parts, PinnedKeys, Report, SyncEvent};

pub(super) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const SOON: Duration = Duration::from_secs(10);

pub(super) fn list() -> ListId {
    ListId::new("health").unwrap()
}

fn gate_id() -> GateId {
    GateId::new("gate-1").unwrap()
}

fn row(colour: Option<Colour>) -> Row {
    Row {
        subject: Subject([1; 8]),
        valid_from_s: 0,
        valid_until_s: 2_000_000_000,
        colour,
        entitlements: 1,
        region: 3,
    }
}

fn key(n: u32) -> RowKey {
    let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
        <sha2::Sha256 as sha2::Digest>::new(),
        n.to_be_bytes(),
    ))
    .into();
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    RowKey(key)
}

pub(super) fn put(n: u32, colour: Colour) -> Change {
    Change::Put(key(n), row(Some(colour)).encode())
}

/// The sync half of a gate, with a cache in memory and a journal on disk.
pub(super) struct Gate {
    pub(super) codes: MemoryCodes,
    journal: Journal,
    wake: Arc<Notify>,
    events: mpsc::Receiver<SyncEvent>,
    online: Online<Client>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    dir: TempDir,
}

impl Gate {
    fn start(backend: &Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pepper_id = backend.pepper(&list()).unwrap().id();
        Self::start_in(dir, &backend.url(), &backend.list_public_key(), pepper_id)
    }

    pub(super) fn start_in(dir: TempDir, url: &str, public_key: &str, pepper_id: u32) -> Self {
        let codes = MemoryCodes::default();
        let (journal, _) = Journal::open(dir.path(), Limits::of_mib(8)).unwrap();
        let (send, events) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let (wake, report) = (Arc::new(Notify::new()), Arc::new(Report::new(send)));
        let transport = Arc::new(Client::new(url).unwrap());
        let parts = Arc::new(Parts {
            gate: gate_id(),
            transport: Arc::clone(&transport),
            codes: Arc::new(codes.clone()),
            journal: journal.clone(),
            keys: PinnedKeys::parse(&[public_key]).unwrap(),
            poll: Duration::from_millis(20),
            report: Arc::clone(&report),
            wake: Arc::clone(&wake),
            now: Arc::new(Mono::default),
        });
        let follow = Followed {
            list: list(),
            pepper_ids: vec![pepper_id],
        };
        let tasks = crate::sync::start(&parts, &[follow], &stopped);
        let online = Online::new(gate_id(), &[list()], transport, report);
        Self {
            codes,
            journal,
            wake,
            events,
            online,
            stop,
            tasks,
            dir,
        }
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(&SyncEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("sync ended");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        time::timeout(SOON, search).await.expect("no such event")
    }

    pub(super) async fn applied(&mut self) -> u64 {
        self.until(|event| match event {
            SyncEvent::ListApplied { state, .. } => Some(state.version),
            _ => None,
        })
        .await
    }

    async fn delivered_up_to(&mut self, last: u64) {
        self.until(|event| match event {
            SyncEvent::Delivered { seq, .. } if *seq >= last => Some(()),
            _ => None,
        })
        .await;
    }

    async fn backend(&mut self, wanted: bool) {
        self.until(|event| (*event == SyncEvent::BackendUp(wanted)).then_some(()))
            .await;
    }

    fn record(&self, count: u32) {
        let entry = |n| Entry {
            grant: None,
            record: Record::new(1, Now::default(), None, Kind::Gap { unrecorded: n }),
            changes: Vec::new(),
        };
        // Records of different calls differ.
        let entries: Vec<Entry> = (0..count).map(|n| entry(count * 10_000 + n)).collect();
        self.journal.append(&entries).unwrap();
        self.wake.notify_one();
    }

    pub(super) fn colour(&self, n: u32) -> Option<Colour> {
        self.codes
            .look_up(&list(), &key(n))
            .unwrap()
            .and_then(|row| row.colour)
    }

    pub(super) async fn end(mut self) -> TempDir {
        self.stop.send(true).unwrap();
        while time::timeout(SOON, self.tasks.join_next())
            .await
            .unwrap()
            .is_some()
        {}
        self.dir
    }
}

pub(super) async fn backend(dir: &TempDir) -> Backend {
    Backend::start(ANY_PORT, dir.path()).await.unwrap()
}

pub(super) async fn import(backend: &Backend, mode: Mode, changes: Vec<Change>) -> Imported {
    backend.import(&list(), mode, changes).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_gets_a_snapshot_then_a_delta_and_knows_the_person() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let mut gate = Gate::start(&backend);
    // The gate asks before there is a list, and hears of it at once.
    import(
        &backend,
        Mode::Replace,
        (0..60_000).map(|n| put(n, Colour::Green)).collect(),
    )
    .await;
    assert_eq!(gate.applied().await, 1);
    assert_eq!(gate.colour(5), Some(Colour::Green));
    let patch = vec![
        put(5, Colour::Red),
        put(60_001, Colour::Yellow),
        Change::Remove(key(7)),
    ];
    let imported = import(&backend, Mode::Patch, patch).await;
    assert_eq!((imported.version, imported.rows), (2, 60_000));
    assert_eq!(gate.applied().await, 2);
    assert_eq!(gate.colour(5), Some(Colour::Red));
    assert_eq!(gate.colour(60_001), Some(Colour::Yellow));
    assert!(gate.codes.look_up(&list(), &key(7)).unwrap().is_none());
    gate.end().await;
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manifest_offers_deltas_and_pieces_stay_where_nothing_changed() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    import(
        &backend,
        Mode::Replace,
        (0..60_000).map(|n| put(n, Colour::Green)).collect(),
    )
    .await;
    let before = manifest(&backend).await;
    assert!(before.deltas.is_empty() && before.snapshot.len() >= 3);
    import(&backend, Mode::Patch, vec![put(1, Colour::Red)]).await;
    import(
        &backend,
        Mode::Patch,
        vec![put(1, Colour::Green), put(2, Colour::Red)],
    )
    .await;
    let after = manifest(&backend).await;
    assert_eq!(
        after.deltas.iter().map(|d| d.from).collect::<Vec<_>>(),
        [2, 1]
    );
    let kept = after
        .snapshot
        .iter()
        .filter(|id| before.snapshot.contains(id))
        .count();
    assert_eq!(
        kept,
        before.snapshot.len() - 1,
        "only one piece holds a row that changed"
    );
    // The same again changes nothing, and nothing is signed for it.
    let again = import(&backend, Mode::Patch, vec![put(2, Colour::Red)]).await;
    assert_eq!((again.version, again.changed), (3, false));
    for n in 10..40 {
        import(&backend, Mode::Patch, vec![put(n, Colour::Red)]).await;
    }
    let many = manifest(&backend).await;
    assert_eq!(many.deltas.len(), 16);
    assert_eq!(many.deltas[15].from, many.version - 16);
    backend.shutdown().await;
}

pub(super) async fn manifest(backend: &Backend) -> crate::sync::manifest::Manifest {
    let client = Client::new(&backend.url()).unwrap();
    let fetched = client
        .manifest(&list(), &client::Ask::default())
        .await
        .unwrap();
    let client::Fetched::New { envelope, .. } = fetched else {
        panic!("not a manifest")
    };
    let keys = PinnedKeys::parse(&[backend.list_public_key()]).unwrap();
    crate::sync::manifest::Manifest::open(&envelope, &list(), &keys).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passages_arrive_once_however_often_they_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let mut gate = Gate::start(&backend);
    gate.record(1_200);
    gate.delivered_up_to(1_200).await;
    assert_eq!(gate.journal.status().backlog, 0);
    let counts = backend.counts(&gate_id()).unwrap();
    assert_eq!(counts.len(), 1);
    assert_eq!(
        counts[0].1,
        Counts {
            stored: 1_200,
            repeated: 0,
            conflicts: 0
        }
    );
    assert_eq!(counts[0].0, gate.journal.status().epoch.to_string());
    gate.end().await;
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_sent_again_and_changes_nothing() {
    let (dir, gate_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backend = backend(&dir).await;
    // The journal is copied before delivery: the copy sends what the backend has already.
    let (journal, _) = Journal::open(gate_dir.path(), Limits::of_mib(8)).unwrap();
    let gap = |n| Entry {
        grant: None,
        record: Record::new(1, Now::default(), None, Kind::Gap { unrecorded: n }),
        changes: Vec::new(),
    };
    journal.append(&[gap(1), gap(2)]).unwrap();
    drop(journal);
    let copy = copied(gate_dir.path());
    let pepper_id = backend.pepper(&list()).unwrap().id();
    let mut first = Gate::start_in(
        gate_dir,
        &backend.url(),
        &backend.list_public_key(),
        pepper_id,
    );
    first.delivered_up_to(2).await;
    let mut second = Gate::start_in(copy, &backend.url(), &backend.list_public_key(), pepper_id);
    second.delivered_up_to(2).await;
    let counts = backend.counts(&gate_id()).unwrap();
    assert_eq!(
        counts[0].1,
        Counts {
            stored: 2,
            repeated: 2,
            conflicts: 0
        }
    );
    // From here on the two journals differ: the second to speak gets a new epoch and loses nothing.
    first.record(3);
    first.delivered_up_to(5).await;
    second.record(1);
    second.record(4);
    second
        .until(|event| matches!(event, SyncEvent::EpochConflict { .. }).then_some(()))
        .await;
    second.delivered_up_to(7).await;
    let counts = backend.counts(&gate_id()).unwrap();
    let all: u64 = counts.iter().map(|(_, counts)| counts.stored).sum();
    assert_eq!((counts.len(), all), (2, 2 + 3 + 5));
    first.end().await;
    second.end().await;
    backend.shutdown().await;
}

fn copied(from: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backend_goes_away_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    import(&backend, Mode::Replace, vec![put(1, Colour::Green)]).await;
    let (addr, public_key) = (backend.addr(), backend.list_public_key());
    let mut gate = Gate::start(&backend);
    assert_eq!(gate.applied().await, 1);
    backend.shutdown().await;
    gate.backend(false).await;
    gate.record(3);
    assert_eq!(
        gate.colour(1),
        Some(Colour::Green),
        "what the gate has stays in force"
    );
    let backend = Backend::start(addr, dir.path()).await.unwrap();
    assert_eq!(
        backend.list_public_key(),
        public_key,
        "the key outlives a restart"
    );
    gate.backend(true).await;
    gate.delivered_up_to(3).await;
    import(&backend, Mode::Patch, vec![put(1, Colour::Red)]).await;
    assert_eq!(gate.applied().await, 2);
    gate.end().await;
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_restored_from_an_old_copy_is_refused_until_a_new_era() {
    let (dir, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let new = backend(&dir).await;
    import(&new, Mode::Replace, vec![put(1, Colour::Green)]).await;
    let addr = new.addr();
    let mut gate = Gate::start(&new);
    gate.applied().await;
    new.shutdown().await;
    for part in ["", "keys", "peppers"] {
        std::fs::create_dir_all(old.path().join(part)).unwrap();
        for file in std::fs::read_dir(dir.path().join(part)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), old.path().join(part).join(file.file_name())).unwrap();
            }
        }
    }
    let new = Backend::start(addr, dir.path()).await.unwrap();
    import(&new, Mode::Patch, vec![put(1, Colour::Red)]).await;
    assert_eq!(gate.applied().await, 2);
    new.shutdown().await;
    // The old copy says version 1, in which the person was still green. Losing the cache does not help it.
    gate.codes.lose(&list());
    let old_backend = Backend::start(addr, old.path()).await.unwrap();
    let why = gate
        .until(|event| match event {
            SyncEvent::ListFailed { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert!(why.contains("older than what was accepted"), "{why}");
    assert!(gate.codes.state(&list()).is_none());
    let inner = Arc::clone(&old_backend.inner);
    blocking(move || {
        inner.import_changes(
            &list(),
            Mode::Replace,
            true,
            None,
            &[put(1, Colour::Yellow)],
        )
    })
    .await
    .unwrap()
    .unwrap();
    gate.applied().await;
    assert_eq!(gate.colour(1), Some(Colour::Yellow));
    gate.end().await;
    old_backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_is_asked_online() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let issuer = IssuerId::new("demo").unwrap();
    let pepper = backend.pepper(&list()).unwrap();
    let card = row_key(&pepper, ID_CARD, &issuer, "11010119000101001X").unwrap();
    let code = row_key(&pepper, OPAQUE, &issuer, "CODE-2").unwrap();
    let rows = vec![
        Change::Put(card, row(Some(Colour::Yellow)).encode()),
        Change::Put(code, row(None).encode()),
    ];
    import(&backend, Mode::Replace, rows).await;
    let gate = Gate::start(&backend);
    let ask = async |profile: &str, text: &str| {
        let question = Question {
            profile: profile.into(),
            issuer: issuer.clone(),
            identifier: Personal::new(text.into()),
            held_by: None,
        };
        gate.online.resolve(&question, SOON).await
    };
    let standing = ask("id_card", " 11010119000101001x ").await.unwrap();
    assert_eq!(standing.health, HealthOutcome::Yellow);
    assert_eq!(standing.subject, Some(Subject([1; 8])));
    assert_eq!(
        standing.valid_until,
        Some(Utc::from_millis(2_000_000_000_999))
    );
    assert_eq!((standing.valid_from, standing.entitlements), (None, 1));
    assert_eq!(standing.lists[0].list, list());
    assert_eq!(
        ask("opaque", "CODE-2").await.unwrap().health,
        HealthOutcome::NotApplied
    );
    assert_eq!(ask("opaque", "CODE-3").await, Err(HealthOutcome::Unknown));
    let too_long = "x".repeat(9_000);
    assert_eq!(
        ask("opaque", &too_long).await,
        Err(HealthOutcome::QueryFailed)
    );
    backend.shutdown().await;
    assert_eq!(ask("opaque", "CODE-2").await, Err(HealthOutcome::TimedOut));
    gate.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_list_is_signed_again_and_the_gate_takes_the_new_date() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_770_000_000));
    let clock_now = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Utc::from_secs(clock_now.load(Ordering::Relaxed)));
    let backend = Backend::start_with(ANY_PORT, dir.path(), clock)
        .await
        .unwrap();
    import(&backend, Mode::Replace, vec![put(1, Colour::Green)]).await;
    let mut gate = Gate::start(&backend);
    gate.applied().await;
    now.fetch_add(3_599, Ordering::Relaxed);
    backend.inner.resign().unwrap();
    assert_eq!(
        manifest(&backend).await.created,
        Utc::from_secs(1_770_000_000)
    );
    now.fetch_add(1, Ordering::Relaxed);
    backend.inner.resign().unwrap();
    let again = manifest(&backend).await;
    assert_eq!(
        (again.version, again.created),
        (1, Utc::from_secs(1_770_003_600))
    );
    // The gate waits for a newer version, and hears of the new date at once.
    let state = gate
        .until(|event| match event {
            SyncEvent::ListCurrent { state, .. } => Some(*state),
            _ => None,
        })
        .await;
    assert_eq!(state.created, Utc::from_secs(1_770_003_600));
    assert_eq!(gate.codes.state(&list()), Some(state));
    gate.end().await;
    backend.shutdown().await;
}

#[test]
fn every_call_is_described_and_every_description_is_a_call() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "parameters")
        {
            described.insert((path.clone(), method.clone()));
        }
    }
    let served: BTreeSet<(String, String)> = routes()
        .iter()
        .flat_map(|(path, methods, _)| methods.iter().map(|m| ((*path).into(), (*m).into())))
        .collect();
    assert_eq!(served, described);
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    for part in OPENAPI.split("\"$ref\":").skip(1) {
        let target = part.split('"').nth(1).unwrap();
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_answer_as_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let client = Client::new(&backend.url()).unwrap();
    for (path, methods, _) in routes() {
        let path = path
            .replace("{list}", "health")
            .replace("{sha256}", &"0".repeat(64));
        for method in ["get", "post", "put", "delete"] {
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let response = client::send(client.request(verb, &path, None))
                .await
                .unwrap();
            let served = response.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(served, methods.contains(&method), "{method} {path}");
        }
    }
    backend.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_bodies_are_refused_with_a_sentence_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let client = Client::new(&backend.url()).unwrap();
    let post = async |path: &str, query: &str, kind: &str, body: Vec<u8>| {
        let request = client
            .request(Method::POST, path, Some(query))
            .header("content-type", kind)
            .body(body);
        // A server that refuses a body before it has all of it may be gone while we still send: 0.
        let response = client::send(request).await;
        response.map_or(0, |response| response.status().as_u16())
    };
    let pepper_id = backend.pepper(&list()).unwrap().id();
    let import = "/v1/lists/health/import";
    let query = format!("mode=replace&pepper_id={pepper_id}");
    let octets = "application/octet-stream";
    let mut unknown_flag = crate::sync::chunk::encode_row(&put(1, Colour::Green));
    unknown_flag[32] = 4;
    assert_eq!(
        post(import, &query, octets, unknown_flag.to_vec()).await,
        422
    );
    let remove = crate::sync::chunk::encode_row(&Change::Remove(key(1)));
    assert_eq!(post(import, &query, octets, remove.to_vec()).await, 422);
    let row = crate::sync::chunk::encode_row(&put(1, Colour::Green));
    assert_eq!(post(import, &query, octets, [row, row].concat()).await, 422);
    assert_eq!(post(import, &query, octets, row[..39].to_vec()).await, 400);
    assert_eq!(post(import, &query, "text/plain", row.to_vec()).await, 415);
    let other = format!("mode=replace&pepper_id={}", pepper_id.wrapping_add(1));
    assert_eq!(post(import, &other, octets, row.to_vec()).await, 409);
    assert!(backend.inner.all_published().is_empty());
    let json = "application/json";
    let passages = "/v1/passages";
    assert_eq!(post(passages, "", json, b"{".to_vec()).await, 400);
    assert_eq!(post(passages, "", "text/plain", b"{}".to_vec()).await, 415);
    let too_long = post(passages, "", json, vec![b' '; 6 << 20]).await;
    assert!(matches!(too_long, 413 | 0), "{too_long}");
    let event = |seq: u64, hash: &str, record: &str| {
        serde_json::json!({"gate": "g", "epoch": "00".repeat(16), "first_seq": 1,
            "events": [{"seq": seq, "hash": hash, "record": record}]})
        .to_string()
        .into_bytes()
    };
    let hash = "ab".repeat(32);
    for bad in [
        event(2, &hash, "{}"),
        event(1, "ab", "{}"),
        event(1, &hash, "{"),
        event(1, &hash, "{}\n{}"),
        event(1, &hash, "[]"),
    ] {
        assert_eq!(post(passages, "", json, bad).await, 400);
    }
    assert_eq!(post(passages, "", json, event(1, &hash, "{}")).await, 200);
    assert_eq!(
        post(passages, "", json, event(1, &"cd".repeat(32), "{}")).await,
        409
    );
    let read = client::send(client.request(Method::GET, passages, Some("gate=g")))
        .await
        .unwrap();
    assert_eq!(read.headers()["turnstile-after"], "1");
    let line = client::read(read, 1 << 20).await.unwrap();
    let line: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&line["seq"], &line["hash"]), (&1.into(), &hash.into()));
    backend.shutdown().await;
}

#[tokio::test]
async fn a_backend_does_not_leave_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Backend::start("0.0.0.0:0".parse().unwrap(), dir.path()).await;
    assert!(matches!(refused, Err(BackendError::NotLoopback(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_for_the_owner_only_and_the_fragment_names_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    import(&backend, Mode::Replace, vec![put(1, Colour::Green)]).await;
    for secret in ["keys/lists.key", "peppers/health.pepper"] {
        let mode = std::fs::metadata(dir.path().join(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let fragment = std::fs::read_to_string(dir.path().join("gate-fragment.toml")).unwrap();
    let fragment: toml::Table = fragment.parse().unwrap();
    assert_eq!(
        fragment["backend"]["url"].as_str(),
        Some(backend.url().as_str())
    );
    let keys = fragment["backend"]["list_keys"].as_array().unwrap();
    assert_eq!(keys[0].as_str(), Some(backend.list_public_key().as_str()));
    let pepper = fragment["list"][0]["pepper_file"].as_str().unwrap();
    let pepper = Pepper::parse(&std::fs::read_to_string(pepper).unwrap()).unwrap();
    assert_eq!(pepper, backend.pepper(&list()).unwrap());
    let taken = Backend::start(ANY_PORT, dir.path()).await;
    assert!(matches!(
        taken,
        Err(BackendError::Store(StoreError::InUse { .. }))
    ));
    backend.shutdown().await;
}

/// Figures, by hand: `ROWS=1000000 cargo test --release --lib large_list -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; prints figures"]
async fn a_large_list_reaches_a_gate_and_so_does_a_small_change() {
    let rows: u32 = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let now = || jiff::Timestamp::now().as_millisecond();
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(&dir).await;
    let mut gate = Gate::start(&backend);
    let changes: Vec<_> = (0..rows).map(|n| put(n, Colour::Green)).collect();
    let began = now();
    import(&backend, Mode::Replace, changes).await;
    println!("import of {rows} rows: {} ms", now() - began);
    let in_force = async {
        while !matches!(
            gate.events.recv().await,
            Some(SyncEvent::ListApplied { .. })
        ) {}
    };
    time::timeout(Duration::from_secs(600), in_force)
        .await
        .unwrap();
    println!("in force at the gate: {} ms", now() - began);
    for n in 0..3 {
        let began = now();
        import(
            &backend,
            Mode::Patch,
            (0..100).map(|k| put(k * 7 + n, Colour::Red)).collect(),
        )
        .await;
        let signed = now() - began;
        gate.applied().await;
        println!(
            "100 changes: signed {signed} ms, in force {} ms",
            now() - began
        );
    }
    gate.end().await;
    backend.shutdown().await;
}
