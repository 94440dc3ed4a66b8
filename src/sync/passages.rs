//! Delivers the journal: in order, again and again until it is acknowledged, let go only then.
//!
//! One delivery is under way at a time, so that order needs no care; while it is, the next one is read and put together.
//! How much goes into one follows the link: little at first and after a failure, twice as much after each full one that
//! was answered soon. A backlog of days drains fast over a good link, and over a poor one it drains at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::backoff::{Backoff, seed};
use super::client::{LinkError, Transport};
use super::hex;
use super::report::{SyncEvent, chain};
use super::wire::{Acknowledged, Delivered, Delivery, EVENT_BYTES_MAX, EVENTS_MAX};
use super::{Parts, Stop, blocking, stopped};
use crate::store::journal::{Epoch, JournalError, JournalStatus, StoredRecord};

/// How often to look without being woken.
const IDLE: Duration = Duration::from_secs(5);
/// Records of the first delivery, and of the first after a failure.
const EVENTS_FEW: usize = 500;
/// A full delivery that is answered within this may be followed by a larger one.
const SOON: Duration = Duration::from_secs(1);

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
    /// Records of a delivery at most.
    events_max: usize,
    /// What was put together while the last delivery was under way.
    ready: Option<Prepared>,
}

/// A delivery, put together.
struct Prepared {
    epoch: Epoch,
    first: u64,
    last: u64,
    body: Vec<u8>,
    /// It holds as much as it may: there is more.
    is_full: bool,
}

impl Prepared {
    /// True if it is what comes next.
    fn follows(&self, journal: &JournalStatus) -> bool {
        self.epoch == journal.epoch && self.first == journal.first_seq
    }
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
            events_max: EVENTS_FEW,
            ready: None,
        }
    }

    /// One round, what is told of it, and when the next is due.
    pub async fn turn(&mut self) -> Next {
        let round = self.round().await;
        if round.is_err() {
            self.events_max = EVENTS_FEW;
            self.ready = None;
        }
        match round {
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
        let status = self.parts.journal.status();
        let ready = self.ready.take().filter(|ready| ready.follows(&status));
        let prepared = match ready {
            Some(ready) => ready,
            None => match self.prepare(status.acked_seq).await? {
                Some(prepared) => prepared,
                None => return Ok(Round::Empty),
            },
        };
        let Prepared {
            epoch,
            first,
            last,
            body,
            is_full,
        } = prepared;
        let began = (self.parts.now)();
        // The next is put together only if this one was full: what trickles in is sent as it comes.
        let (answer, next) = tokio::join!(self.parts.transport.passages(body), async {
            if is_full {
                self.prepare(last).await
            } else {
                Ok(None)
            }
        });
        let answer = match answer {
            Err(LinkError::Conflict) => return self.begin_epoch().await,
            answer => answer?,
        };
        self.parts.report.backend_answered().await;
        let answer: Acknowledged =
            serde_json::from_slice(&answer).map_err(|_| Trouble::Nonsense)?;
        if (&answer.gate, &answer.epoch) != (&self.parts.gate, &epoch.to_string()) {
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
        if is_full && (self.parts.now)().since(began) < SOON {
            self.events_max = self.events_max.saturating_mul(2).min(EVENTS_MAX);
        }
        // What went wrong with it the next round meets again.
        self.ready = next.unwrap_or(None);
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

    /// Reads what comes after `after` and makes a delivery of it; `None`: there is nothing.
    async fn prepare(&self, after: u64) -> Result<Option<Prepared>, Trouble> {
        let (journal, gate) = (self.parts.journal.clone(), self.parts.gate.clone());
        let events_max = self.events_max;
        let prepared = blocking(move || {
            let epoch = journal.status().epoch;
            let records = journal.read(after, events_max, EVENT_BYTES_MAX)?;
            let (Some(first), Some(last)) = (
                records.first().map(|record| record.seq),
                records.last().map(|record| record.seq),
            ) else {
                return Ok(None);
            };
            let delivery = Delivery {
                gate,
                epoch: epoch.to_string(),
                first_seq: first,
                events: records.into_iter().map(event).collect(),
            };
            let count = delivery.events.len();
            let body = serde_json::to_vec(&delivery).map_err(|_| Trouble::Nonsense)?;
            Ok(Some(Prepared {
                epoch,
                first,
                last,
                is_full: count >= events_max || body.len() >= EVENT_BYTES_MAX,
                body,
            }))
        });
        prepared.await.ok_or(Trouble::CutShort)?
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
