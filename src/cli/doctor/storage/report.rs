//! What was measured, the limits it is held against, and how both are told.

use std::fmt;

use serde::Serialize;

/// Microseconds that something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Took {
    /// Half of them took no longer.
    pub p50: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Took {
    /// Sums up; all zero if there is nothing.
    #[must_use]
    pub fn of(mut us: Vec<u64>) -> Self {
        us.sort_unstable();
        let last = us.len().saturating_sub(1);
        let at = |percent: usize| us.get(last.saturating_mul(percent) / 100).copied();
        Self {
            p50: at(50).unwrap_or(0),
            p99: at(99).unwrap_or(0),
            max: at(100).unwrap_or(0),
        }
    }
}

/// Figures of one run. Names and units are an interface: the JSON of `--json` has exactly these keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Rows of the list.
    pub rows: u64,
    /// Loading it into an empty cache, durable at the end.
    pub load_s: f64,
    /// Most memory of this process until then.
    pub load_peak_rss_mib: f64,
    /// Memory with the list in use.
    pub steady_rss_mib: f64,
    /// What one generation of the list takes on the disk.
    pub disk_mib: f64,
    /// Look-ups in the list, warm.
    pub lookup_us: Took,
    /// Changes that were made to the list after that.
    pub changes: u64,
    /// How many of them the disk took in a second, each thousand durable.
    pub changes_per_s: u64,
    /// Look-ups after the changes.
    pub aged_lookup_us: Took,
    /// Memory then.
    pub aged_rss_mib: f64,
    /// What the generation takes on the disk then.
    pub aged_disk_mib: f64,
    /// Loading a second generation beside the one in use.
    pub reload_s: f64,
    /// Most memory meanwhile.
    pub reload_peak_rss_mib: f64,
    /// Look-ups meanwhile.
    pub reload_lookup_us: Took,
    /// Making one grant durable in a journal.
    pub append_us: Took,
}

/// A limit: what it is about, what was measured, what is allowed, the unit.
pub struct Limit {
    name: &'static str,
    measured: f64,
    most: f64,
    unit: &'static str,
}

impl Limit {
    fn holds(&self) -> bool {
        self.measured <= self.most
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            measured,
            most,
            unit,
        } = self;
        write!(f, "{name} {measured:.1} {unit}, at most {most} {unit}")
    }
}

impl Figures {
    /// Everything that is judged. The limits are those of a list of ten million rows on a gate, and of a grant that must
    /// be durable before the barrier is released: 20 ms of own share, of which the disk may have 15.
    #[must_use]
    pub fn limits(&self) -> Vec<Limit> {
        let us = |us: u64| us as f64;
        let limit = |name, measured, most, unit| Limit {
            name,
            measured,
            most,
            unit,
        };
        vec![
            limit("load_s", self.load_s, 60.0, "s"),
            limit("load_peak_rss_mib", self.load_peak_rss_mib, 128.0, "MiB"),
            limit("steady_rss_mib", self.steady_rss_mib, 128.0, "MiB"),
            limit("aged_rss_mib", self.aged_rss_mib, 128.0, "MiB"),
            limit(
                "reload_peak_rss_mib",
                self.reload_peak_rss_mib,
                224.0,
                "MiB",
            ),
            limit("disk_mib", self.disk_mib, 800.0, "MiB"),
            limit("lookup_us.p99", us(self.lookup_us.p99), 1_000.0, "us"),
            limit(
                "aged_lookup_us.p99",
                us(self.aged_lookup_us.p99),
                1_000.0,
                "us",
            ),
            limit("append_us.p99", us(self.append_us.p99), 15_000.0, "us"),
        ]
    }

    /// The limits that do not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let broken = |limit: Limit| (!limit.holds()).then(|| limit.to_string());
        self.limits().into_iter().filter_map(broken).collect()
    }

    /// As JSON on one line: the figures, then `verdict` (`good` or `not_good`) and `why`, a sentence a broken limit.
    ///
    /// # Errors
    /// Never for figures that were measured.
    pub fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Judged<'a> {
            #[serde(flatten)]
            figures: &'a Figures,
            verdict: &'static str,
            why: Vec<String>,
        }
        let why = self.broken();
        let verdict = if why.is_empty() { "good" } else { "not_good" };
        serde_json::to_string(&Judged {
            figures: self,
            verdict,
            why,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows, {} changes", self.rows, self.changes)?;
        for limit in self.limits() {
            let mark = if limit.holds() {
                "good    "
            } else {
                "NOT GOOD"
            };
            writeln!(f, "{mark}  {limit}")?;
        }
        let all = self.broken().is_empty();
        let verdict = if all {
            "good enough for a gate"
        } else {
            "not good enough for a gate"
        };
        write!(f, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_card_is_told_with_the_figure_and_the_limit() {
        let mut figures = Figures {
            rows: 10_000_000,
            load_s: 59.9,
            ..Figures::default()
        };
        assert!(
            figures
                .json()
                .unwrap()
                .contains(r#""verdict":"good","why":[]"#)
        );
        figures.append_us = Took::of(vec![1_000, 20_000, 30_000]);
        assert_eq!(
            figures.broken(),
            ["append_us.p99 20000.0 us, at most 15000 us"]
        );
        let json: serde_json::Value = serde_json::from_str(&figures.json().unwrap()).unwrap();
        assert_eq!(json["verdict"], "not_good");
        assert_eq!(json["append_us"]["max"], 30_000);
        assert!(figures.to_string().ends_with("not good enough for a gate"));
    }

    #[test]
    fn sums_are_those_of_the_sorted_times() {
        let took = Took::of((0..=200).rev().collect());
        assert_eq!((took.p50, took.p99, took.max), (100, 198, 200));
        assert_eq!(Took::of(Vec::new()), Took::default());
    }
}
