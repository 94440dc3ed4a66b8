//! The one thread that writes. It takes what is queued, writes it in one transaction, and answers each entry.
//!
//! An entry that carries a grant is answered once: it is durable, or it will not be, and then it is forgotten. Any
//! other entry that cannot be written is answered with the trouble at once, kept, tried again later in its order, and
//! answered a second time when it is durable. What does not fit into the bounded store of such entries is counted as
//! lost. While the disk fails it is asked again after a wait that grows to 5 s; entries in between are not tried.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError as AnswerError;

use super::{Journal, JournalError};
use crate::domain::{Entry, GrantId, JournalTrouble, Mono};

/// Entries that may wait for the writer.
pub const QUEUE_MAX: usize = 1024;
/// Entries in one transaction.
const GROUP_MAX: usize = 256;
/// Entries kept for later.
const KEPT_MAX: usize = 4096;
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

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

struct Queued {
    entry: Entry,
    submitted: Mono,
    /// The trouble with it has been answered.
    told: bool,
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
        clock,
        closing: AtomicBool::new(false),
        status: Mutex::default(),
    });
    let work = Work {
        journal,
        answers,
        shared: Arc::clone(&shared),
        kept: VecDeque::new(),
        trouble: None,
        retry_at: Mono::default(),
        wait: RETRY_MIN,
        lost: 0,
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
        let queued = Queued {
            entry,
            submitted: (self.shared.clock)(),
            told: false,
        };
        queue.try_send(queued).map_err(|error| match error {
            TrySendError::Full(queued) | TrySendError::Disconnected(queued) => {
                Box::new(queued.entry)
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
    journal: Journal,
    answers: Sender<Written>,
    shared: Arc<Shared>,
    /// Entries without a waiting grant that could not be written, oldest first.
    kept: VecDeque<Queued>,
    trouble: Option<JournalTrouble>,
    retry_at: Mono,
    wait: Duration,
    lost: u64,
}

impl Work {
    fn run(mut self, entries: &Receiver<Queued>) {
        while let Ok(first) = self.next(entries) {
            let group: Vec<_> = first
                .into_iter()
                .chain(entries.try_iter())
                .take(GROUP_MAX)
                .collect();
            self.take(group);
            if self.now() >= self.retry_at {
                self.write_kept();
            }
            self.report();
        }
        self.write_kept();
        if !self.kept.is_empty() {
            self.lost = self.lost.saturating_add(self.kept.len() as u64);
            tracing::error!(
                entries = self.kept.len(),
                "the journal did not take the last entries"
            );
            self.kept.clear();
        }
        self.report();
    }

    /// The next entry; `Ok(None)` when it is time to try again what is kept.
    fn next(&self, entries: &Receiver<Queued>) -> Result<Option<Queued>, RecvTimeoutError> {
        if self.kept.is_empty() {
            return Ok(Some(entries.recv()?));
        }
        let wait = self
            .retry_at
            .since(self.now())
            .max(Duration::from_millis(1));
        match entries.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => Ok(None),
            done => done.map(Some),
        }
    }

    fn now(&self) -> Mono {
        (self.shared.clock)()
    }

    fn take(&mut self, group: Vec<Queued>) {
        let down = self.trouble == Some(JournalTrouble::Failed) && self.now() < self.retry_at;
        // What is kept goes first, but nobody who waits at the barrier waits for it.
        let (batch, later): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|queued| queued.entry.grant.is_some() || self.kept.is_empty());
        let mut left = if down {
            self.refuse(batch, JournalTrouble::Failed)
        } else {
            self.write(batch)
        };
        let trouble = self.trouble.unwrap_or(JournalTrouble::Failed);
        left.extend(self.refuse(later, trouble));
        for queued in left {
            self.keep(queued);
        }
    }

    fn write_kept(&mut self) {
        while !self.kept.is_empty() {
            let size = self.kept.len().min(GROUP_MAX);
            let oldest = self.kept.drain(..size).collect();
            let left = self.write(oldest);
            let stuck = !left.is_empty();
            left.into_iter()
                .rev()
                .for_each(|queued| self.kept.push_front(queued));
            if stuck {
                return;
            }
        }
    }

    /// Writes a batch, in parts if it does not fit whole. Gives back what is to be kept.
    fn write(&mut self, mut batch: Vec<Queued>) -> Vec<Queued> {
        if batch.is_empty() {
            return batch;
        }
        let entries: Vec<_> = batch.iter().map(|queued| queued.entry.clone()).collect();
        let Err(error) = self.journal.append(&entries) else {
            self.recovered();
            for queued in &batch {
                self.answer(queued, Ok(()));
            }
            return Vec::new();
        };
        let splits = matches!(
            error,
            JournalError::Full { .. } | JournalError::Unwritable(_)
        );
        if splits && batch.len() > 1 {
            let second = batch.split_off(batch.len() / 2);
            let mut left = self.write(batch);
            left.extend(self.write(second));
            return left;
        }
        if let JournalError::Unwritable(_) = error {
            tracing::error!(%error, "an entry is dropped");
            self.lost = self.lost.saturating_add(1);
            for queued in &batch {
                self.answer(queued, Err(JournalTrouble::Failed));
            }
            return Vec::new();
        }
        let trouble = if let JournalError::Full { .. } = error {
            JournalTrouble::Full
        } else {
            JournalTrouble::Failed
        };
        self.troubled(trouble, &error);
        self.refuse(batch, trouble)
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the journal is written again");
        }
        self.wait = RETRY_MIN;
        self.retry_at = self.now();
    }

    fn troubled(&mut self, trouble: JournalTrouble, error: &JournalError) {
        if self.trouble != Some(trouble) {
            tracing::error!(%error, "the journal does not take entries");
        }
        self.trouble = Some(trouble);
        self.retry_at = self.now() + self.wait;
        self.wait = (self.wait * 2).min(RETRY_MAX);
    }

    /// Answers the trouble; gives back the entries that no grant waits for.
    fn refuse(&mut self, batch: Vec<Queued>, trouble: JournalTrouble) -> Vec<Queued> {
        let mut left = Vec::new();
        for mut queued in batch {
            if !queued.told {
                self.answer(&queued, Err(trouble));
            }
            queued.told = true;
            if queued.entry.grant.is_none() {
                self.save_state(&mut queued.entry, trouble);
                left.push(queued);
            }
        }
        left
    }

    /// A full journal still takes state: a fire stays latched, a passed person stays passed.
    fn save_state(&self, entry: &mut Entry, trouble: JournalTrouble) {
        if trouble == JournalTrouble::Full
            && !entry.changes.is_empty()
            && self.journal.change_state(&entry.changes).is_ok()
        {
            entry.changes.clear();
        }
    }

    fn keep(&mut self, queued: Queued) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push_back(queued);
            return;
        }
        if self.lost == 0 {
            tracing::error!("entries are lost: the journal does not take them");
        }
        self.lost = self.lost.saturating_add(1);
    }

    /// Blocks while the answers are full, but not when the writer is to end.
    fn answer(&self, queued: &Queued, result: Result<(), JournalTrouble>) {
        let mut written = Written {
            grant: queued.entry.grant,
            result,
            took_us: u64::try_from(self.now().since(queued.submitted).as_micros())
                .unwrap_or(u64::MAX),
        };
        while let Err(AnswerError::Full(back)) = self.answers.try_send(written) {
            if self.shared.closing.load(Ordering::Acquire) {
                return;
            }
            written = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn report(&self) {
        let status = WriterStatus {
            kept: self.kept.len(),
            lost: self.lost,
            trouble: self.trouble,
        };
        *self
            .shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = status;
    }
}
