//! One credential asked online. The question names a person: it is answered and forgotten.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;

use super::super::blocking;
use super::super::caller::Caller;
use super::super::error::Refusal;
use super::super::inner::{Asked, Inner};
use super::json;
use crate::domain::Personal;
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
    let id = question.id.clone();
    let listed = blocking(move || {
        inner.resolve(&Asked {
            lists: &question.lists,
            held_by: question.held_by.as_deref(),
            kind: &question.profile,
            issuer: &question.issuer,
            identifier: identifier.expose(),
        })
    });
    listed
        .await??
        .map(|answer| Json(Answer { id, ..answer }))
        .ok_or_else(|| Refusal::not_found("no list knows this credential"))
}
