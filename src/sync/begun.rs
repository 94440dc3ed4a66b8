//! A snapshot that has come in part: kept while the link is away, so that a long load does not start over.

use super::manifest::{ChunkId, Manifest};
use super::trouble::Trouble;
use crate::store::codes::{Change, ListState, Load};

/// A snapshot that has come in part.
pub(super) struct Begun {
    load: Box<dyn Load>,
    pepper_id: u32,
    /// Those that are in it.
    chunks: Vec<ChunkId>,
    rows: u64,
}

impl Begun {
    pub(super) const fn new(load: Box<dyn Load>, pepper_id: u32) -> Self {
        Self {
            load,
            pepper_id,
            chunks: Vec::new(),
            rows: 0,
        }
    }

    /// True if `manifest` begins with what is here.
    pub(super) fn is_part_of(&self, manifest: &Manifest) -> bool {
        self.pepper_id == manifest.pepper_id && manifest.snapshot.starts_with(&self.chunks)
    }

    /// Adds a chunk; a list of more than `rows_max` rows is none that the manifest announced.
    pub(super) fn push(
        mut self,
        id: ChunkId,
        rows: &[Change],
        rows_max: u64,
    ) -> Result<Self, Trouble> {
        for change in rows {
            let Change::Put(key, value) = change else {
                return Err(Trouble::SnapshotRemoves);
            };
            if self.rows >= rows_max {
                return Err(Trouble::TooManyRows);
            }
            self.rows = self.rows.saturating_add(1);
            self.load.push(*key, value)?;
        }
        self.chunks.push(id);
        Ok(self)
    }

    /// How many chunks of the snapshot are in it.
    pub(super) const fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Ends the load: from here on the list is in force.
    pub(super) fn commit(self, state: &ListState) -> Result<(), Trouble> {
        Ok(self.load.commit(state)?)
    }
}
