//! A card reader is unplugged while it is speaking, and comes back as another terminal, or at another speed.

use std::fs;
use std::time::Duration;

use turnstiled::domain::Direction;
use turnstiled::lab::line_faults::LineFaults;

use crate::scene::{Scene, decisions, show, sign, watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_unplugged_in_mid_frame_and_comes_back_under_another_name() {
    let mut scene = Scene::on_its_own(111).await;
    let person = scene.somebody(Direction::Entry, true);
    let lane = scene.entry();
    let node = fs::read_link(lane.module.path()).unwrap();
    // A quarter of the card's text is out when the plug goes.
    lane.module.unplug_in_mid_frame(70);
    show(lane, &person);
    scene.until_device("entry-card", "down").await;
    scene.until_sign("entry", "use_code").await;
    scene.phone_passes().await;
    scene.beside_nobody_notices().await;
    assert_eq!(scene.kept_with(&["\"id_card\""]), 0, "half a card is none");

    let lane = scene.entry();
    lane.module.lift();
    lane.module.plug();
    scene.until_device("entry-card", "up").await;
    let back = fs::read_link(scene.entry().module.path()).unwrap();
    assert_ne!(back, node, "another terminal under the same link");
    scene.until_sign("entry", "idle").await;
    scene.card_passes().await;
    assert_eq!(scene.kept_with(&["\"id_card\"", "\"grant\""]), 1);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_was_taken_away_while_the_reader_was_gone_opens_nothing_when_it_is_back() {
    let mut scene = Scene::on_its_own(112).await;
    scene.entry().module.unplug();
    scene.until_device("entry-card", "down").await;
    let person = scene.somebody(Direction::Entry, true);
    let lane = scene.entry();
    show(lane, &person);
    assert!(decisions(&watch(lane, Duration::from_secs(1), |_| false).await).is_empty());
    lane.module.lift();
    lane.module.plug();
    scene.until_device("entry-card", "up").await;
    let seen = watch(scene.entry(), Duration::from_secs(2), |_| false).await;
    assert!(decisions(&seen).is_empty(), "{seen:?}");
    scene.beside_nobody_notices().await;
    scene.card_passes().await;
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_at_another_line_speed_is_found_by_itself() {
    let mut scene = Scene::on_its_own(113).await;
    scene.card_passes().await;
    let slow = LineFaults {
        baud: Some(38_400),
        ..LineFaults::default()
    };
    scene.entry().module.set_faults(slow);
    scene.until_device("entry-card", "down").await;
    scene.beside_nobody_notices().await;
    scene.until_device("entry-card", "up").await;
    assert_ne!(sign(&scene.status(), "entry"), "out_of_service");
    let faults = "turnstile_device_faults_total{device=\"entry-card\"}";
    scene.until_metric(faults, |count| count > 0.0).await;
    scene.card_passes().await;
    scene.ends_with_every_record_delivered().await;
}
