//! The log. Under systemd it goes to journald, field by field: `journalctl -o json` has `F_LANE`, `F_REASON` and the like,
//! and `journalctl F_LANE=north` finds what happened at a lane. Anywhere else it is lines on standard error. `RUST_LOG`
//! narrows or widens it, and wins over the config.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt as _;
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
    let journal = is_journal().then(tracing_journald::layer);
    let journal = journal.and_then(Result::ok);
    // Where the journal cannot be reached after all, its own pipe still takes lines.
    let lines = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
    });
    let journal = journal.map(|layer| layer.with_syslog_identifier("turnstiled".into()));
    let registry = tracing_subscriber::registry().with(filter);
    if registry.with(journal).with(lines).try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// True if standard error is a pipe to journald: `JOURNAL_STREAM` is its device and inode (systemd.exec(5)). Whoever
/// redirects it elsewhere wants lines there.
fn is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let stream = std::fs::metadata("/proc/self/fd/2");
    stream.is_ok_and(|stream| named == format!("{}:{}", stream.dev(), stream.ino()))
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
