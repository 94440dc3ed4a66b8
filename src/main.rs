//! Arguments in, exit code out. What a failure says goes to standard error, in one sentence.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use turnstiled::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "turnstiled: {}", failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}
