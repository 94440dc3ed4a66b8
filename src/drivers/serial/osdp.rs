//! An OSDP line with its readers: performs what [`Bus`] wants.
//!
//! Each reader has a link of its own to the runtime: one that is refused or away says so, whatever its neighbours do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};
use zeroize::{Zeroize, Zeroizing};

use super::link::Link;
use super::returns::returns;
use super::{SerialError, WRITE_TIME, port};
use crate::domain::{Direction, LaneId, Medium, Prompt, Shown};
use crate::drivers::backoff::{BACKOFF_MAX, Backoff};
use crate::drivers::{MonoClock, Port, ReaderEvent};
use crate::proto::osdp::{Bus, Cause, Input, Look, Output, Provisioned, ReaderSettings};

const CHUNK_LEN: usize = 256;

/// What the readers of each side of each lane show.
pub type Looks = BTreeMap<(LaneId, Direction), Look>;

/// A reader on an OSDP line.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Where it stands.
    pub port: Arc<Port>,
    /// Its address and key.
    pub settings: ReaderSettings,
}

/// Asks for one reader of a line to be given its key.
#[derive(Clone, Copy, Debug)]
pub struct Provision {
    /// Its address.
    pub address: u8,
    /// Until when it is waited for. Whoever asked has gone then: a line that opens later gives no key away.
    pub until: Instant,
}

/// An OSDP line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSetup {
    /// The port.
    pub port: PathBuf,
    /// Line speed.
    pub baud: u32,
    /// The driver of the port turns the line around, and not the adapter by itself.
    pub driver_direction: bool,
}

/// Keeps the readers of one line served for as long as anybody listens. Ends when `events` closes.
pub async fn run_osdp(
    setup: LineSetup,
    seats: Vec<Seat>,
    looks: watch::Receiver<Looks>,
    provisions: mpsc::Receiver<Provision>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) {
    let (port, turns) = (setup.port.clone(), setup.driver_direction);
    let open = move |baud| port::open(port.clone(), baud, turns);
    run_osdp_over(setup, open, seats, looks, provisions, clock, events).await;
}

/// [`run_osdp`] over whatever `open` opens.
pub async fn run_osdp_over<P, F>(
    setup: LineSetup,
    open: impl Fn(u32) -> F,
    seats: Vec<Seat>,
    looks: watch::Receiver<Looks>,
    provisions: mpsc::Receiver<Provision>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) where
    P: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Result<P, SerialError>>,
{
    let settings = seats.iter().map(|seat| seat.settings.clone()).collect();
    let link = |seat: Seat| Link::new(seat.port, clock, events.clone()).at(setup.port.clone());
    let addresses = seats.iter().map(|seat| seat.settings.address).collect();
    let mut line = Line {
        bus: Bus::new(settings, random),
        links: seats.into_iter().map(link).collect(),
        addresses,
        looks,
        provisions,
        clock,
        chunk: Zeroizing::new([0; CHUNK_LEN]),
    };
    line.keep(&setup, open).await;
}

/// Random bytes of the operating system: the keys of a session come out of nothing else.
fn random() -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Some(bytes),
        Err(error) => {
            tracing::error!(%error, "the system has no random bytes: no reader is spoken to");
            None
        }
    }
}

struct Line {
    bus: Bus,
    links: Vec<Link>,
    addresses: Vec<u8>,
    provisions: mpsc::Receiver<Provision>,
    looks: watch::Receiver<Looks>,
    clock: MonoClock,
    chunk: Zeroizing<[u8; CHUNK_LEN]>,
}

impl Line {
    async fn keep<P, F>(&mut self, setup: &LineSetup, open: impl Fn(u32) -> F)
    where
        P: AsyncRead + AsyncWrite + Unpin + Send,
        F: Future<Output = Result<P, SerialError>>,
    {
        let mut backoff = Backoff::new(self.links.first().map_or(1, Link::seed));
        loop {
            for link in &mut self.links {
                link.is_opening(setup.baud);
            }
            let opened = tokio::select! {
                opened = open(setup.baud) => opened,
                () = attend(&mut self.links) => return,
            };
            let since = self.clock.now();
            // The port is gone when this returns: its name is free before it is opened again.
            let error = match opened {
                Ok(port) => {
                    self.links.iter_mut().for_each(Link::is_open);
                    match self.serve(port).await {
                        Some(error) => error,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            // Do not hammer a port that opens and dies at once.
            if self.clock.now().since(since) > BACKOFF_MAX {
                backoff.reset();
            }
            for link in &mut self.links {
                link.lost(&error);
            }
            tokio::select! {
                () = time::sleep(backoff.wait()) => {}
                () = returns(Some(setup.port.clone())) => {}
                () = attend(&mut self.links) => return,
            }
        }
    }

    /// Serves one connection until it ends; `None`: nobody listens any more.
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        mut port: P,
    ) -> Option<SerialError> {
        let mut out = Vec::new();
        self.bus.start(self.clock.now());
        self.look();
        loop {
            self.bus.step(self.clock.now(), Input::TimedOut, &mut out);
            if let Err(error) = self.perform(&mut port, &mut out).await {
                return Some(error);
            }
            let due = self.clock.instant(self.bus.deadline());
            tokio::select! {
                biased;
                () = attend(&mut self.links) => return None,
                changed = self.looks.changed() => match changed {
                    Ok(()) => self.look(),
                    // Nobody is left who would change anything.
                    Err(_) => return None,
                },
                Some(provision) = self.provisions.recv() => self.provision(provision, &mut out),
                // Before the timer: after a stall of ours the answer may well be here already.
                read = port.read(self.chunk.as_mut_slice()) => match read {
                    Ok(0) => return Some(SerialError::HungUp),
                    Err(error) => return Some(SerialError::Io(error)),
                    Ok(length) => {
                        let bytes = self.chunk.get_mut(..length).unwrap_or_default();
                        self.bus.step(self.clock.now(), Input::Bytes(bytes), &mut out);
                        bytes.zeroize();
                    }
                },
                () = time::sleep_until(due) => {}
            }
        }
    }

    fn provision(&mut self, provision: Provision, out: &mut Vec<Output>) {
        let mut addresses = self.addresses.iter();
        let Some(at) = addresses.position(|address| *address == provision.address) else {
            return;
        };
        let left = provision.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            out.push(Output::Provisioned(at, Provisioned::TimedOut));
        } else {
            self.bus.provision(self.clock.now(), at, left, out);
        }
    }

    /// Readers show what their side of their lane shows.
    fn look(&mut self) {
        let looks = self.looks.borrow_and_update();
        for (at, link) in self.links.iter().enumerate() {
            let port = link.port();
            let look = looks.get(&(port.lane, port.direction));
            self.bus.show(at, look.copied().unwrap_or_default());
        }
    }

    async fn perform<P: AsyncWrite + Unpin>(
        &mut self,
        port: &mut P,
        out: &mut Vec<Output>,
    ) -> Result<(), SerialError> {
        for output in out.drain(..) {
            let reader = match &output {
                Output::Send(bytes) => {
                    write(port, bytes).await?;
                    continue;
                }
                Output::Presented { reader, .. } => *reader,
                Output::Up(reader)
                | Output::Down(reader, _)
                | Output::Stale(reader)
                | Output::Tamper(reader, _)
                | Output::PowerFailure(reader, _)
                | Output::Identified(reader, _)
                | Output::Provisioned(reader, _)
                | Output::Fault(reader) => *reader,
            };
            let Some(link) = self.links.get_mut(reader) else {
                continue;
            };
            match output {
                Output::Send(_) => {}
                Output::Up(_) => link.is_up(),
                Output::Down(_, cause) => link.is_down(words(cause)),
                Output::Presented { tag, .. } => {
                    let now = link.now();
                    link.present(Medium::Tag, Shown::Tag(tag), now);
                }
                Output::Stale(_) => link.prompt(Prompt::LiftAndRetap),
                Output::Tamper(_, on) => link.tamper(on),
                Output::PowerFailure(_, on) => link.power_failure(on),
                Output::Identified(_, identity) => link.is_identified(identity),
                Output::Provisioned(_, how) => link.provisioned(how),
                Output::Fault(_) => link.faults(1),
            }
        }
        Ok(())
    }
}

async fn write<P: AsyncWrite + Unpin>(port: &mut P, bytes: &[u8]) -> Result<(), SerialError> {
    match time::timeout(WRITE_TIME, port.write_all(bytes)).await {
        Ok(written) => written.map_err(SerialError::Io),
        Err(_) => Err(SerialError::Stalled {
            stalled_ms: WRITE_TIME.as_millis(),
        }),
    }
}

/// Delivers the news of all links, for as long as it is polled. Returns when the channel is closed.
async fn attend(links: &mut [Link]) {
    let mut attending: Vec<_> = links
        .iter_mut()
        .map(|link| Box::pin(link.attend()))
        .collect();
    std::future::poll_fn(|context| {
        let mut polled = attending.iter_mut().map(|link| link.as_mut().poll(context));
        // Every one of them is polled: each has a timer of its own.
        let ended = polled.by_ref().filter(Poll::is_ready).count() > 0;
        if ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

const fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::Silent => "it does not answer",
        Cause::WrongKey => {
            "it does not know its key: another reader, a wrong key file, or a replay"
        }
        Cause::NotSecure => "it offers no secure channel, and without one it is not served",
        Cause::Forged => "an answer was not from it: a forgery or a replay on the line",
        Cause::OutOfStep => "it has started over",
        Cause::Provisioning => "it is being given its key",
    }
}
