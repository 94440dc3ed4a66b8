//! The backend is away at boot, slow, or answers 500: passengers are served from the lists at the gate, an operator is
//! told once, and every record arrives once in the end.

use std::time::Duration;

use turnstiled::backend::system_clock;
use turnstiled::domain::{Reason, Verdict};
use turnstiled::lab::demo::props::Props;

use crate::liar::{ALL, Call, Lie};
use crate::link::Link;
use crate::told::story;

const AWAY: [&str; 1] = ["the backend does not answer"];

#[test]
fn away_at_boot_the_gate_starts_and_serves_by_its_rules_until_the_first_list_comes() {
    story(async |log| {
        let props = Props {
            away_at_boot: true,
            ..Props::default()
        };
        let mut gate = Link::with(log, 301, system_clock(), props, Vec::new()).await;
        gate.until("the backend is seen to be away", |status| {
            status.backend_up == Some(false)
        })
        .await;
        gate.refused("green code", Verdict::Assist, Reason::StaleList)
            .await;
        gate.passes("green code, leaving", Reason::ExitAlwaysOpen)
            .await;
        assert_eq!(gate.version(), None);
        assert_eq!(gate.metric("turnstile_backend_up").await, Some(0.0));
        let ready = gate.page("/readyz").await;
        assert!(
            ready.contains("503") && ready.contains("list health has not arrived"),
            "{ready}"
        );
        gate.log.says_once(&AWAY);
        gate.until("records are kept", |status| status.backlog >= 3)
            .await;
        gate.stage.bring_back_backend().await.unwrap();
        gate.ready().await;
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.everything_arrives_once().await;
        gate.log.says_once(&["the backend answers"]);
        gate.ends().await;
    });
}

#[test]
fn slow_answers_come_after_the_deadline_and_nobody_waits_for_them() {
    story(async |log| {
        let mut gate = Link::new(log, 302).await;
        gate.liar.lies(
            &[Call::Resolve, Call::Passages],
            &Lie::Late(Duration::from_secs(3)),
        );
        let unknown = gate.comes("code nobody knows").await;
        let decided = unknown.decided.unwrap();
        assert_eq!(
            (decided.verdict, decided.reason),
            (Verdict::Assist, Reason::VerificationTimeout)
        );
        let waited = Duration::from_micros(decided.online_us);
        assert!((800..1_800).contains(&waited.as_millis()), "{waited:?}");
        gate.passes("green code", Reason::InOrder).await;
        assert_eq!(
            gate.metric("turnstile_online_wait_seconds_count").await,
            Some(1.0)
        );
        // Late is not away: what is asked without a passenger is waited for.
        gate.everything_arrives_once().await;
        assert_eq!(gate.metric("turnstile_backend_up").await, Some(1.0));
        gate.liar.tells_the_truth();
        gate.refused(
            "unknown code, backend back",
            Verdict::Deny,
            Reason::UnknownCredential,
        )
        .await;
        gate.ends().await;
    });
}

#[test]
fn a_backend_that_answers_500_is_as_good_as_away_and_told_once() {
    story(async |log| {
        let mut gate = Link::new(log, 303).await;
        gate.liar.lies(&ALL, &Lie::Status(500));
        gate.until("the backend is seen to be away", |status| {
            status.backend_up == Some(false)
        })
        .await;
        gate.passes("green code", Reason::InOrder).await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        // It was reached and could not find out: not the same as a colour, nor as silence.
        gate.refused("code nobody knows", Verdict::Assist, Reason::QueryFailed)
            .await;
        assert_eq!(gate.metric("turnstile_backend_up").await, Some(0.0));
        gate.log.says_once(&AWAY);
        gate.log.says_once(&["the backend does not answer"]);
        gate.until("records are kept", |status| status.backlog >= 4)
            .await;
        assert!(gate.liar.asked(Call::Passages) < 100, "it is not hammered");
        gate.liar.tells_the_truth();
        gate.until("the backend is back", |status| {
            status.backend_up == Some(true)
        })
        .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn an_answer_that_is_lost_on_its_way_costs_nothing_and_doubles_nothing() {
    story(async |log| {
        let mut gate = Link::new(log, 304).await;
        gate.liar.lies(&[Call::Passages], &Lie::Lost);
        gate.passes("green code", Reason::InOrder).await;
        let before = gate.liar.asked(Call::Passages);
        gate.until("it is sent again", |_| {
            gate.liar.asked(Call::Passages) > before + 1
        })
        .await;
        assert!(
            gate.status().backlog > 0,
            "what is not acknowledged is kept"
        );
        gate.liar.tells_the_truth();
        gate.everything_arrives_once().await;
        let backend = gate.stage.backend().unwrap();
        let repeated: u64 = backend
            .counts(&gate.stage.name)
            .unwrap()
            .iter()
            .map(|(_, counts)| counts.repeated)
            .sum();
        assert!(repeated > 0, "it came again, and changed nothing");
        assert!(backend.holes().unwrap().is_empty());
        gate.ends().await;
    });
}
