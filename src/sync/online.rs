//! Asks the backend about one credential that no list knows.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time;

use super::Report;
use super::client::{LinkError, Transport};
use super::hex;
use super::wire::Answer;
use crate::domain::{GateId, HealthOutcome, IssuerId, ListId, Personal, Standing, Subject, Utc};

/// Who is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// Kind of identifier, as in row keys: `opaque`, `id_card`, or a signed profile.
    pub profile: String,
    /// Who made the code.
    pub issuer: IssuerId,
    /// The text of the code, or the number of the card.
    pub identifier: Personal<String>,
    /// Lists that hold what the issuer made; `None`: all that the gate follows.
    pub held_by: Option<Vec<ListId>>,
}

/// Asks, with a deadline. Clones are the same.
pub struct Online<T> {
    gate: GateId,
    lists: Arc<[ListId]>,
    transport: Arc<T>,
    report: Arc<Report>,
}

impl<T> Clone for Online<T> {
    fn clone(&self) -> Self {
        Self {
            gate: self.gate.clone(),
            lists: Arc::clone(&self.lists),
            transport: Arc::clone(&self.transport),
            report: Arc::clone(&self.report),
        }
    }
}

/// [`super::wire::Question`], borrowed: the identifier is copied no oftener than it must be.
#[derive(Serialize)]
struct Asked<'a> {
    gate: &'a GateId,
    id: &'a str,
    profile: &'a str,
    issuer: &'a IssuerId,
    identifier: &'a str,
    lists: &'a [ListId],
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<&'a [ListId]>,
}

impl<T: Transport> Online<T> {
    /// Asks in the name of `gate`, about what these lists say.
    #[must_use]
    pub fn new(gate: GateId, lists: &[ListId], transport: Arc<T>, report: Arc<Report>) -> Self {
        Self {
            gate,
            lists: lists.into(),
            transport,
            report,
        }
    }

    /// What the backend says, if it says it within the deadline.
    ///
    /// # Errors
    /// [`HealthOutcome::Unknown`] if it does not know the credential, [`HealthOutcome::QueryFailed`] if it could not
    /// find out or talks nonsense, [`HealthOutcome::TimedOut`] if nobody answered in time.
    pub async fn resolve(
        &self,
        question: &Question,
        within: Duration,
    ) -> Result<Standing, HealthOutcome> {
        let id = getrandom::u64().map_err(|_| HealthOutcome::QueryFailed)?;
        let id = format!("{id:016x}");
        let body = serde_json::to_vec(&Asked {
            gate: &self.gate,
            id: &id,
            profile: &question.profile,
            issuer: &question.issuer,
            identifier: question.identifier.expose(),
            lists: &self.lists,
            held_by: question.held_by.as_deref(),
        })
        .map_err(|_| HealthOutcome::QueryFailed)?;
        let asked = time::timeout(within, self.transport.resolve(body, within)).await;
        let answer = match asked.unwrap_or(Err(LinkError::Late)) {
            Ok(answer) => answer,
            Err(error) => return Err(self.outcome(error).await),
        };
        self.report.backend_answered().await;
        let answer: Answer =
            serde_json::from_slice(&answer).map_err(|_| HealthOutcome::QueryFailed)?;
        if answer.id != id {
            tracing::warn!("the backend answers another question; nobody passes by that answer");
            return Err(HealthOutcome::QueryFailed);
        }
        standing(answer)
    }

    async fn outcome(&self, error: LinkError) -> HealthOutcome {
        match error {
            LinkError::NotFound => HealthOutcome::Unknown,
            // One late answer says nothing about the link: the deadline is short.
            LinkError::Late => HealthOutcome::TimedOut,
            LinkError::Away(_) | LinkError::Untrusted(_) => {
                self.report.backend_away(&error).await;
                HealthOutcome::TimedOut
            }
            LinkError::Conflict
            | LinkError::Forbidden(_)
            | LinkError::Status(_)
            | LinkError::TooLong => HealthOutcome::QueryFailed,
        }
    }
}

fn standing(answer: Answer) -> Result<Standing, HealthOutcome> {
    match answer.health {
        HealthOutcome::Green
        | HealthOutcome::Yellow
        | HealthOutcome::Red
        | HealthOutcome::NotApplied => {}
        HealthOutcome::Unknown | HealthOutcome::QueryFailed | HealthOutcome::TimedOut => {
            return Err(answer.health);
        }
    }
    let subject = match answer.subject {
        Some(text) => Some(Subject(
            hex::decode(&text).ok_or(HealthOutcome::QueryFailed)?,
        )),
        None => None,
    };
    Ok(Standing {
        health: answer.health,
        subject: subject.filter(|subject| *subject != Subject::NONE),
        valid_from: answer.valid_from.map(Utc::from_secs),
        // The whole last second counts, as in a row.
        valid_until: answer
            .valid_until
            .map(|until| Utc::from_secs(until) + Duration::from_millis(999)),
        entitlements: answer.entitlements,
        lists: answer.lists,
        stale: false,
        region: answer.region,
    })
}
