//! No code opens the gate twice.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::{Scene, expect};

#[tokio::test(flavor = "multi_thread")]
async fn a_screenshot_of_a_dynamic_code_is_refused() {
    let mut scene = Scene::new(31).await;
    expect(
        &scene.comes("dynamic code").await,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    expect(
        &scene.comes("screenshot of that code").await,
        Verdict::Deny,
        Reason::Replayed,
        &[],
    );
    scene.stage.strike().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_handed_back_over_the_gate_is_refused() {
    let mut scene = Scene::new(32).await;
    expect(
        &scene.comes("green code, first time").await,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    expect(
        &scene.comes("the same code once more").await,
        Verdict::Deny,
        Reason::Passback,
        &[],
    );
    scene.stage.strike().await.unwrap();
}
