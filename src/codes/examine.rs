//! A code under the lens: how far its checks come, step by step, for whoever wants to know why a gate refuses it.
//!
//! It runs the same steps as [`Reader`](super::Reader), and goes on where a gate stops: times are told of a code whose
//! signature does not hold, too. Nothing of that is believed anywhere.

use sha2::{Digest as _, Sha256};

use super::detect::{self, CODE_CHARS_MAX};
use super::keys::{IssuerKey, KeyError, KeyStatus, PublicKey};
use super::profile;
use super::signed::{CodeFault, Terms, Window};
use super::trust_list::{self, Issuer, Profile, TrustList};
use super::{hcert, ride_cwt, ride_v81, shc};

/// Bytes of a key id that is made of a certificate (hcert_spec §2.6.1).
const CERTIFICATE_ID_LEN: usize = 8;
/// What a `ride.v81` code begins with, and what it has at least, however its bytes are written.
const RIDE_V81_VERSION: u8 = 0x81;
const RIDE_V81_LEN_MIN: usize = 332;

/// Whose signatures count.
#[derive(Clone, Copy, Debug)]
pub enum Anchors<'a> {
    /// Those of this one key, whatever the profile.
    Key(&'a IssuerKey),
    /// Those of a trust list.
    Trust(&'a TrustList),
    /// Nobody's.
    None,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The format, if it is one of ours.
    pub profile: Option<Profile>,
    /// True if everything down to the claims could be unpacked.
    pub transport: bool,
    /// True if every signature holds, by keys that count.
    pub signature: bool,
    /// The times it claims, if it could be unpacked.
    pub window: Option<Window>,
    /// The first thing that is wrong.
    pub fault: Option<CodeFault>,
}

/// The key of a certificate, under the id that codes of this kind give it. Ride codes name a key by what the trust list
/// calls it, which no certificate says: there it gets the name that the code asks for.
///
/// # Errors
/// [`KeyError`] if it is no certificate, or of a key that nobody here knows.
pub fn certificate_key(der: &[u8], code: &str) -> Result<IssuerKey, KeyError> {
    let (key, usage) = PublicKey::from_certificate(der)?;
    let asked_for = match shape(code) {
        Some(Profile::Shc) => key.thumbprint().map(String::into_bytes),
        Some(Profile::RideCwt) => ride_cwt::names_key(code),
        Some(Profile::RideV81) => ride_v81::names_key(code),
        Some(Profile::Hcert | Profile::Opaque | Profile::IdCard | Profile::Tag) | None => None,
    };
    let digest = || {
        Sha256::digest(der)
            .iter()
            .copied()
            .take(CERTIFICATE_ID_LEN)
            .collect()
    };
    let id = asked_for.unwrap_or_else(digest);
    Ok(IssuerKey {
        id,
        key,
        usage,
        status: KeyStatus::Active,
        valid_from: None,
        valid_until: None,
    })
}

/// Looks at a code.
#[must_use]
pub fn examine(code: &str, anchors: Anchors<'_>) -> Examined {
    if code.chars().count() > CODE_CHARS_MAX {
        return nothing(None, "longer than 1500 characters");
    }
    let text = code.trim_ascii();
    let is_text = !text.is_empty() && !text.contains(char::is_control);
    let code = if is_text { text } else { code };
    match anchors {
        Anchors::Key(key) => by_shape(code, std::slice::from_ref(key)),
        Anchors::None => by_shape(code, &[]),
        Anchors::Trust(trust) => {
            let issuers = detect::of_code(trust, code);
            let tried = issuers.into_iter().map(|issuer| by_issuer(code, issuer));
            // Who came furthest knows best what is wrong; of equals the first.
            let best = tried.reduce(|best, next| {
                if depth(&next) > depth(&best) {
                    next
                } else {
                    best
                }
            });
            best.unwrap_or_else(|| by_shape(code, &[]))
        }
    }
}

/// Looks at a code through the eyes of each issuer that may have made it, in the order in which a gate tries them.
#[must_use]
pub fn each<'a>(code: &str, trust: &'a TrustList) -> Vec<(&'a Issuer, Examined)> {
    if code.chars().count() > CODE_CHARS_MAX {
        return Vec::new();
    }
    let text = code.trim_ascii();
    let is_text = !text.is_empty() && !text.contains(char::is_control);
    let code = if is_text { text } else { code };
    let issuers = detect::of_code(trust, code);
    issuers
        .map(|issuer| (issuer, by_issuer(code, issuer)))
        .collect()
}

fn by_shape(code: &str, keys: &[IssuerKey]) -> Examined {
    let Some(profile) = shape(code) else {
        return nothing(None, "prefix");
    };
    let params = trust_list::params_by_default(profile);
    by_profile(
        profile,
        code,
        &Terms {
            keys,
            params: &params,
        },
    )
}

fn by_issuer(code: &str, issuer: &Issuer) -> Examined {
    if issuer.profile.is_signed() {
        return by_profile(issuer.profile, code, &issuer.terms());
    }
    Examined {
        transport: true,
        ..nothing(
            Some(issuer.profile),
            "only lists and the backend know what it means",
        )
    }
}

fn by_profile(profile: Profile, code: &str, terms: &Terms<'_>) -> Examined {
    let read = profile::read(profile, code, terms);
    let fault = read.as_ref().err().copied();
    let window = match &read {
        Ok(signed) => Some((signed.valid_from, signed.valid_until)),
        Err(_) => claimed(profile, code, terms),
    };
    let (transport, signature) = match profile {
        Profile::Hcert | Profile::Shc => {
            let (unpacked, signed) = steps(profile, code, terms);
            (unpacked, signed && unpacked)
        }
        Profile::RideV81 | Profile::RideCwt | Profile::Opaque | Profile::IdCard | Profile::Tag => {
            match fault {
                None | Some(CodeFault::Terms(_) | CodeFault::KeyUsage) => (true, true),
                Some(CodeFault::Form(_)) => (false, false),
                Some(CodeFault::UnknownKey | CodeFault::KeyRevoked | CodeFault::Signature(_)) => {
                    (true, false)
                }
            }
        }
    };
    Examined {
        profile: Some(profile),
        transport,
        signature,
        window,
        fault,
    }
}

/// Whether it could be unpacked, claims included, and whether the signature holds.
fn steps(profile: Profile, code: &str, terms: &Terms<'_>) -> (bool, bool) {
    match profile {
        Profile::Hcert => hcert::unpack(code).map_or((false, false), |code| {
            let unpacked = hcert::Claims::of(&code).is_ok();
            (unpacked, hcert::signer(&code, terms).is_ok())
        }),
        Profile::Shc => shc::Card::unpack(code).map_or((false, false), |card| {
            (card.body().is_ok(), card.signer(terms).is_ok())
        }),
        Profile::Opaque | Profile::RideV81 | Profile::RideCwt | Profile::IdCard | Profile::Tag => {
            (false, false)
        }
    }
}

/// The times that a code claims whose signature does not hold, or that says something else that is wrong.
fn claimed(profile: Profile, code: &str, terms: &Terms<'_>) -> Option<Window> {
    match profile {
        Profile::Hcert => hcert::Claims::of(&hcert::unpack(code).ok()?)
            .ok()?
            .times(terms),
        Profile::Shc => shc::Card::unpack(code).ok()?.body().ok()?.times(terms),
        Profile::Opaque | Profile::RideV81 | Profile::RideCwt | Profile::IdCard | Profile::Tag => {
            None
        }
    }
}

/// The profile whose codes look like this.
fn shape(code: &str) -> Option<Profile> {
    let begins = |prefix: &str| code.starts_with(prefix);
    if begins(hcert::PREFIX) {
        Some(Profile::Hcert)
    } else if begins(shc::PREFIX) {
        Some(Profile::Shc)
    } else if begins(ride_cwt::PREFIX) {
        Some(Profile::RideCwt)
    } else if detect::begins_with(code, &[RIDE_V81_VERSION]) && code.len() >= RIDE_V81_LEN_MIN {
        Some(Profile::RideV81)
    } else {
        None
    }
}

const fn nothing(profile: Option<Profile>, why: &'static str) -> Examined {
    Examined {
        profile,
        transport: false,
        signature: false,
        window: None,
        fault: Some(CodeFault::Form(why)),
    }
}

/// How far it came.
const fn depth(examined: &Examined) -> u8 {
    match (examined.transport, examined.signature, examined.fault) {
        (_, _, None) => 4,
        (_, true, Some(_)) => 3,
        (true, false, Some(CodeFault::Signature(_) | CodeFault::KeyRevoked)) => 2,
        (true, false, Some(_)) => 1,
        (false, false, Some(_)) => 0,
    }
}
