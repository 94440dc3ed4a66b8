//! Keys of issuers, and the one question asked of them: does this signature hold?

use serde::Deserialize;

use crate::domain::Utc;

/// Longest key id, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 64;

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
