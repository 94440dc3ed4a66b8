//! What `turnstiled check` says of modes: who may want which, and what the calendar wants next.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Config;
use crate::config::tree::{Key, Lane};
use crate::domain::schedule::Dateless;
use crate::domain::{Mode, Schedule, Utc};

/// Changes of the calendar that are told for each lane.
const CHANGES: usize = 6;

/// A line or more for each lane that somebody or something may set a mode of; nothing where nobody can.
pub(super) fn modes(config: &Config, now: Utc) -> Vec<String> {
    let mut lines = Vec::new();
    for lane in &config.lanes {
        let schedule = config.schedule.of(lane);
        let keys = [lane.key_switch.as_slice(), &config.gpio.key_switch].concat();
        let staff = config.staff.is_some();
        let directives = config
            .backend
            .as_ref()
            .is_some_and(|backend| !backend.directive_keys.is_empty());
        if schedule.spans.is_empty() && keys.is_empty() && !staff && !directives {
            continue;
        }
        lines.push(sources(lane, &keys, staff, directives, &schedule));
        lines.extend(calendar(lane, &schedule, now));
    }
    lines
}

/// `lane in: mode by key switch (maintenance), staff, directive, schedule, else normal`
fn sources(
    lane: &Lane,
    keys: &[Key],
    staff: bool,
    directives: bool,
    schedule: &Schedule,
) -> String {
    let mut sources = Vec::new();
    if !keys.is_empty() {
        let modes: Vec<_> = keys.iter().map(|key| key.mode.as_str()).collect();
        sources.push(format!("key switch ({})", modes.join(", ")));
    }
    let rest = [
        (staff, "staff"),
        (directives, "directive"),
        (!schedule.spans.is_empty(), "schedule"),
    ];
    let rest = rest.into_iter().filter(|(has, _)| *has);
    sources.extend(rest.map(|(_, source)| source.to_owned()));
    format!(
        "lane {}: mode by {}, else {}; fire is above all, emergency wins whoever wants it",
        lane.name,
        sources.join(", "),
        lane.mode.as_str()
    )
}

/// What the calendar wants now, by the date of this machine, and its next changes.
fn calendar(lane: &Lane, schedule: &Schedule, now: Utc) -> Vec<String> {
    if schedule.spans.is_empty() {
        return Vec::new();
    }
    let zone = &schedule.calendar.zone;
    let name = zone.iana_name().unwrap_or("UTC");
    let mode = |mode: Option<Mode>| mode.unwrap_or(lane.mode).as_str();
    let plan = schedule.at(now);
    let mut lines = vec![format!("  schedule in {name}, now {}", mode(plan.mode))];
    let mut next = plan.until;
    for _ in 0..CHANGES {
        let Some(at) = next else { break };
        let plan = schedule.at(at);
        lines.push(format!("  from {} on {}", local(at, zone), mode(plan.mode)));
        next = plan.until;
    }
    if next.is_none() && lines.len() == 1 {
        let week = local(now + Duration::from_secs(8 * 86_400), zone);
        lines.push(format!("  and nothing else until {week}"));
    }
    let dateless = match schedule.dateless {
        Dateless::LaneMode => format!("the lane has its own mode, {}", lane.mode.as_str()),
        Dateless::Last => "what it said last stays".to_owned(),
    };
    lines.push(format!("  while nobody vouches for the date: {dateless}"));
    lines
}

fn local(at: Utc, zone: &TimeZone) -> String {
    let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or_else(
        |_| "?".into(),
        |at| {
            let local = at.to_zoned_datetime(zone.clone());
            local.strftime("%a %Y-%m-%d %H:%M").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_told_in_its_own_time_with_its_next_changes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace(
            "[schedule]\n",
            "[schedule]\ntime_zone = \"Asia/Shanghai\"\n\
             span = [{ lanes = [\"in\"], from = \"23:30\", to = \"04:30\", mode = \"closed\" }]\n",
        );
        let config = crate::config::parse(std::path::Path::new(path), &text).unwrap();
        let at: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let now = Utc::from_millis(u64::try_from(at.as_millisecond()).unwrap());
        let said = modes(&config, now).join("\n");
        for part in [
            "lane in: mode by staff, schedule, else normal",
            "schedule in Asia/Shanghai, now normal",
            "from Tue 2026-11-24 23:30 on closed",
            "from Wed 2026-11-25 04:30 on normal",
            "while nobody vouches for the date: the lane has its own mode, normal",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
