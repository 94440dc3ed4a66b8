//! The relay board is gone, or one relay does not obey: nobody is told to go before a barrier that does not move, what
//! was granted is given back, and nothing opens later. One board serves all lanes of a gate; a relay serves one.

use std::time::Duration;

use turnstiled::domain::{Direction, Outcome, Reason, Verdict};
use turnstiled::lab::demo::cast::{Person, Walk};
use turnstiled::runtime::observe::Observation;

use crate::scene::{Scene, decisions, expect, has_alarm, line, show, watch};

/// The relay that releases the lane on the way in.
const RELEASE_ENTRY: u8 = 17;

fn is_released(seen: &Observation) -> bool {
    matches!(seen, Observation::Released { .. })
}

fn is_given_back(seen: &Observation) -> bool {
    matches!(
        seen,
        Observation::Ended(_, _, Outcome::NoEntryAfterGrant, Some(_))
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_gone_in_the_middle_of_a_grant_and_comes_back() {
    let mut scene = Scene::on_its_own(131).await;
    let rider = scene.somebody(Direction::Entry, false);
    let lane = scene.entry();
    let wires = lane.wires.clone();
    show(lane, &rider);
    let seen = watch(lane, Duration::from_secs(30), is_released).await;
    assert!(seen.last().is_some_and(is_released), "{seen:?}");
    wires.fail(true);
    let seen = watch(lane, Duration::from_secs(30), is_given_back).await;
    assert!(seen.last().is_some_and(is_given_back), "{seen:?}");
    lane.scene.clear();
    scene.until_device("lines", "down").await;
    for lane in ["entry", "exit"] {
        scene.until_sign(lane, "out_of_service").await;
    }

    // Whoever comes now is told so; whoever wants out gets staff.
    let person = scene.somebody(Direction::Entry, true);
    let refused = scene.entry().serve(person).await;
    expect(&refused, Verdict::Deny, Reason::OutOfService, &[]);
    let person = scene.somebody(Direction::Exit, false);
    let refused = scene.exit().serve(person).await;
    expect(&refused, Verdict::Assist, Reason::OutOfService, &[]);
    scene
        .until("staff are called to the exit", |status| {
            has_alarm(status, "exit", "assist")
        })
        .await;

    wires.fail(false);
    scene.until_device("lines", "up").await;
    assert!(
        !wires.output(RELEASE_ENTRY),
        "the wanted level, not the old grant"
    );
    for lane in ["entry", "exit"] {
        scene
            .until("the sign invites again", |status| {
                crate::scene::sign(status, lane) == "idle"
            })
            .await;
    }
    let seen = watch(scene.entry(), Duration::from_secs(2), is_released).await;
    assert!(
        !seen.iter().any(is_released),
        "nothing opens later: {seen:?}"
    );
    // Nothing is held against the rider.
    let witness = scene.entry().serve(rider).await;
    expect(
        &witness,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    scene.beside_nobody_notices().await;
    assert_eq!(scene.kept_with(&["\"out_of_service\"", "\"decision\""]), 2);
    assert_eq!(scene.kept_with(&["\"no_entry_after_grant\""]), 1);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_does_not_pull_in_gives_the_grant_back_and_the_lane_beside_serves() {
    let mut scene = Scene::on_its_own(132).await;
    let wires = scene.entry().wires.clone();
    wires.stick(RELEASE_ENTRY, Some(false));
    let person = scene.somebody(Direction::Entry, false);
    let rider = Person {
        walk: Walk::Stays,
        ..person
    };
    let witness = scene.entry().serve(rider.clone()).await;
    let nobody = [Outcome::NoEntryAfterGrant];
    expect(&witness, Verdict::Grant, Reason::InOrder, &nobody);
    let faults = "turnstile_device_faults_total{device=\"lines\"}";
    scene.until_metric(faults, |count| count > 0.0).await;
    scene.beside_nobody_notices().await;
    wires.stick(RELEASE_ENTRY, None);
    scene.until_sign("entry", "idle").await;
    let rider = Person {
        walk: Walk::Through,
        ..rider
    };
    let witness = scene.entry().serve(rider).await;
    expect(
        &witness,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_does_not_let_go_puts_its_lane_out_of_service_and_no_other() {
    let mut scene = Scene::on_its_own(133).await;
    let wires = scene.entry().wires.clone();
    wires.stick(RELEASE_ENTRY, Some(true));
    scene.until_sign("entry", "out_of_service").await;
    assert!(wires.is_active(line(23)), "the light is red");
    let person = scene.somebody(Direction::Entry, false);
    show(scene.entry(), &person);
    let decided = |seen: &Observation| matches!(seen, Observation::Decided(_));
    let seen = watch(scene.entry(), Duration::from_secs(30), decided).await;
    let reasons: Vec<_> = decisions(&seen).iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Reason::OutOfService]);
    scene.entry().scene.clear();
    scene.beside_nobody_notices().await;
    let faults = "turnstile_device_faults_total{device=\"lines\"}";
    scene.until_metric(faults, |count| count > 0.0).await;

    wires.stick(RELEASE_ENTRY, None);
    scene.until_sign("entry", "idle").await;
    scene.phone_passes().await;
    scene.ends_with_every_record_delivered().await;
}
