//! The reference backend (DESIGN §7): lists down, passages up, answers, for the gates of one machine.
//!
//! What it keeps lies in one directory: `lists.redb` and `passages.redb`, the signing key in `keys`, the peppers of
//! the lists in `peppers`, and `gate-fragment.toml`, the lines that a gate's config needs. It listens on loopback
//! only: there is no encryption and no proof of who asks.

mod error;
mod fragment;
mod http;
pub mod inbox;
mod inner;
pub mod pack;
mod secrets;
#[cfg(test)]
mod served;
mod store;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

use crate::codes::row_key::Pepper;
use crate::domain::{GateId, ListId, Utc};
use crate::store::codes::Change;
use crate::sync::dsse;
use crate::sync::spool::Spool;
use inner::Inner;

pub use store::StoreError;
pub use store::lists::{Imported, Mode, ROWS_MAX};
pub use store::passages::{Counts, Hole};

/// Where a backend listens if nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    9480,
));
/// How often to look whether a manifest must be signed again.
const RESIGN_LOOK: Duration = Duration::from_secs(60);
/// How long a shutdown waits for calls that are under way.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Reads the date.
pub type Clock = Arc<dyn Fn() -> Utc + Send + Sync>;

/// Why a backend does not start, or cannot do what is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The address is not on this machine.
    #[error(
        "{0} is not a loopback address: until the backend can prove who asks, it listens on this machine only, for example on 127.0.0.1:9480"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The file system refused.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or a pepper cannot be used.
    #[error("the secret in {path} cannot be used: {what}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task ended before its work was done.
    #[error("the work was cut short")]
    CutShort,
}

/// A running backend. It ends by [`Backend::shutdown`], or at once when dropped.
pub struct Backend {
    inner: Arc<Inner>,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Backend {
    /// Starts a backend on what lies in `data_dir`, which is made if need be. Port 0 picks a free one.
    ///
    /// # Errors
    /// [`BackendError`].
    pub async fn start(listen: SocketAddr, data_dir: &Path) -> Result<Self, BackendError> {
        Self::start_with(listen, data_dir, system_clock()).await
    }

    /// The same with a clock of the caller's.
    ///
    /// # Errors
    /// [`BackendError`].
    pub async fn start_with(
        listen: SocketAddr,
        data_dir: &Path,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        if !listen.ip().is_loopback() {
            return Err(BackendError::NotLoopback(listen));
        }
        let at_listen = |source| BackendError::Listen {
            addr: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(at_listen)?;
        let addr = listener.local_addr().map_err(at_listen)?;
        let (stop, stopped) = watch::channel(false);
        let dir = data_dir.to_owned();
        let open_stopped = stopped.clone();
        let inner = blocking(move || Inner::open(&dir, Some(addr), clock, open_stopped)).await??;
        let inner = Arc::new(inner);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(
            listener,
            http::router(Arc::clone(&inner)),
            stopped.clone(),
        ));
        tasks.spawn(resign(Arc::clone(&inner), stopped));
        tracing::info!(%addr, data = %data_dir.display(), "the backend is up");
        Ok(Self {
            inner,
            addr,
            stop,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as configs hold it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The key that signs manifests, as configs hold it.
    #[must_use]
    pub fn list_public_key(&self) -> String {
        self.inner.public_key.clone()
    }

    /// The pepper of a list; the list gets one if it has none.
    ///
    /// # Errors
    /// [`BackendError::Secret`] or [`BackendError::Io`].
    pub fn pepper(&self, list: &ListId) -> Result<Pepper, BackendError> {
        self.inner.pepper(list)
    }

    /// The file with the pepper of a list.
    #[must_use]
    pub fn pepper_file(&self, list: &ListId) -> PathBuf {
        self.inner.pepper_file(list)
    }

    /// What has come from a gate, epoch by epoch (32 hex digits).
    ///
    /// # Errors
    /// [`BackendError::Store`].
    pub fn counts(&self, gate: &GateId) -> Result<Vec<(String, Counts)>, BackendError> {
        self.inner.counts(gate)
    }

    /// Numbers of records that are missing, of all gates.
    ///
    /// # Errors
    /// [`BackendError::Store`].
    pub fn holes(&self) -> Result<Vec<Hole>, BackendError> {
        Ok(self.inner.passages.holes(usize::MAX)?)
    }

    /// Takes rows over, whole or not at all. Waiting gates hear of it at once.
    ///
    /// # Errors
    /// [`BackendError::Store`] if a row is refused.
    pub async fn import(
        &self,
        list: &ListId,
        mode: Mode,
        changes: Vec<Change>,
    ) -> Result<Imported, BackendError> {
        let (inner, list) = (Arc::clone(&self.inner), list.clone());
        blocking(move || inner.import_changes(&list, mode, false, None, &changes)).await?
    }

    /// Ends it: calls under way are finished, those that only wait are answered.
    pub async fn shutdown(mut self) {
        // Nobody listens only if every task has ended already.
        let _ = self.stop.send(true);
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            // Blocking work holds the files for a moment longer.
            while Arc::strong_count(&self.inner) > 1 {
                time::sleep(Duration::from_millis(2)).await;
            }
        };
        if time::timeout(SHUTDOWN, ended).await.is_err() {
            tracing::warn!("the backend ends with calls under way");
        }
    }
}

/// The directory of a backend that is not running, to import into.
pub struct Offline(Inner);

impl Offline {
    /// Opens it; it is made if need be.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if a backend is running on it.
    pub fn open(data_dir: &Path) -> Result<Self, BackendError> {
        let (_, stopped) = watch::channel(false);
        Inner::open(data_dir, None, system_clock(), stopped).map(Self)
    }

    /// The pepper of a list; the list gets one if it has none.
    ///
    /// # Errors
    /// [`BackendError::Secret`] or [`BackendError::Io`].
    pub fn pepper(&self, list: &ListId) -> Result<Pepper, BackendError> {
        self.0.pepper(list)
    }

    /// The pepper that the list will have after a whole import made with it; it is made if need be.
    ///
    /// # Errors
    /// [`BackendError::Secret`] or [`BackendError::Io`].
    pub fn next_pepper(&self, list: &ListId) -> Result<Pepper, BackendError> {
        self.0.prepare_next(list).map(|(_, pepper)| pepper)
    }

    /// Takes rows over, whole or not at all. `pepper_id` names the pepper that their keys are made with.
    ///
    /// # Errors
    /// [`BackendError::Store`] if a row is refused.
    #[expect(clippy::needless_pass_by_value, reason = "the rows are taken over")]
    pub fn import(
        &self,
        list: &ListId,
        mode: Mode,
        new_era: bool,
        pepper_id: u32,
        changes: Vec<Change>,
    ) -> Result<Imported, BackendError> {
        self.0
            .import_changes(list, mode, new_era, Some(pepper_id), &changes)
    }

    /// The same for rows that are sorted already, in bounded memory.
    ///
    /// # Errors
    /// [`BackendError::Store`] if a row is refused.
    pub fn import_rows(
        &self,
        list: &ListId,
        mode: Mode,
        new_era: bool,
        pepper_id: u32,
        rows: Spool,
    ) -> Result<Imported, BackendError> {
        self.0.import(list, mode, new_era, Some(pepper_id), rows)
    }
}

async fn serve(listener: TcpListener, router: axum::Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error means that the backend was dropped: the same.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
    {
        tracing::warn!(%error, "the backend does not listen any more");
    }
}

async fn resign(inner: Arc<Inner>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = time::sleep(RESIGN_LOOK) => {}
        }
        let worker = Arc::clone(&inner);
        match blocking(move || worker.resign()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "the lists cannot be signed again and will look stale");
            }
        }
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, BackendError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| BackendError::CutShort)
}

/// The date of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a backend signs with the date of its machine; callers that have another clock pass it in"
    )]
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Arc::new(move || {
        let since = now().unwrap_or_default();
        Utc::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}

/// The public half of a key, as configs hold it.
fn public_key_text(key: &ed25519_dalek::SigningKey) -> String {
    dsse::public_key_text(&key.verifying_key())
}
