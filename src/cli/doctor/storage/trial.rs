//! The trial itself: load, look up, age, look up, load again beside the live one, append.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::super::memory;
use super::Args;
use super::crowd::Crowd;
use super::report::{Figures, Took};
use crate::domain::ids::NameError;
use crate::domain::{
    Direction, Entry, GrantId, Kind, ListId, Medium, Now, PassbackKey, Prompt, Reason, Record,
    ReplayKey, StateChange, Subject, Utc, Verdict,
};
use crate::store::codes::{Codes, CodesError, ListState, SledCodes, Verify};
use crate::store::journal::{Journal, JournalError, Limits};

/// Look-ups that are measured, and before them those that warm up.
const LOOK_UPS: u64 = 200_000;
/// Changes of one delta.
const DELTA: usize = 1_000;
/// Grants that are made durable one by one.
const APPENDS: u64 = 2_000;
/// Between two look-ups during a load: a crowd at four lanes is slower.
const PAUSE: Duration = Duration::from_millis(2);

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    /// The directory cannot be used.
    #[error("cannot use {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache failed.
    #[error("the list could not be stored")]
    Codes(#[from] CodesError),
    /// The journal failed.
    #[error("the journal could not be written")]
    Journal(#[from] JournalError),
    /// A row that is there was not found, or with another value: the disk does not keep what it is given.
    #[error("row {0} is not what was stored")]
    Wrong(u64),
    /// A broken invariant of ours.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The thread that looks up broke off.
    #[error("the look-ups broke off")]
    CutShort,
}

pub(super) fn run(args: &Args, tell: &mut dyn FnMut(&str)) -> Result<Figures, TrialError> {
    let place = place(&args.dir)?;
    let list = ListId::new("trial")?;
    let crowd = Crowd::new(args.rows);
    let codes = SledCodes::open(
        &place.path().join("codes"),
        std::slice::from_ref(&list),
        Verify::First,
    )?;
    let trial = Trial { codes, list, crowd };
    let mut figures = Figures {
        rows: args.rows,
        changes: args.changes.min(args.rows / 4),
        ..Figures::default()
    };

    tell("making the list");
    let mut state = crowd.state();
    memory::forget_peak();
    tell("loading it");
    figures.load_s = trial.load(&state)?;
    figures.load_peak_rss_mib = mib(memory::peak_kib());
    figures.disk_mib = mib(trial.codes.disk_bytes() / 1024);
    tell("looking people up");
    trial.look_ups(LOOK_UPS / 4, 0, 0)?;
    figures.lookup_us = trial.look_ups(LOOK_UPS, LOOK_UPS, 0)?;
    figures.steady_rss_mib = mib(memory::resident_kib());

    tell("changing the list");
    figures.changes_per_s = trial.age(figures.changes, &mut state)?;
    figures.aged_lookup_us = trial.look_ups(LOOK_UPS, LOOK_UPS, figures.changes)?;
    figures.aged_rss_mib = mib(memory::resident_kib());
    figures.aged_disk_mib = mib(trial.codes.disk_bytes() / 1024);

    tell("loading it again beside the copy in use");
    memory::forget_peak();
    let reloaded = ListState {
        version: state.version.saturating_add(1),
        ..crowd.state()
    };
    (figures.reload_s, figures.reload_lookup_us) = trial.load_in_use(&reloaded)?;
    figures.reload_peak_rss_mib = mib(memory::peak_kib());
    drop(trial);

    tell("writing grants to a journal");
    figures.append_us = appends(&place.path().join("journal"))?;
    Ok(figures)
}

/// A new directory in `dir`, gone when it is dropped.
fn place(dir: &Path) -> Result<TempDir, TrialError> {
    let failed = |source| TrialError::Directory {
        path: dir.into(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    tempfile::Builder::new()
        .prefix("turnstiled-doctor-")
        .tempdir_in(dir)
        .map_err(failed)
}

struct Trial {
    codes: SledCodes,
    list: ListId,
    crowd: Crowd,
}

impl Trial {
    /// Seconds until the list is in force, durable.
    fn load(&self, state: &ListState) -> Result<f64, TrialError> {
        let begun = Instant::now();
        let mut load = self.codes.begin(&self.list, self.crowd.rows())?;
        self.crowd.each(|key, value| load.push(key, value))?;
        load.commit(state)?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// The same while somebody is looked up all the time.
    fn load_in_use(&self, state: &ListState) -> Result<(f64, Took), TrialError> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut took = Vec::new();
                let mut asked = 0;
                while !done.load(Ordering::Relaxed) {
                    asked += 1;
                    // Row 1 of each four of the walk keeps its place in old and new alike.
                    let n = self
                        .crowd
                        .scattered(asked % (self.crowd.rows() / 4) * 4 + 3);
                    took.push(self.look_up(n, 0)?);
                    std::thread::sleep(PAUSE);
                }
                Ok::<_, TrialError>(Took::of(took))
            });
            let loaded = self.load(state);
            done.store(true, Ordering::Relaxed);
            let asked = asking.join().map_err(|_| TrialError::CutShort)?;
            Ok((loaded?, asked?))
        })
    }

    /// `count` look-ups of people all over the list, of which the first `changed` of the walk were changed.
    fn look_ups(&self, count: u64, from: u64, changed: u64) -> Result<Took, TrialError> {
        let mut took = Vec::new();
        for k in from..from.saturating_add(count) {
            let k = k % self.crowd.rows();
            let turn = match (k < changed, k % 4) {
                (true, 0 | 1) => 1,
                // Taken out of the list.
                (true, 2) => continue,
                (true, _) | (false, _) => 0,
            };
            took.push(self.look_up(self.crowd.scattered(k), turn)?);
        }
        Ok(Took::of(took))
    }

    /// Microseconds of one look-up; the row must be what was stored.
    fn look_up(&self, n: u64, turn: u64) -> Result<u64, TrialError> {
        let begun = Instant::now();
        let row = self.codes.look_up(&self.list, &self.crowd.key(n))?;
        let took = begun.elapsed();
        if row.is_none_or(|row| row.encode() != self.crowd.value(n, turn)) {
            return Err(TrialError::Wrong(n));
        }
        Ok(micros(took))
    }

    /// Changes a second.
    fn age(&self, changes: u64, state: &mut ListState) -> Result<u64, TrialError> {
        let mut spent = Duration::ZERO;
        for from in (0..changes).step_by(DELTA) {
            let delta = self
                .crowd
                .changes(from, (changes - from).min(DELTA as u64), state);
            let begun = Instant::now();
            self.codes.apply(&self.list, &delta, state)?;
            spent += begun.elapsed();
        }
        let ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX).max(1);
        Ok(changes.saturating_mul(1_000) / ms)
    }
}

fn appends(dir: &Path) -> Result<Took, TrialError> {
    let (journal, _) = Journal::open(dir, Limits::of_mib(64))?;
    let mut took = Vec::new();
    for n in 0..APPENDS {
        let entry = grant(n);
        let begun = Instant::now();
        journal.append(&[entry])?;
        took.push(micros(begun.elapsed()));
    }
    Ok(Took::of(took))
}

/// A grant as a gate records it, with the state that goes with it.
fn grant(n: u64) -> Entry {
    let now = Now {
        utc: Some(Utc::from_secs(1_795_000_000 + n)),
        ..Now::default()
    };
    let subject = Subject(n.to_be_bytes());
    let kind = Kind::Decision {
        direction: Direction::Entry,
        medium: Medium::QrCode,
        issuer: None,
        subject: Some(subject),
        verdict: Verdict::Grant,
        reason: Reason::InOrder,
        prompt: Prompt::Go,
        grant: Some(GrantId(n)),
        lists: Vec::new(),
        elsewhere: None,
        region: 0,
    };
    let mut key = [0; 32];
    key.iter_mut()
        .zip(n.to_be_bytes())
        .for_each(|(to, from)| *to = from);
    Entry {
        grant: Some(GrantId(n)),
        record: Record::new(1, now, Some("trial".into()), kind),
        changes: vec![
            StateChange::Seen {
                key: ReplayKey(key),
                until: Utc::from_secs(1_795_000_300 + n),
            },
            StateChange::Passed {
                key: PassbackKey::Subject(subject),
                direction: Direction::Entry,
                at: Utc::from_secs(1_795_000_000 + n),
            },
        ],
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
