//! From an identifier to the row key of a list. Gate and import use this one file, so they cannot disagree.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use crate::domain::{IssuerId, Personal, RowKey, Subject};

/// Kind of an opaque code: its exact text is the identifier.
pub const OPAQUE: &str = "opaque";
/// Kind of an ID card: its number is the identifier.
pub const ID_CARD: &str = "id_card";
/// Kind of a contactless card or tag: its identifier as [`crate::domain::Tag::identifier`] spells it.
pub const TAG: &str = "tag";
/// Kind of a row that says that a signed code was revoked; the identifier is a name that the code's profile makes of it.
pub const REVOKED: &str = "revoked";
/// Kind of a row of a person, however they are known: the identifier is their subject, 16 hex digits, and the issuer
/// [`SUBJECT_ISSUER`]. Lists that know a person by another credential are joined through it.
pub const SUBJECT: &str = "subject";
/// Issuer of rows of kind `subject`: no issuer made a subject.
pub const SUBJECT_ISSUER: &str = "any";

/// Stands between the parts of what is hashed; no part but the last may hold it.
const SEPARATOR: u8 = 0x1F;

/// Secret of one list. Whoever has it can enumerate ID numbers, so it is treated like personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Pepper(Personal<[u8; 32]>);

impl Pepper {
    /// A pepper out of its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Personal::new(bytes))
    }

    /// Reads a pepper file: 64 hex digits, with white space around them if need be.
    ///
    /// # Errors
    /// [`PepperError`] for anything else; it does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, PepperError> {
        let digits = text.trim_ascii();
        if digits.len() != 64 {
            return Err(PepperError::Length(digits.len()));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| PepperError::Digit)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(PepperError::Digit);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| PepperError::Digit)?;
        }
        let pepper = Self::from_bytes(bytes);
        bytes.zeroize();
        Ok(pepper)
    }

    /// Names the pepper without giving it away: the first 4 bytes of SHA-256 over a fixed prefix and the pepper.
    /// A manifest carries it, so a gate with another pepper refuses the list instead of knowing nobody.
    #[must_use]
    pub fn id(&self) -> u32 {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"turnstiled pepper id\x1f")
            .chain_update(self.0.expose())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// Why a text is no pepper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PepperError {
    /// Too short or too long.
    #[error("a pepper has 64 hex digits, this has {0} characters")]
    Length(usize),
    /// A character that is no hex digit.
    #[error("a pepper is made of hex digits")]
    Digit,
}

/// Why there is no row key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowKeyError {
    /// The kind is empty or holds the separator.
    #[error("a kind is not empty and does not hold the character 0x1F")]
    Kind,
    /// Nothing is left of the identifier.
    #[error("the identifier is empty")]
    EmptyIdentifier,
}

/// The one spelling of an identifier: without ASCII white space at its ends, and an `x` of an ID card in upper case.
#[must_use]
pub fn canonical(kind: &str, identifier: &str) -> Personal<String> {
    let trimmed = identifier.trim_ascii();
    Personal::new(if kind == ID_CARD {
        trimmed.replace('x', "X")
    } else {
        trimmed.to_owned()
    })
}

/// The row key of a person, by their subject.
///
/// # Errors
/// [`RowKeyError`], which no subject causes.
pub fn subject_key(pepper: &Pepper, subject: Subject) -> Result<RowKey, RowKeyError> {
    let issuer = IssuerId::new(SUBJECT_ISSUER).map_err(|_| RowKeyError::Kind)?;
    let digits = u64::from_be_bytes(subject.0);
    row_key(pepper, SUBJECT, &issuer, &format!("{digits:016x}"))
}

/// The row key of an identifier: first 16 bytes of HMAC-SHA-256(pepper, kind 0x1F issuer 0x1F identifier), the
/// identifier made [`canonical`].
///
/// # Errors
/// [`RowKeyError`] if two different people could get the same key.
pub fn row_key(
    pepper: &Pepper,
    kind: &str,
    issuer: &IssuerId,
    identifier: &str,
) -> Result<RowKey, RowKeyError> {
    // An issuer's name cannot hold the separator: `IssuerId` refuses it.
    if kind.is_empty() || kind.as_bytes().contains(&SEPARATOR) {
        return Err(RowKeyError::Kind);
    }
    let identifier = canonical(kind, identifier);
    if identifier.expose().is_empty() {
        return Err(RowKeyError::EmptyIdentifier);
    }
    // HMAC fills a short key up with zeros to one block of the hash: done here, it cannot fail.
    let mut block = [0; 64];
    block
        .iter_mut()
        .zip(pepper.0.expose())
        .for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new((&block).into());
    block.zeroize();
    mac.update(kind.as_bytes());
    mac.update(&[SEPARATOR]);
    mac.update(issuer.as_str().as_bytes());
    mac.update(&[SEPARATOR]);
    mac.update(identifier.expose().as_bytes());
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    let mut key = [0; 16];
    key.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    Ok(RowKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> IssuerId {
        IssuerId::new("demo.health").unwrap()
    }

    fn pepper() -> Pepper {
        Pepper::parse(&"0b".repeat(32)).unwrap()
    }

    /// Computed with Python's `hmac` and `hashlib`.
    #[test]
    fn the_key_is_what_any_other_program_computes() {
        let key = row_key(&pepper(), OPAQUE, &issuer(), "CODE-1").unwrap();
        assert_eq!(hex(&key.0), "40542aea8dfa6b0ce3575c4d774e575d");
        assert_eq!(pepper().id(), 0x31080dac);
    }

    #[test]
    fn white_space_and_a_small_x_do_not_make_another_person() {
        let key = |text| row_key(&pepper(), ID_CARD, &issuer(), text);
        assert_eq!(key("11010119000101001x"), key("\t11010119000101001X\r\n"));
        let opaque = |text| row_key(&pepper(), OPAQUE, &issuer(), text);
        assert_ne!(opaque("abcx"), opaque("abcX"));
        assert_eq!(opaque(" abcx\n"), opaque("abcx"));
    }

    #[test]
    fn kind_issuer_and_pepper_make_different_keys() {
        let key = row_key(&pepper(), OPAQUE, &issuer(), "1").unwrap();
        let other = Pepper::parse(&"0c".repeat(32)).unwrap();
        assert_ne!(key, row_key(&pepper(), ID_CARD, &issuer(), "1").unwrap());
        assert_ne!(key, row_key(&other, OPAQUE, &issuer(), "1").unwrap());
        let neighbour = IssuerId::new("demo.healt").unwrap();
        assert_ne!(key, row_key(&pepper(), OPAQUE, &neighbour, "1").unwrap());
    }

    #[test]
    fn the_separator_cannot_be_smuggled_in_and_nothing_is_nobody() {
        let key = |kind, text| row_key(&pepper(), kind, &issuer(), text);
        assert_eq!(key("a\u{1f}b", "1"), Err(RowKeyError::Kind));
        assert_eq!(key("", "1"), Err(RowKeyError::Kind));
        assert_eq!(key(OPAQUE, " \n"), Err(RowKeyError::EmptyIdentifier));
    }

    #[test]
    fn a_bad_pepper_is_refused_without_repeating_it() {
        assert_eq!(Pepper::parse("abc"), Err(PepperError::Length(3)));
        assert_eq!(Pepper::parse(&"g1".repeat(32)), Err(PepperError::Digit));
        assert_eq!(Pepper::parse(&"+1".repeat(32)), Err(PepperError::Digit));
        assert_eq!(format!("{:?}", pepper()), "Pepper(..)");
        assert_eq!(
            Pepper::parse(&format!("{}\n", "0B".repeat(32))),
            Ok(pepper())
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}
