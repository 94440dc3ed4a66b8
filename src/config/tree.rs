//! The config file as it is written: one struct a table. Every key is documented here and in `hardware/example.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use super::policy::{Policy, Rules};
pub use super::readers::{
    Camera, CodeEnd, Folder, Osdp, Reader, Scanner, Serial, Wiegand, WiegandForm,
};
use super::types::{
    DebounceTime, JournalSize, KeepTime, LearnedTime, Line, ObstructionTime, PassbackTime,
    PollTime, PulseTime, ReleaseTime, ResolveTime, StaleAfter, StallTime, UnknownTime,
};
use crate::domain::{CertificateRules, Direction, GateId, ListId, Mode};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this gate; the backend knows it by this.
    pub gate: GateId,
    /// Where the journal and the cache live. Relative paths start at the config file.
    pub data_dir: PathBuf,
    /// Trust list: which issuers this gate recognises.
    pub trust_file: PathBuf,
    /// Where lists come from and passages go; absent: the gate works from what it has.
    pub backend: Option<Backend>,
    /// Lists this gate follows; none: it goes by what signed codes say, and by the backend's answers.
    #[serde(default, rename = "list")]
    pub lists: Vec<List>,
    /// What is done with each outcome, per direction.
    #[serde(default)]
    pub policy: Policy,
    /// What counts of a health certificate; the first that names its issuer's region speaks.
    #[serde(default, rename = "certificate")]
    pub certificates: Vec<CertificateRules>,
    /// The same person in the same direction again.
    #[serde(default)]
    pub passback: Passback,
    /// The journal of passages.
    #[serde(default)]
    pub journal: Journal,
    /// Metrics, health and status pages.
    #[serde(default)]
    pub http: Http,
    /// When the date may be used.
    #[serde(default)]
    pub clock: Clock,
    /// Relays and sensors.
    pub gpio: Gpio,
    /// Lanes, one to four.
    #[serde(rename = "lane")]
    pub lanes: Vec<Lane>,
}

/// `[backend]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// `https://backend.example:9481`, or `http://127.0.0.1:9480`: plain HTTP is accepted for loopback addresses only.
    pub url: String,
    /// `https`: certificate of this gate, PEM. For this and the two keys below, a value without a slash names a systemd
    /// credential if there is one of that name, and a file beside the config otherwise.
    pub certificate: Option<PathBuf>,
    /// `https`: its private key, PEM.
    pub key: Option<PathBuf>,
    /// `https`: the authority that the backend's certificate comes from, PEM.
    pub ca: Option<PathBuf>,
    /// Ed25519 keys that sign manifests, base64 of 32 bytes each: the current and the next.
    pub list_keys: Vec<String>,
    /// Ed25519 keys that sign the trust list, the same way; absent: the trust list is the file of `trust_file`, and none is
    /// taken from the backend.
    #[serde(default)]
    pub trust_keys: Vec<String>,
    /// Ask about credentials that no list knows.
    #[serde(default = "yes")]
    pub resolve: bool,
    /// How long such a question may take.
    #[serde(default)]
    pub resolve_ms: ResolveTime,
    /// How long the answer is kept for the next time; 0: it is not.
    #[serde(default)]
    pub learned_s: LearnedTime,
    /// How long it is kept that the backend does not know somebody; 0: it is not.
    #[serde(default)]
    pub learned_unknown_s: UnknownTime,
    /// How often to look for a newer manifest.
    #[serde(default)]
    pub poll_ms: PollTime,
}

const fn yes() -> bool {
    true
}

/// `[[list]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Its name at the backend.
    pub name: ListId,
    /// File with the pepper, or name of a systemd credential: 64 hex digits. Whoever has it can enumerate ID numbers.
    pub pepper_file: PathBuf,
    /// File with the pepper that the list will have next. While it is given, a list made with either is followed.
    pub next_pepper_file: Option<PathBuf>,
    /// From which age it counts as stale.
    #[serde(default)]
    pub stale_after_min: StaleAfter,
}

/// `[passback]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Passback {
    /// Whether it is enforced.
    pub mode: PassbackMode,
    /// How long it remembers.
    pub remember_min: PassbackTime,
}

/// `passback.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassbackMode {
    /// Refused on entry, staff on exit.
    #[default]
    Hard,
    /// Not looked at.
    Off,
}

/// `[journal]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Largest size on disk. Past 80 % an alarm, past 100 % the rule of `full`.
    pub size_mib_max: JournalSize,
    /// How long records stay here after the backend has acknowledged them, while there is room.
    pub keep_acked_h: KeepTime,
    /// How long a grant may take to be durable.
    pub stall_ms: StallTime,
    /// What a grant does that is not durable in time.
    pub stall: Stall,
    /// What a grant does when the journal is full.
    pub full: Full,
}

/// `journal.stall`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// Keep the barrier, call staff.
    #[default]
    Hold,
    /// Release, with an alarm and a gap record.
    Open,
}

/// `journal.full`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    /// Keep the barrier, call staff.
    #[default]
    Hold,
    /// Release, with an alarm and a gap record later.
    OpenUnrecorded,
}

/// `[http]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where the pages are served.
    pub listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
        }
    }
}

/// `[clock]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// Who vouches for the date.
    pub trust: ClockTrust,
}

/// `clock.trust`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockTrust {
    /// A time daemon (systemd-timesyncd, chrony, ntpd, ntpd-rs), or a real-time clock on the board that runs in UTC and
    /// says the same.
    #[default]
    System,
    /// Whoever runs this: for a desk without either. The clock floor holds all the same.
    Always,
}

/// `[gpio]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpio {
    /// Which driver.
    pub driver: GpioDriver,
    /// `gpiocdev`: the character device, `/dev/gpiochip0`.
    pub chip: Option<PathBuf>,
    /// `simulated`: a folder with one file a line, `gpio17`, holding `0` or `1`.
    pub folder: Option<PathBuf>,
    /// Fire loop, normally closed: inactive means fire.
    pub fire_loop: Option<Line>,
}

/// `gpio.driver`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpioDriver {
    /// Raspberry Pi, through the crate `rppal`.
    Rppal,
    /// Any Linux board, through the GPIO character device.
    Gpiocdev,
    /// Files in a folder.
    Simulated,
}

/// `[[lane]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// Its name: a label in metrics and records.
    pub name: String,
    /// What moves.
    pub barrier: Barrier,
    /// What the barrier does without power. A required key: nobody may guess it.
    pub fail: Fail,
    /// Which sides it serves.
    pub directions: Vec<Direction>,
    /// Mode at start.
    #[serde(default)]
    pub mode: Mode,
    /// How long the barrier stays released for a person who does not come.
    #[serde(default)]
    pub release_ms: ReleaseTime,
    /// `tripod`: how long the solenoid is powered.
    #[serde(default)]
    pub pulse_ms: PulseTime,
    /// How long a sensor must keep a level.
    #[serde(default)]
    pub debounce_ms: DebounceTime,
    /// From when an occupied aisle is an obstruction.
    #[serde(default)]
    pub obstruction_ms: ObstructionTime,
    /// Relays.
    pub outputs: Outputs,
    /// Beams and contacts.
    pub sensors: Sensors,
    /// Cameras, card readers, scanners.
    #[serde(default, rename = "reader")]
    pub readers: Vec<Reader>,
}

/// `lane.barrier`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Barrier {
    /// A pulsed solenoid frees one turn; rotor contacts tell the turn.
    Tripod,
    /// A held relay keeps the flap open; beams tell the body.
    Flap,
}

/// `lane.fail`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// Open without power.
    Safe,
    /// Locked without power.
    Secure,
}

/// `[lane.outputs]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Releases the barrier inwards.
    pub release_entry: Option<Line>,
    /// Releases the barrier outwards. May be the same line as `release_entry` on a flap.
    pub release_exit: Option<Line>,
    /// Green light.
    pub green_light: Option<Line>,
    /// Red light.
    pub red_light: Option<Line>,
    /// Buzzer.
    pub buzzer: Option<Line>,
}

/// `[lane.sensors]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensors {
    /// `flap`: beam on the outer side; active means broken.
    pub entry_beam: Option<Line>,
    /// `flap`: beam on the paid side.
    pub exit_beam: Option<Line>,
    /// `tripod`: contact of a turn inwards.
    pub entry_rotor: Option<Line>,
    /// `tripod`: contact of a turn outwards.
    pub exit_rotor: Option<Line>,
}
