//! `turnstiled run` and `turnstiled check`.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use tokio::signal::unix::{SignalKind, signal};

use super::{CONFIG, Failure, SOFTWARE, UNAVAILABLE, output, runtime, told_to_stop};
use super::{explain, explain_policy};
use crate::backend::system_clock;
use crate::config::{self, Config};
use crate::drivers::MonoClock;
use crate::runtime::files::read_files;
use crate::runtime::{self, Stand, StartError};
use crate::telemetry::log;

/// Runs the gate until it is told to stop.
///
/// # Errors
/// [`Failure`] with 78 if the config has to be changed.
pub fn run(path: &Path) -> Result<u8, Failure> {
    // Whatever is wrong with the config is told by the failure.
    let config = load(path)?;
    log::start(config.log.level.as_str());
    few_heaps();
    runtime()?.block_on(async {
        let mut running = runtime::start(&config, MonoClock::start(), Stand::default())
            .await
            .map_err(|e| failure(&e))?;
        let mut hang_up =
            signal(SignalKind::hangup()).map_err(|e| Failure::new(UNAVAILABLE, &e))?;
        let stopped = told_to_stop();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                stopped = &mut stopped => {
                    stopped.map_err(|error| Failure::new(UNAVAILABLE, &error))?;
                    break;
                }
                Some(()) = hang_up.recv() => running.reload(path).await,
                // Whoever supervises starts it again; going on without a loop would hold the lane shut in silence.
                () = running.broke_off() => {
                    let sentence = "the loop broke off; the log says why".into();
                    return Err(Failure { code: SOFTWARE, sentence });
                }
            }
        }
        tracing::info!("stopping: lines into their safe state, journal closed");
        running.stop().await;
        Ok(0)
    })
}

/// Tells glibc how many heaps it may have.
const HEAPS: &str = "MALLOC_ARENA_MAX";

/// Starts this process over with few heaps, unless that was said already. glibc gives each thread a heap of its own
/// and every heap keeps its largest size: with a list of ten million rows that was 40 MiB of memory that nobody used. The
/// number is read once, when a process starts.
fn few_heaps() {
    if std::env::var_os(HEAPS).is_some() {
        return;
    }
    let again = std::env::current_exe().map(|program| {
        Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(HEAPS, "2")
            .exec()
    });
    let (Ok(error) | Err(error)) = again;
    tracing::warn!(%error, "cannot start over with {HEAPS}=2; this process may take more memory");
}

/// Checks a config and the files it names. A device that is not there is told, and is no reason to refuse: it may be
/// plugged in later, and the gate goes on trying.
///
/// # Errors
/// [`Failure`] with 78 and the first thing that is wrong.
pub fn check(path: &Path) -> Result<u8, Failure> {
    let config = load(path)?;
    let files = read_files(&config).map_err(|error| failure(&error))?;
    for (key, device) in config.devices() {
        if !device.exists() {
            let said = writeln!(
                std::io::stderr(),
                "{}: key `{key}`: {} is not there now; the gate starts all the same, and goes on trying",
                path.display(),
                device.display()
            );
            said.map_err(|error| output(&error))?;
        }
    }
    let lanes: Vec<_> = config.lanes.iter().map(|lane| lane.name.as_str()).collect();
    let said = writeln!(
        std::io::stdout(),
        "{}: good; gate {}, lanes {}, {} lists",
        path.display(),
        config.gate,
        lanes.join(", "),
        config.lists.len()
    );
    said.map_err(|error| output(&error))?;
    for words in files.trust_in_words() {
        writeln!(std::io::stdout(), "{words}").map_err(|error| output(&error))?;
    }
    let mut lines = explain::modes(&config, system_clock()())
        .into_iter()
        .chain(explain_policy::policy(&config));
    lines
        .try_for_each(|line| writeln!(std::io::stdout(), "{line}"))
        .map_err(|error| output(&error))?;
    Ok(0)
}

fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(|error| Failure::new(CONFIG, &error))
}

fn failure(error: &StartError) -> Failure {
    Failure::new(
        if error.is_config() {
            CONFIG
        } else {
            UNAVAILABLE
        },
        error,
    )
}
