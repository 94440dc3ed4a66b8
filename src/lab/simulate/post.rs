//! One gate of the station in the world: what lasts of it, its controller while there is power, its lanes, its clocks and
//! its troubles.

use std::collections::BTreeMap;
use std::time::Duration;

use super::aisle::Aisle;
use super::cast::{Known, Visit};
use super::controller::{Controller, Lasting};
use super::oracle::{Expected, Oracle};
use crate::domain::{
    ClockQuality, Colour, Event, GrantId, LaneId, Levels, Mode, Mono, Now, Row, RowKey, Utc,
};

/// Somebody who waits for an answer, and how often they have tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Their visit.
    pub(super) visit: Visit,
    /// How often they have tried before.
    pub(super) tries: u32,
}

/// A lane in the world.
pub(super) struct Place {
    /// The physical lane.
    pub(super) aisle: Aisle,
    /// The levels that the gate has heard last; `None`: it has heard none since the start.
    pub(super) told: Option<Levels>,
    /// Until when the gate may not know what the sensors say.
    pub(super) blind_until: u64,
    /// The lines are away.
    pub(super) lines_lost: bool,
    /// Since when the gate has not been told what the sensors say.
    pub(super) untold_since: Option<u64>,
    /// What the key switch wants.
    pub(super) key: Option<Mode>,
    /// Faults that hold the barrier now.
    pub(super) barrier_faults: u32,
    /// A barrier fault has been here today: the gate leaves such a barrier alone for a while.
    pub(super) had_barrier_fault: bool,
}

/// A gate in the world.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what goes wrong is on or off, each by itself"
)]
pub(super) struct Post {
    pub(super) lasting: Lasting,
    pub(super) controller: Option<Controller>,
    pub(super) boot: u32,
    pub(super) booted_at: u64,
    /// When its controller wants to be woken, in microseconds of the day.
    pub(super) due: Option<u64>,
    pub(super) places: Vec<Place>,
    pub(super) shown: BTreeMap<u64, Expected>,
    pub(super) visits: BTreeMap<u64, Waiting>,
    pub(super) granted: BTreeMap<GrantId, u64>,
    pub(super) writing: bool,
    /// The delivery has been asked to look soon.
    pub(super) delivering: bool,
    /// Records up to here came before the backend was restored from an older copy.
    pub(super) lost_before: u64,
    pub(super) date_offset_s: i64,
    /// Millionths that the date runs fast, and since when.
    pub(super) drift: (u64, u64),
    /// What drift has added before, microseconds.
    pub(super) drifted: u64,
    pub(super) vouched: bool,
    pub(super) fire_input: bool,
    pub(super) fire_since: u64,
    pub(super) reader_away: bool,
    pub(super) camera_blind: bool,
    pub(super) reader_late: bool,
    pub(super) edges_lost: u64,
    pub(super) edges_doubled: u64,
    /// How long a write takes at the least, microseconds.
    pub(super) write_us: u64,
    /// How long what is written waits for its way to the centre, microseconds.
    pub(super) link_us: u64,
    pub(super) disk_slow: u64,
    /// A write that has begun does not end before.
    pub(super) hangs_until: u64,
    pub(super) flood: bool,
    /// Its journal has room for few records.
    pub(super) is_small: bool,
    pub(super) fail_safe: bool,
    pub(super) oracle: Oracle,
    /// How often levels have been repeated.
    pub(super) ticks: u64,
}

impl Post {
    /// The lane of that number in the world.
    pub(super) fn place(&mut self, lane: LaneId) -> Option<&mut Place> {
        self.places.get_mut(usize::from(lane.0))
    }

    /// Both clocks at `at`, as the gate may use them above a floor. `start_s`: the date when the day began.
    pub(super) fn clocks(&self, at: u64, start_s: u64, floor: Utc) -> Now {
        let mono = Mono::from_micros(at.saturating_sub(self.booted_at));
        let seconds = i64::try_from(start_s)
            .unwrap_or(i64::MAX)
            .saturating_add(self.date_offset_s);
        let date = Utc::from_secs(u64::try_from(seconds).unwrap_or(0))
            + Duration::from_micros(at.saturating_add(self.drift_at(at)));
        if !self.vouched || date < floor {
            return Now {
                mono,
                utc: None,
                quality: ClockQuality::Untrusted,
            };
        }
        Now {
            mono,
            utc: Some(date),
            quality: ClockQuality::Synchronised,
        }
    }

    /// What drift has added at a moment, microseconds.
    pub(super) const fn drift_at(&self, at: u64) -> u64 {
        let (ppm, since) = self.drift;
        let passed = at.saturating_sub(since);
        self.drifted
            .saturating_add(passed.saturating_mul(ppm) / 1_000_000)
    }

    /// The dynamic code that something which happens is about.
    pub(super) fn about(&self, event: &Event) -> Option<String> {
        let number = if let Event::Presented(assessed) = event {
            assessed.number
        } else if let Event::Answered { number, .. } = event {
            *number
        } else {
            return None;
        };
        self.shown.get(&number)?.dynamic.clone()
    }

    /// The clocks now.
    pub(super) fn now(&self, at: u64, start_s: u64) -> Now {
        let floor = self.controller.as_ref().map(Controller::clock_floor);
        self.clocks(at, start_s, floor.unwrap_or_default())
    }

    /// Asks the controller anew when it wants to be woken.
    pub(super) fn set_due(&mut self) {
        let booted_at = self.booted_at;
        let due = self.controller.as_mut().and_then(|on| on.gate().deadline());
        self.due = due.map(|due| booted_at.saturating_add(due.as_micros()));
    }

    /// What the list in force at the gate says under the keys of a code and of its holder; `None` if it does not know it, or there is none.
    pub(super) fn listed(&self, keys: Option<(&RowKey, &RowKey)>, known: Known) -> Said {
        use crate::store::codes::Codes as _;
        let online = match known {
            Known::Online(row) => Some(Facts::of(&row)),
            Known::Listed(_) | Known::Nowhere => None,
        };
        let live = self.lasting.codes.state(&self.lasting.list);
        let listed = keys.zip(live).and_then(|((code, subject), live)| {
            let said = |key| self.lasting.centre.said((live.era, live.version), key)?;
            let of_code = Facts::of(&said(code)?);
            Some(of_code.and(said(subject).as_ref().map(Facts::of)))
        });
        listed.or(online)
    }
}

/// What is known of somebody: their health, and whether they may ride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) colour: Option<Colour>,
    pub(super) rides: bool,
}

impl Facts {
    /// Somebody in order.
    pub(super) const GREEN: Self = Self {
        colour: Some(Colour::Green),
        rides: true,
    };

    pub(super) const fn of(row: &Row) -> Self {
        Self {
            colour: row.colour,
            rides: row.entitlements & 1 == 1,
        }
    }

    /// Two rows of one person: one knows their health, the other what they may use.
    fn and(self, other: Option<Self>) -> Self {
        let colour = self.colour.or(other.and_then(|other| other.colour));
        let rides = self.rides || other.is_some_and(|other| other.rides);
        Self { colour, rides }
    }
}

/// What is said of somebody; `None` if nobody knows them.
pub(super) type Said = Option<Facts>;
