//! Noise, a flood, single bytes and torn answers on the line of a card reader: it stays open, counts them, and reads the
//! next card; whoever cannot be read is told what to do.

use std::time::Duration;

use turnstiled::domain::{Direction, Prompt};
use turnstiled::lab::line_faults::LineFaults;
use turnstiled::runtime::observe::Observation;

use crate::scene::{Scene, decisions, device, show, watch};

const FAULTS: &str = "turnstile_device_faults_total{device=\"entry-card\"}";

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_read_through_noise_and_broken_answers() {
    let mut scene = Scene::on_its_own(121).await;
    let before = scene.metric(FAULTS).await;
    scene.entry().module.set_faults(LineFaults {
        noise_len: 9,
        bit_error_every: 7,
        ..LineFaults::default()
    });
    for _ in 0..3 {
        scene.card_passes().await;
    }
    scene.beside_nobody_notices().await;
    scene.until_metric(FAULTS, |count| count > before).await;
    assert_eq!(device(&scene.status(), "entry-card"), "up");
    assert_eq!(scene.kept_with(&["\"id_card\"", "\"grant\""]), 3);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_comes_one_byte_at_a_time_is_a_card() {
    let mut scene = Scene::on_its_own(122).await;
    scene.entry().module.set_faults(LineFaults {
        chunk_len: 1,
        ..LineFaults::default()
    });
    scene.card_passes().await;
    scene.beside_nobody_notices().await;
    assert_eq!(device(&scene.status(), "entry-card"), "up");
    assert_eq!(scene.kept_with(&["\"id_card\"", "\"grant\""]), 1);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kilobytes_of_noise_are_counted_and_the_next_card_is_read() {
    let mut scene = Scene::on_its_own(123).await;
    let before = scene.metric(FAULTS).await;
    scene.entry().module.flood(100_000);
    scene.beside_nobody_notices().await;
    scene.phone_passes().await;
    scene.until_metric(FAULTS, |count| count > before).await;
    scene.until_device("entry-card", "up").await;
    scene.card_passes().await;
    assert_eq!(scene.kept_with(&["\"lane\":\"entry\"", "\"decision\""]), 2);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lays_a_card_on_a_reader_whose_answers_break_off_is_told_to_lay_it_on_again() {
    let mut scene = Scene::on_its_own(124).await;
    scene.entry().module.set_faults(LineFaults {
        stops_after: Some(700),
        ..LineFaults::default()
    });
    let person = scene.somebody(Direction::Entry, true);
    let lane = scene.entry();
    show(lane, &person);
    let told = |seen: &Observation| {
        matches!(
            seen,
            Observation::Shown(_, Direction::Entry, Prompt::LiftAndRetap)
        )
    };
    let seen = watch(lane, Duration::from_secs(60), told).await;
    assert!(seen.last().is_some_and(told), "{seen:?}");
    assert!(decisions(&seen).is_empty(), "half a card is none: {seen:?}");
    scene.beside_nobody_notices().await;
    assert_eq!(
        device(&scene.status(), "entry-card"),
        "up",
        "the port stays open"
    );

    let lane = scene.entry();
    lane.module.lift();
    lane.module.set_faults(LineFaults::default());
    scene.card_passes().await;
    scene.ends_with_every_record_delivered().await;
}
