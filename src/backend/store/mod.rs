//! What a backend keeps, in three redb files: lists are written for a minute at a time, passages must not wait, and a
//! passenger waits for a claim.

mod build;
pub(super) mod claims;
pub(super) mod intake;
pub(super) mod lists;
pub(super) mod passages;
pub(super) mod search;

use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("{path} is in use: a backend is running on this directory")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot use {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DatabaseError,
    },
    /// A row that no gate could read; nothing was taken over.
    #[error("row {row} of the import is refused: {why}")]
    BadRow {
        /// Counted from 1.
        row: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The row keys were made with another pepper; nothing was taken over.
    #[error("the rows are made with pepper {theirs:08x}, the list has {ours:08x}")]
    OtherPepper {
        /// The pepper of the rows.
        theirs: u32,
        /// The pepper of the list.
        ours: u32,
    },
    /// The same gate, epoch and sequence number with other content, or a chain that does not go on.
    #[error("record {seq} is here already and is another one")]
    Conflict {
        /// Its number.
        seq: u64,
    },
    /// More rows than a list can have.
    #[error("a list has at most {max} rows")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The disk refused, or the store broke. Nothing of the call has happened.
    #[error("the store failed: {0}")]
    Failed(String),
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
    serde_json::Error,
    std::io::Error,
    crate::sync::chunk::ChunkError
);

fn open(dir: &Path, file: &str) -> Result<Database, StoreError> {
    let path = dir.join(file);
    Builder::new()
        .set_cache_size(64 << 20)
        .create(&path)
        .map_err(|source| {
            if matches!(source, DatabaseError::DatabaseAlreadyOpen) {
                StoreError::InUse { path }
            } else {
                StoreError::Open { path, source }
            }
        })
}
