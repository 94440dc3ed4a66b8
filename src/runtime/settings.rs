//! From the config to the core's own words.

use crate::config::tree::{self, Config, Full, PassbackMode, Stall};
use crate::core::{
    Barrier, Below, Drive, LaneSettings, OnTrouble, Overlay, Passback, Rules, Settings,
};
use crate::domain::Direction;
use crate::telemetry::display::Signs;

/// Settings of the core for this config.
#[must_use]
pub fn core_settings(config: &Config) -> Settings {
    let claims = config.backend.as_ref().filter(|backend| backend.claims);
    let resolve = config.backend.as_ref().filter(|backend| backend.resolve);
    let (entry, exit) = (rules(&config.policy.entry), rules(&config.policy.exit));
    Settings {
        lanes: config
            .lanes
            .iter()
            .map(|one| lane(one, &config.schedule))
            .collect(),
        entry,
        exit,
        required_entitlements: config.policy.required_entitlements(),
        health_required: config.policy.requires_health(),
        overlays: config
            .policy
            .overlay
            .iter()
            .map(|one| Overlay::over(entry, exit, one))
            .collect(),
        certificates: None,
        passback: match config.passback.mode {
            mode @ (PassbackMode::Hard | PassbackMode::Soft) => Some(Passback {
                remember: config.passback.remember_min.duration(),
                soft: mode == PassbackMode::Soft,
                wide: config.passback.area().is_some(),
            }),
            PassbackMode::Off => None,
        },
        claims: claims.map(|backend| backend.claim_ms.duration()),
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

/// `tripod`, `flap`, `swing` or `full_height`.
#[must_use]
pub const fn barrier_name(barrier: tree::Barrier) -> &'static str {
    match barrier {
        tree::Barrier::Tripod => "tripod",
        tree::Barrier::Flap => "flap",
        tree::Barrier::Swing => "swing",
        tree::Barrier::FullHeight => "full_height",
    }
}

fn lane(lane: &tree::Lane, schedule: &tree::Schedule) -> LaneSettings {
    LaneSettings {
        name: lane.name.clone(),
        barrier: match lane.barrier {
            tree::Barrier::Tripod => Barrier::Tripod {
                drive: match lane.drive.unwrap_or(tree::Drive::Pulse) {
                    tree::Drive::Pulse => Drive::Pulse(lane.pulse_ms.duration()),
                    tree::Drive::Hold => Drive::Hold,
                },
            },
            tree::Barrier::Flap => Barrier::Flap,
            tree::Barrier::Swing => Barrier::Swing,
            tree::Barrier::FullHeight => Barrier::FullHeight,
        },
        directions: lane.directions.clone(),
        mode: lane.mode,
        schedule: schedule.of(lane),
        release: lane.release_ms.duration(),
        debounce: lane.debounce_ms.duration(),
        obstruction: lane.obstruction_ms.duration(),
        sensors: lane
            .sensors
            .lines()
            .iter()
            .map(|(_, sensor, _)| *sensor)
            .collect(),
        travel: lane.travel_ms.duration(),
        follower_gap: lane.follower_gap_ms.duration(),
        below: match lane.below_beams {
            Some(tree::BelowBeams::Companion) => Below::Companion,
            Some(tree::BelowBeams::Tailgating) => Below::Tailgating,
            Some(tree::BelowBeams::Luggage) | None => Below::Luggage,
        },
        group_max: lane.group_max.get(),
        duty_percent: lane.duty_percent.unwrap_or_default().get(),
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

/// What the displays show before the lanes say anything.
pub(super) fn signs(config: &Config) -> Signs {
    let sides = config.lanes.iter().flat_map(|lane| {
        let name = |side: &Direction| (lane.name.clone(), *side);
        lane.directions.iter().map(name)
    });
    Signs::new(config.http.discreet, sides)
}
