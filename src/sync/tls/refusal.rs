//! Why one side does not believe the other, in words for whoever has to put it right.

use std::error::Error;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsFault};

/// Whose certificate it is about, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Ours: the other side refused it.
    Ours,
    /// Theirs: we refused it.
    Theirs,
}

impl Whose {
    /// As in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It has ended. What the other side refuses so may also not have begun: their alert does not say.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// Another authority issued it.
    UnknownAuthority,
    /// It is for another address.
    WrongName,
    /// It is for the other side of a connection.
    WrongPurpose,
    /// It names no gate.
    NoIdentity,
    /// There is none.
    Missing,
    /// It cannot be read, or is wrong in another way.
    Unusable,
    /// No TLS that both speak, or none at all.
    Protocol,
}

impl Why {
    /// As in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownAuthority => "unknown_authority",
            Self::WrongName => "wrong_name",
            Self::WrongPurpose => "wrong_purpose",
            Self::NoIdentity => "no_identity",
            Self::Missing => "missing",
            Self::Unusable => "unusable",
            Self::Protocol => "protocol",
        }
    }
}

/// A connection that did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// Whose certificate.
    pub whose: Whose,
    /// What is wrong with it.
    pub why: Why,
    sentence: String,
}

impl Refusal {
    /// The refusal in this error or its causes, if there is one. `them`: who is at the other end, like "the backend".
    #[must_use]
    pub fn find(error: &(dyn Error + 'static), them: &str) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref::<TlsFault>() {
                return Some(Self::of(fault, them));
            }
            // The source of an I/O error is the source of what it wraps, not what it wraps.
            let wrapped = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            next = match wrapped {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library may add faults; each is told in its own words"
    )]
    fn of(fault: &TlsFault, them: &str) -> Self {
        use {Whose as W, Why as Y};
        let theirs = |why, what: String| Self {
            whose: W::Theirs,
            why,
            sentence: format!("the certificate of {them} {what}"),
        };
        let ours = |why, what: &str| Self {
            whose: W::Ours,
            why,
            sentence: format!("{them} refuses our certificate: {what}"),
        };
        let protocol = |what: &str| Self {
            whose: W::Theirs,
            why: Y::Protocol,
            sentence: format!("{them} {what}"),
        };
        match fault {
            TlsFault::InvalidCertificate(wrong) => {
                let (why, what) = certificate(wrong);
                theirs(why, what)
            }
            TlsFault::NoCertificatesPresented => {
                theirs(Y::Missing, "is missing: none was shown".into())
            }
            TlsFault::AlertReceived(alert) => match alert {
                AlertDescription::CertificateExpired => ours(
                    Y::Expired,
                    "by their clock it has expired, or is not valid yet",
                ),
                AlertDescription::UnknownCA => ours(
                    Y::UnknownAuthority,
                    "they do not know the authority that issued it",
                ),
                AlertDescription::CertificateRequired => ours(Y::Missing, "none was shown"),
                AlertDescription::AccessDenied => ours(Y::NoIdentity, "it names no gate"),
                AlertDescription::UnsupportedCertificate => {
                    ours(Y::WrongPurpose, "it is not for this side of a connection")
                }
                AlertDescription::BadCertificate => ours(
                    Y::WrongName,
                    "it is not for the address that we are called by, or it is damaged",
                ),
                AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError => {
                    ours(Y::Unusable, "it is damaged, or its signature is wrong")
                }
                other => protocol(&format!("ends the connection with the alert {other:?}")),
            },
            TlsFault::InvalidMessage(_) => protocol("does not speak TLS here"),
            TlsFault::PeerIncompatible(_) => protocol("speaks no TLS that we speak; ours is 1.3"),
            other => protocol(&format!("cannot be spoken with: {other}")),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may add reasons; each is told in its own words"
)]
fn certificate(wrong: &CertificateError) -> (Why, String) {
    match wrong {
        CertificateError::ExpiredContext { time, not_after } => {
            let what = format!("ended on {}; it is {} here", day(*not_after), day(*time));
            (Why::Expired, what)
        }
        CertificateError::Expired => (Why::Expired, "has expired".into()),
        CertificateError::NotValidYetContext { time, not_before } => {
            let what = format!(
                "is not valid before {}; it is {} here",
                day(*not_before),
                day(*time)
            );
            (Why::NotYetValid, what)
        }
        CertificateError::NotValidYet => (Why::NotYetValid, "is not valid yet".into()),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            Why::UnknownAuthority,
            "comes from another authority than the one we believe".into(),
        ),
        CertificateError::NotValidForName => (Why::WrongName, "is for another address".into()),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = presented.join(", ");
            let what = format!("is not for {}, but for {names}", expected.to_str());
            (Why::WrongName, what)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            Why::WrongPurpose,
            "is not for this side of a connection".into(),
        ),
        CertificateError::ApplicationVerificationFailure => {
            let what = format!("names no gate: it has no URI {}NAME", super::GATE_URI);
            (Why::NoIdentity, what)
        }
        other => (Why::Unusable, format!("cannot be used: {other}")),
    }
}

/// A day, as people write it.
fn day(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(seconds) {
        Ok(at) => at.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}
