//! The trust list that gates are given: a signed file in the data directory, made by `turnstiled codes trust sign`. It is
//! looked at now and then, so that a new one is served without a restart. Whether its signature is believed is for the
//! gates, which have the keys pinned; what they would refuse for its content is not served in the first place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;

use super::http::held::Sent;
use super::inner::etag;
use super::secrets::{io_error, signing_key_at, write_durably};
use super::{BackendError, public_key_text};
use crate::codes::TrustList;
use crate::sync::dsse::{self, ENVELOPE_BYTES_MAX};
use crate::sync::trust::PAYLOAD_TYPE;

/// How often the file is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// Where the signed trust list of a backend lies.
#[must_use]
pub fn file(data: &Path) -> PathBuf {
    data.join("trust.json")
}

/// Where the key that signs it lies, unless it is kept elsewhere.
#[must_use]
pub fn key_file(data: &Path) -> PathBuf {
    data.join("keys").join("trust.key")
}

/// The public half of that key, as configs hold it; nothing where there is none.
pub(super) fn public_key(data: &Path) -> Result<Option<String>, BackendError> {
    let path = key_file(data);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(public_key_text(&signing_key_at(&path)?)))
}

/// A signed trust list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its version.
    pub version: u64,
    /// The key that signed it, as configs hold it.
    pub public_key: String,
}

/// Signs a compiled trust list with the key in `key`, which is made if need be, and puts it into `out`, whole or not at
/// all.
///
/// # Errors
/// [`BackendError::Secret`] or [`BackendError::Io`].
pub fn sign(compiled: &[u8], version: u64, key: &Path, out: &Path) -> Result<Signed, BackendError> {
    let key: SigningKey = signing_key_at(key)?;
    let envelope = dsse::sign(PAYLOAD_TYPE, compiled, &key);
    write_durably(out, envelope.as_bytes(), 0o644).map_err(|source| io_error(out, source))?;
    let public_key = public_key_text(&key);
    Ok(Signed {
        version,
        public_key,
    })
}

/// What a file in its place holds, whoever signed it.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn read(path: &Path) -> Result<(String, TrustList), String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > ENVELOPE_BYTES_MAX as u64 {
        return Err(format!("{length} bytes are too many for a signed document"));
    }
    let envelope = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let document = dsse::read_unverified(envelope.as_bytes(), PAYLOAD_TYPE);
    let document = document.map_err(|error| error.to_string())?;
    let list = TrustList::parse_compiled(&document).map_err(|error| error.to_string())?;
    Ok((envelope, list))
}

/// The trust list as it is sent.
pub(super) struct Served {
    version: u64,
    etag: String,
    envelope: String,
}

impl Sent for Served {
    fn version(&self) -> u64 {
        self.version
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn envelope(&self) -> &str {
        &self.envelope
    }
}

/// What is served, and the file as it was seen last.
#[derive(Default)]
struct State {
    served: Option<Arc<Served>>,
    seen: Option<(SystemTime, u64)>,
}

/// The trust list of a backend.
pub(super) struct Trust {
    path: PathBuf,
    state: Mutex<State>,
}

impl Trust {
    /// Of the backend in this directory; not looked at yet.
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            path: file(dir),
            state: Mutex::default(),
        }
    }

    /// What is served now.
    pub(super) fn served(&self) -> Option<Arc<Served>> {
        self.state().served.clone()
    }

    /// Looks at the file; true if something else is served now. A bad file, or an older version, is told once, and what
    /// was served stays.
    pub(super) fn look(&self) -> bool {
        let found = match fs::metadata(&self.path) {
            Ok(found) => found.modified().ok().map(|at| (at, found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::debug!(%error, "the trust list cannot be looked at");
                return false;
            }
        };
        if std::mem::replace(&mut self.state().seen, found) == found || found.is_none() {
            // Taken away: what is served stays until the backend starts again.
            return false;
        }
        let path = self.path.display();
        let (envelope, list) = match read(&self.path) {
            Ok(read) => read,
            Err(why) => {
                tracing::error!(%path, error = %why, "the trust list is not served; the last good one stays");
                return false;
            }
        };
        let version = list.version;
        let mut state = self.state();
        let before = state.served.as_ref().map(|served| served.version);
        if before.is_some_and(|before| version <= before) {
            let same = state
                .served
                .as_ref()
                .is_some_and(|s| s.envelope == envelope);
            if !same {
                tracing::error!(%path, version, served = before, "the trust list is not newer than the one that is served, which stays");
            }
            return false;
        }
        tracing::info!(%path, version, issuers = list.issuers.len(), "the trust list is served");
        state.served = Some(Arc::new(Served {
            version,
            etag: etag(envelope.as_bytes()),
            envelope,
        }));
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
