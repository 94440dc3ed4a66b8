//! Who is in order passes.

use turnstiled::domain::{Outcome, Reason, Verdict};

use crate::scene::alone;

#[tokio::test(flavor = "multi_thread")]
async fn a_green_code_opens_the_gate() {
    alone(
        11,
        "green code",
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_card_opens_the_gate_for_who_has_no_phone() {
    alone(
        12,
        "ID card, green",
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_only_the_backend_knows_opens_the_gate_while_it_answers() {
    alone(
        13,
        "code only the backend knows",
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_with_a_card_turns_the_tripod() {
    alone(
        14,
        "ID card, green, leaving",
        Verdict::Grant,
        Reason::InOrder,
        &[Outcome::Passed],
    )
    .await;
}
