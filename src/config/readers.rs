//! `[[lane.reader]]`: what people show things to, one table a kind of device.

use std::path::PathBuf;

use serde::Deserialize;

use super::types::FrameRate;
use crate::domain::{Assurance, Direction};

/// `[[lane.reader]]`: a name, a side, and exactly one of the device tables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// Its name: a label in metrics.
    pub name: String,
    /// Which side it stands on.
    pub direction: Direction,
    /// A V4L2 camera.
    pub camera: Option<Camera>,
    /// Pictures in a folder instead of a camera.
    pub folder: Option<Folder>,
    /// A SAM_V or SAM_A module for resident ID cards.
    pub id_card: Option<Serial>,
    /// A scanner module that sends text lines.
    pub line: Option<Scanner>,
    /// A scanner that types, like a keyboard on USB.
    pub keyboard: Option<Typing>,
    /// An RDM6300 or ID-12 module for 125 kHz tags.
    pub rdm6300: Option<Serial>,
    /// A Wiegand line behind a converter to serial.
    pub wiegand: Option<Wiegand>,
    /// A PN532 module on its high-speed UART.
    pub pn532: Option<Serial>,
    /// A reader on an OSDP line; several may share one.
    pub osdp: Option<Osdp>,
}

/// `camera = { device = "/dev/video0" }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// The video device.
    pub device: PathBuf,
    /// Wanted width and height, pixels.
    #[serde(default = "vga")]
    pub size: [u32; 2],
    /// Wanted rate.
    #[serde(default)]
    pub fps: FrameRate,
}

/// `folder = { path = "frames" }`: PNG, JPEG, WebP or PGM files, played once each, in the order of their
/// names, as they come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Pictures a second.
    #[serde(default)]
    pub fps: FrameRate,
}

/// `line = { port = "/dev/ttyUSB1", end = "line", aim_id = true }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanner {
    /// `/dev/serial/by-path/...`, or any terminal.
    pub port: PathBuf,
    /// Line speed; absent: it is found, 9600 first.
    pub baud: Option<u32>,
    /// How the module ends a code: "any", "line" (CR, LF or both) or "silence". A module that ends its codes by a line
    /// end and pauses in the middle of a long one needs "line".
    #[serde(default)]
    pub end: CodeEnd,
    /// What the module puts before every code; it is cut off, and a line without it is no code.
    #[serde(default)]
    pub prefix: String,
    /// The module puts the AIM symbology id (`]Q1`) before every code; it is cut off, and a line without it is no code.
    #[serde(default)]
    pub aim_id: bool,
}

/// `keyboard = { device = "/dev/input/by-path/...-event-kbd" }`: a scanner that types its codes, set to US layout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// Its input device. It is grabbed: nobody else hears what it types.
    pub device: PathBuf,
    /// What it types before every code; it is cut off, and a line without it is no code.
    #[serde(default)]
    pub prefix: String,
    /// It types the AIM symbology id (`]Q1`) before every code; it is cut off, and a line without it is no code.
    #[serde(default)]
    pub aim_id: bool,
}

/// `osdp = { port = "/dev/ttyUSB3", address = 0, key_file = "reader-0.key" }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Osdp {
    /// `/dev/serial/by-path/...`, or any terminal. Readers with the same port share the line.
    pub port: PathBuf,
    /// Line speed; all readers of one line have the same.
    #[serde(default = "osdp_baud")]
    pub baud: u32,
    /// What turns the half duplex line around: "adapter", which does it by itself, or "driver", whose kernel driver is told to
    /// (`TIOCSRS485`); all readers of one line have the same.
    #[serde(default)]
    pub direction: LineDirection,
    /// Its address on the line, 0 to 126.
    pub address: u8,
    /// File with its key, or name of a systemd credential: 32 hex digits. A reader is never spoken to without it.
    pub key_file: PathBuf,
    /// True where the reader itself authenticates cards before it hands on what is on them, as set up by whoever
    /// provided it: its cards are "authenticated" then, and "identifier" otherwise.
    #[serde(default)]
    pub card_auth: bool,
}

impl Osdp {
    /// How sure its cards are.
    #[must_use]
    pub const fn assurance(&self) -> Assurance {
        if self.card_auth {
            Assurance::Authenticated
        } else {
            Assurance::Identifier
        }
    }
}

/// `osdp.direction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineDirection {
    /// The adapter does it by itself.
    #[default]
    Adapter,
    /// The driver of the port does it.
    Driver,
}

const fn osdp_baud() -> u32 {
    115_200
}

/// `line.end`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeEnd {
    /// A line end or silence, whatever comes first.
    #[default]
    Any,
    /// CR, LF or both.
    Line,
    /// Silence.
    Silence,
}

/// `wiegand = { port = "/dev/ttyUSB2", form = "text", bits = [26] }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wiegand {
    /// `/dev/serial/by-path/...`, or any terminal.
    pub port: PathBuf,
    /// Line speed; absent: it is found, 9600 first.
    pub baud: Option<u32>,
    /// How the converter sends a card.
    pub form: WiegandForm,
    /// The lengths that are taken: 26, 34 or both.
    pub bits: Vec<u16>,
}

/// `wiegand.form`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WiegandForm {
    /// Hex digits and a line end.
    Text,
    /// Bytes, the last bit in the last place.
    Bytes,
}

/// `id_card = { port = "/dev/ttyUSB0" }`, `rdm6300 = { port = "/dev/ttyUSB1", baud = 9600 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// `/dev/serial/by-path/...`, or any terminal.
    pub port: PathBuf,
    /// Line speed; absent: it is found, 115200 first for a module, 9600 first for a scanner.
    pub baud: Option<u32>,
}

const fn vga() -> [u32; 2] {
    [640, 480]
}
