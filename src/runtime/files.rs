//! The files that a config names, read and checked as `check` and `run` both do; and why a gate does not start.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::codes::{Pepper, Reader, TrustList};
use crate::config::Config;
use crate::config::tree::Backend;
use crate::domain::Utc;
use crate::sync::tls::{self, Facts, Material, SharedDate};
use crate::sync::{Addressee, Client, ClientError, Followed, PinnedKeys};

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file that the config names.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// Something in the config that is only known once it is tried.
    #[error("{0}")]
    Config(String),
    /// The pages' address.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The socket for staff.
    #[error("cannot listen on {}, where staff come to", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal. It is never replaced silently: somebody may want to save what is in it.
    #[error(transparent)]
    Journal(#[from] crate::store::journal::JournalError),
    /// The codes cache, for a reason that dropping it does not cure.
    #[error(transparent)]
    Codes(#[from] crate::store::codes::CodesError),
    /// Threads or tasks.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] crate::telemetry::metrics::MetricsError),
}

impl StartError {
    /// True if the config, or a file it names, has to be changed.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Config(_))
    }
}

/// What the files that a config names hold.
pub struct Files {
    pub(super) reader: Reader,
    pub(super) followed: Vec<Followed>,
    pub(super) link: Option<Link>,
}

/// The way to the backend.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) keys: PinnedKeys,
    /// Whose directives are followed; nothing where no key is pinned for them.
    pub(super) addressee: Option<Addressee>,
    /// Nothing where it is plain HTTP.
    pub(super) secure: Option<Secure>,
}

/// What a gate shows its backend.
pub(super) struct Secure {
    pub(super) files: tls::Files,
    /// Validity of the certificate and of the authority.
    pub(super) facts: (Facts, Facts),
    pub(super) date: SharedDate,
}

/// Reads and checks every file the config names, as `check` and `run` both do.
///
/// # Errors
/// [`StartError::File`] or [`StartError::Config`].
pub fn read_files(config: &Config) -> Result<Files, StartError> {
    let path = &config.trust_file;
    let trust = TrustList::parse(&text(path)?).map_err(|error| file(path, error.to_string()))?;
    let mut peppers = Vec::new();
    let mut followed = Vec::new();
    for list in &config.lists {
        let mut pepper_ids = Vec::new();
        for path in std::iter::once(&list.pepper_file).chain(&list.next_pepper_file) {
            let pepper = read_pepper(path)?;
            pepper_ids.push(pepper.id());
            peppers.push((list.name.clone(), pepper));
        }
        followed.push(Followed {
            list: list.name.clone(),
            pepper_ids,
        });
    }
    let reader =
        Reader::new(trust, peppers).map_err(|error| StartError::Config(error.to_string()))?;
    let mut link = None;
    if let Some(backend) = &config.backend {
        let of_key = |key: &str, error: &dyn std::error::Error| {
            StartError::Config(format!("key `backend.{key}`: {error}"))
        };
        let keys =
            PinnedKeys::parse(&backend.list_keys).map_err(|error| of_key("list_keys", &error))?;
        let addressee = addressee(config, backend, of_key)?;
        let (client, secure) = connect(config, backend, of_key)?;
        link = Some(Link {
            client,
            keys,
            addressee,
            secure,
        });
    }
    Ok(Files {
        reader,
        followed,
        link,
    })
}

/// Whose directives the gate follows.
fn addressee(
    config: &Config,
    backend: &Backend,
    of_key: impl Fn(&str, &dyn std::error::Error) -> StartError,
) -> Result<Option<Addressee>, StartError> {
    if backend.directive_keys.is_empty() {
        return Ok(None);
    }
    let keys = PinnedKeys::parse(&backend.directive_keys)
        .map_err(|error| of_key("directive_keys", &error))?;
    Ok(Some(Addressee::new(&config.gate, &backend.groups, keys)))
}

/// The client of this backend: with the gate's certificate if it is called by TLS.
fn connect(
    config: &Config,
    backend: &Backend,
    of_key: impl Fn(&str, &dyn std::error::Error) -> StartError,
) -> Result<(Client, Option<Secure>), StartError> {
    let of_url = |error: ClientError| of_key("url", &error);
    let (Some(certificate), Some(key), Some(ca)) =
        (&backend.certificate, &backend.key, &backend.ca)
    else {
        return Ok((Client::new(&backend.url).map_err(of_url)?, None));
    };
    let files = tls::Files {
        certificate: certificate.clone(),
        key: key.clone(),
        ca: ca.clone(),
    };
    let material = Material::read_for(&files, &config.gate)
        .map_err(|tls::FileError { path, why }| StartError::File { path, why })?;
    let date = SharedDate::new(Utc::default());
    let client = Client::secure(&backend.url, &material, date.date()).map_err(of_url)?;
    let facts = (material.facts, material.authority);
    let secure = Secure { files, facts, date };
    Ok((client, Some(secure)))
}

fn file(path: &Path, why: String) -> StartError {
    StartError::File {
        path: path.into(),
        why,
    }
}

fn text(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|error| file(path, error.to_string()))
}

fn read_pepper(path: &Path) -> Result<Pepper, StartError> {
    let mode = std::fs::metadata(path)
        .map_err(|error| file(path, error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o007 != 0 {
        let why = "everybody may use it; whoever has it can enumerate ID numbers: chmod o-rwx";
        return Err(file(path, why.into()));
    }
    let secret = zeroize::Zeroizing::new(text(path)?);
    Pepper::parse(&secret).map_err(|error| file(path, error.to_string()))
}
