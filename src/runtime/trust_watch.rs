//! Whether the trust list is past its date: an alarm for the gate, gauges, and one line a change.

use super::trust::{Chosen, Origin, is_expired};
use crate::domain::{Now, Utc};
use crate::telemetry::Metrics;
use crate::telemetry::status::TrustStatus;

/// Alarm of the gate while the trust list is past its date.
pub(super) const TRUST_EXPIRED: &str = "trust_expired";

/// The trust list in force, as pages and metrics see it.
#[derive(Clone, Copy, Debug)]
pub struct TrustWatch {
    version: u64,
    signed: bool,
    not_after: Option<Utc>,
    expired: bool,
}

impl TrustWatch {
    /// Of the trust list that a gate starts with.
    #[must_use]
    pub const fn new(chosen: &Chosen) -> Self {
        Self {
            version: chosen.list.version,
            signed: matches!(chosen.origin, Origin::Signed { .. }),
            not_after: chosen.list.not_after,
            expired: false,
        }
    }

    /// A signed one was accepted. It is in force if it is newer: the file of the config may have been read again meanwhile.
    pub(super) const fn applied(&mut self, version: u64, not_after: Utc) {
        if version <= self.version {
            return;
        }
        self.version = version;
        self.signed = true;
        self.not_after = Some(not_after);
    }

    /// True while it is past its date.
    pub(super) const fn is_expired(&self) -> bool {
        self.expired
    }

    /// Brings gauges and alarm up to date. Without a date nobody knows: the alarm stays as it was.
    pub(super) fn tick(&mut self, now: Now, metrics: &Metrics) -> TrustStatus {
        let version = i64::try_from(self.version).unwrap_or(i64::MAX);
        metrics.trust_version.set(version);
        let ends_in_s = self.not_after.zip(now.utc).map(|(end, now)| {
            let seconds = |at: Utc| i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
            seconds(end).saturating_sub(seconds(now))
        });
        if let Some(ends_in_s) = ends_in_s {
            // Gauges are floating point; no date of ours comes near what they cannot hold.
            #[expect(clippy::cast_precision_loss, reason = "seconds to a date")]
            metrics.trust_expires.set(ends_in_s as f64);
        }
        let expired = is_expired(self.not_after, now.utc) || (self.expired && now.utc.is_none());
        if expired != self.expired {
            self.expired = expired;
            let alarm = metrics.alarm.with_label_values(&["gate", TRUST_EXPIRED]);
            alarm.set(expired.into());
            let version = self.version;
            if expired {
                tracing::warn!(
                    version,
                    "the trust list is past its date: nobody has signed a newer one; the rule `trust_expired` decides"
                );
            } else {
                tracing::info!(version, "the trust list is not past its date any more");
            }
        }
        TrustStatus {
            version: self.version,
            signed: self.signed,
            ends_in_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::codes::TrustList;

    #[test]
    fn past_its_date_there_is_an_alarm_until_a_newer_one_is_in_force() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let text = "version = 3\nnot_after = 2026-02-02T02:40:00Z\n[[issuer]]\nid = \"card\"\nprofile = \"idcard\"\n";
        let mut watch = TrustWatch::new(&Chosen {
            list: TrustList::parse(text).unwrap(),
            origin: Origin::File,
            remark: None,
        });
        let end = Utc::from_secs(1_770_000_000);
        let at = |utc| Now {
            utc,
            ..Now::default()
        };
        let status = watch.tick(at(Some(end)), &metrics);
        assert_eq!((status.ends_in_s, watch.is_expired()), (Some(0), false));
        watch.tick(at(Some(end + std::time::Duration::from_secs(1))), &metrics);
        assert!(watch.is_expired());
        watch.tick(at(None), &metrics);
        let text = metrics.render().unwrap();
        assert!(text.contains("turnstile_alarm{alarm=\"trust_expired\",lane=\"gate\"} 1"));
        assert!(text.contains("turnstile_trust_version 3"));
        watch.applied(4, end + std::time::Duration::from_secs(100));
        let status = watch.tick(at(Some(end + std::time::Duration::from_secs(2))), &metrics);
        assert!(!watch.is_expired() && status.signed);
        assert_eq!((status.version, status.ends_in_s), (4, Some(98)));
    }
}
