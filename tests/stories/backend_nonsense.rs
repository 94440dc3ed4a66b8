//! The backend answers, but what it says is nonsense: nobody passes or is held by it, memory stays bounded, everything
//! is kept, and when it comes to its senses all is as if it had been away.

use turnstiled::domain::{Reason, Verdict};

use crate::liar::{ALL, Call, Lie};
use crate::link::Link;
use crate::told::{Log, story};

const REFUSED: &str = "a list is refused; the last good one stays in force";
const KEPT: &str = "passages are not delivered; they stay in the journal";

async fn it_says(log: Log, seed: u64, lie: Lie) {
    let mut gate = Link::new(log, seed).await;
    let version = gate.version();
    gate.liar.lies(&ALL, &lie);
    gate.passes("green code", Reason::InOrder).await;
    gate.refused("red code", Verdict::Deny, Reason::RedCode)
        .await;
    let unknown = gate.comes("code nobody knows").await.decided.unwrap();
    assert_eq!(unknown.verdict, Verdict::Assist);
    assert!(
        matches!(
            unknown.reason,
            Reason::QueryFailed | Reason::VerificationTimeout
        ),
        "{unknown:?}"
    );
    gate.passes("green code, leaving", Reason::InOrder).await;
    assert_eq!(gate.version(), version, "the list in force stays");
    gate.until("everything is kept", |status| status.backlog >= 6)
        .await;
    let (manifests, passages) = (
        gate.liar.asked(Call::Manifest),
        gate.liar.asked(Call::Passages),
    );
    assert!(
        manifests < 60 && passages < 60,
        "{manifests} and {passages} calls"
    );
    gate.liar.tells_the_truth();
    gate.everything_arrives_once().await;
    gate.ends().await;
}

/// A body that can be read to its end is refused as what it is; the backend counts as there.
async fn it_says_body(log: Log, seed: u64, body: &[u8]) {
    it_says(log.clone(), seed, Lie::Says(body.to_vec())).await;
    log.says_once(&[REFUSED, "list=health"]);
    log.says_once(&[KEPT]);
}

#[test]
fn no_json() {
    story(async |log| it_says_body(log, 311, b"\xFF\xFE{{{").await);
}

#[test]
fn the_wrong_json() {
    story(async |log| {
        it_says_body(log, 312, br#"{"acked_seq":"many","health":7,"payload":[]}"#).await
    });
}

#[test]
fn a_login_page() {
    story(async |log| {
        it_says_body(
            log,
            313,
            b"<html><title>Sign in to the station Wi-Fi</title></html>",
        )
        .await
    });
}

#[test]
fn nothing_at_all() {
    story(async |log| it_says_body(log, 314, b"").await);
}

#[test]
fn a_body_without_end() {
    story(async |log| {
        let mut gate = Link::new(log, 315).await;
        gate.liar.lies(&ALL, &Lie::Endless);
        gate.passes("green code", Reason::InOrder).await;
        gate.refused("code nobody knows", Verdict::Assist, Reason::QueryFailed)
            .await;
        gate.until_metric("turnstile_delivery_failures_total", 1.0)
            .await;
        gate.until_metric("turnstile_list_failures_total{list=\"health\"}", 1.0)
            .await;
        gate.log.says_once(&[REFUSED, "the answer is too long"]);
        gate.log.says_once(&[KEPT, "the answer is too long"]);
        let calls: u64 = ALL.iter().map(|call| gate.liar.asked(*call)).sum();
        // A manifest may have 4 MiB; what the kernel holds for a connection comes on top.
        let (sent, most) = (gate.liar.sent(), calls * (16 << 20));
        assert!(sent <= most, "{sent} bytes were taken in {calls} calls");
        gate.liar.tells_the_truth();
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn a_header_without_end() {
    story(async |log| {
        it_says(log.clone(), 316, Lie::HugeHeader).await;
        log.says_once(&["the backend does not answer"]);
    });
}

#[test]
fn no_http() {
    story(async |log| {
        it_says(log.clone(), 317, Lie::Noise).await;
        log.says_once(&["the backend does not answer"]);
    });
}

#[test]
fn the_acknowledgement_for_another_gate_or_another_epoch() {
    for (seed, from, to) in [
        (321, "demo", "other"),
        (322, "\"epoch\":\"", "\"epoch\":\"f"),
    ] {
        story(async |log| {
            let mut gate = Link::new(log, seed).await;
            gate.liar.alters(Call::Passages, move |body| {
                String::from_utf8_lossy(&body)
                    .replacen(from, to, 1)
                    .into_bytes()
            });
            gate.passes("green code", Reason::InOrder).await;
            gate.until_metric("turnstile_delivery_failures_total", 1.0)
                .await;
            gate.until("nothing is deleted for somebody else's word", |status| {
                status.backlog >= 2
            })
            .await;
            gate.log
                .says_once(&[KEPT, "for another gate or another epoch"]);
            gate.liar.tells_the_truth();
            gate.everything_arrives_once().await;
            gate.ends().await;
        });
    }
}

#[test]
fn the_answer_to_somebody_elses_question_opens_nothing() {
    story(async |log| {
        let mut gate = Link::new(log, 323).await;
        gate.liar.lies(
            &[Call::Resolve],
            &Lie::Says(br#"{"id":"0123456789abcdef","health":"green","entitlements":1}"#.to_vec()),
        );
        gate.refused("code nobody knows", Verdict::Assist, Reason::QueryFailed)
            .await;
        gate.log
            .says_once(&["the backend answers another question"]);
        gate.liar.tells_the_truth();
        gate.passes("code only the backend knows", Reason::InOrder)
            .await;
        gate.ends().await;
    });
}

#[test]
fn acknowledgements_for_what_was_never_sent_delete_nothing() {
    story(async |log| {
        let mut gate = Link::new(log, 324).await;
        gate.liar.alters(Call::Passages, |body| {
            let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            answer["acked_seq"] = 1_000_000.into();
            answer.to_string().into_bytes()
        });
        gate.passes("green code", Reason::InOrder).await;
        gate.until_metric("turnstile_delivery_failures_total", 1.0)
            .await;
        assert!(gate.status().backlog >= 2);
        assert_eq!(
            gate.metric("turnstile_backend_up").await,
            Some(1.0),
            "it answers"
        );
        assert!(
            gate.log
                .lines(&[KEPT, "the backend acknowledges 1000000, but"])
                >= 1
        );
        gate.passes("green code, leaving", Reason::InOrder).await;
        gate.liar.tells_the_truth();
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}
