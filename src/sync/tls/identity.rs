//! What a certificate says: whose it is, and from when to when.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::domain::{GateId, Utc};

/// What stands before the name of a gate in its certificate.
pub const GATE_URI: &str = "turnstiled:gate:";

/// Why a certificate says nothing that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a certificate.
    #[error("it is no X.509 certificate")]
    Unreadable,
    /// No gate.
    #[error("it names no gate: its subject alternative name has no URI {GATE_URI}NAME")]
    NoGate,
    /// More than one.
    #[error("it names more than one gate")]
    TwoGates,
    /// A name that no gate can have.
    #[error("it names a gate in a way that no gate can be named: {0}")]
    BadName(crate::domain::ids::NameError),
}

/// From when to when a certificate is valid, and who issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// First instant.
    pub not_before: Utc,
    /// Last instant.
    pub not_after: Utc,
    /// Common name of its subject, if it has one.
    pub common_name: Option<String>,
}

impl Facts {
    /// Of this certificate.
    ///
    /// # Errors
    /// [`IdentityError::Unreadable`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let parsed = parse(certificate)?;
        let parsed = parsed.tbs_certificate();
        let validity = parsed.validity();
        let utc = |time: &x509_cert::time::Time| Utc::default() + time.to_unix_duration();
        let common_name = parsed.subject().common_name().ok().flatten();
        Ok(Self {
            not_before: utc(&validity.not_before),
            not_after: utc(&validity.not_after),
            common_name: common_name.map(|name| name.value().into_owned()),
        })
    }
}

/// The URI that names a gate.
#[must_use]
pub fn gate_uri(gate: &GateId) -> String {
    format!("{GATE_URI}{gate}")
}

/// The gate that a certificate names.
///
/// # Errors
/// [`IdentityError`] if it does not name exactly one.
pub fn gate_of(certificate: &CertificateDer<'_>) -> Result<GateId, IdentityError> {
    let parsed = parse(certificate)?;
    let names = parsed
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(|_| IdentityError::Unreadable)?;
    let (_, SubjectAltName(names)) = names.ok_or(IdentityError::NoGate)?;
    let mut gates = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => uri.as_str().strip_prefix(GATE_URI),
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DnsName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    });
    let gate = gates.next().ok_or(IdentityError::NoGate)?;
    if gates.next().is_some() {
        return Err(IdentityError::TwoGates);
    }
    GateId::new(gate).map_err(IdentityError::BadName)
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, IdentityError> {
    Certificate::from_der(certificate).map_err(|_| IdentityError::Unreadable)
}
