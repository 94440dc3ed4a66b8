//! What no signed code may do to a gate, for every profile: cut off, damaged, by somebody else, at another time.

#![cfg(feature = "lab")]

mod foreign;
mod health;
mod ride_cwt;
mod ride_v81;
mod vectors;

use super::{Profile, Reader, Reading, Refusal, TrustList};
use crate::codes::Pepper;
use crate::domain::{Credential, ListId, Personal, Reason, Shown, Utc};
use crate::lab::mint::{self, Minted, Seed};

/// 2026-11-24T12:53:20Z.
pub(super) const NOW: Utc = Utc::from_secs(1_795_524_800);
pub(super) const SEED: Seed = Seed(1);
/// Somebody else.
pub(super) const OTHER: Seed = Seed(2);

/// A gate with this trust list, without its version.
pub(super) fn gate(trust: &str) -> Reader {
    let pepper = (ListId::new("city").unwrap(), Pepper::from_bytes([1; 32]));
    let trust = TrustList::parse(&format!("version = 1\n{trust}"));
    Reader::new(trust.unwrap_or_else(|e| panic!("{e}")), vec![pepper]).unwrap()
}

pub(super) fn read(gate: &Reader, text: &str) -> Result<Reading, Refusal> {
    gate.read(&Shown::Code(Personal::new(text.to_owned())))
}

/// Reads what has to be good.
#[track_caller]
pub(super) fn good(gate: &Reader, text: &str) -> Credential {
    let read = read(gate, text);
    read.unwrap_or_else(|e| panic!("{e}: {:?}", e.fault))
        .credential
}

#[track_caller]
pub(super) fn refused(gate: &Reader, text: &str) -> Reason {
    match read(gate, text) {
        Ok(_) => panic!("it was read"),
        Err(refusal) => refusal.reason,
    }
}

/// The seconds from [`NOW`] on in which a code is good.
pub(super) fn good_from_to(credential: &Credential) -> (Option<i64>, Option<i64>) {
    let seconds =
        |at: Utc| i64::try_from(at.as_secs()).unwrap() - i64::try_from(NOW.as_secs()).unwrap();
    (
        credential.valid_from.map(seconds),
        credential.valid_until.map(seconds),
    )
}

fn minted(profile: Profile, seed: Seed) -> Minted {
    mint::mint(profile, seed, NOW).unwrap()
}

/// Refused, or it says nothing else than the code that it was made of.
#[track_caller]
pub(super) fn changes_nothing(gate: &Reader, changed: &str, original: &Credential) -> bool {
    match read(gate, changed) {
        Ok(reading) => {
            assert!(reading.credential == *original, "it says something else");
            true
        }
        Err(_) => false,
    }
}

/// Every beginning of it.
fn every_truncation(profile: Profile) {
    let Minted { text, trust, .. } = minted(profile, SEED);
    let gate = gate(&trust);
    good(&gate, &text);
    for (cut, _) in text.char_indices() {
        assert!(read(&gate, &text[..cut]).is_err(), "cut at {cut}");
    }
}

/// Every character with one of its bits flipped.
fn every_flipped_bit(profile: Profile, step: usize) {
    let Minted { text, trust, .. } = minted(profile, SEED);
    let gate = gate(&trust);
    let original = good(&gate, &text);
    let chars: Vec<char> = text.chars().collect();
    // Characters of ISO 8859-1 have eight bits, of ASCII seven.
    let bits = if text.is_ascii() { 7 } else { 8 };
    let mut same = 0;
    for flip in (0..chars.len() * bits).step_by(step) {
        let mut changed = chars.clone();
        let flipped = u32::from(changed[flip / bits]) ^ 1 << (flip % bits);
        changed[flip / bits] = char::from_u32(flipped).unwrap();
        let changed: String = changed.into_iter().collect();
        same += usize::from(changes_nothing(&gate, &changed, &original));
    }
    // A letter of base45, a digit of a card or a byte of a code means one thing only.
    assert_eq!(same, 0);
}

/// A code of another issuer of this profile, whose keys have other ids, and then the same ids.
fn another_issuer(profile: Profile) {
    let (ours, theirs) = (minted(profile, SEED), minted(profile, OTHER));
    let id = |trust: &str| {
        let line = trust.lines().rfind(|line| line.starts_with("id = "));
        line.unwrap().to_owned()
    };
    let renamed = ours.trust.replace(&id(&ours.trust), "id = \"hex:ffee\"");
    assert_eq!(refused(&gate(&renamed), &ours.text), Reason::UnknownKey);
    let pretends = ours.trust.replace(&id(&ours.trust), &id(&theirs.trust));
    assert_eq!(
        refused(&gate(&pretends), &theirs.text),
        Reason::WrongSignature
    );
    // Both are known, and each code finds its own.
    let both = theirs.trust.replacen("\"lab-", "\"their-", 1) + &ours.trust;
    let both = gate(&both);
    assert!(good(&both, &ours.text).issuer.as_str().starts_with("lab-"));
    if id(&ours.trust) != id(&theirs.trust) {
        assert!(
            good(&both, &theirs.text)
                .issuer
                .as_str()
                .starts_with("their-")
        );
    }
}

/// A key that was revoked, and one whose time is over or has not come.
fn another_time_of_the_key(profile: Profile) {
    let Minted { text, trust, .. } = minted(profile, SEED);
    let revoked = format!("{trust}status = \"revoked\"\n");
    assert_eq!(refused(&gate(&revoked), &text), Reason::KeyRevoked);
    let retired = format!("{trust}status = \"retired\"\n");
    good(&gate(&retired), &text);
}

/// Texts that look like it in front and are something else.
fn nonsense(profile: Profile) {
    let Minted { text, trust, .. } = minted(profile, SEED);
    let gate = gate(&trust);
    let start: String = text.chars().take(5).collect();
    for tail in [
        "",
        "0",
        "É",
        "\u{0}",
        " ",
        "A".repeat(1_400).as_str(),
        "码".repeat(400).as_str(),
    ] {
        assert!(read(&gate, &format!("{start}{tail}")).is_err(), "{tail:.9}");
    }
    assert!(read(&gate, &format!("{text}{text}")).is_err());
    assert!(read(&gate, &text.repeat(50)).is_err());
}

macro_rules! for_every_profile {
    ($($name:ident: $profile:expr, $step:expr;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn every_beginning_of_a_code_is_refused() {
                every_truncation($profile);
            }

            #[test]
            fn every_flipped_bit_is_noticed() {
                every_flipped_bit($profile, $step);
            }

            #[test]
            fn a_code_of_another_issuer_is_refused_by_key_or_by_signature() {
                another_issuer($profile);
            }

            #[test]
            fn a_revoked_key_vouches_for_nothing_and_a_retired_one_still_does() {
                another_time_of_the_key($profile);
            }

            #[test]
            fn what_looks_like_a_code_in_front_only_is_refused() {
                nonsense($profile);
            }
        }
    )* };
}

for_every_profile! {
    ride_v81_codes: Profile::RideV81, 1;
    ride_cwt_codes: Profile::RideCwt, 1;
    hcert_codes: Profile::Hcert, 1;
    shc_codes: Profile::Shc, 1;
}
