//! Credential profiles and the trust list: text or card facts in, credential out. Pure.
//!
//! [`Reader::read`] is the one way in: it finds the issuers of the trust list that may have made what was shown, lets
//! the profile of each check it, and gives a [`Credential`](crate::domain::Credential) that holds no personal data, and what
//! a signed code says beside it.

mod cose;
mod detect;
mod hcert;
pub mod id_card;
mod inflate;
pub mod keys;
mod moment;
mod opaque;
mod profile;
pub mod reader;
mod ride_cwt;
mod ride_v81;
#[cfg(test)]
mod robustness;
pub mod row_key;
mod shc;
pub mod signed;
pub mod trust_list;

pub use reader::{Question, Reader, Reading, Refusal, Said, SetupError};
pub use row_key::Pepper;
pub use trust_list::{Issuer, Offline, Profile, TrustList, TrustListError};
