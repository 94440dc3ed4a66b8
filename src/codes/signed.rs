//! What the profiles of signed codes share: what they are given, and what they find. Their decoders take text and
//! [`Terms`], look at no clock and keep nothing.

use super::keys::IssuerKey;
use crate::domain::{Personal, Utc};

/// What a decoder works by: the part of an issuer's entry in the trust list that it needs.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Keys of the issuer; at most four that fit a code are tried.
    pub keys: &'a [IssuerKey],
    /// Bounds and dialect.
    pub params: &'a Params,
}

/// `issuer.params`: what differs between issuers of one profile.
#[derive(Clone, Debug)]
pub struct Params {
    /// Zero of the times in a code, seconds since 1970: 0, or 946,656,000 for 2000-01-01 in Beijing.
    pub epoch_s: u32,
    /// Longest validity a dynamic code may claim, seconds.
    pub validity_max_s: u32,
    /// How far ahead of the gate's clock a code may have been made, seconds.
    pub skew_s: u32,
    /// The distinguishing id of SM2 signatures.
    pub sm2_id: String,
    /// `ride.v81`: true if the issuer's signature stands before the private area.
    pub signature_first: bool,
}

/// A code whose signatures hold. Whether its time has come is the core's to judge.
#[derive(Clone, Debug)]
pub struct SignedCode {
    /// What identifies the holder or the certificate, canonical: it goes into the row key.
    pub identifier: Personal<String>,
    /// Canonical signed bytes of a dynamic code, hashed with SHA-256: the same code gives the same bytes whatever is done to
    /// its signature or unprotected headers. `None` for a static one.
    pub replay: Option<[u8; 32]>,
    /// `replay`: how long a use is to be remembered, seconds: validity and skew.
    pub window_s: u32,
    /// First instant of validity: the latest of all that the code, its certificates and its key say.
    pub valid_from: Option<Utc>,
    /// Last instant of validity: the earliest of them.
    pub valid_until: Option<Utc>,
    /// What it says of its holder's health.
    pub health: Option<Health>,
    /// Bit set of what the holder may use, where the code says it; bit 0 is the ride.
    pub entitlements: Option<u16>,
    /// Names under which a list may say that its issuer has revoked it: identifiers of rows of kind `revoked`.
    pub revocation: Vec<String>,
}

/// What a signed code says of health: a colour, or a certificate that the site's rules turn into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// A colour.
    Colour(crate::domain::Colour),
    /// A certificate.
    Certificate(Box<crate::domain::Certificate>),
}

/// Why a code is not what its issuer made. The order is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeFault {
    /// It is not of this profile's form; the text says at which step.
    #[error("not of this form: {0}")]
    Form(&'static str),
    /// No key of the issuer has the id that the code names.
    #[error("no key of this id")]
    UnknownKey,
    /// The key was revoked.
    #[error("the key was revoked")]
    KeyRevoked,
    /// A signature does not hold; the text says whose.
    #[error("signature of the {0} does not hold")]
    Signature(&'static str),
    /// The signature holds, and its key may not vouch for what it covers.
    #[error("the key may not vouch for this")]
    KeyUsage,
    /// The signature holds, and what it covers breaks a bound of the issuer.
    #[error("outside what its issuer may say: {0}")]
    Terms(&'static str),
}
