//! Passages: taken from gates, read back by operators.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::caller::Caller;
use super::super::error::Refusal;
use super::super::inner::Inner;
use super::super::store::passages::{Arrived, Hole, Passages, link};
use super::super::store::search::Wanted;
use super::super::{StoreError, blocking};
use super::json;
use crate::domain::{GateId, Utc};
use crate::store::journal::RECORD_BYTES_MAX;
use crate::sync::hex;
use crate::sync::wire::{Acknowledged, Delivered, Delivery, EVENTS_MAX};

/// Most passages in one answer.
const READ_MAX: usize = 1_000;

/// `POST /v1/passages`
pub(super) async fn store(
    State(inner): State<Arc<Inner>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Acknowledged>, Refusal> {
    let delivery: Delivery = json(&headers, &body)?;
    caller.speaks_for(&delivery.gate, "/v1/passages", &inner)?;
    blocking(move || take(&inner.passages, delivery))
        .await?
        .map(Json)
}

/// Stores a delivery, whole or not at all.
pub(in crate::backend) fn take(
    passages: &Passages,
    delivery: Delivery,
) -> Result<Acknowledged, Refusal> {
    let epoch: [u8; 16] =
        hex::decode(&delivery.epoch).ok_or_else(|| Refusal::bad("an epoch has 32 hex digits"))?;
    let records = records(delivery.first_seq, delivery.events)?;
    let Some(acked_seq) = records.last().map(|last| last.seq) else {
        return Err(Refusal::bad("there is no record in it"));
    };
    let stored = passages.store(&delivery.gate, &epoch, &records);
    if let Err(error @ StoreError::Conflict { .. }) = &stored {
        tracing::warn!(
            gate = %delivery.gate, epoch = %hex::encode(&epoch), %error,
            "a gate sends other records than before: a copied journal, or two gates with one name"
        );
    }
    if let Some(hole) = stored? {
        tracing::warn!(
            gate = %delivery.gate, epoch = %delivery.epoch, from = hole.from, to = hole.to,
            "records of a gate are missing for ever: it had them acknowledged, and this store has lost them; see GET /v1/holes"
        );
    }
    Ok(Acknowledged {
        gate: delivery.gate,
        epoch: delivery.epoch,
        acked_seq,
    })
}

/// `GET /v1/holes`: the first thousand, gate by gate.
pub(super) async fn holes(State(inner): State<Arc<Inner>>) -> Result<Json<Vec<Hole>>, Refusal> {
    Ok(Json(
        blocking(move || inner.passages.holes(READ_MAX)).await??,
    ))
}

/// Records in order, without a gap, each with the link that it makes.
fn records(first_seq: u64, events: Vec<Delivered>) -> Result<Vec<Arrived>, Refusal> {
    if first_seq == 0 || events.len() > EVENTS_MAX {
        return Err(Refusal::bad(&format!(
            "records count from 1, and at most {EVENTS_MAX} come at a time"
        )));
    }
    let mut records: Vec<Arrived> = Vec::with_capacity(events.len());
    for (expected, event) in (first_seq..).zip(events) {
        let bad = |what: &str| Refusal::bad(&format!("record {expected}: {what}"));
        if event.seq != expected {
            return Err(bad("it has another number"));
        }
        let hash = hex::decode(&event.hash).ok_or_else(|| bad("a hash has 64 hex digits"))?;
        let plain = event.record.len() <= RECORD_BYTES_MAX
            && !event.record.bytes().any(|byte| byte < b' ')
            && event.record.starts_with('{');
        if !plain || serde_json::from_str::<IgnoredAny>(&event.record).is_err() {
            return Err(bad("it is not a JSON object in one line"));
        }
        if records
            .last()
            .is_some_and(|last| link(&last.hash, &event.record) != hash)
        {
            return Err(bad("its hash does not go on from the record before"));
        }
        records.push(Arrived {
            seq: expected,
            hash,
            record: event.record,
        });
    }
    Ok(records)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadQuery {
    gate: Option<GateId>,
    lane: Option<String>,
    subject: Option<String>,
    from_ms: Option<u64>,
    until_ms: Option<u64>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// `GET /v1/passages`: one JSON object a line, in the order of arrival. The header says where to go on; a page without a
/// line is not the end as long as it moves.
pub(super) async fn read(
    State(inner): State<Arc<Inner>>,
    Query(query): Query<ReadQuery>,
) -> Result<([(HeaderName, String); 2], String), Refusal> {
    let limit = query.limit.unwrap_or(READ_MAX).min(READ_MAX);
    if let Some(subject) = &query.subject
        && hex::decode::<8>(subject).is_none()
    {
        return Err(Refusal::bad("a subject has 16 hex digits"));
    }
    let wanted = Wanted {
        gate: query.gate,
        lane: query.lane,
        subject: query.subject.map(|subject| subject.to_ascii_lowercase()),
        from: query.from_ms.map(Utc::from_millis),
        until: query.until_ms.map(Utc::from_millis),
    };
    let (found, looked) =
        blocking(move || inner.passages.after(&wanted, query.after, limit)).await??;
    let mut lines = String::new();
    for one in found {
        // Names, digits and checked JSON: nothing needs escaping. Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"number":{},"gate":"{}","epoch":"{}","seq":{},"hash":"{}","record":{}}}"#,
            one.number,
            one.gate,
            hex::encode(&one.epoch),
            one.record.seq,
            hex::encode(&one.record.hash),
            one.record.record,
        );
    }
    let kind = (CONTENT_TYPE, "application/x-ndjson".to_owned());
    let next = (
        HeaderName::from_static("turnstile-after"),
        looked.to_string(),
    );
    Ok(([kind, next], lines))
}
