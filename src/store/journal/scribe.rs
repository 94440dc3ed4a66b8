//! What the writer does with entries, without its thread: the simulator drives the same steps under virtual time.
//!
//! An entry that carries a grant is answered once: it is durable, or it will not be, and then it is forgotten. Any
//! other entry that cannot be written is answered with the trouble at once, kept, tried again later in its order, and
//! answered a second time when it is durable. What does not fit into the bounded store of such entries is counted as
//! lost. While the disk fails it is asked again after a wait that grows to 5 s; entries in between are not tried.

use std::collections::VecDeque;
use std::time::Duration;

use super::writer::{Clock, WriterStatus, Written};
use super::{Journal, JournalError};
use crate::domain::{Entry, JournalTrouble, Mono};

/// Entries in one transaction.
pub const GROUP_MAX: usize = 256;
/// Entries kept for later.
const KEPT_MAX: usize = 4096;
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Where answers go.
pub type Answer<'a> = dyn FnMut(Written) + 'a;

/// An entry on its way to the disk.
pub struct Queued {
    entry: Entry,
    submitted: Mono,
    /// The trouble with it has been answered.
    told: bool,
}

impl Queued {
    /// An entry that was handed over at `submitted`.
    #[must_use]
    pub const fn new(entry: Entry, submitted: Mono) -> Self {
        Self {
            entry,
            submitted,
            told: false,
        }
    }

    /// The entry back.
    #[must_use]
    pub fn into_entry(self) -> Entry {
        self.entry
    }
}

/// Writes entries to a journal, and remembers what could not be written.
pub struct Scribe {
    journal: Journal,
    clock: Clock,
    /// Entries without a waiting grant that could not be written, oldest first.
    kept: VecDeque<Queued>,
    trouble: Option<JournalTrouble>,
    retry_at: Mono,
    wait: Duration,
    lost: u64,
}

impl Scribe {
    /// A scribe with nothing to write.
    #[must_use]
    pub fn new(journal: Journal, clock: Clock) -> Self {
        Self {
            journal,
            clock,
            kept: VecDeque::new(),
            trouble: None,
            retry_at: Mono::default(),
            wait: RETRY_MIN,
            lost: 0,
        }
    }

    /// When to come back without an entry, to try again what is kept; `None` if nothing is.
    #[must_use]
    pub fn retry_at(&self) -> Option<Mono> {
        (!self.kept.is_empty()).then_some(self.retry_at)
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> WriterStatus {
        WriterStatus {
            kept: self.kept.len(),
            lost: self.lost,
            trouble: self.trouble,
        }
    }

    /// The last try; what is left then is lost.
    pub fn finish(&mut self, answer: &mut Answer<'_>) {
        self.write_kept(answer);
        if !self.kept.is_empty() {
            self.lost = self.lost.saturating_add(self.kept.len() as u64);
            tracing::error!(
                entries = self.kept.len(),
                "the journal did not take the last entries"
            );
            self.kept.clear();
        }
    }

    /// Takes a group of at most [`GROUP_MAX`] entries, and what is kept if it is time to try that again.
    pub fn take(&mut self, group: Vec<Queued>, answer: &mut Answer<'_>) {
        self.write_group(group, answer);
        if self.now() >= self.retry_at {
            self.write_kept(answer);
        }
    }

    fn write_group(&mut self, group: Vec<Queued>, answer: &mut Answer<'_>) {
        let down = self.trouble == Some(JournalTrouble::Failed) && self.now() < self.retry_at;
        // What is kept goes first, but nobody who waits at the barrier waits for it.
        let (batch, later): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|queued| queued.entry.grant.is_some() || self.kept.is_empty());
        let mut left = if down {
            self.refuse(batch, JournalTrouble::Failed, answer)
        } else {
            self.write(batch, answer)
        };
        let trouble = self.trouble.unwrap_or(JournalTrouble::Failed);
        left.extend(self.refuse(later, trouble, answer));
        for queued in left {
            self.keep(queued);
        }
    }

    fn write_kept(&mut self, answer: &mut Answer<'_>) {
        while !self.kept.is_empty() {
            let size = self.kept.len().min(GROUP_MAX);
            let oldest = self.kept.drain(..size).collect();
            let left = self.write(oldest, answer);
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
    fn write(&mut self, mut batch: Vec<Queued>, answer: &mut Answer<'_>) -> Vec<Queued> {
        if batch.is_empty() {
            return batch;
        }
        let entries: Vec<_> = batch.iter().map(|queued| queued.entry.clone()).collect();
        let Err(error) = self.journal.append(&entries) else {
            self.recovered();
            for queued in &batch {
                answer(self.written(queued, Ok(())));
            }
            return Vec::new();
        };
        let splits = matches!(
            error,
            JournalError::Full { .. } | JournalError::Unwritable(_)
        );
        if splits && batch.len() > 1 {
            let second = batch.split_off(batch.len() / 2);
            let mut left = self.write(batch, answer);
            left.extend(self.write(second, answer));
            return left;
        }
        if let JournalError::Unwritable(_) = error {
            tracing::error!(%error, "an entry is dropped");
            self.lost = self.lost.saturating_add(1);
            for queued in &batch {
                answer(self.written(queued, Err(JournalTrouble::Failed)));
            }
            return Vec::new();
        }
        let trouble = if let JournalError::Full { .. } = error {
            JournalTrouble::Full
        } else {
            JournalTrouble::Failed
        };
        self.troubled(trouble, &error);
        self.refuse(batch, trouble, answer)
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
    fn refuse(
        &self,
        batch: Vec<Queued>,
        trouble: JournalTrouble,
        answer: &mut Answer<'_>,
    ) -> Vec<Queued> {
        let mut left = Vec::new();
        for mut queued in batch {
            if !queued.told {
                answer(self.written(&queued, Err(trouble)));
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

    fn written(&self, queued: &Queued, result: Result<(), JournalTrouble>) -> Written {
        let took = self.now().since(queued.submitted).as_micros();
        Written {
            grant: queued.entry.grant,
            result,
            took_us: u64::try_from(took).unwrap_or(u64::MAX),
        }
    }

    fn now(&self) -> Mono {
        (self.clock)()
    }
}
