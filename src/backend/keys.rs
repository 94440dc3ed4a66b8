//! Secrets of the backend: one signing key, one pepper a list. Files of mode 0600, made at first use.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::store::{StoreError, io_error};
use crate::codes::Pepper;
use crate::domain::ListId;
use crate::sync::dsse;

/// The secrets in `<data>/keys`.
#[derive(Clone)]
pub struct Keys {
    folder: PathBuf,
    signing: Arc<SigningKey>,
}

impl Keys {
    /// Opens the secrets, and makes the signing key if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be used or a file holds something else.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let folder = data.join("keys");
        fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
        let path = folder.join("list.key");
        let seed = secret(&path)?;
        Ok(Self {
            folder,
            signing: Arc::new(SigningKey::from_bytes(&seed)),
        })
    }

    /// The key that signs manifests.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Its public half, for the gates' config.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// The pepper of a list; made if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pepper(&self, list: &ListId) -> Result<Pepper, StoreError> {
        Ok(Pepper::from_bytes(*secret(&self.pepper_path(list))?))
    }

    /// Where the pepper of a list lies.
    #[must_use]
    pub fn pepper_path(&self, list: &ListId) -> PathBuf {
        self.folder.join(format!("{list}.pepper"))
    }
}

/// Reads 32 secret bytes, or makes them.
fn secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let hex = crate::sync::hex::Hex::<32>::parse(text.trim());
            hex.map(|hex| Zeroizing::new(hex.0))
                .ok_or_else(|| StoreError::Secret { path: path.into() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_secret(path),
        Err(source) => Err(io_error(path, source)),
    }
}

fn make_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut())
        .map_err(|error| io_error(path, std::io::Error::other(error.to_string())))?;
    let text = Zeroizing::new(format!("{}\n", crate::sync::hex::Hex(*bytes)));
    let mut open = fs::OpenOptions::new();
    // Never over a file that somebody else has made in the meantime.
    let mut file = open
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| io_error(path, source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| io_error(path, source))?;
    Ok(bytes)
}

/// Writes the lines that a gate's config needs to follow this backend.
///
/// # Errors
/// [`StoreError`] if the file cannot be written.
pub fn write_fragment(
    data: &Path,
    addr: SocketAddr,
    keys: &Keys,
    lists: &[ListId],
) -> Result<(), StoreError> {
    let path = data.join("gate-fragment.toml");
    let mut text = format!(
        "# Lines for the config of a gate that follows this backend.\n[backend]\nurl = \"http://{addr}\"\nlist_keys = [\"{}\"]\n",
        dsse::write_key(&keys.public())
    );
    for list in lists {
        let pepper = keys.pepper_path(list);
        let pepper = fs::canonicalize(&pepper).unwrap_or(pepper);
        text.push_str(&format!(
            "\n[[list]]\nname = \"{list}\"\npepper_file = {:?}\n",
            pepper.display().to_string()
        ));
    }
    fs::write(&path, text).map_err(|source| io_error(&path, source))
}
