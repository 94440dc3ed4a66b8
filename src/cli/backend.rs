//! `turnstiled backend`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Failure, UNAVAILABLE, output, runtime, told_to_stop};
use crate::backend::Backend;
use crate::runtime::clock::backend_clock;
use crate::telemetry::log;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; loopback only
    #[arg(long, default_value = "127.0.0.1:9480")]
    listen: SocketAddr,
    /// Folder of its store and keys
    #[arg(long)]
    data: PathBuf,
}

/// Serves until it is told to stop.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &Args) -> Result<u8, Failure> {
    log::start("info");
    runtime()?.block_on(async {
        let backend = Backend::start(args.listen, &args.data, backend_clock())
            .await
            .map_err(|error| Failure::new(UNAVAILABLE, &error))?;
        let fragment = args.data.join("gate-fragment.toml");
        let said = writeln!(
            std::io::stdout(),
            "backend on http://{}; the lines a gate's config needs are in {}",
            backend.addr(),
            fragment.display()
        );
        said.map_err(|error| output(&error))?;
        told_to_stop()
            .await
            .map_err(|error| Failure::new(UNAVAILABLE, &error))?;
        backend.shut_down().await;
        Ok(0)
    })
}
