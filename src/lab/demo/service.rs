//! The verification service of a neighbour's issuer, on this machine: what the backend's adapter asks.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longer than anybody waits at a gate.
const SLOW: Duration = Duration::from_secs(5);
const PATH: &str = "/getTokenSNOByQrCode";
const ADAPTER: &str = r#"issuer = ["neighbour"]
method = "POST"
url = "{url}"
deadline_ms = 600

[code]
form = { qrCode = "{identifier}" }

[answer]
statuses = { "404" = "unknown" }
[answer.health]
at = "/data/healthStatus"
values = { "3" = "green" }
[answer.person]
at = "/data/idNumber"
kind = "opaque"
issuer = "health"
"#;

/// The service; it ends when this is dropped.
pub(super) struct Service(JoinHandle<()>);

impl Service {
    /// Starts it, and writes the adapter to it for the backend that lives in `backend`.
    pub(super) async fn start(backend: &Path) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}{PATH}", listener.local_addr()?);
        let adapters = backend.join("adapters");
        std::fs::create_dir_all(&adapters)?;
        std::fs::write(
            adapters.join("neighbour.toml"),
            ADAPTER.replace("{url}", &url),
        )?;
        let router = Router::new().route(PATH, post(answer));
        Ok(Self(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the neighbour's service has ended");
            }
        })))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What it says of a code stands in the code.
async fn answer(form: String) -> (StatusCode, String) {
    if form.contains("LATE") {
        tokio::time::sleep(SLOW).await;
    }
    if form.contains("NOBODY") {
        return (StatusCode::NOT_FOUND, String::new());
    }
    if form.contains("NONSENSE") {
        return (StatusCode::OK, "green".to_owned());
    }
    // The same person is another text in each code; no list here knows it.
    let person: String = form.chars().rev().take(16).collect();
    let data = serde_json::json!({"healthStatus": 3, "idNumber": format!("HC:{person}")});
    (
        StatusCode::OK,
        serde_json::json!({"data": data}).to_string(),
    )
}
