//! Lists down, passages up, online answers: the gate's side of the backend contract (DESIGN §7), and the wire formats
//! that both sides share.
//!
//! | Module | What it speaks |
//! |---|---|
//! | [`dsse`] | signed envelopes |
//! | [`manifest`] | what a list is made of |
//! | [`chunk`] | rows on the wire |
//! | [`lists`] | keeps a list up to date |
//! | [`passages`] | sends records until they are acknowledged |
//! | [`online`] | asks about one credential |

pub mod chunk;
pub mod client;
pub mod dsse;
pub mod hex;
pub mod lists;
pub mod manifest;
pub mod online;
pub mod passages;

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::mpsc;

use crate::domain::{ListId, Utc};
use crate::store::codes::ListState;

/// What sync tells the loop.
#[derive(Clone, Debug)]
pub enum SyncEvent {
    /// A list is in force in a new version.
    ListApplied {
        /// Which.
        list: ListId,
        /// As it is now.
        state: ListState,
    },
    /// A list is still current; the backend has signed it again.
    ListCurrent {
        /// Which.
        list: ListId,
        /// When it was signed.
        created: Utc,
    },
    /// A list could not be brought up to date; what was in force stays in force.
    ListFailed {
        /// Which.
        list: ListId,
    },
    /// The backend answers, or does not any more.
    BackendUp(bool),
    /// Records were acknowledged.
    Delivered {
        /// How many.
        records: u64,
    },
    /// The backend holds other records under our epoch: a cloned or restored card. A new epoch has begun.
    EpochConflict,
}

/// One opinion on whether the backend answers, shared by everything that talks to it. Told once a change.
#[derive(Debug)]
pub struct Link {
    events: mpsc::Sender<SyncEvent>,
    state: AtomicU8,
}

const NEVER_HEARD: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

impl Link {
    /// A link nobody has tried yet.
    #[must_use]
    pub const fn new(events: mpsc::Sender<SyncEvent>) -> Self {
        Self {
            events,
            state: AtomicU8::new(NEVER_HEARD),
        }
    }

    /// Tells what the last attempt says.
    pub async fn set(&self, up: bool) {
        let state = if up { UP } else { DOWN };
        if self.state.swap(state, Ordering::Relaxed) != state {
            if up {
                tracing::info!("the backend answers");
            } else {
                tracing::warn!("the backend is away; decisions go on from what is here");
            }
            self.tell(SyncEvent::BackendUp(up)).await;
        }
    }

    /// Hands an event to the loop. A closed channel means that the gate is going down.
    pub async fn tell(&self, event: SyncEvent) {
        let _ = self.events.send(event).await;
    }
}
