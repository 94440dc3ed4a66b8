//! The calls. Every body is bounded, and a JSON body must be labelled as such, so that no web page can post one.

pub(super) mod claims;
mod directives;
pub(super) mod held;
mod lists;
pub(super) mod passages;
mod resolve;
mod trust;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};
use serde::de::DeserializeOwned;

use super::caller::admit;
use super::error::Refusal;
use super::inner::Inner;
use crate::sync::wire::{EVENT_BYTES_MAX, EVENTS_MAX};

/// Largest body of any call but an import.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest delivery: the most text, each byte of it escaped, and what stands around the most records.
const DELIVERY_BYTES_MAX: usize = 2 * EVENT_BYTES_MAX + 160 * EVENTS_MAX + (64 << 10);
/// The description of all calls.
pub(super) const OPENAPI: &str = include_str!("../openapi.json");

type Routes = Vec<(
    &'static str,
    &'static [&'static str],
    MethodRouter<Arc<Inner>>,
)>;

/// Every call: path, methods, handler.
pub(super) fn routes() -> Routes {
    vec![
        ("/healthz", &["get"], get(async || "ok\n")),
        ("/metrics", &["get"], get(metrics)),
        ("/openapi.json", &["get"], get(openapi)),
        ("/v1/lists", &["get"], get(lists::all)),
        ("/v1/lists/{list}", &["put"], put(lists::prepare)),
        ("/v1/lists/{list}/manifest", &["get"], get(lists::manifest)),
        ("/v1/lists/{list}/import", &["post"], post(lists::import)),
        ("/v1/chunks/{sha256}", &["get"], get(lists::chunk)),
        (
            "/v1/passages",
            &["get", "post"],
            get(passages::read)
                .post(passages::store)
                .layer(DefaultBodyLimit::max(DELIVERY_BYTES_MAX)),
        ),
        ("/v1/holes", &["get"], get(passages::holes)),
        ("/v1/resolve", &["post"], post(resolve::resolve)),
        ("/v1/claims", &["post"], post(claims::claim)),
        ("/v1/claims/{id}", &["delete"], delete(claims::take_back)),
        ("/v1/trust", &["get"], get(trust::trust)),
        ("/v1/directives", &["get"], get(directives::read)),
    ]
}

pub(super) fn router(inner: Arc<Inner>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, _, handler)| {
            router.route(path, handler)
        })
        .fallback(async || Refusal::not_found("there is no such call; see /openapi.json"))
        .layer(from_fn_with_state(Arc::clone(&inner), admit))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(inner)
}

async fn openapi() -> ([(axum::http::HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

/// Who was turned away, and when certificates end.
async fn metrics(State(inner): State<Arc<Inner>>) -> Result<String, Refusal> {
    Ok(std::future::ready(inner.seen.render()).await?)
}

/// Reads a JSON body. The refusal does not repeat it: it may name a person.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    labelled(headers, "application/json")?;
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refusal::bad(&format!(
            "the body is not what this call takes, line {line}, column {column}"
        ))
    })
}

fn labelled(headers: &HeaderMap, kind: &str) -> Result<(), Refusal> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if given.is_some_and(|given| given.split(';').next().unwrap_or_default().trim() == kind) {
        return Ok(());
    }
    Err(Refusal(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("the body must have the content type {kind}"),
    ))
}
