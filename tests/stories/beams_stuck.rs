//! A beam or a rotor contact that sticks: it is found out and reported, whoever wants in takes another lane, and nobody
//! is kept from leaving.

use turnstiled::domain::{Direction, Outcome, Reason, Verdict};
use turnstiled::lab::demo::cast::{Person, Walk};

use crate::scene::{Scene, expect, has_alarm, line};

const ENTRY_BEAM: u8 = 5;
const EXIT_ROTOR: u8 = 13;

#[tokio::test(flavor = "multi_thread")]
async fn a_beam_that_sticks_is_reported_and_whoever_wants_in_is_sent_to_another_lane() {
    let mut scene = Scene::on_its_own(141).await;
    let wires = scene.entry().wires.clone();
    wires.set_active(line(ENTRY_BEAM), true);
    scene.beside_nobody_notices().await;
    scene
        .until("staff are called", |status| {
            has_alarm(status, "entry", "obstruction")
        })
        .await;
    let alarm = "turnstile_alarm{alarm=\"obstruction\",lane=\"entry\"}";
    scene.until_metric(alarm, |value| value > 0.5).await;
    scene.until_sign("entry", "out_of_service").await;
    let person = scene.somebody(Direction::Entry, false);
    let witness = scene.entry().serve(person.clone()).await;
    expect(&witness, Verdict::Deny, Reason::OutOfService, &[]);
    scene.beside_nobody_notices().await;

    wires.set_active(line(ENTRY_BEAM), false);
    scene.until_sign("entry", "idle").await;
    scene.until_metric(alarm, |value| value < 0.5).await;
    let witness = scene.entry().serve(person).await;
    expect(
        &witness,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    assert_eq!(scene.kept_with(&["\"outcome\":\"obstruction\""]), 1);
    assert_eq!(
        scene.kept_with(&["\"alarm\":\"obstruction\"", "\"on\":false"]),
        1
    );
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotor_contact_that_sticks_traps_nobody() {
    let mut scene = Scene::on_its_own(142).await;
    let wires = scene.exit().wires.clone();
    wires.set_active(line(EXIT_ROTOR), true);
    scene.phone_passes().await;
    scene
        .until("staff are called", |status| {
            has_alarm(status, "exit", "obstruction")
        })
        .await;
    scene.until_sign("exit", "idle").await;
    for _ in 0..3 {
        // They walk; the contact that sticks says nothing of it.
        let person = Person {
            walk: Walk::Stays,
            ..scene.somebody(Direction::Exit, false)
        };
        let witness = scene.exit().serve(person).await;
        let unseen = [Outcome::NoEntryAfterGrant];
        expect(&witness, Verdict::Grant, Reason::InOrder, &unseen);
    }
    scene.card_passes().await;

    wires.set_active(line(EXIT_ROTOR), false);
    scene
        .until("the alarm ends", |status| {
            !has_alarm(status, "exit", "obstruction")
        })
        .await;
    scene.beside_nobody_notices().await;
    scene.ends_with_every_record_delivered().await;
}
