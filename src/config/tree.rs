//! The config file as it is written: one struct a table. Every key is documented here and in `hardware/example.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use super::backend::{Backend, List};
pub use super::policy::{Overlay, Policy, PolicyFile, Requirement, Rules};
pub use super::readers::{
    Camera, CodeEnd, Folder, LineDirection, Osdp, Reader, Scanner, Serial, Typing, Wiegand,
    WiegandForm,
};
pub use super::schedule::Schedule;
pub use super::staff::Staff;
use super::types::{
    DebounceTime, DutyCycle, FollowerGap, GroupSize, JournalSize, KeepTime, Line, ObstructionTime,
    PassbackTime, PulseTime, ReleaseTime, StallTime, TravelTime,
};
pub use super::wiring::{Key, Outputs, Sensors};
use crate::domain::{CertificateRules, Direction, GateId, Mode};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// A file with the policy, and with what counts of certificates, in the place of `policy` and `certificate` here.
    pub policy_file: Option<PathBuf>,
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
    /// Which modes the calendar wants.
    #[serde(default)]
    pub schedule: Schedule,
    /// The local socket for staff; absent: there is none.
    pub staff: Option<Staff>,
    /// How much is logged.
    #[serde(default)]
    pub log: Log,
    /// Relays and sensors.
    pub gpio: Gpio,
    /// Lanes, one to four.
    #[serde(rename = "lane")]
    pub lanes: Vec<Lane>,
}

/// `[passback]`
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Passback {
    /// Whether it is enforced.
    pub mode: PassbackMode,
    /// How long it remembers.
    pub remember_min: PassbackTime,
    /// How far it reaches.
    pub scope: PassbackScope,
    /// Name of the station or of the zone; the same at all its gates.
    pub area: Option<GateId>,
}

/// `passback.scope`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassbackScope {
    /// This gate: all of its lanes.
    #[default]
    Gate,
    /// All gates of a station, for a place that is left where it was entered.
    Station,
    /// All gates of a zone, such as a paid area of many stations: entered at one, left at another.
    Zone,
}

impl Passback {
    /// The gates it holds for as the backend knows them; nothing if it is this gate alone.
    #[must_use]
    pub fn area(&self) -> Option<String> {
        let area = self.area.as_ref()?;
        match self.scope {
            PassbackScope::Gate => None,
            PassbackScope::Station => Some(format!("station:{area}")),
            PassbackScope::Zone => Some(format!("zone:{area}")),
        }
    }
}

/// `passback.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassbackMode {
    /// Refused on entry, staff on exit.
    #[default]
    Hard,
    /// Let through, and the record says so.
    Soft,
    /// Not looked at.
    Off,
}

/// `[journal]`
#[derive(Clone, Copy, Debug, PartialEq, Default, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where the pages are served.
    pub listen: SocketAddr,
    /// True if displays do not tell bystanders a colour: "health check not passed" instead.
    pub discreet: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            discreet: false,
        }
    }
}

/// `[clock]`
#[derive(Clone, Copy, Debug, PartialEq, Default, Deserialize)]
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

/// `[log]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least that is told; `RUST_LOG` wins over it.
    pub level: LogLevel,
}

/// `log.level`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing but what is broken.
    Error,
    /// And what an operator should do something about.
    Warn,
    /// And every decision.
    #[default]
    Info,
    /// And what a programmer wants to know.
    Debug,
    /// And more of it.
    Trace,
}

impl LogLevel {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `[gpio]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// Positions of a key switch for every lane of the gate; of several active ones the first counts.
    #[serde(default)]
    pub key_switch: Vec<Key>,
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// Its own mode: what counts while nobody wants another.
    #[serde(default)]
    pub mode: Mode,
    /// Positions of the lane's key switch; it wins over the gate's.
    #[serde(default)]
    pub key_switch: Vec<Key>,
    /// How long the barrier stays released for a person who does not come.
    #[serde(default)]
    pub release_ms: ReleaseTime,
    /// `tripod`: how the solenoid is powered.
    pub drive: Option<Drive>,
    /// `tripod`, `drive = "pulse"`: how long the solenoid is powered.
    #[serde(default)]
    pub pulse_ms: PulseTime,
    /// `tripod`: how much of a minute the solenoid may be powered for grants.
    pub duty_percent: Option<DutyCycle>,
    /// A leaf with limit switches: how long it takes from one end to the other, at most.
    #[serde(default)]
    pub travel_ms: TravelTime,
    /// How long a sensor must keep a level.
    #[serde(default)]
    pub debounce_ms: DebounceTime,
    /// From when an occupied aisle is an obstruction.
    #[serde(default)]
    pub obstruction_ms: ObstructionTime,
    /// Whoever steps in sooner than this behind another is tailgating.
    #[serde(default)]
    pub follower_gap_ms: FollowerGap,
    /// What goes with a rider below the beams; with `low_beam` only.
    pub below_beams: Option<BelowBeams>,
    /// How many grants of one direction may be open at once.
    #[serde(default)]
    pub group_max: GroupSize,
    /// The relay board of this lane; absent: the gate's.
    pub gpio: Option<Gpio>,
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
    /// A gate that swings, driven by a motor, with limit switches.
    Swing,
    /// A gate as high as a person, driven by a motor, with limit switches.
    FullHeight,
}

/// `lane.drive`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// For `pulse_ms`: the mechanism keeps one turn free.
    Pulse,
    /// Until the person is through or does not come.
    Hold,
}

/// `lane.below_beams`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BelowBeams {
    /// Nothing is recorded.
    Luggage,
    /// A companion without a grant of their own, recorded.
    Companion,
    /// Somebody without a grant: an alarm.
    Tailgating,
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
