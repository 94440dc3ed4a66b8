//! Delivers the journal: in order, again and again until it is acknowledged, deleted only then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::backoff::{Backoff, seed};
use super::client::{LinkError, Transport};
use super::hex;
use super::report::{SyncEvent, chain};
use super::wire::{Acknowledged, Delivered, Delivery, EVENT_BYTES_MAX, EVENTS_MAX};
use super::{Parts, Stop, blocking, stopped};
use crate::store::journal::{Epoch, JournalError, StoredRecord};

/// How often to look without being woken.
const IDLE: Duration = Duration::from_secs(5);

/// Why a delivery came to nothing. Nothing is deleted then.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the answer is no acknowledgement")]
    Nonsense,
    #[error("the acknowledgement is for another gate or another epoch")]
    SomebodyElses,
    #[error("the backend acknowledges {acked}, but {first} to {last} were sent")]
    NotSent { acked: u64, first: u64, last: u64 },
    #[error("the journal cannot be delivered")]
    Journal(#[from] JournalError),
    #[error("the work was cut short")]
    CutShort,
}

/// What a round came to.
enum Round {
    /// Everything is delivered.
    Empty,
    /// Something was delivered: go on at once.
    Delivered,
    /// The backend kept nothing, or another epoch has begun: go on in a while.
    Held,
}

/// When the next turn is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More may be waiting.
    AtOnce,
    /// When the journal has something new, or after so long without a word of it.
    Woken(Duration),
    /// After so long.
    In(Duration),
}

/// Delivers passages until told to stop.
pub async fn deliver<T: Transport>(parts: Arc<Parts<T>>, mut stop: Stop) {
    let wake = Arc::clone(&parts.wake);
    let mut uplink = Uplink::new(parts);
    loop {
        let next = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            next = Box::pin(uplink.turn()) => next,
        };
        let (woken, pause) = match next {
            Next::AtOnce => continue,
            Next::Woken(idle) => (true, idle),
            Next::In(pause) => (false, pause),
        };
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = wake.notified(), if woken => {}
            () = time::sleep(pause) => {}
        }
    }
}

/// The delivery as steps: whoever drives them keeps the time.
pub struct Uplink<T> {
    parts: Arc<Parts<T>>,
    link: Backoff,
    content: Backoff,
    /// What was told last.
    trouble: Option<String>,
    /// A new epoch has begun because the backend lost records; not another one before it takes something.
    rewound: bool,
}

impl<T: Transport> Uplink<T> {
    /// A delivery that has not begun.
    #[must_use]
    pub fn new(parts: Arc<Parts<T>>) -> Self {
        let seed = seed(parts.gate.as_str());
        Self {
            parts,
            link: Backoff::of_link(seed),
            content: Backoff::of_content(seed),
            trouble: None,
            rewound: false,
        }
    }

    /// One round, what is told of it, and when the next is due.
    pub async fn turn(&mut self) -> Next {
        match self.round().await {
            Ok(Round::Delivered) => {
                self.link.reset();
                self.content.reset();
                self.trouble = None;
                self.rewound = false;
                Next::AtOnce
            }
            Ok(Round::Empty) => Next::Woken(IDLE),
            Ok(Round::Held) => Next::In(self.link.wait()),
            Err(Trouble::Link(error)) if error.is_away() => {
                self.parts.report.backend_away(&error).await;
                Next::In(self.link.wait())
            }
            Err(trouble) => {
                let why = chain(&trouble);
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(error = %why, "passages are not delivered; they stay in the journal");
                    self.trouble = Some(why.clone());
                    self.parts
                        .report
                        .send(SyncEvent::DeliveryRefused { why })
                        .await;
                }
                Next::In(self.content.wait())
            }
        }
    }

    async fn round(&mut self) -> Result<Round, Trouble> {
        let journal = self.parts.journal.clone();
        let (epoch, records) = blocking(move || {
            let status = journal.status();
            let records = journal.read(status.acked_seq, EVENTS_MAX, EVENT_BYTES_MAX)?;
            Ok::<_, JournalError>((status.epoch, records))
        })
        .await
        .ok_or(Trouble::CutShort)??;
        let (Some(first), Some(last)) = (
            records.first().map(|record| record.seq),
            records.last().map(|record| record.seq),
        ) else {
            return Ok(Round::Empty);
        };
        let epoch = epoch.to_string();
        let delivery = Delivery {
            gate: self.parts.gate.clone(),
            epoch: epoch.clone(),
            first_seq: first,
            events: records.into_iter().map(event).collect(),
        };
        let body = serde_json::to_vec(&delivery).map_err(|_| Trouble::Nonsense)?;
        let answer = match self.parts.transport.passages(body).await {
            Err(LinkError::Conflict) => return self.begin_epoch().await,
            answer => answer?,
        };
        self.parts.report.backend_answered().await;
        let answer: Acknowledged =
            serde_json::from_slice(&answer).map_err(|_| Trouble::Nonsense)?;
        if (&answer.gate, &answer.epoch) != (&self.parts.gate, &epoch) {
            return Err(Trouble::SomebodyElses);
        }
        let acked = answer.acked_seq;
        let lost = acked.saturating_add(1) < first;
        if acked > last || (lost && self.rewound) {
            return Err(Trouble::NotSent { acked, first, last });
        }
        if lost {
            self.rewound = true;
            return self.begin_again(acked, first).await;
        }
        let records = acked.saturating_add(1).saturating_sub(first);
        if records == 0 {
            return Ok(Round::Held);
        }
        let journal = self.parts.journal.clone();
        blocking(move || journal.acknowledge(acked))
            .await
            .ok_or(Trouble::CutShort)??;
        let seq = acked;
        self.parts
            .report
            .send(SyncEvent::Delivered { seq, records })
            .await;
        Ok(Round::Delivered)
    }

    /// The backend has lost what was deleted here after it had it. Nothing can bring that back; what is still here goes
    /// out under an epoch that does not miss it.
    async fn begin_again(&self, acked: u64, first: u64) -> Result<Round, Trouble> {
        let epoch = self.new_epoch().await?;
        let (from, to) = (acked.saturating_add(1), first.saturating_sub(1));
        tracing::warn!(
            gate = %self.parts.gate, from, to, %epoch,
            "the backend has lost records that it had acknowledged; what is still here goes out under a new epoch"
        );
        self.parts
            .report
            .send(SyncEvent::BackendLost { from, to })
            .await;
        Ok(Round::Held)
    }

    async fn new_epoch(&self) -> Result<Epoch, Trouble> {
        let journal = self.parts.journal.clone();
        Ok(blocking(move || journal.new_epoch())
            .await
            .ok_or(Trouble::CutShort)??)
    }

    /// Somebody else's records lie under our epoch: ours go on under one that is ours alone.
    async fn begin_epoch(&self) -> Result<Round, Trouble> {
        self.parts.report.backend_answered().await;
        let epoch = self.new_epoch().await?;
        tracing::warn!(
            gate = %self.parts.gate, %epoch,
            "the backend has other records under our epoch; what is not acknowledged goes out under a new one"
        );
        self.parts
            .report
            .send(SyncEvent::EpochConflict { epoch })
            .await;
        Ok(Round::Held)
    }
}

fn event(stored: StoredRecord) -> Delivered {
    Delivered {
        seq: stored.seq,
        hash: hex::encode(&stored.hash),
        record: stored.record,
    }
}
