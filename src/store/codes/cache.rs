//! The lists of a gate, each with its live generation.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use super::contain;
use super::generation::{Generation, io_error};
use super::load::SledLoad;
use super::{Change, Codes, CodesError, ListState, Load};
use crate::domain::{ListId, Row, RowKey};
use crate::store::disk;

/// Changes after which look-ups have become slow: at 400,000 one needs 8.7 reads instead of 1.9 (STORAGE).
const CHANGES_WORN: u64 = 400_000;
/// Rows over the number at loading from which pages are too long.
const GROWTH_WORN: u64 = 8;
const POINTER: &str = "live";

/// When the digest is scanned at opening: every row is read once, 10 M rows in tens of seconds on a slow card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Before the list is used.
    First,
    /// By [`SledCodes::verify_beside`], while the list is in use. The mark alone is checked at opening, and sled's own
    /// checksum with every page that is read.
    Later,
}

/// The codes cache on sled.
pub struct SledCodes {
    root: PathBuf,
    slots: BTreeMap<ListId, Arc<Slot>>,
    /// Verifies lists that are in use; ends early when the cache is closed.
    checking: Mutex<Option<JoinHandle<()>>>,
    ending: Arc<AtomicBool>,
    /// Held for as long as the cache is open.
    _lock: File,
}

impl SledCodes {
    /// Opens the cache for the lists that the gate follows. A list whose copy is damaged or torn starts without
    /// one; what no list needs any more is removed.
    ///
    /// # Errors
    /// [`CodesError::InUse`], or [`CodesError::Io`] if the directory itself cannot be used.
    pub fn open(root: &Path, lists: &[ListId], verify: Verify) -> Result<Self, CodesError> {
        disk::make_dir(root).map_err(|source| io_error(root, source))?;
        let lock = lock(root)?;
        let mut slots = BTreeMap::new();
        for list in lists {
            let slot = Slot::open(root, list, verify)?;
            slots.insert(list.clone(), Arc::new(slot));
        }
        remove_unfollowed(root, &slots);
        Ok(Self {
            root: root.into(),
            slots,
            checking: Mutex::new(None),
            ending: Arc::new(AtomicBool::new(false)),
            _lock: lock,
        })
    }

    /// Reads every row of the live generation and compares with its digest. Look-ups go on, deltas wait. A copy that
    /// does not hold is dropped.
    ///
    /// # Errors
    /// What was found to be wrong, or [`CodesError::Unavailable`].
    pub fn verify(&self, list: &ListId) -> Result<(), CodesError> {
        let slot = self.slot(list)?;
        slot.verify(&self.ending)
    }

    /// The same for all lists, one after the other, on a thread of its own: a gate decides while it goes on.
    ///
    /// # Errors
    /// [`CodesError::Io`] if there is no thread left.
    pub fn verify_beside(&self) -> Result<(), CodesError> {
        let (slots, ending) = (self.slots.clone(), Arc::clone(&self.ending));
        let checking = std::thread::Builder::new().name("codes-verify".into());
        let checking = checking.spawn(move || {
            for slot in slots.values().filter(|slot| slot.live().is_some()) {
                // What is wrong has been logged, and the list is synced again.
                if slot.verify(&ending).is_ok() {
                    tracing::info!(list = %slot.list, "the copy of the list is whole");
                }
            }
        });
        let checking = checking.map_err(|source| io_error(&self.root, source))?;
        let mut last = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(checking);
        Ok(())
    }

    fn slot(&self, list: &ListId) -> Result<&Arc<Slot>, CodesError> {
        self.slots.get(list).ok_or(CodesError::Unavailable)
    }
}

impl Drop for SledCodes {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let checking = self
            .checking
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        // Its files must be closed before somebody opens them again.
        if checking
            .take()
            .is_some_and(|checking| checking.join().is_err())
        {
            tracing::warn!("the check of the lists broke off");
        }
    }
}

impl Codes for SledCodes {
    fn look_up(&self, list: &ListId, key: &RowKey) -> Result<Option<Row>, CodesError> {
        let slot = self.slot(list)?;
        let live = slot.live().ok_or(CodesError::Unavailable)?;
        match live.look_up(key) {
            Err(error @ CodesError::Broken(_)) => {
                slot.discard(&live, &error);
                Err(CodesError::Unavailable)
            }
            done => done,
        }
    }

    fn state(&self, list: &ListId) -> Option<ListState> {
        let mark = self.slot(list).ok()?.live()?.mark()?;
        Some(mark.state)
    }

    fn needs_load(&self, list: &ListId) -> bool {
        match self.slot(list) {
            Ok(slot) => !slot.live().is_some_and(|live| live.is_on_disk()),
            Err(_) => false,
        }
    }

    fn begin(&self, list: &ListId, rows: u64) -> Result<Box<dyn Load>, CodesError> {
        Ok(Box::new(Slot::begin(self.slot(list)?, rows)?))
    }

    fn apply(&self, list: &ListId, changes: &[Change], next: &ListState) -> Result<(), CodesError> {
        let slot = self.slot(list)?;
        let _writing = slot.lock_writer();
        let live = slot.live().ok_or(CodesError::Unavailable)?;
        if !live.is_on_disk() {
            // It goes on answering from open files, but a delta would not outlive this process.
            return Err(CodesError::Unavailable);
        }
        let applied = live.apply(changes, next);
        if matches!(&applied, Err(CodesError::Broken(_))) {
            slot.unpoint(live.dir());
            live.distrust();
        }
        applied
    }

    fn tidy(&self, list: &ListId) -> Result<bool, CodesError> {
        let slot = self.slot(list)?;
        let writing = slot.lock_writer();
        let Some(live) = slot.live() else {
            return Ok(false);
        };
        let Some(mark) = live.mark().filter(|mark| {
            mark.changes >= CHANGES_WORN
                || mark.state.rows / GROWTH_WORN > mark.loaded_rows.max(1000)
        }) else {
            return Ok(false);
        };
        let mut load = Slot::begin(slot, mark.state.rows)?;
        let copied = live.scan(|key, value| load.push(key, value));
        if let Err(error @ CodesError::Broken(_)) = &copied {
            slot.discard(&live, error);
        }
        copied?;
        load.finish(&mark.state)?;
        drop(writing);
        Ok(true)
    }

    fn disk_bytes(&self) -> u64 {
        disk::tree_bytes(&self.root)
    }
}

/// One list: its directory, and its live generation if it has one.
pub(super) struct Slot {
    list: ListId,
    dir: PathBuf,
    live: RwLock<Option<Arc<Generation>>>,
    /// One delta, commit or rebuild at a time.
    writer: Mutex<()>,
    /// Guards the pointer file.
    pointer: Mutex<()>,
    loading: AtomicBool,
    /// Number of the next generation.
    next: AtomicU64,
}

impl Slot {
    fn open(root: &Path, list: &ListId, verify: Verify) -> Result<Self, CodesError> {
        let dir = root.join(list.as_str());
        disk::make_dir(&dir).map_err(|source| io_error(&dir, source))?;
        let pointed = read_pointer(&dir);
        let mut next = 1;
        for number in generations(&dir).map_err(|source| io_error(&dir, source))? {
            next = next.max(number.saturating_add(1));
            if pointed != Some(number) {
                contain::remove(&dir.join(name(number)));
            }
        }
        let slot = Self {
            list: list.clone(),
            dir,
            live: RwLock::new(None),
            writer: Mutex::new(()),
            pointer: Mutex::new(()),
            loading: AtomicBool::new(false),
            next: AtomicU64::new(next),
        };
        if let Some(number) = pointed {
            slot.open_live(&slot.dir.join(name(number)), verify);
        }
        Ok(slot)
    }

    fn open_live(&self, dir: &Path, verify: Verify) {
        match Generation::open(dir) {
            Ok(generation) => {
                let generation = Arc::new(generation);
                let checked = match verify {
                    Verify::First => generation.verify(&AtomicBool::new(false)),
                    Verify::Later => Ok(()),
                };
                match checked {
                    Ok(()) => self.set_live(Some(generation)),
                    Err(error) => self.discard(&generation, &error),
                }
            }
            Err(error) => {
                tracing::warn!(list = %self.list, %error, "the copy of the list is dropped");
                self.unpoint(dir);
                contain::remove(dir);
            }
        }
    }

    /// Reads everything while look-ups go on and deltas wait.
    fn verify(&self, ending: &AtomicBool) -> Result<(), CodesError> {
        let _writing = self.lock_writer();
        let live = self.live().ok_or(CodesError::Unavailable)?;
        match live.verify(ending) {
            Err(CodesError::Unavailable) => Err(CodesError::Unavailable),
            done => done.inspect_err(|error| self.discard(&live, error)),
        }
    }

    fn live(&self) -> Option<Arc<Generation>> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_live(&self, generation: Option<Arc<Generation>>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *live, generation);
        drop(live);
        if let Some(old) = old {
            old.doom();
        }
    }

    pub(super) fn swap(&self, generation: Generation) {
        self.set_live(Some(Arc::new(generation)));
    }

    pub(super) fn lock_writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(slot: &Arc<Self>, rows: u64) -> Result<SledLoad, CodesError> {
        if slot.loading.swap(true, Ordering::AcqRel) {
            return Err(CodesError::Busy);
        }
        let number = slot.next.fetch_add(1, Ordering::Relaxed);
        let made = fs::create_dir_all(&slot.dir)
            .map_err(|source| io_error(&slot.dir, source))
            .and_then(|()| Generation::create(&slot.dir.join(name(number)), rows));
        match made {
            Ok(generation) => Ok(SledLoad::new(Arc::clone(slot), generation)),
            Err(error) => {
                slot.end_load();
                Err(error)
            }
        }
    }

    pub(super) fn end_load(&self) {
        self.loading.store(false, Ordering::Release);
    }

    /// Drops a generation that cannot be trusted. The list has no copy then, until it is loaded again.
    fn discard(&self, generation: &Arc<Generation>, error: &CodesError) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live
            .as_ref()
            .is_some_and(|live| Arc::ptr_eq(live, generation))
        {
            *live = None;
        }
        drop(live);
        tracing::warn!(list = %self.list, %error, "the copy of the list is dropped");
        self.unpoint(generation.dir());
        generation.doom();
    }

    /// Makes `dir` the generation that a restart opens.
    pub(super) fn point_to(&self, dir: &Path) -> Result<(), CodesError> {
        let _pointing = self.pointer.lock().unwrap_or_else(PoisonError::into_inner);
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        disk::replace(&self.dir.join(POINTER), format!("{name}\n").as_bytes())
            .map_err(|source| io_error(&self.dir, source))
    }

    fn unpoint(&self, dir: &Path) {
        let _pointing = self.pointer.lock().unwrap_or_else(PoisonError::into_inner);
        let named = read_pointer(&self.dir).map(|number| self.dir.join(name(number)));
        if named.as_deref() == Some(dir) {
            // If it cannot be removed, the next start finds no such directory, or the same damage.
            let _ = fs::remove_file(self.dir.join(POINTER));
        }
    }
}

fn name(number: u64) -> String {
    format!("g{number:016x}")
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix('g').filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn read_pointer(dir: &Path) -> Option<u64> {
    let text = fs::read_to_string(dir.join(POINTER)).ok()?;
    number(text.strip_suffix('\n')?)
}

fn generations(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(entry?.file_name().to_str().and_then(number));
    }
    Ok(numbers)
}

fn lock(root: &Path) -> Result<File, CodesError> {
    let path = root.join("lock");
    let file = File::create(&path).map_err(|source| io_error(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CodesError::InUse { path: root.into() }),
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

/// Rows of a list that is not followed any more are not kept. Only what this cache makes itself is touched.
fn remove_unfollowed(root: &Path, slots: &BTreeMap<ListId, Arc<Slot>>) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let known = entry
            .file_name()
            .to_str()
            .and_then(|name| ListId::new(name).ok())
            .is_none_or(|list| slots.contains_key(&list));
        let dir = entry.path();
        if known || !dir.is_dir() {
            continue;
        }
        for number in generations(&dir).unwrap_or_default() {
            contain::remove(&dir.join(name(number)));
        }
        let _ = fs::remove_file(dir.join(POINTER));
        // Stays if it holds anything else.
        let _ = fs::remove_dir(&dir);
    }
}
