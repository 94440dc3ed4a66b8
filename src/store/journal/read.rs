//! Reading records: for the backend, for an operator, and to see that none is missing.

use redb::ReadableTable;

use super::append::link;
use super::tables::{Head, META, RECORDS, Stored};
use super::{Journal, JournalError, StoredRecord};
use crate::domain::{Kind, Record};

/// What [`Journal::verify`] found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records are here, acknowledged ones included.
    pub records: u64,
    /// Gap records among them.
    pub gaps: u64,
    /// Grants that were given without a record, as the gap records say.
    pub unrecorded: u64,
    /// Link of the last one.
    pub last_hash: [u8; 32],
}

impl Journal {
    /// Records after `after_seq` in order, at most `max_records` and about `max_bytes` of text, but always one if
    /// there is one. What is acknowledged may be there or not.
    ///
    /// # Errors
    /// [`JournalError::Failed`].
    pub fn read(
        &self,
        after_seq: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRecord>, JournalError> {
        self.read_with(|transaction| {
            let mut found: Vec<StoredRecord> = Vec::new();
            let mut bytes: usize = 0;
            let table = transaction.open_table(RECORDS)?;
            for row in table.range(after_seq.saturating_add(1)..)? {
                let (seq, stored) = row?;
                let stored = Stored::decode(stored.value())?;
                bytes = bytes.saturating_add(stored.text.len());
                if !found.is_empty() && (found.len() >= max_records || bytes > max_bytes) {
                    break;
                }
                found.push(StoredRecord {
                    seq: seq.value(),
                    hash: *stored.hash,
                    record: stored.text.to_owned(),
                });
            }
            Ok(found)
        })
    }

    /// Walks the whole chain.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] naming the first record that does not fit.
    pub fn verify(&self) -> Result<Verified, JournalError> {
        let broken = |seq: u64| JournalError::Corrupt {
            path: self.0.source.path().into(),
            what: format!("the chain breaks at record {seq}"),
        };
        self.read_with(|transaction| {
            let head = Head::load(&transaction.open_table(META)?)?
                .ok_or_else(|| JournalError::Failed("it has no head".into()))?;
            let mut last_hash = head.gone_hash;
            let mut expected = head.gone_seq;
            let (mut gaps, mut unrecorded) = (0u64, 0u64);
            for row in transaction.open_table(RECORDS)?.iter()? {
                let (seq, stored) = row?;
                let stored = Stored::decode(stored.value())?;
                expected = expected.saturating_add(1);
                if seq.value() != expected || link(&last_hash, stored.text) != *stored.hash {
                    return Err(broken(seq.value()));
                }
                last_hash = *stored.hash;
                if let Some(count) = gap(stored.text) {
                    gaps = gaps.saturating_add(1);
                    unrecorded = unrecorded.saturating_add(count.into());
                }
            }
            if last_hash != head.last_hash || expected.saturating_add(1) != head.next_seq {
                return Err(broken(head.next_seq));
            }
            Ok(Verified {
                records: expected.saturating_sub(head.gone_seq),
                gaps,
                unrecorded,
                last_hash,
            })
        })
    }
}

/// How many grants a record says were given without one, if that is what it says.
fn gap(text: &str) -> Option<u32> {
    if !text.contains(r#""kind":"gap""#) {
        return None;
    }
    match serde_json::from_str::<Record>(text).ok()?.kind {
        Kind::Gap { unrecorded } => Some(unrecorded),
        Kind::Started { .. }
        | Kind::Decision { .. }
        | Kind::Outcome { .. }
        | Kind::Alarm { .. }
        | Kind::Mode { .. }
        | Kind::Staff { .. }
        | Kind::Directive { .. } => None,
    }
}
