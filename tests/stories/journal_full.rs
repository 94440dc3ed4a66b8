//! The backend has been away for so long that the journal is full. The site's rule applies, nothing old is dropped, and
//! what was let through without a record is said once there is room again.

use turnstiled::domain::{Entry, GrantId, Kind, Now, Record};
use turnstiled::store::journal::{Journal, JournalError, Limits};

use crate::daemon::disk::Disk;
use crate::daemon::{Gate, Home, count, eventually};

/// A gate whose journal has no room for a grant, and no backend. Gives how many records wait.
async fn full(rule: &str) -> (Home, Gate, u64) {
    let more = format!("[journal]\nsize_mib_max = 8\nfull = \"{rule}\"\n");
    let mut home = Home::new(4, &more).await;
    let gate = home.gate(&Disk::Good).await;
    assert!(gate.stop().await.success());
    home.lose_backend().await;
    let waiting = fill(&home);
    let gate = home.gate_without_list(&Disk::Good).await;
    (home, gate, waiting)
}

/// As many alarms of the past as fit, until a grant does not.
fn fill(home: &Home) -> u64 {
    let (journal, _) = Journal::open(&home.path("gate/journal"), Limits::of_mib(8)).unwrap();
    let past = |length: usize, grant| Entry {
        grant,
        record: Record::new(
            1,
            Now::default(),
            None,
            Kind::Started {
                software: "x".repeat(length),
            },
        ),
        changes: Vec::new(),
    };
    for length in [15_000, 50] {
        // The sentinel of a waiting grant makes these fill up to where grants end, and not to the brim.
        while journal.append(&[past(length, Some(GrantId(0)))]).is_ok() {}
    }
    let refused = journal.append(&[past(50, Some(GrantId(0)))]);
    assert!(matches!(refused, Err(JournalError::Full { .. })));
    journal.status().backlog
}

async fn everything_arrives(home: &mut Home, gate: &Gate, waiting: u64) -> Vec<serde_json::Value> {
    home.bring_back_backend().await;
    home.arrives("what waited", |records| records.len() as u64 > waiting)
        .await;
    eventually("there is room", async || {
        !gate.alarms("journal_nearly_full").await
    })
    .await;
    home.passes(2).await;
    let records = home
        .arrives("the passage", |records| {
            count(records, "outcome", "passed") > 0
                && records[records.len() - 1]["record"]["kind"] != "decision"
        })
        .await;
    assert!(records.len() as u64 > waiting, "nothing old was dropped");
    assert_eq!(
        gate.metric("turnstile_journal_dropped_records_total").await,
        0.0
    );
    records
}

fn gaps(records: &[serde_json::Value]) -> Vec<u64> {
    let gaps = records.iter().filter(|one| one["record"]["kind"] == "gap");
    gaps.filter_map(|one| one["record"]["unrecorded"].as_u64())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_holds_and_calls_staff_until_the_backend_is_back() {
    let (mut home, gate, waiting) = full("hold").await;
    home.shows(1);
    eventually("the passenger is sent to staff", async || {
        gate.prompt().await == "see_staff"
    })
    .await;
    assert!(!home.is_released());
    assert!(gate.results("journal_full").await > 0.5);
    assert!(gate.alarms("assist").await, "staff are called");
    eventually("they could know before", async || {
        gate.alarms("journal_nearly_full").await
    })
    .await;
    let records = everything_arrives(&mut home, &gate, waiting).await;
    assert_eq!(gaps(&records), [0; 0], "nobody passed without a record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_may_open_and_says_later_how_many_passed_unrecorded() {
    let (mut home, gate, waiting) = full("open_unrecorded").await;
    home.passes(1).await;
    assert!(gate.alarms("unrecorded").await, "the operator knows");
    let records = everything_arrives(&mut home, &gate, waiting).await;
    assert_eq!(gaps(&records), [1]);
    assert!(!gate.alarms("unrecorded").await, "it is over");
}
