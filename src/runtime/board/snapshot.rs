//! The snapshot that pages and gauges show, taken anew several times a second; and what is looked after now and then.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Board, JOURNAL_NEARLY_FULL, Sources, signed};
use crate::core::Gate;
use crate::domain::{ClockQuality, LaneId, Now, Prompt, Utc, Wish};
use crate::runtime::floods::READER_FLOODED;
use crate::runtime::freshness::{self, STALE_LIST};
use crate::runtime::trust_watch::TRUST_EXPIRED;
use crate::store::journal::JournalStatus;
use crate::telemetry::Metrics;
use crate::telemetry::status::{
    DeviceState, DeviceStatus, LaneStatus, ListStatus, Status, WishStatus,
};

impl Board {
    /// Brings gauges and pages up to date.
    pub fn tick(&mut self, now: Now, gate: &Gate) {
        self.now = now.mono;
        self.floods.settle(now.mono, &self.metrics);
        let journal = self.journal(now);
        self.learned(now);
        let certificates = self.sources.certificates.as_mut();
        let certificates = certificates.map_or_else(Vec::new, |all| all.tick(now, &self.metrics));
        self.metrics.clock_trusted.set(now.utc.is_some().into());
        // Judges them too: what is stale is an alarm below.
        let lists = self.lists(now);
        let trust = self.sources.trust.tick(now, &self.metrics);
        let machine = self.sources.machine.borrow().clone();
        let lag = self.minutes.tick(now.mono, &journal, &machine);
        self.metrics.uplink_lag.set(lag.as_secs_f64());
        for quality in ClockQuality::ALL {
            let state = self
                .metrics
                .clock_state
                .with_label_values(&[quality.to_string()]);
            state.set((quality == now.quality).into());
        }
        let status = Status {
            gate: self.sources.gate.clone(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: now.mono.as_millis(),
            utc_ms: now.utc.map(Utc::as_millis),
            lanes: self.lanes(gate),
            devices: self
                .devices
                .iter()
                .map(|(name, state)| DeviceStatus {
                    name: name.clone(),
                    up: *state == DeviceState::Up,
                    state: state.as_str(),
                    port: self.ports.status(name),
                })
                .collect(),
            lists,
            trust,
            backlog: journal.backlog,
            journal_bytes: (journal.bytes, journal.bytes_max),
            uplink_lag_s: lag.as_secs(),
            unwritten: self.unwritten,
            backend_up: self.backend_up,
            fire: gate.lane_view(LaneId(0)).fire,
            clock: now.quality.to_string(),
            reload: self.reload.clone(),
            alarms: self.alarms_on(certificates),
            decisions: self.decisions.clone(),
            machine,
            hour: self.minutes.hour(),
        };
        self.sources.status.send_replace(Arc::new(status));
        self.sources.heartbeat.send_replace(Instant::now());
        let Sources {
            journal,
            cache,
            lists,
            remember,
            ..
        } = &self.sources;
        self.care.tick(now, journal, cache, lists, *remember);
    }

    /// The journal's gauges and its alarm.
    fn journal(&mut self, now: Now) -> JournalStatus {
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
        journal
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
            .map(|(place, alarm)| (place.clone(), alarm.as_str().into()))
            .chain(of_gate)
            .chain(of_lanes)
            .chain(self.ports.alarms())
            .collect()
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
            let (mode, source) = (view.mode.mode.as_str(), view.mode.source.as_str());
            let shown = [view.state, mode, source];
            let before = self.shown.insert(id, shown).unwrap_or_default();
            let metrics = &self.metrics;
            let gauges = [
                &metrics.lane_state,
                &metrics.lane_mode,
                &metrics.lane_mode_source,
            ];
            for ((gauge, shown), before) in gauges.into_iter().zip(shown).zip(before) {
                Metrics::set_one_of(gauge, &lane.name, shown, before);
            }
            let prompts = lane.directions.iter().map(|direction| {
                let prompt = self
                    .prompts
                    .get(&(id, *direction))
                    .copied()
                    .unwrap_or(Prompt::Idle);
                (direction.as_str(), prompt.id())
            });
            let levels = self.levels.get(&id).copied().unwrap_or_default();
            let sensors = lane.sensors.iter();
            let sensors = sensors.map(|sensor| (sensor.as_str(), levels.is_active(*sensor)));
            lanes.push(LaneStatus {
                name: lane.name.clone(),
                barrier: lane.barrier,
                state: view.state,
                mode: mode.into(),
                mode_source: source,
                wishes: gate.wishes(id).iter().map(wish).collect(),
                occupied: view.occupied,
                is_open: view.is_open,
                sensors: sensors.collect(),
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

fn wish(wish: &Wish) -> WishStatus {
    let date = |at: Utc| {
        let ms = i64::try_from(at.as_millis()).ok()?;
        Some(jiff::Timestamp::from_millisecond(ms).ok()?.to_string())
    };
    WishStatus {
        mode: wish.mode.as_str(),
        source: wish.source.as_str(),
        uid: wish.by,
        until: wish.until.and_then(date),
    }
}
