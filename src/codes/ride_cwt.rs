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

use super::keys::{Algorithm, KeyStatus, PublicKey};
use super::signed::{CodeFault, Health, SignedCode, Terms};
use crate::domain::{Colour, Personal, Utc};

/// What stands in front of the base45.
const PREFIX: &str = "RC1:";
/// Characters of a version 10 QR code, level L, alphanumeric (ISO/IEC 18004, table 7).
const CODE_LEN_MAX: usize = 395;
