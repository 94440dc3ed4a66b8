//! From the config to the core's own words.

use crate::config::tree::{self, Config, Full, PassbackMode, Stall};
use crate::core::{Barrier, LaneSettings, OnTrouble, Rules, Settings};

/// Settings of the core for this config.
#[must_use]
pub fn core_settings(config: &Config) -> Settings {
    let resolve = config.backend.as_ref().filter(|backend| backend.resolve);
    Settings {
        lanes: config.lanes.iter().map(lane).collect(),
        entry: rules(&config.policy.entry),
        exit: rules(&config.policy.exit),
        required_entitlements: 0,
        passback: match config.passback.mode {
            PassbackMode::Hard => Some(config.passback.remember_min.duration()),
            PassbackMode::Off => None,
        },
        resolve: resolve.map(|backend| backend.resolve_ms.duration()),
        stall: config.journal.stall_ms.duration(),
        on_stall: match config.journal.stall {
            Stall::Hold => OnTrouble::Hold,
            Stall::Open => OnTrouble::Open,
        },
        on_full: match config.journal.full {
            Full::Hold => OnTrouble::Hold,
            Full::OpenUnrecorded => OnTrouble::Open,
        },
        software: env!("CARGO_PKG_VERSION").into(),
    }
}

/// `tripod` or `flap`.
#[must_use]
pub const fn barrier_name(barrier: tree::Barrier) -> &'static str {
    match barrier {
        tree::Barrier::Tripod => "tripod",
        tree::Barrier::Flap => "flap",
    }
}

fn lane(lane: &tree::Lane) -> LaneSettings {
    LaneSettings {
        name: lane.name.clone(),
        barrier: match lane.barrier {
            tree::Barrier::Tripod => Barrier::Tripod {
                pulse: lane.pulse_ms.duration(),
            },
            tree::Barrier::Flap => Barrier::Flap,
        },
        directions: lane.directions.clone(),
        mode: lane.mode,
        release: lane.release_ms.duration(),
        debounce: lane.debounce_ms.duration(),
        obstruction: lane.obstruction_ms.duration(),
    }
}

const fn rules(rules: &tree::Rules) -> Rules {
    Rules {
        green: rules.green,
        yellow: rules.yellow,
        red: rules.red,
        unknown: rules.unknown,
        not_applied: rules.not_applied,
        query_failed: rules.query_failed,
        timed_out: rules.timed_out,
        stale: rules.stale,
        trust_expired: rules.trust_expired,
        clock_untrusted: rules.clock_untrusted,
        assurance: rules.assurance,
    }
}
