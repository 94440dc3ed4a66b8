//! Makes the series and remembers what each of them says.

use std::cell::RefCell;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::MetricsError;

/// From 0.25 ms to 2 s: the own share is expected at a few milliseconds, end to end at some hundred.
const LATENCY_S: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0,
];

/// A series as `monitoring/metrics.md` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, bounded by the config or by an enum.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

pub(super) struct Build<'a> {
    pub(super) registry: &'a Registry,
    pub(super) described: RefCell<Vec<Described>>,
}

impl Build<'_> {
    fn register<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        series: C,
    ) -> Result<C, MetricsError> {
        self.registry.register(Box::new(series.clone()))?;
        let described = series.desc().into_iter().map(|desc| Described {
            name: desc.fq_name.clone(),
            kind,
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        });
        self.described.borrow_mut().extend(described);
        Ok(series)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register("counter", IntCounter::new(name, help)?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.register(
            "counter",
            IntCounterVec::new(Opts::new(name, help), labels)?,
        )
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.register("gauge", IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.register("gauge", IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn real_gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        self.register("gauge", Gauge::new(name, help)?)
    }

    pub(super) fn real_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, MetricsError> {
        self.register("gauge", GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str) -> Result<Histogram, MetricsError> {
        self.register(
            "histogram",
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCY_S.to_vec()))?,
        )
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec, MetricsError> {
        self.register(
            "histogram",
            HistogramVec::new(
                HistogramOpts::new(name, help).buckets(LATENCY_S.to_vec()),
                labels,
            )?,
        )
    }
}
