//! Passages: unique by (gate, epoch, seq), in the order of their arrival.
//!
//! A delivery is records in order without a gap, so the order of arrival is kept as runs: number of the first arrival to
//! where it begins and how long it is. That is one row a delivery and not one a record.

use std::path::Path;

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{StoreError, open};
use crate::domain::GateId;
use crate::sync::hex;

type Key<'a> = (&'a str, &'a [u8; 16], u64);
/// Gate, epoch, first sequence number, how many.
type Run<'a> = (&'a str, &'a [u8; 16], u64, u64);

/// Link of the chain, number of arrival, text.
pub(super) const RECORDS: TableDefinition<Key<'_>, (&[u8; 32], u64, &str)> =
    TableDefinition::new("records");
/// Number of the first arrival of a run.
pub(super) const RUNS: TableDefinition<u64, Run<'_>> = TableDefinition::new("runs");
/// One row a record, as it was kept before there were runs.
const ARRIVALS: TableDefinition<u64, Key<'_>> = TableDefinition::new("arrivals");
/// Numbers that will not come: gate, epoch and first number; last number.
const HOLES: TableDefinition<Key<'_>, u64> = TableDefinition::new("holes");
/// Stored, repeated, conflicts.
const COUNTS: TableDefinition<(&str, &[u8; 16]), (u64, u64, u64)> = TableDefinition::new("counts");

/// One record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Arrived {
    /// Its number.
    pub seq: u64,
    /// Its link of the chain.
    pub hash: [u8; 32],
    /// Its JSON text.
    pub record: String,
}

/// One record as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Passage {
    /// Counts arrivals, of all gates, from 1.
    pub number: u64,
    /// Who sent it.
    pub gate: String,
    /// Under which epoch.
    pub epoch: [u8; 16],
    /// The record.
    pub record: Arrived,
}

/// Numbers of a gate's records that are missing: the gate has deleted them after an acknowledgement that this store knows
/// nothing of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Whose.
    pub gate: String,
    /// The epoch whose delivery showed it: 32 hex digits.
    pub epoch: String,
    /// The first number that is missing.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What has come from one gate under one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Different records.
    pub stored: u64,
    /// Records that came again and changed nothing.
    pub repeated: u64,
    /// Deliveries refused because a record is another one.
    pub conflicts: u64,
}

/// The passages of all gates.
pub(in crate::backend) struct Passages(pub(super) Database);

impl Passages {
    pub(in crate::backend) fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::of(open(dir, "passages.redb")?)
    }

    /// The same on a database of the caller's.
    pub(in crate::backend) fn of(db: Database) -> Result<Self, StoreError> {
        let transaction = db.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(COUNTS)?;
        transaction.open_table(HOLES)?;
        {
            let mut runs = transaction.open_table(RUNS)?;
            for row in transaction.open_table(ARRIVALS)?.iter()? {
                let (number, key) = row?;
                let (gate, epoch, seq) = key.value();
                runs.insert(number.value(), (gate, epoch, seq, 1))?;
            }
        }
        transaction.delete_table(ARRIVALS)?;
        transaction.commit()?;
        Ok(Self(db))
    }

    /// Stores a delivery, whole or not at all: records in order, without a gap, each linked to the one before. Durable
    /// when it returns. Gives the hole that it shows for the first time.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] naming the first record that is another one.
    pub(in crate::backend) fn store(
        &self,
        gate: &GateId,
        epoch: &[u8; 16],
        records: &[Arrived],
    ) -> Result<Option<Hole>, StoreError> {
        match self.try_store(gate, epoch, records) {
            Err(StoreError::Conflict { seq }) => {
                self.count_conflict(gate, epoch)?;
                Err(StoreError::Conflict { seq })
            }
            done => done,
        }
    }

    fn try_store(
        &self,
        gate: &GateId,
        epoch: &[u8; 16],
        records: &[Arrived],
    ) -> Result<Option<Hole>, StoreError> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(None);
        };
        let transaction = self.0.begin_write()?;
        let hole = hole_before(&transaction, gate, epoch, records)?;
        let (stored, repeated);
        {
            let mut table = transaction.open_table(RECORDS)?;
            // The first record of an epoch has nothing before it here; any other goes on from its neighbour.
            if let Some(seq) = first.seq.checked_sub(1)
                && let Some(known) = table.get((gate.as_str(), epoch, seq))?
                && link(known.value().0, &first.record) != first.hash
            {
                return Err(StoreError::Conflict { seq: first.seq });
            }
            let all = (gate.as_str(), epoch, first.seq)..=(gate.as_str(), epoch, last.seq);
            let mut known = Vec::new();
            for row in table.range(all)? {
                let (key, value) = row?;
                let seq = key.value().2;
                let at = usize::try_from(seq.saturating_sub(first.seq)).unwrap_or(usize::MAX);
                if records
                    .get(at)
                    .is_none_or(|record| record.hash != *value.value().0)
                {
                    return Err(StoreError::Conflict { seq });
                }
                known.push(at);
            }
            let mut runs = transaction.open_table(RUNS)?;
            let mut number = runs.last()?.map_or(1, |(number, run)| {
                number.value().saturating_add(run.value().3)
            });
            // What is here already is mostly nothing, or a beginning; what is between is new.
            let mut begin = 0;
            for end in known.iter().copied().chain([records.len()]) {
                let new = records.get(begin..end).unwrap_or_default();
                begin = end.saturating_add(1);
                if let Some(record) = new.first() {
                    let run = (gate.as_str(), epoch, record.seq, new.len() as u64);
                    runs.insert(number, run)?;
                }
                for record in new {
                    let key = (gate.as_str(), epoch, record.seq);
                    table.insert(key, (&record.hash, number, record.record.as_str()))?;
                    number = number.saturating_add(1);
                }
            }
            repeated = known.len() as u64;
            stored = (records.len() as u64).saturating_sub(repeated);
            let mut counts = transaction.open_table(COUNTS)?;
            let key = (gate.as_str(), epoch);
            let (s, r, c) = counts.get(key)?.map_or((0, 0, 0), |counts| counts.value());
            counts.insert(
                key,
                (s.saturating_add(stored), r.saturating_add(repeated), c),
            )?;
        }
        transaction.commit()?;
        Ok(hole)
    }

    /// The holes of all gates, at most `max`.
    pub(in crate::backend) fn holes(&self, max: usize) -> Result<Vec<Hole>, StoreError> {
        let holes = self.0.begin_read()?.open_table(HOLES)?;
        let mut found = Vec::new();
        for row in holes.iter()?.take(max) {
            let (key, to) = row?;
            let (gate, epoch, from) = key.value();
            found.push(hole(gate, epoch, from, to.value()));
        }
        Ok(found)
    }

    fn count_conflict(&self, gate: &GateId, epoch: &[u8; 16]) -> Result<(), StoreError> {
        let transaction = self.0.begin_write()?;
        {
            let mut counts = transaction.open_table(COUNTS)?;
            let key = (gate.as_str(), epoch);
            let (s, r, c) = counts.get(key)?.map_or((0, 0, 0), |counts| counts.value());
            counts.insert(key, (s, r, c.saturating_add(1)))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// What has come from a gate, epoch by epoch.
    pub(in crate::backend) fn counts(
        &self,
        gate: &GateId,
    ) -> Result<Vec<([u8; 16], Counts)>, StoreError> {
        let counts = self.0.begin_read()?.open_table(COUNTS)?;
        let all = (gate.as_str(), &[0; 16])..=(gate.as_str(), &[0xFF; 16]);
        let mut found = Vec::new();
        for row in counts.range(all)? {
            let (key, counts) = row?;
            let (stored, repeated, conflicts) = counts.value();
            let counts = Counts {
                stored,
                repeated,
                conflicts,
            };
            found.push((*key.value().1, counts));
        }
        Ok(found)
    }
}

fn hole(gate: &str, epoch: &[u8; 16], from: u64, to: u64) -> Hole {
    Hole {
        gate: gate.to_owned(),
        epoch: hex::encode(epoch),
        from,
        to,
    }
}

/// The hole before a delivery, if there is one and it is not kept already.
fn hole_before(
    transaction: &WriteTransaction,
    gate: &GateId,
    epoch: &[u8; 16],
    records: &[Arrived],
) -> Result<Option<Hole>, StoreError> {
    let Some(first) = records.first().filter(|first| first.seq > 1) else {
        return Ok(None);
    };
    let table = transaction.open_table(RECORDS)?;
    let gate = gate.as_str();
    let before = first.seq.saturating_sub(1);
    // A repeat, or the ordinary case.
    if table.get((gate, epoch, first.seq))?.is_some() || table.get((gate, epoch, before))?.is_some()
    {
        return Ok(None);
    }
    let mut known = 0;
    let mut epochs = Vec::new();
    for row in transaction
        .open_table(COUNTS)?
        .range((gate, &[0; 16])..=(gate, &[0xFF; 16]))?
    {
        epochs.push(*row?.0.value().1);
    }
    for other in &epochs {
        let mut earlier = table.range((gate, other, 0)..=(gate, other, before))?;
        let Some(row) = earlier.next_back() else {
            continue;
        };
        let (key, record) = row?;
        let seq = key.value().2;
        // A new epoch goes on from the old one, by number and chain.
        if seq == before && link(record.value().0, &first.record) == first.hash {
            return Ok(None);
        }
        known = known.max(if seq == before { 0 } else { seq });
    }
    let from = known.saturating_add(1);
    transaction
        .open_table(HOLES)?
        .insert((gate, epoch, from), before)?;
    Ok(Some(hole(gate, epoch, from, before)))
}

/// The link of the chain that `text` makes.
pub(in crate::backend) fn link(before: &[u8; 32], text: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(before)
        .chain_update(text)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::store::search::Wanted;

    fn of(gate: &GateId) -> Wanted {
        Wanted {
            gate: Some(gate.clone()),
            ..Wanted::default()
        }
    }

    fn records(texts: &[&str], first: u64, mut before: [u8; 32]) -> Vec<Arrived> {
        let record = |(seq, text): (u64, &&str)| {
            before = link(&before, text);
            let record = (*text).to_owned();
            Arrived {
                seq,
                hash: before,
                record,
            }
        };
        (first..).zip(texts).map(record).collect()
    }

    #[test]
    fn a_repeat_changes_nothing_and_another_record_is_refused_whole() {
        let dir = tempfile::tempdir().unwrap();
        let passages = Passages::open(dir.path()).unwrap();
        let (gate, epoch) = (GateId::new("gate-1").unwrap(), [7; 16]);
        let sent = records(&["{}", r#"{"a":1}"#], 1, [0; 32]);
        passages.store(&gate, &epoch, &sent).unwrap();
        passages.store(&gate, &epoch, &sent).unwrap();
        let other = records(&["{}", r#"{"a":2}"#, "{}"], 1, [0; 32]);
        let refused = passages.store(&gate, &epoch, &other);
        assert!(matches!(refused, Err(StoreError::Conflict { seq: 2 })));
        // A chain that does not go on from what is here.
        let forked = records(&["{}"], 3, [9; 32]);
        let refused = passages.store(&gate, &epoch, &forked);
        assert!(matches!(refused, Err(StoreError::Conflict { seq: 3 })));
        let counts = Counts {
            stored: 2,
            repeated: 2,
            conflicts: 2,
        };
        assert_eq!(passages.counts(&gate).unwrap(), [(epoch, counts)]);
        let (read, looked) = passages.after(&of(&gate), 0, 10).unwrap();
        assert_eq!(looked, 2);
        assert_eq!(
            read.iter().map(|p| p.record.clone()).collect::<Vec<_>>(),
            sent
        );
        assert_eq!(
            passages.after(&Wanted::default(), 1, 10).unwrap().0.len(),
            1
        );
        let stranger = GateId::new("gate-2").unwrap();
        assert!(passages.after(&of(&stranger), 0, 10).unwrap().0.is_empty());
    }

    #[test]
    fn a_delivery_after_a_loss_is_taken_and_the_hole_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let passages = Passages::open(dir.path()).unwrap();
        let gate = GateId::new("gate-1").unwrap();
        let all = records(&["{}"; 20], 1, [0; 32]);
        let store = |epoch: u8, from: usize, to: usize| {
            let hole = passages.store(&gate, &[epoch; 16], &all[from - 1..to]);
            hole.unwrap().map(|hole| (hole.from, hole.to))
        };
        assert_eq!(store(1, 1, 5), None);
        // Numbers 6 to 9 were here before this store was restored.
        assert_eq!(store(1, 10, 12), Some((6, 9)));
        assert_eq!(store(1, 10, 12), None, "a repeat");
        assert_eq!(store(1, 13, 14), None, "it goes on");
        // A new epoch that goes on from the old one, and one that does not.
        assert_eq!(store(2, 15, 16), None);
        assert_eq!(store(3, 19, 20), Some((17, 18)));
        let kept = passages.holes(10).unwrap();
        let kept: Vec<_> = kept.iter().map(|hole| (hole.from, hole.to)).collect();
        assert_eq!(kept, [(6, 9), (17, 18)]);
        assert_eq!(passages.holes(1).unwrap().len(), 1);
    }

    #[test]
    fn a_new_epoch_starts_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let passages = Passages::open(dir.path()).unwrap();
        let gate = GateId::new("gate-1").unwrap();
        passages
            .store(&gate, &[1; 16], &records(&["{}"], 1, [0; 32]))
            .unwrap();
        passages
            .store(&gate, &[2; 16], &records(&["{}", "{}"], 40, [5; 32]))
            .unwrap();
        assert_eq!(
            passages.after(&Wanted::default(), 0, 10).unwrap().0.len(),
            3
        );
    }
}
