//! What counters and pages are told: the loop's notice board.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::certificates::Certificates;
use super::floods::{Floods, READER_FLOODED};
use super::freshness::{self, Freshness, STALE_LIST};
use super::trust_watch::{TRUST_EXPIRED, TrustWatch};
use crate::core::Gate;
use crate::domain::{Alarm, Decided, Direction, LaneId, ListId, Mono, Now, Prompt, Utc};
use crate::store::codes::Codes;
use crate::store::journal::{Journal, WriterStatus};
use crate::store::learned::Learned;
use crate::sync::SyncEvent;
use crate::telemetry::Metrics;
use crate::telemetry::status::{
    DECISIONS_KEPT, DecisionStatus, DeviceState, DeviceStatus, LaneStatus, ListStatus, Status,
};

/// How often stores are looked after.
const CARE: Duration = Duration::from_secs(600);

/// Alarm past 80 % of the journal's size.
const JOURNAL_NEARLY_FULL: &str = "journal_nearly_full";

/// A lane as pages name it.
#[derive(Clone, Debug)]
pub struct LaneBoard {
    /// Its name.
    pub name: String,
    /// `tripod` or `flap`.
    pub barrier: &'static str,
    /// Sides it serves.
    pub directions: Vec<Direction>,
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
}

/// Metrics and the status page, as the loop sees them.
pub struct Board {
    /// The series.
    pub metrics: Metrics,
    sources: Sources,
    devices: BTreeMap<String, DeviceState>,
    prompts: BTreeMap<(LaneId, Direction), Prompt>,
    alarms: BTreeSet<(String, Alarm)>,
    decisions: VecDeque<DecisionStatus>,
    backend_up: Option<bool>,
    shown: BTreeMap<LaneId, (&'static str, &'static str)>,
    cared: Mono,
    nearly_full: bool,
    freshness: Freshness,
    floods: Floods,
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
            let down = DeviceState::Down.as_str();
            Metrics::set_one_of(&metrics.device_state, name, down, down);
        }
        let freshness = Freshness::new(sources.lists.iter().cloned());
        let backend_up = sources.has_backend.then_some(false);
        Self {
            metrics,
            sources,
            devices,
            prompts: BTreeMap::new(),
            alarms: BTreeSet::new(),
            decisions: VecDeque::new(),
            backend_up,
            shown: BTreeMap::new(),
            cared: Mono::default(),
            nearly_full: false,
            freshness,
            floods: Floods::default(),
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
        Metrics::set_one_of(&metrics.device_state, name, state.as_str(), before.as_str());
        before != state
    }

    /// A prompt is shown.
    pub fn shown(&mut self, lane: LaneId, direction: Direction, prompt: Prompt) {
        self.prompts.insert((lane, direction), prompt);
    }

    /// A decision was made.
    pub fn decided(&mut self, now: Now, decided: &Decided) {
        self.decisions.truncate(DECISIONS_KEPT - 1);
        self.decisions.push_front(DecisionStatus {
            at_ms: now.mono.as_millis(),
            lane: self.lane_name(decided.lane),
            direction: decided.direction.as_str(),
            medium: decided.medium.as_str(),
            verdict: decided.verdict.as_str(),
            reason: decided.reason.as_str(),
            decided_us: u64::try_from(now.mono.since(decided.read).as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// An alarm begins or ends; returns where, and false if it was so already.
    pub fn alarm(&mut self, lane: Option<LaneId>, alarm: Alarm, on: bool) -> (String, bool) {
        let place = lane.map_or_else(|| "gate".into(), |lane| self.lane_name(lane));
        let name = format!("{alarm:?}").to_lowercase();
        self.metrics
            .alarm
            .with_label_values(&[place.as_str(), name.as_str()])
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

    /// What sync says; a date if something signed says that it is at least that late.
    pub fn synced(&mut self, event: SyncEvent) -> Option<Utc> {
        match event {
            SyncEvent::ListApplied { list, state, .. } => {
                tracing::info!(%list, era = state.era, version = state.version, rows = state.rows, "list applied");
                Some(self.floor(state.created))
            }
            SyncEvent::ListCurrent { state, .. } => Some(self.floor(state.created)),
            SyncEvent::ListFailed { list, .. } => {
                self.metrics
                    .list_failures
                    .with_label_values(&[list.as_str()])
                    .inc();
                None
            }
            SyncEvent::TrustApplied {
                version,
                created,
                not_after,
            } => {
                self.sources.trust.applied(version, not_after);
                Some(self.floor(created))
            }
            SyncEvent::TrustFailed { .. } => {
                self.metrics.trust_failures.inc();
                None
            }
            SyncEvent::BackendUp(up) => {
                self.backend_up = Some(up);
                self.metrics.backend_up.set(up.into());
                None
            }
            SyncEvent::Untrusted { whose, why } => {
                let labels = [whose.as_str(), why.as_str()];
                self.metrics.tls_refusals.with_label_values(&labels).inc();
                None
            }
            SyncEvent::Delivered { records, .. } => {
                self.metrics.delivered.inc_by(records);
                None
            }
            SyncEvent::DeliveryRefused { .. } => {
                self.metrics.delivery_failures.inc();
                None
            }
            SyncEvent::BackendLost { from, to } => {
                let records = to.saturating_sub(from).saturating_add(1);
                self.metrics.backend_lost.inc_by(records);
                None
            }
            SyncEvent::EpochConflict { .. } => {
                self.metrics.epoch_conflicts.inc();
                None
            }
        }
    }

    /// Something signed is of this date.
    fn floor(&self, date: Utc) -> Utc {
        if let Some(certificates) = &self.sources.certificates {
            certificates.raise_floor(date);
        }
        date
    }

    /// How the journal's writer stands.
    pub fn writer(&self, writer: &WriterStatus) {
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

    /// Brings gauges and pages up to date.
    pub fn tick(&mut self, now: Now, gate: &Gate) {
        self.floods.settle(now.mono, &self.metrics);
        let journal = self.sources.journal.status();
        let age = |of: Option<Utc>| match of.zip(now.utc) {
            Some((of, now)) if journal.backlog > 0 => now.since(of).as_secs_f64(),
            Some(_) | None => 0.0,
        };
        self.metrics.journal_backlog.set(signed(journal.backlog));
        self.metrics.journal_oldest_age.set(age(journal.oldest_utc));
        self.metrics.journal_newest_age.set(age(journal.newest_utc));
        self.metrics
            .journal_first_seq
            .set(signed(journal.first_seq));
        self.metrics.journal_next_seq.set(signed(journal.next_seq));
        self.metrics.journal_bytes.set(signed(journal.bytes));
        self.metrics
            .journal_kept_bytes
            .set(signed(journal.kept_bytes));
        self.metrics.journal_limit.set(signed(journal.bytes_max));
        if journal.is_nearly_full() != self.nearly_full {
            self.nearly_full = journal.is_nearly_full();
            self.metrics
                .alarm
                .with_label_values(&["gate", JOURNAL_NEARLY_FULL])
                .set(self.nearly_full.into());
            if self.nearly_full {
                tracing::warn!(
                    bytes = journal.bytes,
                    limit = journal.bytes_max,
                    "the journal is past 80 % of its size"
                );
            }
        }
        self.learned(now);
        let certificates = self.sources.certificates.as_mut();
        let certificates = certificates.map_or_else(Vec::new, |all| all.tick(now, &self.metrics));
        self.metrics.clock_trusted.set(now.utc.is_some().into());
        // Judges them too: what is stale is an alarm below.
        let lists = self.lists(now);
        let trust = self.sources.trust.tick(now, &self.metrics);
        let status = Status {
            gate: self.sources.gate.clone(),
            uptime_ms: now.mono.as_millis(),
            lanes: self.lanes(gate),
            devices: self
                .devices
                .iter()
                .map(|(name, state)| DeviceStatus {
                    name: name.clone(),
                    up: *state == DeviceState::Up,
                    state: state.as_str(),
                })
                .collect(),
            lists,
            trust,
            backlog: journal.backlog,
            journal_bytes: (journal.bytes, journal.bytes_max),
            backend_up: self.backend_up,
            clock: now.quality.to_string(),
            alarms: self.alarms_on(certificates),
            decisions: self.decisions.clone(),
        };
        self.sources.status.send_replace(Arc::new(status));
        self.sources.heartbeat.send_replace(Instant::now());
        self.care(now);
    }

    /// Every alarm that is on: where, and what.
    fn alarms_on(&self, certificates: Vec<&'static str>) -> Vec<(String, String)> {
        let of_gate = (self.nearly_full.then_some(JOURNAL_NEARLY_FULL))
            .into_iter()
            .chain(certificates)
            .chain(self.freshness.is_any().then_some(STALE_LIST))
            .chain(self.sources.trust.is_expired().then_some(TRUST_EXPIRED))
            .map(|alarm| ("gate".into(), alarm.into()));
        let floods = self.floods.lanes();
        let of_lanes = floods.map(|lane| (lane.to_owned(), READER_FLOODED.into()));
        self.alarms
            .iter()
            .map(|(place, alarm)| (place.clone(), format!("{alarm:?}")))
            .chain(of_gate)
            .chain(of_lanes)
            .collect()
    }

    /// What is over leaves the journal, and a list that many changes have made slow is rebuilt; on a thread of its own.
    fn care(&mut self, now: Now) {
        let Some(utc) = now.utc else { return };
        if now.mono.since(self.cared) < CARE {
            return;
        }
        self.cared = now.mono;
        let Sources {
            journal,
            cache,
            lists,
            remember,
            ..
        } = &self.sources;
        let (journal, cache, lists, remember) =
            (journal.clone(), Arc::clone(cache), lists.clone(), *remember);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = journal.prune(utc, remember) {
                tracing::warn!(%error, "what is over stays in the journal for now");
            }
            for (list, _) in lists {
                match cache.tidy(&list) {
                    Ok(true) => tracing::info!(%list, "the list was rebuilt after many changes"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%list, %error, "the list could not be rebuilt; it stays as it is")
                    }
                }
            }
        });
    }

    /// Counts of the answers that were at hand.
    fn learned(&self, now: Now) {
        let Some(learned) = &self.sources.learned else {
            return;
        };
        let counts = learned.counts(now.mono);
        for (answer, total) in [("known", counts.known), ("nobody", counts.nobody)] {
            let counter = self.metrics.learned_hits.with_label_values(&[answer]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        let kept = i64::try_from(counts.kept).unwrap_or(i64::MAX);
        self.metrics.learned_kept.set(kept);
    }

    fn lanes(&mut self, gate: &Gate) -> Vec<LaneStatus> {
        let mut lanes = Vec::new();
        for (id, lane) in (0..).map(LaneId).zip(&self.sources.lanes) {
            let view = gate.lane_view(id);
            let mode = view.mode.as_str();
            let before = self
                .shown
                .insert(id, (view.state, mode))
                .unwrap_or_default();
            Metrics::set_one_of(&self.metrics.lane_state, &lane.name, view.state, before.0);
            Metrics::set_one_of(&self.metrics.lane_mode, &lane.name, mode, before.1);
            let prompts = lane.directions.iter().map(|direction| {
                let prompt = self
                    .prompts
                    .get(&(id, *direction))
                    .copied()
                    .unwrap_or(Prompt::Idle);
                (direction.as_str(), prompt.id())
            });
            lanes.push(LaneStatus {
                name: lane.name.clone(),
                barrier: lane.barrier,
                state: view.state,
                mode: mode.into(),
                prompts: prompts.collect(),
            });
        }
        lanes
    }

    fn lists(&mut self, now: Now) -> Vec<ListStatus> {
        let mut lists = Vec::new();
        for (list, _) in &self.sources.lists {
            let mut status = ListStatus {
                name: list.to_string(),
                ..ListStatus::default()
            };
            if let Some(state) = self.sources.cache.state(list) {
                let age = now.utc.map(|utc| utc.since(state.created));
                self.freshness.judge(list, age, &self.metrics);
                freshness::show(&self.metrics, list, &state, age);
                status.version = Some((state.era, state.version));
                status.rows = state.rows;
                status.age_s = age.map(|age| age.as_secs());
            }
            lists.push(status);
        }
        lists
    }
}

/// Prometheus gauges are signed; no figure of ours comes near the limit.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
