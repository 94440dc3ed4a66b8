//! A gate against a centre that signs well, badly, late and for others.

use std::sync::{Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::domain::directive::{LaneMode, PolicyChange};
use crate::domain::{ListId, Mode, Mono, Utc};
use crate::store::codes::MemoryCodes;
use crate::store::journal::Limits;
use crate::sync::manifest::ChunkId;
use crate::sync::{Report, dsse};

/// Answers what it is told to.
#[derive(Default)]
struct Centre(Mutex<String>);

impl Transport for Centre {
    async fn manifest(&self, _: &ListId, _: &Ask) -> Result<Fetched, LinkError> {
        std::future::ready(Err(LinkError::NotFound)).await
    }

    async fn chunk(&self, _: &ChunkId) -> Result<Vec<u8>, LinkError> {
        std::future::ready(Err(LinkError::NotFound)).await
    }

    async fn passages(&self, _: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        std::future::ready(Err(LinkError::NotFound)).await
    }

    async fn resolve(&self, _: Vec<u8>, _: Duration) -> Result<Vec<u8>, LinkError> {
        std::future::ready(Err(LinkError::NotFound)).await
    }

    async fn directives(&self, _: &GateId, _: &[GateId], _: &Ask) -> Result<Fetched, LinkError> {
        let answer = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let envelope = answer.into_bytes();
        std::future::ready(Ok(Fetched::New {
            etag: None,
            envelope,
        }))
        .await
    }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn id(name: &str) -> GateId {
    GateId::new(name).unwrap()
}

fn directive(target: Target, version: u64, mode: Mode) -> Directive {
    Directive {
        target,
        version,
        not_before: Utc::from_secs(1_000),
        not_after: Utc::from_secs(2_000),
        modes: vec![LaneMode { lane: None, mode }],
        policy: PolicyChange::default(),
    }
}

struct Gate {
    dir: TempDir,
    journal: Journal,
    follower: Follower<Centre>,
    centre: Arc<Centre>,
    events: mpsc::Receiver<SyncEvent>,
}

impl Gate {
    fn new(dir: TempDir, pinned: &[u8]) -> Self {
        let (journal, _) = Journal::open(dir.path(), Limits::of_mib(8)).unwrap();
        let (send, events) = mpsc::channel(64);
        let centre = Arc::new(Centre::default());
        let texts = |n: &u8| dsse::public_key_text(&key(*n).verifying_key());
        let keys = PinnedKeys::parse(&pinned.iter().map(texts).collect::<Vec<_>>()).unwrap();
        let parts = Arc::new(Parts {
            gate: id("g"),
            transport: Arc::clone(&centre),
            codes: Arc::new(MemoryCodes::default()),
            journal: journal.clone(),
            keys: keys.clone(),
            poll: Duration::from_millis(200),
            report: Arc::new(Report::new(send)),
            wake: Arc::new(Notify::new()),
            now: Arc::new(Mono::default),
        });
        let addressee = Addressee::new(&id("g"), &[id("north")], keys);
        let accepted = addressee.accepted(&journal).unwrap();
        Self {
            dir,
            journal,
            follower: Follower::new(parts, addressee, accepted),
            centre,
            events,
        }
    }

    /// One turn after the centre has answered this; versions in force, and why something was refused.
    async fn hears(&mut self, envelopes: &[String]) -> (Vec<(String, u64)>, Vec<String>) {
        *self.centre.0.lock().unwrap() = format!("[{}]", envelopes.join(","));
        self.follower.turn().await;
        let mut failures = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let SyncEvent::DirectiveFailed { why } = event {
                failures.push(why);
            }
        }
        let in_force = self.follower.accepted.iter();
        let in_force = in_force.map(|one| (one.target.to_string(), one.version));
        (in_force.collect(), failures)
    }

    fn restarts(self, pinned: &[u8]) -> Self {
        let Self {
            dir,
            journal,
            follower,
            centre,
            events,
        } = self;
        drop((journal, follower, centre, events));
        Self::new(dir, pinned)
    }
}

fn ours() -> Target {
    Target::Gate(id("g"))
}

fn signed(target: Target, version: u64, mode: Mode, by: u8) -> String {
    sign(&directive(target, version, mode), &key(by)).unwrap()
}

#[tokio::test]
async fn a_directive_that_is_not_believed_changes_nothing() {
    let mut gate = Gate::new(tempfile::tempdir().unwrap(), &[1]);
    let good = signed(ours(), 5, Mode::Free, 1);
    let five = vec![("gate:g".to_owned(), 5)];
    assert_eq!(gate.hears(&[good]).await, (five.clone(), vec![]));
    let other_type = dsse::sign("application/other", b"{}", &key(1));
    let not_json = dsse::sign(PAYLOAD_TYPE, b"{", &key(1));
    let mut long = directive(ours(), 6, Mode::Emergency);
    long.not_after = Utc::from_secs(1_000 + 24 * 3_600 + 1);
    for (bad, why) in [
        (
            signed(ours(), 6, Mode::Closed, 9),
            "no pinned key has signed",
        ),
        (
            signed(Target::Gate(id("h")), 6, Mode::Closed, 1),
            "not for this gate",
        ),
        (
            signed(Target::Group(id("south")), 6, Mode::Closed, 1),
            "not for this gate",
        ),
        (
            signed(ours(), 4, Mode::Closed, 1),
            "older than what was accepted before, version 5",
        ),
        (signed(ours(), 5, Mode::Closed, 1), "with other content"),
        (sign(&long, &key(1)).unwrap(), "for more than 24 hours"),
        (other_type, "of another type"),
        (not_json, "cannot be read"),
        ("7".into(), "not a signed document"),
    ] {
        let (in_force, failures) = gate.hears(&[bad]).await;
        assert_eq!(in_force, five, "{why}");
        assert!(
            failures.iter().any(|said| said.contains(why)),
            "{why}: {failures:?}"
        );
    }
    // What is good beside something bad counts.
    let (in_force, failures) = gate
        .hears(&["7".into(), signed(ours(), 6, Mode::Free, 1)])
        .await;
    assert_eq!(
        (in_force, failures.len()),
        (vec![("gate:g".into(), 6)], 0),
        "told once a change"
    );
    let flood = vec!["7".to_owned(); ENVELOPES_MAX + 1];
    assert!(gate.hears(&flood).await.1[0].contains("envelopes came at once"));
}

#[tokio::test]
async fn the_gates_own_comes_before_its_groups_and_all_outlive_a_restart() {
    let mut gate = Gate::new(tempfile::tempdir().unwrap(), &[1]);
    let both = [
        signed(Target::Group(id("north")), 8, Mode::Free, 1),
        signed(ours(), 3, Mode::Closed, 1),
    ];
    let in_order = vec![("gate:g".to_owned(), 3), ("group:north".to_owned(), 8)];
    assert_eq!(gate.hears(&both).await, (in_order.clone(), vec![]));
    // The key changes: what was signed by the old one is followed while it is pinned.
    let mut gate = gate.restarts(&[2, 1]);
    assert_eq!(gate.hears(&[]).await.0, in_order);
    let mut gate = gate.restarts(&[2]);
    assert_eq!(gate.hears(&[]).await.0, []);
    // The version has not gone back: only what is signed anew, and not older, counts again.
    let old = signed(ours(), 2, Mode::Free, 2);
    assert!(gate.hears(&[old]).await.1[0].contains("older than"));
    let again = signed(ours(), 3, Mode::Closed, 2);
    assert_eq!(gate.hears(&[again]).await.0, [("gate:g".to_owned(), 3)]);
}
