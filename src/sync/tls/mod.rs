//! Mutual TLS between gate and backend (DESIGN §7): who they are, and why one does not believe the other.
//!
//! TLS 1.3, rustls with `ring`. Both sides show a certificate of one private authority, and each checks the other's:
//!
//! - A *gate* is named by exactly one URI in the subject alternative name of its certificate, `turnstiled:gate:NAME`.
//!   A URI, because names of gates may hold capital letters and `_`, which names in DNS may not. Its extended key usage
//!   is client authentication, so that no gate can pose as the backend.
//! - A *backend* holds the names that gates call it by, as DNS names or IP addresses, for server authentication.
//!
//! Certificate, key and authority are PEM files ([`Files`]). They are read again when they change ([`renew`]), so a
//! short-lived certificate is renewed by writing the new files; no connection is resumed, so that each one is checked.
//! Dates are checked at the date that its owner trusts ([`Date`]); a gate whose clock nobody vouches for refuses what
//! ended before its clock floor, and cannot say that something is not valid yet.

mod config;
mod identity;
mod material;
mod refusal;
pub mod renew;

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Now, Utc};

pub(crate) use config::provider;
pub use config::{TlsError, believing, client, plain, server};
pub use identity::{Facts, GATE_URI, IdentityError, gate_of, gate_uri};
pub use material::{FileError, Files, Material};
pub use refusal::{Refusal, Whose, Why};

/// The date that certificates are checked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedAt {
    /// The date; while it is not trusted, one that it is not before.
    pub utc: Utc,
    /// True if somebody vouches for it.
    pub trusted: bool,
}

/// Reads that date.
pub type Date = Arc<dyn Fn() -> CheckedAt + Send + Sync>;

/// A date that one task sets and others read: the loop of a gate owns its clocks.
#[derive(Clone, Debug)]
pub struct SharedDate(Arc<Mutex<CheckedAt>>);

impl SharedDate {
    /// Not trusted yet, and not before `floor`.
    #[must_use]
    pub fn new(floor: Utc) -> Self {
        let at = CheckedAt {
            utc: floor,
            trusted: false,
        };
        Self(Arc::new(Mutex::new(at)))
    }

    /// What the clocks say now. A date once trusted is the floor of what comes after it.
    pub fn set(&self, now: Now) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *at = match now.utc {
            Some(utc) => CheckedAt { utc, trusted: true },
            None => CheckedAt {
                trusted: false,
                ..*at
            },
        };
    }

    /// It is at least this date now.
    pub fn raise_floor(&self, floor: Utc) {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !at.trusted {
            at.utc = at.utc.max(floor);
        }
    }

    /// To be read.
    #[must_use]
    pub fn date(&self) -> Date {
        let shared = self.clone();
        Arc::new(move || *shared.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
