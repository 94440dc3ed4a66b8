//! A list as plain files: manifest and chunks, for any web server that serves a folder.
//!
//! ```text
//! OUT/v1/lists/LIST/manifest      the signed manifest, replaced last and at once
//! OUT/v1/chunks/SHA256            the chunks of all lists packed into OUT
//! DATA/keys/lists.key             who signs; never in OUT
//! DATA/peppers/LIST.pepper        what the row keys are made with; never in OUT
//! DATA/packed/LIST.old            chunks that only the manifest before names: they go with the next packing
//! ```
//!
//! Chunks are cut where the first bits of the key change, so a change makes few of them anew. Packing the same rows again
//! signs the same version again: whoever serves files does that every hour, so that a quiet list does not look stale.

mod cut;
mod prior;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::secrets::{self, write_durably};
use super::{BackendError, public_key_text};
use crate::codes::row_key::Pepper;
use crate::domain::{ListId, Utc};
use crate::sync::chunk::ChunkError;
use crate::sync::dsse::{self, PinnedKeys};
use crate::sync::hex;
use crate::sync::manifest::{ChunkId, Manifest, ManifestError, PAYLOAD_TYPE};
use crate::sync::spool::Spool;
use cut::Cut;
use prior::Prior;

/// Why nothing was packed. What is served stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file system refused.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or a pepper cannot be used.
    #[error(transparent)]
    Secret(#[from] BackendError),
    /// What lies there already is not ours.
    #[error("{path} is there already and is no manifest that this key has signed")]
    Foreign {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Gates refuse an older era.
    #[error("era {asked} is older than era {here}, which is there already")]
    Era {
        /// What was asked for.
        asked: u32,
        /// What is there.
        here: u32,
    },
    /// A chunk cannot be made.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The rows cannot be read again.
    #[error("the sorted rows cannot be read")]
    Rows(#[source] io::Error),
    /// The manifest cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Era of the list.
    pub era: u32,
    /// Its version.
    pub version: u64,
    /// Its rows.
    pub rows: u64,
    /// Chunks that were written; the others were there.
    pub written: usize,
    /// Chunks of the whole list.
    pub chunks: usize,
    /// False if only the date of the manifest is new.
    pub changed: bool,
}

/// Packs lists into one folder.
pub struct Packer {
    out: PathBuf,
    data: PathBuf,
}

impl Packer {
    /// `out` is served to everybody; `data` holds the secrets and is not. Both are made if need be.
    ///
    /// # Errors
    /// [`PackError::Io`].
    pub fn new(out: &Path, data: &Path) -> Result<Self, PackError> {
        for dir in [out, data] {
            fs::create_dir_all(dir).map_err(|source| io_error(dir, source))?;
        }
        Ok(Self {
            out: out.into(),
            data: data.into(),
        })
    }

    /// The pepper of a list; the list gets one if it has none.
    ///
    /// # Errors
    /// [`PackError::Secret`].
    pub fn pepper(&self, list: &ListId) -> Result<Pepper, PackError> {
        Ok(secrets::pepper(&self.data, list)?)
    }

    /// The file with that pepper.
    #[must_use]
    pub fn pepper_file(&self, list: &ListId) -> PathBuf {
        secrets::pepper_file(&self.data, list)
    }

    /// The key that signs, as configs hold it.
    ///
    /// # Errors
    /// [`PackError::Secret`].
    pub fn public_key(&self) -> Result<String, PackError> {
        Ok(public_key_text(&secrets::signing_key(&self.data)?))
    }

    /// Packs `rows`, whose keys are made with the pepper `pepper_id`. `era`: a signed recovery, for gates that have seen
    /// newer versions than those in the folder.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn pack(
        &self,
        list: &ListId,
        pepper_id: u32,
        rows: Spool,
        era: Option<u32>,
        now: Utc,
        fresh_s: u64,
    ) -> Result<Packed, PackError> {
        let key = secrets::signing_key(&self.data)?;
        let before = self.manifest(list, &public_key_text(&key))?;
        let here = before.as_ref().map_or(1, |before| before.era);
        let era = era.unwrap_or(here);
        if era < here {
            return Err(PackError::Era { asked: era, here });
        }
        let chunks_dir = self.chunks_dir();
        fs::create_dir_all(&chunks_dir).map_err(|source| io_error(&chunks_dir, source))?;
        // From a list of another era, or with other keys, no delta leads here.
        let same = before
            .as_ref()
            .filter(|before| (before.era, before.pepper_id) == (era, pepper_id));
        let mut prior = Prior::new(&chunks_dir, same);
        let mut cut = Cut::new(&chunks_dir, rows.rows());
        for raw in rows.into_rows() {
            let (key, value) = cut.row(&raw.map_err(PackError::Rows)?)?;
            prior.compare(&key, &value);
        }
        let cut = cut.finish()?;
        let step = prior.step();
        let changed = same.is_none() || step.as_deref() != Some(&[]);
        let version = before.as_ref().map_or(0, |before| before.version);
        let mut manifest = Manifest {
            list: list.clone(),
            era,
            version: version.saturating_add(u64::from(changed)),
            // A clock that steps back must not make a newer manifest look older.
            created: before
                .as_ref()
                .map_or(now, |before| before.created.max(now)),
            fresh_until: now,
            pepper_id,
            rows: cut.rows,
            digest: cut.digest,
            snapshot: cut.snapshot,
            deltas: Vec::new(),
        };
        manifest.fresh_until = Utc::from_secs(manifest.created.as_secs().saturating_add(fresh_s));
        let mut written = cut.written;
        if let Some(before) = same {
            manifest.deltas = match step.filter(|_| changed) {
                Some(step) => prior::deltas(&chunks_dir, before, &step, cut.rows, &mut written)?,
                None if changed => Vec::new(),
                None => before.deltas.clone(),
            };
        }
        let envelope = dsse::sign(PAYLOAD_TYPE, &serde_json::to_vec(&manifest)?, &key);
        let path = self.manifest_path(list);
        write_durably(&path, envelope.as_bytes(), 0o644).map_err(|e| io_error(&path, e))?;
        self.remove_old(list, before.as_ref(), &manifest)?;
        Ok(Packed {
            era,
            version: manifest.version,
            rows: manifest.rows,
            written,
            chunks: manifest.snapshot.len(),
            changed,
        })
    }

    fn chunks_dir(&self) -> PathBuf {
        self.out.join("v1").join("chunks")
    }

    fn lists_dir(&self) -> PathBuf {
        self.out.join("v1").join("lists")
    }

    fn manifest_path(&self, list: &ListId) -> PathBuf {
        self.lists_dir().join(list.as_str()).join("manifest")
    }

    fn manifest(&self, list: &ListId, public_key: &str) -> Result<Option<Manifest>, PackError> {
        let path = self.manifest_path(list);
        let envelope = match fs::read(&path) {
            Ok(envelope) => envelope,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error(&path, source)),
        };
        let keys = PinnedKeys::parse(&[public_key]).map_err(|error| BackendError::Secret {
            path: self.data.clone(),
            what: error.to_string(),
        })?;
        match Manifest::open(&envelope, list, &keys) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(source) => Err(PackError::Foreign { path, source }),
        }
    }

    /// Removes what only the manifest before the last one named: a gate that is loading an older version has from one
    /// packing to the next to fetch its chunks.
    fn remove_old(
        &self,
        list: &ListId,
        before: Option<&Manifest>,
        after: &Manifest,
    ) -> Result<(), PackError> {
        let path = self.data.join("packed").join(format!("{list}.old"));
        let old = fs::read_to_string(&path).unwrap_or_default();
        let mut named = named_in(after);
        let leaving: BTreeSet<ChunkId> = before.map(named_in).unwrap_or_default();
        let leaving: Vec<ChunkId> = leaving.difference(&named).copied().collect();
        named.extend(&leaving);
        let old: Vec<ChunkId> = old.lines().filter_map(ChunkId::parse).collect();
        if old.iter().any(|id| !named.contains(id)) {
            named.extend(self.named_elsewhere(list)?);
        }
        for id in old.iter().filter(|id| !named.contains(id)) {
            let chunk = self.chunks_dir().join(id.to_string());
            match fs::remove_file(&chunk) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&chunk, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let text: String = leaving.iter().map(|id| format!("{id}\n")).collect();
        write_durably(&path, text.as_bytes(), 0o600).map_err(|e| io_error(&path, e))
    }

    /// Chunks of the other lists in the folder.
    fn named_elsewhere(&self, list: &ListId) -> Result<BTreeSet<ChunkId>, PackError> {
        let dir = self.lists_dir();
        let failed = |source| io_error(&dir, source);
        let public_key = self.public_key()?;
        let mut named = BTreeSet::new();
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let other = name.to_str().and_then(|name| ListId::new(name).ok());
            if let Some(other) = other.filter(|other| other != list)
                && let Some(manifest) = self.manifest(&other, &public_key)?
            {
                named.extend(named_in(&manifest));
            }
        }
        Ok(named)
    }
}

fn named_in(manifest: &Manifest) -> BTreeSet<ChunkId> {
    let of_deltas = manifest.deltas.iter().flat_map(|delta| &delta.chunks);
    manifest.snapshot.iter().chain(of_deltas).copied().collect()
}

/// Writes a chunk unless it is there; true if it was written.
fn store(dir: &Path, id: &ChunkId, packed: &[u8]) -> Result<bool, PackError> {
    let path = dir.join(hex::encode(&id.0));
    if fs::metadata(&path).is_ok_and(|meta| meta.len() == packed.len() as u64) {
        return Ok(false);
    }
    write_durably(&path, packed, 0o644).map_err(|source| io_error(&path, source))?;
    Ok(true)
}

fn io_error(path: &Path, source: io::Error) -> PackError {
    PackError::Io {
        path: path.into(),
        source,
    }
}
