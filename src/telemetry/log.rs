//! The log: to standard error, for journald to pick up. `RUST_LOG` narrows or widens it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level` unless `RUST_LOG` says otherwise. A second call changes nothing.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        // sled tells the story of its life at info and debug; below warn it is of no use to an operator.
        EnvFilter::new(format!("{level},sled=warn,hyper=warn,reqwest=warn"))
    });
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
