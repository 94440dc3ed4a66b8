//! The log: to standard error, for journald to pick up. `RUST_LOG` narrows or widens it, and wins over the config.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

/// Changes what is told; set by the first start.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging at `level` unless `RUST_LOG` says otherwise. A second call changes nothing.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| filter(level));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter).with(lines);
    if registry.try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Logs at another level from now on, unless `RUST_LOG` says otherwise, or nobody has started the log.
pub fn set_level(level: &str) {
    if EnvFilter::try_from_default_env().is_ok() {
        return;
    }
    if let Some(handle) = FILTER.get() {
        // It fails only once the log itself is gone.
        let _ = handle.reload(filter(level));
    }
}

fn filter(level: &str) -> EnvFilter {
    // sled tells the story of its life at info and debug; below warn it is of no use to an operator.
    EnvFilter::new(format!("{level},sled=warn,hyper=warn,reqwest=warn"))
}
