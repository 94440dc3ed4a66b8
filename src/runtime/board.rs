//! What counters and pages are told: the loop's notice board.

mod heard;
mod minutes;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::care::Care;
use super::certificates::Certificates;
use super::floods::Floods;
use super::freshness::Freshness;
use super::ports::Ports;
use super::trust_watch::TrustWatch;
use crate::domain::{
    Alarm, Decided, Direction, LaneId, Levels, ListId, Mono, Now, Outcome, Prompt, Reason, Sensor,
    Utc, Verdict,
};
use crate::store::codes::Codes;
use crate::store::journal::{Journal, WriterStatus};
use crate::store::learned::Learned;
use crate::telemetry::Metrics;
use crate::telemetry::display::Signs;
use crate::telemetry::status::{
    DECISIONS_KEPT, DecisionStatus, DeviceState, MachineStatus, ReloadStatus, Status,
};
use minutes::Minutes;

/// Alarm past 80 % of the journal's size.
const JOURNAL_NEARLY_FULL: &str = "journal_nearly_full";

/// A lane as pages name it.
#[derive(Clone, Debug)]
pub struct LaneBoard {
    /// Its name.
    pub name: String,
    /// `tripod`, `flap`, `swing` or `full_height`.
    pub barrier: &'static str,
    /// Sides it serves.
    pub directions: Vec<Direction>,
    /// Its sensors.
    pub sensors: Vec<Sensor>,
}

/// What the board is made of.
pub struct Sources {
    /// Name of the gate.
    pub gate: String,
    /// Lanes in the order of the config.
    pub lanes: Vec<LaneBoard>,
    /// Readers and the line board.
    pub devices: Vec<String>,
    /// Lists that are followed, and from which age each counts as stale.
    pub lists: Vec<(ListId, Duration)>,
    /// The cache, for versions and rows.
    pub cache: Arc<dyn Codes>,
    /// Online answers that are kept, for their counts.
    pub learned: Option<Arc<Learned>>,
    /// The journal, for the backlog.
    pub journal: Journal,
    /// Where the pages look.
    pub status: watch::Sender<Arc<Status>>,
    /// Where the passenger displays look.
    pub signs: watch::Sender<Arc<Signs>>,
    /// When the loop last turned.
    pub heartbeat: watch::Sender<Instant>,
    /// How long passback remembers; what is older leaves the journal.
    pub remember: Duration,
    /// The gate's certificates; nothing where it shows none.
    pub certificates: Option<Certificates>,
    /// The trust list that the gate starts with.
    pub trust: TrustWatch,
    /// True if there is a backend at all.
    pub has_backend: bool,
    /// What the board under the daemon tells of itself.
    pub machine: watch::Receiver<MachineStatus>,
}

/// Metrics and the status page, as the loop sees them.
pub struct Board {
    /// The series.
    pub metrics: Metrics,
    sources: Sources,
    devices: BTreeMap<String, DeviceState>,
    /// What is known of each reader's port.
    pub(super) ports: Ports,
    prompts: BTreeMap<(LaneId, Direction), Prompt>,
    /// Why the last passenger of a side was refused, until it is shown.
    refused: BTreeMap<(LaneId, Direction), Reason>,
    alarms: BTreeSet<(String, Alarm)>,
    decisions: VecDeque<DecisionStatus>,
    backend_up: Option<bool>,
    shown: BTreeMap<LaneId, [&'static str; 3]>,
    reload: Option<ReloadStatus>,
    now: Mono,
    care: Care,
    nearly_full: bool,
    freshness: Freshness,
    floods: Floods,
    minutes: Minutes,
    levels: BTreeMap<LaneId, Levels>,
    worked: BTreeSet<String>,
    unwritten: u64,
}

impl Board {
    /// A board on which nothing has happened.
    #[must_use]
    pub fn new(metrics: Metrics, sources: Sources) -> Self {
        let devices: BTreeMap<_, _> = sources
            .devices
            .iter()
            .map(|name| (name.clone(), DeviceState::Down))
            .collect();
        for name in devices.keys() {
            metrics.device_up.with_label_values(&[name.as_str()]).set(0);
            metrics
                .device_reconnects
                .with_label_values(&[name.as_str()]);
            let down = DeviceState::Down.as_str();
            Metrics::set_one_of(&metrics.device_state, name, down, down);
        }
        let freshness = Freshness::new(sources.lists.iter().cloned());
        let backend_up = sources.has_backend.then_some(false);
        // A gate that never had a backend misses none.
        metrics.backend_up.set(backend_up.map_or(-1, i64::from));
        Self {
            metrics,
            sources,
            devices,
            ports: Ports::default(),
            prompts: BTreeMap::new(),
            refused: BTreeMap::new(),
            alarms: BTreeSet::new(),
            decisions: VecDeque::new(),
            backend_up,
            shown: BTreeMap::new(),
            reload: None,
            now: Mono::default(),
            care: Care::default(),
            nearly_full: false,
            freshness,
            floods: Floods::default(),
            minutes: Minutes::default(),
            levels: BTreeMap::new(),
            worked: BTreeSet::new(),
            unwritten: 0,
        }
    }

    /// Name of a lane; a lane that is not configured has none.
    #[must_use]
    pub fn lane_name(&self, lane: LaneId) -> String {
        self.sources
            .lanes
            .get(usize::from(lane.0))
            .map_or_else(String::new, |lane| lane.name.clone())
    }

    /// How a device stands; true if that is a change. Its driver logs it, with the reason.
    pub fn device(&mut self, name: &str, state: DeviceState) -> bool {
        let metrics = &self.metrics;
        let up = metrics.device_up.with_label_values(&[name]);
        up.set((state == DeviceState::Up).into());
        let before = self.devices.insert(name.into(), state).unwrap_or_default();
        let is_back = state == DeviceState::Up && before != state;
        if is_back && !self.worked.insert(name.into()) {
            metrics.device_reconnects.with_label_values(&[name]).inc();
        }
        Metrics::set_one_of(&metrics.device_state, name, state.as_str(), before.as_str());
        before != state
    }

    /// A prompt is shown.
    pub fn shown(&mut self, lane: LaneId, direction: Direction, prompt: Prompt) {
        self.prompts.insert((lane, direction), prompt);
        let refused = self.refused.remove(&(lane, direction));
        let reason =
            refused.filter(|reason| reason.prompt() == prompt || prompt == Prompt::SeeStaff);
        let name = self.lane_name(lane);
        self.sources
            .signs
            .send_modify(|signs| Arc::make_mut(signs).show(&name, direction, prompt, reason));
    }

    /// A decision was made.
    pub fn decided(&mut self, now: Now, decided: &Decided) {
        if decided.verdict != Verdict::Grant {
            let side = (decided.lane, decided.direction);
            self.refused.insert(side, decided.reason);
        }
        self.minutes.decided(now.mono, decided.verdict);
        self.decisions.truncate(DECISIONS_KEPT - 1);
        self.decisions.push_front(DecisionStatus {
            at_ms: now.mono.as_millis(),
            utc_ms: now.utc.map(Utc::as_millis),
            lane: self.lane_name(decided.lane),
            direction: decided.direction.as_str(),
            medium: decided.medium.as_str(),
            verdict: decided.verdict.as_str(),
            reason: decided.reason.as_str(),
            decided_us: u64::try_from(now.mono.since(decided.read).as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// The relay of a grant was commanded, so long after its credential was at hand.
    pub fn released(&mut self, own_share: Duration) {
        self.minutes.released(self.now, own_share);
    }

    /// What the sensors say came of it.
    pub fn ended(&mut self, outcome: Outcome) {
        self.minutes.ended(self.now, outcome);
    }

    /// What the sensors of a lane say.
    pub fn sensed(&mut self, lane: LaneId, levels: Levels) {
        self.levels.insert(lane, levels);
    }

    /// An alarm begins or ends; returns where, and false if it was so already.
    pub fn alarm(&mut self, lane: Option<LaneId>, alarm: Alarm, on: bool) -> (String, bool) {
        let place = lane.map_or_else(|| "gate".into(), |lane| self.lane_name(lane));
        let name = alarm.as_str();
        self.metrics
            .alarm
            .with_label_values(&[place.as_str(), name])
            .set(on.into());
        let is_change = if on {
            self.alarms.insert((place.clone(), alarm))
        } else {
            self.alarms.remove(&(place.clone(), alarm))
        };
        (place, is_change)
    }

    /// So many presentations came faster than people can show them.
    pub fn flooded(&mut self, now: Mono, lane: LaneId, reader: &str, dropped: u32) {
        let lane = self.lane_name(lane);
        self.floods.see(now, lane, reader, dropped, &self.metrics);
    }

    /// How the journal's writer stands.
    pub fn writer(&mut self, writer: &WriterStatus) {
        self.unwritten = u64::try_from(writer.kept).unwrap_or(u64::MAX);
        self.metrics
            .journal_unwritten
            .set(i64::try_from(writer.kept).unwrap_or(i64::MAX));
        let counted = self.metrics.journal_dropped.get();
        self.metrics
            .journal_dropped
            .inc_by(writer.lost.saturating_sub(counted));
    }

    /// How often the date has jumped since the start.
    pub fn clock_jumps(&self, jumps: u64) {
        let counted = self.metrics.clock_jumps.get();
        self.metrics
            .clock_jumps
            .inc_by(jumps.saturating_sub(counted));
    }
}

/// Prometheus gauges are signed; no figure of ours comes near the limit.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
