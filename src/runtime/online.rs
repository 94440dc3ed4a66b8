//! Asks the backend about credentials that no list knows, on tasks of their own, at most a few at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::gateway::Answer;
use crate::domain::RowKey;
use crate::drivers::MonoClock;
use crate::store::learned::Learned;
use crate::sync::online::Question;
use crate::sync::{Client, Online as Resolver};

/// Questions under way at once: one a lane, and one more for a lane whose person has changed.
const ASKING_MAX: usize = 8;

/// A question, and where its answer is kept.
#[derive(Clone, Debug)]
pub struct Asking {
    /// What is asked.
    pub question: Question,
    /// The key that stands for the credential here; absent: the answer is not kept.
    pub key: Option<RowKey>,
}

/// Sends questions off and brings answers to the loop.
#[derive(Clone)]
pub struct Online {
    resolver: Resolver<Client>,
    answers: mpsc::Sender<Answer>,
    learned: Arc<Learned>,
    mono: MonoClock,
    asking: Arc<Semaphore>,
}

impl Online {
    /// Asks through `resolver`; answers go to `answers` and are kept in `learned`.
    #[must_use]
    pub fn new(
        resolver: Resolver<Client>,
        answers: mpsc::Sender<Answer>,
        learned: Arc<Learned>,
        mono: MonoClock,
    ) -> Self {
        Self {
            resolver,
            answers,
            learned,
            mono,
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
        }
    }

    /// Asks. The answer arrives as [`Answer`]; none arrives later than `within`.
    pub fn ask(&self, number: u64, asking: Asking, within: Duration) {
        let Ok(permit) = Arc::clone(&self.asking).try_acquire_owned() else {
            // The gate's own deadline answers for us: timed out.
            tracing::warn!("too many questions at once; this one is not asked");
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            let answer = this.resolver.resolve(&asking.question, within).await;
            if let Some(key) = asking.key {
                this.learned.keep(this.mono.now(), key, &answer);
            }
            // A closed channel means that the gate is going down.
            let _ = this.answers.send((number, answer)).await;
            drop(permit);
        });
    }
}
