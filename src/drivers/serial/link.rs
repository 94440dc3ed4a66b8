//! What every serial driver does beside its protocol: reconnect for ever, and speak to the runtime.
//!
//! News that must arrive (up, down, a security event, counted faults) waits for room in the channel. A presentation
//! or a prompt does not: late, it would be worse than lost.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::SerialError;
use super::news::{Noise, Waiting};
use super::returns::returns;
use crate::domain::{Medium, Mono, Prompt, Shown};
use crate::drivers::backoff::{BACKOFF_MAX, BACKOFF_MIN, Backoff};
use crate::drivers::pace::Pace;
use crate::drivers::{MonoClock, Port, PortNews, PortState, ReaderEvent, ReaderReport};
use crate::proto::osdp::Provisioned;

/// How a connection ended.
pub(super) enum Ended {
    /// Nobody listens any more.
    Closed,
    /// The connection is of no use.
    Lost {
        error: SerialError,
        /// It has brought at least one good frame or line: the line speed is right.
        heard: bool,
    },
}

/// Kinds of trouble: each is one thing for the operator to look at, however often it is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Unplugged: the port has hung up, and then there is none to open.
    Gone,
    /// Taken or not allowed.
    Refused,
    /// It is there and does not answer.
    Mute,
    /// It sends what nobody understands.
    Noise,
}

impl From<&SerialError> for Trouble {
    fn from(error: &SerialError) -> Self {
        match error {
            SerialError::HungUp | SerialError::Io(_) => Self::Gone,
            SerialError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::Gone
            }
            SerialError::Open { .. } | SerialError::Direction(_) => Self::Refused,
            SerialError::Stalled { .. } | SerialError::NoAnswer => Self::Mute,
            SerialError::Noise => Self::Noise,
        }
    }
}

/// A protocol over an open port.
pub(super) trait Device {
    /// Serves one connection until it ends.
    fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        port: P,
    ) -> impl Future<Output = Ended> + Send;
}

/// One reader's end of the channel to the runtime.
pub(super) struct Link {
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
    waiting: Waiting,
    up: Option<bool>,
    state: Option<PortState>,
    /// The last try to open the port failed.
    is_shut: bool,
    noise: Noise,
    logged: Option<Trouble>,
    dropping: bool,
    pace: Pace,
    /// Speed of the port that is open, or was last.
    baud: u32,
    /// Where the port is, if it is a file that can go and come back.
    path: Option<PathBuf>,
}

impl Link {
    pub(super) fn new(
        port: Arc<Port>,
        clock: MonoClock,
        events: mpsc::Sender<ReaderEvent>,
    ) -> Self {
        Self {
            port,
            clock,
            events,
            waiting: Waiting::default(),
            up: None,
            state: None,
            is_shut: false,
            noise: Noise::new(),
            logged: None,
            dropping: false,
            pace: Pace::default(),
            baud: 0,
            path: None,
        }
    }

    /// A link that looks out for a port that is plugged in again.
    pub(super) fn at(self, path: PathBuf) -> Self {
        Self {
            path: Some(path),
            ..self
        }
    }

    pub(super) fn port(&self) -> &Port {
        &self.port
    }

    pub(super) fn now(&self) -> Mono {
        self.clock.now()
    }

    /// Sleeps until `at`; for ever without one.
    pub(super) async fn sleep_until(clock: MonoClock, at: Option<Mono>) {
        match at {
            Some(at) => time::sleep_until(clock.instant(at)).await,
            None => std::future::pending().await,
        }
    }

    pub(super) const fn clock(&self) -> MonoClock {
        self.clock
    }

    /// Keeps `device` connected. Ends when the channel closes.
    pub(super) async fn keep<P, F>(
        &mut self,
        bauds: &[u32],
        open: impl Fn(u32) -> F,
        device: &mut impl Device,
    ) where
        P: AsyncRead + AsyncWrite + Unpin + Send,
        F: Future<Output = Result<P, SerialError>>,
    {
        let mut backoff = Backoff::new(self.seed());
        let mut bauds = bauds.iter().copied().cycle().peekable();
        let first = bauds.peek().copied();
        while let Some(baud) = bauds.peek().copied() {
            self.is_opening(baud);
            let opening = open(baud);
            let opened = tokio::select! {
                biased;
                opened = opening => opened,
                () = self.attend() => return,
            };
            let since = self.now();
            let (error, heard) = match opened {
                // The port is gone when this returns: its name is free before it is opened again.
                Ok(port) => {
                    self.is_open();
                    match device.serve(self, port).await {
                        Ended::Closed => return,
                        Ended::Lost { error, heard } => (error, heard),
                    }
                }
                Err(error) => (error, true),
            };
            // Do not hammer a port that opens and dies at once.
            if heard && self.now().since(since) > BACKOFF_MAX {
                backoff.reset();
            }
            self.lost(&error);
            let is_deaf = !heard && matches!(error, SerialError::NoAnswer | SerialError::Noise);
            if is_deaf {
                bauds.next();
            }
            let wait = if is_deaf && bauds.peek().copied() != first {
                BACKOFF_MIN
            } else {
                backoff.wait()
            };
            let returns = returns(self.path.clone());
            tokio::select! {
                () = time::sleep(wait) => {}
                () = returns => {}
                () = self.attend() => return,
            }
        }
    }

    /// Delivers what waits, for as long as it is polled. Returns when the channel is closed.
    pub(super) async fn attend(&mut self) {
        loop {
            match self.waiting.due(Instant::now()) {
                None if self.state == Some(PortState::Degraded) => tokio::select! {
                    () = self.events.closed() => return,
                    () = time::sleep_until(self.noise.over_at()) => {
                        tracing::info!(reader = %self.port.name, "the reader's line is good again");
                        self.set_state(PortState::Ready, None);
                        continue;
                    }
                },
                None => {
                    self.events.closed().await;
                    return;
                }
                Some(due) => tokio::select! {
                    () = self.events.closed() => return,
                    () = time::sleep_until(due) => {}
                },
            }
            let Ok(room) = self.events.reserve().await else {
                return;
            };
            if let Some(report) = self.waiting.take(Instant::now()) {
                let port = Arc::clone(&self.port);
                room.send(ReaderEvent { port, report });
            }
        }
    }

    /// Hands a presentation on, now or never.
    pub(super) fn present(&mut self, medium: Medium, shown: Shown, seen: Mono) {
        let now = self.now();
        if self.admits(now) {
            let presentation = self.port.presentation(medium, shown, seen, now);
            self.offer(ReaderReport::Presented(presentation));
        }
    }

    /// False, and counted, for what comes faster than people can show it.
    fn admits(&mut self, now: Mono) -> bool {
        let admits = self.pace.admits(now);
        if !admits {
            self.waiting.too_fast = self.waiting.too_fast.saturating_add(1);
            self.waiting.tell_counts();
        }
        admits
    }

    /// Asks for a prompt, now or never.
    pub(super) fn prompt(&mut self, prompt: Prompt) {
        self.offer(ReaderReport::Prompt(prompt));
    }

    fn offer(&mut self, report: ReaderReport) {
        let port = Arc::clone(&self.port);
        let is_full = self.events.try_send(ReaderEvent { port, report }).is_err();
        if is_full {
            self.faults(1);
            if !self.dropping && !self.events.is_closed() {
                tracing::warn!(reader = %self.port.name, "the gate is too busy: a presentation was dropped");
            }
        }
        self.dropping = is_full;
    }

    /// A security event.
    pub(super) fn not_authentic(&mut self) {
        tracing::warn!(reader = %self.port.name, "card and module did not authenticate each other");
        let now = self.now();
        if self.admits(now) {
            self.waiting.not_authentic = self.waiting.not_authentic.saturating_add(1);
        }
    }

    /// Counts faults.
    pub(super) fn faults(&mut self, count: u32) {
        if count > 0 {
            self.waiting.faults = self.waiting.faults.saturating_add(count);
            self.waiting.tell_counts();
            if self.noise.hears(count) && self.state == Some(PortState::Ready) {
                tracing::warn!(reader = %self.port.name, "the reader's line is noisy: look at its plug, its ground and its neighbours");
                self.set_state(PortState::Degraded, None);
            }
        }
    }

    /// The port is being opened.
    pub(super) fn is_opening(&mut self, baud: u32) {
        self.baud = baud;
        // What could not be opened is tried again and again: it is absent or lost until it is open, or back.
        let is_back = self.state == Some(PortState::Absent)
            && self.path.as_ref().is_some_and(|path| path.exists());
        if !self.is_shut || is_back {
            self.set_state(PortState::Opening, None);
        }
    }

    /// The port is open.
    pub(super) fn is_open(&mut self) {
        self.is_shut = false;
        self.set_state(PortState::Probing, None);
    }

    /// What the module says of itself.
    pub(super) fn is_identified(&mut self, identity: String) {
        tracing::info!(reader = %self.port.name, module = identity, "the reader says what it is");
        self.waiting.identity = Some(identity);
    }

    /// The connection works.
    pub(super) fn is_up(&mut self) {
        if !matches!(self.state, Some(PortState::Ready | PortState::Degraded)) {
            self.noise = Noise::new();
            self.set_state(PortState::Ready, None);
        }
        if self.set_up(true) {
            self.logged = None;
            tracing::info!(reader = %self.port.name, baud = self.baud, "the reader is online");
        }
    }

    /// The module says that it is broken.
    pub(super) fn is_out_of_service(&mut self) {
        if self.set_up(false) {
            let why = "the module says that it is broken or not authorised";
            self.set_state(PortState::Lost, Some(why.into()));
            tracing::warn!(reader = %self.port.name, "{why}");
        }
    }

    /// A reader behind a line that works is not served.
    pub(super) fn is_down(&mut self, why: &str) {
        self.set_up(false);
        self.set_state(PortState::Lost, Some(why.into()));
        tracing::warn!(reader = %self.port.name, why, "the reader is offline");
    }

    /// How far giving it its key has come.
    pub(super) fn provisioned(&mut self, how: Provisioned) {
        tracing::warn!(reader = %self.port.name, how = how.as_str(), "the reader is given its key");
        self.waiting.provisioned = Some(how);
    }

    /// Somebody opens the reader, or has closed it.
    pub(super) fn tamper(&mut self, on: bool) {
        tracing::warn!(reader = %self.port.name, on, "the reader says that it is being opened");
        self.waiting.tamper = Some(on);
    }

    /// The supply of the reader fails, or is back.
    pub(super) fn power_failure(&mut self, on: bool) {
        tracing::warn!(reader = %self.port.name, on, "the reader says that its supply fails");
        self.waiting.power_failure = Some(on);
    }

    pub(super) fn lost(&mut self, error: &SerialError) {
        let is_change = self.set_up(false);
        let cause = std::error::Error::source(error);
        let why = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        let is_absent = matches!(error, SerialError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound);
        let state = if is_absent {
            PortState::Absent
        } else {
            PortState::Lost
        };
        self.is_shut = matches!(error, SerialError::Open { .. } | SerialError::Direction(_));
        self.set_state(state, Some(why));
        // Another trouble than the last one is worth a line of its own.
        let trouble = Trouble::from(error);
        if self.logged.replace(trouble) != Some(trouble) || is_change {
            let source = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(reader = %self.port.name, baud = self.baud, error = %error, source, "the reader is offline");
        }
    }

    fn set_state(&mut self, state: PortState, why: Option<String>) {
        if self.state.replace(state) != Some(state) {
            let baud = self.baud;
            self.waiting.port = Some(PortNews { state, baud, why });
        }
    }

    /// True if this is a change.
    fn set_up(&mut self, up: bool) -> bool {
        let is_change = self.up.replace(up) != Some(up);
        if is_change {
            // Up and down again before anybody heard of it comes to the last word.
            self.waiting.up = Some(up);
        }
        is_change
    }

    /// Readers of one gate, and gates of one gateline, do not knock in step.
    pub(super) fn seed(&self) -> u64 {
        let name = self.port.name.bytes();
        name.fold(u64::from(std::process::id()), |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(byte.into())
        })
    }
}
