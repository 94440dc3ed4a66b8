//! Follows the trust list: asks for it, checks who signed it and that it is newer, and hands it to whoever reads it. What
//! stands in it is not known here.
//!
//! JSON inside a DSSE envelope of type [`PAYLOAD_TYPE`]; the role has keys of its own. `version` grows with every change,
//! and no version at or below the highest that was ever accepted is taken; `created` and `not_after` are whole seconds
//! since 1970.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time;

use super::backoff::{Backoff, seed};
use super::client::{Ask, Fetched, LinkError, Transport};
use super::dsse::{self, DsseError, PinnedKeys};
use super::lists::{HELD, SOON, WAIT};
use super::report::{SyncEvent, chain};
use super::{Parts, Stop, blocking, stopped};
use crate::domain::Utc;
use crate::store::journal::JournalError;

/// Payload type of the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.turnstiled.trust+json";
/// The name of the trust list's floor in the journal.
pub const FLOOR: &str = "trust";

/// A signed trust list, of which nothing but its head has been looked at.
#[derive(Clone, Debug)]
pub struct SignedTrust {
    /// Its version, from 1.
    pub version: u64,
    /// When it was signed.
    pub created: Utc,
    /// Last instant at which it is worth deciding by.
    pub not_after: Utc,
    /// What was signed.
    pub document: Vec<u8>,
    /// As it came, to be kept.
    pub envelope: Vec<u8>,
}

/// Why an envelope is no trust list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not signed as it should be.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// Signed, but without version and dates.
    #[error("the trust list cannot be read: {0}")]
    Malformed(String),
}

impl SignedTrust {
    /// Reads an envelope: signature first, then the head of the document.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn open(envelope: Vec<u8>, keys: &PinnedKeys) -> Result<Self, TrustError> {
        /// All else is for whoever reads the document.
        #[derive(Deserialize)]
        struct Head {
            version: u64,
            created: u64,
            not_after: u64,
        }
        let document = dsse::verify(&envelope, PAYLOAD_TYPE, keys)?;
        let head: Head = serde_json::from_slice(&document)
            .map_err(|error| TrustError::Malformed(error.to_string()))?;
        Ok(Self {
            version: head.version,
            created: Utc::from_secs(head.created),
            not_after: Utc::from_secs(head.not_after),
            document,
            envelope,
        })
    }
}

/// Reads a newer trust list and makes the gate decide by it; or says why it is refused, whole. Called off the async tasks.
pub type Take = Arc<dyn Fn(&SignedTrust) -> Result<(), String> + Send + Sync>;

/// The trust list to follow.
#[derive(Clone)]
pub struct FollowedTrust {
    /// Who may sign it: the current key and the next.
    pub keys: PinnedKeys,
    /// The version that the gate decides by, and its digest if it was signed.
    pub in_force: (u64, Option<[u8; 32]>),
    /// Where it goes.
    pub take: Take,
}

/// Digest of a document, to tell two of the same version apart.
#[must_use]
pub fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("version {version} is older than what was accepted before, version {floor}")]
    Rollback { version: u64, floor: u64 },
    #[error("version {0} is in force already, with something else in it")]
    Forked(u64),
    #[error("{0}")]
    Refused(String),
    #[error("the accepted version cannot be remembered")]
    Journal(#[from] JournalError),
    #[error("the work was cut short")]
    CutShort,
}

/// Follows the trust list until told to stop.
pub async fn follow<T: Transport>(parts: Arc<Parts<T>>, trust: FollowedTrust, mut stop: Stop) {
    let mut follower = Follower::new(parts, trust);
    loop {
        let pause = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            pause = follower.turn() => pause,
        };
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = time::sleep(pause) => {}
        }
    }
}

/// The following as steps: whoever drives them keeps the time.
pub struct Follower<T> {
    parts: Arc<Parts<T>>,
    trust: FollowedTrust,
    /// Mark of the newest envelope that was looked at.
    etag: Option<String>,
    /// What was told last.
    trouble: Option<String>,
    link: Backoff,
    content: Backoff,
}

impl<T: Transport> Follower<T> {
    /// A follower that has not asked yet.
    #[must_use]
    pub fn new(parts: Arc<Parts<T>>, trust: FollowedTrust) -> Self {
        let seed = seed(parts.gate.as_str()) ^ seed(FLOOR);
        Self {
            parts,
            trust,
            etag: None,
            trouble: None,
            link: Backoff::of_link(seed),
            content: Backoff::of_content(seed),
        }
    }

    /// One round, what is told of it, and how long to wait for the next.
    pub async fn turn(&mut self) -> Duration {
        match self.round().await {
            Ok(soon) => {
                self.link.reset();
                self.content.reset();
                if soon {
                    self.parts.poll.min(SOON)
                } else {
                    self.parts.poll
                }
            }
            Err(Trouble::Link(error)) if error.is_away() => {
                self.parts.report.backend_away(&error).await;
                self.link.wait()
            }
            Err(trouble) => {
                self.etag = None;
                self.failed(&trouble).await;
                if matches!(trouble, Trouble::Link(LinkError::NotFound)) {
                    // Not there yet: no person is needed.
                    return self.link.wait();
                }
                self.content.wait()
            }
        }
    }

    async fn failed(&mut self, trouble: &Trouble) {
        let why = chain(trouble);
        if self.trouble.as_ref() == Some(&why) {
            return;
        }
        let in_force = self.trust.in_force.0;
        if matches!(trouble, Trouble::Link(LinkError::NotFound)) {
            tracing::info!(
                in_force,
                "the backend has no trust list; the one here stays in force"
            );
        } else {
            tracing::warn!(in_force, error = %why, "a trust list is refused; the last good one stays in force");
            let why = why.clone();
            self.parts.report.send(SyncEvent::TrustFailed { why }).await;
        }
        self.trouble = Some(why);
    }

    /// True if it is worth asking again at once.
    async fn round(&mut self) -> Result<bool, Trouble> {
        let ask = Ask {
            have: Some(self.trust.in_force.0),
            wait: WAIT,
            etag: self.etag.clone(),
        };
        let asked = (self.parts.now)();
        let fetched = self.parts.transport.trust(&ask).await?;
        let held = (self.parts.now)().since(asked) >= HELD;
        self.parts.report.backend_answered().await;
        let Fetched::New { etag, envelope } = fetched else {
            return Ok(held);
        };
        let signed = SignedTrust::open(envelope, &self.trust.keys)?;
        let applied = self.judge(signed).await?;
        self.etag = etag;
        self.trouble = None;
        Ok(held || applied)
    }

    /// Takes a newer trust list. True if it is in force now.
    async fn judge(&mut self, signed: SignedTrust) -> Result<bool, Trouble> {
        let journal = self.parts.journal.clone();
        let floor = blocking(move || journal.floor(FLOOR)).await;
        let floor = floor.ok_or(Trouble::CutShort)??;
        let floor = floor.map_or(0, |(_, version)| version);
        let (version, content) = (signed.version, digest(&signed.document));
        if version < floor {
            return Err(Trouble::Rollback { version, floor });
        }
        let (in_force, known) = self.trust.in_force;
        if version == in_force && known.is_some_and(|known| known != content) {
            return Err(Trouble::Forked(version));
        }
        if version <= in_force {
            if known.is_none() && self.etag.is_none() {
                tracing::info!(
                    version,
                    in_force,
                    "the signed trust list is not newer than the file of this gate, which stays in force"
                );
            }
            return Ok(false);
        }
        let (take, journal) = (Arc::clone(&self.trust.take), self.parts.journal.clone());
        let (created, not_after) = (signed.created, signed.not_after);
        let taken = move || {
            take(&signed).map_err(Trouble::Refused)?;
            journal.raise_floor(FLOOR, 0, version)?;
            journal.raise_clock_floor(created)?;
            Ok::<_, Trouble>(())
        };
        blocking(taken).await.ok_or(Trouble::CutShort)??;
        self.trust.in_force = (version, Some(content));
        tracing::info!(
            version,
            not_after_s = not_after.as_secs(),
            "a newer trust list is in force"
        );
        let event = SyncEvent::TrustApplied {
            version,
            created,
            not_after,
        };
        self.parts.report.send(event).await;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
