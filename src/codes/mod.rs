//! Credential profiles and the trust list: text or card facts in, credential out. Pure.
//!
//! An issuer's `detect` rules only say whose profile to try; they never imply trust. What comes out is a
//! [`Credential`](crate::domain::Credential): row keys for the lists, a replay key where the code carries its own time,
//! and the credential's own validity. The text itself goes no further.

pub mod detect;
pub mod id_card;
pub mod opaque;
pub mod reader;
pub mod row_key;
pub mod trust_list;

pub use reader::{Inquiry, Reader, Refusal};
pub use row_key::Pepper;
pub use trust_list::TrustList;
