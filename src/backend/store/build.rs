//! From an import to rows, pieces of the snapshot, and deltas. Everything happens inside the caller's transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::lists::{CHUNKS, Mode, ROWS, RowId, STEPS, STEPS_MAX};
use crate::domain::{Digest, ListId, RowKey};
use crate::store::codes::Change;
use crate::sync::chunk::{self, ROW_LEN};
use crate::sync::hex;
use crate::sync::manifest::{ChunkId, Delta};

/// Rows of a new piece; the rest of a chunk is room to grow.
const PIECE_ROWS: usize = chunk::ROWS_MAX / 4 * 3;
/// More changes than this are not kept as a step: a snapshot is the shorter way.
const STEP_CHANGES_MAX: usize = 100_000;
/// A delta as long as the list itself is of no use, unless both are short.
const SHORT: u64 = 1_000;

const FIRST: [u8; 16] = [0; 16];
const LAST: [u8; 16] = [0xFF; 16];

/// A part of the snapshot: the rows from `first` to before the next piece.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Piece {
    first: String,
    pub(super) id: ChunkId,
}

impl Piece {
    fn first(&self) -> [u8; 16] {
        hex::decode(&self.first).unwrap_or_default()
    }
}

/// Row count and digest, kept up row by row.
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) digest: Digest,
}

/// Brings the rows to what the import says. The changes that really changed something, or `None` if they are too many.
pub(super) fn apply(
    transaction: &WriteTransaction,
    list: &ListId,
    changes: Vec<Change>,
    mode: Mode,
    tally: &mut Tally,
) -> Result<Option<Vec<Change>>, StoreError> {
    let mut rows = transaction.open_table(ROWS)?;
    let step = match mode {
        Mode::Patch => effective(&rows, list, &changes)?,
        Mode::Replace => difference(&rows, list, &changes)?,
    };
    let changes = match (step, mode) {
        (Some(step), _) => {
            put(&mut rows, list, &step, tally)?;
            return Ok(Some(step));
        }
        (None, Mode::Patch) => changes,
        (None, Mode::Replace) => {
            rows.retain_in((list.as_str(), &FIRST)..=(list.as_str(), &LAST), |_, _| {
                false
            })?;
            (tally.rows, tally.digest) = (0, Digest::default());
            changes
        }
    };
    put(&mut rows, list, &changes, tally)?;
    Ok(None)
}

fn put(
    rows: &mut redb::Table<'_, RowId<'static>, &'static [u8; 20]>,
    list: &ListId,
    changes: &[Change],
    tally: &mut Tally,
) -> Result<(), StoreError> {
    for change in changes {
        let id = (list.as_str(), &change.key().0);
        let before = match change {
            Change::Put(key, value) => {
                tally.digest.add(key, value);
                tally.rows = tally.rows.saturating_add(1);
                rows.insert(id, value)?
            }
            Change::Remove(_) => rows.remove(id)?,
        };
        if let Some(before) = before {
            tally.digest.remove(change.key(), before.value());
            tally.rows = tally.rows.saturating_sub(1);
        }
    }
    Ok(())
}

/// The changes of a patch that change something.
fn effective(
    rows: &impl ReadableTable<RowId<'static>, &'static [u8; 20]>,
    list: &ListId,
    changes: &[Change],
) -> Result<Option<Vec<Change>>, StoreError> {
    let mut step = Vec::new();
    for change in changes {
        let known = rows.get((list.as_str(), &change.key().0))?;
        let same = match (change, &known) {
            (Change::Put(_, value), Some(known)) => known.value() == value,
            (Change::Remove(_), known) => known.is_none(),
            (Change::Put(..), None) => false,
        };
        if !same {
            if step.len() >= STEP_CHANGES_MAX {
                return Ok(None);
            }
            step.push(*change);
        }
    }
    Ok(Some(step))
}

/// The changes from the rows that are there to exactly `wanted`, which is sorted.
fn difference(
    rows: &impl ReadableTable<RowId<'static>, &'static [u8; 20]>,
    list: &ListId,
    wanted: &[Change],
) -> Result<Option<Vec<Change>>, StoreError> {
    let mut step: Vec<Change> = Vec::new();
    let mut wanted = wanted.iter().peekable();
    for row in rows.range((list.as_str(), &FIRST)..=(list.as_str(), &LAST))? {
        let (id, value) = row?;
        let here = RowKey(*id.value().1);
        while let Some(new) = wanted.next_if(|next| *next.key() < here) {
            step.push(*new);
        }
        match wanted.next_if(|next| *next.key() == here) {
            Some(Change::Put(_, new)) if new == value.value() => {}
            Some(new) => step.push(*new),
            None => step.push(Change::Remove(here)),
        }
        if step.len() > STEP_CHANGES_MAX {
            return Ok(None);
        }
    }
    if step.len().saturating_add(wanted.len()) > STEP_CHANGES_MAX {
        return Ok(None);
    }
    step.extend(wanted);
    Ok(Some(step))
}

/// The pieces of the snapshot, made anew where the step falls; everywhere without one.
pub(super) fn pieces(
    transaction: &WriteTransaction,
    list: &ListId,
    before: &[Piece],
    rows: u64,
    step: Option<&[Change]>,
) -> Result<Vec<Piece>, StoreError> {
    // Removals leave small pieces behind: when there are far more than needed, all are made anew.
    let needed = usize::try_from(rows).unwrap_or(usize::MAX) / PIECE_ROWS;
    let scattered = before.len() > needed.saturating_mul(3).saturating_add(8);
    let firsts: Vec<[u8; 16]> = before.iter().map(Piece::first).collect();
    let piece_of = |change: &Change| {
        let after = firsts.partition_point(|first| *first <= change.key().0);
        after.saturating_sub(1)
    };
    let mut cut = Cut {
        transaction,
        list,
        made: Vec::new(),
    };
    let Some(step) = step.filter(|_| !before.is_empty() && !scattered) else {
        cut.range(Bound::Included(FIRST), Bound::Included(LAST))?;
        return Ok(cut.made);
    };
    let dirty: BTreeSet<usize> = step.iter().map(piece_of).collect();
    for (n, piece) in before.iter().enumerate() {
        if !dirty.contains(&n) {
            cut.made.push(piece.clone());
            continue;
        }
        let start = if n == 0 { FIRST } else { piece.first() };
        let end = match firsts.get(n.saturating_add(1)) {
            Some(next) => Bound::Excluded(*next),
            None => Bound::Included(LAST),
        };
        cut.range(Bound::Included(start), end)?;
    }
    Ok(cut.made)
}

struct Cut<'t> {
    transaction: &'t WriteTransaction,
    list: &'t ListId,
    made: Vec<Piece>,
}

impl Cut<'_> {
    /// Makes pieces of the rows in a range of keys.
    fn range(&mut self, start: Bound<[u8; 16]>, end: Bound<[u8; 16]>) -> Result<(), StoreError> {
        let rows = self.transaction.open_table(ROWS)?;
        let id = |key: &Bound<[u8; 16]>| match key {
            Bound::Included(key) => Bound::Included(*key),
            Bound::Excluded(key) => Bound::Excluded(*key),
            Bound::Unbounded => Bound::Unbounded,
        };
        let (start, end) = (id(&start), id(&end));
        let list = self.list.as_str();
        let range = (
            start.as_ref().map(|key| (list, key)),
            end.as_ref().map(|key| (list, key)),
        );
        let mut waiting: Vec<Change> = Vec::new();
        for row in rows.range::<RowId<'_>>(range)? {
            let (id, value) = row?;
            waiting.push(Change::Put(RowKey(*id.value().1), *value.value()));
            if waiting.len() > chunk::ROWS_MAX {
                let rest = waiting.split_off(PIECE_ROWS);
                self.piece(&waiting)?;
                waiting = rest;
            }
        }
        self.piece(&waiting)
    }

    fn piece(&mut self, rows: &[Change]) -> Result<(), StoreError> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        let id = store_chunk(self.transaction, rows)?;
        let first = hex::encode(&first.key().0);
        self.made.push(Piece { first, id });
        Ok(())
    }
}

/// Keeps the step that leads to `version`, and makes the deltas from the versions before it.
pub(super) fn deltas(
    transaction: &WriteTransaction,
    list: &ListId,
    version: u64,
    rows: u64,
    step: Option<&[Change]>,
) -> Result<Vec<Delta>, StoreError> {
    let mut steps = transaction.open_table(STEPS)?;
    let Some(step) = step else {
        steps.retain_in((list.as_str(), 0)..=(list.as_str(), u64::MAX), |_, _| false)?;
        return Ok(Vec::new());
    };
    let oldest = version.saturating_sub(STEPS_MAX).saturating_add(1);
    steps.retain_in((list.as_str(), 0)..(list.as_str(), oldest), |_, _| false)?;
    let bytes: Vec<[u8; ROW_LEN]> = step.iter().map(chunk::encode_row).collect();
    steps.insert((list.as_str(), version), bytes.as_flattened())?;
    let mut merged: BTreeMap<RowKey, Change> = BTreeMap::new();
    let mut made = Vec::new();
    for to in (oldest..=version).rev() {
        let Some(step) = steps.get((list.as_str(), to))? else {
            break;
        };
        // From the newest step to the oldest: what is there already is newer.
        let (rows_of_step, _) = step.value().as_chunks::<ROW_LEN>();
        for change in rows_of_step.iter().filter_map(chunk::decode_row) {
            merged.entry(*change.key()).or_insert(change);
        }
        let length = u64::try_from(merged.len()).unwrap_or(u64::MAX);
        if merged.len() > STEP_CHANGES_MAX || length > rows.max(SHORT) {
            break;
        }
        let changes: Vec<Change> = merged.values().copied().collect();
        let chunks = changes
            .chunks(chunk::ROWS_MAX)
            .map(|changes| store_chunk(transaction, changes))
            .collect::<Result<_, _>>()?;
        made.push(Delta {
            from: to.saturating_sub(1),
            chunks,
        });
    }
    Ok(made)
}

fn store_chunk(transaction: &WriteTransaction, changes: &[Change]) -> Result<ChunkId, StoreError> {
    let (id, packed) = chunk::pack(changes)?;
    transaction
        .open_table(CHUNKS)?
        .insert(&id.0, packed.as_slice())?;
    Ok(id)
}
