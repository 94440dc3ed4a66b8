//! `[schedule]`: which mode the calendar wants of which lane, and the rules for it.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use super::rules::{Broken, broken};
use super::tree::{Config, Lane};
use crate::domain::schedule::{self, Calendar, DAY_MIN, Dateless, Day};
use crate::domain::{Direction, Mode};

/// Spans of one gate.
const SPANS_MAX: usize = 32;
/// Holidays of one gate.
const HOLIDAYS_MAX: usize = 400;

/// `[schedule]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Where the times of the spans are local; needed as soon as there is one.
    pub time_zone: Option<Zone>,
    /// Days that are no weekdays, whatever weekday they are.
    pub holidays: Vec<Holiday>,
    /// What the schedule says while nobody vouches for the date.
    pub clock_untrusted: Dateless,
    /// The spans; of those that cover a moment the first counts.
    #[serde(rename = "span")]
    pub spans: Vec<Span>,
}

/// `[[schedule.span]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Names of the lanes; empty: all.
    #[serde(default)]
    pub lanes: Vec<String>,
    /// On which days it begins; absent: every day.
    #[serde(default = "every_day")]
    pub days: Vec<Day>,
    /// When it begins, local time.
    pub from: TimeOfDay,
    /// When it ends; not later than `from`: on the next day.
    pub to: TimeOfDay,
    /// The mode meanwhile.
    pub mode: Mode,
}

fn every_day() -> Vec<Day> {
    use Day::{Fri, Holiday, Mon, Sat, Sun, Thu, Tue, Wed};
    vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun, Holiday]
}

impl Schedule {
    /// The schedule of one lane.
    #[must_use]
    pub fn of(&self, lane: &Lane) -> schedule::Schedule {
        let concerns = |span: &&Span| span.lanes.is_empty() || span.lanes.contains(&lane.name);
        let span = |span: &Span| schedule::Span {
            days: span.days.clone(),
            from: span.from.0,
            to: span.to.0,
            mode: span.mode,
        };
        let zone = self.time_zone.as_ref();
        schedule::Schedule {
            calendar: Arc::new(Calendar {
                zone: zone.map_or(TimeZone::UTC, |zone| zone.0.clone()),
                holidays: self.holidays.iter().map(|holiday| holiday.0).collect(),
            }),
            spans: self.spans.iter().filter(concerns).map(span).collect(),
            dateless: self.clock_untrusted,
        }
    }
}

/// Rules of the table.
pub(super) fn check(config: &Config) -> Result<(), Broken> {
    let schedule = &config.schedule;
    if !schedule.spans.is_empty() && schedule.time_zone.is_none() {
        let sentence = "spans need a time zone: an IANA name like \"Asia/Shanghai\"";
        return broken("schedule.time_zone", sentence);
    }
    if schedule.spans.len() > SPANS_MAX {
        let sentence = format!(
            "{} spans are given; allowed are 0 to {SPANS_MAX}",
            schedule.spans.len()
        );
        return broken("schedule.span", sentence);
    }
    if schedule.holidays.len() > HOLIDAYS_MAX {
        let sentence = format!(
            "{} holidays are given; allowed are 0 to {HOLIDAYS_MAX}",
            schedule.holidays.len()
        );
        return broken("schedule.holidays", sentence);
    }
    for (i, span) in schedule.spans.iter().enumerate() {
        check_span(&format!("schedule.span[{i}]"), span, config)?;
    }
    Ok(())
}

fn check_span(at: &str, span: &Span, config: &Config) -> Result<(), Broken> {
    if span.days.is_empty() {
        let sentence = "empty: a span begins on \"mon\" to \"sun\" or \"holiday\"";
        return broken(format!("{at}.days"), sentence);
    }
    if span.from.0 >= DAY_MIN {
        let sentence = "\"24:00\" is an end; a beginning is \"00:00\" to \"23:59\"";
        return broken(format!("{at}.from"), sentence);
    }
    if span.mode == Mode::Emergency {
        let sentence = "an emergency is no matter of the calendar; allowed are \"normal\", \"free\", \"closed\", \
                        \"entry_only\", \"exit_only\" and \"maintenance\"";
        return broken(format!("{at}.mode"), sentence);
    }
    for (j, name) in span.lanes.iter().enumerate() {
        if !config.lanes.iter().any(|lane| lane.name == *name) {
            let names: Vec<_> = config.lanes.iter().map(|lane| lane.name.as_str()).collect();
            let sentence = format!(
                "there is no lane \"{name}\"; this gate has {}",
                names.join(", ")
            );
            return broken(format!("{at}.lanes[{j}]"), sentence);
        }
    }
    let concerned = |lane: &&Lane| span.lanes.is_empty() || span.lanes.contains(&lane.name);
    for lane in config.lanes.iter().filter(concerned) {
        if let Some(needed) = needs(span.mode, &lane.directions) {
            let sentence = format!(
                "mode \"{}\" needs \"{needed}\" among the directions of lane \"{}\"",
                span.mode.as_str(),
                lane.name
            );
            return broken(format!("{at}.mode"), sentence);
        }
    }
    Ok(())
}

/// The direction that a lane would have to serve for this mode, and does not.
#[must_use]
pub fn needs(mode: Mode, served: &[Direction]) -> Option<Direction> {
    let needed = match mode {
        Mode::EntryOnly => Direction::Entry,
        Mode::ExitOnly => Direction::Exit,
        Mode::Normal | Mode::Free | Mode::Closed | Mode::Maintenance | Mode::Emergency => {
            return None;
        }
    };
    (!served.contains(&needed)).then_some(needed)
}

/// A time zone by its IANA name. Its rules come from the system, or where it has none from the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub TimeZone);

/// A date, `2026-12-25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holiday(pub Date);

/// A local time as minutes after midnight, `23:30`; `24:00` is the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(pub u16);

/// Reads a text in quotes, and says what it should be where it is something else.
struct Text<F> {
    wanted: &'static str,
    read: F,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        let Self { wanted, read } = self;
        read(text).ok_or_else(|| E::custom(format!("\"{text}\" is not {wanted}")))
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wanted = "the IANA name of a time zone, like \"Asia/Shanghai\"";
        let read = |name: &str| TimeZone::get(name).ok().map(Self);
        d.deserialize_str(Text { wanted, read })
            .map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Holiday {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wanted = "a date in quotes, like \"2026-12-25\"";
        let read = |text: &str| {
            let plain = text.len() == 10;
            plain.then(|| text.parse().ok().map(Self)).flatten()
        };
        d.deserialize_str(Text { wanted, read })
            .map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wanted = "a time of day in quotes, \"00:00\" to \"24:00\"";
        let read = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let number = |digits: &str| {
                let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
                two.then(|| digits.parse::<u16>().ok()).flatten()
            };
            let minutes = number(hour)? * 60 + number(minute).filter(|minute| *minute < 60)?;
            (minutes <= DAY_MIN).then_some(Self(minutes))
        };
        d.deserialize_str(Text { wanted, read })
            .map_err(D::Error::custom)
    }
}
