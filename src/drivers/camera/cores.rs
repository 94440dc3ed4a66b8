//! Who reads a frame when there are more cameras than cores: each in its turn.
//!
//! One core is left to the loop that opens gates. A camera that waits reads its newest frame when its turn comes, and those
//! in between are overwritten: with four cameras on one core each reads every fourth frame, and none starves.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The cores of this machine are one thing, however many gates and cameras use them.
static OF_THIS_MACHINE: LazyLock<Cores> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Cores::new(cores.saturating_sub(1))
});

#[derive(Default)]
struct Queue {
    /// Numbers drawn, and called.
    drawn: u64,
    called: u64,
}

/// A number is drawn, and called in the order of drawing.
pub struct Cores {
    queue: Mutex<Queue>,
    next: Condvar,
}

/// A core, until it is dropped.
pub struct Core<'a>(&'a Cores);

impl Cores {
    /// So many, at least one.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let queue = Queue {
            drawn: 0,
            called: cores.max(1) as u64,
        };
        Self {
            queue: Mutex::new(queue),
            next: Condvar::new(),
        }
    }

    /// Those of this machine.
    #[must_use]
    pub fn of_this_machine() -> &'static Self {
        &OF_THIS_MACHINE
    }

    /// Waits for a core. Every frame is bounded, and so is the wait.
    #[must_use]
    pub fn take(&self) -> Core<'_> {
        let mut queue = self.lock();
        let own = queue.drawn;
        queue.drawn += 1;
        let waited = self.next.wait_while(queue, |queue| queue.called <= own);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Core(self)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Two numbers are never half written.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        self.0.lock().called += 1;
        self.0.next.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn four_cameras_on_one_core_read_in_turn_and_alike() {
        let cores = Cores::new(0);
        let (at_once, reads) = (AtomicUsize::new(0), [const { AtomicUsize::new(0) }; 4]);
        thread::scope(|threads| {
            for own in &reads {
                threads.spawn(|| {
                    for _ in 0..25 {
                        let _core = cores.take();
                        assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
                        own.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(1));
                        let all: Vec<usize> =
                            reads.iter().map(|n| n.load(Ordering::SeqCst)).collect();
                        let least = all.iter().min().unwrap();
                        // Threads start one after the other; from then on nobody is two turns ahead of a waiting one.
                        assert!(
                            *least == 0 || all.iter().max().unwrap() - least <= 12,
                            "{all:?}"
                        );
                        at_once.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(reads.iter().all(|n| n.load(Ordering::SeqCst) == 25));
    }

    #[test]
    fn a_core_that_is_free_is_had_at_once() {
        let cores = Cores::new(2);
        let (first, _second) = (cores.take(), cores.take());
        drop(first);
        let _third = cores.take();
    }
}
