//! `ride.v81`: order, times, dialects.

use super::{NOW, OTHER, SEED, gate, good, good_from_to, read, refused};
use crate::domain::{Reason, Utc};
use crate::lab::mint::hex;
use crate::lab::mint::ride_v81::{Chain, Dialect, Ride, SM2_ID, text};

/// The zero of the dialect that counts from 2000, in Beijing (CODES §1.5).
const YEAR_2000: Dialect = Dialect {
    epoch_s: 946_656_000,
    signature_first: false,
};
const SIGNATURE_FIRST: Dialect = Dialect {
    epoch_s: 0,
    signature_first: true,
};

fn chain() -> Chain {
    Chain::new(SEED, SM2_ID).unwrap()
}

fn ride() -> Ride {
    Ride::at(SEED, NOW)
}

fn code(chain: &Chain, ride: &Ride) -> String {
    text(&chain.code(ride, Dialect::default()).unwrap())
}

fn gate_with(params: &str) -> crate::codes::Reader {
    gate(&format!(
        "{}[issuer.params]\n{params}\n",
        chain().trust("city")
    ))
}

#[test]
fn bytes_hex_and_base64_are_the_same_code() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    let gate = gate_with("");
    let bytes = chain().code(&ride(), Dialect::default()).unwrap();
    let plain = good(&gate, &text(&bytes));
    assert!(plain.replay.is_some());
    for other in [
        hex(&bytes),
        hex(&bytes).to_uppercase(),
        STANDARD.encode(&bytes),
        STANDARD_NO_PAD.encode(&bytes),
        URL_SAFE.encode(&bytes),
        format!("{}\r\n", hex(&bytes)),
    ] {
        assert_eq!(good(&gate, &other), plain, "{other:.20}");
    }
}

#[test]
fn a_private_area_has_up_to_32_bytes() {
    let gate = gate_with("");
    for (len, fits) in [
        (0, true),
        (1, true),
        (28, true),
        (32, true),
        (33, false),
        (255, false),
    ] {
        let ride = Ride {
            area: vec![7; len],
            ..ride()
        };
        assert_eq!(read(&gate, &code(&chain(), &ride)).is_ok(), fits, "{len}");
    }
}

#[test]
fn a_code_is_good_from_the_skew_before_it_was_made_up_to_its_validity() {
    let credential = good(&gate_with(""), &code(&chain(), &ride()));
    assert_eq!(good_from_to(&credential), (Some(-20), Some(60)));
    assert_eq!(credential.replay.unwrap().window_s, 80);
    let credential = good(&gate_with("skew_s = 0"), &code(&chain(), &ride()));
    assert_eq!(good_from_to(&credential), (Some(0), Some(60)));
}

#[test]
fn the_earliest_end_of_all_is_the_end() {
    let gate = gate_with("");
    let authorised = Ride {
        authorised_until: Utc::from_secs(NOW.as_secs() + 5),
        ..ride()
    };
    let credential = good(&gate, &code(&chain(), &authorised));
    assert_eq!(good_from_to(&credential), (Some(-20), Some(5)));
    // The certificate ended with October 2026, in Beijing: 2026-10-31T15:59:59.999Z, by `date -u -d`.
    let ended = Ride {
        last_month: [0x10, 0x26],
        ..ride()
    };
    let credential = good(&gate, &code(&chain(), &ended));
    assert_eq!(
        credential.valid_until,
        Some(Utc::from_millis(1_793_462_399_999))
    );
    let trust = chain().trust("city");
    let root = |dates: &str| {
        good(
            &super::gate(&format!("{trust}{dates}\n")),
            &code(&chain(), &ride()),
        )
    };
    let over = root("valid_until = 2026-11-24T12:53:30Z");
    assert_eq!(good_from_to(&over), (Some(-20), Some(10)));
    let to_come = root("valid_from = 2026-11-24T12:53:30Z");
    assert_eq!(good_from_to(&to_come), (Some(10), Some(60)));
}

#[test]
fn a_month_that_is_none_and_a_card_without_digits_are_refused() {
    let gate = gate_with("");
    for last_month in [[0x13, 0x26], [0x00, 0x26], [0x1A, 0x26], [0x12, 0xFF]] {
        let ride = Ride {
            last_month,
            ..ride()
        };
        assert_eq!(
            refused(&gate, &code(&chain(), &ride)),
            Reason::VerificationFailed
        );
    }
    let ride = Ride {
        card: [0xAB; 10],
        ..ride()
    };
    assert_eq!(
        refused(&gate, &code(&chain(), &ride)),
        Reason::VerificationFailed
    );
}

#[test]
fn a_code_that_claims_more_than_its_issuer_allows_is_refused() {
    let of = |validity_s| {
        code(
            &chain(),
            &Ride {
                validity_s,
                ..ride()
            },
        )
    };
    good(&gate_with(""), &of(1_200));
    assert_eq!(
        refused(&gate_with(""), &of(1_201)),
        Reason::VerificationFailed
    );
    assert_eq!(
        refused(&gate_with("validity_max_s = 59"), &of(60)),
        Reason::VerificationFailed
    );
}

#[test]
fn each_of_the_three_signatures_is_checked() {
    let (ours, theirs) = (chain(), Chain::new(OTHER, SM2_ID).unwrap());
    let gate = gate_with("");
    for wrong in [
        Chain {
            root: theirs.root.clone(),
            ..ours.clone()
        },
        Chain {
            root: ours.issuer.clone(),
            ..ours.clone()
        },
    ] {
        assert_eq!(
            refused(&gate, &code(&wrong, &ride())),
            Reason::WrongSignature
        );
    }
    // The parts of two good codes do not make a third: certificate, issuer's part, phone's part.
    let mine = ours.code(&ride(), Dialect::default()).unwrap();
    let yours = Chain {
        issuer: theirs.issuer,
        phone: theirs.phone,
        ..ours
    };
    let yours = yours.code(&ride(), Dialect::default()).unwrap();
    good(&gate, &text(&yours));
    let issuer_signed = 198 + 8 + 65;
    for at in [3 + 117, 158, issuer_signed, issuer_signed + 4] {
        let mixed = [&mine[..at], &yours[at..]].concat();
        assert_eq!(
            refused(&gate, &text(&mixed)),
            Reason::WrongSignature,
            "{at}"
        );
    }
}

#[test]
fn signatures_in_another_order_do_not_hold() {
    let code = chain().code(&ride(), Dialect::default()).unwrap();
    let gate = gate_with("");
    let places = [3 + 53, 207, 276];
    for (a, b) in [(0, 1), (1, 2), (0, 2)] {
        let mut swapped = code.clone();
        for i in 0..64 {
            swapped.swap(places[a] + i, places[b] + i);
        }
        assert_eq!(refused(&gate, &text(&swapped)), Reason::WrongSignature);
    }
}

#[test]
fn a_dialect_is_read_where_it_is_agreed_and_nowhere_else() {
    let first = text(&chain().code(&ride(), SIGNATURE_FIRST).unwrap());
    let credential = good(&gate_with("field_order = \"signature_first\""), &first);
    assert_eq!(good_from_to(&credential), (Some(-20), Some(60)));
    assert!(read(&gate_with(""), &first).is_err());
    let usual = code(&chain(), &ride());
    assert!(read(&gate_with("field_order = \"signature_first\""), &usual).is_err());

    let since_2000 = text(&chain().code(&ride(), YEAR_2000).unwrap());
    let credential = good(&gate_with("epoch = 2000"), &since_2000);
    assert_eq!(good_from_to(&credential), (Some(-20), Some(60)));
    // Read as if it counted from 1970, it was over thirty years ago.
    let credential = good(&gate_with(""), &since_2000);
    assert!(credential.valid_until.unwrap() < Utc::from_secs(NOW.as_secs() - 900_000_000));
}

#[test]
fn the_id_of_the_signatures_is_the_one_that_was_agreed() {
    let other = Chain::new(SEED, "TRANSIT@CITY").unwrap();
    let code = code(&other, &ride());
    good(&gate_with("sm2_id = \"TRANSIT@CITY\""), &code);
    assert_eq!(refused(&gate_with(""), &code), Reason::WrongSignature);
}

#[test]
fn a_ride_code_is_the_right_to_ride_and_says_nothing_of_health() {
    let reading = read(&gate_with(""), &code(&chain(), &ride())).unwrap();
    assert_eq!((reading.said.health, reading.said.entitlements), (None, 1));
}

#[test]
fn every_second_makes_another_code_and_the_same_code_has_the_same_replay_key() {
    let gate = gate_with("");
    let replay = |made| {
        good(&gate, &code(&chain(), &Ride { made, ..ride() }))
            .replay
            .unwrap()
            .key
    };
    assert_eq!(replay(NOW), replay(NOW));
    assert_ne!(replay(NOW), replay(Utc::from_secs(NOW.as_secs() + 1)));
}

/// SM2 adds r and s, so n - s is no second signature as it is with ECDSA; nothing depends on that.
#[test]
fn an_altered_signature_does_not_hold() {
    let mut code = chain().code(&ride(), Dialect::default()).unwrap();
    let at = code.len() - 32;
    let order = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
    negate(&mut code[at..], order);
    assert_eq!(
        refused(&gate_with(""), &text(&code)),
        Reason::WrongSignature
    );
}

/// n - s, big-endian.
pub(super) fn negate(s: &mut [u8], order: &str) {
    let mut borrow = 0;
    for (i, byte) in s.iter_mut().enumerate().rev() {
        let n = i16::from(u8::from_str_radix(&order[2 * i..2 * i + 2], 16).unwrap());
        let difference = n - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference & 0xFF).unwrap();
    }
}
