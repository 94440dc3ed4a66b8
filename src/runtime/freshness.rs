//! Which lists have become stale: an alarm for the gate, and one line a change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::ListId;
use crate::store::codes::ListState;
use crate::telemetry::Metrics;

/// Alarm of the gate while a list is older than its site allows.
pub(super) const STALE_LIST: &str = "stale_list";

/// The lists that are followed.
#[derive(Debug)]
pub(super) struct Freshness {
    stale_after: BTreeMap<ListId, Duration>,
    stale: BTreeSet<ListId>,
}

impl Freshness {
    /// All of them fresh. Each with the age from which it counts as stale.
    pub(super) fn new(stale_after: impl IntoIterator<Item = (ListId, Duration)>) -> Self {
        Self {
            stale_after: stale_after.into_iter().collect(),
            stale: BTreeSet::new(),
        }
    }

    /// Other ages.
    pub(super) fn set(&mut self, stale_after: impl IntoIterator<Item = (ListId, Duration)>) {
        self.stale_after = stale_after.into_iter().collect();
    }

    /// Takes the age of a list. Without a date nobody knows it: it stays as it was.
    pub(super) fn judge(&mut self, list: &ListId, age: Option<Duration>, metrics: &Metrics) {
        let Some((age, limit)) = age.zip(self.stale_after.get(list)) else {
            return;
        };
        let stale = age > *limit;
        if stale == self.stale.contains(list) {
            return;
        }
        let (age_s, limit_s) = (age.as_secs(), limit.as_secs());
        if stale {
            self.stale.insert(list.clone());
            tracing::warn!(%list, age_s, limit_s, "a list is stale: the backend has signed nothing newer; the rule `stale` decides");
        } else {
            self.stale.remove(list);
            tracing::info!(%list, age_s, "the list is not stale any more");
        }
        metrics
            .alarm
            .with_label_values(&["gate", STALE_LIST])
            .set(self.is_any().into());
    }

    /// True while any list is stale.
    pub(super) fn is_any(&self) -> bool {
        !self.stale.is_empty()
    }
}

/// Brings the gauges of a list up to date.
pub(super) fn show(metrics: &Metrics, list: &ListId, state: &ListState, age: Option<Duration>) {
    let name = [list.as_str()];
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    metrics
        .list_version
        .with_label_values(&name)
        .set(signed(state.version));
    metrics
        .list_era
        .with_label_values(&name)
        .set(state.era.into());
    metrics
        .list_rows
        .with_label_values(&name)
        .set(signed(state.rows));
    if let Some(age) = age {
        metrics
            .list_age
            .with_label_values(&name)
            .set(age.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn a_list_is_stale_past_its_age_and_stays_so_while_nobody_knows_the_date() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let list = ListId::new("health").unwrap();
        let hour = Duration::from_secs(3_600);
        let mut freshness = Freshness::new([(list.clone(), hour)]);
        let mut judge = |age: Option<Duration>| {
            freshness.judge(&list, age, &metrics);
            freshness.is_any()
        };
        assert!(!judge(Some(hour)));
        assert!(judge(Some(hour * 2)));
        assert!(judge(None));
        let text = metrics.render().unwrap();
        assert!(text.contains("turnstile_alarm{alarm=\"stale_list\",lane=\"gate\"} 1"));
        assert!(!judge(Some(Duration::ZERO)));
    }
}
