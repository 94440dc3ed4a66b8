//! A load: sorted rows in, a sealed generation out.

use std::sync::Arc;

use super::cache::Slot;
use super::generation::{Generation, compare};
use super::page::{PageKey, Tally};
use super::{CodesError, ListState, Load};
use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{Row, RowKey};

pub(super) struct SledLoad {
    slot: Arc<Slot>,
    generation: Option<Generation>,
    page_key: PageKey,
    page: Vec<u8>,
    last: Option<RowKey>,
    tally: Tally,
}

impl SledLoad {
    pub(super) fn new(slot: Arc<Slot>, generation: Generation) -> Self {
        Self {
            slot,
            generation: Some(generation),
            page_key: PageKey::default(),
            page: Vec::new(),
            last: None,
            tally: Tally::default(),
        }
    }

    fn add(&mut self, key: RowKey, value: &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError> {
        let Some(generation) = &self.generation else {
            return Err(CodesError::Unavailable);
        };
        if self.last.is_some_and(|last| last >= key) {
            return Err(CodesError::NotAscending);
        }
        Row::decode(value)?;
        let layout = generation.layout();
        let page_key = layout.page_key(&key);
        if page_key != self.page_key && !self.page.is_empty() {
            generation.insert(self.page_key, &self.page)?;
            self.page.clear();
        }
        self.page_key = page_key;
        layout.append(&mut self.page, &key, value);
        self.tally.add(&key, value);
        self.last = Some(key);
        Ok(())
    }

    /// Seals the generation and swaps it in. The caller holds the slot's writer lock.
    pub(super) fn finish(mut self, state: &ListState) -> Result<(), CodesError> {
        compare(&self.tally, state)?;
        let Some(generation) = &self.generation else {
            return Err(CodesError::Unavailable);
        };
        if !self.page.is_empty() {
            generation.insert(self.page_key, &self.page)?;
        }
        generation.seal(state)?;
        self.slot.point_to(generation.dir())?;
        if let Some(generation) = self.generation.take() {
            self.slot.swap(generation);
        }
        Ok(())
    }
}

impl Load for SledLoad {
    fn push(&mut self, key: RowKey, value: &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError> {
        let added = self.add(key, value);
        if added.is_err() {
            self.discard();
        }
        added
    }

    fn commit(self: Box<Self>, state: &ListState) -> Result<(), CodesError> {
        let slot = Arc::clone(&self.slot);
        let _writing = slot.lock_writer();
        self.finish(state)
    }
}

impl SledLoad {
    fn discard(&mut self) {
        if let Some(generation) = self.generation.take() {
            generation.doom();
        }
    }
}

impl Drop for SledLoad {
    fn drop(&mut self) {
        self.discard();
        self.slot.end_load();
    }
}
