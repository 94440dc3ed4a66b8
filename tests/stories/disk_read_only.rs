//! The disk turns read-only, as a worn card does. Nobody passes unrecorded where the site says hold; records wait in
//! memory; a gate that is started on such a disk says so and does not pretend to serve.

use crate::daemon::disk::{Disk, can_mount};
use crate::daemon::{Home, count, eventually};

const READ_ONLY: &str = "refuse 30";

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_holds_and_what_happened_is_kept() {
    let home = Home::new(3, "").await;
    let disk = Disk::fickle(home.path("gate"));
    let gate = home.gate(&disk).await;
    home.passes(0).await;
    home.have_passed(1).await;
    disk.turn(READ_ONLY);
    home.shows(1);
    eventually("the passenger is sent to staff", async || {
        gate.prompt().await == "see_staff"
    })
    .await;
    assert!(!home.is_released());
    assert!(gate.results("journal_stalled").await > 0.5);
    assert!(gate.alarms("assist").await, "staff are called");
    eventually("records wait in memory", async || {
        gate.metric("turnstile_journal_unwritten_records").await > 0.5
    })
    .await;
    assert!(
        gate.log().contains("Read-only file system"),
        "the log says why"
    );

    disk.turn("good");
    eventually("they are written", async || {
        gate.metric("turnstile_journal_unwritten_records").await < 0.5
    })
    .await;
    home.passes(2).await;
    let records = home.have_passed(2).await;
    let refused = count(&records, "reason", "journal_stalled");
    assert_eq!(refused, 1, "the refusal was kept");
    assert_eq!(
        gate.metric("turnstile_journal_dropped_records_total").await,
        0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_may_open_with_an_alarm_and_a_gap_record() {
    let home = Home::new(3, "[journal]\nstall = \"open\"\n").await;
    let disk = Disk::fickle(home.path("gate"));
    let gate = home.gate(&disk).await;
    disk.turn(READ_ONLY);
    home.passes(1).await;
    assert!(gate.alarms("unrecorded").await, "the operator knows");
    let unwritten = async || gate.metric("turnstile_journal_unwritten_records").await;
    eventually("what came of it waits", async || unwritten().await > 0.5).await;
    disk.turn("good");
    eventually("it is written", async || unwritten().await < 0.5).await;
    home.passes(2).await;
    let records = home
        .arrives("the gap", |records| count(records, "kind", "gap") > 0)
        .await;
    let gaps: Vec<_> = records
        .iter()
        .filter(|one| one["record"]["kind"] == "gap")
        .map(|one| one["record"]["unrecorded"].as_u64())
        .collect();
    assert_eq!(gaps, [Some(1)]);
    assert!(!gate.alarms("unrecorded").await, "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_does_not_start_on_a_read_only_disk_and_says_why() {
    if !can_mount("a read-only disk at the start") {
        return;
    }
    let home = Home::new(1, "").await;
    let disk = Disk::Own {
        under: home.path("gate"),
        options: "ro",
    };
    let mut command = disk.command(env!("CARGO_BIN_EXE_turnstiled"));
    command.args(["run", "--config", "gate.toml"]);
    let output = command.current_dir(home.path("")).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{complaint}");
    assert!(
        complaint.contains("gate/journal") && complaint.contains("Read-only"),
        "{complaint}"
    );
}
