//! The calls a gate makes: over mutual TLS, or over plain HTTP on loopback. Every answer is bounded in time and in
//! bytes.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use super::chunk::PACKED_MAX;
use super::directives;
use super::dsse::ENVELOPE_BYTES_MAX;
use super::manifest::ChunkId;
use super::resume;
use super::tls::{self, Date, Material, Refusal, TlsError};
use crate::domain::{GateId, ListId};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Beyond the time the backend was asked to hold its answer.
const MANIFEST_TIMEOUT: Duration = Duration::from_secs(10);
const PASSAGES_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest short answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Most characters of a refusal's reason that are passed on.
const REASON_CHARS_MAX: usize = 300;

/// What a signed document is asked for with. Nothing of it changes the answer; it only delays or spares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The version at hand: the answer may wait while it is the newest.
    pub have: Option<u64>,
    /// For at most so long. Without a version at hand: while the backend does not have the list.
    pub wait: Duration,
    /// Mark of the manifest at hand: the answer may be "the same".
    pub etag: Option<String>,
}

/// A signed document, or word that it has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is the one whose mark was sent.
    Same,
    /// The envelope and its mark.
    New {
        /// The mark, if the backend gave one.
        etag: Option<String>,
        /// The envelope.
        envelope: Vec<u8>,
    },
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimReply {
    /// 200: JSON of a [`super::claim_wire::ClaimWon`].
    Won(Vec<u8>),
    /// 409: JSON of a [`super::claim_wire::ClaimTaken`].
    Taken(Vec<u8>),
    /// 410: it was taken back.
    Gone,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nobody is there, or the connection broke.
    #[error("the backend cannot be reached: {0}")]
    Away(String),
    /// No answer in time.
    #[error("the backend did not answer in time")]
    Late,
    /// One side does not believe the other's certificate.
    #[error("gate and backend do not trust each other")]
    Untrusted(#[from] Refusal),
    /// 403, and why.
    #[error("the backend forbids it: {0}")]
    Forbidden(String),
    /// 404.
    #[error("the backend does not know it")]
    NotFound,
    /// 409.
    #[error("the backend has something else under this number")]
    Conflict,
    /// Any other status but success.
    #[error("the backend answered with status {0}")]
    Status(u16),
    /// More bytes than such an answer can have.
    #[error("the answer is too long")]
    TooLong,
}

impl LinkError {
    /// True if it is about the way there, and not about what was asked.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Away(_) | Self::Late | Self::Untrusted(_) | Self::Status(500 | 502..=504)
        )
    }
}

/// The calls, so that tests and the simulator can stand in for the network.
pub trait Transport: Send + Sync + 'static {
    /// The newest manifest of a list.
    fn manifest(
        &self,
        list: &ListId,
        ask: &Ask,
    ) -> impl Future<Output = Result<Fetched, LinkError>> + Send;

    /// The newest trust list. Whoever has none says so.
    fn trust(&self, _ask: &Ask) -> impl Future<Output = Result<Fetched, LinkError>> + Send {
        std::future::ready(Err(LinkError::NotFound))
    }

    /// A chunk, as sent.
    fn chunk(&self, id: &ChunkId) -> impl Future<Output = Result<Vec<u8>, LinkError>> + Send;

    /// Delivers records: JSON of a [`super::wire::Delivery`] in, of a [`super::wire::Acknowledged`] out.
    fn passages(
        &self,
        delivery: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, LinkError>> + Send;

    /// The newest directives for a gate and its groups: a JSON array of envelopes. Whoever knows none says so.
    fn directives(
        &self,
        _gate: &GateId,
        _groups: &[GateId],
        _ask: &Ask,
    ) -> impl Future<Output = Result<Fetched, LinkError>> + Send {
        std::future::ready(Err(LinkError::NotFound))
    }

    /// Claims a use: JSON of a [`super::claim_wire::ClaimAsked`] in. Whoever keeps no claims says so.
    fn claim(
        &self,
        _asked: Vec<u8>,
        _within: Duration,
    ) -> impl Future<Output = Result<ClaimReply, LinkError>> + Send {
        std::future::ready(Err(LinkError::NotFound))
    }

    /// Takes a claim of this gate back, by its id of 32 hex digits; one that is not there is taken back too.
    fn take_back(
        &self,
        _gate: &GateId,
        _claim: &str,
        _within: Duration,
    ) -> impl Future<Output = Result<(), LinkError>> + Send {
        std::future::ready(Err(LinkError::NotFound))
    }

    /// Asks about one credential: JSON of a [`super::wire::Question`] in, of a [`super::wire::Answer`] out.
    fn resolve(
        &self,
        question: Vec<u8>,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<u8>, LinkError>> + Send;
}

/// Why a backend's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Not `http://` or `https://` with an address and no path.
    #[error(
        "{0:?} is not the address of a backend, such as https://backend.example:9481 or http://127.0.0.1:9480"
    )]
    Address(String),
    /// Plain HTTP leaves the machine.
    #[error("{0:?} is not a loopback address: plain HTTP stays on this machine")]
    NotLoopback(String),
    /// TLS without a certificate.
    #[error("{0:?} needs a certificate: without one only http:// to this machine can be called")]
    NoCertificate(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP library refused.
    #[error("no HTTP client")]
    Client(#[from] reqwest::Error),
}

/// The backend over HTTP. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<RwLock<reqwest::Client>>,
    base: Url,
}

impl Client {
    /// A client for `http://127.0.0.1:9480` and the like. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError`] if the address is none, or not on this machine.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let base = base(address)?;
        if base.scheme() != "http" {
            return Err(ClientError::NoCertificate(address.into()));
        }
        if !is_loopback(&base) {
            return Err(ClientError::NotLoopback(address.into()));
        }
        Self::with(base, tls::plain()?)
    }

    /// A client for `https://backend.example:9481` and the like, which shows this certificate. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError`] if the address is none, or not `https://`.
    pub fn secure(address: &str, material: &Material, date: Date) -> Result<Self, ClientError> {
        let base = base(address)?;
        if base.scheme() != "https" {
            return Err(ClientError::Address(address.into()));
        }
        Self::with(base, tls::client(material, date)?)
    }

    fn with(base: Url, config: rustls::ClientConfig) -> Result<Self, ClientError> {
        let http = Arc::new(RwLock::new(http(config)?));
        Ok(Self { http, base })
    }

    /// Shows another certificate from now on, on new connections. Calls under way end on theirs.
    ///
    /// # Errors
    /// [`ClientError`]; nothing changes then.
    pub fn renew(&self, material: &Material, date: Date) -> Result<(), ClientError> {
        let renewed = http(tls::client(material, date)?)?;
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// A request to `path`, which starts with a slash and needs no escaping, with what follows the `?`, if anything.
    pub fn request(&self, method: Method, path: &str, query: Option<&str>) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(query);
        let http = self.http.read().unwrap_or_else(PoisonError::into_inner);
        http.request(method, url)
    }

    /// A signed document that the backend may hold back until it changes.
    async fn signed(&self, path: &str, ask: &Ask) -> Result<Fetched, LinkError> {
        let mut query = format!("wait={}", ask.wait.as_secs());
        if let Some(have) = ask.have {
            query = format!("have={have}&{query}");
        }
        let mut request = self.request(Method::GET, path, Some(&query));
        if let Some(etag) = &ask.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = send(request.timeout(ask.wait + MANIFEST_TIMEOUT)).await?;
        if response.status() == StatusCode::NOT_MODIFIED && ask.etag.is_some() {
            return Ok(Fetched::Same);
        }
        let response = succeeded(response).await?;
        let etag = response
            .headers()
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok())
            .map(ToOwned::to_owned);
        let envelope = read(response, ENVELOPE_BYTES_MAX).await?;
        Ok(Fetched::New { etag, envelope })
    }

    async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        let response = self.send_json(path, body, within).await?;
        read(succeeded(response).await?, ANSWER_BYTES_MAX).await
    }

    async fn send_json(
        &self,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Response, LinkError> {
        let request = self
            .request(Method::POST, path, None)
            .header("content-type", "application/json")
            .timeout(within)
            .body(body);
        send(request).await
    }
}

/// The address of a backend: scheme, host and port alone.
fn base(address: &str) -> Result<Url, ClientError> {
    let wrong = || ClientError::Address(address.into());
    let base = Url::parse(address).map_err(|_| wrong())?;
    let bare = base.path() == "/" && base.query().is_none() && base.username().is_empty();
    if bare && matches!(base.scheme(), "http" | "https") {
        Ok(base)
    } else {
        Err(wrong())
    }
}

/// The library with our bounds. It is given our rules of TLS, and looks for no others.
fn http(config: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(4)
        .build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Sends a request; any status is an answer.
///
/// # Errors
/// [`LinkError::Away`] or [`LinkError::Late`].
pub async fn send(request: RequestBuilder) -> Result<Response, LinkError> {
    request.send().await.map_err(|error| link_error(&error))
}

/// Reads an answer of at most `bytes_max` bytes.
///
/// # Errors
/// [`LinkError::TooLong`], or the connection broke.
pub async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| link_error(&e))? {
        if bytes.len().saturating_add(part.len()) > bytes_max {
            return Err(LinkError::TooLong);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Takes success only.
///
/// # Errors
/// What any other status means.
pub async fn succeeded(response: Response) -> Result<Response, LinkError> {
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::FORBIDDEN => Err(LinkError::Forbidden(reason(response).await)),
        StatusCode::NOT_FOUND => Err(LinkError::NotFound),
        StatusCode::CONFLICT => Err(LinkError::Conflict),
        other => Err(LinkError::Status(other.as_u16())),
    }
}

/// The sentence of a refusal, safe in a log.
async fn reason(response: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        error: String,
    }
    let body = read(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let said = serde_json::from_slice::<Said>(&body);
    let said = said.map_or_else(|_| "it does not say why".into(), |said| said.error);
    let plain = said.chars().filter(|c| !c.is_control());
    plain.take(REASON_CHARS_MAX).collect()
}

pub(super) fn link_error(error: &reqwest::Error) -> LinkError {
    if error.is_timeout() {
        return LinkError::Late;
    }
    if let Some(refusal) = Refusal::find(error, "the backend") {
        return LinkError::Untrusted(refusal);
    }
    // The outer messages repeat the address; the innermost says what is wrong.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    LinkError::Away(cause.to_string())
}

impl Transport for Client {
    async fn manifest(&self, list: &ListId, ask: &Ask) -> Result<Fetched, LinkError> {
        self.signed(&format!("/v1/lists/{list}/manifest"), ask)
            .await
    }

    async fn trust(&self, ask: &Ask) -> Result<Fetched, LinkError> {
        self.signed("/v1/trust", ask).await
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, LinkError> {
        let path = format!("/v1/chunks/{id}");
        resume::fetch(PACKED_MAX, || self.request(Method::GET, &path, None)).await
    }

    async fn passages(&self, delivery: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        self.post("/v1/passages", delivery, PASSAGES_TIMEOUT).await
    }

    async fn directives(
        &self,
        gate: &GateId,
        groups: &[GateId],
        ask: &Ask,
    ) -> Result<Fetched, LinkError> {
        let groups: Vec<_> = groups.iter().map(GateId::as_str).collect();
        let wait = ask.wait.as_secs();
        let query = format!("gate={gate}&groups={}&wait={wait}", groups.join(","));
        let mut request = self.request(Method::GET, "/v1/directives", Some(&query));
        if let Some(etag) = &ask.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = send(request.timeout(ask.wait + MANIFEST_TIMEOUT)).await?;
        if response.status() == StatusCode::NOT_MODIFIED && ask.etag.is_some() {
            return Ok(Fetched::Same);
        }
        let response = succeeded(response).await?;
        let etag = response.headers().get(ETAG);
        let etag = etag
            .and_then(|etag| etag.to_str().ok())
            .map(ToOwned::to_owned);
        let envelope = read(response, directives::ANSWER_BYTES_MAX).await?;
        Ok(Fetched::New { etag, envelope })
    }

    async fn claim(&self, asked: Vec<u8>, within: Duration) -> Result<ClaimReply, LinkError> {
        let response = self.send_json("/v1/claims", asked, within).await?;
        match response.status() {
            StatusCode::CONFLICT => Ok(ClaimReply::Taken(read(response, ANSWER_BYTES_MAX).await?)),
            StatusCode::GONE => Ok(ClaimReply::Gone),
            _ => {
                let won = read(succeeded(response).await?, ANSWER_BYTES_MAX).await?;
                Ok(ClaimReply::Won(won))
            }
        }
    }

    async fn take_back(
        &self,
        gate: &GateId,
        claim: &str,
        within: Duration,
    ) -> Result<(), LinkError> {
        let (path, query) = (format!("/v1/claims/{claim}"), format!("gate={gate}"));
        let request = self.request(Method::DELETE, &path, Some(&query));
        let response = send(request.timeout(within)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        succeeded(response).await.map(|_| ())
    }

    async fn resolve(&self, question: Vec<u8>, within: Duration) -> Result<Vec<u8>, LinkError> {
        self.post("/v1/resolve", question, within).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "http://127.0.0.1:9480",
            "http://localhost:9480/",
            "http://[::1]:9480",
        ] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for far in ["http://10.0.0.1:9480", "http://centre.example"] {
            let error = Client::new(far).unwrap_err();
            assert!(matches!(error, ClientError::NotLoopback(_)), "{far}");
        }
        let error = Client::new("https://127.0.0.1:9481").unwrap_err();
        assert!(matches!(error, ClientError::NoCertificate(_)));
        for bad in [
            "127.0.0.1:9480",
            "ftp://127.0.0.1",
            "http://127.0.0.1/x",
            "",
        ] {
            let error = Client::new(bad).unwrap_err();
            assert!(matches!(error, ClientError::Address(_)), "{bad}");
        }
    }
}
