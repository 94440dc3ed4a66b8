//! New versions of a list: rows in, chunks and a signed manifest out.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable as _, WriteTransaction};

use super::keys::Keys;
use super::store::{CHANGES, CHUNKS, LISTS, ListMeta, ROWS, Store, StoreError};
use crate::domain::{Digest, ListId, RowKey, Utc};
use crate::store::codes::Change;
use crate::sync::chunk::{self, CHUNK_ROWS_MAX, ChunkId};
use crate::sync::dsse::{self, MANIFEST_TYPE};
use crate::sync::hex::Hex;
use crate::sync::manifest::{Delta, Manifest};

/// How many earlier versions a gate can come from by a delta.
const DELTAS_KEPT: u64 = 8;
/// Deltas longer than this are not made: a snapshot serves those gates.
const DELTA_ROWS_MAX: usize = 100_000;
/// For how long a signed manifest is called fresh, in seconds: a day of missed hourly signatures.
const FRESH_S: u64 = 86_400;

/// How an import treats rows that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// They are removed: the import is the whole list.
    Replace,
    /// They stay.
    Patch,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Imported {
    /// The version that holds it.
    pub version: u64,
    /// Rows of the list now.
    pub rows: u64,
    /// Rows that were put with a new value, or removed.
    pub changed: u64,
}

/// Applies changes as a new version. Without an effective change the version stays.
///
/// # Errors
/// [`StoreError`]; nothing is changed then.
pub fn import(
    store: &Store,
    keys: &Keys,
    now: Utc,
    list: &ListId,
    wanted: BTreeMap<RowKey, Change>,
    extent: Extent,
) -> Result<Imported, StoreError> {
    let transaction = store.db.begin_write()?;
    let mut meta = read_meta(&transaction, list)?;
    let changes = effective(&transaction, list, wanted, extent)?;
    if meta.version > 0 && changes.is_empty() {
        return Ok(Imported {
            version: meta.version,
            rows: meta.rows,
            changed: 0,
        });
    }
    let before = meta.chunks();
    meta.version += 1;
    let changed = changes.len() as u64;
    write_changes(&transaction, list, &mut meta, &changes)?;
    meta.snapshot = write_snapshot(&transaction, list)?;
    meta.deltas = write_deltas(&transaction, list, meta.version)?;
    forget_chunks(&transaction, &meta, &before)?;
    meta.before = before;
    sign(&mut meta, keys, list, now)?;
    write_meta(&transaction, list, &meta)?;
    transaction.commit()?;
    Ok(Imported {
        version: meta.version,
        rows: meta.rows,
        changed,
    })
}

/// Signs the manifest of every list again: same version, new `created`.
///
/// # Errors
/// [`StoreError`].
pub fn sign_all(store: &Store, keys: &Keys, now: Utc) -> Result<(), StoreError> {
    for list in store.list_names()? {
        let transaction = store.db.begin_write()?;
        let mut meta = read_meta(&transaction, &list)?;
        sign(&mut meta, keys, &list, now)?;
        write_meta(&transaction, &list, &meta)?;
        transaction.commit()?;
    }
    Ok(())
}

fn read_meta(transaction: &WriteTransaction, list: &ListId) -> Result<ListMeta, StoreError> {
    let lists = transaction.open_table(LISTS)?;
    let meta = lists.get(list.as_str())?;
    Ok(match meta {
        Some(meta) => serde_json::from_slice(meta.value())?,
        None => ListMeta::empty(),
    })
}

fn write_meta(
    transaction: &WriteTransaction,
    list: &ListId,
    meta: &ListMeta,
) -> Result<(), StoreError> {
    let json = serde_json::to_vec(meta)?;
    transaction
        .open_table(LISTS)?
        .insert(list.as_str(), json.as_slice())?;
    Ok(())
}

/// The wanted changes that change something, in the order of their keys.
fn effective(
    transaction: &WriteTransaction,
    list: &ListId,
    wanted: BTreeMap<RowKey, Change>,
    extent: Extent,
) -> Result<Vec<Change>, StoreError> {
    let rows = transaction.open_table(ROWS)?;
    let mut changes = BTreeMap::new();
    if extent == Extent::Replace {
        for entry in rows.range(range(list))? {
            let key = RowKey(entry?.0.value().1);
            if !wanted.contains_key(&key) {
                changes.insert(key, Change::Remove(key));
            }
        }
    }
    for (key, change) in wanted {
        let held = rows.get((list.as_str(), key.0))?.map(|value| value.value());
        let same = match &change {
            Change::Put(_, value) => held.as_ref() == Some(value),
            Change::Remove(_) => held.is_none(),
        };
        if !same {
            changes.insert(key, change);
        }
    }
    Ok(changes.into_values().collect())
}

/// Brings rows, row count and digest in line, and keeps the changes for deltas.
fn write_changes(
    transaction: &WriteTransaction,
    list: &ListId,
    meta: &mut ListMeta,
    changes: &[Change],
) -> Result<(), StoreError> {
    let mut digest = meta.digest();
    let mut rows = transaction.open_table(ROWS)?;
    let mut kept = transaction.open_table(CHANGES)?;
    for change in changes {
        let key = change.key();
        let before = match change {
            Change::Put(_, value) => rows
                .insert((list.as_str(), key.0), value)?
                .map(|value| value.value()),
            Change::Remove(_) => rows
                .remove((list.as_str(), key.0))?
                .map(|value| value.value()),
        };
        if let Some(before) = before {
            digest.remove(key, &before);
            meta.rows = meta.rows.saturating_sub(1);
        }
        if let Change::Put(_, value) = change {
            digest.add(key, value);
            meta.rows += 1;
        }
        kept.insert(
            (list.as_str(), meta.version, key.0),
            chunk::wire_row(change),
        )?;
    }
    meta.digest = Hex(*Digest::as_bytes(&digest));
    let oldest = meta.version.saturating_sub(DELTAS_KEPT);
    let forgotten = (list.as_str(), 0, [0; 16])..(list.as_str(), oldest + 1, [0; 16]);
    kept.retain_in(forgotten, |_, _| false)?;
    Ok(())
}

fn write_snapshot(
    transaction: &WriteTransaction,
    list: &ListId,
) -> Result<Vec<ChunkId>, StoreError> {
    let rows = transaction.open_table(ROWS)?;
    let mut writer = ChunkWriter::new(transaction);
    for entry in rows.range(range(list))? {
        let (key, value) = entry?;
        writer.push(Change::Put(RowKey(key.value().1), value.value()))?;
    }
    writer.finish()
}

/// A delta from each kept version to this one, newest first; those that grow too long are left out.
fn write_deltas(
    transaction: &WriteTransaction,
    list: &ListId,
    version: u64,
) -> Result<Vec<Delta>, StoreError> {
    let kept = transaction.open_table(CHANGES)?;
    let mut merged: BTreeMap<RowKey, Change> = BTreeMap::new();
    let mut deltas = Vec::new();
    for from in (version.saturating_sub(DELTAS_KEPT).max(1)..version).rev() {
        let of_version = (list.as_str(), from + 1, [0; 16])..=(list.as_str(), from + 1, [0xFF; 16]);
        for entry in kept.range(of_version)? {
            let row = entry?.1.value();
            let changes =
                chunk::rows(&row).map_err(|error| StoreError::Failed(error.to_string()))?;
            for change in changes {
                // A later version has the last word.
                merged.entry(*change.key()).or_insert(change);
            }
        }
        if merged.len() > DELTA_ROWS_MAX {
            break;
        }
        let mut writer = ChunkWriter::new(transaction);
        for change in merged.values() {
            writer.push(*change)?;
        }
        deltas.push(Delta {
            from,
            chunks: writer.finish()?,
        });
    }
    Ok(deltas)
}

/// Drops chunks that neither this version nor the one before needs, unless another list has them too.
fn forget_chunks(
    transaction: &WriteTransaction,
    meta: &ListMeta,
    before: &[ChunkId],
) -> Result<(), StoreError> {
    let mut needed: BTreeSet<ChunkId> = meta
        .chunks()
        .into_iter()
        .chain(before.iter().copied())
        .collect();
    for entry in transaction.open_table(LISTS)?.iter()? {
        let other: ListMeta = serde_json::from_slice(entry?.1.value())?;
        needed.extend(other.chunks());
    }
    let mut chunks = transaction.open_table(CHUNKS)?;
    for id in meta.before.iter().filter(|id| !needed.contains(id)) {
        chunks.remove(id.0)?;
    }
    Ok(())
}

fn sign(meta: &mut ListMeta, keys: &Keys, list: &ListId, now: Utc) -> Result<(), StoreError> {
    let manifest = Manifest {
        list: list.clone(),
        era: meta.era,
        version: meta.version,
        created: now.as_secs(),
        fresh_until: now.as_secs() + FRESH_S,
        pepper_id: meta.pepper_id,
        rows: meta.rows,
        digest: meta.digest,
        snapshot: meta.snapshot.clone(),
        deltas: meta.deltas.clone(),
    };
    let envelope = dsse::sign(
        keys.signing(),
        MANIFEST_TYPE,
        &serde_json::to_vec(&manifest)?,
    );
    meta.envelope =
        String::from_utf8(envelope).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(())
}

fn range(list: &ListId) -> std::ops::RangeInclusive<(&str, [u8; 16])> {
    (list.as_str(), [0; 16])..=(list.as_str(), [0xFF; 16])
}

struct ChunkWriter<'a> {
    transaction: &'a WriteTransaction,
    rows: Vec<Change>,
    ids: Vec<ChunkId>,
}

impl<'a> ChunkWriter<'a> {
    const fn new(transaction: &'a WriteTransaction) -> Self {
        Self {
            transaction,
            rows: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn push(&mut self, change: Change) -> Result<(), StoreError> {
        self.rows.push(change);
        if self.rows.len() == CHUNK_ROWS_MAX {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let packed =
            chunk::pack(&self.rows).map_err(|error| StoreError::Failed(error.to_string()))?;
        let id = chunk::name(&packed);
        self.transaction
            .open_table(CHUNKS)?
            .insert(id.0, packed.as_slice())?;
        self.ids.push(id);
        self.rows.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<ChunkId>, StoreError> {
        if !self.rows.is_empty() {
            self.write()?;
        }
        Ok(self.ids)
    }
}

/// The signed manifest of a list, the same bytes for everybody, and its (era, version).
///
/// # Errors
/// [`StoreError::NoList`].
pub fn manifest(store: &Store, list: &ListId) -> Result<(String, (u32, u64)), StoreError> {
    let meta = store.list(list)?;
    Ok((meta.envelope, (meta.era, meta.version)))
}
