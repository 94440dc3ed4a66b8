//! Serial readers: ID card modules that are polled, scanners that send lines.
//!
//! Each runs as one task that keeps its port open for ever, says when it is up, and never decides.

mod line;
mod link;
mod port;
mod sam;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::config::tree::Serial;
use crate::drivers::{MonoClock, Port, ReaderEvent};
use link::Link;

/// Line speeds a module may be set to, tried in this order where the config names none.
const ID_CARD_BAUDS: [u32; 5] = [115_200, 57_600, 38_400, 19_200, 9_600];
/// The same for scanners, which come at 9600. Those on USB do not care.
const LINE_BAUDS: [u32; 5] = [9_600, 115_200, 57_600, 38_400, 19_200];

/// Why a serial connection ended. The driver reconnects after every one of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// Not there, not allowed, or in use by another program.
    #[error("cannot open {}", port.display())]
    Open {
        /// The port.
        port: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Unplugged, or the other end is gone.
    #[error("the port has hung up")]
    HungUp,
    /// The system refused to read or write.
    #[error("the port cannot be read or written")]
    Io(#[source] io::Error),
    /// The port takes no more bytes.
    #[error("the port has taken no byte for {stalled_ms} ms")]
    Stalled {
        /// For how long.
        stalled_ms: u128,
    },
    /// Commands are not answered: no module, no power, or another line speed.
    #[error("the module does not answer")]
    NoAnswer,
    /// What comes is noise: another line speed, or another kind of device.
    #[error("the scanner sends no code, only noise")]
    Noise,
}

/// Keeps one SAM module polled for as long as anybody listens. Ends when `events` closes.
pub async fn run_id_card(
    settings: &Serial,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) {
    let bauds = settings
        .baud
        .map_or(ID_CARD_BAUDS.to_vec(), |baud| vec![baud]);
    let path = settings.port.clone();
    let open = move |baud| port::open(path.clone(), baud);
    let mut link = Link::new(port, clock, events).at(settings.port.clone());
    link.keep(&bauds, open, &mut sam::SamReader::default())
        .await;
}

/// Keeps one scanner module read for as long as anybody listens. Ends when `events` closes.
pub async fn run_line(
    settings: &Serial,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) {
    let bauds = settings.baud.map_or(LINE_BAUDS.to_vec(), |baud| vec![baud]);
    let path = settings.port.clone();
    let open = move |baud| port::open(path.clone(), baud);
    let mut link = Link::new(port, clock, events).at(settings.port.clone());
    link.keep(&bauds, open, &mut line::Scanner::default()).await;
}

/// [`run_id_card`] over whatever `open` opens. `bauds` are tried in turn until the module answers.
pub async fn run_id_card_over<P, F>(
    bauds: &[u32],
    open: impl Fn(u32) -> F,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) where
    P: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Result<P, SerialError>>,
{
    let mut link = Link::new(port, clock, events);
    link.keep(bauds, open, &mut sam::SamReader::default()).await;
}

/// [`run_line`] over whatever `open` opens. `bauds` are tried in turn until a line is a code.
pub async fn run_line_over<P, F>(
    bauds: &[u32],
    open: impl Fn(u32) -> F,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) where
    P: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Result<P, SerialError>>,
{
    let mut link = Link::new(port, clock, events);
    link.keep(bauds, open, &mut line::Scanner::default()).await;
}

/// No byte is accepted for this long: the port is dead.
const WRITE_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
