//! A disk that loses power: what was not synced is gone, half there or all there, a block of 4 KiB at a time. It also
//! refuses when it is told to.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::lab::random::SplitMix64;

const BLOCK: usize = 4096;

/// What becomes of blocks that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsynced {
    /// None of them reaches the disk.
    Dropped,
    /// Each of them does or does not.
    Half,
    /// All of them do.
    Kept,
}

#[derive(Debug, Default)]
struct State {
    /// What a power cut leaves for certain.
    synced: Vec<u8>,
    /// What the process sees.
    current: Vec<u8>,
    /// Blocks that differ.
    dirty: BTreeSet<usize>,
    refuses: bool,
    /// It says that it has synced, and has not.
    lies: bool,
    /// Writes and syncs until the power goes in the middle of the work.
    left: Option<u64>,
}

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every write and sync fails, or none does.
    pub(super) fn refuse(&self, refuses: bool) {
        let mut state = self.state();
        (state.refuses, state.left) = (refuses, None);
    }

    /// From now on it says that it has synced, and has not.
    pub(super) fn lie(&self) {
        self.state().lies = true;
    }

    /// True while it refuses, or is about to.
    pub(super) fn is_faulty(&self) -> bool {
        let state = self.state();
        state.refuses || state.left.is_some()
    }

    /// The power goes after so many more writes and syncs: from then on each of them fails.
    pub(super) fn cut_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// The power is gone and back: what was not synced fares as `unsynced` says.
    pub(super) fn lose_power(&self, unsynced: Unsynced, random: &mut SplitMix64) {
        let state = &mut *self.state();
        for block in std::mem::take(&mut state.dirty) {
            let kept = match unsynced {
                Unsynced::Dropped => false,
                Unsynced::Half => random.percent(50),
                Unsynced::Kept => true,
            };
            if kept {
                copy_block(&state.current, &mut state.synced, block);
            }
        }
        state.current.clone_from(&state.synced);
        (state.refuses, state.left) = (false, None);
    }

    /// A copy of what the disk holds: a backup.
    #[must_use]
    pub(super) fn copy(&self) -> Self {
        let bytes = self.state().current.clone();
        Self(Arc::new(Mutex::new(State {
            synced: bytes.clone(),
            current: bytes,
            ..State::default()
        })))
    }
}

/// Copies one block, as far as `from` goes. A disk does not shrink in a power cut.
fn copy_block(from: &[u8], to: &mut Vec<u8>, block: usize) {
    let start = block.saturating_mul(BLOCK);
    let end = start.saturating_add(BLOCK).min(from.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
        to.copy_from_slice(from);
    }
}

impl State {
    /// Counts one write or sync; an error if the disk does not do it.
    fn spend(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.refuses = true,
            }
        }
        if self.refuses {
            return Err(io::Error::other("the disk refuses"));
        }
        Ok(())
    }

    fn touch(&mut self, from: usize, to: usize) {
        if from < to {
            self.dirty.extend(from / BLOCK..to.div_ceil(BLOCK));
        }
    }
}

fn place(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = place(offset)?;
        let state = self.state();
        let found = state.current.get(start..start.saturating_add(out.len()));
        out.copy_from_slice(found.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        let state = &mut *self.state();
        state.spend()?;
        let before = state.current.len();
        state.current.resize(len, 0);
        state.touch(before.min(len), before.max(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.state();
        state.spend()?;
        if state.lies {
            return Ok(());
        }
        for block in std::mem::take(&mut state.dirty) {
            copy_block(&state.current, &mut state.synced, block);
        }
        state.synced.resize(state.current.len(), 0);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = place(offset)?;
        let end = start.saturating_add(data.len());
        let state = &mut *self.state();
        state.spend()?;
        let Some(room) = state.current.get_mut(start..end) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        room.copy_from_slice(data);
        state.touch(start, end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Disk {
        let disk = Disk::default();
        disk.set_len(8192).unwrap();
        disk.write(0, b"old").unwrap();
        disk.sync_data().unwrap();
        disk.write(0, b"new").unwrap();
        disk.write(4096, b"new").unwrap();
        disk
    }

    fn starts(disk: &Disk) -> [[u8; 3]; 2] {
        [0, 4096].map(|offset| {
            let mut found = [0; 3];
            disk.read(offset, &mut found).unwrap();
            found
        })
    }

    #[test]
    fn what_was_not_synced_is_gone_or_there_a_block_at_a_time() {
        let mut random = SplitMix64::new(1);
        let disk = written();
        disk.lose_power(Unsynced::Dropped, &mut random);
        assert_eq!(starts(&disk), [*b"old", [0; 3]]);
        let disk = written();
        disk.lose_power(Unsynced::Kept, &mut random);
        assert_eq!(starts(&disk), [*b"new"; 2]);
        let mixed = (0..20).map(|_| {
            let disk = written();
            disk.lose_power(Unsynced::Half, &mut random);
            starts(&disk)
        });
        assert!(mixed.into_iter().any(|found| found == [*b"new", [0; 3]]));
    }

    #[test]
    fn the_power_goes_in_the_middle_and_comes_back() {
        let disk = written();
        disk.cut_after(1);
        disk.write(0, b"one").unwrap();
        assert!(disk.write(0, b"two").is_err() && disk.sync_data().is_err());
        disk.lose_power(Unsynced::Kept, &mut SplitMix64::new(1));
        assert_eq!(starts(&disk)[0], *b"one");
        disk.sync_data().unwrap();
    }
}
