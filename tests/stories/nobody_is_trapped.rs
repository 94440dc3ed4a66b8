//! On the way out health and unknown outcomes open, and are recorded.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::{Scene, alone, expect};

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_with_a_red_code_is_let_out() {
    alone(
        51,
        "red code, leaving",
        Verdict::Grant,
        Reason::ExitAlwaysOpen,
        &[Outcome::Passed],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_the_backend_is_gone_is_let_out_whatever_is_known() {
    let mut scene = Scene::new(52).await;
    scene.stage.lose_backend().await;
    for story in [
        "unknown code, leaving, backend gone",
        "ID card, red, leaving, backend gone",
        "yellow code, leaving, backend gone",
    ] {
        expect(
            &scene.comes(story).await,
            Verdict::Grant,
            Reason::ExitAlwaysOpen,
            &[Outcome::Passed],
        );
    }
    scene.stage.strike().await.unwrap();
}
