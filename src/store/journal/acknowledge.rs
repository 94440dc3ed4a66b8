//! Letting go of what the backend has: noted at once, deleted when nobody wants it any more or its room is needed.

use std::sync::atomic::Ordering;

use redb::{Durability, ReadableTable as _, Table, WriteTransaction};

use super::open::random_epoch;
use super::tables::{Head, RECORDS, Stored};
use super::{Epoch, Journal, JournalError};
use crate::domain::Utc;

/// Records acknowledged or deleted in one transaction, so that a grant never waits long for it.
const RECORDS_MAX: u64 = 4_000;
/// Acknowledgements of so many records may wait for the next record to be synced.
const UNSYNCED_MAX: u64 = 20_000;
/// Records deleted to make room for a group: more than come with it, so that it is not needed every time.
const ROOM_RECORDS: u64 = 1_000;

type Records<'a> = Table<'a, u64, &'static [u8]>;

impl Journal {
    /// The backend has everything up to `seq`. What was acknowledged before is no error. It is in force at once and
    /// durable with the next record: a power cut in between only means that the backend gets some records again.
    ///
    /// # Errors
    /// [`JournalError::AckPastEnd`] for what was never appended; nothing is let go then.
    pub fn acknowledge(&self, seq: u64) -> Result<(), JournalError> {
        let keep = !self.0.limits.keep.is_zero();
        loop {
            let unsynced = self.0.unsynced.fetch_add(RECORDS_MAX, Ordering::Relaxed);
            let durability = if unsynced < UNSYNCED_MAX {
                Durability::None
            } else {
                Durability::Immediate
            };
            let done = self.write_with(durability, |transaction, head| {
                let last = head.next_seq.saturating_sub(1);
                if seq > last {
                    return Err(JournalError::AckPastEnd { acked: seq, last });
                }
                if seq <= head.acked_seq {
                    return Ok(true);
                }
                let through = seq.min(head.acked_seq.saturating_add(RECORDS_MAX));
                let mut records = transaction.open_table(RECORDS)?;
                if keep {
                    keep_through(&records, head, through)?;
                } else {
                    let_go(&mut records, head, through)?;
                }
                head.oldest_utc = match records.get(through.saturating_add(1))? {
                    Some(stored) => Stored::decode(stored.value())?.utc,
                    None => None,
                };
                Ok(through == seq)
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// Deletes acknowledged records from before `until`. Gives how many. A record without a date goes with the next
    /// one that has one.
    ///
    /// # Errors
    /// [`JournalError::Failed`]; what went until then is gone.
    pub(super) fn let_go_before(&self, until: Utc) -> Result<usize, JournalError> {
        let first = self.status().kept_seq;
        loop {
            if !self.has_kept_before(until)? {
                let gone = self.status().kept_seq.saturating_sub(first);
                return Ok(usize::try_from(gone).unwrap_or(usize::MAX));
            }
            self.write(|transaction, head| {
                let end = head
                    .acked_seq
                    .min(head.gone_seq.saturating_add(RECORDS_MAX));
                let mut records = transaction.open_table(RECORDS)?;
                let (mut through, mut dated) = (head.gone_seq, false);
                for row in records.range(head.gone_seq.saturating_add(1)..=end)? {
                    let (seq, stored) = row?;
                    let Some(utc) = Stored::decode(stored.value())?.utc else {
                        continue;
                    };
                    dated = true;
                    if utc >= until {
                        break;
                    }
                    through = seq.value();
                }
                // Undated ones without a date among the next thousands go by themselves.
                if !dated {
                    through = end;
                }
                let_go(&mut records, head, through)
            })?;
        }
    }

    /// True if the first of the kept records with a date is from before `until`, or thousands of them have no date.
    fn has_kept_before(&self, until: Utc) -> Result<bool, JournalError> {
        let status = self.status();
        let end = status
            .acked_seq
            .min(status.kept_seq.saturating_add(RECORDS_MAX));
        self.read_with(|transaction| {
            for row in transaction
                .open_table(RECORDS)?
                .range(status.kept_seq..=end)?
            {
                if let Some(utc) = Stored::decode(row?.1.value())?.utc {
                    return Ok(utc < until);
                }
            }
            Ok(end > status.kept_seq && end < status.acked_seq)
        })
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
            head.epoch_first = head.acked_seq.saturating_add(1);
            Ok(epoch)
        })
    }
}

/// Deletes acknowledged records until `cost` more bytes fit below `bytes_max`.
pub(super) fn make_room(
    transaction: &WriteTransaction,
    head: &mut Head,
    cost: u64,
    bytes_max: u64,
) -> Result<(), JournalError> {
    let mut records = transaction.open_table(RECORDS)?;
    while head.all_bytes().saturating_add(cost) > bytes_max && head.gone_seq < head.acked_seq {
        let through = head
            .acked_seq
            .min(head.gone_seq.saturating_add(ROOM_RECORDS));
        let_go(&mut records, head, through)?;
    }
    Ok(())
}

/// Takes the records up to `through` for acknowledged, and keeps them.
fn keep_through(records: &Records<'_>, head: &mut Head, through: u64) -> Result<(), JournalError> {
    for row in records.range(head.acked_seq.saturating_add(1)..=through)? {
        let (_, cost) = Stored::link_and_cost(row?.1.value())?;
        head.record_bytes = head.record_bytes.saturating_sub(cost);
        head.kept_bytes = head.kept_bytes.saturating_add(cost);
    }
    head.acked_seq = through;
    Ok(())
}

/// Deletes the records up to `through`, acknowledged before or by this.
fn let_go(records: &mut Records<'_>, head: &mut Head, through: u64) -> Result<(), JournalError> {
    if through <= head.gone_seq {
        return Ok(());
    }
    let acked = head.acked_seq;
    let (mut waited, mut kept, mut damaged) = (0u64, 0u64, None);
    head.gone_hash = match records.get(through)? {
        Some(stored) => Stored::link_and_cost(stored.value())?.0,
        None => return Err(JournalError::Failed("a record is missing".into())),
    };
    records.retain_in(..=through, |seq, stored| {
        match Stored::link_and_cost(stored) {
            Ok((_, cost)) if seq <= acked => kept = kept.saturating_add(cost),
            Ok((_, cost)) => waited = waited.saturating_add(cost),
            Err(error) => damaged = Some(error),
        }
        false
    })?;
    if let Some(error) = damaged {
        return Err(error);
    }
    head.kept_bytes = head.kept_bytes.saturating_sub(kept);
    head.record_bytes = head.record_bytes.saturating_sub(waited);
    head.gone_seq = through;
    head.acked_seq = acked.max(through);
    Ok(())
}
