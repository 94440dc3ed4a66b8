//! Presentation in, finding out: the codes module reads it, the lists are asked. One thread a lane, so that a slow
//! disk under one lane's look-up does not hold up another lane or the loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::online::Asking;
use crate::codes;
use crate::domain::{
    Assessed, Credential, Finding, HealthOutcome, ListId, ListVersion, Now, Presentation, RowKey,
    Shown, Standing,
};
use crate::store::codes::Codes;
use crate::store::learned::{Learned, Said};
use crate::sync::online::Question;

/// How many presentations one lane may have waiting. More than one means that somebody floods a reader.
const QUEUE_MAX: usize = 4;

/// What an assessment needs; shared by the lanes.
pub struct Assessor {
    /// Trust list and peppers.
    pub reader: codes::Reader,
    /// The lists.
    pub cache: Arc<dyn Codes>,
    /// The lists to ask, and from which age each counts as stale.
    pub lists: Vec<(ListId, Duration)>,
    /// What the backend has answered before; absent: nobody is asked.
    pub learned: Option<Arc<Learned>>,
}

/// One presentation to assess.
pub struct Job {
    /// Its number in this process.
    pub number: u64,
    /// When it was handed over.
    pub now: Now,
    /// What was shown.
    pub presentation: Presentation,
}

/// What came out.
pub struct Assessment {
    /// For the gate.
    pub assessed: Assessed,
    /// For the backend, should the gate want to ask.
    pub asking: Option<Asking>,
}

impl Assessor {
    /// Reads and looks up one presentation.
    #[must_use]
    pub fn assess(&self, job: &Job) -> Assessment {
        let shown = &job.presentation.shown;
        let (finding, asking) = match self.reader.read(shown) {
            Err(refusal) => (
                Finding::Refused {
                    reason: refusal.reason,
                    issuer: refusal.issuer,
                },
                None,
            ),
            Ok(credential) => {
                let mut standing = self.look_up(&credential, job.now);
                let mut asking = None;
                if standing.health == HealthOutcome::Unknown {
                    match self.learned(&credential, job.now) {
                        Some(Said::Known(known)) => standing = known,
                        // Asking again would be told the same.
                        Some(Said::Nobody) => {}
                        None => asking = self.asking(shown, &credential),
                    }
                }
                (
                    Finding::Read {
                        credential,
                        standing,
                    },
                    asking,
                )
            }
        };
        let Presentation {
            lane,
            direction,
            medium,
            seen,
            read,
            ..
        } = job.presentation;
        Assessment {
            assessed: Assessed {
                number: job.number,
                lane,
                direction,
                medium,
                seen,
                read,
                finding,
            },
            asking,
        }
    }

    /// What to ask the backend, in the words of its contract; nothing where the issuer does not allow it.
    fn asking(&self, shown: &Shown, credential: &Credential) -> Option<Asking> {
        let asked = self.reader.question(shown).ok().flatten()?;
        let question = Question {
            profile: asked.profile.row_kind().to_owned(),
            issuer: asked.issuer,
            identifier: asked.identifier,
        };
        let key = learned_key(credential);
        Some(Asking { question, key })
    }

    /// What the backend said of this credential a short time ago.
    fn learned(&self, credential: &Credential, now: Now) -> Option<Said> {
        let key = learned_key(credential)?;
        self.learned.as_ref()?.look_up(now.mono, &key)
    }

    /// Asks every list; the worst colour wins. A list that has not arrived, or cannot be read, is stale.
    fn look_up(&self, credential: &Credential, now: Now) -> Standing {
        let mut standing = Standing::unknown();
        for (list, stale_after) in &self.lists {
            let Some(state) = self.cache.state(list) else {
                standing.stale = true;
                continue;
            };
            // By the site's rule, or because the backend itself calls it fresh no longer.
            standing.stale |= now.utc.is_some_and(|utc| {
                utc.since(state.created) > *stale_after || utc > state.fresh_until
            });
            standing.lists.push(ListVersion {
                list: list.clone(),
                era: state.era,
                version: state.version,
            });
            // While a list changes its pepper there are two keys. The current one is asked first: if the list changes in
            // between, the next one finds the row.
            for (_, key) in credential.keys.iter().filter(|(of, _)| of == list) {
                match self.cache.look_up(list, key) {
                    Ok(Some(row)) => standing.join(&row),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%list, %error, "the codes cache cannot be read; the list counts as stale");
                        standing.stale = true;
                    }
                }
            }
        }
        standing
    }
}

/// Answers are kept under the row key of the first list: it names a credential as well as any other.
fn learned_key(credential: &Credential) -> Option<RowKey> {
    credential.keys.first().map(|(_, key)| *key)
}

/// Starts the thread of one lane, which takes the newest assessor for each job. It ends when the sender is dropped.
///
/// # Errors
/// What the system says if it has no thread left.
pub fn spawn(
    assessor: watch::Receiver<Arc<Assessor>>,
    lane: &str,
    out: mpsc::Sender<Assessment>,
) -> std::io::Result<SyncSender<Job>> {
    let (jobs, inbox) = sync_channel(QUEUE_MAX);
    std::thread::Builder::new()
        .name(format!("assess-{lane}"))
        .spawn(move || work(&assessor, &inbox, &out))?;
    Ok(jobs)
}

fn work(
    newest: &watch::Receiver<Arc<Assessor>>,
    inbox: &Receiver<Job>,
    out: &mpsc::Sender<Assessment>,
) {
    while let Ok(job) = inbox.recv() {
        let assessor = Arc::clone(&newest.borrow());
        if out.blocking_send(assessor.assess(&job)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod peppers;
#[cfg(test)]
mod tests;
