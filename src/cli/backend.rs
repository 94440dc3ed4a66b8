//! `turnstiled backend`: runs the reference backend until it is told to end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::backend::{Backend, BackendError, DEFAULT_LISTEN};

/// Serves lists to gates and takes their passages, on this machine.
#[derive(Clone, Debug, clap::Args)]
pub struct BackendArgs {
    /// Where to listen: an address of this machine only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    pub listen: SocketAddr,
    /// Where lists, passages and keys live. Made at the first start.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,
}

/// Why the backend ended, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendRunError {
    /// It could not start.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The signals that end it cannot be heard.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

impl BackendRunError {
    /// The exit code of `sysexits`: 64 for an address that is refused, 69 for everything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Backend(BackendError::NotLoopback(_)) => 64,
            Self::Backend(_) | Self::Signals(_) => 69,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`BackendRunError`] if it does not start.
pub async fn run(args: &BackendArgs) -> Result<(), BackendRunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(BackendRunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(BackendRunError::Signals)?;
    let backend = Backend::start(args.listen, &args.data).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the backend ends");
    backend.shutdown().await;
    Ok(())
}
