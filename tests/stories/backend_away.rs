//! The backend goes; decisions go on, records pile up; it returns and gets each of them once.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::{Scene, expect};

#[tokio::test(flavor = "multi_thread")]
async fn decisions_go_on_and_every_record_arrives_once() {
    let mut scene = Scene::new(61).await;
    expect(
        &scene.comes("green code").await,
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    );
    scene.stage.lose_backend().await;
    let passed = [Outcome::Passed];
    expect(
        &scene.comes("green code, backend gone").await,
        Verdict::Grant,
        Reason::InOrder,
        &passed,
    );
    expect(
        &scene.comes("red code, backend gone").await,
        Verdict::Deny,
        Reason::RedCode,
        &[],
    );
    let unknown = scene.comes("unknown code, backend gone").await;
    expect(&unknown, Verdict::Assist, Reason::VerificationTimeout, &[]);
    let buffered = scene.stage.gate.journal.status().backlog;
    assert!(
        buffered >= 4,
        "a grant, its outcome and two refusals wait, not {buffered} records"
    );
    scene.stage.bring_back_backend().await.unwrap();
    let (delivered, twice, lost) = scene.stage.delivered().await.unwrap();
    assert!(delivered > buffered);
    assert_eq!((twice, lost), (0, 0));
    expect(
        &scene.comes("unknown code, backend back").await,
        Verdict::Deny,
        Reason::UnknownCredential,
        &[],
    );
    scene.stage.strike().await.unwrap();
}
