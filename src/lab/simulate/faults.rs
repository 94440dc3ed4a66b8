//! What goes wrong in a day: the seed draws the kinds first, so that each day is bad in another way.

use super::disk::Unsynced;
use super::mood::Mood;
use crate::domain::{Mode, Sensor};
use crate::lab::random::SplitMix64;

/// Something that goes wrong for a time, at one gate. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The link, or who answers on it.
    Backend(Mood),
    /// The backend comes back with the last backup; some time later a person declares a new era.
    BackendRestored,
    /// Each write takes so long.
    DiskSlow(u64),
    /// A write that has begun does not end.
    DiskHangs,
    /// The disk refuses everything.
    DiskRefuses,
    /// The disk fails in the middle of a transaction, after so many more operations, for a while.
    DiskFailsMidway(u64),
    /// The power goes, and comes back.
    PowerCut {
        /// After so many more operations of the disk; `None`: between two transactions.
        midway: Option<u64>,
        /// What becomes of what was not synced.
        unsynced: Unsynced,
        /// The codes cache does not survive it.
        cache_lost: bool,
    },
    /// The date jumps by so many seconds.
    ClockSteps(i64),
    /// The date runs fast by so many millionths.
    ClockDrifts(u64),
    /// Nobody vouches for the date.
    ClockUntrusted,
    /// A sensor of a lane is stuck at a level.
    SensorStuck(u8, Sensor, bool),
    /// The lines of a lane are away.
    LinesLost(u8),
    /// The barrier of a lane does not move: a dead relay, or, if true, a welded one.
    RelayStuck(u8, bool),
    /// The relays of a lane are away, and that is known.
    RelaysAway(u8),
    /// The readers are away.
    ReaderAway,
    /// Cameras see nothing, cards are read.
    CameraBlind,
    /// What the readers read arrives late.
    ReaderLate,
    /// The fire loop opens.
    Fire,
    /// The codes cache is gone.
    CacheLost,
    /// Somebody shows nonsense many times a second.
    Flood,
    /// Staff set another mode of a lane.
    Staff(u8, Mode),
    /// Somebody turns the key switch of a lane.
    Key(u8, Mode),
    /// A directive for a mode of every lane, from then until its end.
    Directive(Mode),
    /// Of 100 edges of sensors so many are lost; the level is repeated later.
    EdgesLost(u64),
    /// Of 100 edges so many come twice.
    EdgesDoubled(u64),
}

impl Fault {
    /// The name in counts.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Backend(mood) => mood.as_str(),
            Self::BackendRestored => "backend_restored",
            Self::DiskSlow(_) => "disk_slow",
            Self::DiskHangs => "disk_hangs",
            Self::DiskRefuses => "disk_refuses",
            Self::DiskFailsMidway(_) => "disk_fails_midway",
            Self::PowerCut { midway: None, .. } => "power_cut",
            Self::PowerCut {
                midway: Some(_), ..
            } => "power_cut_midway",
            Self::ClockSteps(_) => "clock_steps",
            Self::ClockDrifts(_) => "clock_drifts",
            Self::ClockUntrusted => "clock_untrusted",
            Self::SensorStuck(..) => "sensor_stuck",
            Self::LinesLost(_) => "lines_lost",
            Self::RelayStuck(_, false) => "relay_dead",
            Self::RelayStuck(_, true) => "relay_welded",
            Self::RelaysAway(_) => "relays_away",
            Self::ReaderAway => "reader_away",
            Self::CameraBlind => "camera_blind",
            Self::ReaderLate => "reader_late",
            Self::Fire => "fire",
            Self::CacheLost => "cache_lost",
            Self::Flood => "flood",
            Self::Staff(..) => "mode_by_staff",
            Self::Key(..) => "mode_by_key",
            Self::Directive(_) => "mode_by_directive",
            Self::EdgesLost(_) => "edges_lost",
            Self::EdgesDoubled(_) => "edges_doubled",
        }
    }

    /// True if dates cannot be relied on that day.
    #[must_use]
    pub(super) const fn is_of_the_clock(self) -> bool {
        matches!(
            self,
            Self::ClockSteps(_) | Self::ClockDrifts(_) | Self::ClockUntrusted
        )
    }
}

const SECOND: u64 = 1_000_000;
const YEAR_S: i64 = 365 * 86_400;
/// Kinds that are drawn from.
const KINDS: u64 = 26;

/// Draws the kinds of a day: few, so that some of it is seen through to the end.
pub(super) fn kinds(random: &mut SplitMix64) -> Vec<u64> {
    (0..random.below(8)).map(|_| random.below(KINDS)).collect()
}

/// Draws a fault of a kind. `sensors`: what the lane has that is hit.
pub(super) fn draw(random: &mut SplitMix64, kind: u64, lane: u8, sensors: &[Sensor]) -> Fault {
    let modes = [
        Mode::Free,
        Mode::Closed,
        Mode::Maintenance,
        Mode::ExitOnly,
        Mode::EntryOnly,
        Mode::Emergency,
        Mode::Normal,
    ];
    match kind {
        0..=2 => Fault::Backend(pick(random, &Mood::BAD, Mood::Away)),
        3 => Fault::BackendRestored,
        4 => Fault::DiskSlow(random.below(SECOND / 2)),
        5 => Fault::DiskHangs,
        6 => Fault::DiskRefuses,
        7 => Fault::DiskFailsMidway(random.below(16)),
        8..=10 => {
            let unsynced = [Unsynced::Dropped, Unsynced::Half, Unsynced::Kept];
            Fault::PowerCut {
                midway: random.percent(60).then(|| random.below(16)),
                unsynced: pick(random, &unsynced, Unsynced::Dropped),
                cache_lost: random.percent(30),
            }
        }
        11 => match random.below(4) {
            0 => Fault::ClockSteps(YEAR_S),
            1 => Fault::ClockSteps(-YEAR_S),
            2 => Fault::ClockDrifts(random.below(500)),
            _ => Fault::ClockUntrusted,
        },
        12 | 13 => {
            let sensor = pick(random, sensors, Sensor::EntryBeam);
            Fault::SensorStuck(lane, sensor, random.percent(50))
        }
        14 => Fault::LinesLost(lane),
        15 => Fault::RelayStuck(lane, random.percent(50)),
        16 => Fault::RelaysAway(lane),
        17 => pick(
            random,
            &[Fault::ReaderAway, Fault::CameraBlind, Fault::ReaderLate],
            Fault::ReaderAway,
        ),
        18 => Fault::Fire,
        19 => Fault::CacheLost,
        20 => Fault::Flood,
        21 => Fault::Staff(lane, pick(random, &modes, Mode::Free)),
        22 => Fault::Key(lane, pick(random, &modes, Mode::Free)),
        23 => Fault::Directive(pick(random, &modes, Mode::Free)),
        24 => Fault::EdgesLost(1 + random.below(30)),
        _ => Fault::EdgesDoubled(1 + random.below(30)),
    }
}

/// One of several; `or` if there is none.
pub(super) fn pick<T: Copy>(random: &mut SplitMix64, of: &[T], or: T) -> T {
    of.get(random.index(of.len())).copied().unwrap_or(or)
}
