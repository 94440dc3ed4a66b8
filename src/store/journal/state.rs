//! What must survive the loss of everything else: codes seen, people passed, the fire latch, floors.

use std::time::Duration;

use redb::{ReadableTable, WriteTransaction};

use super::tables::{
    DOCUMENTS, FLOORS, Head, PASSED, SEEN, STAFF_MODES, direction_byte, mode_byte, passback_bytes,
};
use super::{Journal, JournalError};
use crate::domain::{Direction, PassbackKey, StaffMode, StateChange, Utc};

/// Rows deleted in one transaction, so that a grant never waits long for a clean-up.
const PRUNE_ROWS: usize = 500;

/// Keys of codes and of people that can go.
#[derive(Default)]
struct Expired {
    codes: Vec<[u8; 32]>,
    people: Vec<Vec<u8>>,
}

pub(super) fn apply(
    transaction: &WriteTransaction,
    head: &mut Head,
    changes: &[StateChange],
) -> Result<(), JournalError> {
    for change in changes {
        let grown = match change {
            StateChange::Seen { key, until } => {
                let mut seen = transaction.open_table(SEEN)?;
                let old = seen.insert(&key.0, until.as_millis())?;
                i64::from(old.is_none())
            }
            StateChange::Unseen { key } => {
                let mut seen = transaction.open_table(SEEN)?;
                let old = seen.remove(&key.0)?;
                -i64::from(old.is_some())
            }
            StateChange::Passed { key, direction, at } => {
                set_passed(transaction, key, Some((*direction, *at)))?
            }
            StateChange::PassedBack { key, before } => set_passed(transaction, key, *before)?,
            StateChange::FireLatched(latched) => {
                head.fire_latched = *latched;
                0
            }
            StateChange::StaffMode { lane, wanted } => {
                let mut modes = transaction.open_table(STAFF_MODES)?;
                let had = match wanted {
                    Some(StaffMode { mode, by, until }) => {
                        let until = until.map(Utc::as_millis);
                        modes.insert(lane.as_str(), (mode_byte(*mode), until, *by))?
                    }
                    None => modes.remove(lane.as_str())?,
                };
                i64::from(wanted.is_some()) - i64::from(had.is_some())
            }
        };
        head.state_rows = head.state_rows.saturating_add_signed(grown);
    }
    Ok(())
}

fn set_passed(
    transaction: &WriteTransaction,
    key: &PassbackKey,
    to: Option<(Direction, Utc)>,
) -> Result<i64, JournalError> {
    let mut passed = transaction.open_table(PASSED)?;
    let key = passback_bytes(key);
    let was = match to {
        Some((way, at)) => passed
            .insert(key.as_slice(), (direction_byte(way), at.as_millis()))?
            .is_some(),
        None => passed.remove(key.as_slice())?.is_some(),
    };
    Ok(i64::from(to.is_some()) - i64::from(was))
}

impl Journal {
    /// The highest accepted (era, version) of a list, trust list or directive.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn floor(&self, name: &str) -> Result<Option<(u32, u64)>, JournalError> {
        self.read_with(|transaction| {
            let floors = transaction.open_table(FLOORS)?;
            Ok(floors.get(name)?.map(|floor| floor.value()))
        })
    }

    /// Raises a floor; one that is as high already stays. True if it was raised.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn raise_floor(&self, name: &str, era: u32, version: u64) -> Result<bool, JournalError> {
        if self.floor(name)? >= Some((era, version)) {
            return Ok(false);
        }
        self.write(|transaction, _| {
            let mut floors = transaction.open_table(FLOORS)?;
            let old = floors.get(name)?.map(|floor| floor.value());
            if old >= Some((era, version)) {
                return Ok(false);
            }
            floors.insert(name, (era, version))?;
            Ok(true)
        })
    }

    /// Keeps a signed document under the name of its floor, which it raises, in one transaction; a version that is not
    /// above the floor changes nothing. True if it was kept.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn keep_document(
        &self,
        name: &str,
        (era, version): (u32, u64),
        document: &[u8],
    ) -> Result<bool, JournalError> {
        self.write(|transaction, _| {
            let mut floors = transaction.open_table(FLOORS)?;
            let old = floors.get(name)?.map(|floor| floor.value());
            if old >= Some((era, version)) {
                return Ok(false);
            }
            floors.insert(name, (era, version))?;
            let mut documents = transaction.open_table(DOCUMENTS)?;
            documents.insert(name, document)?;
            Ok(true)
        })
    }

    /// The document that was kept under this name.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.read_with(|transaction| {
            let documents = transaction.open_table(DOCUMENTS)?;
            Ok(documents
                .get(name)?
                .map(|document| document.value().to_vec()))
        })
    }

    /// The date is not before this: a signed `created` says so. Never lowers.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn raise_clock_floor(&self, to: Utc) -> Result<(), JournalError> {
        self.write(|_, head| {
            head.clock_floor = head.clock_floor.max(Some(to));
            Ok(())
        })
    }

    /// Forgets codes that have expired, passages older than `remember`, and acknowledged records that have been kept for
    /// long enough. Gives how many rows went.
    ///
    /// # Errors
    /// [`JournalError::Failed`]; what went until then is gone.
    pub fn prune(&self, now: Utc, remember: Duration) -> Result<usize, JournalError> {
        let now_ms = now.as_millis();
        let passed_before = (now - remember).as_millis();
        let mut pruned = self.let_go_before(now - self.0.limits.keep)?;
        let mut last = Expired::default();
        loop {
            let found = self.expired(now_ms, passed_before, &last)?;
            if found.codes.is_empty() && found.people.is_empty() {
                return Ok(pruned);
            }
            pruned += self.write(|transaction, head| {
                let mut gone = 0;
                let mut table = transaction.open_table(SEEN)?;
                for key in &found.codes {
                    // It may have been seen again since.
                    let still = table.get(key)?.is_some_and(|until| until.value() < now_ms);
                    gone += usize::from(still && table.remove(key)?.is_some());
                }
                drop(table);
                let mut table = transaction.open_table(PASSED)?;
                for key in &found.people {
                    let key = key.as_slice();
                    let still = table
                        .get(key)?
                        .is_some_and(|value| value.value().1 < passed_before);
                    gone += usize::from(still && table.remove(key)?.is_some());
                }
                head.state_rows = head.state_rows.saturating_sub(gone as u64);
                Ok(gone)
            })?;
            last = found;
        }
    }

    /// The next keys after the `last` ones, not too many. A table that gave no key the last time is through.
    fn expired(
        &self,
        now_ms: u64,
        passed_before: u64,
        last: &Expired,
    ) -> Result<Expired, JournalError> {
        let first = last.codes.is_empty() && last.people.is_empty();
        self.read_with(|transaction| {
            let mut found = Expired::default();
            if first || !last.codes.is_empty() {
                let from = last.codes.last().copied().unwrap_or_default();
                for row in transaction.open_table(SEEN)?.range::<&[u8; 32]>(&from..)? {
                    let (key, until) = row?;
                    if until.value() < now_ms {
                        found.codes.push(*key.value());
                    }
                    if found.codes.len() == PRUNE_ROWS {
                        break;
                    }
                }
            }
            if first || !last.people.is_empty() {
                let from = last.people.last().map(Vec::as_slice).unwrap_or_default();
                for row in transaction.open_table(PASSED)?.range::<&[u8]>(from..)? {
                    let (key, value) = row?;
                    if value.value().1 < passed_before {
                        found.people.push(key.value().to_vec());
                    }
                    if found.people.len() == PRUNE_ROWS {
                        break;
                    }
                }
            }
            Ok(found)
        })
    }
}
