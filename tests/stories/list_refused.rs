//! A list that is corrupt, forged, swapped, frozen or rolled back: the last good one decides, an operator is told once,
//! and when the truth is told again it is in force within a round.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use turnstiled::backend::system_clock;
use turnstiled::domain::{Reason, Verdict};
use turnstiled::lab::demo::props::Props;
use turnstiled::sync::manifest::ChunkId;

use crate::liar::{Call, Lie};
use crate::link::{Link, opened, signed};
use crate::told::{Log, story};

const REFUSED: &str = "a list is refused; the last good one stays in force";
const FAILURES: &str = "turnstile_list_failures_total{list=\"health\"}";

/// A newer list is published while `lie` is told: it is refused for `why`; then the truth is told.
async fn refused_for(log: Log, seed: u64, lie: impl FnOnce(&Link), why: &str) {
    let mut gate = Link::new(log, seed).await;
    let version = gate.version();
    lie(&gate);
    let newer = gate.publish(1).await;
    gate.until_metric(FAILURES, 1.0).await;
    gate.passes("green code", Reason::InOrder).await;
    gate.refused("red code", Verdict::Deny, Reason::RedCode)
        .await;
    assert_eq!(gate.version(), version, "the last good one stays in force");
    assert_eq!(
        gate.metric(FAILURES).await,
        Some(1.0),
        "counted once a change"
    );
    gate.log.says_once(&[REFUSED, "list=health", why]);
    assert_eq!(gate.log.lines(&[REFUSED]), 1, "{}", gate.log);
    assert_eq!(
        gate.metric("turnstile_backend_up").await,
        Some(1.0),
        "it answers"
    );
    gate.liar.tells_the_truth();
    gate.until_version(Some((1, newer))).await;
    gate.passes("green code, backend back", Reason::InOrder)
        .await;
    gate.everything_arrives_once().await;
    gate.ends().await;
}

#[test]
fn a_chunk_with_one_flipped_bit() {
    let flip = |gate: &Link| {
        gate.liar.alters(Call::Chunk, |mut body| {
            let middle = body.len() / 2;
            body[middle] ^= 4;
            body
        });
    };
    story(async |log| refused_for(log, 361, flip, "not what its name says").await);
}

#[test]
fn a_chunk_that_is_a_bomb_under_a_good_name() {
    let bomb = |gate: &Link| gate.liar.lies(&[Call::Chunk], &Lie::Says(bomb()));
    story(async |log| refused_for(log, 362, bomb, "not what its name says").await);
}

#[test]
fn a_chunk_that_inflates_for_ever_even_if_its_manifest_is_signed() {
    let signed_bomb = |gate: &Link| {
        let key = gate.stolen_key();
        gate.liar.lies(&[Call::Chunk], &Lie::Says(bomb()));
        gate.liar.alters(Call::Manifest, move |body| {
            let mut manifest = opened(&body);
            manifest.snapshot = vec![ChunkId(Sha256::digest(bomb()).into())];
            manifest.deltas.clear();
            // Newer than what is in force, whatever is.
            manifest.version = 1_000;
            signed(&manifest, &key)
        });
    };
    story(async |log| {
        refused_for(
            log,
            363,
            signed_bomb,
            "does not inflate to at most 1048576 bytes",
        )
        .await
    });
}

/// 256 MiB of zeros in a few kilobytes.
fn bomb() -> Vec<u8> {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BOMB.get_or_init(|| zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap())
        .clone()
}

#[test]
fn a_forged_manifest() {
    let forge = |gate: &Link| {
        gate.liar.alters(Call::Manifest, |body| {
            let mut manifest = opened(&body);
            manifest.version = 1_000;
            signed(&manifest, &SigningKey::from_bytes(&[13; 32]))
        });
    };
    story(async |log| refused_for(log, 364, forge, "no pinned key has signed").await);
}

#[test]
fn a_manifest_that_was_altered_on_its_way() {
    let alter = |gate: &Link| {
        gate.liar.alters(Call::Manifest, |body| {
            let mut envelope: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let payload = envelope["payload"].as_str().unwrap().replacen('A', "B", 1);
            envelope["payload"] = payload.into();
            envelope.to_string().into_bytes()
        });
    };
    story(async |log| refused_for(log, 365, alter, "no pinned key has signed").await);
}

#[test]
fn the_manifest_of_another_list() {
    let swap = |gate: &Link| {
        gate.liar
            .lies(&[Call::Manifest], &Lie::Path("/v1/lists/visitors/manifest"))
    };
    story(async |log| refused_for(log, 366, swap, "this is the manifest of list visitors").await);
}

#[test]
fn a_rolled_back_manifest_even_after_the_cache_was_deleted() {
    story(async |log| {
        let mut gate = Link::new(log, 367).await;
        let old = gate.liar.truth("/v1/lists/health/manifest").await;
        let newer = gate.publish(1).await;
        gate.until_version(Some((1, newer))).await;
        gate.liar.lies(&[Call::Manifest], &Lie::Says(old));
        gate.until_metric(FAILURES, 1.0).await;
        gate.passes("green code", Reason::InOrder).await;
        assert_eq!(gate.version(), Some((1, newer)));
        gate.log
            .says_once(&[REFUSED, "is older than what was accepted before"]);
        // Nor can anybody be asked about single people.
        gate.liar.lies(&[Call::Resolve], &Lie::Gone);
        // The cache is gone; what was accepted before is not forgotten.
        let mut gate = gate
            .restarted(None, |folder| {
                std::fs::remove_dir_all(folder.join("codes")).unwrap()
            })
            .await;
        gate.until_metric(FAILURES, 1.0).await;
        assert_eq!(gate.version(), None, "better none than an old one");
        gate.refused(
            "green code, backend gone",
            Verdict::Assist,
            Reason::StaleList,
        )
        .await;
        gate.passes("green code, leaving", Reason::ExitAlwaysOpen)
            .await;
        gate.liar.tells_the_truth();
        gate.until_version(Some((1, newer))).await;
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

/// The gate of somebody whose backend has said the same for three days, well signed.
#[test]
fn a_frozen_manifest_counts_as_stale_from_its_date() {
    story(async |log| {
        let days = Duration::from_secs(3 * 86_400);
        let then = system_clock()() - days;
        let frozen = Arc::new(move || then);
        let mut gate = Link::with(log, 368, frozen, Props::default(), Vec::new()).await;
        gate.ready().await;
        gate.refused("green code", Verdict::Assist, Reason::StaleList)
            .await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        gate.passes("green code, leaving", Reason::ExitAlwaysOpen)
            .await;
        let age = gate
            .metric("turnstile_list_age_seconds{list=\"health\"}")
            .await
            .unwrap();
        assert!((259_200.0..260_000.0).contains(&age), "{age} s");
        gate.log.says_once(&["a list is stale", "list=health"]);
        assert_eq!(
            gate.metric("turnstile_alarm{alarm=\"stale_list\",lane=\"gate\"}")
                .await,
            Some(1.0)
        );
        let asked = gate.liar.asked(Call::Manifest);
        // Somebody repairs the backend: what it signs today is taken at its next word.
        gate.stage.lose_backend().await;
        let data = gate.stage.folder().join("backend");
        let addr = gate.stage.backend_addr();
        let repaired = turnstiled::backend::Backend::start(addr, &data)
            .await
            .unwrap();
        gate.until("the list is young again", |status| {
            status.lists[0].age_s.is_some_and(|age| age < 600)
        })
        .await;
        assert!(gate.liar.asked(Call::Manifest) > asked);
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.log.says_once(&["the list is not stale any more"]);
        repaired.shutdown().await;
        gate.ends().await;
    });
}
