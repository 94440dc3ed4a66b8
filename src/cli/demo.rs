//! `turnstiled demo`.

use std::net::SocketAddr;

use super::{Failure, UNAVAILABLE, runtime, told_to_stop};
use crate::backend::system_clock;
use crate::lab::demo::cast::{PASSENGERS_MAX, PASSENGERS_MIN};
use crate::lab::demo::{self, Settings};
use crate::telemetry::log;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Draws the people; the same seed brings the same people
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many people come
    #[arg(long, default_value_t = 48, value_parser = passengers)]
    passengers: usize,
    /// Where the pages are served
    #[arg(long, default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// The last line is the closing table as one JSON object
    #[arg(long)]
    json: bool,
    /// People keep coming until Ctrl-C
    #[arg(long)]
    stay: bool,
}

/// A part of a gate, emulated.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Put an emulated reader on a pseudo-terminal, to try a gate without the part
    Reader(super::demo_reader::Args),
}

fn passengers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (PASSENGERS_MIN..=PASSENGERS_MAX).contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(format!(
            "a number from {PASSENGERS_MIN} to {PASSENGERS_MAX}"
        )),
    }
}

/// Runs the demo; 1 if any outcome is not the expected one.
///
/// # Errors
/// [`Failure`].
pub fn run(args: &Args) -> Result<u8, Failure> {
    if let Some(Part::Reader(args)) = &args.part {
        return super::demo_reader::run(args);
    }
    log::start("error");
    let Args {
        part: _,
        seed,
        passengers,
        listen,
        json,
        stay,
    } = args;
    let settings = Settings {
        seed: *seed,
        passengers: *passengers,
        listen: *listen,
        json: *json,
        stay: *stay,
    };
    let runtime = runtime()?;
    let ran = runtime.block_on(demo::run(
        &settings,
        system_clock(),
        told_to_stop(),
        &mut std::io::stdout(),
    ));
    match ran {
        Ok(expected) => Ok(u8::from(!expected)),
        Err(error) => Err(Failure::new(UNAVAILABLE, &error)),
    }
}
