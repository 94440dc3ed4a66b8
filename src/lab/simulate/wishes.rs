//! Which mode a lane must have: the oracle's own reading of what key switch, staff, directives and schedule want.

use std::sync::Arc;

use crate::core::LaneSettings;
use crate::domain::{Direction, Directive, Mode, Now, Utc};

const MINUTE_S: u64 = 60;
const DAY_MIN: u64 = 24 * 60;

/// How long the gate may take to follow a clock: its dates are whole milliseconds.
const EXACT: u64 = 20_000;
/// The same where the date itself goes wrong: what goes by it is judged anew when it is off by a second.
const ASTRAY: u64 = 1_500_000;

/// What is wanted of one lane.
#[derive(Debug)]
pub(super) struct Wishes {
    own: Mode,
    spans: Vec<(u64, u64, Mode)>,

    /// What staff want, and what they may want after a restart: what they wanted since it was last on the disk.
    staff: Option<Mode>,
    staff_maybe: Vec<Option<Mode>>,
    pub(super) key: Option<Mode>,
    lane: String,
    /// What must be in force, if that can be said, and since when.
    mode: Option<Mode>,
    since: u64,
    /// Since when the gate has another.
    differs_since: Option<u64>,
    slack: u64,
}

impl Wishes {
    /// Of a lane as its site wants it. `exact`: no clock goes wrong that day.
    pub(super) fn new(lane: &LaneSettings, exact: bool) -> Self {
        let spans = lane.schedule.spans.iter();
        Self {
            own: lane.mode,
            spans: spans
                .map(|span| (u64::from(span.from), u64::from(span.to), span.mode))
                .collect(),

            staff: None,
            staff_maybe: vec![None],
            key: None,
            lane: lane.name.clone(),
            mode: None,
            since: 0,
            differs_since: None,
            slack: if exact { EXACT } else { ASTRAY },
        }
    }

    /// Staff want a mode, or none any more.
    pub(super) fn staff(&mut self, wanted: Option<Mode>) {
        self.staff = wanted;
        self.staff_maybe.push(wanted);
    }

    /// Everything that was to be written is on the disk.
    pub(super) fn settled(&mut self) {
        if self.staff_maybe.len() > 1 {
            self.staff_maybe = vec![self.staff];
        }
    }

    /// The gate starts with this wish of staff; false if they never wanted that.
    #[must_use]
    pub(super) fn restarted(&mut self, staff: Option<Mode>) -> bool {
        let known = self.staff_maybe.contains(&staff);
        (self.staff, self.key, self.mode) = (staff, None, None);
        known
    }

    /// Judges anew; what the gate has is held against it. False if the gate has had another mode for too long.
    #[must_use]
    pub(super) fn look(
        &mut self,
        now: u64,
        clocks: Now,
        directives: &[Arc<Directive>],
        has: Mode,
    ) -> bool {
        self.refresh(now, clocks, directives);
        if self.mode.is_none_or(|wanted| wanted == has) {
            self.differs_since = None;
            return true;
        }
        let since = *self.differs_since.get_or_insert(now);
        now.saturating_sub(since) <= self.slack
    }

    /// Judges anew.
    pub(super) fn refresh(&mut self, now: u64, clocks: Now, directives: &[Arc<Directive>]) {
        let wanted = self.wanted(clocks, directives);
        if wanted != self.mode {
            (self.mode, self.since) = (wanted, now);
        }
    }

    /// The mode, if it has been the same for long enough that the gate must know.
    #[must_use]
    pub(super) fn mode(&self, now: u64) -> Option<Mode> {
        let settled = now.saturating_sub(self.since) > self.slack;
        self.mode
            .filter(|_| settled && self.differs_since.is_none())
    }

    fn wanted(&self, clocks: Now, directives: &[Arc<Directive>]) -> Option<Mode> {
        let needs_date = !self.spans.is_empty() || !directives.is_empty();
        if clocks.utc.is_none() && needs_date {
            return None;
        }
        let in_term = |directive: &&Arc<Directive>| {
            clocks
                .utc
                .is_some_and(|utc| directive.not_before <= utc && utc < directive.not_after)
        };
        let mut directed = directives
            .iter()
            .filter(in_term)
            .filter_map(|directive| directive.mode_of(&self.lane));
        let directed = directed.next();
        let scheduled = clocks.utc.and_then(|utc| self.scheduled(utc));
        let all = [self.key, self.staff, directed, scheduled];
        if all.contains(&Some(Mode::Emergency)) {
            return Some(Mode::Emergency);
        }
        if [self.key, self.staff].contains(&Some(Mode::Maintenance)) {
            return Some(Mode::Maintenance);
        }
        let strongest = all.into_iter().flatten().next();
        Some(strongest.unwrap_or(self.own))
    }

    /// What the schedule says of a minute of the day. Every span is there on every day.
    fn scheduled(&self, utc: Utc) -> Option<Mode> {
        let minute = utc.as_secs() / MINUTE_S % DAY_MIN;
        let mut covering = self.spans.iter().filter(|(from, to, _)| {
            if from < to {
                (*from..*to).contains(&minute)
            } else {
                minute >= *from || minute < *to
            }
        });
        covering.next().map(|(_, _, mode)| *mode)
    }
}

/// True if a lane in this mode decides on who comes to this side.
#[must_use]
pub(super) const fn serves(mode: Mode, side: Direction) -> bool {
    match mode {
        Mode::Normal | Mode::Free | Mode::Emergency => true,
        Mode::Closed | Mode::ExitOnly => matches!(side, Direction::Exit),
        Mode::EntryOnly => matches!(side, Direction::Entry),
        Mode::Maintenance => false,
    }
}
