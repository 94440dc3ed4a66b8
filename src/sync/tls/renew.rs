//! Reads certificate, key and authority again when their files change: a renewed certificate needs no restart.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

use super::{FileError, Files, Material};
use crate::domain::GateId;

/// How often to look.
pub const LOOK: Duration = Duration::from_secs(10);

/// What tells one state of the files from another. A writer that renames new files into place changes the inode.
type Stamp = [Option<(u64, u64, i64, i64)>; 3];

/// Looks after three files.
#[derive(Debug)]
pub struct Renewal {
    files: Files,
    gate: Option<GateId>,
    stamp: Stamp,
    /// What was logged last.
    trouble: Option<FileError>,
}

impl Renewal {
    /// Looks after files that have been read just now; of a gate, if one is named.
    #[must_use]
    pub fn new(files: Files, gate: Option<GateId>) -> Self {
        let stamp = stamp(&files);
        Self {
            files,
            gate,
            stamp,
            trouble: None,
        }
    }

    /// What the files hold, if they have changed since the last look and can be used. A set that does not fit together
    /// is looked at again: somebody may be in the middle of writing it.
    pub fn look(&mut self) -> Option<Material> {
        let now = stamp(&self.files);
        if now == self.stamp && self.trouble.is_none() {
            return None;
        }
        let read = match &self.gate {
            Some(gate) => Material::read_for(&self.files, gate),
            None => Material::read(&self.files),
        };
        match read {
            Ok(material) => {
                self.stamp = now;
                self.trouble = None;
                Some(material)
            }
            Err(error) => {
                if self.trouble.as_ref() != Some(&error) {
                    tracing::warn!(
                        %error,
                        "the changed certificate files cannot be used; those read before stay in use"
                    );
                    self.trouble = Some(error);
                }
                None
            }
        }
    }
}

/// Looks again and again until told to stop; hands over what is new.
pub async fn run(
    mut renewal: Renewal,
    every: Duration,
    mut stop: watch::Receiver<bool>,
    mut take: impl FnMut(Material),
) {
    loop {
        tokio::select! {
            // An error means that the sender is gone: the same.
            _ = stop.wait_for(|stop| *stop) => return,
            () = time::sleep(every) => {}
        }
        // A few small files: but a disk may be slow.
        let looked = tokio::task::spawn_blocking(move || {
            let found = renewal.look();
            (renewal, found)
        });
        let Ok((back, found)) = looked.await else {
            return;
        };
        renewal = back;
        if let Some(material) = found {
            take(material);
        }
    }
}

fn stamp(files: &Files) -> Stamp {
    [&files.certificate, &files.key, &files.ca].map(|path: &std::path::PathBuf| one(path))
}

fn one(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}
