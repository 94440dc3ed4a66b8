//! A slot for one frame: the newest one wins.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::Mono;

/// Size of a frame in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A frame and when it came. luma: [height x width] u8, row-major.
pub struct Frame {
    /// Its pixels.
    pub luma: Vec<u8>,
    /// Its size.
    pub shape: Shape,
    /// When it was taken.
    pub captured: Mono,
}

#[derive(Default)]
struct Slot {
    newest: Option<Frame>,
    /// A buffer to be used again, so that a running camera allocates nothing.
    spare: Option<Vec<u8>>,
    overwritten: u64,
}

/// Between the thread that takes frames and the one that reads them.
#[derive(Default)]
pub struct Newest {
    slot: Mutex<Slot>,
    came: Condvar,
    taken: Condvar,
}

impl Newest {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        // A frame is whole or not there: a panic elsewhere leaves nothing half done.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in; one that nobody took is overwritten. Gives a buffer for the next.
    pub fn put(&self, frame: Frame) -> Vec<u8> {
        let mut slot = self.lock();
        let older = slot.newest.replace(frame);
        if older.is_some() {
            slot.overwritten += 1;
        }
        self.came.notify_one();
        older
            .map(|frame| frame.luma)
            .or_else(|| slot.spare.take())
            .unwrap_or_default()
    }

    /// Takes the newest frame, waiting for one up to `patience`.
    pub fn take(&self, patience: Duration) -> Option<Frame> {
        let slot = self.lock();
        let (mut slot, _) = self
            .came
            .wait_timeout_while(slot, patience, |slot| slot.newest.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let frame = slot.newest.take();
        self.taken.notify_all();
        frame
    }

    /// Waits up to `patience` until no frame waits. True if none does.
    pub fn wait_taken(&self, patience: Duration) -> bool {
        let slot = self.lock();
        let (slot, _) = self
            .taken
            .wait_timeout_while(slot, patience, |slot| slot.newest.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        slot.newest.is_none()
    }

    /// Gives a buffer back.
    pub fn recycle(&self, buffer: Vec<u8>) {
        self.lock().spare = Some(buffer);
    }

    /// How many frames were overwritten before anybody took them.
    pub fn overwritten(&self) -> u64 {
        self.lock().overwritten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(value: u8) -> Frame {
        Frame {
            luma: vec![value],
            shape: Shape {
                width: 1,
                height: 1,
            },
            captured: Mono::from_millis(u64::from(value)),
        }
    }

    #[test]
    fn the_newest_frame_wins_and_the_older_ones_are_counted() {
        let newest = Newest::default();
        newest.put(frame(1));
        newest.put(frame(2));
        assert!(!newest.wait_taken(Duration::from_millis(5)));
        assert_eq!(newest.put(frame(3)), [2], "the buffer is used again");
        assert_eq!(newest.take(Duration::ZERO).unwrap().luma, [3]);
        assert_eq!(newest.overwritten(), 2);
        assert!(newest.wait_taken(Duration::ZERO));
        assert!(newest.take(Duration::from_millis(5)).is_none());
    }

    #[test]
    fn a_waiting_reader_gets_the_frame_as_it_comes() {
        let newest = Newest::default();
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| newest.take(Duration::from_secs(5)));
            newest.put(frame(9));
            assert_eq!(reader.join().unwrap().unwrap().luma, [9]);
        });
    }
}
