//! From an identifier to its row key: the one function that serves gate and import alike.
//!
//! `row key = first 16 bytes of HMAC-SHA-256(pepper of the list, kind 0x1F issuer 0x1F identifier)` (DESIGN §2), over the
//! UTF-8 bytes, the identifier in its canonical form ([`canonical`]). Whoever holds the pepper can enumerate ID numbers:
//! the key hides them only from those who do not.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::{Personal, RowKey};

/// Separates the parts of what is hashed; kind and issuer cannot contain it.
const SEPARATOR: u8 = 0x1F;

/// Which namespace an identifier belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The text of a code.
    Opaque,
    /// The number of an ID card.
    IdCard,
}

impl KeyKind {
    /// As hashed, and as in the first column of an import.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::IdCard => "id_card",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Opaque, Self::IdCard]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// The secret of a list.
#[derive(Clone, Debug)]
pub struct Pepper(Personal<[u8; 32]>);

/// A pepper file that holds something else. What it holds is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pepper is 64 hex digits (32 bytes)")]
pub struct PepperError;

impl Pepper {
    /// A pepper of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Personal::new(bytes))
    }

    /// Reads 64 hex digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`PepperError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PepperError> {
        let text = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() != 64 {
            return Err(PepperError);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let value = |digit: &u8| {
                char::from(*digit)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            };
            let (Some(high), Some(low)) = (
                digits.first().and_then(value),
                digits.get(1).and_then(value),
            ) else {
                return Err(PepperError);
            };
            *byte = high << 4 | low;
        }
        Ok(Self::from_bytes(*bytes))
    }

    /// The 64 hex digits, for the file that gate and import share.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(
            self.0
                .expose()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

/// The form of an identifier that is hashed: without white space around it, and an ID number with a large `X`.
#[must_use]
pub fn canonical(kind: KeyKind, identifier: &str) -> Zeroizing<String> {
    let trimmed = identifier.trim_matches(|c: char| c.is_ascii_whitespace());
    Zeroizing::new(match kind {
        KeyKind::Opaque => trimmed.to_owned(),
        KeyKind::IdCard => trimmed.to_ascii_uppercase(),
    })
}

/// The row key of an identifier in the list with this pepper. `issuer` is a valid issuer name, so it holds no separator.
#[must_use]
pub fn row_key(
    pepper: &Pepper,
    kind: KeyKind,
    issuer: &crate::domain::IssuerId,
    identifier: &str,
) -> RowKey {
    // HMAC pads a short key with zeros to the block of its hash, 64 bytes; done here, no length can be wrong.
    let mut block = Zeroizing::new([0; 64]);
    block
        .iter_mut()
        .zip(pepper.0.expose())
        .for_each(|(block, byte)| *block = *byte);
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    mac.update(kind.as_str().as_bytes());
    mac.update(&[SEPARATOR]);
    mac.update(issuer.as_str().as_bytes());
    mac.update(&[SEPARATOR]);
    mac.update(canonical(kind, identifier).as_bytes());
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    let mut key = [0; 16];
    key.iter_mut().zip(full).for_each(|(key, byte)| *key = byte);
    RowKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::IssuerId;

    fn key(kind: KeyKind, issuer: &str, identifier: &str) -> RowKey {
        row_key(
            &Pepper::from_bytes([7; 32]),
            kind,
            &IssuerId::new(issuer).unwrap(),
            identifier,
        )
    }

    #[test]
    fn a_known_key_stays_what_it_is() {
        // printf 'opaque\x1fmetro\x1fHC:1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707..07 (32 times 07)
        let hex: String = key(KeyKind::Opaque, "metro", "HC:1")
            .0
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, "a4d2b50d3fe3c1451c311c85c9c4b39e");
    }

    #[test]
    fn gate_and_import_agree_on_the_form() {
        assert_eq!(
            key(KeyKind::IdCard, "id", " 99000019500101001x\r\n"),
            key(KeyKind::IdCard, "id", "99000019500101001X")
        );
        assert_ne!(
            key(KeyKind::Opaque, "m", "abc"),
            key(KeyKind::Opaque, "m", "ABC")
        );
    }

    #[test]
    fn kind_and_issuer_keep_identifiers_apart() {
        let keys = [
            key(KeyKind::Opaque, "a", "b"),
            key(KeyKind::IdCard, "a", "b"),
            key(KeyKind::Opaque, "ab", ""),
            key(KeyKind::Opaque, "b", "b"),
        ];
        for (n, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(n + 1).all(|other| other != one));
        }
    }

    #[test]
    fn a_pepper_is_64_hex_digits() {
        let pepper = Pepper::parse(&format!(" {}\n", "0A".repeat(32))).unwrap();
        assert_eq!(*pepper.to_hex(), "0a".repeat(32));
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32)] {
            assert!(Pepper::parse(bad).is_err());
        }
        assert!(!format!("{pepper:?}").contains("0a"));
    }
}
