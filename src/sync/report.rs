//! What sync tells the owner of the gate, and the one place that says whether the backend is there.

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::tls::{Refusal, Whose, Why};
use crate::domain::{ListId, Utc};
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
    /// A newer trust list is in force.
    TrustApplied {
        /// Its version.
        version: u64,
        /// When it was signed.
        created: Utc,
        /// Last instant at which it is worth deciding by.
        not_after: Utc,
    },
    /// A trust list was refused, or could not be kept. The one in force stays. Told once a state change.
    TrustFailed {
        /// Why.
        why: String,
    },
    /// The backend answers, or no longer. Told once a state change.
    BackendUp(bool),
    /// A connection did not come about because one side did not believe the other's certificate. Told every time.
    Untrusted {
        /// Whose certificate.
        whose: Whose,
        /// What is wrong with it.
        why: Why,
    },
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

/// How it stands with the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Not tried yet.
    NotKnown,
    /// It answers.
    Up,
    /// It does not.
    Away,
    /// One side does not believe the other.
    Untrusted(Whose, Why),
}

impl Link {
    const fn is_down(self) -> bool {
        matches!(self, Self::Away | Self::Untrusted(..))
    }
}

/// Hands events to the owner; waits while its queue is full. Shared by all tasks of one gate.
#[derive(Debug)]
pub struct Report {
    events: mpsc::Sender<SyncEvent>,
    link: Mutex<Link>,
}

impl Report {
    /// A reporter on a bounded queue.
    #[must_use]
    pub const fn new(events: mpsc::Sender<SyncEvent>) -> Self {
        Self {
            events,
            link: Mutex::new(Link::NotKnown),
        }
    }

    /// True unless the last call did not reach the backend.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.link().is_down()
    }

    /// The backend answered.
    pub(super) async fn backend_answered(&self) {
        let before = std::mem::replace(&mut *self.link(), Link::Up);
        if before != Link::Up {
            tracing::info!("the backend answers");
            self.send(SyncEvent::BackendUp(true)).await;
        }
    }

    /// The backend did not answer. Each change of the reason is logged once.
    pub(super) async fn backend_away(&self, error: &(dyn Error + Sync)) {
        let refusal = refusal(error);
        let next = refusal.map_or(Link::Away, |one| Link::Untrusted(one.whose, one.why));
        let before = *self.link();
        // Somebody who is refused may also find the connection reset: that is nothing new.
        let refused_before = matches!(before, Link::Untrusted(..));
        if before != next && !(refused_before && next == Link::Away) {
            *self.link() = next;
            let error = chain(error);
            if let Link::Untrusted(whose, why) = next {
                let (certificate, reason) = (whose.as_str(), why.as_str());
                tracing::warn!(
                    %error, certificate, reason,
                    "gate and backend do not trust each other; the gate goes on with what it has"
                );
            } else {
                tracing::warn!(%error, "the backend does not answer; the gate goes on with what it has");
            }
        }
        if !before.is_down() {
            self.send(SyncEvent::BackendUp(false)).await;
        }
        if let Link::Untrusted(whose, why) = next {
            self.send(SyncEvent::Untrusted { whose, why }).await;
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over one event. A closed queue means shutdown; the task is told so on its own channel.
    pub(super) async fn send(&self, event: SyncEvent) {
        let _ = self.events.send(event).await;
    }
}

/// The refusal among the causes of an error.
fn refusal(error: &(dyn Error + Sync)) -> Option<&Refusal> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        cause = error.source();
    }
    None
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

#[cfg(test)]
mod tests {
    use super::super::client::LinkError;
    use super::*;

    fn refused(alert: rustls::AlertDescription) -> LinkError {
        let fault = rustls::Error::AlertReceived(alert);
        LinkError::Untrusted(Refusal::find(&fault, "the backend").unwrap())
    }

    #[tokio::test]
    async fn each_refusal_is_counted_and_a_change_of_the_reason_is_a_change() {
        let (send, mut events) = mpsc::channel(16);
        let report = Report::new(send);
        report.backend_answered().await;
        let expired = refused(rustls::AlertDescription::CertificateExpired);
        let foreign = refused(rustls::AlertDescription::UnknownCA);
        for error in [&expired, &expired, &foreign] {
            report.backend_away(error).await;
            assert!(!report.is_up());
        }
        let seen: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let untrusted = |why| SyncEvent::Untrusted {
            whose: Whose::Ours,
            why,
        };
        let wanted = [
            SyncEvent::BackendUp(true),
            SyncEvent::BackendUp(false),
            untrusted(Why::Expired),
            untrusted(Why::Expired),
            untrusted(Why::UnknownAuthority),
        ];
        assert_eq!(seen, wanted);
        assert_eq!(
            *report.link(),
            Link::Untrusted(Whose::Ours, Why::UnknownAuthority)
        );
    }

    #[tokio::test]
    async fn a_reset_after_a_refusal_is_nothing_new() {
        let (send, _events) = mpsc::channel(16);
        let report = Report::new(send);
        let expired = refused(rustls::AlertDescription::CertificateExpired);
        report.backend_away(&expired).await;
        report
            .backend_away(&LinkError::Away("connection reset".into()))
            .await;
        assert_eq!(*report.link(), Link::Untrusted(Whose::Ours, Why::Expired));
        report.backend_answered().await;
        report
            .backend_away(&LinkError::Away("connection refused".into()))
            .await;
        assert_eq!(*report.link(), Link::Away);
    }
}
