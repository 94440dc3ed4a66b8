//! `GET /v1/directives`: what the centre wants of a gate now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{self, Instant};

use super::super::caller::Caller;
use super::super::error::Refusal;
use super::super::inner::Inner;
use super::super::{blocking, directives};
use crate::domain::GateId;
use crate::sync::hex;

/// Longest time an answer is held.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often files are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);
/// Most groups of one gate.
const GROUPS_MAX: usize = 8;

#[derive(Deserialize)]
pub(super) struct Asked {
    gate: GateId,
    /// Names with commas between them.
    #[serde(default)]
    groups: String,
    #[serde(default)]
    wait: u64,
}

/// `GET /v1/directives?gate=G&groups=A,B&wait=S`
pub(super) async fn read(
    State(inner): State<Arc<Inner>>,
    caller: Caller,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.speaks_for(&asked.gate, "/v1/directives", &inner)?;
    let groups = asked.groups.split(',').filter(|name| !name.is_empty());
    let groups = groups.map(GateId::new).collect::<Result<Vec<_>, _>>();
    let groups = groups.map_err(|error| Refusal::bad(&format!("this is no group: {error}")))?;
    if groups.len() > GROUPS_MAX {
        return Err(Refusal::bad("a gate belongs to at most 8 groups"));
    }
    let until = Instant::now() + Duration::from_secs(asked.wait).min(WAIT_MAX);
    let mut stop = inner.stop.clone();
    loop {
        let (worker, gate, groups) = (Arc::clone(&inner), asked.gate.clone(), groups.clone());
        let found = blocking(move || directives::newest(&worker.dir, &gate, &groups)).await??;
        let hash: [u8; 32] = Sha256::digest(&found).into();
        let mark = format!("\"{}\"", hex::encode(hash.get(..16).unwrap_or(&hash)));
        let etag = (ETAG, mark.clone());
        let known = headers.get(IF_NONE_MATCH);
        let same = known.is_some_and(|known| known.as_bytes() == mark.as_bytes());
        if !same {
            let kind = (CONTENT_TYPE, "application/json".to_owned());
            let cache = (CACHE_CONTROL, "no-cache".to_owned());
            return Ok(([etag, kind, cache], found).into_response());
        }
        let over = until.saturating_duration_since(Instant::now()).min(LOOK);
        if !over.is_zero() {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = time::sleep(over) => continue,
            }
        }
        return Ok((StatusCode::NOT_MODIFIED, [etag]).into_response());
    }
}
