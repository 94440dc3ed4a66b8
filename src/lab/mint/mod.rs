//! Keys and codes of issuers that exist in a lab only. Everything follows from a seed, so a code can be made again, and
//! so can the entry of its issuer in a trust list.

pub mod hcert;
pub mod id_card;
pub mod picture;
pub mod ride_cwt;
pub mod ride_v81;
pub mod shc;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};

use crate::codes::Profile;
use crate::domain::Utc;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The numbers do not fit the format.
    #[error("{0} does not fit the format")]
    Range(&'static str),
    /// A library did not do it.
    #[error("{what}: {why}")]
    Library {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

/// Turns what a library said into a [`MintError`].
pub(crate) fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> MintError {
    move |error| MintError::Library {
        what,
        why: error.to_string(),
    }
}

/// What was made, and what a gate needs to believe it.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The text that a phone shows or a card says.
    pub text: String,
    /// `[[issuer]]` of a trust list.
    pub trust: String,
    /// Secret keys as PEM (PKCS#8), each with a name; for other programs that are to sign.
    pub keys: Vec<(&'static str, String)>,
}

/// Makes a code of a profile that is good at `at`.
///
/// # Errors
/// [`MintError`].
pub fn mint(profile: Profile, seed: Seed, at: Utc) -> Result<Minted, MintError> {
    match profile {
        Profile::Opaque => Ok(opaque(seed)),
        Profile::Hcert => hcert::Issuer::new(seed)?.minted(seed, at),
        Profile::Shc => shc::Issuer::new(seed)?.minted(seed, at),
        Profile::RideV81 => ride_v81::Chain::new(seed, ride_v81::SM2_ID)?.minted(seed, at),
        Profile::RideCwt => ride_cwt::Chain::new(seed)?.minted(seed, at),
        Profile::IdCard => id_card::minted(seed, at),
        Profile::Tag => Ok(tag(seed)),
    }
}

/// What a tag gives to whoever asks, as lists hold it.
fn tag(seed: Seed) -> Minted {
    let [a, b, c, ..] = seed.bytes("tag");
    Minted {
        // A first byte of 04 is a maker's, never that of a random UID.
        text: format!("iso14443a:04{a:02X}{b:02X}{c:02X}"),
        trust: "[[issuer]]\nid = \"lab-tag\"\nprofile = \"tag\"\n".into(),
        keys: Vec::new(),
    }
}

/// A code that only a list knows.
fn opaque(seed: Seed) -> Minted {
    Minted {
        text: format!("LAB:{}", hex(&seed.bytes("opaque")[..12])),
        trust: "[[issuer]]\nid = \"lab-opaque\"\nprofile = \"opaque\"\nclass = \"health\"\n\
                detect = [{ prefix = \"LAB:\" }]\n"
            .into(),
        keys: Vec::new(),
    }
}

/// Where keys and numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// 32 bytes that belong to a name.
    #[must_use]
    pub fn bytes(self, name: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update("turnstiled lab")
            .chain_update(self.0.to_be_bytes())
            .chain_update(name)
            .finalize()
            .into()
    }

    /// So many digits that belong to a name.
    #[must_use]
    pub fn digits(self, name: &str, count: usize) -> String {
        let bytes = self.bytes(name);
        let digits = bytes.iter().map(|byte| char::from(b'0' + byte % 10));
        digits.cycle().take(count).collect()
    }

    /// A key on P-256.
    ///
    /// # Errors
    /// [`MintError`] for one seed in 2^32.
    pub fn p256(self, name: &str) -> Result<p256::SecretKey, MintError> {
        p256::SecretKey::from_slice(&self.bytes(name)).map_err(failed("a key on P-256"))
    }
}

/// The compressed point of a key on P-256, hex.
#[must_use]
pub fn p256_point(key: &p256::SecretKey) -> String {
    hex(key.public_key().to_sec1_point(true).as_bytes())
}

/// Bytes as hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Utc = Utc::from_secs(1_795_524_800);
    const ALL: [Profile; 6] = [
        Profile::Opaque,
        Profile::Hcert,
        Profile::Shc,
        Profile::RideV81,
        Profile::RideCwt,
        Profile::IdCard,
    ];

    #[test]
    fn the_same_words_make_the_same_code_and_another_seed_another() {
        for profile in ALL {
            let made = |seed| mint(profile, Seed(seed), NOW).unwrap();
            let (first, again, other) = (made(1), made(1), made(2));
            assert_eq!((&first.text, &first.trust), (&again.text, &again.trust));
            assert_ne!(first.text, other.text, "{profile:?}");
        }
    }

    #[test]
    fn every_time_since_1970_has_codes_or_a_sentence() {
        for at in [0, 1, 946_684_799, u64::from(u32::MAX), u64::MAX / 1_000] {
            for profile in ALL {
                if let Err(error) = mint(profile, Seed(1), Utc::from_secs(at)) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }

    #[test]
    fn a_card_of_each_kind_has_a_number_of_its_kind() {
        use crate::codes::id_card::{check_number, validity};
        use crate::domain::IdCardKind as K;
        for kind in [
            K::Resident,
            K::HongKongMacaoTaiwan,
            K::Foreign2017,
            K::Foreign2023,
        ] {
            let card = id_card::card(Seed(1), kind, NOW).unwrap();
            assert_eq!(check_number(card.number.expose(), kind), Ok(()), "{kind:?}");
            let validity = validity(&card).unwrap();
            assert!(
                validity.from < NOW && validity.until > Some(NOW),
                "{kind:?}"
            );
        }
    }
}
