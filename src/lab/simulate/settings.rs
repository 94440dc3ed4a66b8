//! Draws what a site wants of its gate: no day has the same rules as the last.

use std::time::Duration;

use super::faults::pick;
use crate::core::{Barrier, Below, Drive, LaneSettings, OnTrouble, Passback, Rules, Settings};
use crate::domain::{Assurance, Direction, Mode, Rule, Schedule, Sensor};
use crate::lab::random::SplitMix64;

/// Settings of a gate with one lane.
pub(super) fn draw(random: &mut SplitMix64) -> Settings {
    use Direction::{Entry, Exit};
    let sides: [&[Direction]; 3] = [&[Entry], &[Entry, Exit], &[Exit]];
    let directions = pick(random, &sides, &[Entry]).to_vec();
    let drive = Drive::Pulse(Duration::from_millis(300));
    let barrier = pick(
        random,
        &[Barrier::Flap, Barrier::Tripod { drive }],
        Barrier::Flap,
    );
    let sensors = if barrier.is_tripod() {
        [Sensor::EntryRotor, Sensor::ExitRotor]
    } else {
        [Sensor::EntryBeam, Sensor::ExitBeam]
    };
    let lane = LaneSettings {
        name: "lane".into(),
        barrier,
        directions,
        mode: Mode::Normal,
        schedule: Schedule::default(),
        release: Duration::from_millis(pick(random, &[3_000, 5_000, 8_000], 5_000)),
        debounce: Duration::from_millis(pick(random, &[0, 10, 50], 10)),
        obstruction: Duration::from_secs(10),
        sensors: sensors.to_vec(),
        travel: Duration::from_secs(2),
        follower_gap: Duration::from_secs(1),
        below: Below::Luggage,
        group_max: 1,
        duty_percent: 100,
    };
    let trouble = [OnTrouble::Hold, OnTrouble::Open];
    Settings {
        lanes: vec![lane],
        entry: entry_rules(),
        exit: all(Rule::Open),
        passback: pick(
            random,
            &[
                None,
                Some(Duration::from_secs(60)),
                Some(Duration::from_secs(4 * 3_600)),
            ],
            None,
        )
        .map(|remember| Passback {
            remember,
            soft: false,
            wide: false,
        }),
        claims: None,
        resolve: pick(random, &[None, Some(Duration::from_millis(800))], None),
        stall: Duration::from_millis(300),
        on_stall: pick(random, &trouble, OnTrouble::Hold),
        on_full: pick(random, &trouble, OnTrouble::Hold),
        software: "simulated".into(),
        required_entitlements: 1,
        health_required: true,
        overlays: Vec::new(),
    }
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
