//! Every sync takes 300 ms, as on a card that tidies itself up. The site's rule decides between waiting, staff, and
//! opening before the record is on the disk.

use crate::daemon::disk::Disk;
use crate::daemon::{Gate, Home, count, eventually};

async fn slow(rule: &str) -> (Home, Gate) {
    let home = Home::new(3, rule).await;
    let disk = Disk::fickle(home.path("gate"));
    let gate = home.gate(&disk).await;
    home.passes(0).await;
    home.have_passed(1).await;
    disk.turn("slow 300");
    (home, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_not_on_the_disk_in_time_is_held_and_staff_are_called() {
    let (home, gate) = slow("").await;
    home.shows(1);
    eventually("the passenger is sent to staff", async || {
        gate.prompt().await == "see_staff"
    })
    .await;
    assert!(!home.is_released());
    assert!(gate.results("journal_stalled").await > 0.5);
    assert!(gate.alarms("assist").await, "staff are called");
    let within = |bound: &str| format!("turnstile_journal_append_seconds_bucket{{le=\"{bound}\"}}");
    eventually("the operator sees how slow it is", async || {
        gate.metric(&within("+Inf")).await > gate.metric(&within("0.2")).await
    })
    .await;
    // The grant that came to the disk too late ends there as one that nobody used, and the refusal is kept too.
    home.arrives("what came too late", |records| {
        count(records, "outcome", "no_entry_after_grant") == 1
            && count(records, "reason", "journal_stalled") == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_may_open_before_it_is_on_the_disk_with_an_alarm_until_it_is() {
    let (home, gate) = slow("[journal]\nstall = \"open\"\nstall_ms = 100\n").await;
    home.passes(1).await;
    eventually("it is on the disk, and the alarm ends", async || {
        !gate.alarms("unrecorded").await
    })
    .await;
    assert!(gate.log().contains("Unrecorded"), "there was an alarm");
    let records = home.have_passed(2).await;
    assert_eq!(count(&records, "kind", "gap"), 0, "nothing is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_wait_for_such_a_disk() {
    let (home, gate) = slow("[journal]\nstall_ms = 2000\n").await;
    home.passes(1).await;
    assert_eq!(gate.results("journal_stalled").await, 0.0);
    home.have_passed(2).await;
}
