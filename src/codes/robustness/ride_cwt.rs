//! `ride.cwt`: order, times, what a token may leave out, and how large a code is.

use ciborium::Value;
use coset::{AsCborValue as _, CborSerializable as _, CoseSign1, Label};
use qrcode::{EcLevel, QrCode, Version};

use super::ride_v81::negate;
use super::{NOW, OTHER, SEED, gate, good, good_from_to, read, refused};
use crate::codes::Reader;
use crate::codes::signed::Health;
use crate::domain::{Colour, Reason, Utc};
use crate::lab::mint::ride_cwt::{Chain, Key, Token, text};

const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const NONCE: [u8; 8] = [9; 8];

fn chain() -> Chain {
    Chain::new(SEED).unwrap()
}

fn token() -> Token {
    Token::at(SEED, NOW)
}

fn ours() -> Reader {
    gate(&chain().trust("city"))
}

fn code(chain: &Chain, token: &Token) -> Vec<u8> {
    chain
        .code(chain.token(token).unwrap(), NOW, &NONCE)
        .unwrap()
}

fn ed25519(name: &str) -> Key {
    Key::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(
        &SEED.bytes(name),
    )))
}

fn later(seconds: u64) -> Utc {
    Utc::from_secs(NOW.as_secs() + seconds)
}

#[test]
fn a_full_code_fits_a_qr_code_of_version_10_for_every_pair_of_keys() {
    let p256 = |name| Key::P256(SEED.p256(name).unwrap());
    for (issuer, phone) in [
        (ed25519("i"), ed25519("p")),
        (ed25519("i"), p256("p")),
        (p256("i"), ed25519("p")),
        (p256("i"), p256("p")),
    ] {
        let chain = Chain {
            issuer,
            phone,
            ..chain()
        };
        let text = text(&code(&chain, &token()));
        let qr = QrCode::with_version(&text, Version::Normal(10), EcLevel::L);
        assert!(qr.is_ok(), "{} characters", text.len());
        good(&gate(&chain.trust("city")), &text);
    }
    // 395 characters are what fits, and a gate takes no more.
    let fits =
        |len: usize| QrCode::with_version("A".repeat(len), Version::Normal(10), EcLevel::L).is_ok();
    assert!(fits(395) && !fits(396));
    let token = Token {
        account: "A".repeat(64),
        ..token()
    };
    assert_eq!(
        refused(&ours(), &text(&code(&chain(), &token))),
        Reason::Malformed
    );
}

#[test]
fn a_code_is_good_from_the_skew_before_it_was_made_up_to_its_validity() {
    let credential = good(&ours(), &text(&code(&chain(), &token())));
    assert_eq!(good_from_to(&credential), (Some(-20), Some(60)));
    assert_eq!(credential.replay.unwrap().window_s, 80);
    let without = Token {
        validity_s: None,
        ..token()
    };
    let params = format!(
        "{}[issuer.params]\nvalidity_max_s = 30\nskew_s = 5\n",
        chain().trust("city")
    );
    let credential = good(&gate(&params), &text(&code(&chain(), &without)));
    assert_eq!(good_from_to(&credential), (Some(-5), Some(30)));
    // The issuer of the token may not go past what the trust list allows.
    assert_eq!(
        refused(&gate(&params), &text(&code(&chain(), &token()))),
        Reason::VerificationFailed
    );
}

#[test]
fn token_and_key_narrow_the_time() {
    let short = Token {
        expires: later(10),
        not_before: Some(later(3)),
        ..token()
    };
    let credential = good(&ours(), &text(&code(&chain(), &short)));
    assert_eq!(good_from_to(&credential), (Some(3), Some(10)));
    let dated = format!(
        "{}valid_from = 2026-11-24T12:53:21Z\nvalid_until = 2026-11-24T12:53:30Z\n",
        chain().trust("city")
    );
    let credential = good(&gate(&dated), &text(&code(&chain(), &token())));
    assert_eq!(good_from_to(&credential), (Some(1), Some(10)));
}

#[test]
fn a_token_says_colour_and_entitlements_or_leaves_them_out() {
    let said = |token: &Token| {
        let said = read(&ours(), &text(&code(&chain(), token))).unwrap().said;
        (said.health, said.entitlements)
    };
    for colour in [Colour::Green, Colour::Yellow, Colour::Red] {
        let token = Token {
            colour: Some(colour),
            entitlements: Some(0x8001),
            ..token()
        };
        assert_eq!(said(&token), (Some(Health::Colour(colour)), 0x8001));
    }
    let bare = Token {
        colour: None,
        entitlements: None,
        validity_s: None,
        ..token()
    };
    assert_eq!(said(&bare), (None, 0));
}

#[test]
fn both_signatures_are_checked() {
    let theirs = Chain::new(OTHER).unwrap();
    let by_another_issuer = Chain {
        issuer: theirs.issuer.clone(),
        ..chain()
    };
    assert_eq!(
        refused(&ours(), &text(&code(&by_another_issuer, &token()))),
        Reason::WrongSignature
    );
    // Somebody else's token, and the signature of another phone.
    let token = chain().token(&token()).unwrap();
    let stolen = theirs.code(token, NOW, &NONCE).unwrap();
    assert_eq!(refused(&ours(), &text(&stolen)), Reason::WrongSignature);
}

#[test]
fn phone_and_issuer_do_not_stand_for_each_other() {
    let ours = ours();
    let swapped = Chain {
        issuer: chain().phone,
        phone: chain().issuer,
        ..chain()
    };
    assert!(read(&ours, &text(&code(&swapped, &token()))).is_err());
    // A token alone, and a code inside a code.
    let token = chain().token(&token()).unwrap();
    assert_eq!(
        refused(&ours, &text(&token.clone().to_vec().unwrap())),
        Reason::Malformed
    );
    let inner = CoseSign1::from_slice(&chain().code(token, NOW, &NONCE).unwrap()).unwrap();
    let nested = chain().code(inner, NOW, &NONCE).unwrap();
    assert!(read(&ours, &text(&nested)).is_err());
}

#[test]
fn an_altered_signature_has_the_same_replay_key_and_changes_nothing() {
    let original = code(&chain(), &token());
    let credential = good(&ours(), &text(&original));
    let mut altered = original.clone();
    let at = altered.len() - 32;
    negate(&mut altered[at..], P256_ORDER);
    assert_ne!(altered, original);
    assert_eq!(good(&ours(), &text(&altered)), credential);
}

#[test]
fn what_nobody_signed_has_no_part_in_the_replay_key() {
    let original = code(&chain(), &token());
    let credential = good(&ours(), &text(&original));
    let mut changed = CoseSign1::from_slice(&original).unwrap();
    changed.unprotected.rest.push((Label::Int(99), Value::Null));
    assert_eq!(
        good(&ours(), &text(&changed.clone().to_vec().unwrap())),
        credential
    );
    // Tags, and another spelling of the same array.
    for tags in [vec![18], vec![18, 61]] {
        let value = changed.clone().to_cbor_value().unwrap();
        let tagged = tags
            .iter()
            .fold(value, |value, tag| Value::Tag(*tag, Box::new(value)));
        let mut bytes = Vec::new();
        ciborium::into_writer(&tagged, &mut bytes).unwrap();
        assert_eq!(good(&ours(), &text(&bytes)), credential);
    }
    let long_head = [&[0x98, 0x04], &original[1..]].concat();
    assert_eq!(good(&ours(), &text(&long_head)), credential);
    // The token's own unprotected header is inside what the phone signed.
    let mut token = chain().token(&token()).unwrap();
    token.unprotected.rest.push((Label::Int(99), Value::Null));
    let other = chain().code(token, NOW, &NONCE).unwrap();
    assert_ne!(good(&ours(), &text(&other)).replay, credential.replay);
}

#[test]
fn a_nonce_has_4_to_16_bytes_and_makes_another_code_of_the_same_second() {
    let of = |nonce: &[u8]| {
        let token = chain().token(&token()).unwrap();
        text(&chain().code(token, NOW, nonce).unwrap())
    };
    let replay = |nonce: &[u8]| good(&ours(), &of(nonce)).replay;
    assert_ne!(replay(&[1; 4]), replay(&[2; 4]));
    assert_ne!(replay(&[1; 4]), replay(&[1; 5]));
    for len in [0, 3, 17] {
        assert_eq!(
            refused(&ours(), &of(&vec![1; len])),
            Reason::Malformed,
            "{len}"
        );
    }
}

#[test]
fn times_and_accounts_that_are_none_are_refused() {
    let bad = |change: fn(&mut Token)| {
        let mut token = token();
        change(&mut token);
        assert_eq!(
            refused(&ours(), &text(&code(&chain(), &token))),
            Reason::Malformed
        );
    };
    bad(|token| token.account = String::new());
    bad(|token| token.account = "A\u{1f}B".into());
    bad(|token| token.account = "A\nB".into());
}
