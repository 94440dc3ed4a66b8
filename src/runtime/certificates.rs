//! When the certificates of a gate end: a gauge, a warning in time, and the date that others' are checked at.

use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{Now, Utc};
use crate::sync::tls::{Facts, SharedDate};
use crate::telemetry::Metrics;

/// How long before its end a certificate is warned about; a short-lived one in the last quarter of its life.
const WARN: Duration = Duration::from_secs(14 * 86_400);

/// Validity of a gate's certificate, and of the authority that it believes.
pub type Ends = (Facts, Facts);

/// How it stands with one certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Fine,
    EndsSoon,
    Ended,
}

impl Standing {
    /// As on the status page.
    const fn alarm(self) -> Option<&'static str> {
        match self {
            Self::Fine => None,
            Self::EndsSoon => Some("certificate_ends_soon"),
            Self::Ended => Some("certificate_ended"),
        }
    }
}

/// Looks after them.
pub struct Certificates {
    ends: watch::Receiver<Ends>,
    date: SharedDate,
    standing: [Standing; 2],
}

impl Certificates {
    /// Those that `ends` tells of; `date` is told the date.
    #[must_use]
    pub fn new(ends: watch::Receiver<Ends>, date: SharedDate) -> Self {
        Self {
            ends,
            date,
            standing: [Standing::Fine; 2],
        }
    }

    /// Something signed says that it is at least this date.
    pub fn raise_floor(&self, date: Utc) {
        self.date.raise_floor(date);
    }

    /// Sets the gauges, warns once a change, and gives what is wrong. Says nothing while the date is not trusted.
    pub fn tick(&mut self, now: Now, metrics: &Metrics) -> Vec<&'static str> {
        self.date.set(now);
        if let Some(utc) = now.utc {
            let (certificate, authority) = self.ends.borrow().clone();
            let [ours, theirs] = &mut self.standing;
            look("gate", &certificate, utc, ours, metrics);
            look("authority", &authority, utc, theirs, metrics);
        }
        let mut alarms: Vec<_> = self.standing.iter().filter_map(|one| one.alarm()).collect();
        alarms.dedup();
        alarms
    }
}

fn look(name: &str, facts: &Facts, now: Utc, standing: &mut Standing, metrics: &Metrics) {
    let left = facts.not_after.since(now);
    let over = now.since(facts.not_after);
    let expires = metrics.certificate_expires.with_label_values(&[name]);
    expires.set(left.as_secs_f64() - over.as_secs_f64());
    let life = facts.not_after.since(facts.not_before);
    let next = if left.is_zero() {
        Standing::Ended
    } else if left < WARN.min(life / 4) {
        Standing::EndsSoon
    } else {
        Standing::Fine
    };
    if next == *standing {
        return;
    }
    *standing = next;
    let hours = left.as_secs() / 3_600;
    match next {
        Standing::Fine => tracing::info!(certificate = name, "the certificate is renewed"),
        Standing::EndsSoon => tracing::warn!(
            certificate = name,
            hours,
            "the certificate ends soon; enrol the gate again and put the new files in place"
        ),
        Standing::Ended => tracing::warn!(
            certificate = name,
            "the certificate has ended: no list comes and no passage goes until it is renewed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::domain::ClockQuality;

    fn facts(from_day: u64, to_day: u64) -> Facts {
        let day = |day: u64| Utc::from_secs(day * 86_400);
        Facts {
            not_before: day(from_day),
            not_after: day(to_day),
            common_name: None,
        }
    }

    fn on_day(day: u64) -> Now {
        Now {
            utc: Some(Utc::from_secs(day * 86_400)),
            quality: ClockQuality::Synchronised,
            ..Now::default()
        }
    }

    #[test]
    fn a_certificate_is_warned_about_in_time_and_a_renewed_one_is_not() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let days_left = || {
            metrics
                .certificate_expires
                .with_label_values(&["gate"])
                .get()
                / 86_400.0
        };
        let (send, ends) = watch::channel((facts(0, 365), facts(0, 3_650)));
        let date = SharedDate::new(Utc::from_secs(0));
        let mut certificates = Certificates::new(ends, date.clone());
        assert!(certificates.tick(on_day(350), &metrics).is_empty());
        assert!((14.9..15.1).contains(&days_left()));
        assert_eq!(
            certificates.tick(on_day(352), &metrics),
            ["certificate_ends_soon"]
        );
        assert_eq!(
            certificates.tick(on_day(366), &metrics),
            ["certificate_ended"]
        );
        assert!((-1.1..-0.9).contains(&days_left()));
        send.send_replace((facts(360, 725), facts(0, 3_650)));
        assert!(certificates.tick(on_day(366), &metrics).is_empty());
        assert!(date.date()().trusted);
    }

    #[test]
    fn a_short_life_is_no_reason_to_warn_all_the_time() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (_send, ends) = watch::channel((facts(100, 108), facts(0, 3_650)));
        let mut certificates = Certificates::new(ends, SharedDate::new(Utc::from_secs(0)));
        assert!(certificates.tick(on_day(105), &metrics).is_empty());
        assert_eq!(
            certificates.tick(on_day(107), &metrics),
            ["certificate_ends_soon"]
        );
    }

    #[test]
    fn a_clock_that_nobody_vouches_for_warns_of_nothing() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (_send, ends) = watch::channel((facts(0, 10), facts(0, 10)));
        let date = SharedDate::new(Utc::from_secs(5));
        let mut certificates = Certificates::new(ends, date.clone());
        assert!(certificates.tick(Now::default(), &metrics).is_empty());
        certificates.raise_floor(Utc::from_secs(7));
        let at = date.date()();
        assert_eq!((at.utc, at.trusted), (Utc::from_secs(7), false));
    }
}
