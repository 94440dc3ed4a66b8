//! A camera that is unplugged, hangs, freezes or goes dark: the sign says what still works, cards go on, the lane
//! beside does not notice, and the camera is taken back by itself.

use std::time::Duration;

use turnstiled::domain::{Direction, Prompt};
use turnstiled::lab::camera::CameraFault;
use turnstiled::runtime::observe::Observation;

use crate::scene::{Scene, decisions, line, show, sign, watch};

/// The whole story, for a fault that the page calls `state`.
async fn trouble(seed: u64, fault: CameraFault, state: &str) {
    let mut scene = Scene::on_its_own(seed).await;
    scene.phone_passes().await;
    scene.entry().camera.set(fault);
    scene.until_device("entry-camera", state).await;
    scene.until_sign("entry", "use_card").await;
    let page = scene.page("/").await;
    let device = format!(r#"{{"name":"entry-camera","up":false,"state":"{state}","#);
    assert!(page.contains(&device), "{page}");
    let unready = scene.page("/readyz").await;
    let reason = format!("entry-camera is {state}");
    assert!(unready.starts_with("HTTP/1.1 503") && unready.contains(&reason));

    // Whoever comes with a phone reads what to do instead, for as long as they stand there.
    let person = scene.somebody(Direction::Entry, false);
    let lane = scene.entry();
    show(lane, &person);
    let seen = watch(lane, Duration::from_millis(1_500), |_| false).await;
    assert!(decisions(&seen).is_empty(), "{seen:?}");
    assert_eq!(sign(&scene.status(), "entry"), "use_card");
    scene.entry().scene.clear();

    scene.beside_nobody_notices().await;
    scene.card_passes().await;

    scene.entry().camera.set(CameraFault::None);
    scene.until_device("entry-camera", "up").await;
    scene.until_sign("entry", "idle").await;
    scene.phone_passes().await;
    assert_eq!(scene.kept_with(&["\"lane\":\"entry\"", "\"passed\""]), 3);
    assert_eq!(scene.kept_with(&["\"lane\":\"exit\"", "\"passed\""]), 1);
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_unplugged_and_plugged_in_again() {
    trouble(101, CameraFault::Unplugged, "down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_hangs_in_its_driver() {
    trouble(102, CameraFault::Hangs, "down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_freezes_and_its_frames_go_on_coming() {
    trouble(103, CameraFault::Frozen, "frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_covers_the_lens() {
    trouble(104, CameraFault::Dark, "dark").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_in_a_frozen_picture_is_no_second_presentation() {
    let mut scene = Scene::on_its_own(105).await;
    let person = scene.somebody(Direction::Entry, false);
    let lane = scene.entry();
    show(lane, &person);
    let granted = |seen: &Observation| matches!(seen, Observation::Released { .. });
    let seen = watch(lane, Duration::from_secs(30), granted).await;
    assert_eq!(decisions(&seen).len(), 1, "{seen:?}");
    lane.camera.set(CameraFault::Frozen);
    lane.scene.clear();
    scene.until_device("entry-camera", "frozen").await;
    // Opened again and again, it shows the same code for ever.
    let seen = watch(scene.entry(), Duration::from_secs(6), |_| false).await;
    assert!(decisions(&seen).is_empty(), "{seen:?}");
    assert_eq!(scene.kept_with(&["\"decision\"", "\"grant\""]), 1);
    scene.beside_nobody_notices().await;
    scene.ends_with_every_record_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_readers_are_all_gone_says_that_it_is_out_of_service() {
    let mut scene = Scene::on_its_own(106).await;
    scene.entry().camera.set(CameraFault::Unplugged);
    scene.until_sign("entry", "use_card").await;
    scene.entry().module.unplug();
    scene.until_device("entry-card", "down").await;
    scene.until_sign("entry", Prompt::OutOfService.id()).await;
    let wires = scene.entry().wires.clone();
    assert!(wires.is_active(line(23)), "the light is red");
    scene.beside_nobody_notices().await;

    scene.entry().camera.set(CameraFault::None);
    scene.until_sign("entry", "use_code").await;
    scene.entry().module.plug();
    scene.until_sign("entry", "idle").await;
    scene.card_passes().await;
    scene.ends_with_every_record_delivered().await;
}
