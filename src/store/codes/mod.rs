//! The codes cache: a copy of the lists that this gate follows. It may be lost at any time; it is synced again.
//!
//! A list lives in *generations*. A load builds a new one beside the live one and swaps by an atomic pointer file;
//! a delta changes the live one. Nothing that happens inside sled reaches the caller as a panic: the generation is
//! dropped instead, look-ups answer [`CodesError::Unavailable`], and [`Codes::needs_load`] asks for a fresh copy.
//!
//! **Ageing.** Changes scatter a generation over its file: look-ups need more reads, and sled more memory. After 400,000
//! changes since it was loaded, or when its rows have grown to eight times what its pages were laid out for, the
//! next delta is followed by a rebuild ([`Codes::tidy`]): the rows are copied into a new generation beside the live one,
//! without the backend, and swapped as after a load. It is counted by changes and not by the clock, because a rebuild
//! of ten million rows writes more than a gigabyte to the card.
//!
//! ```text
//! <root>/lock                     held while a process uses the cache
//! <root>/<list>/live              name of the live generation
//! <root>/<list>/g0000000000000007 a sled directory: pages of rows, and one mark that says which version they are
//! ```

mod cache;
mod contain;
mod generation;
mod load;
mod mark;
mod memory;
mod page;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use crate::domain::standing::{ROW_VALUE_LEN, RowError};
use crate::domain::{Digest, ListId, Row, RowKey, Utc};

pub use cache::{SledCodes, Verify};
pub use memory::MemoryCodes;

/// Most changes in one delta. A longer one costs more than a snapshot.
pub const CHANGES_MAX: usize = 1_000_000;

/// What a generation holds, as its signed manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListState {
    /// Era; a new one is a signed recovery.
    pub era: u32,
    /// Version within the era.
    pub version: u64,
    /// When the backend made it; staleness counts from here.
    pub created: Utc,
    /// Until when the backend calls it fresh.
    pub fresh_until: Utc,
    /// Which pepper the row keys are made with.
    pub pepper_id: u32,
    /// How many rows.
    pub rows: u64,
    /// Digest over the rows.
    pub digest: Digest,
}

impl ListState {
    /// What is newer compares greater. The same version may be signed again, hence `created`.
    #[must_use]
    pub const fn order(&self) -> (u32, u64, Utc) {
        (self.era, self.version, self.created)
    }
}

/// One change of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The row is new or has a new value.
    Put(RowKey, [u8; ROW_VALUE_LEN]),
    /// The row is gone. Removing what is not there changes nothing.
    Remove(RowKey),
}

impl Change {
    /// Which row.
    #[must_use]
    pub const fn key(&self) -> &RowKey {
        match self {
            Self::Put(key, _) | Self::Remove(key) => key,
        }
    }
}

/// Why the cache could not do it. [`CodesError::wants_load`] says whether a snapshot is the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodesError {
    /// There is no usable generation: never loaded, or dropped after a fault. Nothing is known about anybody.
    #[error("the list has no usable copy")]
    Unavailable,
    /// Rows or digest are not what the manifest says. The live generation is untouched.
    #[error("{rows} rows, or their digest, are not what the manifest says ({expected} rows)")]
    Mismatch {
        /// Rows announced.
        expected: u64,
        /// Rows found.
        rows: u64,
    },
    /// Row keys must ascend strictly.
    #[error("rows are not in ascending order")]
    NotAscending,
    /// A row that this version cannot read: the list is refused whole.
    #[error("the list holds a row that cannot be read")]
    UnreadableRow(#[from] RowError),
    /// The delta leads to a version below the live one.
    #[error("the delta leads back to an older version")]
    Older,
    /// More changes than [`CHANGES_MAX`].
    #[error("{0} changes are too many for one delta")]
    TooManyChanges(usize),
    /// A load of this list is under way.
    #[error("a load of this list is under way")]
    Busy,
    /// Not enough room on the disk; nothing was touched.
    #[error("{needed} bytes needed on the disk, {free} free")]
    NoSpace {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// Another process uses this cache.
    #[error("{path} is in use by another process")]
    InUse {
        /// The cache.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store failed or panicked. What it was working on is dropped.
    #[error("the codes store failed: {0}")]
    Broken(String),
}

impl CodesError {
    /// True if a fresh snapshot cures it.
    #[must_use]
    pub const fn wants_load(&self) -> bool {
        match self {
            Self::Unavailable
            | Self::Mismatch { .. }
            | Self::NotAscending
            | Self::TooManyChanges(_)
            | Self::Broken(_) => true,
            Self::UnreadableRow(_)
            | Self::Older
            | Self::Busy
            | Self::NoSpace { .. }
            | Self::InUse { .. }
            | Self::Io { .. } => false,
        }
    }
}

/// The lists as a gate asks them. All calls block: a look-up for microseconds, the others for as long as the disk
/// takes. Different lists do not wait for each other.
pub trait Codes: Send + Sync {
    /// What the list says of a row key. `Ok(None)`: the list is there and does not know it.
    ///
    /// # Errors
    /// [`CodesError::Unavailable`] if there is no usable copy; never to be taken for "unknown".
    fn look_up(&self, list: &ListId, key: &RowKey) -> Result<Option<Row>, CodesError>;

    /// What the live generation holds; `None` without one.
    fn state(&self, list: &ListId) -> Option<ListState>;

    /// True if a snapshot should be taken: there is no live generation, or its files are gone from the disk and it
    /// answers from open files only.
    fn needs_load(&self, list: &ListId) -> bool {
        self.state(list).is_none()
    }

    /// Starts a new generation beside the live one. `rows` is the number the manifest announces.
    ///
    /// # Errors
    /// [`CodesError::Busy`], [`CodesError::NoSpace`], or a fault of the disk.
    fn begin(&self, list: &ListId, rows: u64) -> Result<Box<dyn Load>, CodesError>;

    /// Applies a delta to the live generation: changes in strictly ascending order of their keys, and the state
    /// they lead to. Durable when it returns. Without changes it takes over a manifest that was signed again.
    ///
    /// # Errors
    /// [`CodesError::Mismatch`] before anything is written; [`CodesError::Broken`] if the generation was dropped.
    fn apply(&self, list: &ListId, changes: &[Change], next: &ListState) -> Result<(), CodesError>;

    /// Rebuilds the live generation if many deltas have made it slow. True if it did.
    ///
    /// # Errors
    /// As [`Codes::begin`] and [`Load::commit`]; the live generation stays.
    fn tidy(&self, _list: &ListId) -> Result<bool, CodesError> {
        Ok(false)
    }

    /// Bytes on the disk.
    fn disk_bytes(&self) -> u64;
}

/// A generation being built. Dropped without a commit it leaves nothing behind.
pub trait Load: Send + Sync {
    /// Adds a row. Keys ascend strictly.
    ///
    /// # Errors
    /// After any error the load is of no use any more.
    fn push(&mut self, key: RowKey, value: &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError>;

    /// Compares row count and digest with `state`, makes the generation durable and swaps it in.
    ///
    /// # Errors
    /// [`CodesError::Mismatch`]; whatever the error, the live generation stays.
    fn commit(self: Box<Self>, state: &ListState) -> Result<(), CodesError>;
}
