//! Certificate, key and authority out of their files, checked before anybody uses them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::identity::{Facts, gate_of};
use super::provider;
use crate::domain::GateId;

/// Largest of the files: a chain is a few thousand bytes.
const BYTES_MAX: u64 = 64 << 10;
/// Most certificates of a chain, and most authorities.
const CERTIFICATES_MAX: usize = 8;

/// Where they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, PEM; intermediate ones after it.
    pub certificate: PathBuf,
    /// Its private key, PEM; not readable by everybody.
    pub key: PathBuf,
    /// The authority that the other side's certificate must come from, PEM; two while one takes over from another.
    pub ca: PathBuf,
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// What is wrong with it, and what is allowed.
    pub why: String,
}

/// What a side shows, and what it believes.
#[derive(Clone, Debug)]
pub struct Material {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) roots: Arc<RootCertStore>,
    /// Validity of our certificate.
    pub facts: Facts,
    /// Validity of the authority that ends last.
    pub authority: Facts,
}

impl Material {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// [`FileError`] with the first that is wrong.
    pub fn read(files: &Files) -> Result<Self, FileError> {
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        let authorities = certificates(&files.ca)?;
        Self::new(chain, key, authorities).map_err(|(part, why)| {
            let path = match part {
                Part::Certificate => &files.certificate,
                Part::Key => &files.key,
                Part::Authority => &files.ca,
            };
            let path = path.clone();
            FileError { path, why }
        })
    }

    /// The same for a gate, whose certificate must name it.
    ///
    /// # Errors
    /// [`FileError`] with the first that is wrong.
    pub fn read_for(files: &Files, gate: &GateId) -> Result<Self, FileError> {
        let material = Self::read(files)?;
        let why = match material.certificate().map(gate_of) {
            Some(Ok(named)) if named == *gate => return Ok(material),
            Some(Ok(named)) => {
                format!("it is the certificate of gate \"{named}\"; this gate is \"{gate}\"")
            }
            Some(Err(error)) => error.to_string(),
            None => "there is no certificate in it".into(),
        };
        let path = files.certificate.clone();
        Err(FileError { path, why })
    }

    /// The same from what is in memory.
    ///
    /// # Errors
    /// The part that is wrong, and why.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, (Part, String)> {
        let facts = chain.first().map(Facts::of).transpose();
        let facts = facts.ok().flatten().ok_or_else(|| {
            let why = "this is no X.509 certificate".to_owned();
            (Part::Certificate, why)
        })?;
        let of_key = |error: Error| {
            if error == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                "this is not the key of the certificate".to_owned()
            } else {
                format!("this key cannot be used; ECDSA P-256 is what we make ({error})")
            }
        };
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| (Part::Key, of_key(error)))?;
        let mut roots = RootCertStore::empty();
        let mut authority: Option<Facts> = None;
        for certificate in authorities {
            let bad = |why: String| (Part::Authority, why);
            let facts = Facts::of(&certificate).map_err(|error| bad(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| bad(format!("this authority cannot be used: {error}")))?;
            if authority
                .as_ref()
                .is_none_or(|last| last.not_after < facts.not_after)
            {
                authority = Some(facts);
            }
        }
        Ok(Self {
            key: Arc::new(key),
            roots: Arc::new(roots),
            facts,
            authority: authority
                .ok_or_else(|| (Part::Authority, "there is no certificate in it".to_owned()))?,
        })
    }

    /// Our own certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }
}

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
    /// The authority.
    Authority,
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |why: String| FileError {
        path: path.into(),
        why,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > BYTES_MAX) {
        return Err(failed(format!(
            "it is larger than {BYTES_MAX} bytes: that is no certificate or key"
        )));
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let failed = |why: &str| FileError {
        path: path.into(),
        why: why.into(),
    };
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|_| failed("it is no PEM file, or it is damaged"))?;
    match found.len() {
        0 => Err(failed(
            "there is no certificate in it; one begins with \"-----BEGIN CERTIFICATE-----\"",
        )),
        1..=CERTIFICATES_MAX => Ok(found),
        _ => Err(failed("there are more than 8 certificates in it")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let failed = |why: String| FileError {
        path: path.into(),
        why,
    };
    let mode = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o007 != 0 {
        let why = "everybody may use it; whoever has it can pose as its owner: chmod o-rwx";
        return Err(failed(why.into()));
    }
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| {
        failed(
            "there is no private key in it; one begins with \"-----BEGIN PRIVATE KEY-----\"".into(),
        )
    })
}
