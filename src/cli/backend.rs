//! `turnstiled backend`: runs the reference backend until it is told to end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::passages::{self, PassagesArgs, PassagesError};
use crate::backend::{Backend, BackendError, DEFAULT_LISTEN};

/// Serves lists to gates and takes their passages, on this machine.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackendArgs {
    /// What to ask a running backend, instead of being one.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where to listen: an address of this machine only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    pub listen: SocketAddr,
    /// Where lists, passages and keys live. Made at the first start.
    #[arg(long, value_name = "DIRECTORY", required = true)]
    pub data: Option<PathBuf>,
}

/// Questions to a running backend.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Read passages back as JSON lines, by gate, lane, person or time
    Passages(PassagesArgs),
}

/// Why the backend ended, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendRunError {
    /// It could not start.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// It could not be asked.
    #[error(transparent)]
    Passages(#[from] PassagesError),
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
            Self::Passages(error) => error.exit_code(),
            Self::Backend(_) | Self::Signals(_) => 69,
        }
    }
}

/// Runs until SIGTERM or SIGINT, or asks one that runs.
///
/// # Errors
/// [`BackendRunError`] if it does not start, or cannot be asked.
pub async fn run(args: &BackendArgs) -> Result<(), BackendRunError> {
    if let Some(Command::Passages(args)) = &args.command {
        return Ok(passages::run(args, &mut io::stdout()).await?);
    }
    // clap has seen to it that it is there.
    let data = args.data.as_deref().unwrap_or(Path::new(""));
    let mut terminate = signal(SignalKind::terminate()).map_err(BackendRunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(BackendRunError::Signals)?;
    let backend = Backend::start(args.listen, data).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the backend ends");
    backend.shutdown().await;
    Ok(())
}
