//! Who is not in order is refused, each for a reason of their own.

use turnstiled::domain::{Reason, Verdict};

use crate::scene::alone;

#[tokio::test(flavor = "multi_thread")]
async fn a_red_code_is_held() {
    alone(21, "red code", Verdict::Deny, Reason::RedCode, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yellow_code_is_for_staff() {
    alone(22, "yellow code", Verdict::Assist, Reason::YellowCode, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_nobody_knows_is_not_a_red_code() {
    alone(
        23,
        "code nobody knows",
        Verdict::Deny,
        Reason::UnknownCredential,
        &[],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_says_so() {
    alone(24, "expired code", Verdict::Deny, Reason::Expired, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_tomorrow_says_so() {
    alone(
        25,
        "code not valid yet",
        Verdict::Deny,
        Reason::NotYetActive,
        &[],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_card_of_somebody_red_is_held() {
    alone(26, "ID card, red", Verdict::Deny, Reason::RedCode, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_card_with_a_wrong_check_digit_is_no_card() {
    alone(
        27,
        "ID card with a wrong check digit",
        Verdict::Deny,
        Reason::VerificationFailed,
        &[],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poster_is_told_from_an_unknown_person() {
    alone(
        28,
        "poster with some other code",
        Verdict::Deny,
        Reason::UnknownIssuer,
        &[],
    )
    .await;
}
