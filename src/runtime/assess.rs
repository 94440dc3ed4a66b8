//! Presentation in, finding out: the codes module reads it, the lists are asked. One thread a lane, so that a slow
//! disk under one lane's look-up does not hold up another lane or the loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::online::Asking;
use super::trust::{InForce, is_expired};
use crate::codes::signed::Health;
use crate::codes::{self, Offline, Reading};
use crate::domain::{
    Assessed, CertificateRules, Colour, Credential, Finding, HealthOutcome, ListId, ListVersion,
    Now, Presentation, Reason, Row, RowKey, Standing, Subject, Utc, certificate,
};
use crate::store::codes::{Codes, ListState};
use crate::store::learned::{Learned, Said};
use crate::sync::online::Question;

/// How many presentations one lane may have waiting. More than one means that somebody floods a reader.
const QUEUE_MAX: usize = 4;

/// What an assessment needs; shared by the lanes.
pub struct Assessor {
    /// Trust list and peppers.
    pub trust: InForce,
    /// The lists.
    pub cache: Arc<dyn Codes>,
    /// The lists to ask, and from which age each counts as stale.
    pub lists: Vec<(ListId, Duration)>,
    /// What counts of a health certificate.
    pub certificates: Vec<CertificateRules>,
    /// What the backend has answered before; absent: nobody is asked.
    pub learned: Option<Arc<Learned>>,
}

/// One presentation to assess.
pub struct Job {
    /// Its number in this process.
    pub number: u64,
    /// When it was handed over.
    pub now: Now,
    /// No date before this is believed: it counts for the trust list while nobody vouches for the date.
    pub floor: Utc,
    /// What counts of a health certificate by a directive; `None`: what the config says.
    pub certificates: Option<Arc<Vec<CertificateRules>>>,
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
        let reader = self.trust.reader();
        let (finding, asking) = match reader.read(&job.presentation.shown) {
            Err(refusal) => {
                if let Some(fault) = refusal.fault {
                    tracing::debug!(issuer = ?refusal.issuer, %fault, "a signed code does not hold");
                }
                let finding = Finding::Refused {
                    reason: refusal.reason,
                    issuer: refusal.issuer,
                };
                (finding, None)
            }
            Ok(mut reading) => {
                let trust = reader.trust();
                reading.credential.trust_expired =
                    is_expired(trust.not_after, job.now.utc.or(Some(job.floor)));
                self.find(reading, job)
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

    /// What lists, the code itself and earlier answers say; and what to ask if that is nothing.
    fn find(&self, reading: Reading, job: &Job) -> (Finding, Option<Asking>) {
        let now = job.now;
        if self.is_revoked(&reading) {
            let (reason, issuer) = (Reason::Revoked, Some(reading.credential.issuer));
            return (Finding::Refused { reason, issuer }, None);
        }
        let mut standing = self.look_up(&reading, now);
        if let Some(subject) = standing.subject {
            self.look_up_person(subject, &mut standing, &reading.offline, now);
        }
        let Reading {
            credential,
            said,
            question,
            lists,
            ..
        } = reading;
        let certificates = job.certificates.as_deref();
        let health = outcome(certificates.unwrap_or(&self.certificates), &said, now);
        standing.join_said(health, said.entitlements);
        let mut asking = None;
        if standing.health == HealthOutcome::Unknown {
            match self.learned(&credential, now) {
                Some(Said::Known(mut known)) => {
                    known.join_said(None, said.entitlements);
                    standing = known;
                }
                // Asking again would be told the same.
                Some(Said::Nobody) => {}
                None => {
                    asking = question.map(|question| asking_of(question, &credential, lists));
                }
            }
        }
        let finding = Finding::Read {
            credential,
            standing,
        };
        (finding, asking)
    }

    /// True if a list says that the issuer has revoked it.
    fn is_revoked(&self, reading: &Reading) -> bool {
        let mut revoked = reading.said.revoked.iter();
        revoked.any(|(list, key)| matches!(self.cache.look_up(list, key), Ok(Some(_))))
    }

    /// What the backend said of this credential a short time ago.
    fn learned(&self, credential: &Credential, now: Now) -> Option<Said> {
        let key = learned_key(credential)?;
        self.learned.as_ref()?.look_up(now.mono, &key)
    }

    /// Asks every list that holds its issuer; the worst colour wins. A list that has not arrived, or cannot be read, is
    /// stale.
    fn look_up(&self, reading: &Reading, now: Now) -> Standing {
        let (credential, offline) = (&reading.credential, &reading.offline);
        let mut standing = Standing::unknown();
        for (list, stale_after) in self
            .lists
            .iter()
            .filter(|(list, _)| reading.is_held_by(list))
        {
            let Some(state) = self.cache.state(list) else {
                standing.stale = true;
                continue;
            };
            let age = Age::of(&state, offline, *stale_after, now);
            standing.stale |= age.stale;
            standing.lists.push(version_of(list, &state));
            // While a list changes its pepper there are two keys. The current one is asked first: if the list changes in
            // between, the next one finds the row.
            let keys = credential.keys.iter().filter(|(of, _)| of == list);
            self.join_rows(list, keys, age, &mut standing);
        }
        standing
    }

    /// What every list says of a person whom one of them knows, however it knows them.
    fn look_up_person(
        &self,
        subject: Subject,
        standing: &mut Standing,
        offline: &Offline,
        now: Now,
    ) {
        let keys = self.trust.reader().subject_keys(subject);
        for (list, stale_after) in &self.lists {
            let Some(state) = self.cache.state(list) else {
                continue;
            };
            let age = Age::of(&state, offline, *stale_after, now);
            let of_list = keys.iter().filter(|(of, _)| of == list);
            // A list that does not know them has nothing that could be old.
            if self.join_rows(list, of_list, age, standing) {
                standing.stale |= age.stale;
                let version = version_of(list, &state);
                if !standing.lists.contains(&version) {
                    standing.lists.push(version);
                }
            }
        }
    }

    /// Joins what a list has under these keys; true if it has something.
    fn join_rows<'a>(
        &self,
        list: &ListId,
        keys: impl Iterator<Item = &'a (ListId, RowKey)>,
        age: Age,
        standing: &mut Standing,
    ) -> bool {
        let mut found = false;
        for (_, key) in keys {
            match self.cache.look_up(list, key) {
                Ok(Some(row)) if age.hard_stale && !speaks_against(&row) => {}
                Ok(Some(row)) => {
                    standing.join(&row);
                    found = true;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%list, %error, "the codes cache cannot be read; the list counts as stale");
                    standing.stale = true;
                }
            }
        }
        found
    }
}

/// How old a list is for what one issuer made.
#[derive(Clone, Copy, Debug)]
struct Age {
    /// By the site's rule, by the issuer's, or because the backend itself calls it fresh no longer.
    stale: bool,
    /// Nobody is let in by it any more.
    hard_stale: bool,
}

impl Age {
    fn of(state: &ListState, offline: &Offline, stale_after: Duration, now: Now) -> Self {
        let age = now.utc.map(|utc| utc.since(state.created));
        let older_than = |limit: Duration| age.is_some_and(|age| age > limit);
        let older_than_s =
            |limit: Option<u32>| limit.is_some_and(|s| older_than(Duration::from_secs(s.into())));
        let hard_stale = older_than_s(offline.hard_stale_s);
        Self {
            stale: older_than(stale_after)
                || older_than_s(offline.stale_after_s)
                || hard_stale
                || now.utc.is_some_and(|utc| utc > state.fresh_until),
            hard_stale,
        }
    }
}

fn version_of(list: &ListId, state: &ListState) -> ListVersion {
    ListVersion {
        list: list.clone(),
        era: state.era,
        version: state.version,
    }
}

/// True if a row would keep somebody out: that counts however old it is.
const fn speaks_against(row: &Row) -> bool {
    match row.colour {
        Some(Colour::Yellow | Colour::Red) => true,
        Some(Colour::Green) | None => false,
    }
}

/// What a code says of its holder's health.
fn outcome(rules: &[CertificateRules], said: &codes::Said, now: Now) -> Option<HealthOutcome> {
    Some(match said.health.as_ref()? {
        Health::Colour(colour) => (*colour).into(),
        Health::Certificate(certificate) => {
            certificate::judge(rules, certificate, said.region.as_deref(), now.utc)
        }
    })
}

/// What to ask the backend, in the words of its contract.
fn asking_of(
    asked: codes::Question,
    credential: &Credential,
    held_by: Option<Vec<ListId>>,
) -> Asking {
    let question = Question {
        profile: asked.profile.row_kind().to_owned(),
        issuer: asked.issuer,
        identifier: asked.identifier,
        held_by,
    };
    let key = learned_key(credential);
    Asking { question, key }
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
mod agreement;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod peppers;
#[cfg(test)]
mod tests;
