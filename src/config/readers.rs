//! `[[lane.reader]]`: what people show things to, one table a kind of device.

use std::path::PathBuf;

use serde::Deserialize;

use super::types::{ControlValue, ExposureTime, FrameRate};
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
    /// The part of the picture that is looked at.
    #[serde(default)]
    pub region: Region,
    /// How far the picture is turned clockwise, for a camera that hangs on its side.
    #[serde(default, rename = "rotate")]
    pub rotation: Rotation,
    /// A fixed exposure against motion blur; absent: the camera's own, never longer than a frame.
    #[serde(rename = "exposure_us")]
    pub exposure: Option<ExposureTime>,
    /// A fixed gain, in the camera's own numbers; absent: its own choice.
    pub gain: Option<ControlValue>,
    /// A fixed focus, in the camera's own numbers; absent: its own choice.
    pub focus: Option<ControlValue>,
    /// The frequency that lamps flicker with; absent: the camera's own setting.
    #[serde(rename = "mains_hz")]
    pub mains: Option<Mains>,
}

/// Left, top, width and height of a part of the picture, in percent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "[u8; 4]")]
pub struct Region([u8; 4]);

impl Region {
    /// Left, top, width, height.
    #[must_use]
    pub const fn percent(self) -> [u8; 4] {
        self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        Self([0, 0, 100, 100])
    }
}

impl TryFrom<[u8; 4]> for Region {
    type Error = String;

    fn try_from(region: [u8; 4]) -> Result<Self, String> {
        let [left, top, width, height] = region.map(u16::from);
        if width < 10 || height < 10 || left + width > 100 || top + height > 100 {
            return Err(format!(
                "[{left}, {top}, {width}, {height}] is no part of a picture: left, top, width and height in percent, at least 10 wide and high, inside of 100"
            ));
        }
        Ok(Self(region))
    }
}

/// A quarter turn or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub enum Rotation {
    /// 0: as it comes.
    #[default]
    None,
    /// 90: clockwise.
    Right,
    /// 180: upside down.
    Half,
    /// 270: the other way.
    Left,
}

impl TryFrom<u16> for Rotation {
    type Error = String;

    fn try_from(degrees: u16) -> Result<Self, String> {
        match degrees {
            0 => Ok(Self::None),
            90 => Ok(Self::Right),
            180 => Ok(Self::Half),
            270 => Ok(Self::Left),
            _ => Err(format!("{degrees} is none of 0, 90, 180 and 270 degrees")),
        }
    }
}

/// The frequency of the mains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub enum Mains {
    /// Most of the world.
    Hz50,
    /// North America and others.
    Hz60,
}

impl Mains {
    /// Its entry in the menu of `V4L2_CID_POWER_LINE_FREQUENCY`.
    #[must_use]
    pub const fn entry(self) -> i64 {
        match self {
            Self::Hz50 => 1,
            Self::Hz60 => 2,
        }
    }
}

impl TryFrom<u16> for Mains {
    type Error = String;

    fn try_from(hertz: u16) -> Result<Self, String> {
        match hertz {
            50 => Ok(Self::Hz50),
            60 => Ok(Self::Hz60),
            _ => Err(format!("{hertz} is neither 50 nor 60 Hz")),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(keys: &str) -> Result<Camera, String> {
        toml::from_str(&format!("device = \"/dev/video0\"\n{keys}")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_camera_is_set_as_the_gate_needs_it() {
        let all = camera(
            "region = [10, 0, 80, 100]\nrotate = 90\nexposure_us = 4000\ngain = 20\nfocus = 120\nmains_hz = 50",
        );
        let all = all.unwrap();
        assert_eq!(all.region.percent(), [10, 0, 80, 100]);
        assert_eq!(all.rotation, Rotation::Right);
        assert_eq!(all.exposure.unwrap().get(), 4_000);
        assert_eq!(all.mains, Some(Mains::Hz50));
        let plain = camera("").unwrap();
        assert_eq!(
            (plain.region, plain.rotation),
            (Region::default(), Rotation::None)
        );
        assert!(plain.exposure.is_none() && plain.mains.is_none());
    }

    #[test]
    fn a_setting_that_is_none_is_refused_with_what_it_may_be() {
        for (keys, says) in [
            ("region = [50, 0, 60, 100]", "inside of 100"),
            ("region = [0, 0, 5, 100]", "at least 10"),
            ("rotate = 45", "0, 90, 180 and 270"),
            ("mains_hz = 55", "neither 50 nor 60"),
            ("exposure_us = 50000", "outside 100 to 33000"),
            ("gain = -1", "outside 0 to 65535"),
        ] {
            let error = camera(keys).unwrap_err();
            assert!(error.contains(says), "{keys}: {error}");
        }
    }
}
