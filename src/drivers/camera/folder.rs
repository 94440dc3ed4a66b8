//! A folder instead of a camera: pictures are played once each, in the order of their names, as they come.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::pixels;
use super::{CameraError, FrameSource};
use crate::config::tree;
use crate::vision::Luma;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// A file that cannot be read may still be being written: it is tried so often, a frame apart.
const TRIES_MAX: u32 = 5;
/// Files remembered as played; a folder that grows past this is played from its newest names on.
const PLAYED_MAX: usize = 100_000;

struct Folder {
    path: PathBuf,
    pause: Duration,
    /// File -> how often it could not be read; `TRIES_MAX` once it is done with.
    known: BTreeMap<PathBuf, u32>,
}

/// Opens the folder.
///
/// # Errors
/// [`CameraError::Open`] if it cannot be listed.
pub fn open(settings: &tree::Folder) -> Result<Box<dyn FrameSource>, CameraError> {
    let folder = Folder {
        path: settings.path.clone(),
        pause: Duration::from_secs(1) / settings.fps.get().max(1),
        known: BTreeMap::new(),
    };
    folder.names()?;
    Ok(Box::new(folder))
}

impl FrameSource for Folder {
    fn next(&mut self) -> Result<Option<Luma>, CameraError> {
        thread::sleep(self.pause);
        for path in self.names()? {
            let tries = self.known.get(&path).copied().unwrap_or(0);
            if tries >= TRIES_MAX {
                continue;
            }
            match read(&path) {
                Ok(luma) => {
                    self.known.insert(path, TRIES_MAX);
                    return Ok(Some(luma));
                }
                Err(why) => {
                    if tries + 1 == TRIES_MAX {
                        tracing::warn!(file = %path.display(), %why, "this picture is passed over");
                    }
                    self.known.insert(path, tries + 1);
                    // Those behind it wait, so that the order of names holds.
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }
}

impl Folder {
    fn names(&self) -> Result<Vec<PathBuf>, CameraError> {
        let failed = |error: std::io::Error| CameraError::Open {
            device: self.path.clone(),
            why: error.to_string(),
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if is_picture(&path) {
                names.push(path);
            }
        }
        names.sort();
        let surplus = names.len().saturating_sub(PLAYED_MAX);
        Ok(names.split_off(surplus))
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    ["png", "jpg", "jpeg", "webp", "pgm"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads one picture file.
///
/// # Errors
/// A sentence: too large, unreadable, no picture.
pub fn read(path: &Path) -> Result<Luma, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{length} bytes; at most {FILE_BYTES_MAX} are read"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    pixels::picture(&bytes).map_err(|error| error.to_string())
}
