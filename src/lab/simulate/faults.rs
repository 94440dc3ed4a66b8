//! What goes wrong in a day: the seed draws the mix first, so that each day is bad in another way.

use super::centre::Mood;
use super::disk::Unsynced;
use crate::domain::Mode;
use crate::lab::random::SplitMix64;

/// Something that goes wrong at one moment. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The link, or who answers on it.
    Backend(Mood),
    /// The backend comes back with the last backup; some time later a person declares a new era.
    BackendRestored,
    /// Each write takes so long.
    DiskSlow(u64),
    /// The disk refuses everything.
    DiskRefuses,
    /// The disk fails in the middle of a transaction, after so many more operations, for a while.
    DiskFailsMidway(u64),
    /// The power goes, after so many more operations of the disk if that is said, and comes back.
    PowerCut {
        /// `None`: between two transactions.
        midway: Option<u64>,
        /// What becomes of what was not synced.
        unsynced: Unsynced,
    },
    /// The date jumps by so many seconds.
    ClockSteps(i64),
    /// Nobody vouches for the date.
    ClockUntrusted,
    /// One of the two sensors, the first if true, is stuck at a level.
    SensorStuck(bool, bool),
    /// The readers are away.
    ReaderAway,
    /// What the readers read arrives late.
    ReaderLate,
    /// The fire loop opens.
    Fire,
    /// The codes cache is gone.
    CacheLost,
    /// Somebody shows nonsense many times a second.
    Flood,
    /// Staff set another mode.
    Mode(Mode),
}

impl Fault {
    /// The name in counts.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Backend(mood) => mood.as_str(),
            Self::BackendRestored => "backend_restored",
            Self::DiskSlow(_) => "disk_slow",
            Self::DiskRefuses => "disk_refuses",
            Self::DiskFailsMidway(_) => "disk_fails_midway",
            Self::PowerCut { midway: None, .. } => "power_cut",
            Self::PowerCut {
                midway: Some(_), ..
            } => "power_cut_midway",
            Self::ClockSteps(_) => "clock_steps",
            Self::ClockUntrusted => "clock_untrusted",
            Self::SensorStuck(..) => "sensor_stuck",
            Self::ReaderAway => "reader_away",
            Self::ReaderLate => "reader_late",
            Self::Fire => "fire",
            Self::CacheLost => "cache_lost",
            Self::Flood => "flood",
            Self::Mode(_) => "mode",
        }
    }
}

/// A fault, when it begins and how long it lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// Begins.
    pub(super) at: u64,
    /// Lasts.
    pub(super) lasts: u64,
    /// What.
    pub(super) fault: Fault,
}

/// The mix of a day.
#[derive(Clone, Debug, Default)]
pub(super) struct Mix {
    /// Of 100 edges of a sensor so many are lost; the level is repeated later.
    pub(super) lost_edges: u64,
    /// Of 100 edges so many come twice.
    pub(super) doubled_edges: u64,
    /// The journal has room for few records only.
    pub(super) small_journal: bool,
    /// What happens when.
    pub(super) planned: Vec<Planned>,
}

const SECOND: u64 = 1_000_000;
const YEAR_S: i64 = 365 * 86_400;

/// Draws the mix of a day of this length.
pub(super) fn draw(random: &mut SplitMix64, day: u64) -> Mix {
    let mut mix = Mix {
        small_journal: random.percent(10),
        ..Mix::default()
    };
    if random.percent(40) {
        mix.lost_edges = random.below(20);
    }
    if random.percent(40) {
        mix.doubled_edges = random.below(30);
    }
    // A day has few kinds of trouble, so that some of it is seen through to the end.
    for _ in 0..random.below(7) {
        let kind = random.below(15);
        for _ in 0..=random.below(2) {
            let fault = fault(random, kind);
            let at = random.below(day);
            let lasts = random.below(60 * SECOND).saturating_add(SECOND / 2);
            mix.planned.push(Planned { at, lasts, fault });
        }
    }
    mix
}

fn fault(random: &mut SplitMix64, kind: u64) -> Fault {
    match kind {
        0..=2 => Fault::Backend(pick(random, &Mood::BAD, Mood::Away)),
        3 => Fault::BackendRestored,
        4 => Fault::DiskSlow(random.below(SECOND / 2)),
        5 => Fault::DiskRefuses,
        6 => Fault::DiskFailsMidway(random.below(16)),
        7 | 8 => {
            let unsynced = [Unsynced::Dropped, Unsynced::Half, Unsynced::Kept];
            Fault::PowerCut {
                midway: random.percent(60).then(|| random.below(16)),
                unsynced: pick(random, &unsynced, Unsynced::Dropped),
            }
        }
        9 => match random.below(3) {
            0 => Fault::ClockSteps(YEAR_S),
            1 => Fault::ClockSteps(-YEAR_S),
            _ => Fault::ClockUntrusted,
        },
        10 => Fault::SensorStuck(random.percent(50), random.percent(50)),
        11 => {
            if random.percent(50) {
                Fault::ReaderAway
            } else {
                Fault::ReaderLate
            }
        }
        12 => Fault::Fire,
        13 => {
            if random.percent(50) {
                Fault::CacheLost
            } else {
                Fault::Flood
            }
        }
        _ => Fault::Mode(pick(
            random,
            &[Mode::Free, Mode::Closed, Mode::Maintenance, Mode::ExitOnly],
            Mode::Free,
        )),
    }
}

/// One of several; `or` if there is none.
pub(super) fn pick<T: Copy>(random: &mut SplitMix64, of: &[T], or: T) -> T {
    of.get(random.index(of.len())).copied().unwrap_or(or)
}
