//! Pictures of a folder in place of a camera: each file once, in the order of the names, as they come.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io, thread};

use super::picture::load;
use super::{CameraError, FrameSource, Shape};
use crate::config::tree;

/// Names taken of one look into the folder; the others come with the next looks.
const NAMES_MAX: usize = 10_000;
/// A file that cannot be read may still be written to: it is tried so often.
const TRIES_MAX: u32 = 5;
/// How long between two tries, or two looks into a folder without news.
const PAUSE: Duration = Duration::from_millis(100);
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "pgm", "pnm"];

/// Plays a folder.
pub struct FolderSource {
    path: PathBuf,
    period: Duration,
    waiting: VecDeque<OsString>,
    /// Names that were played or skipped and are still in the folder.
    done: BTreeSet<OsString>,
    tries: u32,
}

impl FolderSource {
    /// A player that has played nothing yet.
    #[must_use]
    pub fn new(settings: &tree::Folder) -> Self {
        Self {
            path: settings.path.clone(),
            period: Duration::from_secs(1) / settings.fps.get().max(1),
            waiting: VecDeque::new(),
            done: BTreeSet::new(),
            tries: 0,
        }
    }

    /// Looks whether the folder is there.
    ///
    /// # Errors
    /// [`CameraError::Open`] if it cannot be listed.
    pub fn opened(mut self) -> Result<Self, CameraError> {
        self.look().map_err(|error| CameraError::Open {
            device: self.path.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(self)
    }

    /// Lists the folder: what is new waits, what is gone is forgotten.
    fn look(&mut self) -> io::Result<()> {
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if is_picture(Path::new(&name)) {
                there.insert(name);
            }
            if there.len() > NAMES_MAX + self.done.len() {
                break;
            }
        }
        self.done.retain(|name| there.contains(name));
        self.waiting = there.difference(&self.done).cloned().collect();
        Ok(())
    }
}

/// By the ending of the name, in any case; hidden files are somebody's unfinished work.
fn is_picture(name: &Path) -> bool {
    let hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
    let ending = name.extension().and_then(|ending| ending.to_str());
    !hidden && ending.is_some_and(|have| ENDINGS.iter().any(|e| have.eq_ignore_ascii_case(e)))
}

impl FrameSource for FolderSource {
    fn loses_nothing(&self) -> bool {
        true
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
        if self.waiting.is_empty() {
            self.look().map_err(|error| CameraError::Lost {
                reason: error.to_string(),
            })?;
        }
        let Some(name) = self.waiting.front() else {
            thread::sleep(PAUSE);
            return Ok(None);
        };
        match load(&self.path.join(name)) {
            Ok(image) => {
                // The rate is that of the pictures: none comes faster than this.
                thread::sleep(self.period);
                let shape = Shape {
                    width: image.width(),
                    height: image.height(),
                };
                *out = image.into_pixels();
                self.advance();
                Ok(Some(shape))
            }
            Err(error) if self.tries + 1 < TRIES_MAX => {
                tracing::debug!(error = %error, "a picture cannot be read yet");
                self.tries += 1;
                thread::sleep(PAUSE);
                Ok(None)
            }
            Err(error) => {
                // A stranger chose the name: quoted, it cannot break the line.
                tracing::warn!(file = ?name, error = %error, "skipped a picture");
                self.advance();
                Err(CameraError::Damaged {
                    reason: error.to_string(),
                })
            }
        }
    }
}

impl FolderSource {
    fn advance(&mut self) {
        self.done.extend(self.waiting.pop_front());
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::FrameRate;

    fn player(path: &Path) -> FolderSource {
        let settings = tree::Folder {
            path: path.into(),
            fps: FrameRate::try_from(120).unwrap(),
        };
        FolderSource::new(&settings)
    }

    fn write(folder: &Path, name: &str, value: u8) {
        let bytes = [b"P5 1 1 255\n".as_slice(), &[value]].concat();
        fs::write(folder.join(name), bytes).unwrap();
    }

    /// What comes until the folder has nothing more.
    fn play(player: &mut FolderSource) -> Vec<u8> {
        let (mut out, mut played) = (Vec::new(), Vec::new());
        while player.next(&mut out).unwrap().is_some() {
            played.extend(&out);
        }
        played
    }

    #[test]
    fn each_file_is_played_once_in_the_order_of_the_names() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "b.pgm", 2);
        write(folder.path(), "a.PGM", 1);
        write(folder.path(), "notes.txt", 9);
        write(folder.path(), ".c.pgm", 9);
        let mut player = player(folder.path()).opened().unwrap();
        assert_eq!(play(&mut player), [1, 2]);
        write(folder.path(), "aa.pgm", 3);
        assert_eq!(play(&mut player), [3], "one that came later");
    }

    #[test]
    fn a_file_that_is_still_written_waits_and_a_broken_one_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.pgm"), b"P5 1 1").unwrap();
        let mut player = player(folder.path());
        let mut out = Vec::new();
        assert_eq!(player.next(&mut out).unwrap(), None, "not yet");
        write(folder.path(), "a.pgm", 7);
        assert_eq!(play(&mut player), [7]);

        fs::write(folder.path().join("b.pgm"), b"no picture").unwrap();
        write(folder.path(), "c.pgm", 8);
        let mut skipped = 0;
        for _ in 0..TRIES_MAX {
            skipped += usize::from(player.next(&mut out).is_err());
        }
        assert_eq!(skipped, 1);
        assert_eq!(play(&mut player), [8]);
    }

    #[test]
    fn what_was_deleted_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.pgm", 1);
        let mut player = player(folder.path());
        assert_eq!(play(&mut player), [1]);
        fs::remove_file(folder.path().join("a.pgm")).unwrap();
        assert!(play(&mut player).is_empty());
        assert!(player.done.is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_opened() {
        let missing = Path::new("no/such/folder");
        assert!(matches!(
            player(missing).opened(),
            Err(CameraError::Open { .. })
        ));
    }
}
