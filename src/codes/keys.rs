//! Keys of issuers, and the one question asked of them: does this signature hold?

use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sm2::dsa::signature::Verifier as _;
use sm2::dsa::signature::hazmat::PrehashVerifier as _;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::domain::Utc;

/// Longest key id, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 64;
/// Shortest RSA key, in bits.
const RSA_BITS_MIN: usize = 2_048;
/// Longest RSA key, in bits; a code with the signature of a longer one fits no QR that anybody shows.
const RSA_BITS_MAX: usize = 4_096;

/// RFC 8017, appendix C.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// RFC 8410 §3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480 §2.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// GB/T 33560.
const SM2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");
/// hcert_spec §2.6 (CODES §2.1), and beside it the arc that early certificates have by mistake.
const USAGES: [(Usage, [ObjectIdentifier; 2]); 3] = [
    (
        Usage::Test,
        [
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.1847.2021.1.1"),
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.0.1847.2021.1.1"),
        ],
    ),
    (
        Usage::Vaccination,
        [
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.1847.2021.1.2"),
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.0.1847.2021.1.2"),
        ],
    ),
    (
        Usage::Recovery,
        [
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.1847.2021.1.3"),
            ObjectIdentifier::new_unwrap("1.3.6.1.4.1.0.1847.2021.1.3"),
        ],
    ),
];

/// `issuer.key.algorithm`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// Edwards curve 25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384; some issuers label it ES256 and mean SHA-256.
    #[serde(rename = "ES384")]
    Es384,
    /// RSASSA-PSS with SHA-256 (RFC 8017).
    #[serde(rename = "PS256")]
    Ps256,
    /// SM2 with SM3 (GB/T 32918).
    #[serde(rename = "SM2")]
    Sm2,
}

/// What a key may vouch for; a key without any usage vouches for everything (CODES §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// Test certificates.
    Test,
    /// Vaccination certificates.
    Vaccination,
    /// Recovery certificates.
    Recovery,
}

/// `issuer.key.status`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// In use.
    #[default]
    Active,
    /// Signs nothing new; what it signed before its `valid_until` holds.
    Retired,
    /// Nothing it signed holds.
    Revoked,
}

/// A key of an issuer as the trust list has it.
#[derive(Clone, Debug)]
pub struct IssuerKey {
    /// As codes name it: 1 to 64 bytes.
    pub id: Vec<u8>,
    /// The key.
    pub key: PublicKey,
    /// What it may vouch for; empty: everything.
    pub usage: Vec<Usage>,
    /// Whether it is still in use.
    pub status: KeyStatus,
    /// First instant at which it may sign.
    pub valid_from: Option<Utc>,
    /// Last instant at which it may sign.
    pub valid_until: Option<Utc>,
}

/// A public key of one of the kinds that issuers sign with.
#[derive(Clone, Debug)]
pub enum PublicKey {
    /// Edwards curve 25519.
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    /// NIST P-256.
    P256(Box<p256::ecdsa::VerifyingKey>),
    /// NIST P-384.
    P384(Box<p384::ecdsa::VerifyingKey>),
    /// RSA of 2,048 to 4,096 bits.
    Rsa(Box<rsa::PublicKey>),
    /// The curve of SM2.
    Sm2(Box<sm2::PublicKey>),
}

/// Why bytes are not a key that an issuer may sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The frame around the key is not DER.
    #[error("{0} is not DER of X.509")]
    Der(&'static str),
    /// A kind of key that is not known here.
    #[error("a key is Ed25519, P-256, P-384, RSA or SM2; this is another kind")]
    Kind,
    /// The kind is known, and the key is not one of it.
    #[error("the bytes are not a key of kind {0:?}")]
    Malformed(Algorithm),
    /// RSA keys that are too short are not safe, too long ones too slow.
    #[error("an RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits; this one has {0}")]
    RsaBits(usize),
    /// Points are for the kinds on a curve.
    #[error("a key of kind {0:?} is not written as a point")]
    NoPoint(Algorithm),
}

impl PublicKey {
    /// The key of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER.
    ///
    /// # Errors
    /// [`KeyError`] if it is not DER, or not a key of a known kind.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let what = "a public key";
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Der(what))?;
        let key = spki.subject_public_key.as_bytes();
        let key = key.ok_or(KeyError::Der(what))?;
        // Of RSA, parameters say nothing that COSE and JWS do not say themselves.
        if [RSA, RSA_PSS].contains(&spki.algorithm.oid) {
            return rsa_key(key);
        }
        if spki.algorithm.oid == ED25519 {
            return Self::from_point(Algorithm::Ed25519, key);
        }
        let curve = spki
            .algorithm
            .parameters_oid()
            .map_err(|_| KeyError::Kind)?;
        let algorithm = match (spki.algorithm.oid, curve) {
            (EC, P256) => Algorithm::Es256,
            (EC, P384) => Algorithm::Es384,
            (EC | SM2, SM2) => Algorithm::Sm2,
            _ => return Err(KeyError::Kind),
        };
        Self::from_point(algorithm, key)
    }

    /// The key of a certificate in DER, and what its extended key usage lets it vouch for (CODES §2.1). Nothing else of
    /// the certificate counts: it is trusted because it stands on the list.
    ///
    /// # Errors
    /// [`KeyError`] if it is not DER, or its key not of a known kind.
    pub fn from_certificate(der: &[u8]) -> Result<(Self, Vec<Usage>), KeyError> {
        let wrong = KeyError::Der("a certificate");
        let certificate = Certificate::from_der(der).map_err(|_| wrong)?;
        let body = certificate.tbs_certificate();
        let spki = body.subject_public_key_info().to_der().map_err(|_| wrong)?;
        let extension = body.get_extension::<ExtendedKeyUsage>();
        let listed = extension.map_err(|_| wrong)?;
        let listed = listed.map_or_else(Vec::new, |(_, usage)| usage.0);
        let has = |oids: [ObjectIdentifier; 2]| oids.iter().any(|oid| listed.contains(oid));
        let usage = USAGES
            .into_iter()
            .filter_map(|(usage, oids)| has(oids).then_some(usage));
        Ok((Self::from_spki(&spki)?, usage.collect()))
    }

    /// The key of a curve point: SEC 1 §2.3.3, compressed or not; for Ed25519 the 32 bytes of RFC 8032 §5.1.5.
    ///
    /// # Errors
    /// [`KeyError`] if it is not a point of the curve, or the algorithm has no curve.
    pub fn from_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyError::Malformed(algorithm);
        match algorithm {
            Algorithm::Ed25519 => {
                let bytes: &[u8; 32] = point.try_into().map_err(|_| wrong)?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| wrong)?;
                Ok(Self::Ed25519(Box::new(key)))
            }
            Algorithm::Es256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| wrong)?;
                Ok(Self::P256(Box::new(key)))
            }
            Algorithm::Es384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| wrong)?;
                Ok(Self::P384(Box::new(key)))
            }
            Algorithm::Sm2 => {
                let key = sm2::PublicKey::from_sec1_bytes(point).map_err(|_| wrong)?;
                Ok(Self::Sm2(Box::new(key)))
            }
            Algorithm::Ps256 => Err(KeyError::NoPoint(algorithm)),
        }
    }

    /// What the key signs by.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::Es256,
            Self::P384(_) => Algorithm::Es384,
            Self::Rsa(_) => Algorithm::Ps256,
            Self::Sm2(_) => Algorithm::Sm2,
        }
    }

    /// True if the signature holds. The algorithm is that of the key, whatever a code says of itself. Signatures on a
    /// curve are r and s, one behind the other, of fixed length; `sm2_id` is the distinguishing id of the signer.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8], sm2_id: &str) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rsa(key) => rsa_holds(key, message, signature),
            Self::Sm2(key) => sm2_holds(key, message, signature, sm2_id),
        }
    }

    /// Like [`Self::verify`] for a code that names its algorithm: that must be the key's. A P-384 key under the name
    /// ES256 is taken with SHA-256, as some issuers of health certificates sign (CODES §2.3).
    #[must_use]
    pub fn verify_as(
        &self,
        named: Algorithm,
        message: &[u8],
        signature: &[u8],
        sm2_id: &str,
    ) -> bool {
        match self {
            Self::P384(key) if named == Algorithm::Es256 => {
                let hash = Sha256::digest(message);
                p384::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok())
            }
            Self::Ed25519(_) | Self::P256(_) | Self::P384(_) | Self::Rsa(_) | Self::Sm2(_) => {
                named == self.algorithm() && self.verify(message, signature, sm2_id)
            }
        }
    }
}

fn rsa_key(pkcs1: &[u8]) -> Result<PublicKey, KeyError> {
    let wrong = KeyError::Malformed(Algorithm::Ps256);
    let key = rsa::PublicKey::from_pkcs1_der(pkcs1).map_err(|_| wrong)?;
    let bits = key.size().saturating_mul(8);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(KeyError::RsaBits(bits));
    }
    Ok(PublicKey::Rsa(Box::new(key)))
}

/// PS256: MGF1 with SHA-256, and a salt as long as the hash (RFC 8230 §2).
fn rsa_holds(key: &rsa::PublicKey, message: &[u8], signature: &[u8]) -> bool {
    if signature.len() != key.size() {
        return false;
    }
    let verifier = rsa::pss::VerifyingKey::<Sha256>::new(key.clone());
    rsa::pss::Signature::try_from(signature)
        .is_ok_and(|signature| verifier.verify(message, &signature).is_ok())
}

fn sm2_holds(key: &sm2::PublicKey, message: &[u8], signature: &[u8], id: &str) -> bool {
    let Ok(signature) = sm2::dsa::Signature::from_slice(signature) else {
        return false;
    };
    sm2::dsa::VerifyingKey::new(id, *key).is_ok_and(|key| key.verify(message, &signature).is_ok())
}
