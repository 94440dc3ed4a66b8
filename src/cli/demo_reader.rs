//! `turnstiled demo reader KIND --pty PATH`: a reader without the part.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Failure, UNAVAILABLE, output, runtime, told_to_stop};
use crate::lab::line_faults::LineFaults;
use crate::lab::reader::Kind;
use crate::lab::reader::terminal::{Settings, run as emulate};
use crate::telemetry::log;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which reader
    kind: Kind,
    /// Becomes a link to the terminal: the port for the config of the gate
    #[arg(long, value_name = "PATH")]
    pty: PathBuf,
    /// A card is laid this often, milliseconds; without it, at each line of standard input
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(100..=3_600_000))]
    every: Option<u32>,
    /// OSDP: a reader with this address and key (32 hex digits; "new" for one that waits for its key); up to eight times
    #[arg(long = "osdp-key", value_name = "ADDRESS=KEY", value_parser = key)]
    keys: Vec<(u8, Option<[u8; 16]>)>,
    /// Bytes that come together
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    chunk: u16,
    /// Bytes of noise before each reply
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    noise: u16,
    /// Of so many replies, one has a wrong checksum; 0: none has
    #[arg(long, value_name = "N", default_value_t = 0)]
    wrong_checksum: u32,
    /// Of so many replies, one stops in the middle; 0: none does
    #[arg(long, value_name = "N", default_value_t = 0)]
    stall: u32,
    /// The plug is pulled this often, milliseconds, for three seconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1_000..=3_600_000))]
    unplug: Option<u32>,
    /// Seed of the noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn key(text: &str) -> Result<(u8, Option<[u8; 16]>), String> {
    let wrong =
        || "like 0=00112233445566778899aabbccddeeff, or 0=new; addresses are 0 to 126".to_owned();
    let (address, key) = text.split_once('=').ok_or_else(wrong)?;
    let address: u8 = address.parse().map_err(|_| wrong())?;
    if address > 126 {
        return Err(wrong());
    }
    if key == "new" {
        return Ok((address, None));
    }
    let is_hex = key.len() == 32 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    let key = u128::from_str_radix(key, 16).ok().filter(|_| is_hex);
    Ok((address, Some(key.ok_or_else(wrong)?.to_be_bytes())))
}

/// Emulates until standard input ends or somebody stops it.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    log::start("warn");
    if args.kind == Kind::Osdp && !(1..=8).contains(&args.keys.len()) {
        let sentence =
            "an OSDP line has one to eight readers: --osdp-key 0=new, or with a key".into();
        return Err(Failure { code: 2, sentence });
    }
    let ms = |ms: u32| Duration::from_millis(ms.into());
    let settings = Settings {
        kind: args.kind,
        path: args.pty.clone(),
        keys: args.keys.clone(),
        faults: LineFaults {
            chunk_len: args.chunk.into(),
            noise_len: args.noise.into(),
            bit_error_every: args.wrong_checksum,
            ..LineFaults::default()
        },
        stall_every: args.stall,
        unplug_every: args.unplug.map(ms),
        tap_every: args.every.map(ms),
        seed: args.seed,
    };
    let (tap, taps) = mpsc::channel(1);
    let told = if args.every.is_some() {
        "lays a card by itself"
    } else {
        "each line of standard input lays a card"
    };
    writeln!(
        std::io::stdout(),
        "an emulated reader is at {}; {told}; Ctrl-C ends it",
        args.pty.display()
    )
    .map_err(|error| output(&error))?;
    let is_told = args.every.is_none();
    let held = tap.clone();
    std::thread::spawn(move || {
        if !is_told {
            return;
        }
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || tap.blocking_send(()).is_err() {
                return;
            }
        }
    });
    let runtime = runtime()?;
    let ran = runtime.block_on(async move {
        // Standard input that ends does not end the reader.
        let _held = held;
        tokio::select! {
            ran = emulate(settings, taps) => ran,
            stopped = told_to_stop() => stopped,
        }
    });
    // The thread may still wait for a line.
    runtime.shutdown_background();
    ran.map_err(|error| Failure {
        code: UNAVAILABLE,
        sentence: format!("{}: {error}", args.pty.display()),
    })?;
    Ok(0)
}
