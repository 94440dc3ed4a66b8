//! Subcommands: arguments in, exit code out.
//!
//! | Exit code | Means |
//! |---|---|
//! | 0 | done |
//! | 1 | it ran, and something in it was not as it should be |
//! | 2 | the arguments are wrong |
//! | 64 | an address that is not allowed (`EX_USAGE`) |
//! | 65 | a data file is wrong (`EX_DATAERR`) |
//! | 66 | an input file cannot be read (`EX_NOINPUT`) |
//! | 69 | something that is needed is not available (`EX_UNAVAILABLE`) |
//! | 70 | a broken invariant: a mistake of ours (`EX_SOFTWARE`) |
//! | 73 | something is there already and is not overwritten (`EX_CANTCREAT`) |
//! | 77 | whoever asks may not (`EX_NOPERM`) |
//! | 78 | the config, or a file it names, is wrong (`EX_CONFIG`) |

pub mod backend;
pub mod codes_explain;
pub mod codes_import;
#[cfg(feature = "lab")]
pub mod codes_mint;
pub mod codes_pack;
pub mod codes_verify;
#[cfg(feature = "lab")]
pub mod demo;
#[cfg(feature = "lab")]
mod demo_reader;
pub mod directive;
pub mod doctor;
mod explain;
mod explain_policy;
pub mod gate;
pub mod journal;
pub mod lane;
pub mod pages;
pub mod passages;
pub mod read_image;
mod sheet;
#[cfg(feature = "lab")]
pub mod simulate;
pub mod table;
pub mod trust;
pub mod undrive;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::telemetry::log;

/// Gate controller daemon.
#[derive(Debug, Parser)]
#[command(name = "turnstiled", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate
    Run {
        /// Config file, TOML
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a config and the files it names, as `run` would
    Check {
        /// Config file, TOML
        file: PathBuf,
    },
    /// Ask the gate on this machine: status, mode, open once, reset the fire
    Lane(lane::Args),
    /// Run the reference backend, or read passages back from it
    Backend(Box<backend::BackendArgs>),
    /// Codes: import into a backend, pack for a web server, read from pictures, trust lists
    #[command(subcommand)]
    Codes(Codes),
    /// Questions of a technician on site, answered
    #[command(subcommand)]
    Doctor(doctor::Doctor),
    /// The journal of a stopped gate: export, verify
    #[command(subcommand)]
    Journal(journal::Command),
    /// Leave every output of a stopped gate undriven, the safe state
    Undrive(undrive::Args),
    /// Write man pages and shell completions, for the package
    #[command(hide = true)]
    Pages(pages::Args),
    /// People at a gate, without hardware
    #[cfg(feature = "lab")]
    Demo(demo::Args),
    /// Days at a gate in moments, with everything that can go wrong, and an oracle
    #[cfg(feature = "lab")]
    Simulate(simulate::Args),
}

#[derive(Debug, Subcommand)]
enum Codes {
    /// Import a CSV of people into a list of a backend
    Import(codes_import::ImportArgs),
    /// Pack a CSV of people into a folder that any web server can serve
    Pack(codes_pack::PackArgs),
    /// Read codes out of picture files, each by itself
    ReadImage(read_image::Args),
    /// Say for one code each step of a gate and what comes of it; nothing is logged or sent
    Explain(codes_explain::Args),
    /// Check codes against certificates or a trust list, one a line
    Verify(codes_verify::Args),
    /// Sign trust lists, show signed ones
    #[command(subcommand)]
    Trust(trust::Command),
    /// Make keys and codes of issuers that exist in a lab only
    #[cfg(feature = "lab")]
    Mint(codes_mint::Args),
}

/// Why a command did not do it: a sentence, and an exit code.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What is wrong and where, with its causes.
    pub sentence: String,
}

impl Failure {
    /// A failure that says what `error` says, causes included.
    #[must_use]
    pub fn new(code: u8, error: &dyn std::error::Error) -> Self {
        let mut sentence = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = std::fmt::Write::write_fmt(&mut sentence, format_args!(": {cause}"));
            source = cause.source();
        }
        Self { code, sentence }
    }
}

/// A data file, or a value, is wrong.
pub const DATA: u8 = 65;
/// Something that is needed is not available.
pub const UNAVAILABLE: u8 = 69;
/// A broken invariant: a mistake of ours.
pub const SOFTWARE: u8 = 70;
/// A file cannot be written.
pub const CANNOT_CREATE: u8 = 73;
/// The config is wrong.
pub const CONFIG: u8 = 78;

/// Runs a command; gives its exit code.
///
/// # Errors
/// [`Failure`].
pub fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Run { config } => gate::run(&config),
        Command::Check { file } => gate::check(&file),
        Command::Lane(args) => lane::run(args),
        Command::Backend(args) => {
            log::start("info");
            let ran = runtime()?.block_on(backend::run(&args));
            let said = ran.map_err(|error| Failure::new(error.exit_code(), &error))?;
            if let Some(sentence) = said {
                writeln!(std::io::stdout(), "{sentence}").map_err(|error| output(&error))?;
            }
            Ok(0)
        }
        Command::Codes(Codes::Import(args)) => {
            log::start("warn");
            let imported = runtime()?.block_on(codes_import::run(&args));
            let summary = imported.map_err(|error| Failure::new(error.exit_code(), &error))?;
            writeln!(std::io::stdout(), "{summary}").map_err(|error| output(&error))?;
            Ok(0)
        }
        Command::Codes(Codes::Pack(args)) => {
            log::start("warn");
            let packed = codes_pack::run(&args);
            let summary = packed.map_err(|error| Failure::new(error.exit_code(), &error))?;
            writeln!(std::io::stdout(), "{summary}").map_err(|error| output(&error))?;
            Ok(0)
        }
        Command::Codes(Codes::ReadImage(args)) => {
            read_image::run(&args, &mut std::io::stdout().lock()).map_err(|error| output(&error))
        }
        Command::Codes(Codes::Explain(args)) => codes_explain::run(
            &args,
            &mut std::io::stdin().lock(),
            &mut std::io::stdout().lock(),
        ),
        Command::Codes(Codes::Verify(args)) => codes_verify::run(
            &args,
            &mut std::io::stdin().lock(),
            &mut std::io::stdout().lock(),
        ),
        Command::Codes(Codes::Trust(command)) => {
            let said = trust::run(&command)?;
            writeln!(std::io::stdout(), "{said}").map_err(|error| output(&error))?;
            Ok(0)
        }
        #[cfg(feature = "lab")]
        Command::Codes(Codes::Mint(args)) => codes_mint::run(&args, &mut std::io::stdout().lock()),
        Command::Doctor(what) => doctor::run(&what, &mut std::io::stdout().lock()),
        Command::Journal(command) => {
            log::start("info");
            journal::run(&command)
        }
        Command::Undrive(args) => undrive::run(&args),
        Command::Pages(args) => pages::run(&args),
        #[cfg(feature = "lab")]
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "lab")]
        Command::Simulate(args) => simulate::run(&args),
    }
}

/// Standard output is closed or full.
fn output(error: &std::io::Error) -> Failure {
    Failure::new(1, error)
}

/// The runtime that commands with something to wait for run on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNAVAILABLE, &error))
}

/// Ends when somebody wants this process to stop: SIGTERM or Ctrl-C.
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        stopped = tokio::signal::ctrl_c() => stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
