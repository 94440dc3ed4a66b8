//! Sorted rows in, chunks out, with their count and digest.

use std::path::{Path, PathBuf};

use super::{PackError, store};
use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{Digest, RowKey};
use crate::store::codes::Change;
use crate::sync::chunk::{self, ROWS_MAX, decode_row};
use crate::sync::manifest::ChunkId;
use crate::sync::spool::RawRow;

/// Rows that a chunk has on average at most: the rest of it is for chance.
const ROWS_MEANT: u64 = 20_000;
const BITS_MAX: u32 = 16;

/// Where chunks begin: where the first bits of a key change.
pub(super) struct Cut {
    dir: PathBuf,
    bits: u32,
    waiting: Vec<Change>,
    place: u16,
    done: Done,
}

/// What came out.
#[derive(Default)]
pub(super) struct Done {
    pub(super) snapshot: Vec<ChunkId>,
    pub(super) rows: u64,
    pub(super) digest: Digest,
    pub(super) written: usize,
}

impl Cut {
    pub(super) fn new(dir: &Path, rows: u64) -> Self {
        let enough = |bits: &u32| rows >> bits <= ROWS_MEANT;
        Self {
            dir: dir.into(),
            bits: (0..BITS_MAX).find(enough).unwrap_or(BITS_MAX),
            waiting: Vec::new(),
            place: 0,
            done: Done::default(),
        }
    }

    /// Takes the next row.
    pub(super) fn row(&mut self, raw: &RawRow) -> Result<(RowKey, [u8; ROW_VALUE_LEN]), PackError> {
        let Some(Change::Put(key, value)) = decode_row(raw) else {
            return Err(chunk::ChunkError::Mark(self.waiting.len()).into());
        };
        let [a, b, ..] = key.0;
        let place = u16::from_be_bytes([a, b])
            .checked_shr(BITS_MAX - self.bits)
            .unwrap_or(0);
        if place != self.place || self.waiting.len() >= ROWS_MAX {
            self.pack()?;
        }
        self.place = place;
        self.waiting.push(Change::Put(key, value));
        self.done.rows = self.done.rows.saturating_add(1);
        self.done.digest.add(&key, &value);
        Ok((key, value))
    }

    pub(super) fn finish(mut self) -> Result<Done, PackError> {
        self.pack()?;
        Ok(self.done)
    }

    fn pack(&mut self) -> Result<(), PackError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (id, packed) = chunk::pack(&self.waiting)?;
        self.done.written += usize::from(store(&self.dir, &id, &packed)?);
        self.done.snapshot.push(id);
        self.waiting.clear();
        Ok(())
    }
}
