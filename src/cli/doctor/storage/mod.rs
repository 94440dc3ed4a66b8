//! `turnstiled doctor storage`: makes a list and a journal of its own on the disk in question, uses them as a gate
//! does, and says whether that disk is good enough. Nothing that lies there already is touched, and all of it is
//! removed at the end.

pub mod crowd;
pub mod report;
mod trial;

use std::io::{self, Write};
use std::path::PathBuf;

use super::super::{Failure, UNAVAILABLE, output};
use crate::telemetry::log;

/// Rows of a list that a gate must be able to hold.
const ROWS: u64 = 10_000_000;
/// Random changes after which look-ups must still be quick.
const CHANGES: u64 = 400_000;

/// Measures what a gate does with its disk, on a list and a journal made for it, and judges it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A directory on the card or disk in question; made if need be
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: PathBuf,
    /// Rows of the list, 1000 to 20000000
    #[arg(long, default_value_t = ROWS, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    pub rows: u64,
    /// Random changes before the list counts as aged, at most a quarter of the rows
    #[arg(long, default_value_t = CHANGES)]
    pub changes: u64,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Measures and judges; 1 if a limit does not hold.
///
/// # Errors
/// [`Failure`] if the directory cannot be used, or the disk is full.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    log::start("warn");
    let figures = trial::run(args, &mut |what| {
        // For whoever waits; standard error may be closed.
        let _ = writeln!(io::stderr(), "{what} ...");
    })
    .map_err(|error| Failure::new(UNAVAILABLE, &error))?;
    let said = if args.json {
        figures.json().map_err(|error| Failure::new(1, &error))?
    } else {
        figures.to_string()
    };
    writeln!(out, "{said}").map_err(|error| output(&error))?;
    Ok(u8::from(!figures.broken().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_in(dir: PathBuf) -> (u8, String) {
        let args = Args {
            dir,
            rows: 20_000,
            changes: u64::MAX,
            json: true,
        };
        let mut out = Vec::new();
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_technician_gets_one_line_with_every_figure_and_a_clean_disk() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("theirs"), "stays").unwrap();
        let (_, out) = run_in(dir.path().to_owned());
        let figures: serde_json::Value = serde_json::from_str(&out).unwrap();
        for key in ["load_s", "load_peak_rss_mib", "steady_rss_mib", "disk_mib"] {
            assert!(figures[key].as_f64().unwrap() > 0.0, "{key}: {out}");
        }
        for key in ["lookup_us", "aged_lookup_us", "append_us"] {
            for part in ["p50", "p99", "max"] {
                assert!(figures[key][part].is_u64(), "{key}.{part}: {out}");
            }
        }
        assert_eq!(
            (&figures["rows"], &figures["changes"]),
            (&20_000.into(), &5_000.into())
        );
        assert!(["good", "not_good"].contains(&figures["verdict"].as_str().unwrap()));
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let args = Args {
            dir: file.clone(),
            rows: 1_000,
            changes: 0,
            json: false,
        };
        let failure = run(&args, &mut Vec::new()).unwrap_err();
        assert!(
            failure.sentence.contains(&file.display().to_string()),
            "{failure:?}"
        );
    }
}
