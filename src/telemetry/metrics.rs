//! Every series of the daemon in one struct, built on a registry that is passed in: no globals.
//! Labels are lanes, devices, lists, reasons and states, all bounded by the config or by an enum.

mod build;
mod machine;
mod stages;

use std::cell::RefCell;
use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use build::Build;
pub use build::Described;
pub use machine::MachineSeries;
pub use stages::Stages;

/// The metrics could not be built or rendered: a bug in their names, never a matter of input.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All series. Names and labels are an interface: alert rules use them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    /// `turnstile_presentations_total{lane,medium,result}`: `result` is `granted` or a reason.
    pub presentations: IntCounterVec,
    /// `turnstile_passages_total{lane,outcome}`: what the sensors say came of it.
    pub passages: IntCounterVec,
    /// How long each stage takes.
    pub stages: Stages,
    /// Temperature and disk.
    pub machine: MachineSeries,
    /// `turnstile_claims_total{result,when}`: claims by what came of them: `won`, `replayed`, `passback`, `unanswered`; `when`
    /// is `in_time`, or `late` where the gate had decided by itself.
    pub claims: IntCounterVec,
    /// `turnstile_learned_hits_total{answer}`: presentations answered from earlier online answers: `known` or `nobody`.
    pub learned_hits: IntCounterVec,
    /// `turnstile_learned_answers`: online answers that are kept.
    pub learned_kept: IntGauge,
    /// `turnstile_frames_total{device,result}`: `read` or `empty`.
    pub frames: IntCounterVec,
    /// `turnstile_reader_port_state{device,state}`: 1 for the state of the port: absent, opening, probing, ready,
    /// degraded, lost.
    pub reader_port_state: IntGaugeVec,
    /// `turnstile_reader_read_seconds{device}`: card found, or first byte, to facts at hand.
    pub reader_read: HistogramVec,
    /// `turnstile_device_up{device}`: 1 while the driver has a working connection.
    pub device_up: IntGaugeVec,
    /// `turnstile_device_state{device,state}`: 1 for the state it is in: up, down, dark, frozen.
    pub device_state: IntGaugeVec,
    /// `turnstile_device_reconnects_total{device}`: it works again after it had worked before.
    pub device_reconnects: IntCounterVec,
    /// `turnstile_device_faults_total{device}`: bad bytes, contained panics, read-back mismatches.
    pub device_faults: IntCounterVec,
    /// `turnstile_journal_backlog_records`: records the backend has not acknowledged.
    pub journal_backlog: IntGauge,
    /// `turnstile_journal_oldest_age_seconds`: age of the oldest of them.
    pub journal_oldest_age: Gauge,
    /// `turnstile_journal_newest_age_seconds`: age of the newest of them.
    pub journal_newest_age: Gauge,
    /// `turnstile_journal_first_seq`: number of the oldest of them, or of the next record.
    pub journal_first_seq: IntGauge,
    /// `turnstile_journal_next_seq`: number of the next record.
    pub journal_next_seq: IntGauge,
    /// `turnstile_journal_bytes`: size of the journal, without acknowledged records.
    pub journal_bytes: IntGauge,
    /// `turnstile_journal_kept_bytes`: acknowledged records that are kept while there is room.
    pub journal_kept_bytes: IntGauge,
    /// `turnstile_journal_limit_bytes`: configured limit of that size.
    pub journal_limit: IntGauge,
    /// `turnstile_journal_unwritten_records`: records that wait in memory because the disk refuses.
    pub journal_unwritten: IntGauge,
    /// `turnstile_journal_dropped_records_total`: records given up because the disk refused for too long.
    pub journal_dropped: IntCounter,
    /// `turnstile_list_version{list}`: applied version.
    pub list_version: IntGaugeVec,
    /// `turnstile_list_era{list}`: applied era.
    pub list_era: IntGaugeVec,
    /// `turnstile_list_rows{list}`: rows of it.
    pub list_rows: IntGaugeVec,
    /// `turnstile_list_age_seconds{list}`: since its signed `created`.
    pub list_age: GaugeVec,
    /// `turnstile_list_failures_total{list}`: manifests or chunks refused.
    pub list_failures: IntCounterVec,
    /// `turnstile_trust_version`: version of the trust list in force.
    pub trust_version: IntGauge,
    /// `turnstile_trust_expires_seconds`: until the trust list is past its date; negative from then on.
    pub trust_expires: Gauge,
    /// `turnstile_trust_failures_total`: trust lists refused, or not kept.
    pub trust_failures: IntCounter,
    /// `turnstile_backend_up`: 1 while the backend answers, 0 while it does not, -1 where there is none.
    pub backend_up: IntGauge,
    /// `turnstile_tls_refusals_total{certificate,reason}`: connections to the backend that did not come about because of
    /// our certificate (`ours`) or its (`theirs`).
    pub tls_refusals: IntCounterVec,
    /// `turnstile_certificate_expires_seconds{certificate}`: until the gate's certificate, or the authority's, ends.
    pub certificate_expires: GaugeVec,
    /// `turnstile_uplink_lag_seconds`: how long records have waited without an acknowledgement; 0 while none waits. It goes
    /// by the monotonic clock, so it is right without a date.
    pub uplink_lag: Gauge,
    /// `turnstile_delivered_records_total`: records the backend has acknowledged.
    pub delivered: IntCounter,
    /// `turnstile_delivery_failures_total`: deliveries refused, or acknowledged in a way that is not believed; once a
    /// change.
    pub delivery_failures: IntCounter,
    /// `turnstile_backend_lost_records_total`: records the backend had acknowledged and has no more.
    pub backend_lost: IntCounter,
    /// `turnstile_epoch_conflicts_total`: the backend holds other records under our epoch.
    pub epoch_conflicts: IntCounter,
    /// `turnstile_lane_state{lane,state}`: 1 for the state the lane is in.
    pub lane_state: IntGaugeVec,
    /// `turnstile_lane_mode{lane,mode}`: 1 for the mode in force.
    pub lane_mode: IntGaugeVec,
    /// `turnstile_sensor_sticks{lane,sensor}`: 1 while a sensor contradicts the others.
    pub sensor_sticks: IntGaugeVec,
    /// `turnstile_lane_mode_source{lane,source}`: 1 for whose wish that mode is.
    pub lane_mode_source: IntGaugeVec,
    /// `turnstile_staff_orders_total{order,result}`: what staff ordered at the local socket, done or refused.
    pub staff_orders: IntCounterVec,
    /// `turnstile_reloads_total{result}`: the config was read again: `taken`, `partly` or `refused`.
    pub reloads: IntCounterVec,
    /// `turnstile_directive_version{target}`: version of the directive that was accepted last.
    pub directive_version: IntGaugeVec,
    /// `turnstile_directive_failures_total`: directives refused; once a change.
    pub directive_failures: IntCounter,
    /// `turnstile_alarm{lane,alarm}`: 1 while staff are called.
    pub alarm: IntGaugeVec,
    /// `turnstile_clock_trusted`: 1 while dates may be used.
    pub clock_trusted: IntGauge,
    /// `turnstile_clock_state{state}`: 1 for how far the date can be believed: synchronised, held, untrusted.
    pub clock_state: IntGaugeVec,
    /// `turnstile_clock_jumps_total`: the date jumped against the monotonic clock.
    pub clock_jumps: IntCounter,
}

impl Metrics {
    /// Registers every series on `registry`.
    ///
    /// # Errors
    /// [`MetricsError`] if a name is taken or malformed.
    #[expect(
        clippy::too_many_lines,
        reason = "a list with a line or two a series, no logic"
    )]
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let new = Build {
            registry,
            described: RefCell::default(),
        };
        let build = new.gauges(
            "turnstile_build_info",
            "Version of the running daemon",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let mut metrics = Self {
            registry: registry.clone(),
            described: Vec::new(),
            presentations: new.counters(
                "turnstile_presentations_total",
                "Presentations by result: granted, or the reason",
                &["lane", "medium", "result"],
            )?,
            passages: new.counters(
                "turnstile_passages_total",
                "What the sensors say came of it",
                &["lane", "outcome"],
            )?,
            stages: Stages::new(&new)?,
            machine: MachineSeries::new(&new)?,
            claims: new.counters(
                "turnstile_claims_total",
                "Uses claimed at the backend, by what came of it and whether somebody waited",
                &["result", "when"],
            )?,
            learned_hits: new.counters(
                "turnstile_learned_hits_total",
                "Presentations answered from earlier online answers",
                &["answer"],
            )?,
            learned_kept: new.gauge("turnstile_learned_answers", "Online answers that are kept")?,
            frames: new.counters(
                "turnstile_frames_total",
                "Frames looked at",
                &["device", "result"],
            )?,
            reader_port_state: new.gauges(
                "turnstile_reader_port_state",
                "1 for the state of a reader's port: absent, opening, probing, ready, degraded, lost",
                &["device", "state"],
            )?,
            reader_read: new.histograms(
                "turnstile_reader_read_seconds",
                "Card found, or first byte, to facts at hand",
                &["device"],
            )?,
            device_up: new.gauges(
                "turnstile_device_up",
                "1 while the driver has a connection",
                &["device"],
            )?,
            device_state: new.gauges(
                "turnstile_device_state",
                "1 for the state of the device: up, down, dark, frozen",
                &["device", "state"],
            )?,
            device_reconnects: new.counters(
                "turnstile_device_reconnects_total",
                "Times that a device worked again after it was away",
                &["device"],
            )?,
            device_faults: new.counters(
                "turnstile_device_faults_total",
                "Bad bytes, contained panics, read-back mismatches",
                &["device"],
            )?,
            journal_backlog: new.gauge(
                "turnstile_journal_backlog_records",
                "Records not yet acknowledged",
            )?,
            journal_oldest_age: new.real_gauge(
                "turnstile_journal_oldest_age_seconds",
                "Age of the oldest record not acknowledged",
            )?,
            journal_newest_age: new.real_gauge(
                "turnstile_journal_newest_age_seconds",
                "Age of the newest record not acknowledged",
            )?,
            journal_first_seq: new.gauge(
                "turnstile_journal_first_seq",
                "Number of the oldest record not acknowledged",
            )?,
            journal_next_seq: new.gauge(
                "turnstile_journal_next_seq",
                "Number that the next record gets",
            )?,
            journal_bytes: new.gauge(
                "turnstile_journal_bytes",
                "Size of the journal, without acknowledged records",
            )?,
            journal_kept_bytes: new.gauge(
                "turnstile_journal_kept_bytes",
                "Acknowledged records that are kept while there is room",
            )?,
            journal_limit: new.gauge(
                "turnstile_journal_limit_bytes",
                "Configured limit of the journal",
            )?,
            journal_unwritten: new.gauge(
                "turnstile_journal_unwritten_records",
                "Records in memory because the disk refuses",
            )?,
            journal_dropped: new.counter(
                "turnstile_journal_dropped_records_total",
                "Records given up because the disk refused",
            )?,
            list_version: new.gauges(
                "turnstile_list_version",
                "Applied version of a list",
                &["list"],
            )?,
            list_era: new.gauges("turnstile_list_era", "Applied era of a list", &["list"])?,
            list_rows: new.gauges("turnstile_list_rows", "Rows of a list", &["list"])?,
            list_age: new.real_gauges(
                "turnstile_list_age_seconds",
                "Since the list was signed",
                &["list"],
            )?,
            list_failures: new.counters(
                "turnstile_list_failures_total",
                "Manifests or chunks refused",
                &["list"],
            )?,
            trust_version: new.gauge(
                "turnstile_trust_version",
                "Version of the trust list in force",
            )?,
            trust_expires: new.real_gauge(
                "turnstile_trust_expires_seconds",
                "Until the trust list is past its date",
            )?,
            trust_failures: new.counter(
                "turnstile_trust_failures_total",
                "Trust lists refused, or not kept",
            )?,
            backend_up: new.gauge(
                "turnstile_backend_up",
                "1 while the backend answers, 0 while it does not, -1 where there is none",
            )?,
            tls_refusals: new.counters(
                "turnstile_tls_refusals_total",
                "Connections to the backend refused for a certificate, ours or theirs",
                &["certificate", "reason"],
            )?,
            certificate_expires: new.real_gauges(
                "turnstile_certificate_expires_seconds",
                "Until a certificate ends",
                &["certificate"],
            )?,
            uplink_lag: new.real_gauge(
                "turnstile_uplink_lag_seconds",
                "How long records have waited without an acknowledgement",
            )?,
            delivered: new.counter(
                "turnstile_delivered_records_total",
                "Records the backend has acknowledged",
            )?,
            delivery_failures: new.counter(
                "turnstile_delivery_failures_total",
                "Deliveries refused, or acknowledged in a way that is not believed",
            )?,
            backend_lost: new.counter(
                "turnstile_backend_lost_records_total",
                "Records the backend had acknowledged and has no more",
            )?,
            epoch_conflicts: new.counter(
                "turnstile_epoch_conflicts_total",
                "The backend holds other records under our epoch",
            )?,
            lane_state: new.gauges(
                "turnstile_lane_state",
                "1 for the state of the lane",
                &["lane", "state"],
            )?,
            lane_mode: new.gauges(
                "turnstile_lane_mode",
                "1 for the mode in force",
                &["lane", "mode"],
            )?,
            sensor_sticks: new.gauges(
                "turnstile_sensor_sticks",
                "1 while a sensor contradicts the others",
                &["lane", "sensor"],
            )?,
            lane_mode_source: new.gauges(
                "turnstile_lane_mode_source",
                "1 for whose wish the mode in force is",
                &["lane", "source"],
            )?,
            staff_orders: new.counters(
                "turnstile_staff_orders_total",
                "Orders of staff at the local socket, done or refused",
                &["order", "result"],
            )?,
            reloads: new.counters(
                "turnstile_reloads_total",
                "The config was read again: taken, partly or refused",
                &["result"],
            )?,
            directive_version: new.gauges(
                "turnstile_directive_version",
                "Version of the directive that was accepted last",
                &["target"],
            )?,
            directive_failures: new
                .counter("turnstile_directive_failures_total", "Directives refused")?,
            alarm: new.gauges(
                "turnstile_alarm",
                "1 while staff are called",
                &["lane", "alarm"],
            )?,
            clock_trusted: new.gauge("turnstile_clock_trusted", "1 while dates may be used")?,
            clock_state: new.gauges(
                "turnstile_clock_state",
                "1 for how far the date can be believed: synchronised, held, untrusted",
                &["state"],
            )?,
            clock_jumps: new.counter(
                "turnstile_clock_jumps_total",
                "The date jumped against the monotonic clock",
            )?,
        };
        metrics.described = new.described.into_inner();
        Ok(metrics)
    }

    /// Every series, in the order in which this file has them.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// The Prometheus text of every series.
    ///
    /// # Errors
    /// [`MetricsError`] if a series cannot be written: a bug.
    pub fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// Marks `state` as the one of a lane or device, and no other.
    pub fn set_one_of(gauge: &IntGaugeVec, of: &str, state: &str, before: &str) {
        if before != state {
            let _ = gauge.remove_label_values(&[of, before]);
        }
        gauge.with_label_values(&[of, state]).set(1);
    }
}

/// Seconds, as Prometheus wants them.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_has_names_by_the_conventions() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        metrics
            .presentations
            .with_label_values(&["entry", "qr_code", "granted"])
            .inc();
        metrics
            .stages
            .own_share
            .with_label_values(&["entry"])
            .observe(0.003);
        let text = metrics.render().unwrap();
        assert!(text.contains(
            "turnstile_presentations_total{lane=\"entry\",medium=\"qr_code\",result=\"granted\"} 1"
        ));
        assert!(text.contains("turnstile_own_share_seconds_bucket{lane=\"entry\",le=\"0.005\"} 1"));
        assert!(text.contains("turnstile_build_info{version="));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            let mut words = line.split(' ').skip(2);
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            assert!(name.starts_with("turnstile_"), "{name}");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total"),
                "{name} is a {kind}"
            );
        }
    }

    #[test]
    fn a_lane_is_in_one_state_at_a_time() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        Metrics::set_one_of(&metrics.lane_state, "entry", "locked", "");
        Metrics::set_one_of(&metrics.lane_state, "entry", "released", "locked");
        let text = metrics.render().unwrap();
        assert!(text.contains("state=\"released\"} 1"));
        assert!(!text.contains("state=\"locked\""));
    }
}
