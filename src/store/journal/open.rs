//! Finding, making, checking and opening the file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use redb::{Builder, Database, DatabaseError, ReadableTable, StorageBackend, StorageError};

use super::tables::{
    self, DOCUMENTS, FLOORS, Head, META, OPEN_GRANTS, PASSED, RECORDS, SEEN, STAFF_MODES, Stored,
    passback_key,
};
use super::{Epoch, Journal, JournalError, JournalStatus, Limits, Shared};
use crate::domain::{ReplayKey, Restored, Utc};
use crate::store::disk;

/// Memory for pages that were read or are being written.
const CACHE_BYTES: usize = 8 << 20;
const FILE: &str = "journal.redb";

type Reopen = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// Where the journal lives, and so how to open it again.
pub(super) enum Source {
    File { path: PathBuf, id: (u64, u64) },
    Backend(Reopen),
}

impl Source {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Backend(_) => Path::new("(backend)"),
        }
    }

    pub(super) fn open_again(&self) -> Result<Database, JournalError> {
        self.check_in_place()?;
        contained(|| {
            let opened = match self {
                Self::File { path, .. } => Builder::new().set_cache_size(CACHE_BYTES).open(path),
                Self::Backend(reopen) => reopen(),
            };
            opened.map_err(|error| JournalError::Failed(error.to_string()))
        })
    }

    /// A file that was deleted or replaced under us still takes records, but no restart would find them.
    pub(super) fn check_in_place(&self) -> Result<(), JournalError> {
        match self {
            Self::File { path, id } if file_id(path).ok() != Some(*id) => Err(
                JournalError::Failed("the file was deleted or replaced while in use".into()),
            ),
            Self::File { .. } | Self::Backend(_) => Ok(()),
        }
    }

    /// True if the file system is nearly full. One that cannot be asked is not taken for full.
    pub(super) fn is_disk_full(&self, free_min: u64) -> bool {
        match self {
            Self::File { path, .. } => disk::free_bytes(path).is_ok_and(|free| free < free_min),
            Self::Backend(_) => false,
        }
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

impl Journal {
    /// Opens the journal in `dir`, or makes it, and counts this start. Every page of the file is checked.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`]: the file is left as it is, and nothing is put in its place.
    pub fn open(dir: &Path, limits: Limits) -> Result<(Self, Restored), JournalError> {
        let path = dir.join(FILE);
        disk::make_dir(dir).map_err(|source| io_error(dir, source))?;
        if !path
            .try_exists()
            .map_err(|source| io_error(&path, source))?
        {
            make(dir, &path)?;
        }
        let journal = Self::attach(&path, limits)?;
        let restored = journal.start()?;
        Ok((journal, restored))
    }

    /// Opens the journal in `dir` to look at it: nothing is made, and no start is counted.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn inspect(dir: &Path, limits: Limits) -> Result<Self, JournalError> {
        Self::attach(&dir.join(FILE), limits)
    }

    /// Opens a journal on a storage of the caller's, for the simulator. `make` hands out the same storage each time.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_backend<B: StorageBackend>(
        make: impl Fn() -> B + Send + Sync + 'static,
        limits: Limits,
    ) -> Result<(Self, Restored), JournalError> {
        let reopen: Reopen = Box::new(move || {
            Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(make())
        });
        let source = Source::Backend(reopen);
        let db = source
            .open_again()
            .map_err(|error| corrupt(source.path(), error))?;
        if load_head(&db)?.is_none() {
            initialise(&db)?;
        }
        let journal = Self::of(source, db, limits)?;
        let restored = journal.start()?;
        Ok((journal, restored))
    }

    fn attach(path: &Path, limits: Limits) -> Result<Self, JournalError> {
        let id = file_id(path).map_err(|source| io_error(path, source))?;
        let db = open_checked(path)?;
        let source = Source::File {
            path: path.into(),
            id,
        };
        Self::of(source, db, limits)
    }

    fn of(source: Source, db: Database, limits: Limits) -> Result<Self, JournalError> {
        let head = contained(|| {
            let head = load_head(&db)?
                .ok_or_else(|| JournalError::Failed("it has no head: not a journal".into()))?;
            check(&db, &head)?;
            Ok(head)
        })
        .map_err(|error| corrupt(source.path(), error))?;
        let shared = Shared {
            source,
            limits,
            db: RwLock::new(Some(Arc::new(db))),
            head: Mutex::new(head),
            status: Mutex::new(JournalStatus::default()),
            unsynced: AtomicU64::new(0),
        };
        shared.publish(&head);
        Ok(Self(Arc::new(shared)))
    }

    /// Counts the start and gathers what the gate knew.
    fn start(&self) -> Result<Restored, JournalError> {
        self.write(|transaction, head| {
            head.boot = head.boot.saturating_add(1);
            let mut restored = Restored {
                boot: head.boot,
                fire_latched: head.fire_latched,
                clock_floor: head.clock_floor,
                ..Restored::default()
            };
            // Opening a table for writing makes it: from now on every table is there.
            transaction.open_table(RECORDS)?;
            transaction.open_table(FLOORS)?;
            transaction.open_table(DOCUMENTS)?;
            for row in transaction.open_table(STAFF_MODES)?.iter()? {
                let (lane, wanted) = row?;
                let wanted = tables::staff_mode(wanted.value());
                let lane = lane.value().to_owned();
                restored
                    .staff_modes
                    .extend(wanted.map(|wanted| (lane, wanted)));
            }
            for row in transaction.open_table(SEEN)?.iter()? {
                let (key, until) = row?;
                let until = Utc::from_millis(until.value());
                restored.seen.push((ReplayKey(*key.value()), until));
            }
            for row in transaction.open_table(PASSED)?.iter()? {
                let (key, value) = row?;
                let (way, at) = value.value();
                if let (Some(key), Some(way)) = (passback_key(key.value()), tables::direction(way))
                {
                    restored.passed.push((key, way, Utc::from_millis(at)));
                }
            }
            for row in transaction.open_table(OPEN_GRANTS)?.iter()? {
                let (grant, value) = row?;
                let grant = tables::open_grant(grant.value(), value.value());
                restored.open_grants.extend(grant);
            }
            Ok(restored)
        })
    }
}

/// Makes a new file under another name first: a power cut must not leave half a journal under its own name.
fn make(dir: &Path, path: &Path) -> Result<(), JournalError> {
    let draft = path.with_extension("new");
    let made = contained(|| {
        if draft.exists() {
            fs::remove_file(&draft).map_err(|source| io_error(&draft, source))?;
        }
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(&draft)
            .map_err(|error| opening(&draft, error))?;
        initialise(&db)?;
        db.close().map_err(|error| opening(&draft, error))
    });
    made?;
    fs::rename(&draft, path)
        .and_then(|()| disk::sync_dir(dir))
        .map_err(|source| io_error(path, source))
}

fn initialise(db: &Database) -> Result<(), JournalError> {
    let transaction = db.begin_write()?;
    transaction.open_table(RECORDS)?;
    Head::new(random_epoch()?).save(&transaction)?;
    Ok(transaction.commit()?)
}

/// Writes the head as it is: a commit, and so a sync of everything before it.
pub(super) fn save_head(db: &Database, head: &Head) -> Result<(), JournalError> {
    contained(|| {
        let transaction = db.begin_write()?;
        head.save(&transaction)?;
        Ok(transaction.commit()?)
    })
}

pub(super) fn random_epoch() -> Result<Epoch, JournalError> {
    let mut epoch = Epoch::default();
    getrandom::fill(&mut epoch.0)
        .map_err(|error| JournalError::Failed(format!("no random bits: {error}")))?;
    Ok(epoch)
}

fn open_checked(path: &Path) -> Result<Database, JournalError> {
    let opened = contained(|| {
        Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .open(path)
            .map_err(|error| opening(path, error))
    });
    opened.map_err(|error| corrupt(path, error))
}

pub(super) fn load_head(db: &Database) -> Result<Option<Head>, JournalError> {
    use redb::ReadableDatabase as _;
    contained(|| match db.begin_read()?.open_table(META) {
        Ok(meta) => Head::load(&meta),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    })
}

/// The head and the records must agree on where the journal begins and ends.
fn check(db: &Database, head: &Head) -> Result<(), JournalError> {
    use redb::ReadableDatabase as _;
    let records = db.begin_read()?.open_table(RECORDS)?;
    let first = records.first()?.map(|(seq, _)| seq.value());
    let last = records.last()?;
    let agreed = match (first, last) {
        (None, None) => head.next_seq == head.gone_seq.saturating_add(1),
        (Some(first), Some((seq, stored))) => {
            first == head.gone_seq.saturating_add(1)
                && seq.value().saturating_add(1) == head.next_seq
                && *Stored::decode(stored.value())?.hash == head.last_hash
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    if agreed {
        Ok(())
    } else {
        Err(JournalError::Failed(
            "its head does not fit its records".into(),
        ))
    }
}

/// What an error at opening means. Only what speaks against the content is corruption.
fn opening(path: &Path, error: DatabaseError) -> JournalError {
    let speaks_of_content = |kind| {
        matches!(
            kind,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        )
    };
    if matches!(
        error,
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch
    ) {
        return JournalError::InUse { path: path.into() };
    }
    if let DatabaseError::Storage(StorageError::Io(source)) = error {
        if !speaks_of_content(source.kind()) {
            return io_error(path, source);
        }
        return corrupt(path, JournalError::Failed(source.to_string()));
    }
    corrupt(path, JournalError::Failed(error.to_string()))
}

fn corrupt(path: &Path, error: JournalError) -> JournalError {
    if let JournalError::Failed(what) = error {
        let path = path.into();
        JournalError::Corrupt { path, what }
    } else {
        error
    }
}

fn io_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io {
        path: path.into(),
        source,
    }
}

/// A panic inside the store is a fault of the store, not the end of the gate.
pub(super) fn contained<T>(
    work: impl FnOnce() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let what = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied());
        Err(JournalError::Failed(format!(
            "panic: {}",
            what.unwrap_or("without a message")
        )))
    })
}
