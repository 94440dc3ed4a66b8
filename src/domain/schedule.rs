//! Which mode the calendar wants: the date and the time zone in, a mode and its end out.
//!
//! A span begins on the days it names, at `from`, and ends at `to`: on the same day if that is later, else on the next.
//! A holiday is no weekday: only spans that name `holiday` begin on it. Of spans that overlap, the first in the list
//! counts. A local time that a clock change skips counts as the moment it is skipped to, an hour later; one that comes
//! twice counts as the first of the two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::mode::Mode;
use super::time::Utc;

/// Minutes of a day; a span may end at its last.
pub const DAY_MIN: u16 = 24 * 60;
/// How many days a change is looked for; past this it is looked for again.
const AHEAD_DAYS: u16 = 8;

/// A kind of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday, if it is no holiday; and so on.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
    /// A day of the list of holidays, whatever weekday it is.
    Holiday,
}

impl Day {
    const WEEK: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];
}

/// What a site's spans have in common.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Where their times are local.
    pub zone: TimeZone,
    /// Days that are no weekdays.
    pub holidays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            holidays: BTreeSet::new(),
        }
    }
}

/// A span of local time with a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Kinds of days on which it begins.
    pub days: Vec<Day>,
    /// When it begins: minutes after midnight, 0 to 1439.
    pub from: u16,
    /// When it ends: minutes after midnight, 1 to [`DAY_MIN`]. Not after `from`: on the next day.
    pub to: u16,
    /// The mode meanwhile.
    pub mode: Mode,
}

/// What the schedule says while the date is not trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dateless {
    /// Nothing: the lane has its own mode.
    #[default]
    LaneMode,
    /// What it said last since the start, or else nothing.
    Last,
}

/// The schedule of one lane.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// Time zone and holidays.
    pub calendar: Arc<Calendar>,
    /// Its spans, the first that covers a moment counts.
    pub spans: Vec<Span>,
    /// What counts while nobody vouches for the date.
    pub dateless: Dateless,
}

/// What a schedule says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The mode it wants; `None`: no span covers the moment.
    pub mode: Option<Mode>,
    /// Which span it is.
    pub span: Option<usize>,
    /// From here on it wants something else; `None`: not within eight days.
    pub until: Option<Utc>,
    /// The moment that was asked about.
    pub asked: Utc,
    /// From here on it has to be asked again.
    pub ask_again: Utc,
}

impl Plan {
    /// True if the answer holds at `now` too.
    #[must_use]
    pub fn holds(&self, now: Utc) -> bool {
        self.asked <= now && now < self.ask_again
    }
}

impl Schedule {
    /// What it says at `now`.
    #[must_use]
    pub fn at(&self, now: Utc) -> Plan {
        let windows = self.windows(now);
        let span = covering(&windows, now);
        let mode = |span: Option<usize>| span.and_then(|n| self.spans.get(n)).map(|s| s.mode);
        let mut moments: Vec<Utc> = windows
            .iter()
            .flat_map(|window| [window.begins, window.ends])
            .filter(|moment| *moment > now)
            .collect();
        moments.sort_unstable();
        moments.dedup();
        let horizon = now + Duration::from_secs(u64::from(AHEAD_DAYS) * 86_400);
        let wanted = mode(span);
        let until = moments
            .into_iter()
            .find(|moment| *moment < horizon && mode(covering(&windows, *moment)) != wanted);
        Plan {
            mode: wanted,
            span,
            until,
            asked: now,
            ask_again: until.unwrap_or(horizon),
        }
    }

    /// Every span of the days from yesterday on, as moments.
    fn windows(&self, now: Utc) -> Vec<Window> {
        let zone = &self.calendar.zone;
        let ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let Ok(mut date) = zone.to_datetime(moment).date().yesterday() else {
            return Vec::new();
        };
        let mut windows = Vec::new();
        for _ in 0..AHEAD_DAYS.saturating_add(2) {
            let kind = self.kind(date);
            let spans = self.spans.iter().enumerate();
            for (number, span) in spans.filter(|(_, span)| span.days.contains(&kind)) {
                let last = if span.to > span.from {
                    Ok(date)
                } else {
                    date.tomorrow()
                };
                let begins = self.moment(date, span.from);
                let ends = last.ok().and_then(|last| self.moment(last, span.to));
                windows.extend(begins.zip(ends).map(|(begins, ends)| Window {
                    number,
                    begins,
                    ends,
                }));
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        windows
    }

    fn kind(&self, date: Date) -> Day {
        if self.calendar.holidays.contains(&date) {
            return Day::Holiday;
        }
        let number = usize::try_from(date.weekday().to_monday_zero_offset());
        let day = number.ok().and_then(|number| Day::WEEK.get(number));
        day.copied().unwrap_or(Day::Mon)
    }

    /// The moment of a local time.
    fn moment(&self, date: Date, minute: u16) -> Option<Utc> {
        let (date, minute) = if minute >= DAY_MIN {
            (date.tomorrow().ok()?, 0)
        } else {
            (date, minute)
        };
        let hour = i8::try_from(minute / 60).ok()?;
        let local = date.at(hour, i8::try_from(minute % 60).ok()?, 0, 0);
        let ms = self
            .calendar
            .zone
            .to_timestamp(local)
            .ok()?
            .as_millisecond();
        u64::try_from(ms).ok().map(Utc::from_millis)
    }
}

/// A span on one day.
#[derive(Clone, Copy, Debug)]
struct Window {
    number: usize,
    begins: Utc,
    ends: Utc,
}

fn covering(windows: &[Window], now: Utc) -> Option<usize> {
    let covers = |window: &&Window| window.begins <= now && now < window.ends;
    windows.iter().filter(covers).map(|w| w.number).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKDAYS: [Day; 5] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

    fn span(days: &[Day], from: (u16, u16), to: (u16, u16), mode: Mode) -> Span {
        Span {
            days: days.to_vec(),
            from: from.0 * 60 + from.1,
            to: to.0 * 60 + to.1,
            mode,
        }
    }

    fn schedule(zone: &str, spans: Vec<Span>) -> Schedule {
        let calendar = Calendar {
            zone: TimeZone::get(zone).unwrap(),
            holidays: [jiff::civil::date(2026, 12, 25)].into(),
        };
        Schedule {
            calendar: Arc::new(calendar),
            spans,
            dateless: Dateless::default(),
        }
    }

    fn utc(text: &str) -> Utc {
        let at: Timestamp = text.parse().unwrap();
        Utc::from_millis(u64::try_from(at.as_millisecond()).unwrap())
    }

    /// Mode and end at a moment, given as text.
    fn says(schedule: &Schedule, at: &str) -> (Option<Mode>, Option<String>) {
        let plan = schedule.at(utc(at));
        let until = plan.until.map(|until| {
            let ms = i64::try_from(until.as_millis()).unwrap();
            Timestamp::from_millisecond(ms).unwrap().to_string()
        });
        (plan.mode, until)
    }

    #[test]
    fn a_span_across_midnight_belongs_to_the_day_it_begins_on() {
        // Friday night, Beijing; Saturday has none.
        let nights = schedule(
            "Asia/Shanghai",
            vec![span(&WORKDAYS, (23, 30), (4, 30), Mode::Closed)],
        );
        let closed = |until: &str| (Some(Mode::Closed), Some(until.to_owned()));
        // 2026-11-27 is a Friday.
        assert_eq!(says(&nights, "2026-11-27T15:29:59Z").0, None);
        assert_eq!(
            says(&nights, "2026-11-27T15:30:00Z"),
            closed("2026-11-27T20:30:00Z")
        );
        assert_eq!(
            says(&nights, "2026-11-27T20:29:59.999Z"),
            closed("2026-11-27T20:30:00Z")
        );
        assert_eq!(
            says(&nights, "2026-11-27T20:30:00Z"),
            (None, Some("2026-11-30T15:30:00Z".into()))
        );
        assert_eq!(
            says(&nights, "2026-11-28T16:00:00Z").0,
            None,
            "Saturday night"
        );
        // Monday's first hours belong to Sunday.
        assert_eq!(says(&nights, "2026-11-29T17:00:00Z").0, None);
    }

    #[test]
    fn a_holiday_is_no_weekday_and_the_night_before_goes_on_into_it() {
        let mut all_week = Day::WEEK.to_vec();
        let nights = span(&all_week, (23, 0), (5, 0), Mode::Closed);
        all_week.push(Day::Holiday);
        let free = span(&[Day::Holiday], (0, 0), (24, 0), Mode::Free);
        let days = schedule("UTC", vec![nights, free]);
        assert_eq!(says(&days, "2026-12-25T04:59:00Z").0, Some(Mode::Closed));
        assert_eq!(
            says(&days, "2026-12-25T05:00:00Z"),
            (Some(Mode::Free), Some("2026-12-26T00:00:00Z".into()))
        );
        assert_eq!(
            says(&days, "2026-12-25T23:30:00Z").0,
            Some(Mode::Free),
            "no closing"
        );
        assert_eq!(says(&days, "2026-12-26T23:30:00Z").0, Some(Mode::Closed));
    }

    #[test]
    fn the_first_span_that_covers_a_moment_counts_and_equal_neighbours_are_one() {
        let both = schedule(
            "UTC",
            vec![
                span(&Day::WEEK, (8, 0), (9, 0), Mode::EntryOnly),
                span(&Day::WEEK, (0, 0), (12, 0), Mode::Free),
                span(&Day::WEEK, (12, 0), (24, 0), Mode::Free),
            ],
        );
        assert_eq!(says(&both, "2026-11-24T08:30:00Z").0, Some(Mode::EntryOnly));
        assert_eq!(
            says(&both, "2026-11-24T09:00:00Z"),
            (Some(Mode::Free), Some("2026-11-25T08:00:00Z".into()))
        );
        let always = schedule("UTC", vec![span(&Day::WEEK, (0, 0), (24, 0), Mode::Free)]);
        let plan = always.at(utc("2026-11-24T08:30:00Z"));
        assert_eq!((plan.mode, plan.until), (Some(Mode::Free), None));
        assert!(
            plan.holds(utc("2026-11-30T08:30:00Z")) && !plan.holds(utc("2026-11-20T08:30:00Z"))
        );
        assert_eq!(
            Schedule::default().at(utc("2026-11-24T08:30:00Z")).mode,
            None
        );
    }

    #[test]
    fn a_span_as_long_as_a_day_ends_when_the_next_one_may_begin() {
        let long = schedule("UTC", vec![span(&[Day::Tue], (10, 0), (10, 0), Mode::Free)]);
        assert_eq!(
            says(&long, "2026-11-24T10:00:00Z"),
            (Some(Mode::Free), Some("2026-11-25T10:00:00Z".into()))
        );
        assert_eq!(says(&long, "2026-11-25T10:00:00Z").0, None);
    }

    #[test]
    fn clock_changes_neither_lose_a_span_nor_double_it() {
        let nights = schedule(
            "Europe/Berlin",
            vec![
                span(&Day::WEEK, (2, 15), (2, 45), Mode::Free),
                span(&Day::WEEK, (23, 0), (5, 0), Mode::Closed),
            ],
        );
        // 2026-03-29: 02:00 becomes 03:00. The short span begins an hour later, and the night has five hours.
        assert_eq!(says(&nights, "2026-03-29T01:14:59Z").0, Some(Mode::Closed));
        assert_eq!(
            says(&nights, "2026-03-29T01:15:00Z"),
            (Some(Mode::Free), Some("2026-03-29T01:45:00Z".into()))
        );
        assert_eq!(
            says(&nights, "2026-03-29T01:45:00Z"),
            (Some(Mode::Closed), Some("2026-03-29T03:00:00Z".into()))
        );
        // 2026-10-25: 03:00 becomes 02:00. The short span comes once, the night has seven hours.
        assert_eq!(
            says(&nights, "2026-10-25T00:15:00Z"),
            (Some(Mode::Free), Some("2026-10-25T00:45:00Z".into()))
        );
        assert_eq!(
            says(&nights, "2026-10-25T01:15:00Z"),
            (Some(Mode::Closed), Some("2026-10-25T04:00:00Z".into()))
        );
    }

    proptest::proptest! {
        /// Whatever the spans: the answer for a moment is the answer until the change that it names, and not after.
        #[test]
        fn an_answer_holds_until_the_change_that_it_names(
            spans in proptest::collection::vec((0u16..1440, 1u16..=1440, 0usize..7, 0u8..=255), 0..6),
            at_min in 0u64..(2 * 366 * 1440),
            zone in 0usize..3,
        ) {
            let spans = spans.into_iter().map(|(from, to, mode, days)| {
                let all = Day::WEEK.iter().chain([&Day::Holiday]);
                let days = all.enumerate().filter(|(n, _)| days >> n & 1 == 1);
                Span { days: days.map(|(_, day)| *day).collect(), from, to, mode: Mode::ALL[mode] }
            });
            let zone = ["UTC", "Europe/Berlin", "Australia/Lord_Howe"][zone];
            let schedule = schedule(zone, spans.collect());
            let now = utc("2026-01-01T00:00:00Z") + Duration::from_secs(at_min * 60);
            let plan = schedule.at(now);
            let horizon = now + Duration::from_secs(8 * 86_400);
            let end = plan.until.unwrap_or(horizon);
            proptest::prop_assert!(now < end && end <= horizon);
            for part in 0..40 {
                let then = Utc::from_millis(now.as_millis() + (end.as_millis() - now.as_millis()) * part / 40);
                proptest::prop_assert_eq!(schedule.at(then).mode, plan.mode);
            }
            if plan.until.is_some() {
                proptest::prop_assert_ne!(schedule.at(end).mode, plan.mode);
            }
        }
    }
}
