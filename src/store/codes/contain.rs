//! Keeping sled's faults, panics and torn files away from everybody else.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::CodesError;

pub(super) fn close(db: Option<sled::Db>) {
    let closed = contained(|| {
        drop(db);
        Ok(())
    });
    if let Err(error) = closed {
        tracing::warn!(%error, "the codes store did not close cleanly");
    }
}

/// Removes the directory of a generation; what cannot be removed is tried again at the next start.
pub(super) fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "an old generation stays on the disk until the next start");
        }
        Ok(()) | Err(_) => {}
    }
}

/// sled cannot be trusted to report its faults as errors: some are panics. Whoever gets an error from here drops
/// the generation, so nothing half-done is looked at again.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, CodesError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(CodesError::Broken(error.to_string())),
        Err(payload) => {
            let what = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied());
            Err(CodesError::Broken(format!(
                "panic: {}",
                what.unwrap_or("without a message")
            )))
        }
    }
}

/// A generation that was just closed may be locked for a moment longer by sled's own threads. Nobody else can hold
/// it: the cache has a lock of its own.
pub(super) fn open_patiently(config: &sled::Config) -> Result<sled::Db, CodesError> {
    let mut patience = 50;
    loop {
        match contained(|| config.open()) {
            Err(CodesError::Broken(what))
                if patience > 0 && what.contains("could not acquire lock") =>
            {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// A power cut while sled writes a snapshot of its page table leaves a file that stops it from opening
/// (spacejam/sled #1527).
pub(super) fn remove_torn_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
