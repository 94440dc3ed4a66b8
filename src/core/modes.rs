//! Who wants which mode of a lane, and who has it: the order is that of [`Wish::strength`].
//!
//! What has a time ends by the date while that is trusted, and by the monotonic clock meanwhile. Where nobody can say
//! whether its time has come or gone, because the date was not trusted since the start, a wish that opens to everybody
//! is not followed and every other one is.

use std::sync::Arc;
use std::time::Duration;

use super::settings::LaneSettings;
use crate::domain::schedule::Dateless;
use crate::domain::{
    Directive, Mode, Mono, Now, Plan, Schedule, Source, StaffMode, Utc, Wanted, Wish,
};

/// A date that has moved by more than this against the monotonic clock is looked at anew.
const SLEW_MAX: Duration = Duration::from_secs(1);

/// From when until when something counts, by either clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    from: Option<Utc>,
    until: Option<Utc>,
    begins: Option<Mono>,
    ends: Option<Mono>,
}

impl Term {
    pub(super) const fn dated(from: Option<Utc>, until: Option<Utc>) -> Self {
        Self {
            from,
            until,
            begins: None,
            ends: None,
        }
    }

    /// True or false if that is known at `now`.
    pub(super) fn is_on(&mut self, now: Now) -> Option<bool> {
        if let Some(utc) = now.utc {
            let after = |at: Utc| now.mono + at.since(utc);
            self.begins = self.from.map(after);
            // A term without a date of its own goes by the monotonic clock alone.
            self.ends = self.until.map(after).or(self.ends);
        }
        let unknown = self.from.is_some() && self.begins.is_none()
            || self.until.is_some() && self.ends.is_none();
        let begun = self.begins.is_none_or(|at| at <= now.mono);
        let ended = self.ends.is_some_and(|at| at <= now.mono);
        (!unknown).then_some(begun && !ended)
    }

    /// When that may change.
    pub(super) fn next(&self, now: Mono) -> Option<Mono> {
        let bounds = self.begins.into_iter().chain(self.ends);
        bounds.filter(|at| *at > now).min()
    }
}

/// Until when something that was worked out from the clocks need not be worked out again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    at: Option<(Mono, Option<Utc>)>,
    due: Option<Mono>,
}

impl Settled {
    /// Worked out at `now`; the clock may change something at `due`.
    pub(super) const fn new(now: Now, due: Option<Mono>) -> Self {
        Self {
            at: Some((now.mono, now.utc)),
            due,
        }
    }

    /// True if nothing can have changed: no deadline is here, and the date went on as it should.
    pub(super) fn holds(&self, now: Now) -> bool {
        let Some((mono, utc)) = self.at else {
            return false;
        };
        let steady = match (utc, now.utc) {
            (None, None) => true,
            (Some(then), Some(utc)) => {
                let expected = then + now.mono.since(mono);
                utc.since(expected).max(expected.since(utc)) < SLEW_MAX
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        steady && self.due.is_none_or(|due| now.mono < due)
    }

    pub(super) const fn due(&self) -> Option<Mono> {
        self.due
    }
}

/// A wish with its term.
#[derive(Clone, Copy, Debug)]
struct Held {
    mode: Mode,
    by: Option<u32>,
    term: Term,
}

impl Held {
    fn wish(&mut self, source: Source, now: Now) -> Option<Wish> {
        let known = self.term.is_on(now);
        let counts = known.unwrap_or(!self.mode.is_open());
        counts.then_some(Wish {
            mode: self.mode,
            source,
            by: self.by,
            until: self.term.until,
        })
    }
}

/// The wishes for one lane.
#[derive(Debug)]
pub(super) struct Modes {
    own: Mode,
    schedule: Schedule,
    /// What the schedule said when it was asked last.
    plan: Option<Plan>,
    /// When it has to be asked again.
    replan: Option<Mono>,
    directives: Vec<Held>,
    staff: Option<Held>,
    key: Option<Mode>,
    ruling: Wish,
    settled: Settled,
    /// Every wish that counts, the strongest first.
    wishes: Vec<Wish>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What is in force now.
    pub(super) ruling: Wish,
    /// The time that staff gave is over.
    pub(super) staff_over: bool,
}

impl Modes {
    pub(super) fn new(lane: &LaneSettings, staff: Option<StaffMode>, now: Now) -> Self {
        let mut modes = Self {
            own: lane.mode,
            schedule: lane.schedule.clone(),
            plan: None,
            replan: None,
            directives: Vec::new(),
            staff: staff.map(|staff| Held {
                mode: staff.mode,
                by: staff.by,
                term: Term::dated(None, staff.until),
            }),
            key: None,
            ruling: Wish {
                mode: lane.mode,
                ..Wish::default()
            },
            settled: Settled::default(),
            wishes: Vec::new(),
        };
        modes.settle(now);
        modes
    }

    /// What is in force.
    pub(super) const fn ruling(&self) -> Wish {
        self.ruling
    }

    /// Every wish that counts, the strongest first.
    pub(super) fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// Another config: the lane's own mode and its schedule.
    pub(super) fn reload(&mut self, lane: &LaneSettings) {
        self.own = lane.mode;
        self.schedule = lane.schedule.clone();
        (self.plan, self.replan) = (None, None);
        self.settled = Settled::default();
    }

    /// Staff or a key switch want something, or no longer. Gives what staff want over a restart, if that has changed.
    pub(super) fn want(&mut self, wanted: Wanted, now: Now) -> Option<Option<StaffMode>> {
        if wanted.source == Source::Key {
            // It says where it stands ten times a second.
            if self.key != wanted.mode {
                self.key = wanted.mode;
                self.settled = Settled::default();
            }
            return None;
        }
        let lasts = wanted.lasts.is_some();
        let same = |held: &Held| {
            let for_ever = held.term.ends.is_none() && held.term.until.is_none();
            Some(held.mode) == wanted.mode && held.by == wanted.by && for_ever && !lasts
        };
        if self.staff.as_ref().is_some_and(same) {
            return None;
        }
        self.settled = Settled::default();
        let Some(mode) = wanted.mode else {
            return self.staff.take().map(|_| None);
        };
        let until = wanted
            .lasts
            .and_then(|lasts| now.utc.map(|utc| utc + lasts));
        let mut term = Term::dated(None, until);
        term.ends = wanted.lasts.map(|lasts| now.mono + lasts);
        let by = wanted.by;
        self.staff = Some(Held { mode, by, term });
        // Without a date its end is not known over a restart: then it ends there.
        let lasts_over = until.is_some() || wanted.lasts.is_none();
        Some(lasts_over.then_some(StaffMode { mode, by, until }))
    }

    /// The directives in force or to come, the most specific first.
    pub(super) fn direct(&mut self, lane: &str, directives: &[Arc<Directive>]) {
        let held = directives.iter().filter_map(|directive| {
            Some(Held {
                mode: directive.mode_of(lane)?,
                by: None,
                term: Term::dated(Some(directive.not_before), Some(directive.not_after)),
            })
        });
        self.directives = held.collect();
        self.settled = Settled::default();
    }

    /// Judges anew; gives what has changed.
    pub(super) fn settle(&mut self, now: Now) -> Option<Change> {
        if self.settled.holds(now) {
            return None;
        }
        let staff_over = self
            .staff
            .as_mut()
            .is_some_and(|staff| staff.term.is_on(now) == Some(false));
        if staff_over {
            self.staff = None;
        }
        let own = Wish {
            mode: self.own,
            ..Wish::default()
        };
        let mut wishes = vec![own];
        wishes.extend(self.scheduled(now));
        let directed = self.directives.iter_mut();
        let directed: Vec<_> = directed
            .filter_map(|held| held.wish(Source::Directive, now))
            .collect();
        let emergency = directed.iter().find(|wish| wish.mode == Mode::Emergency);
        wishes.extend(emergency.or(directed.first()));
        let staff = self.staff.as_mut();
        wishes.extend(staff.and_then(|held| held.wish(Source::Staff, now)));
        wishes.extend(self.key.map(|mode| Wish {
            mode,
            source: Source::Key,
            ..Wish::default()
        }));
        let ruling = Wish::strongest(wishes.iter().copied());
        let same = |one: &Wish, other: &Wish| {
            (one.mode, one.source, one.by) == (other.mode, other.source, other.by)
        };
        let changed = !same(&ruling, &self.ruling);
        self.ruling = ruling;
        wishes.sort_by_key(|wish| std::cmp::Reverse(wish.strength()));
        self.wishes = wishes;
        self.settled = Settled::new(now, self.due(now.mono));
        (changed || staff_over).then_some(Change { ruling, staff_over })
    }

    /// When the clock may change something.
    pub(super) const fn deadline(&self) -> Option<Mono> {
        self.settled.due()
    }

    fn due(&self, now: Mono) -> Option<Mono> {
        let held = self.directives.iter().chain(&self.staff);
        let next = held.filter_map(|held| held.term.next(now));
        next.chain(self.replan).min()
    }

    fn scheduled(&mut self, now: Now) -> Option<Wish> {
        if self.schedule.spans.is_empty() {
            return None;
        }
        let plan = match (now.utc, self.schedule.dateless) {
            (Some(utc), Dateless::LaneMode | Dateless::Last) => {
                let plan = match self.plan.filter(|plan| plan.holds(utc)) {
                    Some(plan) => plan,
                    None => self.schedule.at(utc),
                };
                self.plan = Some(plan);
                self.replan = Some(now.mono + plan.ask_again.since(utc));
                Some(plan)
            }
            (None, dateless) => {
                self.replan = None;
                self.plan.filter(|_| dateless == Dateless::Last)
            }
        };
        plan.and_then(|plan| {
            Some(Wish {
                mode: plan.mode?,
                source: Source::Schedule,
                by: None,
                until: plan.until.filter(|_| now.utc.is_some()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::scene::{flap, now};
    use crate::domain::GateId;
    use crate::domain::directive::{LaneMode, PolicyChange, Target};
    use crate::domain::schedule::{Day, Span};

    /// Something that happens to the wishes of a lane.
    #[derive(Clone, Debug)]
    enum Happens {
        Staff(Option<Mode>, Option<u64>),
        Key(Option<Mode>),
        Directive(Mode, u64, u64),
        Passes(u64),
    }

    fn mode() -> impl Strategy<Value = Mode> {
        (0..Mode::ALL.len()).prop_map(|n| Mode::ALL[n])
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let lasts = proptest::option::of(1..7_200u64);
        prop_oneof![
            (proptest::option::of(mode()), lasts).prop_map(|(mode, s)| Happens::Staff(mode, s)),
            proptest::option::of(mode()).prop_map(Happens::Key),
            (mode(), 0..7_200u64, 1..7_200u64)
                .prop_map(|(m, from, s)| Happens::Directive(m, from, s)),
            (1..3_600_000u64).prop_map(Happens::Passes),
        ]
    }

    fn at(ms: u64) -> Now {
        now(ms, false)
    }

    proptest! {
        /// Whatever staff, keys, directives and the calendar want: the strongest has it, nothing changes between two
        /// deadlines, and what had a time is over after it.
        #[test]
        fn the_strongest_has_it_and_nothing_changes_before_its_deadline(
            happened in proptest::collection::vec(happens(), 1..24),
            spans in proptest::collection::vec((0u16..1440, 0u16..=1440, 0usize..6), 0..4),
        ) {
            let mut lane = flap();
            let span = |(from, to, mode): (u16, u16, usize)| Span {
                days: vec![Day::Mon, Day::Sun],
                from,
                to,
                mode: Mode::ALL[mode],
            };
            lane.schedule.spans = spans.into_iter().map(span).collect();
            let mut ms = 0;
            let mut modes = Modes::new(&lane, None, at(ms));
            let (mut staff_until, mut directed) = (None, None);
            for one in happened {
                match one {
                    Happens::Passes(by) => ms += by,
                    Happens::Key(mode) => drop(modes.want(Wanted::by_key(mode), at(ms))),
                    Happens::Staff(mode, s) => {
                        let lasts = s.map(Duration::from_secs);
                        modes.want(Wanted { lasts, ..Wanted::by_staff(mode) }, at(ms));
                        staff_until = mode.map(|mode| (mode, s.map(|s| ms + s * 1_000)));
                    }
                    Happens::Directive(mode, from, s) => {
                        let utc = at(ms).utc.unwrap();
                        let directive = Directive {
                            target: Target::Gate(GateId::new("g").unwrap()),
                            version: 1,
                            not_before: utc + Duration::from_secs(from),
                            not_after: utc + Duration::from_secs(from + s),
                            modes: vec![LaneMode { lane: None, mode }],
                            policy: PolicyChange::default(),
                        };
                        modes.direct(&lane.name, &[Arc::new(directive)]);
                        directed = Some((mode, ms + from * 1_000, ms + (from + s) * 1_000));
                    }
                }
                modes.settle(at(ms));
                let wishes = modes.wishes().to_vec();
                prop_assert_eq!(Wish::strongest(wishes.iter().copied()), modes.ruling());
                prop_assert!(wishes.is_sorted_by_key(|wish| std::cmp::Reverse(wish.strength())));
                let of = |source| wishes.iter().find(|w| w.source == source).map(|w| w.mode);
                let staff = staff_until.filter(|(_, until)| until.is_none_or(|until| ms < until));
                prop_assert_eq!(of(Source::Staff), staff.map(|(mode, _)| mode));
                let in_force = directed.filter(|(_, from, until)| *from <= ms && ms < *until);
                prop_assert_eq!(of(Source::Directive), in_force.map(|(mode, ..)| mode));
                let scheduled = lane.schedule.at(at(ms).utc.unwrap()).mode;
                prop_assert_eq!(of(Source::Schedule), scheduled);
                let due = modes.deadline().map_or(ms + 60_000, |due| due.as_millis());
                for part in 1..8 {
                    let between = ms + (due - ms) * part / 8;
                    if between < due {
                        modes.settled = Settled::default();
                        prop_assert_eq!(modes.settle(at(between)), None, "{} {} {}", ms, between, due);
                    }
                }
                modes.settled = Settled::default();
                modes.settle(at(ms));
            }
        }
    }
}
