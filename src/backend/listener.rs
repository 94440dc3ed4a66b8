//! Listens for gates: TLS with client certificates, and nothing else. A handshake never holds up another one, and each
//! is bounded in time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::caller::Guest;
use super::inner::Inner;
use crate::sync::tls::{Facts, Refusal, gate_of};

/// Most connections at once: some of each of a thousand gates.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections that are ready and not served yet.
const READY_MAX: usize = 64;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long, and for how many bytes, somebody who was refused is listened to, so that our reason reaches them.
const LINGER_MAX: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;
/// After the system had no connection to give.
const PAUSE: Duration = Duration::from_millis(500);

/// Gates that have proved who they are.
pub(super) struct TlsListener {
    addr: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Guest)>,
    _accepting: JoinSet<()>,
}

impl TlsListener {
    /// Listens with the newest of the rules.
    pub(super) fn start(
        listener: TcpListener,
        rules: watch::Receiver<Arc<ServerConfig>>,
        inner: Arc<Inner>,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let (send, ready) = mpsc::channel(READY_MAX);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, rules, inner, send));
        Ok(Self {
            addr,
            ready,
            _accepting: accepting,
        })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Guest;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nobody accepts any more: the backend goes down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        let text = format!("{} is where gates are listened for, and no gate", self.addr);
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

async fn accept(
    listener: TcpListener,
    rules: watch::Receiver<Arc<ServerConfig>>,
    inner: Arc<Inner>,
    ready: mpsc::Sender<(TlsStream<TcpStream>, Guest)>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                let acceptor = TlsAcceptor::from(Arc::clone(&rules.borrow()));
                let (inner, ready) = (Arc::clone(&inner), ready.clone());
                handshakes.spawn(async move {
                    if let Some(guest) = greet(acceptor, stream, from, place, &inner).await {
                        // A closed channel means that the backend goes down.
                        let _ = ready.send(guest).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken for a moment");
                time::sleep(PAUSE).await;
            }
        }
    }
}

/// Shakes hands; gives the connection and the gate at its other end.
async fn greet(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    place: OwnedSemaphorePermit,
    inner: &Inner,
) -> Option<(TlsStream<TcpStream>, Guest)> {
    // A reason that is lost only makes the calls slower.
    let _ = stream.set_nodelay(true);
    let shaken = time::timeout(HANDSHAKE_MAX, acceptor.accept(stream).into_fallible());
    match shaken.await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates()?.first()?;
            // The verifier has seen both already.
            let (gate, facts) = (gate_of(certificate).ok()?, Facts::of(certificate).ok()?);
            inner.seen.accepted(from.ip());
            let guest = Guest {
                gate,
                not_after: facts.not_after,
                from,
                _place: Arc::new(place),
            };
            Some((stream, guest))
        }
        Ok(Err((error, stream))) => {
            if let Some(refusal) = Refusal::find(&error, "the client") {
                inner.seen.refused(from.ip(), &refusal);
            } else {
                // Somebody who looks whether the port is open.
                tracing::debug!(%from, %error, "a connection ended before it began");
            }
            linger(stream).await;
            None
        }
        Err(_) => {
            tracing::debug!(%from, "a client did not finish its handshake");
            None
        }
    }
}

/// Closing at once would throw away what the client has sent already, and our reason with it.
async fn linger(mut stream: TcpStream) {
    let drained = async {
        let _ = stream.shutdown().await;
        let mut sink = [0; 1_024];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut sink).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // Whoever goes on sending has had their time.
    let _ = time::timeout(LINGER_MAX, drained).await;
}
