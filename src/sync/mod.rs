//! Lists down, passages up, online answers, claims.
//!
//! Each list has a task that follows it, and the journal has one that delivers it. They reconnect for ever, never
//! decide, and end when told. Whatever goes wrong, what the gate has stays in force. [`mod@format`] says how a list is
//! written, for programs in any language.

mod backoff;
mod begun;
pub mod chunk;
pub mod claim_wire;
pub mod claims;
pub mod client;
pub mod directives;
pub mod dsse;
pub mod format;
pub mod hex;
pub mod judge;
pub mod lists;
pub mod manifest;
pub mod online;
pub mod passages;
pub mod report;
mod resume;
pub mod spool;
#[cfg(test)]
mod tests;
pub mod tls;
mod trouble;
pub mod trust;
pub mod wire;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::domain::{GateId, ListId, Mono};
use crate::store::codes::Codes;
use crate::store::journal::Journal;

pub use client::{Client, ClientError, LinkError, Transport};
pub use directives::Addressee;
pub use dsse::{KeyError, PinnedKeys};
pub use online::Online;
pub use report::{Report, SyncEvent};
pub use trust::{FollowedTrust, SignedTrust};

/// Tells a task to end: it becomes true, or its sender goes away.
pub type Stop = watch::Receiver<bool>;

/// A list to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its name.
    pub list: ListId,
    /// Ids of the peppers that this gate makes row keys with: a list made with another one is refused, because the
    /// gate would know nobody. Two during a change-over; none: taken as it comes.
    pub pepper_ids: Vec<u32>,
}

/// What all tasks of one gate share.
pub struct Parts<T> {
    /// Who we are.
    pub gate: GateId,
    /// The way to the backend.
    pub transport: Arc<T>,
    /// Where lists go.
    pub codes: Arc<dyn Codes>,
    /// Where passages come from, and where the highest accepted version of a list is kept.
    pub journal: Journal,
    /// Who may sign manifests.
    pub keys: PinnedKeys,
    /// How often to look for a newer manifest, at most.
    pub poll: Duration,
    /// Where events go.
    pub report: Arc<Report>,
    /// Told when the journal has something new; a timer looks as well.
    pub wake: Arc<Notify>,
    /// Reads the monotonic clock.
    pub now: Arc<dyn Fn() -> Mono + Send + Sync>,
}

/// Starts a task for each list and one for the journal. They end when `stop` says so, or when the set is dropped.
#[must_use]
pub fn start<T: Transport>(parts: &Arc<Parts<T>>, lists: &[Followed], stop: &Stop) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for list in lists {
        tasks.spawn(lists::follow(Arc::clone(parts), list.clone(), stop.clone()));
    }
    tasks.spawn(passages::deliver(Arc::clone(parts), stop.clone()));
    tasks
}

/// Waits until it is time to end.
async fn stopped(stop: &mut Stop) {
    // An error means that the sender is gone: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

thread_local! {
    /// Whoever drives the steps under virtual time has this thread to himself: nobody waits while it blocks.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Drives a step that has nothing to wait for, and does what blocks on this thread instead of beside it. For the
/// simulator: a thread that is woken for each look into a journal in memory costs more than the look.
pub fn alone<R>(drive: impl FnOnce() -> R) -> R {
    let before = ALONE.replace(true);
    let driven = drive();
    ALONE.set(before);
    driven
}

/// Runs what blocks beside the async tasks. `None`: it ended by a panic or at shutdown.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    if ALONE.get() {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}
