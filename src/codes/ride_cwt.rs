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

use super::cose::{Map, Sign1};
use super::keys::{Algorithm, IssuerKey, KeyStatus, PublicKey};
use super::signed::{CodeFault, Health, SignedCode, Terms};
use crate::domain::{Colour, Personal, Utc};

/// What stands in front of the base45.
pub(super) const PREFIX: &str = "RC1:";
/// Characters of a version 10 QR code, level L, alphanumeric (ISO/IEC 18004, table 7).
const CODE_LEN_MAX: usize = 395;
/// Keys of one id that are tried.
const KEYS_MAX: usize = 4;
/// Longest account, bytes.
const ACCOUNT_LEN_MAX: usize = 64;
const NONCE_LEN: std::ops::RangeInclusive<usize> = 4..=16;

/// The header parameter that holds the token (RFC 9528 §3.5.3.1).
const TOKEN: i64 = 14;

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
    let code = Sign1::read(&bytes)?;
    let token = code.header.get(TOKEN).cloned();
    let token = Sign1::of(token.ok_or(CodeFault::Form("no token"))?)?;
    let signed_by = issuer(&token, terms)?;

    let claims = Map::read(&token.payload).ok_or(CodeFault::Form("claims of the token"))?;
    let (algorithm, phone) = phone_key(&claims).ok_or(CodeFault::Form("key of the phone"))?;
    if code.algorithm() != Some(algorithm) || !phone.verify(&code.signed(), &code.signature, "") {
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

/// The id of the issuer's key that a code asks for. Nothing of the code is checked or believed.
pub(super) fn names_key(code: &str) -> Option<Vec<u8>> {
    let text = code
        .strip_prefix(PREFIX)
        .filter(|_| code.len() <= CODE_LEN_MAX)?;
    let code = Sign1::read(&base45::decode(text).ok()?).ok()?;
    let token = Sign1::of(code.header.get(TOKEN)?.clone()).ok()?;
    token.key_id().map(<[u8]>::to_vec)
}

/// The key of the trust list that signed the token. The token does not say when that was, so the key's own time narrows
/// the code's.
fn issuer<'a>(token: &Sign1, terms: &Terms<'a>) -> Result<&'a IssuerKey, CodeFault> {
    let id = token
        .key_id()
        .ok_or(CodeFault::Form("key id of the token"))?;
    let named = || terms.keys.iter().filter(|key| key.id == id);
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
            token.algorithm() == Some(key.key.algorithm())
                && key.key.verify(&signed, &token.signature, "")
        })
        .ok_or(CodeFault::Signature("issuer"))
}

/// The key in the token (RFC 8747 §3.2, RFC 9053 §7).
fn phone_key(claims: &Map) -> Option<(Algorithm, PublicKey)> {
    let key = claims.map(claim::CONFIRMATION)?.map(1)?;
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
    let payload = Map::read(&code.payload).ok_or(CodeFault::Form("payload of the code"))?;
    let nonce = payload.get(claim::NONCE).and_then(Value::as_bytes);
    nonce
        .filter(|nonce| NONCE_LEN.contains(&nonce.len()))
        .ok_or(CodeFault::Form("nonce"))?;
    const TIME: &str = "time of the code";
    number(&payload, claim::MADE, TIME)?.ok_or(CodeFault::Form(TIME))
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
        const END: &str = "end of the token";
        let moment = |claim, what| {
            let seconds = number(claims, claim, what)?;
            Ok(seconds.map(Utc::from_secs))
        };
        let account = claims.get(claim::ACCOUNT).and_then(Value::as_text);
        let account = account
            .filter(|text| (1..=ACCOUNT_LEN_MAX).contains(&text.len()))
            .filter(|text| !text.contains(char::is_control))
            .ok_or(CodeFault::Form("account"))?;
        let ride = if claims.has(claim::RIDE) {
            let map = claims.map(claim::RIDE);
            map.ok_or(CodeFault::Form("claim -65537"))?
        } else {
            Map::default()
        };
        let colour = match number(&ride, 2, "colour")? {
            None => None,
            Some(0) => Some(Colour::Green),
            Some(1) => Some(Colour::Yellow),
            Some(2) => Some(Colour::Red),
            Some(_) => return Err(CodeFault::Form("colour")),
        };
        let longest = terms.params.validity_max_s;
        let validity_s = number(&ride, 1, "validity")?.unwrap_or(longest);
        if validity_s > longest {
            return Err(CodeFault::Terms("validity"));
        }
        Ok(Self {
            account: Personal::new(account.to_owned()),
            expires: moment(claim::EXPIRES, END)?.ok_or(CodeFault::Form(END))?,
            not_before: moment(claim::NOT_BEFORE, "start of the token")?,
            validity_s,
            colour,
            entitlements: number(&ride, 3, "entitlements")?,
        })
    }
}

/// A number that may be absent, but not out of its range.
fn number<T: TryFrom<i64>>(
    map: &Map,
    key: i64,
    what: &'static str,
) -> Result<Option<T>, CodeFault> {
    if !map.has(key) {
        return Ok(None);
    }
    let number = map.number(key).and_then(|number| T::try_from(number).ok());
    number.map(Some).ok_or(CodeFault::Form(what))
}
