//! Issuers' own verification services, reached by adapters that are written in TOML: a code or the number of an ID card
//! goes out, a health outcome comes in (the model is GB/T 38963, whose terminals send what they scan to a service).
//!
//! Adapters lie in the folder `adapters` of the backend's directory, one a file; `hardware/adapters` has two to copy. A
//! gate never talks to such a service: it asks the backend, which asks here what no list knows. Whatever a service does
//! (slow, down, nonsense), the answer is a colour that its table names, or *timed out* or *query failed*.
//!
//! Neither what is asked nor what is answered is stored or logged.

mod answer;
mod request;
mod written;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio::time;
use zeroize::Zeroizing;

use super::BackendError;
use crate::codes::row_key::ID_CARD;
use crate::config::load::{credentials, secret};
use crate::domain::{HealthOutcome, IssuerId, Personal};
use crate::sync::tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use written::Written;

pub(super) use answer::Found;

/// Most adapters of a backend.
const ADAPTERS_MAX: usize = 64;
/// Largest adapter file, and largest secret.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Largest file of authorities: that of a whole distribution is a quarter of it.
const CA_BYTES_MAX: u64 = 1 << 20;
/// Longest answer of a service, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One service.
pub(super) struct Adapter {
    name: String,
    written: Written,
    http: reqwest::Client,
    headers: HeaderMap,
    at_once: Semaphore,
}

/// All of them.
#[derive(Default)]
pub(super) struct Adapters(Vec<Adapter>);

impl Adapters {
    /// Reads every file `*.toml` of a folder, in the order of their names; a folder that is not there has none.
    pub(super) fn read(folder: &Path) -> Result<Self, BackendError> {
        let io = |source| BackendError::Io {
            path: folder.to_owned(),
            source,
        };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            entries => entries.map_err(io)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|end| end == "toml") {
                files.push(path);
            }
        }
        if files.len() > ADAPTERS_MAX {
            let sentence = format!(
                "{} adapters are there; allowed are {ADAPTERS_MAX}",
                files.len()
            );
            return Err(wrong(folder, sentence));
        }
        files.sort();
        let mut adapters: Vec<Adapter> = Vec::new();
        for file in &files {
            let adapter = Adapter::read(file)?;
            for other in &adapters {
                if let Some(issuer) = adapter.written.shares_with(&other.written) {
                    let sentence = format!(
                        "issuer \"{issuer}\" has the adapter \"{}\" already",
                        other.name
                    );
                    return Err(wrong(file, sentence));
                }
            }
            adapters.push(adapter);
        }
        Ok(Self(adapters))
    }

    /// The service to ask about what this issuer made, if there is one.
    pub(super) fn of(&self, kind: &str, issuer: &IssuerId) -> Option<&Adapter> {
        self.0
            .iter()
            .find(|adapter| adapter.written.is_for(kind, issuer))
    }
}

impl Adapter {
    /// Reads a file and what it names.
    fn read(file: &Path) -> Result<Self, BackendError> {
        let text = bounded(file, FILE_BYTES_MAX)?;
        let written = Written::parse(&text).map_err(|fault| wrong(file, fault.to_string()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut headers = HeaderMap::new();
        for (name, path) in &written.credentials {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                wrong(
                    file,
                    format!("`credentials`: \"{name}\" is no name of a header"),
                )
            })?;
            let path = secret(path, folder, credentials().as_deref());
            let text = Personal::new(bounded(&path, FILE_BYTES_MAX)?);
            let mut value = HeaderValue::from_str(text.expose().trim_ascii()).map_err(|_| {
                wrong(
                    &path,
                    "this is no value of a header: one line of ASCII".into(),
                )
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let http = client(&written, folder)?;
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            at_once: Semaphore::new(written.at_once_max.into()),
            name,
            written,
            http,
            headers,
        })
    }

    /// Asks about a code, or the number of a card.
    ///
    /// # Errors
    /// [`HealthOutcome::TimedOut`] if the service does not answer in time, [`HealthOutcome::QueryFailed`] if it could not
    /// find out, is not there, is asked too much at once or talks nonsense, [`HealthOutcome::Unknown`] if it knows nobody.
    pub(super) async fn ask(
        &self,
        kind: &str,
        identifier: &Personal<String>,
        now_s: u64,
    ) -> Result<Found, HealthOutcome> {
        let Ok(_permit) = self.at_once.try_acquire() else {
            tracing::warn!(adapter = %self.name, "too many questions at once; this one is not asked");
            return Err(HealthOutcome::QueryFailed);
        };
        let asked = self.fetch(kind == ID_CARD, identifier, now_s);
        let deadline = Duration::from_millis(self.written.deadline_ms.into());
        let fetched = time::timeout(deadline, asked).await;
        let (status, body) = match fetched {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(Trouble::Late)) | Err(_) => {
                tracing::warn!(adapter = %self.name, "the service does not answer in time");
                return Err(HealthOutcome::TimedOut);
            }
            Ok(Err(trouble)) => {
                tracing::warn!(adapter = %self.name, %trouble, "the service could not be asked");
                return Err(HealthOutcome::QueryFailed);
            }
        };
        let found = answer::judge(&self.written.answer, status, &body, now_s);
        found.map_err(|not| {
            if let Some(why) = not.why {
                tracing::warn!(adapter = %self.name, status, why, "the service answers what its adapter does not know");
            }
            not.outcome
        })
    }

    async fn fetch(
        &self,
        card: bool,
        identifier: &Personal<String>,
        now_s: u64,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Trouble> {
        let request = request::build(&self.http, &self.written, card, identifier, now_s)
            .ok_or(Trouble::NotAsked)?;
        let sent = request.headers(self.headers.clone()).send().await;
        let mut response = sent.map_err(|error| Trouble::of(&error))?;
        let status = response.status().as_u16();
        // It never grows: no copy of it stays behind.
        let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| Trouble::of(&error))?
        {
            if body.len().saturating_add(part.len()) > ANSWER_BYTES_MAX {
                return Err(Trouble::TooLong);
            }
            body.extend_from_slice(&part);
        }
        Ok((status, body))
    }
}

/// Why there is no answer. What the library says is not repeated: it holds the address, and that may hold a code.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("it is late")]
    Late,
    #[error("no connection")]
    Away,
    #[error("the connection broke off")]
    Broken,
    #[error("its answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the request cannot be made")]
    NotAsked,
}

impl Trouble {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Late
        } else if error.is_connect() {
            Self::Away
        } else {
            Self::Broken
        }
    }
}

fn client(written: &Written, folder: &Path) -> Result<reqwest::Client, BackendError> {
    let rules = match &written.ca {
        None => tls::plain()?,
        Some(ca) => {
            let path = folder.join(ca);
            let pem = bounded(&path, CA_BYTES_MAX)?;
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate
                    .map_err(|error| wrong(&path, format!("this is no PEM: {error}")))?;
                // A distribution's file holds some that the library does not take; the others count.
                roots.add_parsable_certificates([certificate]);
            }
            if roots.is_empty() {
                return Err(wrong(&path, "there is no authority in it".into()));
            }
            tls::believing(roots)?
        }
    };
    let built = reqwest::Client::builder()
        .tls_backend_preconfigured(rules)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(4)
        .build();
    built.map_err(|_| BackendError::CutShort)
}

fn wrong(path: &Path, what: String) -> BackendError {
    BackendError::Adapter {
        path: path.to_owned(),
        what,
    }
}

fn bounded(path: &Path, bytes_max: u64) -> Result<String, BackendError> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| {
        file.take(bytes_max.saturating_add(1))
            .read_to_string(&mut text)
    });
    read.map_err(|source| BackendError::Io {
        path: PathBuf::from(path),
        source,
    })?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > bytes_max) {
        return Err(wrong(path, format!("it is larger than {bytes_max} bytes")));
    }
    Ok(text)
}
