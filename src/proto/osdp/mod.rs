//! OSDP v2.2 (IEC 60839-11-5): several readers on one RS-485 line, each behind a secure channel of its own.
//!
//! The crate `osdp` frames messages and keeps sessions; polling, retries and policy are here. A reader is never spoken to
//! in clear but for the handshake, whatever it says of its capabilities: those can be forged (bishopfox.com, "Breaking
//! into secure facilities with OSDP"). The key is pinned per reader; the default key of the standard is refused, but for
//! the minutes in which somebody has asked for a reader to be given its own key ([`Bus::provision`]).

mod buffer;
mod bus;
mod handshake;
mod look;
mod provision;
mod reader;

pub use buffer::PacketBuffer;
pub use bus::{Bus, Input, Output};
pub use look::Look;
pub use provision::{PROVISION_MAX, Provisioned};

use crate::domain::Assurance;

/// A key of 16 bytes, shared with one reader.
pub type Key = crate::domain::Personal<[u8; 16]>;

/// The key that the standard prints: everybody has it, so it is none.
#[must_use]
pub fn is_public_key(key: &Key) -> bool {
    *key.expose() == osdp::secure::SCBK_D
}

/// How a reader is known.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// Its address on the bus, 0 to 126.
    pub address: u8,
    /// The key that is shared with it.
    pub key: Key,
    /// How sure it is of a card.
    pub assurance: Assurance,
}

/// Why a reader is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It does not answer.
    Silent,
    /// It does not know its key, or somebody else answers in its place.
    WrongKey,
    /// It does not speak in a secure channel, or answers with the public key of the standard.
    NotSecure,
    /// What came was not from it: a replay, or a forgery.
    Forged,
    /// It has lost the thread, and starts over.
    OutOfStep,
    /// It is being given its key, and serves nobody meanwhile.
    Provisioning,
}
