//! Signed documents: DSSE envelopes with Ed25519.
//!
//! Source: Dead Simple Signing Envelope, protocol and envelope, v1.0.2. What is signed is
//! `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`, lengths in decimal, so a document of one type never passes
//! for one of another. Only standard base64 is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex;

/// Largest envelope that is looked at.
pub const ENVELOPE_BYTES_MAX: usize = 4 << 20;
/// Most signatures that are looked at; an envelope with more is refused.
const SIGNATURES_MAX: usize = 4;
/// Most keys a role may have: the current and the next.
pub const KEYS_MAX: usize = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// Why an envelope is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DsseError {
    /// Larger than [`ENVELOPE_BYTES_MAX`].
    #[error("a signed document of {0} bytes is too large")]
    TooLarge(usize),
    /// Not an envelope.
    #[error("this is not a signed document")]
    Malformed,
    /// Another kind of document.
    #[error("the document is of another type than {expected}")]
    WrongType {
        /// What was asked for.
        expected: &'static str,
    },
    /// No signature by a pinned key.
    #[error("no pinned key has signed the document")]
    NotSigned,
}

/// Why a configured key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None, or more than [`KEYS_MAX`].
    #[error("one or two keys are expected, the current and the next; there are {0}")]
    Count(usize),
    /// Not base64 of 32 bytes that are a point of good order.
    #[error("key {0} is not the base64 of an Ed25519 public key")]
    Malformed(usize),
}

/// The pinned public keys of one role.
#[derive(Clone, Debug)]
pub struct PinnedKeys(Vec<VerifyingKey>);

impl PinnedKeys {
    /// Reads the keys of the config: base64 of 32 bytes each.
    ///
    /// # Errors
    /// [`KeyError`] naming which one, counted from 1.
    pub fn parse<S: AsRef<str>>(keys: &[S]) -> Result<Self, KeyError> {
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyError::Count(keys.len()));
        }
        let key = |(n, text): (usize, &S)| {
            parse_key(text.as_ref()).ok_or(KeyError::Malformed(n.saturating_add(1)))
        };
        keys.iter()
            .enumerate()
            .map(key)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_key(text: &str) -> Option<VerifyingKey> {
    let bytes: [u8; 32] = STANDARD.decode(text.trim_ascii()).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(&bytes)
        .ok()
        .filter(|key| !key.is_weak())
}

/// A public key as configs hold it.
#[must_use]
pub fn public_key_text(key: &VerifyingKey) -> String {
    STANDARD.encode(key.as_bytes())
}

/// Wraps and signs a document.
#[must_use]
pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> String {
    let id: [u8; 32] = Sha256::digest(key.verifying_key().as_bytes()).into();
    let signature = key.sign(&pre_authentication(payload_type, payload));
    // The fields are plain text: written by hand, nothing can fail.
    format!(
        r#"{{"payloadType":"{payload_type}","payload":"{}","signatures":[{{"keyid":"{}","sig":"{}"}}]}}"#,
        STANDARD.encode(payload),
        hex::encode(id.get(..8).unwrap_or(&id)),
        STANDARD.encode(signature.to_bytes()),
    )
}

/// The document inside, whoever signed it: for whoever passes it on, or shows it to a person. Nobody decides by it.
///
/// # Errors
/// [`DsseError`] if it is no envelope of this type.
pub fn read_unverified(envelope: &[u8], payload_type: &'static str) -> Result<Vec<u8>, DsseError> {
    opened(envelope, payload_type).map(|(_, payload)| payload)
}

/// The document inside, if a pinned key has signed it as one of this type.
///
/// # Errors
/// [`DsseError`]; nothing of the document has been interpreted then.
pub fn verify(
    envelope: &[u8],
    payload_type: &'static str,
    keys: &PinnedKeys,
) -> Result<Vec<u8>, DsseError> {
    let (envelope, payload) = opened(envelope, payload_type)?;
    let message = pre_authentication(payload_type, &payload);
    let believed = envelope.signatures.iter().any(|signed| {
        // The key id is a hint by somebody unknown: every pinned key is tried.
        signature(&signed.sig).is_some_and(|signature| {
            keys.0
                .iter()
                .any(|key| key.verify_strict(&message, &signature).is_ok())
        })
    });
    if believed {
        Ok(payload)
    } else {
        Err(DsseError::NotSigned)
    }
}

/// An envelope of this type and what is in it; nobody has looked at its signatures.
fn opened(envelope: &[u8], payload_type: &'static str) -> Result<(Envelope, Vec<u8>), DsseError> {
    if envelope.len() > ENVELOPE_BYTES_MAX {
        return Err(DsseError::TooLarge(envelope.len()));
    }
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| DsseError::Malformed)?;
    if envelope.payload_type != payload_type {
        return Err(DsseError::WrongType {
            expected: payload_type,
        });
    }
    if envelope.signatures.len() > SIGNATURES_MAX {
        return Err(DsseError::Malformed);
    }
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| DsseError::Malformed)?;
    Ok((envelope, payload))
}

fn signature(text: &str) -> Option<Signature> {
    Signature::from_slice(&STANDARD.decode(text).ok()?).ok()
}

fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "http://example.com/HelloWorld";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn pinned(keys: &[&SigningKey]) -> PinnedKeys {
        let texts: Vec<_> = keys
            .iter()
            .map(|k| public_key_text(&k.verifying_key()))
            .collect();
        PinnedKeys::parse(&texts).unwrap()
    }

    /// The test vector of the DSSE protocol page.
    #[test]
    fn what_is_signed_is_the_encoding_of_the_protocol() {
        assert_eq!(
            pre_authentication(TYPE, b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn the_current_and_the_next_key_are_believed_and_no_other() {
        let (current, next, stranger) = (key(1), key(2), key(3));
        let keys = pinned(&[&current, &next]);
        for signer in [&current, &next] {
            let envelope = sign(TYPE, b"hello", signer);
            assert_eq!(
                verify(envelope.as_bytes(), TYPE, &keys),
                Ok(b"hello".to_vec())
            );
        }
        let forged = sign(TYPE, b"hello", &stranger);
        assert_eq!(
            verify(forged.as_bytes(), TYPE, &keys),
            Err(DsseError::NotSigned)
        );
    }

    #[test]
    fn another_type_or_another_payload_is_refused() {
        let envelope = sign(TYPE, b"hello", &key(1));
        let keys = pinned(&[&key(1)]);
        let other = verify(envelope.as_bytes(), "application/other", &keys);
        assert_eq!(
            other,
            Err(DsseError::WrongType {
                expected: "application/other"
            })
        );
        // The type is part of what is signed: changing the label does not help.
        let relabelled = envelope.replace(TYPE, "application/other");
        let other = verify(relabelled.as_bytes(), "application/other", &keys);
        assert_eq!(other, Err(DsseError::NotSigned));
        let swapped = envelope.replace(&STANDARD.encode(b"hello"), &STANDARD.encode(b"hallo"));
        assert_eq!(
            verify(swapped.as_bytes(), TYPE, &keys),
            Err(DsseError::NotSigned)
        );
    }

    #[test]
    fn every_cut_and_every_changed_byte_of_the_signature_is_refused() {
        let envelope = sign(TYPE, b"hello", &key(1));
        let keys = pinned(&[&key(1)]);
        for end in 0..envelope.len() {
            assert!(
                verify(&envelope.as_bytes()[..end], TYPE, &keys).is_err(),
                "cut at {end}"
            );
        }
        let start = envelope.find("\"sig\":\"").unwrap() + 7;
        for at in start..start + 86 {
            let mut bytes = envelope.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(verify(&bytes, TYPE, &keys).is_err(), "byte {at}");
        }
    }

    #[test]
    fn floods_are_refused_unread() {
        let keys = pinned(&[&key(1)]);
        let large = vec![b' '; ENVELOPE_BYTES_MAX + 1];
        assert_eq!(
            verify(&large, TYPE, &keys),
            Err(DsseError::TooLarge(large.len()))
        );
        let many = r#"{"sig":"AA=="},"#.repeat(5);
        let many = format!(
            r#"{{"payloadType":"{TYPE}","payload":"","signatures":[{}]}}"#,
            many.trim_end_matches(',')
        );
        assert_eq!(
            verify(many.as_bytes(), TYPE, &keys),
            Err(DsseError::Malformed)
        );
    }

    #[test]
    fn a_bad_key_is_named() {
        let good = public_key_text(&key(1).verifying_key());
        assert_eq!(
            PinnedKeys::parse::<&str>(&[]).unwrap_err(),
            KeyError::Count(0)
        );
        let error = PinnedKeys::parse(&[good.as_str(), "AAAA"]).unwrap_err();
        assert_eq!(error, KeyError::Malformed(2));
        // All zeros is a point of low order: anybody could sign for it.
        let weak = STANDARD.encode([0; 32]);
        assert!(PinnedKeys::parse(&[weak]).is_err());
    }
}
