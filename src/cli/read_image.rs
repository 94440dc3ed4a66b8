//! `turnstiled codes read-image`: what the gate's eyes make of picture files, each by itself.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::drivers::camera::folder;
use crate::vision;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One JSON object a line: {"file","texts","cpu_us"}, or {"file","error"}
    #[arg(long)]
    json: bool,
    /// PNG, JPEG, WebP or PGM files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<&'a [String]>,
    /// Thread CPU time from luma to texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Reads the files; false if one of them could not be read as a picture. A picture without a code is no error.
///
/// # Errors
/// If `out` cannot be written to.
pub fn run(args: &Args, out: &mut dyn Write) -> std::io::Result<bool> {
    let mut all = true;
    for path in &args.files {
        let file = path.to_string_lossy();
        match folder::read(path) {
            Ok(luma) => {
                // A camera at a gate gives no larger frames.
                let luma = luma.fitted(1280, 720);
                let before = thread_cpu();
                let texts = vision::read(&luma).texts;
                let cpu_us = u64::try_from(thread_cpu().saturating_sub(before).as_micros())
                    .unwrap_or(u64::MAX);
                if args.json {
                    json(
                        out,
                        &Line {
                            file: &file,
                            texts: Some(&texts),
                            cpu_us: Some(cpu_us),
                            error: None,
                        },
                    )?;
                } else if texts.is_empty() {
                    writeln!(out, "{file}: no code read ({cpu_us} us)")?;
                } else {
                    writeln!(out, "{file}: {texts:?} ({cpu_us} us)")?;
                }
            }
            Err(error) => {
                all = false;
                if args.json {
                    json(
                        out,
                        &Line {
                            file: &file,
                            texts: None,
                            cpu_us: None,
                            error: Some(&error),
                        },
                    )?;
                } else {
                    writeln!(out, "{file}: {error}")?;
                }
            }
        }
    }
    Ok(all)
}

fn json(out: &mut dyn Write, line: &Line<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
}
