//! The process is killed between a grant and what comes of it. The next start closes the grant as unknown, remembers
//! who was let in, and the backend gets each record once.

use crate::daemon::disk::Disk;
use crate::daemon::{Home, eventually, subject};

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_the_process_did_not_survive_is_closed_at_the_next_start() {
    let home = Home::new(3, "").await;
    let gate = home.gate(&Disk::Good).await;
    home.shows(1);
    eventually("the flap opens", async || home.is_released()).await;
    gate.kill();

    let gate = home.gate(&Disk::Good).await;
    eventually("lines are safe again", async || !home.is_released()).await;
    let unknown = "turnstile_passages_total{lane=\"entry\",outcome=\"unknown_after_restart\"}";
    assert!(
        gate.metric(unknown).await > 0.5,
        "the operator sees a passage of which nothing is known"
    );
    home.shows(1);
    eventually("the same person is refused", async || {
        gate.results("passback").await > 0.5
    })
    .await;
    eventually("and reads why", async || gate.prompt().await == "code_used").await;
    home.passes(2).await;

    let records = home.have_passed(1).await;
    let of_grant = |verdict: &str| {
        let found = records.iter().filter(|one| {
            one["record"]["subject"] == subject(1) && one["record"]["verdict"] == verdict
        });
        found
            .map(|one| one["record"]["grant"].clone())
            .collect::<Vec<_>>()
    };
    let grants = of_grant("grant");
    assert_eq!(grants.len(), 1, "the grant is there, once");
    let outcomes: Vec<_> = records
        .iter()
        .filter(|one| one["record"]["kind"] == "outcome" && one["record"]["grant"] == grants[0])
        .map(|one| one["record"]["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["unknown_after_restart"]);
}
