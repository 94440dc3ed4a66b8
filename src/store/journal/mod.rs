//! The journal of passages and the state that must survive a restart, in one redb file.
//!
//! A record is kept as the JSON text that is sent, under a sequence number that is never used twice. Records form a
//! chain: `hash(n) = SHA-256(hash(n - 1), text(n))`, starting from 32 zero bytes. State changes lie in the same
//! transaction as their record. What the backend has acknowledged is kept for as long as [`Limits::keep`] says and room
//! lasts, then deleted; nothing else ever is.
//!
//! **Durable** is what [`Journal::append`] and the calls that change state have answered for. An acknowledgement is not
//! synced by itself: it becomes durable with the next record. After a power cut the backend may get a record again, and
//! knows it.
//!
//! **Size.** The file itself never shrinks (redb uses freed pages again), so the limit counts what is *in* it: records
//! not yet acknowledged and state, each with its share of the tree. Acknowledged records make room for others. Entries that somebody waits for are refused
//! at 15/16 of the limit, all others at the limit, so that the end of a passage still finds room. The journal is
//! also full while the file system has less than [`Limits::free_min`] left: it is refused before the disk is in
//! trouble, and an acknowledgement still has room to work in.
//!
//! **Epoch.** A new file has a new epoch. [`Journal::new_epoch`] gives the records that wait a new one too; they keep
//! their sequence numbers and their chain, so such an epoch starts above 1. Acknowledged ones that are still here belong
//! to the epoch before.
//!
//! After a fault of the disk the file is opened again by the next call.

mod acknowledge;
mod append;
mod open;
mod read;
pub mod scribe;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redb::{Database, Durability, WriteTransaction};

use crate::domain::Utc;
use open::Source;
use tables::Head;

pub use read::Verified;
pub use writer::{Clock, QUEUE_MAX, Writer, WriterStatus, Written, spawn_writer};

/// Longest record, as text.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// 128 random bits: one life of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub [u8; 16]);

impl fmt::Display for Epoch {
    /// 32 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How large a journal may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records and state, in bytes.
    pub bytes_max: u64,
    /// What must stay free on the file system, in bytes.
    pub free_min: u64,
    /// For how long an acknowledged record is kept, by its date and while there is room.
    pub keep: Duration,
}

impl Limits {
    /// At most `mib` MiB, with 16 MiB left free on the disk, and nothing kept that is acknowledged.
    #[must_use]
    pub const fn of_mib(mib: u64) -> Self {
        Self {
            bytes_max: mib.saturating_mul(1 << 20),
            free_min: 16 << 20,
            keep: Duration::ZERO,
        }
    }

    /// The same, but acknowledged records are kept for so long.
    #[must_use]
    pub const fn keeping(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// From here on entries that somebody waits for are refused.
    const fn grants_max(&self) -> u64 {
        self.bytes_max - self.bytes_max / 16
    }
}

/// How the journal stands. Reading it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Which life of the journal.
    pub epoch: Epoch,
    /// The first record of this epoch has this number, or will have it.
    pub epoch_first: u64,
    /// The first record that is still here has this number, or will have it: acknowledged ones may be kept.
    pub kept_seq: u64,
    /// The first record that is not acknowledged has this number, or will have it.
    pub first_seq: u64,
    /// The next record gets this number.
    pub next_seq: u64,
    /// Everything up to here is acknowledged; 0 if nothing is.
    pub acked_seq: u64,
    /// How many records wait for the backend.
    pub backlog: u64,
    /// Bytes in use, without acknowledged records.
    pub bytes: u64,
    /// Bytes of acknowledged records that are kept while there is room.
    pub kept_bytes: u64,
    /// Bytes allowed.
    pub bytes_max: u64,
    /// Date of the oldest waiting record; `None` without one, or if its clock was not trusted.
    pub oldest_utc: Option<Utc>,
    /// Date of the newest record of all; `None` if its clock was not trusted.
    pub newest_utc: Option<Utc>,
}

impl JournalStatus {
    /// True past 80 % of the size: an alarm.
    #[must_use]
    pub const fn is_nearly_full(&self) -> bool {
        self.bytes >= self.bytes_max / 5 * 4
    }
}

/// A record as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub seq: u64,
    /// Its link of the chain.
    pub hash: [u8; 32],
    /// JSON.
    pub record: String,
}

/// What the caller can do about a journal that does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The directory or the file cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a journal, or is damaged. It is left as it is: somebody may want to save what is in it.
    #[error("{path} is not a sound journal: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// At its configured size, or the disk is nearly full. Nothing was written and nothing old is dropped.
    #[error("the journal is full: {bytes} of {bytes_max} bytes")]
    Full {
        /// Bytes in use.
        bytes: u64,
        /// Bytes allowed.
        bytes_max: u64,
    },
    /// One record is longer than [`RECORD_BYTES_MAX`], or is no JSON.
    #[error("a record cannot be written: {0}")]
    Unwritable(String),
    /// An acknowledgement of what was never appended.
    #[error("record {acked} is acknowledged, the last one is {last}")]
    AckPastEnd {
        /// What was acknowledged.
        acked: u64,
        /// What there is.
        last: u64,
    },
    /// The disk refused, or the store broke. The next call opens the file again.
    #[error("the journal failed: {0}")]
    Failed(String),
    /// The disk failed in the middle of a commit: what was written may be there or not. [`Journal::settle`] says which.
    #[error("the journal failed in the middle of a commit: {what}")]
    InDoubt {
        /// What the disk said.
        what: String,
        /// The next record would have had this number.
        next_seq: u64,
    },
}

macro_rules! failed_from {
    ($($error:ty),+) => {
        $(impl From<$error> for JournalError {
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
    redb::CommitError
);

/// The journal. Clones are the same journal; calls block for as long as the disk takes.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    source: Source,
    limits: Limits,
    /// `None` after a fault, until somebody opens it again.
    db: RwLock<Option<Arc<Database>>>,
    /// The head as it is on the disk; whoever writes holds it.
    head: Mutex<Head>,
    /// A copy that nobody holds for long.
    status: Mutex<JournalStatus>,
    /// Records acknowledged since the last transaction that was synced.
    unsynced: AtomicU64,
}

impl Journal {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file again after an [`JournalError::InDoubt`] that named `next_seq`: true if what was written then is
    /// there, and durable. For the one who appends, before anything else is appended.
    ///
    /// # Errors
    /// [`JournalError::Failed`] while the disk refuses.
    pub fn settle(&self, next_seq: u64) -> Result<bool, JournalError> {
        let mut head = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.database(&mut head)?;
        Ok(head.next_seq >= next_seq)
    }

    /// Runs one durable transaction. On any error but [`JournalError::InDoubt`] nothing of it has happened.
    fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction, &mut Head) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.write_with(Durability::Immediate, work)
    }

    /// Runs one transaction. One without durability is in force at once, and durable with the next that has it.
    fn write_with<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction, &mut Head) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut head = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        let db = self.0.database(&mut head)?;
        let mut next = *head;
        let mut committing = false;
        let mut done = open::contained(|| {
            let mut transaction = db.begin_write()?;
            transaction
                .set_durability(durability)
                .map_err(|error| JournalError::Failed(error.to_string()))?;
            let value = work(&transaction, &mut next)?;
            next.save(&transaction)?;
            committing = true;
            transaction.commit()?;
            Ok(value)
        });
        if let (Err(JournalError::Failed(what)), true) = (&mut done, committing) {
            let (what, next_seq) = (std::mem::take(what), next.next_seq);
            done = Err(JournalError::InDoubt { what, next_seq });
        }
        match &done {
            Ok(_) => {
                *head = next;
                self.0.publish(&head);
                if matches!(durability, Durability::Immediate) {
                    self.0.unsynced.store(0, Ordering::Relaxed);
                }
            }
            Err(JournalError::Failed(_) | JournalError::InDoubt { .. }) => self.0.close_failed(db),
            Err(_) => {}
        }
        done
    }

    /// Runs a reading transaction.
    fn read_with<T>(
        &self,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let open = self.0.open_database();
        let db = match open {
            Some(db) => db,
            None => {
                let mut head = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
                self.0.database(&mut head)?
            }
        };
        let done = open::contained(|| {
            use redb::ReadableDatabase as _;
            work(&db.begin_read()?)
        });
        if let Err(JournalError::Failed(_)) = &done {
            self.0.close_failed(db);
        }
        done
    }
}

impl Shared {
    fn open_database(&self) -> Option<Arc<Database>> {
        self.db
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The open file; after a fault it is opened again, and the head is what the disk says.
    fn database(&self, head: &mut Head) -> Result<Arc<Database>, JournalError> {
        if let Some(db) = self.open_database() {
            return Ok(db);
        }
        let db = self.source.open_again()?;
        *head = open::load_head(&db)?
            .ok_or_else(|| JournalError::Failed("the journal lost its head".into()))?;
        // What is found was perhaps never synced. It is made durable before anybody builds on it, or delivers it.
        open::save_head(&db, head)?;
        let db = Arc::new(db);
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&db));
        self.publish(head);
        Ok(db)
    }

    /// redb answers nothing more after a fault of the disk: let go of it.
    fn close_failed(&self, failed: Arc<Database>) {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let open = if db.as_ref().is_some_and(|open| Arc::ptr_eq(open, &failed)) {
            db.take()
        } else {
            None
        };
        drop(db);
        let closed = open::contained(|| {
            drop((open, failed));
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the journal did not close cleanly");
        }
    }

    fn publish(&self, head: &Head) {
        let status = JournalStatus {
            epoch: head.epoch,
            epoch_first: head.epoch_first,
            kept_seq: head.gone_seq.saturating_add(1),
            first_seq: head.acked_seq.saturating_add(1),
            next_seq: head.next_seq,
            acked_seq: head.acked_seq,
            backlog: head
                .next_seq
                .saturating_sub(head.acked_seq)
                .saturating_sub(1),
            bytes: head.bytes(),
            kept_bytes: head.kept_bytes,
            bytes_max: self.limits.bytes_max,
            oldest_utc: head.oldest_utc,
            newest_utc: head.newest_utc,
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}
