//! What is known of the ports of readers: for metrics, pages and whoever asks how a reader does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::Mono;
use crate::drivers::PortNews;
use crate::drivers::serial::Provisioned;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::seconds;
use crate::telemetry::status::PortStatus;

/// By the name of the reader.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<String, PortStatus>,
    /// Alarms that readers raise by themselves: lane, alarm, reader.
    alarms: BTreeSet<(String, String, String)>,
}

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

    /// How far giving it its key has come.
    pub(super) fn provisioned(&mut self, name: &str, how: Provisioned) {
        self.of(name).provisioning = Some(how.as_str());
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

    /// A reader raises an alarm, or ends it; true if that is a change.
    pub(super) fn alarm(&mut self, lane: &str, alarm: &str, reader: &str, on: bool) -> bool {
        let key = (lane.to_owned(), alarm.to_owned(), reader.to_owned());
        if on {
            self.alarms.insert(key)
        } else {
            self.alarms.remove(&key)
        }
    }

    /// Where, and what: `reader_tampered (entry-card)`.
    pub(super) fn alarms(&self) -> impl Iterator<Item = (String, String)> {
        let alarms = self.alarms.iter();
        alarms.map(|(lane, alarm, reader)| (lane.clone(), format!("{alarm} ({reader})")))
    }

    /// For the page; none where the reader has no port.
    pub(super) fn status(&self, name: &str) -> Option<PortStatus> {
        let port = self.ports.get(name)?;
        (!port.state.is_empty()).then(|| port.clone())
    }

    fn of(&mut self, name: &str) -> &mut PortStatus {
        self.ports.entry(name.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::PortState;
    use prometheus::Registry;

    #[test]
    fn a_port_has_one_state_in_metrics_and_the_page_says_why() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let mut ports = Ports::default();
        assert_eq!(ports.status("card"), None);
        for state in PortState::ALL {
            let why = (state == PortState::Lost).then(|| "the module does not answer".into());
            let news = PortNews {
                state,
                baud: 9_600,
                why,
            };
            ports.stands("card", &news, &metrics);
        }
        let text = metrics.render().unwrap();
        let series = "turnstile_reader_port_state{device=\"card\",state=";
        let on: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(series))
            .collect();
        assert_eq!(on, [format!("{series}\"lost\"}} 1")]);
        let status = ports.status("card").unwrap();
        assert_eq!((status.state, status.baud), ("lost", 9_600));
        assert_eq!(status.why.as_deref(), Some("the module does not answer"));
    }

    #[test]
    fn an_alarm_of_a_reader_stands_on_the_page_until_that_reader_ends_it() {
        let mut ports = Ports::default();
        assert!(ports.alarm("entry", "reader_tampered", "card", true));
        assert!(!ports.alarm("entry", "reader_tampered", "card", true));
        let on: Vec<_> = ports.alarms().collect();
        assert_eq!(on, [("entry".into(), "reader_tampered (card)".into())]);
        assert!(!ports.alarm("entry", "reader_tampered", "other", false));
        assert!(ports.alarm("entry", "reader_tampered", "card", false));
        assert_eq!(ports.alarms().count(), 0);
    }
}
