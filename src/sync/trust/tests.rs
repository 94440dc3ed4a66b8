//! The trust list is followed from a backend that lies, breaks and goes away. Time is virtual.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event and passes over the others"
)]

use std::sync::Mutex;

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::super::client::{Ask, Fetched};
use super::super::manifest::ChunkId;
use super::*;
use crate::domain::{GateId, ListId, Mono};
use crate::store::codes::MemoryCodes;
use crate::store::journal::{Journal, Limits};
use crate::sync::Report;

const CREATED_S: u64 = 1_770_000_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn pinned(seeds: &[u8]) -> PinnedKeys {
    let keys = seeds
        .iter()
        .map(|seed| dsse::public_key_text(&key(*seed).verifying_key()));
    PinnedKeys::parse(&keys.collect::<Vec<_>>()).unwrap()
}

fn envelope(version: u64, content: &str, seed: u8) -> Vec<u8> {
    let document = format!(
        r#"{{"version":{version},"created":{CREATED_S},"not_after":{},"issuer":"{content}"}}"#,
        CREATED_S + 100
    );
    dsse::sign(PAYLOAD_TYPE, document.as_bytes(), &key(seed)).into_bytes()
}

/// A backend that answers every question about the trust list with this.
#[derive(Default)]
struct Fake(Mutex<Option<Vec<u8>>>, Mutex<bool>);

impl Transport for Fake {
    async fn manifest(&self, _: &ListId, _: &Ask) -> Result<Fetched, LinkError> {
        Err(LinkError::NotFound)
    }

    async fn trust(&self, ask: &Ask) -> Result<Fetched, LinkError> {
        if *self.1.lock().unwrap() {
            return Err(LinkError::Away("connection refused".into()));
        }
        let envelope = self.0.lock().unwrap().clone().ok_or(LinkError::NotFound)?;
        let etag = Some(super::super::hex::encode(&digest(&envelope)));
        if ask.etag == etag {
            return Ok(Fetched::Same);
        }
        Ok(Fetched::New { etag, envelope })
    }

    async fn chunk(&self, _: &ChunkId) -> Result<Vec<u8>, LinkError> {
        Err(LinkError::NotFound)
    }

    async fn passages(&self, _: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        Err(LinkError::NotFound)
    }

    async fn resolve(&self, _: Vec<u8>, _: Duration) -> Result<Vec<u8>, LinkError> {
        Err(LinkError::NotFound)
    }
}

struct Gate {
    fake: Arc<Fake>,
    journal: Journal,
    /// Documents that were taken.
    taken: Arc<Mutex<Vec<u64>>>,
    /// What whoever reads them says against them.
    objection: Arc<Mutex<Option<String>>>,
    events: mpsc::Receiver<SyncEvent>,
    _stop: watch::Sender<bool>,
    _task: JoinHandle<()>,
    _dir: TempDir,
}

impl Gate {
    /// A gate that decides by this version, with the keys 1 and 2 pinned.
    fn with(in_force: (u64, Option<[u8; 32]>), floor: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), Limits::of_mib(8)).unwrap();
        if floor > 0 {
            journal.raise_floor(FLOOR, 0, floor).unwrap();
        }
        let fake = Arc::new(Fake::default());
        let (send, events) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let started = time::Instant::now();
        let parts = Arc::new(Parts {
            gate: GateId::new("gate-1").unwrap(),
            transport: Arc::clone(&fake),
            codes: Arc::new(MemoryCodes::default()),
            journal: journal.clone(),
            keys: pinned(&[9]),
            poll: Duration::from_secs(2),
            report: Arc::new(Report::new(send)),
            wake: Arc::new(Notify::new()),
            now: Arc::new(move || Mono::default() + started.elapsed()),
        });
        let (taken, objection) = (Arc::default(), Arc::default());
        let (take, say) = (Arc::clone(&taken), Arc::clone(&objection));
        let trust = FollowedTrust {
            keys: pinned(&[1, 2]),
            in_force,
            take: Arc::new(move |signed| {
                if let Some(why) = Mutex::<Option<String>>::lock(&say).unwrap().clone() {
                    return Err(why);
                }
                Mutex::<Vec<u64>>::lock(&take).unwrap().push(signed.version);
                Ok(())
            }),
        };
        let task = tokio::spawn(follow(parts, trust, stopped));
        Self {
            fake,
            journal,
            taken,
            objection,
            events,
            _stop: stop,
            _task: task,
            _dir: dir,
        }
    }

    fn backend_has(&self, envelope: Vec<u8>) {
        *self.fake.0.lock().unwrap() = Some(envelope);
    }

    async fn next(&mut self) -> SyncEvent {
        loop {
            let event = time::timeout(Duration::from_secs(3_600), self.events.recv());
            match event.await.expect("nothing is told").expect("sync ended") {
                SyncEvent::BackendUp(_) => {}
                other => return other,
            }
        }
    }

    async fn applied(&mut self) -> u64 {
        match self.next().await {
            SyncEvent::TrustApplied { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    async fn refused(&mut self) -> String {
        match self.next().await {
            SyncEvent::TrustFailed { why } => why,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is told for an hour, however often the backend is asked.
    async fn stays(&mut self) {
        let told = time::timeout(Duration::from_secs(3_600), self.events.recv()).await;
        let nothing = matches!(told, Err(_) | Ok(Some(SyncEvent::BackendUp(true))));
        assert!(nothing, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_is_taken_and_raises_the_floors() {
    let mut gate = Gate::with((1, None), 0);
    gate.backend_has(envelope(4, "a", 1));
    assert_eq!(gate.applied().await, 4);
    assert_eq!(gate.journal.floor(FLOOR).unwrap(), Some((0, 4)));
    gate.backend_has(envelope(5, "a", 2));
    assert_eq!(gate.applied().await, 5);
    assert_eq!(*gate.taken.lock().unwrap(), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn an_older_one_is_refused_even_if_what_was_accepted_is_lost() {
    let mut gate = Gate::with((1, None), 7);
    gate.backend_has(envelope(6, "a", 1));
    let why = gate.refused().await;
    assert!(
        why.contains("version 6 is older than what was accepted before, version 7"),
        "{why}"
    );
    gate.stays().await;
    gate.backend_has(envelope(7, "a", 1));
    assert_eq!(gate.applied().await, 7);
    gate.backend_has(envelope(6, "a", 1));
    assert!(gate.refused().await.contains("version 6 is older"));
    assert_eq!(*gate.taken.lock().unwrap(), [7]);
}

#[tokio::test(start_paused = true)]
async fn one_version_has_one_content_and_one_that_is_not_newer_than_the_file_is_left_alone() {
    let mut gate = Gate::with((5, None), 0);
    gate.backend_has(envelope(5, "a", 1));
    gate.stays().await;
    gate.backend_has(envelope(6, "a", 1));
    assert_eq!(gate.applied().await, 6);
    gate.backend_has(envelope(6, "b", 1));
    let why = gate.refused().await;
    assert!(
        why.contains("version 6 is in force already, with something else in it"),
        "{why}"
    );
    assert_eq!(*gate.taken.lock().unwrap(), [6]);
}

#[tokio::test(start_paused = true)]
async fn what_no_pinned_key_has_signed_is_refused_and_told_once() {
    let mut gate = Gate::with((1, None), 0);
    gate.backend_has(envelope(4, "a", 3));
    assert!(gate.refused().await.contains("no pinned key has signed"));
    gate.stays().await;
    let mut tampered = envelope(4, "a", 1);
    let at = String::from_utf8(tampered.clone())
        .unwrap()
        .find("\"payload\":\"")
        .unwrap()
        + 14;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    gate.backend_has(tampered);
    // Told as the same trouble: no pinned key has signed that either.
    gate.stays().await;
    gate.backend_has(b"<html>".to_vec());
    assert!(gate.refused().await.contains("not a signed document"));
    let manifest = dsse::sign("application/vnd.turnstiled.manifest+json", b"{}", &key(1));
    gate.backend_has(manifest.into_bytes());
    assert!(gate.refused().await.contains("of another type"));
    assert!(gate.taken.lock().unwrap().is_empty());
    gate.backend_has(envelope(4, "a", 1));
    assert_eq!(gate.applied().await, 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_is_refused_whole_and_asked_for_again() {
    let mut gate = Gate::with((1, None), 0);
    *gate.objection.lock().unwrap() = Some("key `issuer[0].profile`: no".into());
    gate.backend_has(envelope(4, "a", 1));
    assert!(gate.refused().await.contains("key `issuer[0].profile`"));
    assert_eq!(gate.journal.floor(FLOOR).unwrap(), None);
    *gate.objection.lock().unwrap() = None;
    assert_eq!(gate.applied().await, 4);
}

#[tokio::test(start_paused = true)]
async fn without_a_backend_or_without_its_trust_list_the_gate_goes_on_asking() {
    let mut gate = Gate::with((1, None), 0);
    gate.stays().await;
    *gate.fake.1.lock().unwrap() = true;
    let told = time::timeout(Duration::from_secs(600), gate.events.recv()).await;
    assert!(
        matches!(told, Ok(Some(SyncEvent::BackendUp(false)))),
        "{told:?}"
    );
    *gate.fake.1.lock().unwrap() = false;
    gate.backend_has(envelope(2, "a", 1));
    assert_eq!(gate.applied().await, 2);
}
