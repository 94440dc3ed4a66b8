//! What is known of the ports of readers: for metrics, pages and whoever asks how a reader does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Mono;
use crate::drivers::PortNews;
use crate::drivers::serial::Provisioned;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::seconds;
use crate::telemetry::status::PortStatus;

/// By the name of the reader.
#[derive(Debug, Default)]
pub(super) struct Ports(BTreeMap<String, PortStatus>);

impl Ports {
    /// A port stands otherwise than before. Its driver has logged it.
    pub(super) fn stands(&mut self, name: &str, news: &PortNews, metrics: &Metrics) {
        let port = self.of(name);
        let (before, state) = (port.state, news.state.as_str());
        let before = if before.is_empty() { state } else { before };
        Metrics::set_one_of(&metrics.reader_port_state, name, state, before);
        (port.state, port.baud) = (state, news.baud);
        port.why.clone_from(&news.why);
    }

    /// What the module says of itself.
    pub(super) fn is(&mut self, name: &str, module: &str) {
        self.of(name).module = Some(module.into());
    }

    /// How far giving it its key has come; true if it is waited for now and was not, or the other way round.
    pub(super) fn provisioned(&mut self, name: &str, how: Provisioned) -> bool {
        let open = Provisioned::Open.as_str();
        let before = self.of(name).provisioning.replace(how.as_str());
        (before == Some(open)) != (how.as_str() == open)
    }

    /// It has read something.
    pub(super) fn read(&mut self, name: &str, at: Mono, took: Duration, metrics: &Metrics) {
        let histogram = metrics.reader_read.with_label_values(&[name]);
        histogram.observe(seconds(took));
        let port = self.of(name);
        port.reads = port.reads.saturating_add(1);
        port.last_at_ms = Some(at.as_millis());
        port.last_took_us = Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// For the page; none where the reader has no port.
    pub(super) fn status(&self, name: &str) -> Option<PortStatus> {
        let port = self.0.get(name)?;
        (!port.state.is_empty()).then(|| port.clone())
    }

    fn of(&mut self, name: &str) -> &mut PortStatus {
        self.0.entry(name.into()).or_default()
    }
}
