//! Giving a reader its key: a session with the public key of the standard, KEYSET in it, and a fresh session with the key.
//!
//! "Install mode left on" is how such readers are taken over (bishopfox.com): somebody has to ask for it, it ends by
//! itself, and no card is taken in it.

use std::time::Duration;

use osdp::command::{Command, KeySet};
use osdp::reply::ReplyCode;
use osdp::secure::SCBK_D;

use crate::domain::Mono;

/// Longest that a reader may be waited for.
pub const PROVISION_MAX: Duration = Duration::from_secs(300);

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioned {
    /// It is waited for: it may be given its key.
    Open,
    /// It has taken its key. It is served once it has proved that it knows it.
    Taken,
    /// It does not take a key.
    Refused,
    /// The time is over.
    TimedOut,
}

impl Provisioned {
    /// The word on the status page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Until when one reader may be given its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Provisioning(Option<Mono>);

impl Provisioning {
    pub(super) const fn until(until: Mono) -> Self {
        Self(Some(until))
    }

    pub(super) const fn is_on(self) -> bool {
        self.0.is_some()
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// True once the time is over; then it is off.
    pub(super) fn times_out(&mut self, now: Mono) -> bool {
        self.0.take_if(|until| *until <= now).is_some()
    }

    /// The key of the next session, and how the standard marks it: 00 for the public one, 01 for the reader's own.
    pub(super) const fn key(self, own: [u8; 16]) -> ([u8; 16], u8) {
        if self.is_on() {
            (SCBK_D, 0x00)
        } else {
            (own, 0x01)
        }
    }
}

/// The command that gives it.
pub(super) fn keyset(own: [u8; 16]) -> Command {
    Command::KeySet(KeySet::scbk(own))
}

/// What a reader has answered to it.
pub(super) fn answered(code: u8) -> Provisioned {
    match ReplyCode::from_byte(code) {
        Ok(ReplyCode::Ack) => Provisioned::Taken,
        Ok(_) | Err(_) => Provisioned::Refused,
    }
}
