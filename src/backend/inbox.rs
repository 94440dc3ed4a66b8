//! What the backend does with deliveries and claims, without HTTP and on any storage: the simulator's backend.

use redb::{Builder, StorageBackend};

use super::http::claims::{Answer, answer, checked};
use super::http::passages::take;
use super::store::claims::{Claims, Order};
use super::store::passages::Passages;
use super::store::search::Wanted;
use super::{Counts, StoreError};
use crate::domain::{GateId, Utc};
use crate::sync::claim_wire::ClaimAsked;
use crate::sync::hex;

/// One record as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Life of the gate's journal.
    pub epoch: [u8; 16],
    /// Its number in that life.
    pub seq: u64,
    /// Its JSON text.
    pub record: String,
}

/// The passages of all gates.
pub struct Inbox(Passages);

impl Inbox {
    /// Opens what lies in `storage`; an empty one is made ready.
    ///
    /// # Errors
    /// [`StoreError`] if it holds something else, or fails.
    pub fn open(storage: impl StorageBackend) -> Result<Self, StoreError> {
        let db = Builder::new()
            .set_cache_size(1 << 20)
            .create_with_backend(storage)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Passages::of(db).map(Self)
    }

    /// `POST /v1/passages`: the answer, or the status of the refusal.
    ///
    /// # Errors
    /// The HTTP status that the gate would see.
    pub fn take(&self, body: &[u8]) -> Result<Vec<u8>, u16> {
        let delivery = serde_json::from_slice(body).map_err(|_| 400u16)?;
        let acknowledged = take(&self.0, delivery).map_err(|refusal| refusal.0.as_u16())?;
        serde_json::to_vec(&acknowledged).map_err(|_| 500)
    }

    /// What has come from a gate, epoch by epoch.
    ///
    /// # Errors
    /// [`StoreError`] if the storage fails.
    pub fn counts(&self, gate: &GateId) -> Result<Vec<([u8; 16], Counts)>, StoreError> {
        self.0.counts(gate)
    }

    /// What has come from a gate after arrival `after`, in the order of arrival, and where to go on.
    ///
    /// # Errors
    /// [`StoreError`] if the storage fails.
    pub fn received(
        &self,
        gate: &GateId,
        after: u64,
        max: usize,
    ) -> Result<(Vec<Received>, u64), StoreError> {
        let wanted = Wanted {
            gate: Some(gate.clone()),
            ..Wanted::default()
        };
        let (found, looked) = self.0.after(&wanted, after, max)?;
        let received = |passage: super::store::passages::Passage| Received {
            epoch: passage.epoch,
            seq: passage.record.seq,
            record: passage.record.record,
        };
        Ok((found.into_iter().map(received).collect(), looked))
    }
}

/// The claims of all gates.
pub struct ClaimDesk(Claims);

impl ClaimDesk {
    /// Opens what lies in `storage`; an empty one is made ready.
    ///
    /// # Errors
    /// [`StoreError`] if it holds something else, or fails.
    pub fn open(storage: impl StorageBackend) -> Result<Self, StoreError> {
        let db = Builder::new()
            .set_cache_size(1 << 20)
            .create_with_backend(storage)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Claims::of(db).map(Self)
    }

    /// `POST /v1/claims` at `now`: the body of the answer, `Ok` if the claim is theirs and `Err` if somebody was first.
    ///
    /// # Errors
    /// The HTTP status of any other refusal that the gate would see.
    pub fn claim(&self, now: Utc, body: &[u8]) -> Result<Result<Vec<u8>, Vec<u8>>, u16> {
        let asked: ClaimAsked = serde_json::from_slice(body).map_err(|_| 400u16)?;
        let order = checked(&asked).map_err(|refusal| refusal.0.as_u16())?;
        let said = self.0.carry_out(now, &[Order::Claim(order)]);
        let said = said.map_err(|_| 500u16)?.pop().ok_or(500u16)?;
        match answer(asked, said).map_err(|refusal| refusal.0.as_u16())? {
            Answer::Won(won) => serde_json::to_vec(&won).map(Ok),
            Answer::Taken(taken) => serde_json::to_vec(&taken).map(Err),
        }
        .map_err(|_| 500)
    }

    /// `DELETE /v1/claims/{id}` of a gate, at `now`.
    ///
    /// # Errors
    /// The HTTP status that the gate would see.
    pub fn take_back(&self, now: Utc, gate: &GateId, id: &str) -> Result<(), u16> {
        let id = hex::decode(id).ok_or(400u16)?;
        let order = Order::TakeBack(gate.clone(), id);
        self.0.carry_out(now, &[order]).map_err(|_| 500u16)?;
        Ok(())
    }
}
