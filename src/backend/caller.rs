//! Who calls, and what they may do. Over TLS the certificate says which gate it is, and a gate writes only as itself;
//! over plain HTTP it is somebody on this machine, who may do everything.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::CONNECTION;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;

use super::error::Refusal;
use super::inner::Inner;
use super::listener::TlsListener;
use crate::domain::{GateId, Utc};

/// What a gate may call; everything else is for whoever is on the backend's machine.
const GATE_CALLS: &[(Method, &str)] = &[
    (Method::GET, "/healthz"),
    (Method::GET, "/openapi.json"),
    (Method::GET, "/v1/lists/{list}/manifest"),
    (Method::GET, "/v1/chunks/{sha256}"),
    (Method::POST, "/v1/passages"),
    (Method::POST, "/v1/resolve"),
    (Method::POST, "/v1/claims"),
    (Method::DELETE, "/v1/claims/{id}"),
    (Method::GET, "/v1/trust"),
    (Method::GET, "/v1/directives"),
];

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Somebody on this machine.
    Local,
    /// A gate.
    Gate(Guest),
}

/// A gate that has proved who it is.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    /// Its name.
    pub(super) gate: GateId,
    /// Until when its certificate says so.
    pub(super) not_after: Utc,
    /// Where it calls from.
    pub(super) from: SocketAddr,
    /// Its place among the connections, free again when the connection is gone.
    pub(super) _place: Arc<OwnedSemaphorePermit>,
}

impl Connected<IncomingStream<'_, TcpListener>> for Caller {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self::Local
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self::Gate(stream.remote_addr().clone())
    }
}

impl Caller {
    fn of(extensions: &Extensions) -> Result<Self, Refusal> {
        let found = extensions.get::<ConnectInfo<Self>>();
        // Every listener says who calls; a caller that nobody knows gets nothing.
        found
            .map(|ConnectInfo(caller)| caller.clone())
            .ok_or_else(|| Refusal(StatusCode::FORBIDDEN, "nobody knows who is calling".into()))
    }

    /// Refuses whoever speaks in the name of another gate.
    pub(super) fn speaks_for(
        &self,
        named: &GateId,
        call: &str,
        inner: &Inner,
    ) -> Result<(), Refusal> {
        match self {
            Self::Gate(guest) if guest.gate != *named => {
                let why = format!(
                    "this is the certificate of gate \"{}\"; it cannot speak for gate \"{named}\"",
                    guest.gate
                );
                inner.seen.forbidden(&guest.gate, call, &why);
                Err(Refusal(StatusCode::FORBIDDEN, why))
            }
            Self::Gate(_) | Self::Local => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        std::future::ready(Self::of(&parts.extensions)).await
    }
}

/// Lets a call in, or says why not.
pub(super) async fn admit(
    State(inner): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    match may_call(&inner, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let mut response = refusal.into_response();
            // A certificate that has ended is refused again, with its reason, on the next connection.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            response
        }
    }
}

fn may_call(inner: &Inner, request: &Request) -> Result<(), Refusal> {
    let Caller::Gate(guest) = Caller::of(request.extensions())? else {
        return Ok(());
    };
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // There is no such call; whoever answers says so.
        return Ok(());
    };
    let path = path.as_str();
    let why = if guest.not_after < inner.now() {
        "the certificate of this gate has ended".to_owned()
    } else if GATE_CALLS
        .iter()
        .any(|(method, call)| method == request.method() && *call == path)
    {
        return Ok(());
    } else {
        let method = request.method();
        format!(
            "{method} {path} is not for gates: it is called on the backend's own machine, by plain HTTP"
        )
    };
    inner.seen.forbidden(&guest.gate, path, &why);
    tracing::debug!(gate = %guest.gate, from = %guest.from, "refused");
    Err(Refusal(StatusCode::FORBIDDEN, why))
}
