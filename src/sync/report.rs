//! What sync tells the owner of the gate, and the one place that says whether the backend is there.

use std::error::Error;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::ListId;
use crate::store::codes::ListState;
use crate::store::journal::Epoch;

/// What happened between the gate and its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// A newer version is in force.
    ListApplied {
        /// Which list.
        list: ListId,
        /// What it holds now.
        state: ListState,
        /// From the manifest to the swap.
        took: Duration,
    },
    /// What came was refused, or could not be stored. The list in force stays. Told once a state change.
    ListFailed {
        /// Which list.
        list: ListId,
        /// Why.
        why: String,
    },
    /// The version in force is the newest; it may have been signed again.
    ListCurrent {
        /// Which list.
        list: ListId,
        /// Its state, with the newest `created` and `fresh_until`.
        state: ListState,
    },
    /// The backend answers, or no longer. Told once a state change.
    BackendUp(bool),
    /// The backend has these records.
    Delivered {
        /// The last of them.
        seq: u64,
        /// How many.
        records: u64,
    },
    /// An answer to a delivery was not believed, or the delivery was refused. Everything stays in the journal. Told
    /// once a state change.
    DeliveryRefused {
        /// Why.
        why: String,
    },
    /// The backend has lost records which it had acknowledged, and which are gone here. An alarm: it was restored from
    /// a copy.
    BackendLost {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The backend has other records under our epoch; ours go on under a new one. An alarm: two gates may share a
    /// name, or a journal was copied.
    EpochConflict {
        /// The new epoch.
        epoch: Epoch,
    },
}

const NOT_KNOWN: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

/// Hands events to the owner; waits while its queue is full. Shared by all tasks of one gate.
#[derive(Debug)]
pub struct Report {
    events: mpsc::Sender<SyncEvent>,
    link: AtomicU8,
}

impl Report {
    /// A reporter on a bounded queue.
    #[must_use]
    pub const fn new(events: mpsc::Sender<SyncEvent>) -> Self {
        Self {
            events,
            link: AtomicU8::new(NOT_KNOWN),
        }
    }

    /// True unless the last call did not reach the backend.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.load(Ordering::Relaxed) != DOWN
    }

    /// The backend answered.
    pub(super) async fn backend_answered(&self) {
        if self.link.swap(UP, Ordering::Relaxed) != UP {
            tracing::info!("the backend answers");
            self.send(SyncEvent::BackendUp(true)).await;
        }
    }

    /// The backend did not answer.
    pub(super) async fn backend_away(&self, why: &(dyn Error + Sync)) {
        if self.link.swap(DOWN, Ordering::Relaxed) != DOWN {
            tracing::warn!(error = %why, "the backend does not answer; the gate goes on with what it has");
            self.send(SyncEvent::BackendUp(false)).await;
        }
    }

    /// Hands over one event. A closed queue means shutdown; the task is told so on its own channel.
    pub(super) async fn send(&self, event: SyncEvent) {
        let _ = self.events.send(event).await;
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
