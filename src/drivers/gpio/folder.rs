//! Simulated lines: a folder with one file a line, `gpio17`, that holds `0` or `1`, the voltage level.
//!
//! What is there when the board is opened stays as it is until it is driven. An output that is not there is created at
//! its inactive level, an input at its quiet one: no beam broken, no contact closed, the fire loop intact. Whoever plays the world writes
//! `0` or `1` into it; a file caught while it is empty, between truncation and writing, keeps its last level.
//! Anything else in it, or a file that is gone, is a fault of the board.
//!
//! While the board is open it holds a shared lock on the file `driven`. Whoever can lock that file sees outputs that
//! nobody drives, whatever the files say: the process has ended, or was killed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{Board, GpioError, Layout};
use crate::config::types::Line;

/// More than this is not read of a file that should hold one digit.
const CONTENT_BYTES_MAX: u64 = 16;

/// The lines of one gate in a folder.
#[derive(Debug)]
pub struct FolderBoard {
    folder: PathBuf,
    /// Last level read of each file.
    last: BTreeMap<u8, bool>,
    /// Locked while this board drives its lines.
    _driven: File,
}

/// The file that is locked while somebody drives the lines.
pub const DRIVEN: &str = "driven";

impl FolderBoard {
    /// Opens the folder, and creates it and its files where they are missing.
    ///
    /// # Errors
    /// [`GpioError`] if a file cannot be written, or an input holds neither `0` nor `1`.
    pub fn open(folder: &Path, layout: &Layout) -> Result<Self, GpioError> {
        fs::create_dir_all(folder).map_err(|source| wrong(folder, source))?;
        let path = folder.join(DRIVEN);
        let driven = File::create(&path).map_err(|source| wrong(&path, source))?;
        driven
            .lock_shared()
            .map_err(|source| wrong(&path, source))?;
        let mut board = Self {
            folder: folder.to_owned(),
            last: BTreeMap::new(),
            _driven: driven,
        };
        let outputs = layout.outputs().map(|line| (line, false));
        let inputs = layout.inputs().map(|input| (input.line, input.quiet));
        for (line, at_rest) in outputs.chain(inputs) {
            let path = board.path(line);
            let level = line.level(at_rest);
            match File::create_new(&path) {
                Ok(mut file) => file
                    .write_all(digit(level))
                    .map_err(|source| wrong(&path, source))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(wrong(&path, source)),
            }
            board.last.insert(line.pin.get(), level);
            board.sense(line)?;
        }
        Ok(board)
    }

    fn path(&self, line: Line) -> PathBuf {
        self.folder.join(format!("gpio{}", line.pin.get()))
    }
}

impl Board for FolderBoard {
    fn drive(&mut self, line: Line, active: bool) -> Result<(), GpioError> {
        let path = self.path(line);
        // Written over and not truncated: nobody ever reads it empty.
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(digit(line.level(active))))
            .map_err(|source| wrong(&path, source))
    }

    fn sense(&mut self, line: Line) -> Result<bool, GpioError> {
        let path = self.path(line);
        let mut content = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(CONTENT_BYTES_MAX).read_to_end(&mut content))
            .map_err(|source| wrong(&path, source))?;
        let last = self.last.entry(line.pin.get()).or_default();
        match content.trim_ascii() {
            b"0" => *last = false,
            b"1" => *last = true,
            b"" => {}
            _ => return Err(GpioError::Content { path }),
        }
        Ok(*last == line.level(true))
    }

    fn driven(&mut self, line: Line) -> Result<bool, GpioError> {
        self.sense(line)
    }
}

const fn digit(high: bool) -> &'static [u8] {
    if high { b"1\n" } else { b"0\n" }
}

fn wrong(path: &Path, source: io::Error) -> GpioError {
    GpioError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{Active, Pin};
    use crate::domain::Sensor;
    use crate::drivers::gpio::LaneLines;

    fn line(pin: u8, active: Active) -> Line {
        Line {
            pin: Pin::from(pin),
            active,
        }
    }

    fn layout() -> Layout {
        Layout {
            lanes: vec![LaneLines {
                release_entry: Some(line(17, Active::High)),
                release_exit: Some(line(18, Active::Low)),
                sensors: vec![(Sensor::EntryBeam, line(5, Active::Low))],
                ..LaneLines::default()
            }],
            fire_loop: Some(line(4, Active::High)),
        }
    }

    #[test]
    fn files_start_at_their_quiet_level() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        FolderBoard::open(&path, &layout()).unwrap();
        let read = |name| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(
            [read("gpio17"), read("gpio18"), read("gpio5"), read("gpio4")],
            ["0\n", "1\n", "1\n", "1\n"]
        );
    }

    #[test]
    fn what_is_there_is_kept_until_it_is_driven() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gpio5"), "0").unwrap();
        fs::write(folder.path().join("gpio17"), "1").unwrap();
        let mut board = FolderBoard::open(folder.path(), &layout()).unwrap();
        assert!(board.sense(line(5, Active::Low)).unwrap());
        let barrier = line(17, Active::High);
        assert!(board.driven(barrier).unwrap());
        board.drive(barrier, false).unwrap();
        assert!(!board.driven(barrier).unwrap());
    }

    #[test]
    fn lines_are_driven_and_sensed_by_their_polarity() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = FolderBoard::open(folder.path(), &layout()).unwrap();
        let exit = line(18, Active::Low);
        board.drive(exit, true).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join("gpio18")).unwrap(),
            "0\n"
        );
        assert!(board.driven(exit).unwrap());
        let beam = line(5, Active::Low);
        assert!(!board.sense(beam).unwrap());
        fs::write(folder.path().join("gpio5"), "0\n").unwrap();
        assert!(board.sense(beam).unwrap());
        fs::write(folder.path().join("gpio5"), "").unwrap();
        assert!(
            board.sense(beam).unwrap(),
            "an empty file keeps its last level"
        );
    }

    #[test]
    fn a_file_that_is_gone_or_holds_something_else_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = FolderBoard::open(folder.path(), &layout()).unwrap();
        let beam = line(5, Active::Low);
        fs::write(folder.path().join("gpio5"), "2").unwrap();
        assert!(matches!(board.sense(beam), Err(GpioError::Content { .. })));
        assert!(matches!(
            FolderBoard::open(folder.path(), &layout()),
            Err(GpioError::Content { .. })
        ));
        fs::remove_file(folder.path().join("gpio5")).unwrap();
        assert!(matches!(board.sense(beam), Err(GpioError::File { .. })));
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(board.drive(line(17, Active::High), true).is_err());
    }
}
