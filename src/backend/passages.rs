//! Records of gates: kept once, whatever is sent again.

use redb::{ReadableDatabase as _, ReadableTable as _};
use sha2::{Digest as _, Sha256};

use super::store::{PASSAGES, Store, StoreError};
use crate::domain::GateId;
use crate::sync::hex::Hex;
use crate::sync::passages::{BATCH_RECORDS_MAX, Batch};

/// Why a batch is refused. It is refused whole.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The same number with another content: two journals write under one epoch.
    #[error("record {0} is known with another content")]
    Conflict(u64),
    /// Numbers with a gap, a chain that breaks, too many records, records that are no JSON.
    #[error("{0}")]
    Malformed(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Everything up to here is kept.
    pub acked_seq: u64,
    /// Records that were known already.
    pub repeats: u64,
}

/// Keeps a batch. A repeat changes nothing.
///
/// # Errors
/// [`BatchError`]; nothing of the batch is kept then.
pub fn keep(store: &Store, batch: &Batch) -> Result<Kept, BatchError> {
    check(batch)?;
    let begin = || store.db.begin_write().map_err(StoreError::from);
    let transaction = begin()?;
    let mut kept = Kept {
        acked_seq: batch.first_seq.saturating_sub(1),
        repeats: 0,
    };
    {
        let mut passages = transaction.open_table(PASSAGES).map_err(StoreError::from)?;
        for event in &batch.events {
            let key = (batch.gate.as_str(), batch.epoch.0, event.seq);
            let known = passages
                .get(key)
                .map_err(StoreError::from)?
                .map(|known| known.value().0);
            match known {
                Some(hash) if hash != event.hash.0 => return Err(BatchError::Conflict(event.seq)),
                Some(_) => kept.repeats += 1,
                None => {
                    passages
                        .insert(key, (event.hash.0, event.record.as_str()))
                        .map_err(StoreError::from)?;
                }
            }
            kept.acked_seq = event.seq;
        }
    }
    transaction.commit().map_err(StoreError::from)?;
    Ok(kept)
}

/// Numbers follow each other, each record is JSON, and each hash chains to the one before it in the batch.
fn check(batch: &Batch) -> Result<(), BatchError> {
    let malformed = |sentence: String| Err(BatchError::Malformed(sentence));
    if batch.events.is_empty() || batch.events.len() > BATCH_RECORDS_MAX {
        return malformed(format!(
            "a batch has 1 to {BATCH_RECORDS_MAX} events, this has {}",
            batch.events.len()
        ));
    }
    let mut before: Option<[u8; 32]> = (batch.first_seq == 1).then_some([0; 32]);
    for (seq, event) in (batch.first_seq..).zip(&batch.events) {
        if event.seq != seq {
            return malformed(format!("event {} stands where {seq} belongs", event.seq));
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(&event.record).is_err() {
            return malformed(format!("record {seq} is no JSON"));
        }
        if let Some(before) = before {
            let hash: [u8; 32] = Sha256::new()
                .chain_update(before)
                .chain_update(&event.record)
                .finalize()
                .into();
            if hash != event.hash.0 {
                return malformed(format!(
                    "the hash of record {seq} does not follow from the one before"
                ));
            }
        }
        before = Some(event.hash.0);
    }
    Ok(())
}

/// One kept record.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Passage {
    /// Epoch it belongs to.
    pub epoch: Hex<16>,
    /// Its number in it.
    pub seq: u64,
    /// The record.
    pub record: serde_json::Value,
}

/// Records of a gate in order of epoch and number, at most `limit`, after (epoch, seq) where one is given.
///
/// # Errors
/// [`StoreError`].
pub fn of_gate(
    store: &Store,
    gate: &GateId,
    after: Option<(Hex<16>, u64)>,
    limit: usize,
) -> Result<Vec<Passage>, StoreError> {
    let transaction = store.db.begin_read()?;
    let passages = transaction.open_table(PASSAGES)?;
    let (epoch, seq) = after.map_or(([0; 16], 0), |(epoch, seq)| {
        (epoch.0, seq.saturating_add(1))
    });
    let mut found = Vec::new();
    let range = (gate.as_str(), epoch, seq)..=(gate.as_str(), [0xFF; 16], u64::MAX);
    for entry in passages.range(range)?.take(limit) {
        let (key, value) = entry?;
        let (_, epoch, seq) = key.value();
        let record = serde_json::from_str(value.value().1)?;
        found.push(Passage {
            epoch: Hex(epoch),
            seq,
            record,
        });
    }
    Ok(found)
}
