//! Keeps one list up to date: the newest signed manifest, then the shortest way to it. Whatever goes wrong, the list
//! that is in force stays in force.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;

use super::chunk::{self, CHUNK_WIRE_MAX, ChunkError, ChunkId};
use super::client::{CALL_TIME, Client, ClientError};
use super::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError};
use super::{Link, SyncEvent};
use crate::domain::ListId;
use crate::store::codes::{Change, Codes, CodesError, ListState};
use crate::store::journal::{Journal, JournalError};

/// Wait after a failure; doubled up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait after failures.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long the backend may hold an answer while nothing is new.
const HELD_MAX: Duration = Duration::from_secs(30);

/// One list that is followed.
pub struct Follower {
    /// Which.
    pub list: ListId,
    /// Keys that sign manifests: the current and the next.
    pub keys: Vec<VerifyingKey>,
    /// The backend.
    pub client: Client,
    /// Where rows go.
    pub codes: Arc<dyn Codes>,
    /// Where the highest accepted version survives the loss of the cache.
    pub journal: Journal,
    /// Who is told.
    pub link: Arc<Link>,
    /// Shortest time between two questions.
    pub poll: Duration,
}

/// Why a list could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The backend.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The manifest.
    #[error("manifest refused: {0}")]
    Manifest(#[from] ManifestError),
    /// A chunk.
    #[error("chunk {id} refused: {source}")]
    Chunk {
        /// Which.
        id: ChunkId,
        /// Why.
        source: ChunkError,
    },
    /// The cache.
    #[error("the codes cache does not take it: {0}")]
    Codes(#[from] CodesError),
    /// The floor could not be read or raised.
    #[error("the version floor cannot be kept: {0}")]
    Floor(#[from] JournalError),
    /// A task of ours broke.
    #[error("applying the list broke off")]
    Broke,
}

impl ListError {
    /// True if the backend gave no answer at all.
    const fn is_away(&self) -> bool {
        matches!(self, Self::Client(ClientError::Away(_)))
    }
}

/// What a round came to.
enum Round {
    Applied(ListState),
    Current(ListState),
}

impl Follower {
    /// Follows the list for ever. The caller drops the future to end it.
    pub async fn run(self) {
        let mut wait = WAIT_MIN;
        let mut failing = false;
        loop {
            let pause = match self.round().await {
                Ok(round) => {
                    self.link.set(true).await;
                    if failing {
                        tracing::info!(list = %self.list, "the list follows the backend again");
                    }
                    (failing, wait) = (false, WAIT_MIN);
                    self.tell(round).await;
                    self.poll
                }
                Err(error) => {
                    self.link.set(!error.is_away()).await;
                    if !failing {
                        tracing::warn!(list = %self.list, %error, "the list cannot be brought up to date; it stays as it is");
                    }
                    failing = true;
                    if !error.is_away() {
                        self.link
                            .tell(SyncEvent::ListFailed {
                                list: self.list.clone(),
                            })
                            .await;
                    }
                    let pause = wait;
                    wait = (wait * 2).min(WAIT_MAX);
                    // A backend that comes back should not wait for a minute; bad documents may.
                    if error.is_away() {
                        pause.min(Duration::from_secs(2))
                    } else {
                        pause
                    }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn tell(&self, round: Round) {
        let list = self.list.clone();
        match round {
            Round::Applied(state) => self.link.tell(SyncEvent::ListApplied { list, state }).await,
            Round::Current(state) => {
                self.link
                    .tell(SyncEvent::ListCurrent {
                        list,
                        created: state.created,
                    })
                    .await;
            }
        }
    }

    async fn round(&self) -> Result<Round, ListError> {
        let floor = self.floor().await?;
        let have = if self.codes.needs_load(&self.list) {
            None
        } else {
            self.codes.state(&self.list)
        };
        let path = match have {
            // The backend holds the answer while this version is the newest.
            Some(have) => format!(
                "v1/lists/{}/manifest?have={}.{}&wait={}",
                self.list,
                have.era,
                have.version,
                HELD_MAX.as_secs()
            ),
            None => format!("v1/lists/{}/manifest", self.list),
        };
        let envelope = self
            .client
            .get(&path, MANIFEST_BYTES_MAX, CALL_TIME + HELD_MAX)
            .await?;
        let manifest = Manifest::open(&envelope, &self.list, &self.keys, floor)?;
        let next = manifest.state();
        let round = match have {
            Some(have) if (have.era, have.version) == (next.era, next.version) => {
                if have.created < next.created {
                    self.apply(Vec::new(), next).await?;
                }
                Round::Current(next)
            }
            Some(have) => {
                self.advance(&manifest, &have).await?;
                Round::Applied(next)
            }
            None => {
                self.load(&manifest).await?;
                Round::Applied(next)
            }
        };
        self.raise_floor(next).await?;
        Ok(round)
    }

    /// By a delta where there is one; a delta that does not lead where the manifest says costs one full snapshot.
    async fn advance(&self, manifest: &Manifest, have: &ListState) -> Result<(), ListError> {
        let Some(delta) = manifest.delta_from(have) else {
            return self.load(manifest).await;
        };
        let mut changes = Vec::new();
        for id in &delta.chunks {
            changes.extend(self.chunk(id).await?);
        }
        match self.apply(changes, manifest.state()).await {
            Err(ListError::Codes(error)) if error.wants_load() => {
                tracing::warn!(list = %self.list, %error, "the delta does not fit; taking a full snapshot");
                self.load(manifest).await
            }
            other => other,
        }
    }

    /// The whole list, beside the one in force, swapped in at the end.
    async fn load(&self, manifest: &Manifest) -> Result<(), ListError> {
        let (codes, list, rows) = (Arc::clone(&self.codes), self.list.clone(), manifest.rows);
        let mut load = blocking(move || codes.begin(&list, rows)).await??;
        for id in &manifest.snapshot {
            let changes = self.chunk(id).await?;
            load = blocking(move || {
                for change in changes {
                    match change {
                        Change::Put(key, value) => load.push(key, &value)?,
                        // A snapshot has nothing to remove: whoever packed it did not pack a snapshot.
                        Change::Remove(_) => return Err(CodesError::NotAscending),
                    }
                }
                Ok(load)
            })
            .await??;
        }
        let state = manifest.state();
        blocking(move || load.commit(&state)).await??;
        Ok(())
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<Change>, ListError> {
        let bytes = self
            .client
            .get(&format!("v1/chunks/{id}"), CHUNK_WIRE_MAX, CALL_TIME)
            .await?;
        let id = *id;
        blocking(move || chunk::unpack(&id, &bytes))
            .await?
            .map_err(|source| ListError::Chunk { id, source })
    }

    async fn apply(&self, changes: Vec<Change>, next: ListState) -> Result<(), ListError> {
        let (codes, list) = (Arc::clone(&self.codes), self.list.clone());
        Ok(blocking(move || codes.apply(&list, &changes, &next)).await??)
    }

    async fn floor(&self) -> Result<Option<(u32, u64)>, ListError> {
        let (journal, name) = (self.journal.clone(), self.floor_name());
        Ok(blocking(move || journal.floor(&name)).await??)
    }

    async fn raise_floor(&self, state: ListState) -> Result<(), ListError> {
        let (journal, name) = (self.journal.clone(), self.floor_name());
        blocking(move || {
            journal.raise_floor(&name, state.era, state.version)?;
            journal.raise_clock_floor(state.created)
        })
        .await??;
        Ok(())
    }

    fn floor_name(&self) -> String {
        format!("list/{}", self.list)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ListError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ListError::Broke)
}
