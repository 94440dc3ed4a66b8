//! `turnstiled journal`: what a stopped gate has on its disk, for an operator to keep and to check.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CONFIG, Failure, UNAVAILABLE, output};
use crate::config;
use crate::domain::Utc;
use crate::store::journal::{Journal, JournalError, JournalStatus, Limits, RECORD_BYTES_MAX};
use crate::sync::hex;

/// A data file is wrong.
const WRONG_DATA: u8 = 65;
/// An input cannot be read.
const NO_INPUT: u8 = 66;
/// Records read at a time.
const CHUNK_RECORDS: usize = 1_000;
const CHUNK_BYTES: usize = 1 << 20;
/// The longest line of an export: a record, and less than this around it.
const LINE_BYTES_MAX: u64 = RECORD_BYTES_MAX as u64 + 512;

/// Which journal.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// Config file of the gate
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// `data_dir` of the gate, or a copy of it
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
}

/// Work on the journal of a stopped gate.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Write records as JSON lines, in order
    Export(Export),
    /// Walk the hash chain, and say what is there, what the backend has and what was never recorded
    Verify {
        /// Which journal
        #[command(flatten)]
        place: Place,
    },
}

/// `turnstiled journal export`
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// Begin after this record
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// End with this record
    #[arg(long, value_name = "SEQ", default_value_t = u64::MAX, hide_default_value = true)]
    through: u64,
    /// Append to this file, after the last record that is whole in it; without it to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Export(export) => export.run(),
        Command::Verify { place } => verify(place, &mut io::stdout().lock()),
    }
}

impl Place {
    fn open(&self) -> Result<Journal, Failure> {
        let data = match (&self.config, &self.data) {
            (Some(config), _) => {
                let config = config::load(config).map_err(|error| Failure::new(CONFIG, &error))?;
                config.data_dir
            }
            (None, Some(data)) => data.clone(),
            (None, None) => PathBuf::new(),
        };
        let dir = data.join("journal");
        Journal::inspect(&dir, Limits::of_mib(0)).map_err(|error| match error {
            JournalError::InUse { path } => Failure {
                code: UNAVAILABLE,
                sentence: format!(
                    "{} is in use: the gate is running on it. Stop it first (systemctl stop turnstiled), or ask the backend: turnstiled backend passages",
                    path.display()
                ),
            },
            JournalError::Io { .. } => Failure::new(NO_INPUT, &error),
            JournalError::Corrupt { .. }
            | JournalError::Full { .. }
            | JournalError::Unwritable(_)
            | JournalError::AckPastEnd { .. }
            | JournalError::Failed(_)
            | JournalError::InDoubt { .. } => failure(&error),
        })
    }
}

fn failure(error: &JournalError) -> Failure {
    Failure::new(WRONG_DATA, error)
}

impl Export {
    fn run(&self) -> Result<u8, Failure> {
        let journal = self.place.open()?;
        let Some(path) = &self.out else {
            let mut out = BufWriter::new(io::stdout().lock());
            let done = self.write(&journal, self.after, &mut out)?;
            out.flush().map_err(|error| output(&error))?;
            return Ok(say(done));
        };
        let io = |source: io::Error| Failure {
            code: NO_INPUT,
            sentence: format!("cannot use {}: {source}", path.display()),
        };
        let (mut file, last) = resume(path).map_err(io)?;
        let after = match last {
            Some(last) => {
                last.is_of(&journal, path)?;
                self.after.max(last.seq)
            }
            None => self.after,
        };
        let mut out = BufWriter::new(&mut file);
        let done = self.write(&journal, after, &mut out)?;
        out.flush().map_err(io)?;
        drop(out);
        file.sync_all().map_err(io)?;
        Ok(say(done))
    }

    /// Writes the records after `after`; gives the first and the last.
    fn write(
        &self,
        journal: &Journal,
        mut after: u64,
        out: &mut impl Write,
    ) -> Result<Option<(u64, u64)>, Failure> {
        let status = journal.status();
        let gone = status.kept_seq.saturating_sub(1);
        if after < gone {
            tracing::warn!(
                "records {} to {gone} are not here any more: the backend has acknowledged them",
                after.saturating_add(1)
            );
        }
        let mut done = None;
        loop {
            let records = journal
                .read(after, CHUNK_RECORDS, CHUNK_BYTES)
                .map_err(|error| failure(&error))?;
            let Some(last) = records.last().map(|last| last.seq) else {
                return Ok(done);
            };
            for record in &records {
                if record.seq > self.through {
                    return Ok(done);
                }
                // Digits and JSON: nothing needs escaping.
                let epoch = if record.seq >= status.epoch_first {
                    format!("\"{}\"", status.epoch)
                } else {
                    // Of an epoch before this one.
                    "null".to_owned()
                };
                let line = writeln!(
                    out,
                    r#"{{"epoch":{},"seq":{},"hash":"{}","acknowledged":{},"record":{}}}"#,
                    epoch,
                    record.seq,
                    hex::encode(&record.hash),
                    record.seq <= status.acked_seq,
                    record.record,
                );
                line.map_err(|error| output(&error))?;
                done = Some((done.map_or(record.seq, |(first, _)| first), record.seq));
            }
            after = last;
        }
    }
}

fn say(done: Option<(u64, u64)>) -> u8 {
    match done {
        Some((first, last)) => tracing::info!("records {first} to {last} are written"),
        None => tracing::info!("there is nothing to write"),
    }
    0
}

/// The last line of an export.
#[derive(Deserialize)]
struct Line {
    seq: u64,
    hash: String,
}

impl Line {
    /// The link of the chain says whether this journal wrote it; of what is gone nobody can say.
    fn is_of(&self, journal: &Journal, path: &Path) -> Result<(), Failure> {
        let status = journal.status();
        let found = journal
            .read(self.seq.saturating_sub(1), 1, 1)
            .map_err(|error| failure(&error))?;
        let ours = found
            .first()
            .is_some_and(|found| found.seq != self.seq || hex::encode(&found.hash) == self.hash);
        if self.seq < status.kept_seq || ours {
            return Ok(());
        }
        Err(Failure {
            code: WRONG_DATA,
            sentence: format!(
                "{} ends with a record {} of another journal: export into another file",
                path.display(),
                self.seq
            ),
        })
    }
}

/// Opens an export to go on with it: a last line that is not whole is cut off. Gives the last record in it.
fn resume(path: &Path) -> io::Result<(File, Option<Line>)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let length = file.metadata()?.len();
    // The last whole line is in here, whatever was torn off behind it.
    let start = length.saturating_sub(2 * LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    (&file).take(2 * LINE_BYTES_MAX).read_to_end(&mut end)?;
    let whole = end
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let lines = end.get(..whole).unwrap_or_default();
    if whole == 0 && start > 0 {
        return Err(io::Error::other("it does not end in a line of an export"));
    }
    file.set_len(start.saturating_add(whole as u64))?;
    file.seek(SeekFrom::End(0))?;
    let Some(last) = lines.split(|byte| *byte == b'\n').rev().nth(1) else {
        return Ok((file, None));
    };
    let line = serde_json::from_slice(last)
        .map_err(|_| io::Error::other("its last line is none of an export"))?;
    Ok((file, Some(line)))
}

fn verify(place: &Place, out: &mut impl Write) -> Result<u8, Failure> {
    let journal = place.open()?;
    let verified = journal.verify().map_err(|error| failure(&error))?;
    let status = journal.status();
    let said = report(&status, verified.gaps, verified.unrecorded, out);
    said.map_err(|error| output(&error))?;
    Ok(0)
}

fn report(
    status: &JournalStatus,
    gaps: u64,
    unrecorded: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let range = |first: u64, end: u64| match end.checked_sub(first) {
        None | Some(0) => "none".to_owned(),
        Some(count) => format!("{count}, {first} to {}", end - 1),
    };
    writeln!(out, "epoch:                 {}", status.epoch)?;
    writeln!(
        out,
        "records here:          {}",
        range(status.kept_seq, status.next_seq)
    )?;
    writeln!(out, "hash chain:            unbroken, no number missing")?;
    writeln!(out, "backend has:           {}", range(1, status.first_seq))?;
    writeln!(
        out,
        "wait for the backend:  {}",
        range(status.first_seq, status.next_seq)
    )?;
    let dates = (status.oldest_utc, status.newest_utc);
    if let (Some(oldest), Some(newest), true) = (dates.0, dates.1, status.backlog > 0) {
        writeln!(
            out,
            "  from, to:            {}, {}",
            date(oldest),
            date(newest)
        )?;
    }
    writeln!(
        out,
        "gap records:           {gaps}, for {unrecorded} grants without a record"
    )?;
    writeln!(
        out,
        "bytes:                 {} waiting and state, {} kept",
        status.bytes, status.kept_bytes
    )
}

fn date(utc: Utc) -> String {
    let ms = i64::try_from(utc.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}
