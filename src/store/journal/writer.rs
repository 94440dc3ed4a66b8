//! The one thread that writes. It takes what is queued, writes it in one transaction, and answers each entry: the
//! steps are those of [`Scribe`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError as AnswerError;

use super::Journal;
use super::scribe::{GROUP_MAX, Queued, Scribe};
use crate::domain::{Entry, GrantId, JournalTrouble, Mono};

/// Entries that may wait for the writer.
pub const QUEUE_MAX: usize = 1024;

/// Reads the monotonic clock, for `took_us` and the waits.
pub type Clock = Arc<dyn Fn() -> Mono + Send + Sync>;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The grant that waits for it, if one does.
    pub grant: Option<GrantId>,
    /// `Ok` is durable.
    pub result: Result<(), JournalTrouble>,
    /// From `submit` to now.
    pub took_us: u64,
}

/// How the writer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStatus {
    /// Entries kept until the journal takes them.
    pub kept: usize,
    /// Entries that will never be written, since the start.
    pub lost: u64,
    /// What stops it, if anything does.
    pub trouble: Option<JournalTrouble>,
}

/// The handle of the thread. Dropped or closed, it writes what is queued, then ends.
pub struct Writer {
    queue: Option<SyncSender<Queued>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    closing: AtomicBool,
    status: Mutex<WriterStatus>,
}

/// Starts the writer. `answers` is bounded; a loop that does not take them slows the writer down, which the queue
/// shows in the end.
///
/// # Errors
/// If no thread can be started.
pub fn spawn_writer(
    journal: Journal,
    answers: Sender<Written>,
    clock: Clock,
) -> io::Result<Writer> {
    let (queue, entries) = sync_channel(QUEUE_MAX);
    let shared = Arc::new(Shared {
        clock: Arc::clone(&clock),
        closing: AtomicBool::new(false),
        status: Mutex::default(),
    });
    let work = Work {
        scribe: Scribe::new(journal, clock),
        answers,
        shared: Arc::clone(&shared),
    };
    let thread = std::thread::Builder::new()
        .name("journal".into())
        .spawn(move || work.run(&entries))?;
    Ok(Writer {
        queue: Some(queue),
        thread: Some(thread),
        shared,
    })
}

impl Writer {
    /// Queues an entry. Never blocks.
    ///
    /// # Errors
    /// The entry back, if the queue is full or the writer has ended.
    pub fn submit(&self, entry: Entry) -> Result<(), Box<Entry>> {
        let Some(queue) = &self.queue else {
            return Err(Box::new(entry));
        };
        let queued = Queued::new(entry, (self.shared.clock)());
        queue.try_send(queued).map_err(|error| match error {
            TrySendError::Full(queued) | TrySendError::Disconnected(queued) => {
                Box::new(queued.into_entry())
            }
        })
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> WriterStatus {
        self.shared.status()
    }

    /// Writes what is queued and ends. Gives how it ended: what is still kept then is lost.
    #[must_use]
    pub fn close(mut self) -> WriterStatus {
        self.finish();
        self.status()
    }

    fn finish(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal writer ended in a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn status(&self) -> WriterStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread owns.
struct Work {
    scribe: Scribe,
    answers: Sender<Written>,
    shared: Arc<Shared>,
}

impl Work {
    fn run(mut self, entries: &Receiver<Queued>) {
        while let Ok(first) = self.next(entries) {
            let group: Vec<_> = first
                .into_iter()
                .chain(entries.try_iter())
                .take(GROUP_MAX)
                .collect();
            let (answers, shared) = (&self.answers, &self.shared);
            self.scribe
                .take(group, &mut |written| shared.answer(answers, written));
            self.report();
        }
        let (answers, shared) = (&self.answers, &self.shared);
        self.scribe
            .finish(&mut |written| shared.answer(answers, written));
        self.report();
    }

    /// The next entry; `Ok(None)` when it is time to try again what is kept.
    fn next(&self, entries: &Receiver<Queued>) -> Result<Option<Queued>, RecvTimeoutError> {
        let Some(retry_at) = self.scribe.retry_at() else {
            return Ok(Some(entries.recv()?));
        };
        let now = (self.shared.clock)();
        let wait = retry_at.since(now).max(Duration::from_millis(1));
        match entries.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => Ok(None),
            done => done.map(Some),
        }
    }

    fn report(&self) {
        *self
            .shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.scribe.status();
    }
}

impl Shared {
    /// Blocks while the answers are full, but not when the writer is to end.
    fn answer(&self, answers: &Sender<Written>, mut written: Written) {
        while let Err(AnswerError::Full(back)) = answers.try_send(written) {
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            written = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
