//! Serial readers: modules that are polled for cards, scanners that send lines, readers that send identifiers.
//!
//! Each runs as one task that keeps its port open for ever, says when it is up, and never decides.

mod keyboard;
mod latency;
mod line;
mod link;
mod news;
mod osdp;
mod pn532;
mod port;
mod returns;
mod sam;
mod tag;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::config::tree::{CodeEnd, Reader, Scanner, Serial, Typing, Wiegand, WiegandForm};
use crate::drivers::{MonoClock, Port, ReaderEvent};
use crate::proto::line::{LineEnd, LineShape};
pub use crate::proto::osdp::{
    Key, Look, PROVISION_MAX, Provisioned, ReaderSettings, is_public_key,
};
use crate::proto::tags::{TagCodec, WiegandFormat};
use link::Link;
pub use osdp::{LineSetup, Looks, Provision, Seat, run_osdp, run_osdp_over};

/// Line speeds of modules that are polled.
const POLLED_BAUDS: [u32; 5] = [115_200, 57_600, 38_400, 19_200, 9_600];
/// The same for what speaks unasked, which comes at 9600. Scanners on USB do not care.
const UNASKED_BAUDS: [u32; 5] = [9_600, 115_200, 57_600, 38_400, 19_200];

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
    /// The config wants the driver of the port to turn the line around, and it does not.
    #[error(
        "the driver of the port does not turn an RS-485 line around; leave `osdp.direction` out, or use another adapter"
    )]
    Direction(#[source] io::Error),
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

/// What hangs on a serial port, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SAM_V or SAM_A module for resident ID cards.
    IdCard,
    /// A scanner that sends lines, and what it puts around a code.
    Line(LineShape),
    /// A reader that sends identifiers unasked.
    Tag(TagCodec),
    /// A PN532 module.
    Pn532,
}

impl Kind {
    /// Line speeds it may be set to, tried in this order where the config names none.
    #[must_use]
    pub const fn bauds(&self) -> [u32; 5] {
        match self {
            Self::IdCard | Self::Pn532 => POLLED_BAUDS,
            Self::Line(_) | Self::Tag(_) => UNASKED_BAUDS,
        }
    }
}

/// A serial reader of the config: its port, its speed if that is known, what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The port.
    pub port: PathBuf,
    /// Line speed; `None`: it is found.
    pub baud: Option<u32>,
    /// What hangs on it.
    pub kind: Kind,
    /// The port is an input device: it types.
    pub types: bool,
}

impl Setup {
    /// The serial device of a reader; `None` if it has another one.
    #[must_use]
    pub fn of(reader: &Reader) -> Option<Self> {
        let of = |serial: &Serial, kind| Self {
            port: serial.port.clone(),
            baud: serial.baud,
            kind,
            types: false,
        };
        let line = |line: &Scanner| Self {
            port: line.port.clone(),
            baud: line.baud,
            kind: Kind::Line(shape(line)),
            types: false,
        };
        let wiegand = |wiegand: &Wiegand| Self {
            port: wiegand.port.clone(),
            baud: wiegand.baud,
            kind: Kind::Tag(codec(wiegand)),
            types: false,
        };
        let keyboard = |typing: &Typing| Self {
            port: typing.device.clone(),
            baud: Some(0),
            kind: Kind::Line(LineShape {
                end: LineEnd::Any,
                prefix: typing.prefix.clone(),
                aim_id: typing.aim_id,
            }),
            types: true,
        };
        let rdm6300 = |serial| of(serial, Kind::Tag(TagCodec::Rdm6300));
        let id_card = reader.id_card.as_ref().map(|s| of(s, Kind::IdCard));
        id_card
            .or_else(|| reader.line.as_ref().map(line))
            .or_else(|| reader.keyboard.as_ref().map(keyboard))
            .or_else(|| reader.rdm6300.as_ref().map(rdm6300))
            .or_else(|| reader.wiegand.as_ref().map(wiegand))
            .or_else(|| reader.pn532.as_ref().map(|s| of(s, Kind::Pn532)))
    }
}

fn shape(line: &Scanner) -> LineShape {
    LineShape {
        end: match line.end {
            CodeEnd::Any => LineEnd::Any,
            CodeEnd::Line => LineEnd::Line,
            CodeEnd::Silence => LineEnd::Silence,
        },
        prefix: line.prefix.clone(),
        aim_id: line.aim_id,
    }
}

fn codec(wiegand: &Wiegand) -> TagCodec {
    // The config has refused lengths that nobody knows.
    let formats = wiegand.bits.iter().copied();
    let formats = formats.filter_map(WiegandFormat::of_bits).collect();
    match wiegand.form {
        WiegandForm::Text => TagCodec::WiegandText(formats),
        WiegandForm::Bytes => TagCodec::WiegandBytes(formats),
    }
}

/// Keeps one reader served for as long as anybody listens. Ends when `events` closes.
pub async fn run(
    setup: &Setup,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) {
    let bauds = setup.baud.map_or(setup.kind.bauds().to_vec(), |b| vec![b]);
    let link = Link::new(port, clock, events).at(setup.port.clone());
    if setup.types {
        let open = |_| keyboard::open(setup.port.clone());
        return keep(link, &bauds, open, &setup.kind).await;
    }
    let open = |baud| port::open(setup.port.clone(), baud, false);
    keep(link, &bauds, open, &setup.kind).await;
}

/// [`run`] over whatever `open` opens. `bauds` are tried in turn until the device is understood.
pub async fn run_over<P, F>(
    kind: Kind,
    bauds: &[u32],
    open: impl Fn(u32) -> F,
    port: Arc<Port>,
    clock: MonoClock,
    events: mpsc::Sender<ReaderEvent>,
) where
    P: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Result<P, SerialError>>,
{
    keep(Link::new(port, clock, events), bauds, open, &kind).await;
}

async fn keep<P, F>(mut link: Link, bauds: &[u32], open: impl Fn(u32) -> F, kind: &Kind)
where
    P: AsyncRead + AsyncWrite + Unpin + Send,
    F: Future<Output = Result<P, SerialError>>,
{
    match kind {
        Kind::IdCard => link.keep(bauds, open, &mut sam::SamReader::default()).await,
        Kind::Line(shape) => {
            let mut scanner = line::Scanner::new(shape.clone());
            link.keep(bauds, open, &mut scanner).await;
        }
        Kind::Tag(codec) => {
            let mut device = tag::TagDevice::new(codec.clone());
            link.keep(bauds, open, &mut device).await;
        }
        Kind::Pn532 => link.keep(bauds, open, &mut pn532::Pn532::default()).await,
    }
}

/// No byte is accepted for this long: the port is dead.
const WRITE_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
