//! `hcert` and `shc`: order, times, altered signatures. Both are static: nothing keeps a copy from being shown, so no
//! replay key depends on what somebody changed.

use coset::{CborSerializable as _, CoseSign1, Label, TaggedCborSerializable as _};

use super::ride_v81::negate;
use super::{NOW, SEED, gate, good, good_from_to, read, refused};
use crate::domain::{Reason, Utc};
use crate::lab::mint::{hcert, shc};

const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const DAY_S: i64 = 86_400;

fn certificates() -> hcert::Issuer {
    hcert::Issuer::new(SEED).unwrap()
}

fn cards() -> shc::Issuer {
    shc::Issuer::new(SEED).unwrap()
}

fn certificate() -> hcert::Certificate {
    hcert::Certificate::at(SEED, NOW).unwrap()
}

/// What is inside the text of a certificate.
fn signed(text: &str) -> CoseSign1 {
    use std::io::Write as _;
    let packed = base45::decode(text.strip_prefix("HC1:").unwrap()).unwrap();
    let mut out = flate2::write::ZlibDecoder::new(Vec::new());
    out.write_all(&packed).unwrap();
    CoseSign1::from_tagged_slice(&out.finish().unwrap()).unwrap()
}

#[test]
fn a_certificate_is_good_from_its_issue_up_to_its_expiry() {
    let gate = gate(&certificates().trust("xx"));
    let credential = good(&gate, &certificates().code(&certificate()).unwrap());
    assert_eq!(
        good_from_to(&credential),
        (Some(-29 * DAY_S - 20), Some(365 * DAY_S))
    );
    assert_eq!(credential.replay, None);
    let over = hcert::Certificate {
        expires: Utc::from_secs(NOW.as_secs() - 1),
        ..certificate()
    };
    let over = good(&gate, &certificates().code(&over).unwrap());
    assert_eq!(good_from_to(&over).1, Some(-1));
    let to_come = hcert::Certificate {
        issued: Utc::from_secs(NOW.as_secs() + 100),
        ..certificate()
    };
    let to_come = good(&gate, &certificates().code(&to_come).unwrap());
    assert_eq!(good_from_to(&to_come).0, Some(80));
}

#[test]
fn a_card_is_good_from_its_issue_and_up_to_its_expiry_if_it_has_one() {
    let gate = gate(&cards().trust("xx"));
    let card = shc::Card::at(SEED, NOW).unwrap();
    let credential = good(&gate, &cards().code(&card).unwrap());
    assert_eq!(good_from_to(&credential), (Some(-29 * DAY_S - 20), None));
    let expires = shc::Card {
        expires: Some(NOW),
        ..card
    };
    let credential = good(&gate, &cards().code(&expires).unwrap());
    assert_eq!(good_from_to(&credential), (Some(-29 * DAY_S - 20), Some(0)));
}

#[test]
fn an_altered_signature_changes_nothing() {
    let gate_of = gate(&certificates().trust("xx"));
    let code = certificates().code(&certificate()).unwrap();
    let original = good(&gate_of, &code);
    let mut altered = signed(&code);
    negate(&mut altered.signature[32..], P256_ORDER);
    let altered = hcert::text(&altered.to_tagged_vec().unwrap()).unwrap();
    assert_eq!(good(&gate_of, &altered), original);

    let gate_of = gate(&cards().trust("xx"));
    let code = cards().code(&shc::Card::at(SEED, NOW).unwrap()).unwrap();
    let original = good(&gate_of, &code);
    let jws = characters(&code);
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    negate(&mut signature[32..], P256_ORDER);
    let altered = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_eq!(good(&gate_of, &shc::text(&altered)), original);
}

#[test]
fn what_nobody_signed_of_a_certificate_changes_nothing() {
    let gate = gate(&certificates().trust("xx"));
    let code = certificates().code(&certificate()).unwrap();
    let original = good(&gate, &code);
    let mut changed = signed(&code);
    changed.unprotected.rest.push((Label::Int(99), 1.into()));
    for bytes in [
        changed.clone().to_tagged_vec().unwrap(),
        changed.clone().to_vec().unwrap(),
    ] {
        assert_eq!(good(&gate, &hcert::text(&bytes).unwrap()), original);
    }
    // The signed key id wins over one that nobody signed.
    changed.unprotected.key_id = vec![1; 8];
    let bytes = changed.to_tagged_vec().unwrap();
    assert_eq!(good(&gate, &hcert::text(&bytes).unwrap()), original);
}

#[test]
fn parts_in_another_order_are_refused() {
    let gate_of = gate(&certificates().trust("xx"));
    let code = certificates().code(&certificate()).unwrap();
    let parts = signed(&code);
    let swapped = CoseSign1 {
        payload: Some(parts.signature.clone()),
        signature: parts.payload.clone().unwrap(),
        ..parts
    };
    let swapped = hcert::text(&swapped.to_tagged_vec().unwrap()).unwrap();
    assert_eq!(refused(&gate_of, &swapped), Reason::WrongSignature);

    let gate_of = gate(&cards().trust("xx"));
    let jws = characters(&cards().code(&shc::Card::at(SEED, NOW).unwrap()).unwrap());
    let parts: Vec<_> = jws.split('.').collect();
    for order in [[1, 0, 2], [0, 2, 1], [2, 1, 0]] {
        let jws = order.map(|i| parts[i]).join(".");
        assert!(read(&gate_of, &shc::text(&jws)).is_err(), "{order:?}");
    }
}

/// A certificate under the prefix of a card, and the other way round.
#[test]
fn a_code_under_the_prefix_of_another_profile_is_refused() {
    let both = certificates().trust("a") + &cards().trust("b");
    let gate = gate(&both);
    let certificate = certificates().code(&certificate()).unwrap();
    let card = cards().code(&shc::Card::at(SEED, NOW).unwrap()).unwrap();
    let (of_certificate, of_card) = (&certificate["HC1:".len()..], &card["shc:/".len()..]);
    assert_eq!(
        refused(&gate, &format!("shc:/{of_certificate}")),
        Reason::Malformed
    );
    assert_eq!(refused(&gate, &format!("HC1:{of_card}")), Reason::Malformed);
}

/// The JWS of a card's text.
fn characters(text: &str) -> String {
    let digits = text.strip_prefix("shc:/").unwrap().as_bytes();
    let character = |pair: &[u8]| char::from((pair[0] - b'0') * 10 + (pair[1] - b'0') + 45);
    digits.chunks(2).map(character).collect()
}
