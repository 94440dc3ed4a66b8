//! `ride.cwt`: an open dynamic ride code, for an agency that starts today. This page is the whole specification; a phone
//! app and an issuer can be written from it. `tests/foreign/ride_code.py` is both, in Python, and shares nothing with this
//! crate.
//!
//! # What is shown
//! `RC1:` and the base45 (RFC 9285) of a code: at most 395 characters, which is a version 10 QR code at level L in
//! alphanumeric mode; a phone's screen needs no higher level. The phone makes a new code when it is opened, and again
//! before the old one runs out; a code is good for one passage.
//!
//! # The code
//! A `COSE_Sign1` (RFC 9052) by the phone, with or without tag 18:
//!
//! | Part | Content |
//! |---|---|
//! | protected header | 1: algorithm of the phone's key. 14 (`kcwt`, RFC 9528): the issuer's **token** |
//! | unprotected header | empty; whatever stands there is ignored |
//! | payload | a CBOR map: 6 (`iat`): when the code was made, whole seconds since 1970. 7 (`cti`): 4 to 16 random bytes, new for every code |
//! | signature | over `["Signature1", protected header, h'', payload]`, by the phone's key |
//!
//! # The token
//! A CWT (RFC 8392), that is a `COSE_Sign1` by the issuer, with or without tag 18, or 61 and 18. A phone fetches it when it
//! has a network, and shows it for a day or so without one.
//!
//! | Part | Content |
//! |---|---|
//! | protected header | 1: algorithm of the issuer's key. 4: its id, as the trust list has it; 1 to 4 bytes fit well |
//! | payload | a CBOR map of these claims |
//! | 2 `sub` | account of the holder, text of 1 to 64 bytes: the identifier in lists. 16 bytes fit well |
//! | 4 `exp` | last second of the token, since 1970 |
//! | 5 `nbf` | first second of the token; may be absent |
//! | 8 `cnf` | map of 1: the phone's public key, a `COSE_Key` (RFC 8747 §3.2) |
//! | -65537 | map, may be absent. 1: validity of a code, seconds; absent: the longest that the trust list allows. 2: colour, 0 green, 1 yellow, 2 red. 3: entitlements, 16 bits, bit 0 is the ride |
//!
//! Colour and entitlements are for gates without a list; a list that knows the account has its say as well. Claims and
//! header parameters that are not named here are ignored, except `crit` (2), which is refused. CBOR is nested at most 16
//! deep.
//!
//! # Keys
//! Both are Ed25519 (algorithm -8 or -19; `COSE_Key` {1: 1, -1: 6, -2: 32 bytes}) or ES256 (-7; {1: 2, -1: 1, -2: 32
//! bytes, -3: whether y is odd, or its 32 bytes}). Phones keep keys of the latter kind in hardware. Signatures have 64 bytes.
//!
//! # What a gate checks
//! Form, the issuer's signature by a key of the trust list, the phone's signature by the key in the token, and then the
//! times: the code was made at most `skew_s` ahead of the gate's clock, `iat` + validity has not passed, the token and the
//! issuer's key hold. Used once is used up: what was signed is remembered for validity and skew.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::keys::{Algorithm, IssuerKey, KeyStatus, PublicKey};
use super::signed::{CodeFault, Health, SignedCode, Terms};
use crate::domain::{Colour, Personal, Utc};

/// What stands in front of the base45.
const PREFIX: &str = "RC1:";
/// Characters of a version 10 QR code, level L, alphanumeric (ISO/IEC 18004, table 7).
const CODE_LEN_MAX: usize = 395;
/// How deep CBOR is nested.
const DEPTH_MAX: usize = 16;
/// Keys of one id that are tried.
const KEYS_MAX: usize = 4;
/// Longest account, bytes.
const ACCOUNT_LEN_MAX: usize = 64;
const NONCE_LEN: std::ops::RangeInclusive<usize> = 4..=16;

/// Header parameters (RFC 9052 §3.1, RFC 9528 §3.5.3.1).
mod header {
    pub(super) const ALGORITHM: i64 = 1;
    pub(super) const CRITICAL: i64 = 2;
    pub(super) const KEY_ID: i64 = 4;
    pub(super) const TOKEN: i64 = 14;
}

/// Claims (RFC 8392 §3.1, RFC 8747 §3.1), and ours.
mod claim {
    pub(super) const ACCOUNT: i64 = 2;
    pub(super) const EXPIRES: i64 = 4;
    pub(super) const NOT_BEFORE: i64 = 5;
    pub(super) const MADE: i64 = 6;
    pub(super) const NONCE: i64 = 7;
    pub(super) const CONFIRMATION: i64 = 8;
    pub(super) const RIDE: i64 = -65_537;
}

/// Reads a code: its form, then issuer and phone, each by the key of the one before, then what they say.
pub(crate) fn read(code: &str, terms: &Terms<'_>) -> Result<SignedCode, CodeFault> {
    let text = code.strip_prefix(PREFIX).ok_or(CodeFault::Form("prefix"))?;
    if code.len() > CODE_LEN_MAX {
        return Err(CodeFault::Form("too long"));
    }
    let bytes = base45::decode(text).map_err(|_| CodeFault::Form("base45"))?;
    let code = Sign1::of(cbor(&bytes).ok_or(CodeFault::Form("CBOR"))?)?;
    let token = code.header.get(header::TOKEN).cloned();
    let token = Sign1::of(token.ok_or(CodeFault::Form("no token"))?)?;
    let signed_by = issuer(&token, terms)?;

    let claims = Map::of_bytes(&token.payload, "claims of the token")?;
    let (algorithm, phone) = phone_key(&claims).ok_or(CodeFault::Form("key of the phone"))?;
    if !code.is_by(algorithm) || !phone.verify(&code.signed(), &code.signature, "") {
        return Err(CodeFault::Signature("phone"));
    }
    let says = Says::of(&claims, terms)?;
    let (made, skew_s) = (made(&code)?, terms.params.skew_s);
    let from = [
        Some(Utc::from_secs(made.saturating_sub(skew_s.into()))),
        says.not_before,
        signed_by.valid_from,
    ];
    let until = [
        Some(Utc::from_secs(made.saturating_add(says.validity_s.into()))),
        Some(says.expires),
        signed_by.valid_until,
    ];
    Ok(SignedCode {
        identifier: says.account,
        replay: Some(Sha256::digest(code.signed()).into()),
        window_s: says.validity_s.saturating_add(skew_s),
        valid_from: from.into_iter().flatten().max(),
        valid_until: until.into_iter().flatten().min(),
        health: says.colour.map(Health::Colour),
        entitlements: says.entitlements,
        revocation: Vec::new(),
    })
}

/// The key of the trust list that signed the token. The token does not say when that was, so the key's own time narrows
/// the code's.
fn issuer<'a>(token: &Sign1, terms: &Terms<'a>) -> Result<&'a IssuerKey, CodeFault> {
    let id = token.header.get(header::KEY_ID).and_then(Value::as_bytes);
    let id = id.ok_or(CodeFault::Form("key id of the token"))?;
    let named = || terms.keys.iter().filter(|key| key.id == *id);
    if named().next().is_none() {
        return Err(CodeFault::UnknownKey);
    }
    if named().all(|key| key.status == KeyStatus::Revoked) {
        return Err(CodeFault::KeyRevoked);
    }
    let signed = token.signed();
    named()
        .filter(|key| key.status != KeyStatus::Revoked)
        .take(KEYS_MAX)
        .find(|key| {
            token.is_by(key.key.algorithm()) && key.key.verify(&signed, &token.signature, "")
        })
        .ok_or(CodeFault::Signature("issuer"))
}

/// The key in the token (RFC 8747 §3.2, RFC 9053 §7).
fn phone_key(claims: &Map) -> Option<(Algorithm, PublicKey)> {
    let confirmation = Map::of(claims.get(claim::CONFIRMATION)?.clone())?;
    let key = Map::of(confirmation.get(1)?.clone())?;
    let (kind, curve) = (key.number(1)?, key.number(-1)?);
    let x: &[u8; 32] = key.get(-2)?.as_bytes()?.as_slice().try_into().ok()?;
    let (algorithm, point) = match (kind, curve, key.get(-3)) {
        (1, 6, None) => (Algorithm::Ed25519, x.to_vec()),
        (2, 1, Some(Value::Bool(odd))) => {
            (Algorithm::Es256, [&[2 + u8::from(*odd)], &x[..]].concat())
        }
        (2, 1, Some(Value::Bytes(y))) => (Algorithm::Es256, [&[4], &x[..], y].concat()),
        _ => return None,
    };
    let key = PublicKey::from_point(algorithm, &point).ok()?;
    Some((algorithm, key))
}

/// When the phone made the code. Its nonce is there so that no two codes are the same.
fn made(code: &Sign1) -> Result<u64, CodeFault> {
    let payload = Map::of_bytes(&code.payload, "payload of the code")?;
    let nonce = payload.get(claim::NONCE).and_then(Value::as_bytes);
    nonce
        .filter(|nonce| NONCE_LEN.contains(&nonce.len()))
        .ok_or(CodeFault::Form("nonce"))?;
    let made = payload.number(claim::MADE).map(u64::try_from);
    made.and_then(Result::ok)
        .ok_or(CodeFault::Form("time of the code"))
}

/// What the issuer says of the holder.
struct Says {
    account: Personal<String>,
    expires: Utc,
    not_before: Option<Utc>,
    validity_s: u32,
    colour: Option<Colour>,
    entitlements: Option<u16>,
}

impl Says {
    fn of(claims: &Map, terms: &Terms<'_>) -> Result<Self, CodeFault> {
        let moment = |claim, what| match claims.get(claim) {
            None => Ok(None),
            Some(_) => claims
                .number(claim)
                .and_then(|number| u64::try_from(number).ok())
                .map(|seconds| Some(Utc::from_secs(seconds)))
                .ok_or(CodeFault::Form(what)),
        };
        let account = claims.get(claim::ACCOUNT).and_then(Value::as_text);
        let account = account
            .filter(|text| (1..=ACCOUNT_LEN_MAX).contains(&text.len()))
            .filter(|text| !text.contains(char::is_control))
            .ok_or(CodeFault::Form("account"))?;
        let ride = match claims.get(claim::RIDE) {
            None => Map::default(),
            Some(map) => Map::of(map.clone()).ok_or(CodeFault::Form("claim -65537"))?,
        };
        let small = |key, what| match ride.get(key) {
            None => Ok(None),
            Some(_) => ride
                .number(key)
                .and_then(|number| u16::try_from(number).ok())
                .map(Some)
                .ok_or(CodeFault::Form(what)),
        };
        let colour = match small(2, "colour")? {
            None => None,
            Some(0) => Some(Colour::Green),
            Some(1) => Some(Colour::Yellow),
            Some(2) => Some(Colour::Red),
            Some(_) => return Err(CodeFault::Form("colour")),
        };
        let longest = terms.params.validity_max_s;
        let validity_s = small(1, "validity")?.map_or(longest, u32::from);
        if validity_s > longest {
            return Err(CodeFault::Terms("validity"));
        }
        Ok(Self {
            account: Personal::new(account.to_owned()),
            expires: moment(claim::EXPIRES, "end of the token")?
                .ok_or(CodeFault::Form("end of the token"))?,
            not_before: moment(claim::NOT_BEFORE, "start of the token")?,
            validity_s,
            colour,
            entitlements: small(3, "entitlements")?,
        })
    }
}

/// A `COSE_Sign1`.
struct Sign1 {
    protected: Vec<u8>,
    header: Map,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Sign1 {
    fn of(mut value: Value) -> Result<Self, CodeFault> {
        const WRONG: CodeFault = CodeFault::Form("COSE_Sign1");
        for tag in [61, 18] {
            value = match value {
                Value::Tag(found, inner) if found == tag => *inner,
                other => other,
            };
        }
        let parts: [Value; 4] = value
            .into_array()
            .ok()
            .and_then(|parts| parts.try_into().ok())
            .ok_or(WRONG)?;
        let [
            Value::Bytes(protected),
            Value::Map(_),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ] = parts
        else {
            return Err(WRONG);
        };
        let header = Map::of_bytes(&protected, "protected header")?;
        if header.get(header::CRITICAL).is_some() {
            return Err(CodeFault::Form("crit"));
        }
        Ok(Self {
            protected,
            header,
            payload,
            signature,
        })
    }

    /// What the signature is over (RFC 9052 §4.4).
    fn signed(&self) -> Vec<u8> {
        let parts = [
            Value::Text("Signature1".into()),
            Value::Bytes(self.protected.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ];
        let mut out = Vec::new();
        // Writing into a vector does not fail.
        let _ = ciborium::into_writer(&Value::Array(parts.into()), &mut out);
        out
    }

    fn is_by(&self, algorithm: Algorithm) -> bool {
        match self.header.number(header::ALGORITHM) {
            Some(-7) => algorithm == Algorithm::Es256,
            Some(-8 | -19) => algorithm == Algorithm::Ed25519,
            Some(_) | None => false,
        }
    }
}

/// A CBOR map that is looked into by numbers.
#[derive(Default)]
struct Map(Vec<(Value, Value)>);

impl Map {
    fn of(value: Value) -> Option<Self> {
        value.into_map().ok().map(Self)
    }

    fn of_bytes(bytes: &[u8], what: &'static str) -> Result<Self, CodeFault> {
        cbor(bytes).and_then(Self::of).ok_or(CodeFault::Form(what))
    }

    fn get(&self, key: i64) -> Option<&Value> {
        let key = Value::from(key);
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    fn number(&self, key: i64) -> Option<i64> {
        self.get(key)?.as_integer()?.try_into().ok()
    }
}

fn cbor(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MAX).ok()?;
    rest.is_empty().then_some(value)
}
