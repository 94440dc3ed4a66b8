//! Something else has filled the disk. The journal stops before the disk is in trouble, and goes on when there is room.

use std::fs;

use crate::daemon::disk::{Disk, can_mount};
use crate::daemon::{Home, count, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_full_journal_until_there_is_room_again() {
    if !can_mount("a full disk") {
        return;
    }
    let home = Home::new(3, "").await;
    let disk = Disk::Own {
        under: home.path("gate"),
        options: "size=48m",
    };
    let gate = home.gate(&disk).await;
    home.passes(0).await;
    let inside = format!(
        "/proc/{}/root{}",
        gate.id(),
        home.path("gate/log").display()
    );
    fs::write(&inside, vec![0; 36 << 20]).unwrap();
    home.shows(1);
    eventually("the passenger is sent to staff", async || {
        gate.prompt().await == "see_staff"
    })
    .await;
    assert!(!home.is_released());
    assert!(gate.results("journal_full").await > 0.5);
    assert!(gate.alarms("assist").await, "staff are called");

    fs::remove_file(&inside).unwrap();
    home.passes(2).await;
    let records = home.have_passed(2).await;
    let refused = count(&records, "reason", "journal_full");
    assert_eq!(refused, 1, "the refusal was kept until there was room");
}
