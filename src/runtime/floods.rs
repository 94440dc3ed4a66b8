//! Readers that present more than people can: an alarm for the lane, and one line when it begins and when it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Mono;
use crate::telemetry::Metrics;

/// Alarm of a lane while one of its readers presents more than people can.
pub(super) const READER_FLOODED: &str = "reader_flooded";
/// From when without a drop a flood is over.
const CALM: Duration = Duration::from_secs(5);

/// The floods of a gate, by reader.
#[derive(Debug, Default)]
pub(super) struct Floods(BTreeMap<String, Flood>);

#[derive(Debug)]
struct Flood {
    lane: String,
    last: Mono,
    dropped: u64,
}

impl Floods {
    /// So many presentations of a reader of `lane` came too fast and were dropped.
    pub(super) fn see(
        &mut self,
        now: Mono,
        lane: String,
        reader: &str,
        dropped: u32,
        metrics: &Metrics,
    ) {
        let dropped = u64::from(dropped);
        if let Some(flood) = self.0.get_mut(reader) {
            flood.last = now;
            flood.dropped = flood.dropped.saturating_add(dropped);
            return;
        }
        alarm(&lane, true, metrics);
        tracing::warn!(
            reader,
            lane,
            "more is presented than people can show; what comes too fast is dropped"
        );
        let last = now;
        self.0.insert(
            reader.into(),
            Flood {
                lane,
                last,
                dropped,
            },
        );
    }

    /// Ends floods that are over.
    pub(super) fn settle(&mut self, now: Mono, metrics: &Metrics) {
        let over = |flood: &Flood| now.since(flood.last) >= CALM;
        let over = self.0.iter().find(|(_, flood)| over(flood));
        let Some((reader, flood)) = over
            .map(|(reader, _)| reader.clone())
            .and_then(|reader| self.0.remove_entry(&reader))
        else {
            return;
        };
        let Flood { lane, dropped, .. } = flood;
        alarm(&lane, self.lanes().any(|other| other == lane), metrics);
        tracing::info!(reader, lane, dropped, "the flood of presentations is over");
    }

    /// The lanes with a flood.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|flood| flood.lane.as_str())
    }
}

fn alarm(lane: &str, on: bool, metrics: &Metrics) {
    metrics
        .alarm
        .with_label_values(&[lane, READER_FLOODED])
        .set(on.into());
}
