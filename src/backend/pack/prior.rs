//! What was packed before, read again chunk by chunk beside the new rows, so that gates get a delta.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{PackError, store};
use crate::domain::RowKey;
use crate::domain::standing::ROW_VALUE_LEN;
use crate::store::codes::Change;
use crate::sync::chunk::{ROWS_MAX, pack, unpack};
use crate::sync::manifest::{ChunkId, Delta, Manifest};

/// More changes than this are no delta: a snapshot is the shorter way.
const CHANGES_MAX: usize = 100_000;
/// A delta as long as the list itself is of no use, unless both are short.
const SHORT: u64 = 1_000;
/// From how many earlier versions a delta is offered.
const DELTAS_MAX: usize = 16;

/// The rows before, and what has changed since.
pub(super) struct Prior {
    dir: PathBuf,
    chunks: std::vec::IntoIter<ChunkId>,
    rows: std::iter::Peekable<std::vec::IntoIter<Change>>,
    /// `None`: there is nothing to compare with, or too much has changed.
    step: Option<Vec<Change>>,
}

impl Prior {
    pub(super) fn new(dir: &Path, before: Option<&Manifest>) -> Self {
        let chunks = before.map(|before| before.snapshot.clone());
        Self {
            dir: dir.into(),
            chunks: chunks.unwrap_or_default().into_iter(),
            rows: Vec::new().into_iter().peekable(),
            step: before.map(|_| Vec::new()),
        }
    }

    /// Compares with the next new row.
    pub(super) fn compare(&mut self, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        if self.step.is_none() {
            return;
        }
        while let Some(gone) = self.next_if(|old| old < key) {
            self.add(Change::Remove(*gone.key()));
        }
        let new = Change::Put(*key, *value);
        if self.next_if(|old| old == key) != Some(new) {
            self.add(new);
        }
    }

    /// What has changed; `None` if there is no telling, or too much.
    pub(super) fn step(mut self) -> Option<Vec<Change>> {
        while self.step.is_some() {
            match self.next_if(|_| true) {
                Some(gone) => self.add(Change::Remove(*gone.key())),
                None => break,
            }
        }
        self.step
    }

    fn add(&mut self, change: Change) {
        self.step = self.step.take().filter(|step| step.len() < CHANGES_MAX);
        if let Some(step) = &mut self.step {
            step.push(change);
        }
    }

    fn next_if(&mut self, wanted: impl Fn(&RowKey) -> bool) -> Option<Change> {
        while self.rows.peek().is_none() {
            let id = self.chunks.next()?;
            match read(&self.dir, &id) {
                Some(rows) => self.rows = rows.into_iter().peekable(),
                None => {
                    self.step = None;
                    return None;
                }
            }
        }
        self.rows.next_if(|old| wanted(old.key()))
    }
}

/// A chunk that was packed before; `None` if it is gone or damaged, which costs gates a snapshot.
fn read(dir: &Path, id: &ChunkId) -> Option<Vec<Change>> {
    let read = fs::read(dir.join(id.to_string()))
        .map_err(|error| error.to_string())
        .and_then(|packed| unpack(id, &packed).map_err(|error| error.to_string()));
    read.inspect_err(
        |error| tracing::warn!(chunk = %id, %error, "no delta from the version before"),
    )
    .ok()
}

/// The step as a delta, and the deltas there were, led on.
pub(super) fn deltas(
    dir: &Path,
    before: &Manifest,
    step: &[Change],
    rows: u64,
    written: &mut usize,
) -> Result<Vec<Delta>, PackError> {
    let longest = usize::try_from(rows.max(SHORT))
        .unwrap_or(usize::MAX)
        .min(CHANGES_MAX);
    let mut made = Vec::new();
    let mut add = |from: u64, changes: &[Change]| -> Result<(), PackError> {
        if changes.len() > longest {
            return Ok(());
        }
        let mut chunks = Vec::new();
        for part in changes.chunks(ROWS_MAX) {
            let (id, packed) = pack(part)?;
            *written += usize::from(store(dir, &id, &packed)?);
            chunks.push(id);
        }
        made.push(Delta { from, chunks });
        Ok(())
    };
    add(before.version, step)?;
    for delta in before.deltas.iter().take(DELTAS_MAX - 1) {
        let mut merged: BTreeMap<RowKey, Change> = BTreeMap::new();
        let mut whole = true;
        for id in &delta.chunks {
            match read(dir, id) {
                Some(changes) => merged.extend(changes.into_iter().map(|one| (*one.key(), one))),
                None => whole = false,
            }
        }
        merged.extend(step.iter().map(|one| (*one.key(), *one)));
        if whole {
            let changes: Vec<Change> = merged.into_values().collect();
            add(delta.from, &changes)?;
        }
    }
    Ok(made)
}
