//! The private authority of a site: `ca/ca.pem` and `ca/ca.key` in the backend's directory. It issues the
//! certificates of gates and of the backend itself, and nothing else believes it.
//!
//! Whoever has `ca.key` can pose as any gate and as the backend: its mode is 0600, and a site that wants it on another
//! machine enrols there and gives the backend its certificate as files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::BackendError;
use super::secrets::{io_error, write_durably};
use crate::domain::{GateId, Utc};
use crate::sync::hex;
use crate::sync::tls::{Facts, gate_uri};

const DAY: Duration = Duration::from_secs(86_400);
/// How long an authority lives if nothing else is said, in days.
pub const AUTHORITY_DAYS: u32 = 3_650;
/// How long a gate's certificate lives if nothing else is said, in days.
pub const GATE_DAYS: u32 = 365;
/// The clock of a gate may be this far behind.
const LAG: Duration = Duration::from_secs(300);

/// An authority that can issue.
pub struct Authority {
    /// Its certificate, PEM.
    pub pem: String,
    /// Its validity and name.
    pub facts: Facts,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: Zeroizing<String>,
    /// Last instant of validity.
    pub not_after: Utc,
}

/// Where its files lie.
fn files(data: &Path) -> (PathBuf, PathBuf) {
    let dir = data.join("ca");
    (dir.join("ca.pem"), dir.join("ca.key"))
}

fn failed(path: &Path) -> impl Fn(rcgen::Error) -> BackendError {
    move |error| BackendError::Secret {
        path: path.into(),
        what: error.to_string(),
    }
}

impl Authority {
    /// Makes one in this data directory.
    ///
    /// # Errors
    /// [`BackendError::Exists`] if there is one: its gates would be strangers to a new one.
    pub fn create(data: &Path, days: u32, now: Utc) -> Result<Self, BackendError> {
        let (certificate, key) = files(data);
        if let Some(path) = [&certificate, &key].into_iter().find(|path| path.exists()) {
            return Err(BackendError::Exists(path.clone()));
        }
        let pair = KeyPair::generate().map_err(failed(&key))?;
        let mut mark = [0; 4];
        getrandom::fill(&mut mark).map_err(|error| BackendError::Secret {
            path: key.clone(),
            what: format!("the system gives no random bytes: {error}"),
        })?;
        let mut params = authority(&format!("turnstiled authority {}", hex::encode(&mark)));
        set_validity(&mut params, now, now + DAY * days);
        let signed = params.self_signed(&pair).map_err(failed(&certificate))?;
        let text = Zeroizing::new(pair.serialize_pem());
        write_new(&key, text.as_bytes()).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                BackendError::Exists(key.clone())
            } else {
                io_error(&key, source)
            }
        })?;
        write_durably(&certificate, signed.pem().as_bytes(), 0o644)
            .map_err(|source| io_error(&certificate, source))?;
        Self::open(data)
    }

    /// The one in this data directory.
    ///
    /// # Errors
    /// [`BackendError::NoAuthority`] if there is none.
    pub fn open(data: &Path) -> Result<Self, BackendError> {
        let (certificate, key) = files(data);
        let read = |path: &Path| match fs::read_to_string(path) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(BackendError::NoAuthority(path.into()))
            }
            Err(source) => Err(io_error(path, source)),
        };
        let pem = read(&certificate)?.to_string();
        let pair = KeyPair::from_pem(&read(&key)?).map_err(failed(&key))?;
        let bad = |what: &str| BackendError::Secret {
            path: certificate.clone(),
            what: what.into(),
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| bad("there is no certificate in it"))?;
        let facts = Facts::of(&der).map_err(|error| bad(&error.to_string()))?;
        let name = facts
            .common_name
            .clone()
            .ok_or_else(|| bad("it has no name"))?;
        Ok(Self {
            pem,
            facts,
            issuer: Issuer::new(authority(&name), pair),
        })
    }

    /// The one in this data directory; made if there is none.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn open_or_create(data: &Path, now: Utc) -> Result<Self, BackendError> {
        match Self::open(data) {
            Err(BackendError::NoAuthority(_)) => Self::create(data, AUTHORITY_DAYS, now),
            other => other,
        }
    }

    /// A certificate that names this gate.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn gate(&self, gate: &GateId, days: u32, now: Utc) -> Result<Issued, BackendError> {
        let name = ia5(&gate_uri(gate))?;
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.issue(gate.as_str(), vec![SanType::URI(name)], usage, days, now)
    }

    /// A certificate for a backend that is called by these names and addresses.
    ///
    /// # Errors
    /// [`BackendError`].
    pub fn backend(&self, names: &[String], days: u32, now: Utc) -> Result<Issued, BackendError> {
        let name = |name: &String| match name.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => Ok(SanType::DnsName(ia5(name)?)),
        };
        let names: Result<Vec<_>, BackendError> = names.iter().map(name).collect();
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue("turnstiled backend", names?, usage, days, now)
    }

    pub(super) fn issue(
        &self,
        subject: &str,
        names: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        days: u32,
        now: Utc,
    ) -> Result<Issued, BackendError> {
        let failed = |error: rcgen::Error| BackendError::Issue(error.to_string());
        if self.facts.not_after <= now {
            let what = "the authority itself has ended; make a new one and enrol every gate again";
            return Err(BackendError::Issue(what.into()));
        }
        let pair = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(subject);
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        // Nothing outlives the authority.
        let not_after = (now + DAY * days).min(self.facts.not_after);
        set_validity(&mut params, now, not_after);
        let signed = params.signed_by(&pair, &self.issuer).map_err(failed)?;
        Ok(Issued {
            certificate: signed.pem(),
            key: Zeroizing::new(pair.serialize_pem()),
            not_after,
        })
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn set_validity(params: &mut CertificateParams, now: Utc, not_after: Utc) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs((now - LAG).as_secs());
    params.not_after = epoch + Duration::from_secs(not_after.as_secs());
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn ia5(name: &str) -> Result<Ia5String, BackendError> {
    Ia5String::try_from(name).map_err(|_| {
        BackendError::Issue(format!("{name:?} is no name or address for a certificate"))
    })
}

/// Writes a file that must not be there yet, for its owner only.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
