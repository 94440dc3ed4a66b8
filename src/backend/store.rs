//! The store of the reference backend, on redb: every change is one transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::domain::{Digest, ListId, RowKey};
use crate::sync::chunk::ChunkId;
use crate::sync::hex::Hex;
use crate::sync::manifest::Delta;

/// List name -> [`ListMeta`] as JSON.
pub(super) const LISTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("lists");
/// (list, row key) -> value.
pub(super) const ROWS: TableDefinition<'_, (&str, [u8; 16]), [u8; 20]> =
    TableDefinition::new("rows");
/// (list, version, row key) -> wire row: what that version changed.
pub(super) const CHANGES: TableDefinition<'_, (&str, u64, [u8; 16]), [u8; 40]> =
    TableDefinition::new("changes");
/// SHA-256 -> compressed bytes.
pub(super) const CHUNKS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("chunks");
/// (gate, epoch, seq) -> (hash, record).
pub(super) const PASSAGES: TableDefinition<'_, (&str, [u8; 16], u64), ([u8; 32], &str)> =
    TableDefinition::new("passages");

/// Why the store does not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another backend runs on it.
    #[error("{path} is in use by another process")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// A key file that holds something else.
    #[error("{path} does not hold 64 hex digits")]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// The store broke, or the disk refused.
    #[error("the store failed: {0}")]
    Failed(String),
    /// No such list.
    #[error("there is no list {0}")]
    NoList(ListId),
}

macro_rules! failed_from {
    ($($error:ty),+) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Failed(error.to_string())
            }
        })+
    };
}
failed_from!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    serde_json::Error
);

pub(super) fn io_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io {
        path: path.into(),
        source,
    }
}

/// What is known of a list beside its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListMeta {
    /// Era.
    pub era: u32,
    /// Version within it.
    pub version: u64,
    /// Which pepper.
    pub pepper_id: u32,
    /// Rows.
    pub rows: u64,
    /// Digest over them.
    pub digest: Hex<32>,
    /// Chunks of the snapshot.
    pub snapshot: Vec<ChunkId>,
    /// Deltas from earlier versions.
    pub deltas: Vec<Delta>,
    /// Chunks of the version before, kept for gates that are still loading it.
    pub before: Vec<ChunkId>,
    /// The signed manifest.
    pub envelope: String,
}

impl ListMeta {
    /// A list without rows, before its first version.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            era: 1,
            version: 0,
            pepper_id: 1,
            rows: 0,
            digest: Hex([0; 32]),
            snapshot: Vec::new(),
            deltas: Vec::new(),
            before: Vec::new(),
            envelope: String::new(),
        }
    }

    /// The digest, to be kept up.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        Digest::from_bytes(self.digest.0)
    }

    /// Every chunk that must stay.
    #[must_use]
    pub fn chunks(&self) -> Vec<ChunkId> {
        let deltas = self.deltas.iter().flat_map(|delta| &delta.chunks);
        self.snapshot.iter().chain(deltas).copied().collect()
    }
}

/// The store. Clones are the same store; calls block for as long as the disk takes.
#[derive(Clone)]
pub struct Store {
    pub(super) db: Arc<Database>,
}

impl Store {
    /// Opens or makes the store in `data`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another process has it open.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(data).map_err(|source| io_error(data, source))?;
        let path = data.join("backend.redb");
        let db = Database::create(&path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
            other => StoreError::Failed(other.to_string()),
        })?;
        let transaction = db.begin_write()?;
        transaction.open_table(LISTS)?;
        transaction.open_table(ROWS)?;
        transaction.open_table(CHANGES)?;
        transaction.open_table(CHUNKS)?;
        transaction.open_table(PASSAGES)?;
        transaction.commit()?;
        Ok(Self { db: Arc::new(db) })
    }

    /// Names of the lists.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_names(&self) -> Result<Vec<ListId>, StoreError> {
        let transaction = self.db.begin_read()?;
        let mut names = Vec::new();
        for entry in transaction.open_table(LISTS)?.iter()? {
            names.extend(ListId::new(entry?.0.value()));
        }
        Ok(names)
    }

    /// What is known of a list.
    ///
    /// # Errors
    /// [`StoreError::NoList`] before its first import.
    pub fn list(&self, list: &ListId) -> Result<ListMeta, StoreError> {
        let transaction = self.db.begin_read()?;
        let lists = transaction.open_table(LISTS)?;
        let meta = lists
            .get(list.as_str())?
            .ok_or_else(|| StoreError::NoList(list.clone()))?;
        Ok(serde_json::from_slice(meta.value())?)
    }

    /// A chunk, compressed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn chunk(&self, id: &ChunkId) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.db.begin_read()?;
        Ok(transaction
            .open_table(CHUNKS)?
            .get(id.0)?
            .map(|bytes| bytes.value().to_vec()))
    }

    /// The value of one row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn row(&self, list: &ListId, key: &RowKey) -> Result<Option<[u8; 20]>, StoreError> {
        let transaction = self.db.begin_read()?;
        Ok(transaction
            .open_table(ROWS)?
            .get((list.as_str(), key.0))?
            .map(|value| value.value()))
    }
}
