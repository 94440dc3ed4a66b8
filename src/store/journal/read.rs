//! Handing records to the backend, and letting go of what it has.

use redb::ReadableTable;

use super::append::link;
use super::open::random_epoch;
use super::tables::{Head, META, RECORDS, Stored};
use super::{Epoch, Journal, JournalError, StoredRecord};

/// Records deleted in one transaction, so that a grant never waits long for an acknowledgement.
const ACK_RECORDS: u64 = 500;

/// What [`Journal::verify`] found in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// Link of the last one.
    pub last_hash: [u8; 32],
}

impl Journal {
    /// Records after `after_seq` in order, at most `max_records` and about `max_bytes` of text, but always one if
    /// there is one. What is acknowledged already is not there any more.
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

    /// The backend has everything up to `seq`: it is deleted here. What was acknowledged before is no error.
    ///
    /// # Errors
    /// [`JournalError::AckPastEnd`] for what was never appended; nothing is deleted then.
    pub fn acknowledge(&self, seq: u64) -> Result<(), JournalError> {
        loop {
            let done = self.write(|transaction, head| {
                let last = head.next_seq.saturating_sub(1);
                if seq > last {
                    return Err(JournalError::AckPastEnd { acked: seq, last });
                }
                if seq <= head.acked_seq {
                    return Ok(true);
                }
                let through = seq.min(head.acked_seq.saturating_add(ACK_RECORDS));
                let mut records = transaction.open_table(RECORDS)?;
                while let Some(stored) = next_through(&mut records, through)? {
                    let stored = Stored::decode(&stored)?;
                    head.record_bytes = head.record_bytes.saturating_sub(stored.cost());
                    head.acked_hash = *stored.hash;
                }
                head.acked_seq = through;
                head.oldest_utc = match records.first()? {
                    Some((_, stored)) => Stored::decode(stored.value())?.utc,
                    None => None,
                };
                Ok(through == seq)
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// The backend says that this epoch is not ours alone: what is not acknowledged gets a new one. Sequence numbers
    /// and chain go on.
    ///
    /// # Errors
    /// [`JournalError::Failed`]; the epoch stays.
    pub fn new_epoch(&self) -> Result<Epoch, JournalError> {
        let epoch = random_epoch()?;
        self.write(|_, head| {
            head.epoch = epoch;
            Ok(epoch)
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
            let mut last_hash = head.acked_hash;
            let mut expected = head.acked_seq;
            for row in transaction.open_table(RECORDS)?.iter()? {
                let (seq, stored) = row?;
                let stored = Stored::decode(stored.value())?;
                expected = expected.saturating_add(1);
                if seq.value() != expected || link(&last_hash, stored.text) != *stored.hash {
                    return Err(broken(seq.value()));
                }
                last_hash = *stored.hash;
            }
            if last_hash != head.last_hash || expected.saturating_add(1) != head.next_seq {
                return Err(broken(head.next_seq));
            }
            Ok(Verified {
                records: expected.saturating_sub(head.acked_seq),
                last_hash,
            })
        })
    }
}

/// Takes the first record out if its number is at most `through`.
fn next_through(
    records: &mut redb::Table<'_, u64, &'static [u8]>,
    through: u64,
) -> Result<Option<Vec<u8>>, JournalError> {
    match records.first()? {
        Some((seq, _)) if seq.value() <= through => {}
        Some(_) | None => return Ok(None),
    }
    Ok(records
        .pop_first()?
        .map(|(_, stored)| stored.value().to_vec()))
}
