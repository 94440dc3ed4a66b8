//! One generation: a sled directory, used so that neither its panics nor its torn files reach anybody.
//!
//! What sled 0.34 does not do for itself is done here (STORAGE "Durability"): `sync_data` on `db` after each flush,
//! a sync of `conf`, the directory and its parent on creation, removal of a torn `snap.*.generating` before opening.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use super::contain::{close, contained, open_patiently, remove, remove_torn_snapshots};
use super::mark::{MARK_KEY, Mark};
use super::page::{Layout, PageKey, Tally};
use super::{CHANGES_MAX, Change, CodesError, ListState};
use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{Row, RowKey};
use crate::store::disk;

/// Memory that sled may use for pages it has read. Look-ups go all over the list, so more would not answer them: 16 MiB made
/// none quicker.
const CACHE_BYTES: u64 = 4 << 20;
/// Changes in one batch. sled keeps look-ups out while it applies one, so it is well below the 1000 that are safe:
/// during a delta the slowest look-ups took 1.7 ms instead of 15 ms.
const BATCH_CHANGES: usize = 200;
/// What must stay free on the disk beside what a load or a delta needs.
const FREE_MIN: u64 = 32 << 20;
/// What one row takes on the disk, measured (STORAGE), rounded up.
const ROW_BYTES: u64 = 80;
/// What one change of a delta writes, measured.
const CHANGE_BYTES: u64 = 1024;

pub(super) struct Generation {
    /// Taken when the generation is dropped, so that a panic in sled's own drop is contained as well.
    db: Option<sled::Db>,
    /// Our own descriptor of `db`, for `sync_data`.
    data: File,
    dir: PathBuf,
    layout: Layout,
    mark: RwLock<Option<Mark>>,
    /// Its files go when the last user lets go of it.
    doomed: AtomicBool,
    /// A delta broke off inside it.
    torn: AtomicBool,
}

impl Generation {
    /// Makes an empty one for about `rows` rows.
    pub(super) fn create(dir: &Path, rows: u64) -> Result<Self, CodesError> {
        let parent = dir.parent().unwrap_or(Path::new("."));
        check_space(parent, rows.saturating_mul(ROW_BYTES))?;
        let made = Self::start(dir, Layout::for_rows(rows)).and_then(|generation| {
            let synced = File::open(dir.join("conf"))
                .and_then(|conf| conf.sync_all())
                .and_then(|()| generation.data.sync_all())
                .and_then(|()| disk::sync_dir(dir))
                .and_then(|()| disk::sync_dir(parent));
            synced.map_err(|source| io_error(dir, source))?;
            Ok(generation)
        });
        if made.is_err() {
            remove(dir);
        }
        made
    }

    /// Opens one that was committed. Everything but a whole mark is an error.
    pub(super) fn open(dir: &Path) -> Result<Self, CodesError> {
        remove_torn_snapshots(dir).map_err(|source| io_error(dir, source))?;
        let mut generation = Self::start(dir, Layout::for_rows(0))?;
        let mark = contained(|| generation.db()?.get(MARK_KEY))?
            .and_then(|bytes| Mark::decode(&bytes))
            .filter(|mark| mark.whole)
            .ok_or_else(|| CodesError::Broken("the generation is torn".into()))?;
        generation.layout = mark.layout;
        generation.mark = RwLock::new(Some(mark));
        Ok(generation)
    }

    fn start(dir: &Path, layout: Layout) -> Result<Self, CodesError> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .use_compression(false);
        let db = open_patiently(&config)?;
        let data = File::open(dir.join("db")).map_err(|source| io_error(dir, source))?;
        Ok(Self {
            db: Some(db),
            data,
            dir: dir.into(),
            layout,
            mark: RwLock::new(None),
            doomed: AtomicBool::new(false),
            torn: AtomicBool::new(false),
        })
    }

    fn db(&self) -> Result<&sled::Db, sled::Error> {
        self.db
            .as_ref()
            .ok_or_else(|| sled::Error::ReportableBug("the store is closed".into()))
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The version in force; `None` while it is being loaded.
    pub(super) fn mark(&self) -> Option<Mark> {
        *self.mark.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while the file that is open is the one that a restart would find, and whole.
    pub(super) fn is_on_disk(&self) -> bool {
        !self.torn.load(Ordering::Relaxed) && disk::is_same_file(&self.dir.join("db"), &self.data)
    }

    /// A delta broke off inside it: some rows are of the version before, some of the next one, and both are signed. Only
    /// look-ups go on from it, until the list is loaded anew.
    pub(super) fn distrust(&self) {
        self.torn.store(true, Ordering::Relaxed);
    }

    /// Lets the files go with the last user.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    pub(super) fn look_up(&self, key: &RowKey) -> Result<Option<Row>, CodesError> {
        let page = contained(|| self.db()?.get(self.layout.page_key(key)))?;
        let Some(page) = page else { return Ok(None) };
        let value = self.layout.find(&page, key)?;
        Ok(value.map(|value| Row::decode(&value)).transpose()?)
    }

    /// Writes one page of a load. Plain insert: a large batch while loading takes gigabytes of memory.
    pub(super) fn insert(&self, page_key: PageKey, page: &[u8]) -> Result<(), CodesError> {
        contained(|| self.db()?.insert(page_key, page)).map(|_| ())
    }

    /// Ends a load: the mark, then everything to the disk.
    pub(super) fn seal(&self, state: &ListState) -> Result<(), CodesError> {
        let mark = Mark {
            whole: true,
            layout: self.layout,
            state: *state,
            loaded_rows: state.rows,
            changes: 0,
        };
        contained(|| self.db()?.insert(MARK_KEY, mark.encode()))?;
        self.sync()?;
        disk::sync_dir(&self.dir).map_err(|source| io_error(&self.dir, source))?;
        self.set_mark(mark);
        Ok(())
    }

    fn set_mark(&self, mark: Mark) {
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = Some(mark);
    }

    /// sled's `flush` ends in `sync_file_range`, which is not durable; `sync_data` is.
    fn sync(&self) -> Result<(), CodesError> {
        contained(|| self.db()?.flush())?;
        self.data
            .sync_data()
            .map_err(|error| CodesError::Broken(format!("sync: {error}")))
    }

    /// Every row in order.
    pub(super) fn scan(
        &self,
        mut each: impl FnMut(RowKey, &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError>,
    ) -> Result<(), CodesError> {
        let mut pages = contained(|| Ok(self.db()?.range::<&[u8], _>(..MARK_KEY.as_slice())))?;
        while let Some((page_key, page)) = contained(|| pages.next().transpose())? {
            let page_key = PageKey::try_from(page_key.as_ref())
                .map_err(|_| CodesError::Broken("a page has a strange key".into()))?;
            self.layout.rows(page_key, &page, &mut each)?;
        }
        Ok(())
    }

    /// Counts and digests every row and compares with the mark. [`CodesError::Unavailable`] if it had to end before.
    pub(super) fn verify(&self, ending: &AtomicBool) -> Result<(), CodesError> {
        let mut tally = Tally::default();
        self.scan(|key, value| {
            tally.add(&key, value);
            if ending.load(Ordering::Relaxed) {
                return Err(CodesError::Unavailable);
            }
            Ok(())
        })?;
        match self.mark() {
            Some(mark) => compare(&tally, &mark.state),
            None => Err(CodesError::Unavailable),
        }
    }

    /// Applies a delta. `Broken` may mean a torn generation: the caller drops it. Every other error comes before the
    /// first byte is written.
    pub(super) fn apply(&self, changes: &[Change], next: &ListState) -> Result<(), CodesError> {
        let mark = self.mark().ok_or(CodesError::Unavailable)?;
        check_delta(changes, next, &mark.state)?;
        check_space(
            &self.dir,
            (changes.len() as u64).saturating_mul(CHANGE_BYTES),
        )?;
        // Once to see where it leads, and only then once to write it: memory stays at one batch.
        let mut tally = Tally {
            rows: mark.state.rows,
            digest: mark.state.digest,
        };
        self.merge(changes, &mut tally, |_, _, _| Ok(()))?;
        compare(&tally, next)?;
        let after = Mark {
            state: *next,
            changes: mark.changes.saturating_add(changes.len() as u64),
            ..mark
        };
        self.write(changes, &mark, &after)?;
        self.set_mark(after);
        Ok(())
    }

    fn write(&self, changes: &[Change], before: &Mark, after: &Mark) -> Result<(), CodesError> {
        let torn = Mark {
            whole: false,
            ..*before
        };
        let mut batch = sled::Batch::default();
        let mut in_batch = 0;
        if changes.len() > BATCH_CHANGES {
            batch.insert(&MARK_KEY, torn.encode());
        }
        self.merge(changes, &mut Tally::default(), |page_key, page, count| {
            if in_batch + count > BATCH_CHANGES && in_batch > 0 {
                let full = std::mem::take(&mut batch);
                contained(|| self.db()?.apply_batch(full))?;
                in_batch = 0;
            }
            in_batch += count;
            if page.is_empty() {
                batch.remove(&page_key);
            } else {
                batch.insert(&page_key, page);
            }
            Ok(())
        })?;
        batch.insert(&MARK_KEY, after.encode());
        contained(|| self.db()?.apply_batch(batch))?;
        self.sync()
    }

    /// Goes through the pages that the changes touch.
    fn merge(
        &self,
        changes: &[Change],
        tally: &mut Tally,
        mut each: impl FnMut(PageKey, Vec<u8>, usize) -> Result<(), CodesError>,
    ) -> Result<(), CodesError> {
        let page_of = |change: &Change| self.layout.page_key(change.key());
        for group in changes.chunk_by(|a, b| page_of(a) == page_of(b)) {
            let Some(page_key) = group.first().map(page_of) else {
                continue;
            };
            let old = contained(|| self.db()?.get(page_key))?.unwrap_or_default();
            let page = self.layout.merge(page_key, &old, group, tally)?;
            each(page_key, page, group.len())?;
        }
        Ok(())
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let db = self.db.take();
        if !self.doomed.load(Ordering::Relaxed) {
            close(db);
            return;
        }
        // Removing hundreds of megabytes is not for whoever happens to look up last.
        let dir = self.dir.clone();
        let removal = std::thread::Builder::new()
            .name("codes-removal".into())
            .spawn(move || {
                close(db);
                remove(&dir);
            });
        if let Err(error) = removal {
            tracing::warn!(%error, "an old generation stays on the disk until the next start");
        }
    }
}

pub(super) fn check_delta(
    changes: &[Change],
    next: &ListState,
    live: &ListState,
) -> Result<(), CodesError> {
    if changes.len() > CHANGES_MAX {
        return Err(CodesError::TooManyChanges(changes.len()));
    }
    if next.order() < live.order() {
        return Err(CodesError::Older);
    }
    if !changes.is_sorted_by(|a, b| a.key() < b.key()) {
        return Err(CodesError::NotAscending);
    }
    for change in changes {
        if let Change::Put(_, value) = change {
            Row::decode(value)?;
        }
    }
    Ok(())
}

pub(super) fn compare(tally: &Tally, state: &ListState) -> Result<(), CodesError> {
    if (tally.rows, tally.digest) == (state.rows, state.digest) {
        Ok(())
    } else {
        Err(CodesError::Mismatch {
            expected: state.rows,
            rows: tally.rows,
        })
    }
}

fn check_space(dir: &Path, bytes: u64) -> Result<(), CodesError> {
    let needed = bytes.saturating_add(FREE_MIN);
    match disk::free_bytes(dir) {
        Ok(free) if free < needed => Err(CodesError::NoSpace { needed, free }),
        Ok(_) => Ok(()),
        Err(source) => Err(io_error(dir, source)),
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> CodesError {
    CodesError::Io {
        path: path.into(),
        source,
    }
}
