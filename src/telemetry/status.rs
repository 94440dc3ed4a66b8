//! A snapshot of the gate for its pages. The loop replaces it; pages only read it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::hour::{Hour, Minute};

/// How many last decisions the page keeps.
pub const DECISIONS_KEPT: usize = 20;

/// What the status page and `/readyz` know.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Name of the gate.
    pub gate: String,
    /// Version of the daemon.
    pub version: &'static str,
    /// Milliseconds since the start, when this was taken.
    pub uptime_ms: u64,
    /// The date then, milliseconds since 1970; none while nobody vouches for it.
    pub utc_ms: Option<u64>,
    /// Lanes in the order of the config.
    pub lanes: Vec<LaneStatus>,
    /// Readers and the line board.
    pub devices: Vec<DeviceStatus>,
    /// Lists that are followed.
    pub lists: Vec<ListStatus>,
    /// The trust list in force.
    pub trust: TrustStatus,
    /// Records not yet acknowledged by the backend.
    pub backlog: u64,
    /// Bytes of the journal and their limit.
    pub journal_bytes: (u64, u64),
    /// How long records have waited without an acknowledgement, seconds; 0 while none waits.
    pub uplink_lag_s: u64,
    /// Records that wait in memory because the disk refuses them.
    pub unwritten: u64,
    /// True while the backend answers; none without a backend.
    pub backend_up: Option<bool>,
    /// True while the fire latch is set.
    pub fire: bool,
    /// How far the date can be believed.
    pub clock: String,
    /// How the config was read again last; none since the start.
    pub reload: Option<ReloadStatus>,
    /// Alarms that are on: lane or gate, and what.
    pub alarms: Vec<(String, String)>,
    /// The last decisions, newest first.
    pub decisions: VecDeque<DecisionStatus>,
    /// What the board tells of itself.
    pub machine: MachineStatus,
    /// The last hour, for `/history.json`.
    #[serde(skip)]
    pub hour: Arc<Hour>,
}

/// What the machine tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MachineStatus {
    /// Each zone with its temperature in degrees Celsius.
    pub celsius: Vec<(String, f64)>,
    /// Disk, kind of cells, used part of its life: 1.0 is all of it.
    pub wear: Vec<(String, &'static str, f64)>,
    /// Free bytes of the file system with the journal.
    pub disk_free: Option<u64>,
    /// Its size.
    pub disk_size: Option<u64>,
}

/// How the config was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReloadStatus {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// False: nothing of it was taken up.
    pub taken: bool,
    /// What was not taken up, in a sentence each; or why nothing was.
    pub said: Vec<String>,
}

/// How a device stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceState {
    /// It works.
    Up,
    /// No working connection.
    #[default]
    Down,
    /// A camera that sees nothing but darkness.
    Dark,
    /// A camera whose picture does not change.
    Frozen,
}

impl DeviceState {
    /// Of a device that works, or does not.
    #[must_use]
    pub const fn up(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }

    /// `up`, `down`, `dark` or `frozen`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Dark => "dark",
            Self::Frozen => "frozen",
        }
    }
}

/// One device on the page.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceStatus {
    /// Its name.
    pub name: String,
    /// True if it works.
    pub up: bool,
    /// `up`, `down`, `dark` or `frozen`.
    pub state: &'static str,
    /// A reader on a port: how that stands.
    pub port: Option<PortStatus>,
}

/// The port of a reader on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortStatus {
    /// `absent`, `opening`, `probing`, `ready`, `degraded` or `lost`.
    pub state: &'static str,
    /// Line speed it is or was opened at; 0 where there is none.
    pub baud: u32,
    /// Why it is absent or lost, in a sentence.
    pub why: Option<String>,
    /// What the module says of itself.
    pub module: Option<String>,
    /// An OSDP reader that was to be given its key: `open`, `taken`, `refused` or `timed_out`.
    pub provisioning: Option<&'static str>,
    /// What it has read since the start.
    pub reads: u64,
    /// When it read last, milliseconds since the start.
    pub last_at_ms: Option<u64>,
    /// How long that took: in view, or first byte, to facts at hand, microseconds.
    pub last_took_us: Option<u64>,
}

/// One lane on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaneStatus {
    /// Its name.
    pub name: String,
    /// `tripod`, `flap`, `swing` or `full_height`.
    pub barrier: &'static str,
    /// State of its machine.
    pub state: &'static str,
    /// Mode in force.
    pub mode: String,
    /// Whose wish that is.
    pub mode_source: &'static str,
    /// Every wish for its mode, the strongest first.
    pub wishes: Vec<WishStatus>,
    /// True if somebody is in the aisle.
    pub occupied: bool,
    /// True if everybody may walk.
    pub is_open: bool,
    /// Its sensors, and whether each says something now.
    pub sensors: Vec<(&'static str, bool)>,
    /// What the passenger is shown, per side.
    pub prompts: Vec<(&'static str, &'static str)>,
}

/// A wish for the mode of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WishStatus {
    /// Which.
    pub mode: &'static str,
    /// Whose: `key`, `staff`, `directive`, `schedule` or `config`.
    pub source: &'static str,
    /// Staff: user id.
    pub uid: Option<u32>,
    /// When it ends or may change, if that is known; a date in UTC.
    pub until: Option<String>,
}

/// One list on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListStatus {
    /// Its name.
    pub name: String,
    /// Applied era and version; none before the first.
    pub version: Option<(u32, u64)>,
    /// Its rows.
    pub rows: u64,
    /// Since it was signed.
    pub age_s: Option<u64>,
}

/// The trust list on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrustStatus {
    /// Its version.
    pub version: u64,
    /// True if the backend's signed one is in force, and not the file of the config.
    pub signed: bool,
    /// Seconds until it is past its date, negative from then on; none where it has no date, or the clock none.
    pub ends_in_s: Option<i64>,
}

/// One decision on the page. No field can say whose it was.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionStatus {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// The date, milliseconds since 1970; none while nobody vouched for it.
    pub utc_ms: Option<u64>,
    /// Lane.
    pub lane: String,
    /// Side.
    pub direction: &'static str,
    /// What carried the credential.
    pub medium: &'static str,
    /// Verdict.
    pub verdict: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// From at hand to decided, microseconds.
    pub decided_us: u64,
}

impl Status {
    /// What keeps the gate from being ready, in words; empty if nothing does.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let down = self
            .devices
            .iter()
            .filter(|device| !device.up)
            .map(|device| format!("{} is {}", device.name, device.state));
        let missing = self
            .lists
            .iter()
            .filter(|l| l.version.is_none())
            .map(|l| format!("list {} has not arrived", l.name));
        down.chain(missing).collect()
    }

    /// How the lanes stand, for staff at a terminal.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let fire = self
            .fire
            .then(|| "FIRE: every lane is released until somebody resets it".into());
        let lanes = self.lanes.iter().map(|lane| {
            let why = lane.why();
            format!(
                "lane {}: {}; mode {} by {why}",
                lane.name, lane.state, lane.mode
            )
        });
        let alarms = self.alarms.iter();
        let alarms = alarms.map(|(place, alarm)| format!("alarm at {place}: {alarm}"));
        let reload = self.reload.iter().flat_map(|reload| {
            let how = match (reload.taken, reload.said.is_empty()) {
                (true, true) => "the config was read again and taken up",
                (true, false) => "the config was read again; this of it needs a restart",
                (false, _) => {
                    "the config was read again and refused; the one before stays in force"
                }
            };
            std::iter::once(how.to_owned()).chain(reload.said.iter().cloned())
        });
        fire.into_iter()
            .chain(lanes)
            .chain(alarms)
            .chain(reload)
            .collect()
    }

    /// The page, as HTML. What it shows first is in it; its script asks for what is newer.
    #[must_use]
    pub fn page(&self) -> String {
        // Words, numbers and names only, so it can always be written. "</script>" must not end the element.
        let now = serde_json::to_string(self).unwrap_or_default();
        include_str!("pages/status.html")
            .replace("{gate}", &escape(&self.gate))
            .replace("{status}", &now.replace('<', "\\u003c"))
    }

    /// The last hour, minute by minute, the oldest first.
    #[must_use]
    pub fn minutes(&self) -> Vec<Minute> {
        self.hour.minutes().copied().collect()
    }
}

impl LaneStatus {
    /// Who wants what, the strongest first: `staff (uid 1000) until 2026-11-24T10:00:00Z; over schedule: closed`.
    #[must_use]
    pub fn why(&self) -> String {
        let one = |wish: &WishStatus| {
            let who = wish
                .uid
                .map_or_else(String::new, |uid| format!(" (uid {uid})"));
            let until = wish.until.as_ref();
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            (format!("{}{who}", wish.source), until)
        };
        let mut wishes = self.wishes.iter();
        let Some((who, until)) = wishes.next().map(one) else {
            return self.mode_source.into();
        };
        let mut text = format!("{who}{until}");
        for wish in wishes {
            let (who, until) = one(wish);
            let _ = write!(text, "; over {who}: {}{until}", wish.mode);
        }
        text
    }
}

/// Text as it may stand in HTML, in attributes too.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                _ => out.push(c),
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_the_page() {
        let status = Status {
            gate: "<script>\"'&".into(),
            ..Status::default()
        };
        assert!(!status.page().contains("<script>"));
        assert!(status.page().contains("&lt;script&gt;&quot;&#39;&amp;"));
        assert!(status.page().contains(r#""gate":"\u003cscript>\"'&""#));
    }

    #[test]
    fn a_gate_is_ready_once_devices_work_and_lists_are_there() {
        let mut status = Status {
            devices: vec![DeviceStatus {
                name: "entry-camera".into(),
                up: false,
                state: DeviceState::Dark.as_str(),
                port: None,
            }],
            lists: vec![ListStatus {
                name: "health".into(),
                ..ListStatus::default()
            }],
            ..Status::default()
        };
        assert_eq!(
            status.unready(),
            ["entry-camera is dark", "list health has not arrived"]
        );
        status.devices[0].up = true;
        status.lists[0].version = Some((1, 1));
        assert!(status.unready().is_empty());
    }
}
