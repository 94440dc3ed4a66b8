//! One credential asked online. The question names a person: it is answered and forgotten.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;

use super::super::blocking;
use super::super::caller::Caller;
use super::super::error::Refusal;
use super::super::inner::{Asked, Inner, no_standing, with_found};
use super::json;
use crate::domain::{HealthOutcome, IssuerId, Personal};
use crate::sync::wire::{Answer, Question};

/// Longest identifier: the most a QR code can hold.
const IDENTIFIER_BYTES_MAX: usize = 8 << 10;
/// Most lists of a question.
const LISTS_MAX: usize = 64;
/// Longest id of a question.
const ID_BYTES_MAX: usize = 64;

/// `POST /v1/resolve`
pub(super) async fn resolve(
    State(inner): State<Arc<Inner>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Answer>, Refusal> {
    let mut question: Question = json(&headers, &body)?;
    let identifier = Personal::new(std::mem::take(&mut question.identifier));
    caller.speaks_for(&question.gate, "/v1/resolve", &inner)?;
    if identifier.expose().len() > IDENTIFIER_BYTES_MAX
        || question.lists.len() > LISTS_MAX
        || question
            .held_by
            .as_ref()
            .is_some_and(|lists| lists.len() > LISTS_MAX)
        || question.id.len() > ID_BYTES_MAX
    {
        return Err(Refusal::bad("the question is too long"));
    }
    let question = Arc::new(question);
    let id = question.id.clone();
    let found = match listed(&inner, &question, identifier.expose().clone(), None).await? {
        Some(answer) => Some(answer),
        // No list knows it: the issuer's own service may.
        None => asked(&inner, &question, &identifier).await?,
    };
    found
        .map(|answer| Json(Answer { id, ..answer }))
        .ok_or_else(|| Refusal::not_found("nobody knows this credential"))
}

/// What lists say of the credential, or of somebody else whom it stands for.
async fn listed(
    inner: &Arc<Inner>,
    question: &Arc<Question>,
    identifier: String,
    other: Option<(String, IssuerId)>,
) -> Result<Option<Answer>, Refusal> {
    let (inner, question) = (Arc::clone(inner), Arc::clone(question));
    let identifier = Personal::new(identifier);
    let found = blocking(move || {
        let other = other.as_ref();
        inner.resolve(&Asked {
            lists: &question.lists,
            held_by: question.held_by.as_deref().filter(|_| other.is_none()),
            kind: other.map_or(&question.profile, |(kind, _)| kind),
            issuer: other.map_or(&question.issuer, |(_, issuer)| issuer),
            identifier: identifier.expose(),
        })
    });
    Ok(found.await??)
}

/// What the issuer's own service says, and of whom.
async fn asked(
    inner: &Arc<Inner>,
    question: &Arc<Question>,
    identifier: &Personal<String>,
) -> Result<Option<Answer>, Refusal> {
    let Some(adapter) = inner.adapters.of(&question.profile, &question.issuer) else {
        return Ok(None);
    };
    let now_s = inner.now().as_secs();
    let found = match adapter.ask(&question.profile, identifier, now_s).await {
        Ok(found) => found,
        Err(HealthOutcome::Unknown) => return Ok(None),
        Err(health) => return Ok(Some(no_standing(health))),
    };
    let known = match &found.person {
        Some(person) => {
            let other = (person.kind.clone(), person.issuer.clone());
            listed(
                inner,
                question,
                person.identifier.expose().clone(),
                Some(other),
            )
            .await?
        }
        None => None,
    };
    Ok(with_found(known, &found))
}
