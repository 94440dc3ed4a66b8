//! The gate's own pages. Read-only: whoever acts uses another way.
//!
//! | Path | Answer |
//! |---|---|
//! | `/metrics` | Prometheus text |
//! | `/healthz` | 200 while the loop turns, else 503 |
//! | `/readyz` | 200 while devices work and lists are there, else 503 with what is missing, a line each |
//! | `/` | status page |
//! | `/status.json` | the same for machines |
//! | `/history.json` | the last hour, minute by minute |
//! | `/status.css`, `/status.js` | what the status page needs; it takes nothing from anywhere else |
//! | `/display/{lane}` | what the passenger sees: [`display`](super::display) |

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::display::{self, Displays};
use super::hour::Minute;
use super::metrics::Metrics;
use super::status::Status;

/// A loop that has not turned for this long is not healthy.
const HEARTBEAT_MAX: Duration = Duration::from_secs(3);

/// What the pages read.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The series.
    pub metrics: Metrics,
    /// The newest snapshot; the sender replaces it at least once a second.
    pub status: watch::Receiver<Arc<Status>>,
    /// When the loop last turned.
    pub heartbeat: watch::Receiver<Instant>,
    /// What the displays read.
    pub displays: Displays,
}

/// Serves the pages until `stop` turns true or its sender is gone.
///
/// # Errors
/// What the listener says when it breaks.
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let displays = Router::new()
        .route("/display/{lane}", get(display::page))
        .route("/display/{lane}/signs", get(display::signs))
        .with_state(pages.displays.clone());
    let app = Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status_json))
        .route("/history.json", get(history_json))
        .route("/status.css", get(status_style))
        .route("/status.js", get(status_script))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/display.css", get(display::style))
        .route("/display.js", get(display::script))
        .with_state(pages)
        .merge(displays);
    let stopped = async move {
        // An error means that the runtime is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped)
        .await
}

async fn status_page(State(pages): State<Pages>) -> Html<String> {
    Html(pages.status.borrow().page())
}

async fn status_json(State(pages): State<Pages>) -> Json<Status> {
    Json(Status::clone(&pages.status.borrow()))
}

async fn history_json(State(pages): State<Pages>) -> Json<Vec<Minute>> {
    Json(pages.status.borrow().minutes())
}

async fn status_style() -> impl IntoResponse {
    const STYLE: &str = include_str!("pages/status.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

async fn status_script() -> impl IntoResponse {
    const SCRIPT: &str = include_str!("pages/status.js");
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        SCRIPT,
    )
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.render() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(pages): State<Pages>) -> (StatusCode, String) {
    let silent = pages.heartbeat.borrow().elapsed();
    if silent <= HEARTBEAT_MAX {
        (StatusCode::OK, "ok\n".into())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the loop has not turned for {} ms\n", silent.as_millis()),
        )
    }
}

async fn readyz(State(pages): State<Pages>) -> (StatusCode, String) {
    let missing = pages.status.borrow().unready();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n")
    }
}
