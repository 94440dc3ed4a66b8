//! The trust list.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::error::Refusal;
use super::super::inner::Inner;
use super::held::{self, Held};

/// `GET /v1/trust`
pub(super) async fn trust(
    State(inner): State<Arc<Inner>>,
    Query(held): Query<Held>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    held::newest(&inner, || inner.trust.served(), &held, &headers)
        .await
        .ok_or_else(|| Refusal::not_found("this backend has no trust list"))
}
