//! Signed envelopes: DSSE (Dead Simple Signing Envelope, secure-systems-lab, protocol.md), Ed25519.
//!
//! What is signed is `PAE = "DSSEv1" SP len(type) SP type SP len(payload) SP payload`, lengths in decimal. The payload type
//! says what role the document has; a key of another role signs other types, so neither can stand for the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// Payload type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.turnstiled.manifest+json";
/// Signatures looked at in one envelope.
const SIGNATURES_MAX: usize = 4;

/// The envelope as it is served.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    /// Base64.
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(default)]
    keyid: String,
    /// Base64 of 64 bytes.
    sig: String,
}

/// Why an envelope is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// No JSON of an envelope.
    #[error("this is not a signed envelope")]
    Form,
    /// The document has another role.
    #[error("the signed document is of another type")]
    PayloadType,
    /// None of the keys we trust has signed it.
    #[error("no signature by a key of ours")]
    Signature,
}

/// A key that is no Ed25519 public key in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is the base64 of a 32-byte Ed25519 public key")]
pub struct KeyError;

/// Reads a public key as the config writes it.
///
/// # Errors
/// [`KeyError`], also for the weak keys that any signature would pass.
pub fn parse_key(text: &str) -> Result<VerifyingKey, KeyError> {
    let bytes = BASE64.decode(text).map_err(|_| KeyError)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError)?;
    if key.is_weak() {
        Err(KeyError)
    } else {
        Ok(key)
    }
}

/// Writes a public key as the config reads it.
#[must_use]
pub fn write_key(key: &VerifyingKey) -> String {
    BASE64.encode(key.as_bytes())
}

/// Signs `payload` as a document of type `payload_type`; gives the JSON of the envelope.
#[must_use]
pub fn sign(key: &SigningKey, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let signature = key.sign(&pae(payload_type, payload));
    let envelope = Envelope {
        payload_type: payload_type.into(),
        payload: BASE64.encode(payload),
        signatures: vec![Signed {
            keyid: BASE64.encode(key.verifying_key().as_bytes()),
            sig: BASE64.encode(signature.to_bytes()),
        }],
    };
    // A struct of strings always has a JSON.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// Opens an envelope: gives the payload if one of `keys` has signed it as a document of type `payload_type`.
///
/// # Errors
/// [`DsseError`]; the payload is not looked at before its signature holds.
pub fn open(
    envelope: &[u8],
    payload_type: &str,
    keys: &[VerifyingKey],
) -> Result<Vec<u8>, DsseError> {
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| DsseError::Form)?;
    if envelope.payload_type != payload_type {
        return Err(DsseError::PayloadType);
    }
    let payload = BASE64
        .decode(&envelope.payload)
        .map_err(|_| DsseError::Form)?;
    let signed = pae(payload_type, &payload);
    let genuine = envelope
        .signatures
        .iter()
        .take(SIGNATURES_MAX)
        .any(|signature| {
            let bytes: Option<[u8; 64]> = BASE64
                .decode(&signature.sig)
                .ok()
                .and_then(|bytes| bytes.try_into().ok());
            bytes.is_some_and(|bytes| {
                let signature = Signature::from_bytes(&bytes);
                keys.iter()
                    .any(|key| key.verify_strict(&signed, &signature).is_ok())
            })
        });
    if genuine {
        Ok(payload)
    } else {
        Err(DsseError::Signature)
    }
}

fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    #[test]
    fn the_encoding_is_the_one_of_the_specification() {
        // protocol.md, "Test Vectors".
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn only_our_keys_open_it_and_only_as_what_it_is() {
        let envelope = sign(&key(1), MANIFEST_TYPE, b"{}");
        let (ours, theirs) = (key(1).verifying_key(), key(2).verifying_key());
        assert_eq!(
            open(&envelope, MANIFEST_TYPE, &[theirs, ours]).unwrap(),
            b"{}"
        );
        assert_eq!(
            open(&envelope, MANIFEST_TYPE, &[theirs]),
            Err(DsseError::Signature)
        );
        assert_eq!(
            open(&envelope, "application/other", &[ours]),
            Err(DsseError::PayloadType)
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let envelope = sign(&key(1), MANIFEST_TYPE, b"{\"version\":1}");
        let keyid = String::from_utf8_lossy(&envelope).find("keyid").unwrap();
        let sig = String::from_utf8_lossy(&envelope).find("\"sig\"").unwrap();
        for at in (0..envelope.len()).filter(|at| !(keyid..sig).contains(at)) {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            let opened = open(&changed, MANIFEST_TYPE, &[key(1).verifying_key()]);
            assert!(opened.is_err(), "byte {at} of the envelope changed");
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let ours = key(1).verifying_key();
        assert_eq!(parse_key(&write_key(&ours)), Ok(ours));
        for bad in ["", "AAAA", &BASE64.encode([0; 32]), "not base64!"] {
            assert_eq!(parse_key(bad), Err(KeyError), "{bad}");
        }
    }
}
