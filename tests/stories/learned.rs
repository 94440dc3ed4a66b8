//! Somebody whom no list knows comes twice; the backend is asked the first time and is gone the second time.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::{Scene, expect};

const VISITOR: &str = "code only the backend knows";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_asked_about_is_answered_again_when_the_backend_is_gone() {
    let mut scene = Scene::new(73).await;
    let passed = [Outcome::Passed];
    let first = scene.comes(VISITOR).await;
    expect(&first, Verdict::Grant, Reason::InOrder, &passed);
    let unknown = scene.comes("code nobody knows").await;
    expect(&unknown, Verdict::Deny, Reason::UnknownCredential, &[]);
    scene.stage.lose_backend().await;
    // Nobody knew them: that is remembered for a short while, and staff do not come for a network that is away.
    let unknown = scene.comes("code nobody knows").await;
    expect(&unknown, Verdict::Deny, Reason::UnknownCredential, &[]);
    // Known again, and so is that they went in a moment ago.
    let again = scene.comes(VISITOR).await;
    expect(&again, Verdict::Deny, Reason::Passback, &[]);
    // Whoever was never asked about waits for an answer that does not come.
    let stranger = scene.comes("unknown code, backend gone").await;
    expect(&stranger, Verdict::Assist, Reason::VerificationTimeout, &[]);
    scene.stage.strike().await.unwrap();
}
