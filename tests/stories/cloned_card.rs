//! The card of a gate is copied, and both copies run under one name; or the card is new. The backend keeps what each of
//! them has seen, under epochs of their own.

use std::fs;
use std::path::Path;

use crate::daemon::disk::Disk;
use crate::daemon::{Home, subject};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Everybody whose grant the backend has.
async fn granted(home: &Home) -> Vec<serde_json::Value> {
    let records = home.at_backend().await;
    let grants = records
        .iter()
        .filter(|one| one["record"]["verdict"] == "grant");
    grants.map(|one| one["record"]["subject"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_card_gets_an_epoch_of_its_own_and_nothing_is_lost() {
    let home = Home::new(4, "").await;
    let gate = home.gate(&Disk::Good).await;
    home.passes(0).await;
    home.have_passed(1).await;
    assert!(gate.stop().await.success());
    copy(&home.path("gate"), &home.path("clone"));

    let gate = home.gate(&Disk::Good).await;
    home.passes(1).await;
    home.have_passed(2).await;
    assert!(gate.stop().await.success());

    home.configure("clone", "");
    let gate = home.gate(&Disk::Good).await;
    home.passes(2).await;
    home.have_passed(3).await;
    assert!(
        gate.metric("turnstile_epoch_conflicts_total").await > 0.5,
        "the operator sees it"
    );
    assert!(
        gate.log().contains("other records under our epoch"),
        "the log says what it means"
    );
    home.passes(3).await;
    home.have_passed(4).await;
    assert_eq!(
        gate.metric("turnstile_epoch_conflicts_total").await,
        1.0,
        "once"
    );

    let counts = home.counts();
    assert_eq!(counts.len(), 2, "two epochs");
    let conflicts: u64 = counts.iter().map(|(_, counts)| counts.conflicts).sum();
    assert_eq!(conflicts, 1);
    let everybody: Vec<_> = (0..4).map(subject).collect();
    assert_eq!(granted(&home).await, everybody, "each once, in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_with_a_new_card_starts_a_new_epoch_and_the_old_records_stay() {
    let home = Home::new(2, "").await;
    let gate = home.gate(&Disk::Good).await;
    home.passes(0).await;
    home.have_passed(1).await;
    assert!(gate.stop().await.success());
    fs::remove_dir_all(home.path("gate")).unwrap();
    let gate = home.gate(&Disk::Good).await;
    home.passes(1).await;
    home.have_passed(2).await;
    assert_eq!(gate.metric("turnstile_epoch_conflicts_total").await, 0.0);
    let counts = home.counts();
    assert_eq!(counts.len(), 2, "two epochs, both from 1");
    assert_eq!(granted(&home).await, [subject(0), subject(1)]);
}
