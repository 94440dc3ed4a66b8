//! The local socket for staff: who comes is known by the kernel, what they ask becomes an order for the loop, and each
//! order is recorded with their user id before anything moves.

mod accounts;
pub mod wire;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::StartError;
use super::orders::{Order, Said, StaffOrder};
use super::readers::Keyed;
use crate::config::staff::Staff;
use crate::config::{Config, tree};
use crate::domain::{Deed, Direction, LaneId};
use crate::drivers::serial::{PROVISION_MAX, Provision};
use crate::telemetry::Status;
use accounts::Accounts;
use wire::{FOR_S_MAX, REQUEST_BYTES_MAX, Reply, Request, Result};

/// Connections at a time; more are told to come again.
const CONNECTIONS_MAX: usize = 4;
/// How long a request may take to come, and a reply to be taken.
const TALK: Duration = Duration::from_secs(2);
/// How long the gate may take to answer: a grant that stalls is refused before.
const ANSWER: Duration = Duration::from_secs(5);

/// What the socket needs of the gate.
pub struct Desk {
    /// Who may act; changed by a reload.
    pub allowed: watch::Receiver<Staff>,
    /// Lanes by name, with the sides they serve.
    pub lanes: Vec<(String, Vec<Direction>)>,
    /// The newest snapshot.
    pub status: watch::Receiver<Arc<Status>>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// Readers that can be given a key.
    pub keyed: Vec<Keyed>,
}

/// A socket that nobody is served on yet. Its file is gone when it is dropped.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`, in the place of a socket that a process before has left there.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` if somebody answers there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        // Whoever can reach the directory may knock; the kernel says who it is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self {
            listener,
            path: path.into(),
        })
    }

    /// Serves until `stop` turns true or its sender is gone.
    pub async fn serve(self, desk: Desk, mut stop: watch::Receiver<bool>) {
        let desk = Arc::new(desk);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "nobody can come to the socket for staff");
                    tokio::time::sleep(TALK).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                // Whoever is turned away sees the connection end.
                continue;
            };
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                if let Err(error) = serve_one(stream, &desk).await {
                    tracing::debug!(%error, "somebody left the socket for staff");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The socket for staff, if the config has one.
///
/// # Errors
/// [`StartError::Socket`].
pub fn bind(config: &Config) -> std::result::Result<Option<Socket>, StartError> {
    let Some(staff) = &config.staff else {
        return Ok(None);
    };
    let bound = Socket::bind(&staff.socket).map_err(|source| StartError::Socket {
        path: staff.socket.clone(),
        source,
    });
    bound.map(Some)
}

async fn serve_one(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let who = stream.peer_cred()?;
    let (uid, gid) = (who.uid(), who.gid());
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let limit = u64::try_from(REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
    let mut read = BufReader::new(read.take(limit));
    timeout(TALK, read.read_until(b'\n', &mut line)).await??;
    let reply = desk.answer(uid, gid, &line).await;
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    timeout(TALK, write.write_all(&text)).await??;
    Ok(())
}

impl Desk {
    /// A desk for the lanes of this config.
    #[must_use]
    pub fn new(
        config: &Config,
        allowed: watch::Receiver<Staff>,
        status: watch::Receiver<Arc<Status>>,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        let lane = |lane: &tree::Lane| (lane.name.clone(), lane.directions.clone());
        Self {
            allowed,
            lanes: config.lanes.iter().map(lane).collect(),
            status,
            orders,
            keyed: Vec::new(),
        }
    }

    /// The same with readers that can be given a key.
    #[must_use]
    pub fn keyed(self, keyed: Vec<Keyed>) -> Self {
        Self { keyed, ..self }
    }

    async fn answer(&self, uid: u32, gid: u32, line: &[u8]) -> Reply {
        let staff = self.allowed.borrow().clone();
        let may = tokio::task::spawn_blocking(move || Accounts::read().may(&staff, uid, gid));
        if !may.await.unwrap_or(false) {
            tracing::warn!(uid, "somebody who may not act came to the socket for staff");
            let sentence = format!(
                "user {uid} may not act on this gate; the keys `staff.users` and `staff.groups` say who may"
            );
            return Reply::new(Result::Forbidden, sentence);
        }
        match serde_json::from_slice(line) {
            Ok(request) => self.serve(uid, request).await,
            Err(error) => Reply::new(Result::Malformed, format!("this is no request: {error}")),
        }
    }

    async fn serve(&self, uid: u32, request: Request) -> Reply {
        match request {
            Request::Status => {
                let status = Arc::clone(&self.status.borrow());
                Reply {
                    result: Result::Done,
                    said: status.sentences(),
                    status: serde_json::to_value(&*status).ok(),
                }
            }
            Request::Mode { lane, mode, for_s } => {
                if for_s.is_some_and(|s| !(1..=FOR_S_MAX).contains(&s)) {
                    let sentence = format!("a mode is wanted for 1 to {FOR_S_MAX} seconds");
                    return Reply::new(Result::Malformed, sentence);
                }
                let deed = match mode {
                    Some(mode) => Deed::SetMode { mode, for_s },
                    None => Deed::EndMode,
                };
                let lanes = match self.lanes(lane.as_deref()) {
                    Ok(lanes) => lanes,
                    Err(refused) => return refused,
                };
                let mut said = Vec::new();
                for (id, directions) in lanes {
                    let needed =
                        mode.and_then(|mode| crate::config::schedule::needs(mode, directions));
                    if let Some(needed) = needed {
                        let sentence = format!("that lane does not serve \"{needed}\"");
                        return Reply::new(Result::Refused, sentence);
                    }
                    let reply = self.order(uid, Some(id), deed).await;
                    said.extend(reply.said);
                    if reply.result != Result::Done {
                        return Reply { said, ..reply };
                    }
                }
                Reply {
                    result: Result::Done,
                    said,
                    status: None,
                }
            }
            Request::OpenOnce { lane, direction } => match self.side(&lane, direction) {
                Ok((id, direction)) => {
                    self.order(uid, Some(id), Deed::OpenOnce { direction })
                        .await
                }
                Err(refused) => refused,
            },
            Request::Forgive { lane, direction } => match self.side(&lane, direction) {
                Ok((id, direction)) => self.order(uid, Some(id), Deed::Forgive { direction }).await,
                Err(refused) => refused,
            },
            Request::ResetFire => self.order(uid, None, Deed::ResetFire).await,
            Request::Provision { reader, for_s } => self.provision(uid, &reader, for_s).await,
        }
    }

    /// A reader is given its key: recorded first, like everything that staff do.
    async fn provision(&self, uid: u32, name: &str, for_s: u32) -> Reply {
        let lasts = Duration::from_secs(for_s.into());
        if lasts.is_zero() || lasts > PROVISION_MAX {
            let most = PROVISION_MAX.as_secs();
            let sentence = format!("a reader is given its key within 1 to {most} seconds");
            return Reply::new(Result::Malformed, sentence);
        }
        let Some(reader) = self.keyed.iter().find(|reader| reader.name == name) else {
            let known: Vec<_> = self.keyed.iter().map(|reader| &*reader.name).collect();
            let sentence = if known.is_empty() {
                "this gate has no OSDP reader".into()
            } else {
                format!(
                    "\"{name}\" is no OSDP reader of this gate: {}",
                    known.join(", ")
                )
            };
            return Reply::new(Result::Malformed, sentence);
        };
        let address = reader.address;
        let deed = Deed::ProvisionReader { address, for_s };
        let reply = self.order(uid, Some(reader.lane), deed).await;
        if reply.result != Result::Done {
            return reply;
        }
        let until = tokio::time::Instant::now() + lasts;
        let asked = reader.line.try_send(Provision { address, until });
        if asked.is_err() {
            let sentence = "its line is not open, or another reader of it was asked for just now";
            return Reply::new(Result::Refused, sentence);
        }
        Reply {
            said: vec![format!("reader {name} may be given its key for {for_s} s")],
            ..reply
        }
    }

    /// One side of one lane; it need not be named where the lane serves one way only.
    fn side(
        &self,
        lane: &str,
        direction: Option<Direction>,
    ) -> std::result::Result<(LaneId, Direction), Reply> {
        let lanes = self.lanes(Some(lane))?;
        let [(id, served)] = lanes.as_slice() else {
            return Err(Reply::new(Result::Malformed, "one lane has to be named"));
        };
        match (direction, *served) {
            (Some(direction), served) if served.contains(&direction) => Ok((*id, direction)),
            (None, [only]) => Ok((*id, *only)),
            (Some(direction), _) => {
                let sentence = format!("lane {lane} does not serve \"{direction}\"");
                Err(Reply::new(Result::Refused, sentence))
            }
            (None, _) => {
                let sentence = format!("lane {lane} serves both ways: say \"entry\" or \"exit\"");
                Err(Reply::new(Result::Malformed, sentence))
            }
        }
    }

    /// The lane of this name, or every one.
    fn lanes(&self, name: Option<&str>) -> std::result::Result<Vec<(LaneId, &[Direction])>, Reply> {
        let lanes = (0..=u8::MAX).map(LaneId).zip(&self.lanes);
        let found: Vec<_> = lanes
            .filter(|(_, (known, _))| name.is_none_or(|name| name == known))
            .map(|(id, (_, directions))| (id, directions.as_slice()))
            .collect();
        if found.is_empty() {
            let known: Vec<_> = self.lanes.iter().map(|(name, _)| name.as_str()).collect();
            let sentence = format!(
                "there is no lane \"{}\"; this gate has {}",
                name.unwrap_or_default(),
                known.join(", ")
            );
            return Err(Reply::new(Result::Refused, sentence));
        }
        Ok(found)
    }

    async fn order(&self, uid: u32, lane: Option<LaneId>, deed: Deed) -> Reply {
        let (answer, said) = oneshot::channel();
        let order = StaffOrder {
            uid,
            lane,
            deed,
            answer,
        };
        let silent = || Reply::new(Result::Unavailable, "the gate does not answer");
        if self.orders.try_send(Order::Staff(order)).is_err() {
            return silent();
        }
        match timeout(ANSWER, said).await {
            Ok(Ok(Said::Done(sentence))) => Reply::new(Result::Done, sentence),
            Ok(Ok(Said::Refused(sentence))) => Reply::new(Result::Refused, sentence),
            Ok(Err(_)) | Err(_) => silent(),
        }
    }
}
