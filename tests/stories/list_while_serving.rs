//! A list changes while people pass: what the backend says decides at the gate within a second, and a disk that cannot take
//! a new list leaves the old one in force.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstiled::domain::Colour;

use crate::daemon::disk::{Disk, can_mount};
use crate::daemon::{Home, eventually};

const NO_SPACE: &str = "refuse 28";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_the_backend_decides_at_the_gate_within_a_second() {
    let home = Home::new(3, "").await;
    let gate = home.gate(&Disk::Good).await;
    // How long it takes, by the version that is in force.
    let version = async || gate.metric("turnstile_list_version{list=\"health\"}").await;
    let mut slowest = Duration::ZERO;
    for n in 0..10 {
        let before = version().await;
        let told = Instant::now();
        let colour = if n % 2 == 0 {
            Colour::Red
        } else {
            Colour::Green
        };
        home.becomes(2, colour).await;
        while version().await <= before {
            assert!(told.elapsed() < Duration::from_secs(30), "it never comes");
            sleep(Duration::from_millis(5)).await;
        }
        slowest = slowest.max(told.elapsed());
    }
    println!("a colour is in force {slowest:?} after the backend is told, at the slowest of ten");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    home.becomes(2, Colour::Red).await;
    home.becomes(1, Colour::Red).await;
    sleep(Duration::from_secs(1)).await;
    home.shows(1);
    eventually("the red colour decides", async || {
        gate.results("red_code").await > 0.5
    })
    .await;
    assert!(!home.is_released());
    home.becomes(2, Colour::Green).await;
    sleep(Duration::from_secs(1)).await;
    home.passes(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_while_a_list_loads_leaves_the_old_one_in_force() {
    let home = Home::new(4, "").await;
    home.asks_nobody();
    let disk = Disk::fickle(home.path("gate/codes"));
    let gate = home.gate(&disk).await;
    let rows = async || gate.metric("turnstile_list_rows{list=\"health\"}").await;
    let failures = async || {
        gate.metric("turnstile_list_failures_total{list=\"health\"}")
            .await
    };
    home.passes(0).await;
    // The delta breaks off in the middle of the store, and there is no room for a full copy.
    disk.turn(NO_SPACE);
    home.lists(20_000).await;
    eventually("the failure is counted", async || failures().await > 0.5).await;
    home.passes(1).await;
    assert_eq!(rows().await, 4.0, "the old version is shown");
    sleep(Duration::from_secs(3)).await;
    assert!(failures().await < 6.0, "it is tried again in measure");
    home.passes(2).await;
    let log = gate.log();
    assert_eq!(log.matches("a list is refused").count(), 1, "{log}");

    disk.turn("good");
    eventually("the new list is in force", async || rows().await > 4.0).await;
    home.passes(19_999).await;
    home.passes(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_without_room_for_a_new_list_keeps_the_old_one_in_force() {
    if !can_mount("a card without room for a new list") {
        return;
    }
    let home = Home::new(4, "").await;
    home.asks_nobody();
    fs::create_dir(home.path("gate/codes")).unwrap();
    let disk = Disk::Own {
        under: home.path("gate/codes"),
        options: "size=64m",
    };
    let gate = home.gate(&disk).await;
    let rows = async || gate.metric("turnstile_list_rows{list=\"health\"}").await;
    let failures = async || {
        gate.metric("turnstile_list_failures_total{list=\"health\"}")
            .await
    };
    let inside = format!("/proc/{}/root", gate.id());
    let filler = Path::new(&inside).join(home.path("gate/codes/filler").strip_prefix("/").unwrap());
    fs::write(&filler, vec![7; 30 << 20]).unwrap();
    home.lists(20_000).await;
    eventually("the failure is counted", async || failures().await > 0.5).await;
    home.passes(1).await;
    assert_eq!(rows().await, 4.0, "the old version is in force");
    let log = gate.log();
    assert_eq!(log.matches("a list is refused").count(), 1, "{log}");
    fs::remove_file(&filler).unwrap();
    eventually("the new list is in force", async || rows().await > 4.0).await;
    home.passes(19_999).await;
}
