//! Sends records until the backend has acknowledged them. The journal is the queue: nothing is taken out of it before.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::client::{CALL_TIME, Client, ClientError};
use super::hex::Hex;
use super::{Link, SyncEvent};
use crate::domain::GateId;
use crate::store::journal::{Journal, JournalError};

/// Records of one call.
pub const BATCH_RECORDS_MAX: usize = 500;
/// Bytes of records of one call.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Look again even if nobody says that there is something: a wake-up may have been missed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Body of `POST /v1/passages`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Who sends.
    pub gate: GateId,
    /// Life of its journal.
    pub epoch: Hex<16>,
    /// Number of the first event.
    pub first_seq: u64,
    /// Records in their order, without a gap.
    pub events: Vec<Event>,
}

/// One record on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its number in the epoch.
    pub seq: u64,
    /// SHA-256(hash of the record before, record): 32 zero bytes stand before the first.
    pub hash: Hex<32>,
    /// The record as the journal has it, JSON in a string: the hash is over these bytes.
    pub record: String,
}

/// Answer of `POST /v1/passages`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Everything up to here is kept.
    pub acked_seq: u64,
}

/// The sending half of one gate.
pub struct Uplink {
    /// Who sends.
    pub gate: GateId,
    /// The backend.
    pub client: Client,
    /// What to send.
    pub journal: Journal,
    /// Rung when there is something to send.
    pub wake: Arc<Notify>,
    /// Who is told.
    pub link: Arc<Link>,
}

/// Why a batch is not acknowledged.
#[derive(Debug, thiserror::Error)]
enum UplinkError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the backend acknowledged record {acked}, {last} is the last one sent")]
    PastSent { acked: u64, last: u64 },
    #[error("a task of the uplink broke off")]
    Broke,
}

impl Uplink {
    /// Sends for ever. The caller drops the future to end it.
    pub async fn run(self) {
        let mut wait = WAIT_MIN;
        let mut failing = false;
        loop {
            match self.send_one_batch().await {
                Ok(0) => {
                    (failing, wait) = (false, WAIT_MIN);
                    let _ = tokio::time::timeout(LOOK_AGAIN, self.wake.notified()).await;
                }
                Ok(records) => {
                    (failing, wait) = (false, WAIT_MIN);
                    self.link.set(true).await;
                    self.link.tell(SyncEvent::Delivered { records }).await;
                }
                Err(UplinkError::Client(ClientError::Status(StatusCode::CONFLICT))) => {
                    self.conflict().await
                }
                Err(error) => {
                    let away = matches!(error, UplinkError::Client(ClientError::Away(_)));
                    if away {
                        self.link.set(false).await;
                    } else if !failing {
                        tracing::warn!(%error, "passages are not taken; they stay in the journal");
                    }
                    failing = true;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    /// Gives how many records were acknowledged; 0 if there is nothing to send.
    async fn send_one_batch(&self) -> Result<u64, UplinkError> {
        let journal = self.journal.clone();
        let (status, records) = blocking(move || {
            let status = journal.status();
            let records = journal.read(status.acked_seq, BATCH_RECORDS_MAX, BATCH_BYTES_MAX)?;
            Ok::<_, JournalError>((status, records))
        })
        .await??;
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(0);
        };
        let (first_seq, last_seq) = (first.seq, last.seq);
        let batch = Batch {
            gate: self.gate.clone(),
            epoch: Hex(status.epoch.0),
            first_seq,
            events: records
                .into_iter()
                .map(|record| Event {
                    seq: record.seq,
                    hash: Hex(record.hash),
                    record: record.record,
                })
                .collect(),
        };
        let answer = self
            .client
            .post("v1/passages", &batch, 4_096, CALL_TIME)
            .await?;
        let Acknowledged { acked_seq } = serde_json::from_slice(&answer)
            .map_err(|error| ClientError::Nonsense(error.to_string()))?;
        if acked_seq > last_seq {
            return Err(UplinkError::PastSent {
                acked: acked_seq,
                last: last_seq,
            });
        }
        if acked_seq < first_seq {
            return Err(
                ClientError::Nonsense("it acknowledged nothing of what was sent".into()).into(),
            );
        }
        let journal = self.journal.clone();
        blocking(move || journal.acknowledge(acked_seq)).await??;
        Ok(acked_seq - first_seq + 1)
    }

    /// Somebody else has written under our epoch: the card was cloned, or restored from an old copy. What is not
    /// acknowledged is sent again under a new one.
    async fn conflict(&self) {
        let journal = self.journal.clone();
        match blocking(move || journal.new_epoch()).await {
            Ok(Ok(epoch)) => {
                tracing::error!(%epoch, "the backend holds other records under our epoch; a new one begins");
                self.link.tell(SyncEvent::EpochConflict).await;
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a new epoch cannot be written");
                tokio::time::sleep(WAIT_MAX).await;
            }
            Err(_) => tokio::time::sleep(WAIT_MAX).await,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, UplinkError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| UplinkError::Broke)
}
