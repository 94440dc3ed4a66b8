//! Lists: their rows, and for the newest version its chunks and its signed manifest.
//!
//! The snapshot is cut into pieces by key. A change makes only those pieces anew that it falls into, so a small change
//! of a large list is a small piece of work. The last [`STEPS_MAX`] steps are kept, and for each of them the changes
//! that lead from there to the newest version.

use std::collections::BTreeSet;
use std::path::Path;

use ed25519_dalek::SigningKey;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::build::{self, Piece};
use super::{StoreError, open};
use crate::domain::{Digest, ListId, Row, RowKey, Utc};
use crate::sync::manifest::{ChunkId, Delta, Manifest, PAYLOAD_TYPE};
use crate::sync::spool::Spool;
use crate::sync::{dsse, hex};

pub(super) type RowId<'a> = (&'a str, &'a [u8; 16]);

pub(super) const ROWS: TableDefinition<RowId<'_>, &[u8; 20]> = TableDefinition::new("rows");
/// The changes that led to a version, 40 bytes each.
pub(super) const STEPS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("steps");
pub(super) const CHUNKS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("chunks");
/// Chunks that no manifest names any more, by the second that happened.
const DROPPED: TableDefinition<(u64, &[u8; 32]), ()> = TableDefinition::new("dropped");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("lists");

/// From how many earlier versions a delta is offered.
pub(super) const STEPS_MAX: u64 = 16;
/// Most rows of a list.
pub const ROWS_MAX: usize = 20_000_000;
/// A gate that is loading an older version has this long to fetch its chunks.
const CHUNK_GRACE_S: u64 = 600;
/// A manifest is signed again when it is this old, so that a quiet list does not look stale.
const RESIGN_S: u64 = 3_600;
/// For how long a manifest calls its list fresh.
const FRESH_S: u64 = 86_400;

/// What becomes of the rows that are not in an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They go: the import is the whole list.
    Replace,
    /// They stay: the import is what changes.
    Patch,
}

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Era of the list now.
    pub era: u32,
    /// Its version now.
    pub version: u64,
    /// Its rows now.
    pub rows: u64,
    /// False if it held exactly this already; then its version stays.
    pub changed: bool,
}

/// One import.
pub(in crate::backend) struct Import {
    pub(in crate::backend) list: ListId,
    pub(in crate::backend) mode: Mode,
    pub(in crate::backend) new_era: bool,
    pub(in crate::backend) pepper_id: u32,
    /// In order, and checked.
    pub(in crate::backend) rows: Spool,
}

/// A list at its newest version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::backend) struct Meta {
    pub(in crate::backend) era: u32,
    pub(in crate::backend) version: u64,
    pub(in crate::backend) rows: u64,
    pub(in crate::backend) pepper_id: u32,
    digest: String,
    created_s: u64,
    pieces: Vec<Piece>,
    deltas: Vec<Delta>,
    /// The signed manifest, the same bytes for every gate.
    pub(in crate::backend) envelope: String,
}

impl Meta {
    const fn new(pepper_id: u32) -> Self {
        Self {
            era: 1,
            version: 0,
            rows: 0,
            pepper_id,
            digest: String::new(),
            created_s: 0,
            pieces: Vec::new(),
            deltas: Vec::new(),
            envelope: String::new(),
        }
    }

    fn digest(&self) -> Digest {
        Digest::from_bytes(hex::decode(&self.digest).unwrap_or_default())
    }

    fn sign(&mut self, list: &ListId, now: Utc, key: &SigningKey) -> Result<(), StoreError> {
        // A clock that steps back must not make a newer manifest look older.
        self.created_s = self.created_s.max(now.as_secs());
        let manifest = Manifest {
            list: list.clone(),
            era: self.era,
            version: self.version,
            created: Utc::from_secs(self.created_s),
            fresh_until: Utc::from_secs(self.created_s.saturating_add(FRESH_S)),
            pepper_id: self.pepper_id,
            rows: self.rows,
            digest: self.digest(),
            snapshot: self.pieces.iter().map(|piece| piece.id).collect(),
            deltas: self.deltas.clone(),
        };
        self.envelope = dsse::sign(PAYLOAD_TYPE, &serde_json::to_vec(&manifest)?, key);
        Ok(())
    }

    fn chunks(&self) -> BTreeSet<ChunkId> {
        let of_deltas = self
            .deltas
            .iter()
            .flat_map(|delta| delta.chunks.iter().copied());
        self.pieces
            .iter()
            .map(|piece| piece.id)
            .chain(of_deltas)
            .collect()
    }
}

/// The lists of a backend.
pub(in crate::backend) struct Lists {
    db: Database,
    key: SigningKey,
}

impl Lists {
    pub(in crate::backend) fn open(dir: &Path, key: SigningKey) -> Result<Self, StoreError> {
        let db = open(dir, "lists.redb")?;
        let transaction = db.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.open_table(STEPS)?;
        transaction.open_table(CHUNKS)?;
        transaction.open_table(DROPPED)?;
        transaction.open_table(META)?;
        transaction.commit()?;
        Ok(Self { db, key })
    }

    /// Every list, at its newest version.
    pub(in crate::backend) fn all(&self) -> Result<Vec<(ListId, Meta)>, StoreError> {
        let metas = self.db.begin_read()?.open_table(META)?;
        let mut found = Vec::new();
        for row in metas.iter()? {
            let (name, meta) = row?;
            let list = ListId::new(name.value()).map_err(|e| StoreError::Failed(e.to_string()))?;
            found.push((list, serde_json::from_slice(meta.value())?));
        }
        Ok(found)
    }

    /// A chunk, as sent.
    pub(in crate::backend) fn chunk(&self, id: &ChunkId) -> Result<Option<Vec<u8>>, StoreError> {
        let chunks = self.db.begin_read()?.open_table(CHUNKS)?;
        Ok(chunks.get(&id.0)?.map(|chunk| chunk.value().to_vec()))
    }

    /// The row of a key.
    pub(in crate::backend) fn row(
        &self,
        list: &ListId,
        key: &RowKey,
    ) -> Result<Option<Row>, StoreError> {
        let rows = self.db.begin_read()?.open_table(ROWS)?;
        let Some(value) = rows.get((list.as_str(), &key.0))? else {
            return Ok(None);
        };
        Row::decode(value.value())
            .map(Some)
            .map_err(|e| StoreError::Failed(e.to_string()))
    }

    /// Takes rows over, whole or not at all, and signs the new version.
    pub(in crate::backend) fn import(
        &self,
        import: Import,
        now: Utc,
    ) -> Result<(Imported, Option<Meta>), StoreError> {
        let list = &import.list;
        let transaction = self.db.begin_write()?;
        let known = load_meta(&transaction, list)?;
        let before = known.clone().unwrap_or_else(|| Meta::new(import.pepper_id));
        if before.pepper_id != import.pepper_id && import.mode == Mode::Patch {
            let (theirs, ours) = (import.pepper_id, before.pepper_id);
            return Err(StoreError::OtherPepper { theirs, ours });
        }
        let mut meta = before.clone();
        meta.pepper_id = import.pepper_id;
        let mut tally = build::Tally {
            rows: meta.rows,
            digest: meta.digest(),
        };
        let step = build::apply(&transaction, list, import.rows, import.mode, &mut tally)?;
        let rekeyed = meta.pepper_id != before.pepper_id;
        if known.is_some() && !import.new_era && !rekeyed && step.as_deref() == Some(&[]) {
            let (era, version, rows) = (meta.era, meta.version, meta.rows);
            transaction.abort()?;
            return Ok((
                Imported {
                    era,
                    version,
                    rows,
                    changed: false,
                },
                None,
            ));
        }
        meta.version = meta.version.saturating_add(1);
        (meta.rows, meta.digest) = (tally.rows, hex::encode(tally.digest.as_bytes()));
        let mut step = step;
        if import.new_era {
            meta.era = meta.era.saturating_add(1);
            step = None;
        }
        meta.pieces = build::pieces(
            &transaction,
            list,
            &before.pieces,
            meta.rows,
            step.as_deref(),
        )?;
        let step = step.filter(|_| known.is_some() && !rekeyed);
        meta.deltas = build::deltas(&transaction, list, meta.version, meta.rows, step.as_deref())?;
        meta.sign(list, now, &self.key)?;
        save_meta(&transaction, list, &meta)?;
        drop_chunks(&transaction, &before, &meta, now)?;
        transaction.commit()?;
        let (era, version, rows) = (meta.era, meta.version, meta.rows);
        Ok((
            Imported {
                era,
                version,
                rows,
                changed: true,
            },
            Some(meta),
        ))
    }

    /// Signs again what has become old; those lists.
    pub(in crate::backend) fn resign(&self, now: Utc) -> Result<Vec<(ListId, Meta)>, StoreError> {
        let old = |meta: &Meta| meta.created_s.saturating_add(RESIGN_S) <= now.as_secs();
        if !self.all()?.iter().any(|(_, meta)| old(meta)) {
            return Ok(Vec::new());
        }
        let transaction = self.db.begin_write()?;
        let mut signed = Vec::new();
        for (list, mut meta) in load_all(&transaction)? {
            if old(&meta) {
                meta.sign(&list, now, &self.key)?;
                save_meta(&transaction, &list, &meta)?;
                signed.push((list, meta));
            }
        }
        transaction.commit()?;
        Ok(signed)
    }
}

fn load_meta(transaction: &WriteTransaction, list: &ListId) -> Result<Option<Meta>, StoreError> {
    let metas = transaction.open_table(META)?;
    let meta = metas.get(list.as_str())?;
    Ok(meta
        .map(|meta| serde_json::from_slice(meta.value()))
        .transpose()?)
}

fn load_all(transaction: &WriteTransaction) -> Result<Vec<(ListId, Meta)>, StoreError> {
    let metas = transaction.open_table(META)?;
    let mut found = Vec::new();
    for row in metas.iter()? {
        let (name, meta) = row?;
        let list = ListId::new(name.value()).map_err(|e| StoreError::Failed(e.to_string()))?;
        found.push((list, serde_json::from_slice(meta.value())?));
    }
    Ok(found)
}

fn save_meta(transaction: &WriteTransaction, list: &ListId, meta: &Meta) -> Result<(), StoreError> {
    let mut metas = transaction.open_table(META)?;
    metas.insert(list.as_str(), serde_json::to_vec(meta)?.as_slice())?;
    Ok(())
}

/// Marks the chunks that are not named any more, and deletes those that were marked long enough ago.
fn drop_chunks(
    transaction: &WriteTransaction,
    before: &Meta,
    after: &Meta,
    now: Utc,
) -> Result<(), StoreError> {
    let mut dropped = transaction.open_table(DROPPED)?;
    for id in before.chunks().difference(&after.chunks()) {
        dropped.insert((now.as_secs(), &id.0), ())?;
    }
    let limit = now.as_secs().saturating_sub(CHUNK_GRACE_S);
    let mut old = Vec::new();
    for row in dropped.range(..(limit, &[0; 32]))? {
        let (mark, _) = row?;
        let (at, id) = mark.value();
        old.push((at, *id));
    }
    if old.is_empty() {
        return Ok(());
    }
    let named: BTreeSet<ChunkId> = load_all(transaction)?
        .iter()
        .flat_map(|(_, meta)| meta.chunks())
        .collect();
    let mut chunks = transaction.open_table(CHUNKS)?;
    for (at, id) in old {
        dropped.remove((at, &id))?;
        if !named.contains(&ChunkId(id)) {
            chunks.remove(&id)?;
        }
    }
    Ok(())
}
