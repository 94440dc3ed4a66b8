//! From an import to rows, pieces of the snapshot, and deltas. Everything happens inside the caller's transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use redb::{ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::lists::{CHUNKS, Mode, ROWS, RowId, STEPS, STEPS_MAX};
use crate::domain::{Digest, ListId, RowKey};
use crate::store::codes::Change;
use crate::sync::chunk::{self, ROW_LEN, decode_row};
use crate::sync::hex;
use crate::sync::manifest::{ChunkId, Delta};
use crate::sync::spool::{Rows, Spool};

/// Rows of a new piece; the rest of a chunk is room to grow.
const PIECE_ROWS: usize = chunk::ROWS_MAX / 4 * 3;
/// More changes than this are not kept as a step: a snapshot is the shorter way.
const STEP_CHANGES_MAX: usize = 100_000;
/// Rows that are read at a time while an import goes through them.
const PART_ROWS: usize = 16_384;
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

/// Brings the rows to what the import says, a bounded part at a time. The changes that really changed something, or `None`
/// if they are too many to be kept.
pub(super) fn apply(
    transaction: &WriteTransaction,
    list: &ListId,
    wanted: Spool,
    mode: Mode,
    tally: &mut Tally,
) -> Result<Option<Vec<Change>>, StoreError> {
    let mut target = Target {
        rows: transaction.open_table(ROWS)?,
        list,
        tally,
        step: Some(Vec::new()),
    };
    let wanted = Wanted(wanted.into_rows());
    match mode {
        Mode::Patch => target.patch(wanted)?,
        Mode::Replace => target.replace(wanted)?,
    }
    Ok(target.step)
}

/// The rows of an import, decoded.
struct Wanted(Rows);

impl Iterator for Wanted {
    type Item = Result<Change, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let unread = || StoreError::Failed("a row that was checked cannot be read".into());
        let change = |raw: std::io::Result<_>| decode_row(&raw?).ok_or_else(unread);
        self.0.next().map(change)
    }
}

/// The rows of a list while an import changes them.
struct Target<'t> {
    rows: redb::Table<'t, RowId<'static>, &'static [u8; 20]>,
    list: &'t ListId,
    tally: &'t mut Tally,
    /// What has changed; `None` once that is too much.
    step: Option<Vec<Change>>,
}

impl Target<'_> {
    fn patch(&mut self, wanted: Wanted) -> Result<(), StoreError> {
        for change in wanted {
            let change = change?;
            let known = self.rows.get((self.list.as_str(), &change.key().0))?;
            let same = match (&change, &known) {
                (Change::Put(_, value), Some(known)) => known.value() == value,
                (Change::Remove(_), known) => known.is_none(),
                (Change::Put(..), None) => false,
            };
            drop(known);
            if !same {
                self.change(&change)?;
            }
        }
        Ok(())
    }

    /// Goes through both in step.
    fn replace(&mut self, wanted: Wanted) -> Result<(), StoreError> {
        let mut wanted = wanted.peekable();
        let mut start = Bound::Included(FIRST);
        loop {
            let here = self.part(start)?;
            for (key, value) in &here {
                while let Some(new) = wanted.next_if(|new| is_before(new, key)) {
                    self.change(&new?)?;
                }
                match wanted.next_if(|new| matches!(new, Ok(new) if new.key() == key)) {
                    Some(Ok(Change::Put(_, new))) if new == *value => {}
                    Some(new) => self.change(&new?)?,
                    None => self.change(&Change::Remove(*key))?,
                }
            }
            match here.last() {
                Some((last, _)) if here.len() == PART_ROWS => start = Bound::Excluded(last.0),
                Some(_) | None => break,
            }
        }
        for new in wanted {
            self.change(&new?)?;
        }
        Ok(())
    }

    /// The next rows that are there.
    fn part(&self, start: Bound<[u8; 16]>) -> Result<Vec<(RowKey, [u8; 20])>, StoreError> {
        let list = self.list.as_str();
        let range = (
            start.as_ref().map(|key| (list, key)),
            Bound::Included((list, &LAST)),
        );
        let mut part = Vec::new();
        for row in self.rows.range::<RowId<'_>>(range)?.take(PART_ROWS) {
            let (id, value) = row?;
            part.push((RowKey(*id.value().1), *value.value()));
        }
        Ok(part)
    }

    fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        let id = (self.list.as_str(), &change.key().0);
        let before = match change {
            Change::Put(key, value) => {
                self.tally.digest.add(key, value);
                self.tally.rows = self.tally.rows.saturating_add(1);
                self.rows.insert(id, value)?
            }
            Change::Remove(_) => self.rows.remove(id)?,
        };
        if let Some(before) = before {
            self.tally.digest.remove(change.key(), before.value());
            self.tally.rows = self.tally.rows.saturating_sub(1);
        }
        self.step = self
            .step
            .take()
            .filter(|step| step.len() < STEP_CHANGES_MAX);
        if let Some(step) = &mut self.step {
            step.push(*change);
        }
        Ok(())
    }
}

/// An error is handed out at once.
fn is_before(new: &Result<Change, StoreError>, key: &RowKey) -> bool {
    new.as_ref().map_or(true, |new| new.key() < key)
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
