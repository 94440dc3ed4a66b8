//! Draws what a site wants of its gates: no day has the same rules as the last, and no lane the same parts.

use std::sync::Arc;
use std::time::Duration;

use super::faults::pick;
use crate::core::{Barrier, Below, Drive, LaneSettings, OnTrouble, Passback, Rules, Settings};
use crate::domain::schedule::{Calendar, Dateless, Day, Span};
use crate::domain::{Assurance, Direction, Mode, Rule, Schedule, Sensor};
use crate::lab::random::SplitMix64;

const MINUTE_S: u64 = 60;
const DAY_MIN: u64 = 24 * 60;

/// Settings of a gate with so many lanes. `start_s`: the date on which the day begins; `length_s`: how long it is.
pub(super) fn draw(random: &mut SplitMix64, lanes: u8, start_s: u64, length_s: u64) -> Settings {
    let lanes = (0..lanes).map(|n| lane(random, n, start_s, length_s));
    let lanes = lanes.collect();
    let trouble = [OnTrouble::Hold, OnTrouble::Open];
    let rules = [Rule::Open, Rule::Assist, Rule::Hold];
    let memory = [None, Some(60), Some(4 * 3_600), Some(4 * 3_600)];
    Settings {
        lanes,
        entry: Rules {
            yellow: pick(random, &rules, Rule::Assist),
            unknown: pick(
                random,
                &[Rule::Hold, Rule::Hold, Rule::Assist, Rule::Open],
                Rule::Hold,
            ),
            ..entry_rules()
        },
        exit: Rules {
            green: Rule::Open,
            ..all(pick(
                random,
                &[Rule::Open, Rule::Open, Rule::Assist, Rule::Hold],
                Rule::Open,
            ))
        },
        passback: pick(random, &memory, None).map(|seconds| Passback {
            remember: Duration::from_secs(seconds),
            soft: false,
            wide: false,
        }),
        claims: pick(random, &[None, Some(Duration::from_millis(150))], None),
        resolve: pick(random, &[None, Some(Duration::from_millis(800))], None),
        stall: Duration::from_millis(300),
        on_stall: pick(random, &trouble, OnTrouble::Hold),
        on_full: pick(random, &trouble, OnTrouble::Hold),
        software: "simulated".into(),
        required_entitlements: 1,
        health_required: true,
        overlays: Vec::new(),
        certificates: None,
    }
}

fn lane(random: &mut SplitMix64, n: u8, start_s: u64, length_s: u64) -> LaneSettings {
    use Direction::{Entry, Exit};
    let sides: [&[Direction]; 5] = [&[Entry], &[Entry], &[Entry, Exit], &[Entry, Exit], &[Exit]];
    let (barrier, sensors) = parts(random);
    let mode = [
        Mode::Normal,
        Mode::Normal,
        Mode::Normal,
        Mode::Normal,
        Mode::Normal,
        Mode::EntryOnly,
    ];
    LaneSettings {
        name: format!("lane-{n}"),
        barrier,
        directions: pick(random, &sides, &[Entry]).to_vec(),
        mode: pick(random, &mode, Mode::Normal),
        schedule: schedule(random, start_s, length_s),
        release: Duration::from_millis(pick(random, &[3_000, 5_000, 8_000], 5_000)),
        debounce: Duration::from_millis(pick(random, &[0, 10, 50], 10)),
        obstruction: Duration::from_secs(10),
        sensors,
        travel: Duration::from_secs(2),
        follower_gap: Duration::from_millis(pick(random, &[0, 1_000], 1_000)),
        below: pick(
            random,
            &[Below::Luggage, Below::Companion, Below::Tailgating],
            Below::Luggage,
        ),
        group_max: pick(random, &[1, 1, 1, 2, 4], 1),
        duty_percent: pick(random, &[100, 100, 50], 100),
    }
}

/// What moves, and what is fitted to it: every kind of barrier, two to six beams, points, limit switches.
fn parts(random: &mut SplitMix64) -> (Barrier, Vec<Sensor>) {
    use Sensor as S;
    let pulse = Drive::Pulse(Duration::from_millis(pick(random, &[300, 500], 300)));
    let kinds = [
        Barrier::Flap,
        Barrier::Flap,
        Barrier::Swing,
        Barrier::FullHeight,
        Barrier::Tripod { drive: pulse },
        Barrier::Tripod { drive: Drive::Hold },
    ];
    let barrier = pick(random, &kinds, Barrier::Flap);
    if barrier.is_tripod() {
        let mut sensors = vec![S::EntryRotor, S::ExitRotor];
        if random.percent(50) {
            sensors.extend([S::PassPoint, S::ResetPoint]);
        }
        return (barrier, sensors);
    }
    let middle = [S::Middle1, S::Middle2, S::Middle3, S::Middle4];
    let mut sensors = vec![S::EntryBeam, S::ExitBeam];
    sensors.extend(middle.into_iter().take(random.index(5)));
    if random.percent(30) {
        sensors.push(S::LowBeam);
    }
    if random.percent(30) {
        sensors.push(S::Presence);
    }
    if random.percent(50) {
        sensors.push(S::Closed);
        sensors.extend(random.percent(70).then_some(S::Opened));
    }
    (barrier, sensors)
}

/// Mostly none; else spans about the day, one of which may begin before midnight and end after it.
fn schedule(random: &mut SplitMix64, start_s: u64, length_s: u64) -> Schedule {
    let mut schedule = Schedule {
        calendar: Arc::new(Calendar::default()),
        dateless: pick(
            random,
            &[Dateless::LaneMode, Dateless::Last],
            Dateless::LaneMode,
        ),
        ..Schedule::default()
    };
    if random.percent(70) {
        return schedule;
    }
    let minute = |s: u64| s / MINUTE_S % DAY_MIN;
    let modes = [
        Mode::Free,
        Mode::Closed,
        Mode::ExitOnly,
        Mode::EntryOnly,
        Mode::Maintenance,
    ];
    for _ in 0..=random.below(2) {
        let from = minute(start_s + random.below(length_s));
        let to = (from + 1 + random.below(length_s / MINUTE_S + 5)) % DAY_MIN;
        let to = if to == 0 { DAY_MIN } else { to };
        schedule.spans.push(Span {
            days: vec![
                Day::Mon,
                Day::Tue,
                Day::Wed,
                Day::Thu,
                Day::Fri,
                Day::Sat,
                Day::Sun,
            ],
            from: u16::try_from(from).unwrap_or(0),
            to: u16::try_from(to).unwrap_or(1),
            mode: pick(random, &modes, Mode::Closed),
        });
    }
    schedule
}

/// The defaults of a config file.
const fn entry_rules() -> Rules {
    Rules {
        green: Rule::Open,
        yellow: Rule::Assist,
        red: Rule::Hold,
        unknown: Rule::Hold,
        not_applied: Rule::Hold,
        query_failed: Rule::Assist,
        timed_out: Rule::Assist,
        stale: Rule::Assist,
        trust_expired: Rule::Assist,
        clock_untrusted: Rule::Assist,
        assurance: Assurance::Identifier,
    }
}

const fn all(rule: Rule) -> Rules {
    Rules {
        green: rule,
        yellow: rule,
        red: rule,
        unknown: rule,
        not_applied: rule,
        query_failed: rule,
        timed_out: rule,
        stale: rule,
        trust_expired: rule,
        clock_untrusted: rule,
        assurance: Assurance::Identifier,
    }
}
