//! A backend that lies: it stands between a gate and the reference backend, passes calls on, and alters, withholds or
//! invents answers as the story wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Manifest,
    Chunk,
    Passages,
    Resolve,
}

pub(crate) const ALL: [Call; 4] = [Call::Manifest, Call::Chunk, Call::Passages, Call::Resolve];

/// What is made of the true answer.
#[derive(Clone)]
pub(crate) enum Lie {
    /// The connection breaks.
    Gone,
    /// The backend has done it, but the answer is lost.
    Lost,
    /// The truth, but later.
    Late(Duration),
    /// This status.
    Status(u16),
    /// 200 with these bytes.
    Says(Vec<u8>),
    /// 200 and a body that never ends.
    Endless,
    /// A header that never ends.
    HugeHeader,
    /// No HTTP at all.
    Noise,
    /// The answer to another path, which ends in this.
    Path(&'static str),
    /// The true body, altered.
    Altered(Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>),
}

#[derive(Default)]
struct Inner {
    upstream: Option<SocketAddr>,
    lies: BTreeMap<Call, Lie>,
    asked: BTreeMap<Call, u64>,
    sent: u64,
}

/// The liar. Clones are the same.
#[derive(Clone)]
pub(crate) struct Liar {
    inner: Arc<Mutex<Inner>>,
    /// Changes with every new lie: an answer that is being held is given up then.
    changed: Arc<watch::Sender<u64>>,
    http: reqwest::Client,
    pub(crate) url: String,
}

impl Liar {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let liar = Self {
            inner: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
            http: reqwest::Client::builder()
                .tls_backend_preconfigured(turnstiled::sync::tls::plain().unwrap())
                .build()
                .unwrap(),
            url,
        };
        let this = liar.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let this = this.clone();
                // A caller that has gone away is no trouble.
                tokio::spawn(async move { this.serve(socket).await });
            }
        });
        liar
    }

    /// Who tells the truth.
    pub(crate) fn ask(&self, upstream: SocketAddr) {
        self.inner.lock().unwrap().upstream = Some(upstream);
    }

    pub(crate) fn lies(&self, calls: &[Call], lie: &Lie) {
        let lies = calls.iter().map(|call| (*call, lie.clone()));
        self.inner.lock().unwrap().lies.extend(lies);
        self.changed.send_modify(|n| *n += 1);
    }

    pub(crate) fn alters(
        &self,
        call: Call,
        how: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    ) {
        self.lies(&[call], &Lie::Altered(Arc::new(how)));
    }

    pub(crate) fn tells_the_truth(&self) {
        self.inner.lock().unwrap().lies.clear();
        self.changed.send_modify(|n| *n += 1);
    }

    /// How often it was called so.
    pub(crate) fn asked(&self, call: Call) -> u64 {
        self.inner
            .lock()
            .unwrap()
            .asked
            .get(&call)
            .copied()
            .unwrap_or(0)
    }

    /// Bytes of endless answers that somebody took.
    pub(crate) fn sent(&self) -> u64 {
        self.inner.lock().unwrap().sent
    }

    /// The true answer to a call without a body.
    pub(crate) async fn truth(&self, path: &str) -> Vec<u8> {
        let request = Request {
            method: "GET".into(),
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        self.forward(&request).await.unwrap().body
    }

    async fn serve(self, mut socket: TcpStream) -> Option<()> {
        let request = Request::read(&mut socket).await?;
        let call = request.call();
        *self.inner.lock().unwrap().asked.entry(call).or_default() += 1;
        let mut changed = self.changed.subscribe();
        let lie = self.inner.lock().unwrap().lies.get(&call).cloned();
        match lie {
            Some(Lie::Gone) => {}
            Some(Lie::Status(status)) => {
                respond(&mut socket, status, &[], b"{\"error\":\"no\"}").await?
            }
            Some(Lie::Says(body)) => respond(&mut socket, 200, &[], &body).await?,
            Some(Lie::Noise) => socket.write_all(&[0x5A; 300]).await.ok()?,
            Some(Lie::Endless) => {
                let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let mut chunk = b"10000\r\n".to_vec();
                chunk.extend([b' '; 0x10000]);
                chunk.extend(b"\r\n");
                self.flood(socket, head, &chunk).await?;
            }
            Some(Lie::HugeHeader) => {
                self.flood(socket, b"HTTP/1.1 200 OK\r\nx-noise: ", &[b'a'; 0x10000])
                    .await?;
            }
            Some(Lie::Late(by)) => {
                sleep(by).await;
                let answer = self.forward(&request).await?;
                answer.send(&mut socket).await?;
            }
            Some(Lie::Lost) => {
                self.forward(&request).await?;
            }
            Some(Lie::Path(path)) => {
                let request = Request {
                    path: path.into(),
                    headers: Vec::new(),
                    ..request
                };
                let answer = self.forward(&request).await?;
                answer.send(&mut socket).await?;
            }
            Some(Lie::Altered(how)) => {
                let mut answer = self.forward(&request).await?;
                answer.body = how(answer.body);
                answer.send(&mut socket).await?;
            }
            None => {
                let answer = tokio::select! {
                    answer = self.forward(&request) => answer?,
                    // The connection breaks; the gate asks again and hears the lie.
                    _ = changed.changed() => return None,
                };
                answer.send(&mut socket).await?;
            }
        }
        Some(())
    }

    async fn flood(&self, mut socket: TcpStream, head: &[u8], part: &[u8]) -> Option<()> {
        socket.write_all(head).await.ok()?;
        loop {
            socket.write_all(part).await.ok()?;
            self.inner.lock().unwrap().sent += part.len() as u64;
        }
    }

    async fn forward(&self, request: &Request) -> Option<Answer> {
        let upstream = loop {
            let upstream = self.inner.lock().unwrap().upstream;
            match upstream {
                Some(upstream) => break upstream,
                // The gate has started before the story knew whom to ask.
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).ok()?;
        let mut forward = self
            .http
            .request(method, format!("http://{upstream}{}", request.path));
        for (name, value) in &request.headers {
            forward = forward.header(name, value);
        }
        let response = forward.body(request.body.clone()).send().await.ok()?;
        let status = response.status().as_u16();
        let etag = response
            .headers()
            .get("etag")
            .and_then(|etag| etag.to_str().ok())
            .map(ToOwned::to_owned);
        let body = response.bytes().await.ok()?.to_vec();
        Some(Answer { status, etag, body })
    }
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    async fn send(&self, socket: &mut TcpStream) -> Option<()> {
        let headers: Vec<_> = self
            .etag
            .iter()
            .map(|etag| ("etag", etag.as_str()))
            .collect();
        respond(socket, self.status, &headers, &self.body).await
    }
}

async fn respond(
    socket: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<()> {
    let mut bytes = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    for (name, value) in headers {
        bytes += &format!("{name}: {value}\r\n");
    }
    if status != 304 {
        bytes += &format!("content-length: {}\r\n", body.len());
    }
    bytes += "\r\n";
    socket.write_all(bytes.as_bytes()).await.ok()?;
    if status != 304 {
        socket.write_all(body).await.ok()?;
    }
    socket.shutdown().await.ok()
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    async fn read(socket: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ').map(ToOwned::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(Some(0), |(_, length)| length.parse().ok())?;
        while bytes.len() < end + length {
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let kept = |name: &str| matches!(name, "content-type" | "if-none-match");
        Some(Self {
            method,
            path,
            headers: headers.into_iter().filter(|(name, _)| kept(name)).collect(),
            body: bytes[end..].to_vec(),
        })
    }

    fn call(&self) -> Call {
        match self.path.as_str() {
            path if path.starts_with("/v1/chunks/") => Call::Chunk,
            path if path.starts_with("/v1/passages") => Call::Passages,
            path if path.starts_with("/v1/resolve") => Call::Resolve,
            _ => Call::Manifest,
        }
    }
}
