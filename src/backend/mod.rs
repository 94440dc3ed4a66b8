//! The reference backend (DESIGN §7): lists, chunks, passages and online answers over HTTP, on its own redb store.
//! One instance on one machine; it listens on loopback only, because plain HTTP is for loopback only.
//!
//! ```text
//! <data>/backend.redb        lists, rows, chunks, passages
//! <data>/keys/list.key       Ed25519 seed that signs manifests, 64 hex digits, mode 0600
//! <data>/keys/<list>.pepper  pepper of a list, 64 hex digits, mode 0600
//! <data>/gate-fragment.toml  the lines a gate's config needs to follow this backend
//! ```

pub mod http;
pub mod import;
pub mod keys;
pub mod lists;
pub mod passages;
pub mod resolve;
pub mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::domain::Utc;
use keys::Keys;
use store::{Store, StoreError};

/// How often manifests are signed again, so that a gate can tell a quiet list from a frozen one.
const SIGN_AGAIN: Duration = Duration::from_secs(3_600);

/// Reads the date; handed in, because only the rim of the program knows it.
pub type Clock = Arc<dyn Fn() -> Utc + Send + Sync>;

/// Why the backend does not start.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The address is taken, or is not of this machine.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Anything but loopback would need mTLS.
    #[error("{0} is not a loopback address; plain HTTP is served on loopback only")]
    NotLoopback(SocketAddr),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    /// Lists, chunks, passages.
    pub store: Store,
    /// Signing key and peppers.
    pub keys: Keys,
    /// The date.
    pub clock: Clock,
    /// Rung when a list has a new version.
    pub changed: watch::Sender<u64>,
    /// Turns true when the backend goes down, so that held answers end.
    pub stop: watch::Receiver<bool>,
}

/// A running backend.
pub struct Backend {
    addr: SocketAddr,
    state: State,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Opens the store in `data` and serves it on `listen`.
    ///
    /// # Errors
    /// [`BackendError`].
    pub async fn start(
        listen: SocketAddr,
        data: &Path,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        if !listen.ip().is_loopback() {
            return Err(BackendError::NotLoopback(listen));
        }
        let keys = Keys::open(data)?;
        let store = Store::open(data)?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| BackendError::Listen { listen, source })?;
        let addr = listener
            .local_addr()
            .map_err(|source| BackendError::Listen { listen, source })?;
        let (stop, stopping) = watch::channel(false);
        let (changed, _) = watch::channel(0);
        let state = State {
            store,
            keys,
            clock,
            changed,
            stop: stopping,
        };
        keys::write_fragment(data, addr, &state.keys, &state.store.list_names()?)?;
        let task = tokio::spawn(serve(listener, state.clone()));
        Ok(Self {
            addr,
            state,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it holds, for whoever runs it in the same process.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Ends it and waits until its store is closed, so that it can be opened again.
    pub async fn shut_down(self) {
        let Self {
            state, stop, task, ..
        } = self;
        let _ = stop.send(true);
        let abort = task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(2), task)
            .await
            .is_err()
        {
            // Somebody holds a connection open; the store matters more.
            abort.abort();
        }
        drop(state);
    }
}

async fn serve(listener: TcpListener, state: State) {
    let mut stop = state.stop.clone();
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let signing = sign_again(state.clone());
    let serving = axum::serve(listener, http::router(state)).with_graceful_shutdown(stopped);
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::error!(%error, "the backend has stopped serving");
            }
        }
        () = signing => {}
    }
}

async fn sign_again(state: State) {
    loop {
        tokio::time::sleep(SIGN_AGAIN).await;
        let signed = {
            let state = state.clone();
            tokio::task::spawn_blocking(move || {
                lists::sign_all(&state.store, &state.keys, (state.clock)())
            })
            .await
        };
        match signed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "manifests could not be signed again"),
            Err(error) => tracing::error!(%error, "signing manifests broke off"),
        }
    }
}
