//! Writing records and the state that changes with them.

use redb::WriteTransaction;
use sha2::{Digest as _, Sha256};

use super::tables::{Head, OPEN_GRANTS, RECORDS, Stored, direction_byte, record_cost};
use super::{Journal, JournalError, RECORD_BYTES_MAX};
use super::{acknowledge, state};
use crate::domain::{Entry, Kind, Record, StateChange, Utc, Verdict};

impl Journal {
    /// Writes a group of entries, all or none, and gives the number of the last record. Durable when it returns.
    ///
    /// # Errors
    /// [`JournalError::Full`] if the group does not fit; [`JournalError::Unwritable`] for a record that never will.
    pub fn append(&self, entries: &[Entry]) -> Result<u64, JournalError> {
        let texts = entries.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty() {
            return Ok(self.status().next_seq.saturating_sub(1));
        }
        self.0.source.check_in_place()?;
        let disk_full = self.0.source.is_disk_full(self.0.limits.free_min);
        let waited_for = entries.iter().any(|entry| entry.grant.is_some());
        let limits = self.0.limits;
        self.write(|transaction, head| {
            let bytes_max = if waited_for {
                limits.grants_max()
            } else {
                limits.bytes_max
            };
            let cost: u64 = texts.iter().map(|text| record_cost(text.len())).sum();
            if disk_full || head.bytes().saturating_add(cost) > bytes_max {
                return Err(JournalError::Full {
                    bytes: head.bytes(),
                    bytes_max: limits.bytes_max,
                });
            }
            acknowledge::make_room(transaction, head, cost, limits.bytes_max)?;
            for (entry, text) in entries.iter().zip(&texts) {
                write_record(transaction, head, &entry.record, text)?;
                head.record_bytes = head.record_bytes.saturating_add(record_cost(text.len()));
            }
            note_grants(transaction, head, entries)?;
            let changes: Vec<_> = entries
                .iter()
                .flat_map(|entry| entry.changes.iter().cloned())
                .collect();
            state::apply(transaction, head, &changes)?;
            Ok(head.next_seq.saturating_sub(1))
        })
    }

    /// Keeps state changes whose record cannot be written now, even if the journal is full: a fire stays latched.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn change_state(&self, changes: &[StateChange]) -> Result<(), JournalError> {
        self.0.source.check_in_place()?;
        self.write(|transaction, head| state::apply(transaction, head, changes))
    }
}

fn text(entry: &Entry) -> Result<String, JournalError> {
    let text = serde_json::to_string(&entry.record)
        .map_err(|error| JournalError::Unwritable(error.to_string()))?;
    if text.len() > RECORD_BYTES_MAX {
        return Err(JournalError::Unwritable(format!("{} bytes", text.len())));
    }
    Ok(text)
}

fn write_record(
    transaction: &WriteTransaction,
    head: &mut Head,
    record: &Record,
    text: &str,
) -> Result<(), JournalError> {
    let utc = record.utc_ms.map(Utc::from_millis);
    let hash = link(&head.last_hash, text);
    let stored = Stored {
        hash: &hash,
        utc,
        text,
    };
    transaction
        .open_table(RECORDS)?
        .insert(head.next_seq, stored.encode().as_slice())?;
    if head.next_seq == head.acked_seq.saturating_add(1) {
        head.oldest_utc = utc;
    }
    head.newest_utc = utc;
    head.last_hash = hash;
    head.next_seq = head.next_seq.saturating_add(1);
    head.clock_floor = head.clock_floor.max(utc);
    Ok(())
}

/// The next link of the chain.
pub(super) fn link(before: &[u8; 32], text: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(before)
        .chain_update(text.as_bytes())
        .finalize()
        .into()
}

/// A grant is open from its decision to its outcome.
fn note_grants(
    transaction: &WriteTransaction,
    head: &mut Head,
    entries: &[Entry],
) -> Result<(), JournalError> {
    for Entry { record, .. } in entries {
        match &record.kind {
            Kind::Decision {
                grant: Some(grant),
                verdict: Verdict::Grant,
                direction,
                ..
            } => {
                let lane = record.lane.as_deref().unwrap_or_default();
                let value = (direction_byte(*direction), lane);
                let mut table = transaction.open_table(OPEN_GRANTS)?;
                let added = table.insert(grant.0, value)?.is_none();
                head.state_rows = head.state_rows.saturating_add(u64::from(added));
            }
            Kind::Outcome {
                grant: Some(grant), ..
            } => {
                let mut table = transaction.open_table(OPEN_GRANTS)?;
                let removed = table.remove(grant.0)?.is_some();
                head.state_rows = head.state_rows.saturating_sub(u64::from(removed));
            }
            Kind::Started { .. }
            | Kind::Decision { .. }
            | Kind::Outcome { .. }
            | Kind::Alarm { .. }
            | Kind::Mode { .. }
            | Kind::Staff { .. }
            | Kind::Directive { .. }
            | Kind::Gap { .. } => {}
        }
    }
    Ok(())
}
