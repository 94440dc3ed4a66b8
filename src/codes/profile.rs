//! The way from a profile to its decoder, and what is the same for all signed codes.

use sha2::{Digest as _, Sha256};

use super::signed::{CodeFault, SignedCode, Terms};
use super::trust_list::{Issuer, Profile};
use super::{hcert, ride_cwt, ride_v81, shc};
use crate::domain::{Replay, ReplayKey};

/// Reads a code by the rules of its profile.
pub(super) fn read(
    profile: Profile,
    code: &str,
    terms: &Terms<'_>,
) -> Result<SignedCode, CodeFault> {
    match profile {
        Profile::Hcert => hcert::read(code, terms),
        Profile::Shc => shc::read(code, terms),
        Profile::RideV81 => ride_v81::read(code, terms),
        Profile::RideCwt => ride_cwt::read(code, terms),
        Profile::Opaque | Profile::IdCard | Profile::Tag => {
            Err(CodeFault::Form("this is no signed code"))
        }
    }
}

/// What keeps a dynamic code from being used twice; `signed` is the hash of its canonical signed bytes.
pub(super) fn replay(issuer: &Issuer, signed: &[u8; 32], window_s: u32) -> Replay {
    let key = Sha256::new()
        .chain_update(issuer.id.as_str())
        .chain_update([0x1F])
        .chain_update(signed)
        .finalize();
    Replay {
        key: ReplayKey(key.into()),
        window_s,
    }
}
