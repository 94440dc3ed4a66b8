//! Granted is not passed: what the sensors make of it.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::{Scene, alone, expect};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_granted_and_does_not_walk_keeps_their_passage() {
    let mut scene = Scene::new(41).await;
    let story = "green code, does not walk";
    let outcomes = [Outcome::NoEntryAfterGrant];
    expect(
        &scene.comes(story).await,
        Verdict::Grant,
        Reason::InOrder,
        &outcomes,
    );
    // Nothing is held against them: the same code is granted again.
    expect(
        &scene.comes(story).await,
        Verdict::Grant,
        Reason::InOrder,
        &outcomes,
    );
    scene.stage.strike().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_close_behind_is_seen_and_traps_nobody() {
    let story = "green code, with somebody close behind";
    alone(
        42,
        story,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed, Outcome::Tailgating],
    )
    .await;
}
