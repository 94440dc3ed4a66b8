//! The calls of DESIGN §7, as far as they stand. `/openapi.json` describes them; a test compares it with the routes.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::lists::{self, Extent};
use super::passages::{self, BatchError};
use super::resolve::{self, Question};
use super::store::StoreError;
use super::{State, import};
use crate::domain::{GateId, ListId};
use crate::sync::chunk::ChunkId;
use crate::sync::hex::Hex;
use crate::sync::passages::{Acknowledged, Batch};

/// How long an answer may be held at most.
const HELD_MAX: Duration = Duration::from_secs(30);
/// Largest body of a batch or a question.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Largest body of an import: 6.7 M rows.
pub const IMPORT_BYTES_MAX: usize = 256 << 20;
/// Records of one answer to `GET /v1/passages`.
const PASSAGES_MAX: usize = 10_000;

/// Every path that is served, for the test that compares them with the description.
pub const PATHS: &[&str] = &[
    "/healthz",
    "/openapi.json",
    "/v1/lists/{list}/manifest",
    "/v1/lists/{list}/import",
    "/v1/chunks/{sha256}",
    "/v1/passages",
    "/v1/resolve",
];

/// All routes.
pub fn router(state: State) -> Router {
    let import = post(post_import).layer(DefaultBodyLimit::max(IMPORT_BYTES_MAX));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/openapi.json", get(openapi))
        .route("/v1/lists/{list}/manifest", get(get_manifest))
        .route("/v1/lists/{list}/import", import)
        .route("/v1/chunks/{sha256}", get(get_chunk))
        .route("/v1/passages", post(post_passages).get(get_passages))
        .route("/v1/resolve", post(post_resolve))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

/// A refusal: a status and a sentence.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(BTreeMap::from([("error", self.1)]))).into_response()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoList(_) => Self(StatusCode::NOT_FOUND, error.to_string()),
            StoreError::Io { .. }
            | StoreError::InUse { .. }
            | StoreError::Secret { .. }
            | StoreError::Failed(_) => {
                tracing::error!(%error, "the backend's store does not do it");
                Self(StatusCode::INTERNAL_SERVER_ERROR, "the store failed".into())
            }
        }
    }
}

async fn openapi() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("openapi.json"),
    )
}

#[derive(Deserialize)]
struct Have {
    /// `era.version`
    have: Option<String>,
    /// Seconds.
    wait: Option<u64>,
}

async fn get_manifest(
    Shared(state): Shared<State>,
    Path(list): Path<String>,
    Query(Have { have, wait }): Query<Have>,
) -> Result<Response, Refused> {
    let list = name(&list)?;
    let mut changed = state.changed.subscribe();
    let mut stop = state.stop.clone();
    let wait = Duration::from_secs(wait.unwrap_or(0)).min(HELD_MAX);
    let waited = tokio::time::sleep(wait);
    tokio::pin!(waited);
    loop {
        changed.mark_unchanged();
        let (store, asked) = (state.store.clone(), list.clone());
        let (envelope, (era, version)) =
            blocking(move || lists::manifest(&store, &asked)).await??;
        if have.as_deref() != Some(format!("{era}.{version}").as_str()) || waited.is_elapsed() {
            return Ok(([(header::CONTENT_TYPE, "application/json")], envelope).into_response());
        }
        tokio::select! {
            () = &mut waited => {}
            _ = stop.wait_for(|stop| *stop) => {
                return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, "the backend is going down".into()));
            }
            _ = changed.changed() => {}
        }
    }
}

async fn get_chunk(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let id = ChunkId::parse(&id).ok_or_else(|| {
        Refused(
            StatusCode::NOT_FOUND,
            "a chunk is named by 64 lower-case hex digits".into(),
        )
    })?;
    let etag = format!("\"{id}\"");
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let bytes = blocking(move || state.store.chunk(&id)).await??;
    let bytes =
        bytes.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "there is no such chunk".into()))?;
    let headers = [
        (header::CONTENT_TYPE, "application/zstd".to_owned()),
        (
            header::CACHE_CONTROL,
            "public, max-age=31536000, immutable".to_owned(),
        ),
        (header::ETAG, etag),
    ];
    Ok((headers, bytes).into_response())
}

async fn post_passages(
    Shared(state): Shared<State>,
    Json(batch): Json<Batch>,
) -> Result<Json<Acknowledged>, Refused> {
    let kept = blocking(move || passages::keep(&state.store, &batch)).await?;
    let kept = kept.map_err(|error| match error {
        BatchError::Conflict(_) => Refused(StatusCode::CONFLICT, error.to_string()),
        BatchError::Malformed(sentence) => Refused(StatusCode::BAD_REQUEST, sentence),
        BatchError::Store(error) => error.into(),
    })?;
    Ok(Json(Acknowledged {
        acked_seq: kept.acked_seq,
    }))
}

#[derive(Deserialize)]
struct Asked {
    gate: String,
    /// `epoch.seq`, exclusive.
    after: Option<String>,
}

/// Records of a gate, a JSON object a line.
async fn get_passages(
    Shared(state): Shared<State>,
    Query(Asked { gate, after }): Query<Asked>,
) -> Result<Response, Refused> {
    let bad = |sentence: &str| Refused(StatusCode::BAD_REQUEST, sentence.into());
    let gate = GateId::new(&gate).map_err(|error| bad(&error.to_string()))?;
    let after = match after.as_deref().map(|after| after.split_once('.')) {
        None => None,
        Some(Some((epoch, seq))) => Hex::<16>::parse(epoch).zip(seq.parse().ok()),
        Some(None) => return Err(bad("`after` is an epoch, a dot and a number")),
    };
    let found =
        blocking(move || passages::of_gate(&state.store, &gate, after, PASSAGES_MAX)).await??;
    let lines: Vec<_> = found
        .iter()
        .filter_map(|passage| serde_json::to_string(passage).ok())
        .collect();
    let text = lines
        .iter()
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response())
}

async fn post_resolve(
    Shared(state): Shared<State>,
    Json(question): Json<Question>,
) -> Result<Response, Refused> {
    let answer = blocking(move || resolve::resolve(&state.store, &state.keys, &question)).await??;
    Ok(match answer {
        Some(resolved) => Json(resolved).into_response(),
        None => Refused(StatusCode::NOT_FOUND, "nobody here knows it".into()).into_response(),
    })
}

#[derive(Deserialize)]
struct Mode {
    #[serde(default)]
    patch: bool,
}

/// Rows of 40 bytes, in whatever order.
async fn post_import(
    Shared(state): Shared<State>,
    Path(list): Path<String>,
    Query(Mode { patch }): Query<Mode>,
    body: Bytes,
) -> Result<Json<lists::Imported>, Refused> {
    let list = name(&list)?;
    let extent = if patch {
        Extent::Patch
    } else {
        Extent::Replace
    };
    let changed = state.changed.clone();
    let imported = blocking(move || {
        let rows = import::wire_rows(&body)
            .map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
        Ok::<_, Refused>(lists::import(
            &state.store,
            &state.keys,
            (state.clock)(),
            &list,
            rows,
            extent,
        )?)
    })
    .await??;
    changed.send_modify(|count| *count += 1);
    Ok(Json(imported))
}

fn name(list: &str) -> Result<ListId, Refused> {
    ListId::new(list).map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let broke = |_| {
        Refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the call broke off".into(),
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(broke)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_the_routes_and_no_other() {
        let described: serde_json::Value =
            serde_json::from_str(include_str!("openapi.json")).unwrap();
        let mut described: Vec<_> = described["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let mut served: Vec<_> = PATHS.iter().map(ToString::to_string).collect();
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }
}
