//! Lists: manifests, chunks, imports.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time;

use super::super::error::Refusal;
use super::super::inner::{Inner, Published};
use super::super::store::intake::Intake;
use super::super::{Imported, Mode, StoreError, blocking};
use super::held::{self, Held};
use super::labelled;
use crate::domain::ListId;
use crate::sync::chunk::ROW_LEN;
use crate::sync::manifest::ChunkId;
use crate::sync::spool::Spool;

/// Between two parts of an import.
const IMPORT_SILENCE_MAX: Duration = Duration::from_secs(30);
/// What is gathered of an import before it is sorted in.
const IMPORT_PART_BYTES: usize = 1 << 20;

fn list_id(name: &str) -> Result<ListId, Refusal> {
    ListId::new(name).map_err(|error| Refusal::bad(&format!("this is no name of a list: {error}")))
}

#[derive(Serialize)]
pub(super) struct Summary {
    list: ListId,
    era: u32,
    version: u64,
    rows: u64,
    pepper_id: u32,
}

/// `GET /v1/lists`
pub(super) async fn all(State(inner): State<Arc<Inner>>) -> Json<Vec<Summary>> {
    let summary = |(list, one): (ListId, Arc<Published>)| Summary {
        list,
        era: one.era,
        version: one.version,
        rows: one.rows,
        pepper_id: one.pepper_id,
    };
    Json(inner.all_published().into_iter().map(summary).collect())
}

/// Where the pepper of a list lies. The file's mode says who may read it; the pepper itself is never sent.
#[derive(Serialize)]
pub(super) struct Prepared {
    list: ListId,
    pepper_file: String,
    pepper_id: u32,
}

#[derive(Deserialize)]
pub(super) struct PrepareQuery {
    #[serde(default)]
    next: bool,
}

/// `PUT /v1/lists/{list}`
pub(super) async fn prepare(
    State(inner): State<Arc<Inner>>,
    Path(list): Path<String>,
    Query(query): Query<PrepareQuery>,
) -> Result<Json<Prepared>, Refusal> {
    let list = list_id(&list)?;
    blocking(move || {
        let (file, pepper) = if query.next {
            inner.prepare_next(&list)?
        } else {
            (inner.pepper_file(&list), inner.prepare(&list)?)
        };
        let (pepper_id, pepper_file) = (pepper.id(), file.display().to_string());
        Ok(Json(Prepared {
            list,
            pepper_file,
            pepper_id,
        }))
    })
    .await?
}

/// `GET /v1/lists/{list}/manifest`
pub(super) async fn manifest(
    State(inner): State<Arc<Inner>>,
    Path(list): Path<String>,
    Query(held): Query<Held>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let list = list_id(&list)?;
    held::newest(&inner, || inner.published(&list), &held, &headers)
        .await
        .ok_or_else(|| Refusal::not_found("there is no such list"))
}

/// `GET /v1/chunks/{sha256}`
pub(super) async fn chunk(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id =
        ChunkId::parse(&id).ok_or_else(|| Refusal::bad("a chunk is named by 64 hex digits"))?;
    let etag = (ETAG, format!("\"{id}\""));
    let cache = (
        CACHE_CONTROL,
        "public, max-age=31536000, immutable".to_owned(),
    );
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|mark| mark.as_bytes() == etag.1.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, [etag, cache]).into_response());
    }
    let packed = blocking(move || inner.lists.chunk(&id))
        .await??
        .ok_or_else(|| Refusal::not_found("there is no such chunk, or not any more"))?;
    let kind = (CONTENT_TYPE, "application/zstd".to_owned());
    let ranges = (ACCEPT_RANGES, "bytes".to_owned());
    let named = [etag, cache, kind, ranges];
    let Some(first) = range_start(&headers, &id) else {
        return Ok((named, packed).into_response());
    };
    let length = packed.len();
    let Some(rest) = packed.get(first..).filter(|rest| !rest.is_empty()) else {
        let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
    };
    let last = length.saturating_sub(1);
    let range = [(CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))];
    Ok((StatusCode::PARTIAL_CONTENT, named, range, rest.to_vec()).into_response())
}

/// Where the rest begins that is asked for. Any other kind of range is answered with the whole, as RFC 9110 allows.
fn range_start(headers: &HeaderMap, id: &ChunkId) -> Option<usize> {
    let mark = headers.get(IF_RANGE);
    if mark.is_some_and(|mark| mark.as_bytes() != format!("\"{id}\"").as_bytes()) {
        return None;
    }
    let range = headers.get(RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

#[derive(Deserialize)]
pub(super) struct ImportQuery {
    mode: Mode,
    #[serde(default)]
    new_era: bool,
    pepper_id: u32,
}

/// `POST /v1/lists/{list}/import`: 40-byte rows in any order; nothing is taken over if one is bad.
pub(super) async fn import(
    State(inner): State<Arc<Inner>>,
    Path(list): Path<String>,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Imported>, Refusal> {
    let list = list_id(&list)?;
    labelled(&headers, "application/octet-stream")?;
    let _alone = inner.importing.try_acquire().map_err(|_| {
        Refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "another import is under way".into(),
        )
    })?;
    let rows = rows(Intake::new(&inner.dir, query.mode), body).await?;
    let worker = Arc::clone(&inner);
    let work = move || {
        worker.import(
            &list,
            query.mode,
            query.new_era,
            Some(query.pepper_id),
            rows,
        )
    };
    Ok(Json(blocking(work).await??))
}

/// Reads rows as they come and puts them in order, a bounded part at a time.
async fn rows(mut intake: Intake, mut body: Body) -> Result<Spool, Refusal> {
    let mut waiting: Vec<u8> = Vec::new();
    loop {
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx));
        let frame = match time::timeout(IMPORT_SILENCE_MAX, next).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return Err(Refusal::bad("the body broke off")),
        };
        let Ok(part) = frame.into_data() else {
            continue;
        };
        waiting.extend_from_slice(&part);
        if waiting.len() >= IMPORT_PART_BYTES {
            (intake, waiting) = take(intake, waiting).await?;
        }
    }
    let (intake, rest) = take(intake, waiting).await?;
    if !rest.is_empty() {
        return Err(Refusal::bad("the body ends in half a row"));
    }
    Ok(blocking(move || intake.finish()).await??)
}

/// Takes the whole rows of what has come; gives back the rest.
async fn take(mut intake: Intake, bytes: Vec<u8>) -> Result<(Intake, Vec<u8>), Refusal> {
    let taken = blocking(move || {
        let (whole, rest) = bytes.as_chunks::<ROW_LEN>();
        whole.iter().try_for_each(|row| intake.push(*row))?;
        Ok::<_, StoreError>((intake, rest.to_vec()))
    });
    Ok(taken.await??)
}
