//! Rows on their way into a list, sorted by key with bounded memory: runs are sorted in memory and written to files
//! that have no name, then merged into one such file. A list of twenty million rows needs about 20 MiB of memory
//! and twice its 800 MB on the disk while it is merged; whatever happens, the files go with the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use super::chunk::ROW_LEN;

/// A row as it is sent.
pub type RawRow = [u8; ROW_LEN];

/// Rows that are sorted in memory at a time: 10 MiB.
const RUN_ROWS: usize = 1 << 18;
/// What is read of a file at a time while there are many of them.
const MERGE_BYTES: usize = 64 << 10;
/// What is read or written at a time while there is one.
const BUFFER_BYTES: usize = 256 << 10;

/// Why rows cannot be put in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The disk refused.
    #[error("rows cannot be sorted in {dir}")]
    Io {
        /// Where it was tried.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two rows have the same key.
    #[error("two rows have the same key")]
    Twice {
        /// Place of the second of them in the order of the keys, from 1.
        place: u64,
        /// As they were handed in.
        rows: Box<(RawRow, RawRow)>,
    },
}

/// Takes rows in any order.
pub struct Sorter {
    dir: PathBuf,
    waiting: Vec<RawRow>,
    runs: Vec<File>,
    run_rows: usize,
}

impl Sorter {
    /// Sorts in files below `dir`, which is on a disk with room and not in memory.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self::with_runs_of(RUN_ROWS, dir)
    }

    const fn with_runs_of(run_rows: usize, dir: PathBuf) -> Self {
        Self {
            dir,
            waiting: Vec::new(),
            runs: Vec::new(),
            run_rows,
        }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn push(&mut self, row: RawRow) -> Result<(), SpoolError> {
        self.waiting.push(row);
        if self.waiting.len() < self.run_rows {
            return Ok(());
        }
        self.waiting.sort_unstable();
        let run = self.write(|file| file.write_all(self.waiting.as_flattened()))?;
        self.waiting.clear();
        self.runs.push(run);
        Ok(())
    }

    /// Puts them in order. `settle` may change a row, but not its key, after it has been compared with its neighbours.
    ///
    /// # Errors
    /// [`SpoolError`]: a key comes once.
    pub fn finish(mut self, mut settle: impl FnMut(&mut RawRow)) -> Result<Spool, SpoolError> {
        self.waiting.sort_unstable();
        let last = std::mem::take(&mut self.waiting);
        let mut merge = Merge::new(std::mem::take(&mut self.runs), last);
        let (mut rows, mut before): (u64, Option<RawRow>) = (0, None);
        let mut twice = None;
        let file = self.write(|file| {
            while let Some(row) = merge.next()? {
                rows = rows.saturating_add(1);
                let same = |before: &RawRow| before.first_chunk::<16>() == row.first_chunk::<16>();
                if let Some(before) = before.filter(same) {
                    twice = Some(Box::new((before, row)));
                    break;
                }
                before = Some(row);
                let mut settled = row;
                settle(&mut settled);
                file.write_all(&settled)?;
            }
            Ok(())
        })?;
        match twice {
            Some(rows_twice) => Err(SpoolError::Twice {
                place: rows,
                rows: rows_twice,
            }),
            None => Ok(Spool { file, rows }),
        }
    }

    /// A file without a name, written by `work` and rewound.
    fn write(
        &self,
        work: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<File, SpoolError> {
        let written = tempfile::tempfile_in(&self.dir).and_then(|mut file| {
            let mut writer = BufWriter::with_capacity(BUFFER_BYTES, &file);
            work(&mut writer)?;
            writer.flush()?;
            drop(writer);
            file.rewind()?;
            Ok(file)
        });
        written.map_err(|source| SpoolError::Io {
            dir: self.dir.clone(),
            source,
        })
    }
}

/// The smallest of all runs, one after the other.
struct Merge {
    runs: Vec<BufReader<File>>,
    last: std::vec::IntoIter<RawRow>,
    heads: BinaryHeap<Reverse<(RawRow, usize)>>,
    started: bool,
}

impl Merge {
    fn new(runs: Vec<File>, last: Vec<RawRow>) -> Self {
        let open = |file| BufReader::with_capacity(MERGE_BYTES, file);
        Self {
            runs: runs.into_iter().map(open).collect(),
            last: last.into_iter(),
            heads: BinaryHeap::new(),
            started: false,
        }
    }

    fn next(&mut self) -> io::Result<Option<RawRow>> {
        if !self.started {
            self.started = true;
            (0..=self.runs.len()).try_for_each(|run| self.refill(run))?;
        }
        let Some(Reverse((row, run))) = self.heads.pop() else {
            return Ok(None);
        };
        self.refill(run)?;
        Ok(Some(row))
    }

    /// The rows that never left memory are the run after the last.
    fn refill(&mut self, run: usize) -> io::Result<()> {
        let row = match self.runs.get_mut(run) {
            Some(reader) => read_row(reader)?,
            None => self.last.next(),
        };
        self.heads.extend(row.map(|row| Reverse((row, run))));
        Ok(())
    }
}

/// Sorted rows in a file without a name.
#[derive(Debug)]
pub struct Spool {
    file: File,
    rows: u64,
}

impl Spool {
    /// How many.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The file, from its beginning: 40 bytes a row.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// The rows, in order.
    #[must_use]
    pub fn into_rows(self) -> Rows {
        Rows(BufReader::with_capacity(BUFFER_BYTES, self.file))
    }
}

/// Sorted rows, read one by one.
#[derive(Debug)]
pub struct Rows(BufReader<File>);

impl Iterator for Rows {
    type Item = io::Result<RawRow>;

    fn next(&mut self) -> Option<Self::Item> {
        read_row(&mut self.0).transpose()
    }
}

/// One row, or none at the end. Half a row is an error.
fn read_row(reader: &mut BufReader<File>) -> io::Result<Option<RawRow>> {
    let mut row = [0; ROW_LEN];
    let [first, rest @ ..] = &mut row;
    if reader.read(std::slice::from_mut(first))? == 0 {
        return Ok(None);
    }
    reader.read_exact(rest)?;
    Ok(Some(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64) -> RawRow {
        let mut row = [0; ROW_LEN];
        row[..8].copy_from_slice(&n.to_be_bytes());
        row[39] = 1;
        row
    }

    fn sorted(run_rows: usize, numbers: &[u64]) -> Result<Vec<RawRow>, SpoolError> {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::with_runs_of(run_rows, dir.path().into());
        for n in numbers {
            sorter.push(row(*n))?;
        }
        let spool = sorter.finish(|row| row[39] = 7)?;
        assert_eq!(spool.rows(), numbers.len() as u64);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "the files have no name"
        );
        Ok(spool.into_rows().map(Result::unwrap).collect())
    }

    #[test]
    fn rows_come_out_sorted_and_settled_from_any_number_of_runs() {
        let numbers: Vec<u64> = (0..1_000).map(|n| n * 7_919 % 1_000).collect();
        for run_rows in [1, 3, 250, 1_000, 5_000] {
            let rows = sorted(run_rows, &numbers).unwrap();
            let expected: Vec<_> = (0..1_000)
                .map(|n| {
                    let mut row = row(n);
                    row[39] = 7;
                    row
                })
                .collect();
            assert!(rows == expected, "runs of {run_rows}");
        }
        assert!(sorted(10, &[]).unwrap().is_empty());
    }

    #[test]
    fn a_key_that_comes_twice_is_told_whichever_runs_it_is_in() {
        for run_rows in [1, 2, 100] {
            let error = sorted(run_rows, &[5, 1, 9, 5]).unwrap_err();
            let SpoolError::Twice { place, rows } = error else {
                panic!("{error}")
            };
            assert_eq!((place, rows.0[7], rows.1[7]), (3, 5, 5));
        }
    }

    #[test]
    fn a_place_without_a_directory_is_named() {
        let mut sorter = Sorter::with_runs_of(1, "/nowhere/at/all".into());
        let error = sorter.push(row(1)).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }
}
