//! Codes that carry a signature: each profile opens a gate, and what a gate makes of who says what.

use turnstiled::codes::{Pepper, Reader, Reading, Refusal, TrustList};
use turnstiled::domain::{ListId, Outcome, Personal, Reason, Rule, Shown, Utc, Verdict};
use turnstiled::lab::mint::ride_cwt::{self, Chain, Token};
use turnstiled::lab::mint::{Seed, hcert, ride_v81, shc};

use crate::scene::{Scene, expect};

const NOW: Utc = Utc::from_secs(1_795_000_000);

fn reader(trust: &str) -> Reader {
    let trust =
        TrustList::parse(&format!("version = 1\n{trust}")).unwrap_or_else(|e| panic!("{e}"));
    let pepper = |n: u8, list| (ListId::new(list).unwrap(), Pepper::from_bytes([n; 32]));
    Reader::new(trust, vec![pepper(1, "health"), pepper(2, "ride")]).unwrap()
}

fn read(trust: &str, code: &str) -> Result<Reading, Refusal> {
    reader(trust).read(&Shown::Code(Personal::new(code.to_owned())))
}

fn chain(seed: u64) -> Chain {
    Chain::new(Seed(seed)).unwrap()
}

fn ride(chain: &Chain) -> String {
    let token = chain.token(&Token::at(Seed(1), NOW)).unwrap();
    ride_cwt::text(&chain.code(token, NOW, b"12345678").unwrap())
}

/// An entry of a trust list with more in its table.
fn with(trust: &str, more: &str) -> String {
    trust.replacen("\nprofile = ", &format!("\n{more}\nprofile = "), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_code_of_each_profile_opens_and_one_that_does_not_hold_does_not() {
    use {Reason as R, Verdict as V};
    let mut scene = Scene::new(23).await;
    for (story, verdict, reason) in [
        ("green code", V::Grant, R::InOrder),
        ("health certificate", V::Grant, R::InOrder),
        ("SMART health card", V::Grant, R::InOrder),
        ("national ride code", V::Grant, R::SiteRule),
        ("open ride code", V::Grant, R::InOrder),
        ("residence permit", V::Grant, R::InOrder),
        ("foreigner's card of 2017", V::Grant, R::InOrder),
        ("foreigner's card of 2023", V::Grant, R::InOrder),
        ("health certificate that has ended", V::Deny, R::Expired),
        ("screenshot of that ride code", V::Deny, R::Replayed),
        ("screenshot of that open ride code", V::Deny, R::Replayed),
        ("open ride code of two hours ago", V::Deny, R::Expired),
        (
            "open ride code of a phone that is fast",
            V::Deny,
            R::NotYetActive,
        ),
        ("open ride code, key of a stranger", V::Deny, R::UnknownKey),
        ("open ride code, forged", V::Deny, R::WrongSignature),
    ] {
        let witness = scene.comes(story).await;
        let outcomes: &[Outcome] = if verdict == V::Grant {
            &[Outcome::Passed]
        } else {
            &[]
        };
        expect(&witness, verdict, reason, outcomes);
    }
    scene.stage.strike().await.unwrap();
}

#[test]
fn of_several_issuers_the_first_that_vouches_for_a_code_is_the_one_and_at_most_four_are_tried() {
    let code = ride(&chain(9));
    let issuer = |seed: u64| {
        let mut of = chain(seed);
        // All of them use the same key id.
        of.key_id = chain(9).key_id;
        with(
            &of.trust(&format!("i{seed}")),
            &format!("priority = {seed}"),
        )
    };
    let trust = |seeds: &[u64]| seeds.iter().map(|seed| issuer(*seed)).collect::<String>();
    let reading = read(&trust(&[1, 2, 9, 3]), &code).unwrap();
    assert_eq!(reading.credential.issuer.as_str(), "i9");
    let refusal = read(&trust(&[1, 2, 3, 4, 9]), &code).unwrap_err();
    assert_eq!(refusal.reason, Reason::WrongSignature);
    // Of those who do not vouch for it, the one whose checks came furthest says why: here the keys have other ids.
    let stranger = with(&chain(5).trust("stranger"), "priority = 0");
    let refusal = read(&(stranger.clone() + &trust(&[1])), &code).unwrap_err();
    assert_eq!(refusal.issuer.unwrap().as_str(), "i1");
    let refusal = read(&stranger, &code).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownKey);
}

#[test]
fn a_code_of_bytes_is_told_by_its_first_bytes_as_it_is_or_written_out() {
    let chain = ride_v81::Chain::new(Seed(3), ride_v81::SM2_ID).unwrap();
    let bytes = chain
        .code(
            &ride_v81::Ride::at(Seed(3), NOW),
            ride_v81::Dialect::default(),
        )
        .unwrap();
    let replays: Vec<_> = [
        ride_v81::text(&bytes),
        turnstiled::lab::mint::hex(&bytes),
        format!("{}\r\n", turnstiled::lab::mint::hex(&bytes).to_uppercase()),
    ]
    .iter()
    .map(|text| {
        let reading = read(&chain.trust("national"), text).unwrap();
        reading.credential.replay.unwrap()
    })
    .collect();
    assert!(replays.iter().all(|replay| *replay == replays[0]));
    // Nobody is there for codes of bytes: they are no text either.
    let refusal = read(&self::chain(1).trust("rides"), &ride_v81::text(&bytes)).unwrap_err();
    assert_eq!(refusal.reason, Reason::Malformed);
}

#[test]
fn dynamic_codes_are_for_one_use_and_certificates_follow_their_issuer_when_shown_alone() {
    let alone = "static_alone = \"assist\"";
    let certificates = hcert::Issuer::new(Seed(1)).unwrap();
    let certificate = certificates
        .code(&hcert::Certificate::at(Seed(1), NOW).unwrap())
        .unwrap();
    let cards = shc::Issuer::new(Seed(1)).unwrap();
    let card = cards.code(&shc::Card::at(Seed(1), NOW).unwrap()).unwrap();
    for (trust, code) in [
        (certificates.trust("a"), certificate),
        (cards.trust("a"), card),
    ] {
        let credential = read(&with(&trust, alone), &code).unwrap().credential;
        assert_eq!((credential.alone, credential.replay), (Rule::Assist, None));
        assert_eq!(credential.keys.len(), 2);
    }
    let credential = read(&with(&chain(1).trust("a"), alone), &ride(&chain(1)))
        .unwrap()
        .credential;
    assert_eq!(
        (credential.alone, credential.replay.is_some()),
        (Rule::Open, true)
    );
    // The same code of another issuer is another code.
    let other = read(&chain(1).trust("b"), &ride(&chain(1)))
        .unwrap()
        .credential;
    assert_ne!(other.replay, credential.replay);
    assert_ne!(other.keys, credential.keys);
}

#[test]
fn the_backend_is_asked_about_signed_codes_only_where_it_translates_them() {
    let code = ride(&chain(1));
    let asked = |more: &str| {
        let reading = read(&with(&chain(1).trust("a"), more), &code).unwrap();
        (reading.question, reading.credential.unknown)
    };
    assert_eq!(asked("priority = 1"), (None, None));
    let (question, unknown) = asked("translated = true\noffline = { unknown = \"deny\" }");
    assert_eq!(question.unwrap().profile.as_str(), "ride.cwt");
    assert_eq!(unknown, Some(Rule::Hold));
}

#[test]
fn a_code_that_speaks_for_itself_is_held_by_no_list_and_still_has_a_name_for_passback() {
    let reading = read(&with(&chain(1).trust("a"), "list = []"), &ride(&chain(1))).unwrap();
    let health = ListId::new("health").unwrap();
    assert!(!reading.is_held_by(&health) && !reading.credential.keys.is_empty());
    assert_eq!(reading.said.entitlements, 1);
    let health_only = read(
        &with(&chain(1).trust("a"), "list = [\"health\"]"),
        &ride(&chain(1)),
    );
    let reading = health_only.unwrap();
    assert!(reading.is_held_by(&health) && reading.credential.keys.len() == 1);
}
