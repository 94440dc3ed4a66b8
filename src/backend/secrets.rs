//! The secrets of a backend: its signing key and the pepper of each list, in files that only its user can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use zeroize::Zeroize as _;

use super::BackendError;
use crate::codes::row_key::Pepper;
use crate::domain::ListId;
use crate::sync::hex;

/// Reads the signing key, or makes one at the first start.
pub(super) fn signing_key(dir: &Path) -> Result<SigningKey, BackendError> {
    signing_key_at(&dir.join("keys").join("lists.key"))
}

/// Reads the signing key in this file, or makes one.
pub(super) fn signing_key_at(path: &Path) -> Result<SigningKey, BackendError> {
    let mut text = read_or_make(path)?;
    let seed = hex::decode(text.trim_ascii());
    text.zeroize();
    let mut seed = seed.ok_or_else(|| BackendError::Secret {
        path: path.into(),
        what: "a signing key has 64 hex digits".into(),
    })?;
    let key = SigningKey::from_bytes(&seed);
    seed.zeroize();
    Ok(key)
}

/// Where the pepper of a list lies.
pub(super) fn pepper_file(dir: &Path, list: &ListId) -> PathBuf {
    dir.join("peppers").join(format!("{list}.pepper"))
}

/// Every list that has a pepper, by name.
pub(super) fn lists_with_pepper(dir: &Path) -> Result<Vec<ListId>, BackendError> {
    let peppers = dir.join("peppers");
    let entries = match fs::read_dir(&peppers) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| io_error(&peppers, source))?,
    };
    let mut lists = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|source| io_error(&peppers, source))?
            .file_name();
        let list = name.to_str().and_then(|name| name.strip_suffix(".pepper"));
        lists.extend(list.and_then(|list| ListId::new(list).ok()));
    }
    lists.sort();
    Ok(lists)
}

/// Where the pepper lies that a list will have next.
pub(super) fn next_pepper_file(dir: &Path, list: &ListId) -> PathBuf {
    // A folder of its own: any name is the name of some list.
    dir.join("peppers")
        .join("next")
        .join(format!("{list}.pepper"))
}

/// Reads the pepper of a list, or makes one.
pub(super) fn pepper(dir: &Path, list: &ListId) -> Result<Pepper, BackendError> {
    read_pepper(pepper_file(dir, list))
}

/// Reads the pepper that a list will have next, or makes one.
pub(super) fn next_pepper(dir: &Path, list: &ListId) -> Result<Pepper, BackendError> {
    read_pepper(next_pepper_file(dir, list))
}

/// The pepper that a list will have next, if one was made.
pub(super) fn next_pepper_at_hand(
    dir: &Path,
    list: &ListId,
) -> Result<Option<Pepper>, BackendError> {
    let path = next_pepper_file(dir, list);
    if path.exists() {
        read_pepper(path).map(Some)
    } else {
        Ok(None)
    }
}

/// Puts the next pepper of a list in the place of its pepper, which is gone then.
pub(super) fn promote(dir: &Path, list: &ListId) -> Result<(), BackendError> {
    let (from, to) = (next_pepper_file(dir, list), pepper_file(dir, list));
    fs::rename(&from, &to)
        .and_then(|()| fs::File::open(to.parent().unwrap_or(dir))?.sync_all())
        .map_err(|source| io_error(&to, source))
}

fn read_pepper(path: PathBuf) -> Result<Pepper, BackendError> {
    let mut text = read_or_make(&path)?;
    let pepper = Pepper::parse(&text);
    text.zeroize();
    pepper.map_err(|error| BackendError::Secret {
        path,
        what: error.to_string(),
    })
}

/// 64 hex digits: those in the file, or new ones, durable in it.
fn read_or_make(path: &Path) -> Result<String, BackendError> {
    let failed = |source| io_error(path, source);
    match fs::read_to_string(path) {
        Ok(text) => {
            warn_if_open(path).map_err(failed)?;
            return Ok(text);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| BackendError::Secret {
        path: path.into(),
        what: format!("the system gives no random bytes: {error}"),
    })?;
    let mut text = hex::encode(&secret);
    secret.zeroize();
    text.push('\n');
    write_durably(path, text.as_bytes(), 0o600).map_err(failed)?;
    Ok(text)
}

fn warn_if_open(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others can read this secret; its mode should be 0600");
    }
    Ok(())
}

/// Writes a file beside itself, syncs it and puts it in place.
pub(super) fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(dir)?.sync_all()
}

/// A fault of the file system, with its path.
pub(super) fn io_error(path: &Path, source: io::Error) -> BackendError {
    BackendError::Io {
        path: path.into(),
        source,
    }
}
