//! The reference backend (DESIGN §7): lists down, passages up, answers, for the gates of one machine.
//!
//! What it keeps lies in one directory: `lists.redb`, `passages.redb` and `claims.redb`, the signed trust list in `trust.json`, signing
//! keys in `keys`, adapters to issuers' services in `adapters`, the peppers of the lists in `peppers`, signed directives in
//! `directives`, the private authority in `ca`, and
//! `gate-fragment.toml`, the lines that the config of a gate
//! on this machine needs.
//!
//! On loopback it speaks plain HTTP with whoever is on this machine. Gates elsewhere are listened for by mutual TLS
//! ([`Tls`]): their certificate says who they are ([`crate::sync::tls`]), and a gate writes only as itself.

mod adapter;
pub mod ca;
mod caller;
mod claims;
#[cfg(test)]
mod claims_tests;
pub mod directives;
pub mod enrol;
mod error;
mod fragment;
mod http;
pub mod inbox;
mod inner;
mod listener;
pub mod pack;
mod secrets;
pub mod secure;
mod seen;
#[cfg(test)]
mod served;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
pub mod trust;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

use crate::codes::row_key::Pepper;
use crate::domain::{GateId, ListId, Utc};
use crate::store::codes::Change;
use crate::sync::dsse;
use crate::sync::spool::Spool;
use crate::sync::tls::{self, Material};
use caller::Caller;
use inner::Inner;
use listener::TlsListener;
use secure::Source;

pub use secure::{OwnCertificate, Tls};
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
        "{0} is not a loopback address: plain HTTP stays on this machine, for example on 127.0.0.1:9480; gates elsewhere are listened for with --tls"
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
    /// An adapter cannot be used.
    #[error("{}: {what}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what is allowed.
        what: String,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no authority.
    #[error(
        "{0} is not there: this backend has no authority; make one with `turnstiled backend ca`, or enrol a gate"
    )]
    NoAuthority(PathBuf),
    /// Something is there already, and is not overwritten.
    #[error("{0} is there already, and is not overwritten")]
    Exists(PathBuf),
    /// There is no list that a gate could follow.
    #[error("there is no list yet: import one first, or name one with --list")]
    NoList,
    /// A certificate cannot be made.
    #[error("no certificate can be made: {0}")]
    Issue(String),
    /// The rules of TLS cannot be made.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A task ended before its work was done.
    #[error("the work was cut short")]
    CutShort,
}

/// A running backend. It ends by [`Backend::shutdown`], or at once when dropped.
pub struct Backend {
    inner: Arc<Inner>,
    addr: SocketAddr,
    tls_addr: Option<SocketAddr>,
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
        Self::start_tls(listen, data_dir, clock, None).await
    }

    /// The same, and gates are listened for by TLS.
    ///
    /// # Errors
    /// [`BackendError`].
    pub async fn start_tls(
        listen: SocketAddr,
        data_dir: &Path,
        clock: Clock,
        gates: Option<Tls>,
    ) -> Result<Self, BackendError> {
        if !listen.ip().is_loopback() {
            return Err(BackendError::NotLoopback(listen));
        }
        let (listener, addr) = bind(listen).await?;
        let secure = match gates {
            Some(gates) => Some(Secure::open(gates, data_dir, &clock).await?),
            None => None,
        };
        let (stop, stopped) = watch::channel(false);
        let dir = data_dir.to_owned();
        let open_stopped = stopped.clone();
        let inner = blocking(move || Inner::open(&dir, Some(addr), clock, open_stopped)).await??;
        let inner = Arc::new(inner);
        let mut tasks = JoinSet::new();
        let router = http::router(Arc::clone(&inner));
        tasks.spawn(serve(listener, router.clone(), stopped.clone()));
        let mut tls_addr = None;
        if let Some(secure) = secure {
            tls_addr = Some(secure.addr);
            secure.serve(&inner, router, &stopped, &mut tasks)?;
        }
        tasks.spawn(trust::keep(Arc::clone(&inner), stopped.clone()));
        tasks.spawn(resign(Arc::clone(&inner), stopped));
        let tls = tls_addr.map(tracing::field::display);
        tracing::info!(%addr, tls, data = %data_dir.display(), "the backend is up");
        Ok(Self {
            inner,
            addr,
            tls_addr,
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

    /// Where gates are listened for by TLS.
    #[must_use]
    pub const fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
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

/// What is ready to listen for gates.
struct Secure {
    listener: TcpListener,
    addr: SocketAddr,
    source: Source,
    material: Material,
    rules: watch::Sender<Arc<ServerConfig>>,
    look: Duration,
}

impl Secure {
    async fn open(gates: Tls, data: &Path, clock: &Clock) -> Result<Self, BackendError> {
        let (data, now) = (data.to_owned(), clock());
        let own = gates.certificate;
        let (source, material) = blocking(move || Source::open(&own, &data, now)).await??;
        let rules = tls::server(&material, secure::date(clock))?;
        let (listener, addr) = bind(gates.listen).await?;
        Ok(Self {
            listener,
            addr,
            source,
            material,
            rules: watch::Sender::new(Arc::new(rules)),
            look: gates.look,
        })
    }

    fn serve(
        self,
        inner: &Arc<Inner>,
        router: axum::Router,
        stop: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), BackendError> {
        let addr = self.addr;
        let rules = self.rules.subscribe();
        let listener = TlsListener::start(self.listener, rules, Arc::clone(inner))
            .map_err(|source| BackendError::Listen { addr, source })?;
        tasks.spawn(serve(listener, router, stop.clone()));
        tasks.spawn(secure::keep(
            self.source,
            self.material,
            self.look,
            Arc::clone(inner),
            self.rules,
            stop.clone(),
        ));
        Ok(())
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), BackendError> {
    let failed = |source| BackendError::Listen {
        addr: listen,
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

async fn serve<L>(listener: L, router: axum::Router, mut stop: watch::Receiver<bool>)
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
    Caller: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = router.into_make_service_with_connect_info::<Caller>();
    let stopped = async move {
        // An error means that the backend was dropped: the same.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, service)
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
