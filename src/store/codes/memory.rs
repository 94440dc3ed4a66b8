//! The cache without a disk, for the simulator and for tests: the same answers, nothing durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::generation::compare;
use super::page::Tally;
use super::{Change, Codes, CodesError, ListState, Load};
use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{ListId, Row, RowKey};

type Rows = BTreeMap<RowKey, [u8; ROW_VALUE_LEN]>;
type Lists = Mutex<BTreeMap<ListId, (ListState, Rows)>>;

/// Lists in memory.
#[derive(Clone, Default)]
pub struct MemoryCodes(Arc<Lists>);

impl MemoryCodes {
    /// Forgets a list, as the real cache does after a fault.
    pub fn lose(&self, list: &ListId) {
        self.lists().remove(list);
    }

    fn lists(&self) -> MutexGuard<'_, BTreeMap<ListId, (ListState, Rows)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Codes for MemoryCodes {
    fn look_up(&self, list: &ListId, key: &RowKey) -> Result<Option<Row>, CodesError> {
        let lists = self.lists();
        let (_, rows) = lists.get(list).ok_or(CodesError::Unavailable)?;
        Ok(rows.get(key).map(Row::decode).transpose()?)
    }

    fn state(&self, list: &ListId) -> Option<ListState> {
        self.lists().get(list).map(|(state, _)| *state)
    }

    fn begin(&self, list: &ListId, _rows: u64) -> Result<Box<dyn Load>, CodesError> {
        Ok(Box::new(MemoryLoad {
            codes: self.clone(),
            list: list.clone(),
            rows: Rows::new(),
        }))
    }

    fn apply(&self, list: &ListId, changes: &[Change], next: &ListState) -> Result<(), CodesError> {
        let mut lists = self.lists();
        let (state, rows) = lists.get_mut(list).ok_or(CodesError::Unavailable)?;
        super::generation::check_delta(changes, next, state)?;
        let mut after = rows.clone();
        for change in changes {
            match change {
                Change::Put(key, value) => after.insert(*key, *value),
                Change::Remove(key) => after.remove(key),
            };
        }
        compare(&tally(&after), next)?;
        (*state, *rows) = (*next, after);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

struct MemoryLoad {
    codes: MemoryCodes,
    list: ListId,
    rows: Rows,
}

impl Load for MemoryLoad {
    fn push(&mut self, key: RowKey, value: &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError> {
        if self
            .rows
            .last_key_value()
            .is_some_and(|(last, _)| *last >= key)
        {
            return Err(CodesError::NotAscending);
        }
        Row::decode(value)?;
        self.rows.insert(key, *value);
        Ok(())
    }

    fn commit(self: Box<Self>, state: &ListState) -> Result<(), CodesError> {
        compare(&tally(&self.rows), state)?;
        self.codes.lists().insert(self.list, (*state, self.rows));
        Ok(())
    }
}

fn tally(rows: &Rows) -> Tally {
    let mut tally = Tally::default();
    rows.iter().for_each(|(key, value)| tally.add(key, value));
    tally
}
