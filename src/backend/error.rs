//! Refusals as the calls give them: a status and one sentence.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{BackendError, StoreError};

/// A refusal.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    pub(super) fn bad(what: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, what.into())
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        let status = match &error {
            BackendError::Store(StoreError::BadRow { .. } | StoreError::TooLarge { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            BackendError::Store(StoreError::OtherPepper { .. } | StoreError::Conflict { .. })
            | BackendError::Exists(_) => StatusCode::CONFLICT,
            BackendError::Store(
                StoreError::InUse { .. } | StoreError::Open { .. } | StoreError::Failed(_),
            )
            | BackendError::NotLoopback(_)
            | BackendError::Listen { .. }
            | BackendError::Io { .. }
            | BackendError::Secret { .. }
            | BackendError::Adapter { .. }
            | BackendError::NoAuthority(_)
            | BackendError::NoList
            | BackendError::Issue(_)
            | BackendError::Tls(_)
            | BackendError::Metrics(_)
            | BackendError::CutShort => {
                tracing::warn!(%error, "a call could not be answered");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self(status, error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        BackendError::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}
