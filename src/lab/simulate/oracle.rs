//! Knows the rules and nothing else, and looks at every step of one gate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aisle::{Aisle, Stands};
use super::post::Said;
use super::records::Logged;
use super::wishes::{Wishes, serves};
use crate::core::{LaneView, OnTrouble, Settings};
use crate::domain::{
    Action, Alarm, Direction, Directive, Event, GrantId, Kind, LaneId, Mode, Now, Outcome, Prompt,
    Source,
};

/// How long a sensor's level may be unknown to the gate: its driver repeats it every 100 ms, an edge and its repeat
/// may be lost, and it must stay for the debounce time.
const UNSEEN_MAX: u64 = 600_000;

/// What the oracle expects of one presentation.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Whose credential it is.
    pub(super) person: usize,
    /// The text of a dynamic code.
    pub(super) dynamic: Option<String>,
    /// What the lists said when it was looked up; the outer `None` if nobody knows the person.
    pub(super) said: Said,
    /// What the centre said of them a short time ago: an answer is kept for a while.
    pub(super) before: Said,
    /// When it was read, in microseconds of the day.
    pub(super) read: u64,
}

/// A grant as the oracle knows it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Granted {
    pub(super) number: u64,
    pub(super) lane: LaneId,
    pub(super) direction: Direction,
    pub(super) expected: Option<Expected>,
    pub(super) at: u64,
    pub(super) boot: u32,
    pub(super) durable: bool,
    pub(super) released: Option<u64>,
    /// Refused after all.
    pub(super) taken_back: bool,
    pub(super) annulled: bool,
    pub(super) in_order: bool,
    /// A gap record speaks for it.
    pub(super) gap_told: bool,
}

/// A lane as the oracle knows it.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) wishes: Wishes,
    pub(super) signs: [Option<Prompt>; 2],
    /// How long a release lasts, microseconds.
    release: u64,
}

/// The oracle of one gate.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) settings: Settings,
    /// Dates can be trusted all day: what must survive a restart does.
    pub(super) clean_clock: bool,
    pub(super) boot: u32,
    pub(super) lanes: Vec<Lane>,
    pub(super) grants: BTreeMap<GrantId, Granted>,
    /// Grants of this boot that were released without a durable record.
    pub(super) unrecorded: BTreeSet<GrantId>,
    pub(super) gaps: u32,
    pub(super) alarms: BTreeSet<Alarm>,
    pub(super) fire: bool,
    /// The latch is on the disk.
    pub(super) fire_durable: bool,
    /// Directives that the gate has accepted, and the newest version of them.
    pub(super) directives: Vec<Arc<Directive>>,
    pub(super) directed_max: u64,
    /// The highest versions that were ever in force.
    pub(super) list_max: Option<(u32, u64)>,
    pub(super) trust_max: u64,
    /// The journal, as it must be for ever.
    pub(super) log: Vec<Logged>,
    pub(super) ends: BTreeMap<GrantId, Outcome>,
    /// Grants whose end was given up while the disk hung and the queue was full.
    pub(super) given_up: BTreeSet<GrantId>,
    /// Codes that were claimed at another gate.
    pub(super) elsewhere: BTreeSet<String>,
    /// Passages that were seen through.
    pub(super) passages: u64,
    /// The first rule that was broken.
    pub(super) violation: Option<String>,
}

/// What the oracle looks at besides the actions: the gate before them.
pub(super) struct Scene<'a> {
    /// Microseconds of the day.
    pub(super) now: u64,
    /// The lanes, and whether the gate cannot know better what is in them: a sensor is stuck, an edge was lost.
    pub(super) aisles: Vec<(&'a Aisle, bool)>,
    /// The gate was woken by its timer, and its lanes stood so.
    pub(super) timer: Option<Vec<&'static str>>,
}

impl Oracle {
    /// An oracle for a gate with these settings.
    #[must_use]
    pub(super) fn new(settings: Settings, clean_clock: bool) -> Self {
        let lanes = settings.lanes.iter().map(|lane| Lane {
            wishes: Wishes::new(lane, clean_clock),
            signs: [None; 2],
            release: u64::try_from(lane.release.as_micros()).unwrap_or(u64::MAX),
        });
        Self {
            lanes: lanes.collect(),
            settings,
            clean_clock,
            boot: 0,
            grants: BTreeMap::new(),
            unrecorded: BTreeSet::new(),
            gaps: 0,
            alarms: BTreeSet::new(),
            fire: false,
            fire_durable: false,
            directives: Vec::new(),
            directed_max: 0,
            list_max: None,
            trust_max: 0,
            log: Vec::new(),
            ends: BTreeMap::new(),
            given_up: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            passages: 0,
            violation: None,
        }
    }

    /// A rule is broken. The first one counts.
    pub(super) fn violated(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    pub(super) fn must(&mut self, holds: bool, what: &str) {
        if !holds {
            self.violated(what);
        }
    }

    /// The lane of that number.
    pub(super) fn lane(&mut self, lane: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(lane.0))
    }

    /// The mode that a lane must have, if that can be said.
    pub(super) fn mode(&self, lane: LaneId, now: u64) -> Option<Mode> {
        self.lanes.get(usize::from(lane.0))?.wishes.mode(now)
    }

    /// The gate hears something that the oracle must know of. `fire`: what the fire loop says now.
    pub(super) fn told(&mut self, event: &Event, fire: bool) {
        match event {
            Event::Fire(input) => self.fire |= *input,
            Event::FireReset => self.fire &= fire,
            Event::ModeSet(lane, wanted) => {
                let Some(lane) = self.lane(*lane) else { return };
                match wanted.source {
                    Source::Key => lane.wishes.key = wanted.mode,
                    Source::Staff | Source::Config | Source::Schedule | Source::Directive => {
                        lane.wishes.staff(wanted.mode);
                    }
                }
            }
            Event::Directed(directives) => self.directives.clone_from(directives),
            Event::Presented(_)
            | Event::Answered { .. }
            | Event::Claimed(..)
            | Event::Durable(_)
            | Event::NotDurable(..)
            | Event::Sensed(..)
            | Event::LinesLost(_)
            | Event::Staffed(..)
            | Event::ReaderPrompt(..)
            | Event::Readers(..)
            | Event::BarrierWorks(..)
            | Event::Stopping
            | Event::TimedOut => {}
        }
    }

    /// Everything that was to be written is on the disk.
    pub(super) fn settled(&mut self) {
        for lane in &mut self.lanes {
            lane.wishes.settled();
        }
    }

    /// Judges anew which mode each lane must have.
    pub(super) fn refresh(&mut self, now: u64, clocks: Now) {
        let directives = &self.directives;
        for lane in &mut self.lanes {
            lane.wishes.refresh(now, clocks, directives);
        }
    }

    /// Looks at the actions of one step. `shown`: what is known of presentations, by their numbers.
    pub(super) fn see(
        &mut self,
        actions: &[Action],
        scene: &Scene<'_>,
        shown: &BTreeMap<u64, Expected>,
    ) {
        let mut refused = Vec::new();
        for action in actions {
            match action {
                Action::ReleaseBarrier(lane, way) => self.see_release(*lane, *way, scene.now),
                Action::ReleaseBothWays(lane) => self.see_open(*lane, scene.now),
                Action::LockBarrier(lane) => self.see_lock(*lane, scene),
                Action::Show(lane, side, prompt) => {
                    if let Some(sign) = self.sign(*lane, *side) {
                        *sign = Some(*prompt);
                    }
                }
                // The gap is on its way to the journal: it speaks for those that are known not to be there.
                Action::Record(entry) if matches!(entry.record.kind, Kind::Gap { .. }) => {
                    self.unrecorded.clear();
                    let boot = self.boot;
                    let of_boot = self.grants.values_mut().filter(|grant| grant.boot == boot);
                    of_boot.for_each(|grant| grant.gap_told |= !grant.durable);
                }
                Action::AskOnline { .. }
                | Action::Claim { .. }
                | Action::Unclaim(_)
                | Action::Record(_)
                | Action::SensorSticks(..) => {}
                Action::Decided(decided) => {
                    self.see_decision(decided, scene, shown.get(&decided.number));
                    if decided.grant.is_none() {
                        refused.push(*decided);
                    }
                }
                Action::Ended(lane, _, outcome, grant) => {
                    self.see_end(*lane, *outcome, *grant, actions, scene);
                }
                Action::Alarm(_, alarm, true) => {
                    self.alarms.insert(*alarm);
                }
                Action::Alarm(_, alarm, false) => {
                    self.alarms.remove(alarm);
                }
            }
        }
        for decided in refused {
            let sign = self
                .sign(decided.lane, decided.direction)
                .and_then(|sign| *sign);
            let silent = matches!(sign, None | Some(Prompt::Idle | Prompt::Wait));
            self.must(!silent, "somebody is refused and the sign says nothing");
        }
        self.must(
            self.unrecorded.is_empty() || self.alarms.contains(&Alarm::Unrecorded),
            "released without a record, and no alarm says so",
        );
    }

    fn sign(&mut self, lane: LaneId, side: Direction) -> Option<&mut Option<Prompt>> {
        let [entry, exit] = &mut self.lane(lane)?.signs;
        Some(match side {
            Direction::Entry => entry,
            Direction::Exit => exit,
        })
    }

    fn may_open_unrecorded(&self) -> bool {
        [self.settings.on_stall, self.settings.on_full].contains(&OnTrouble::Open)
    }

    fn see_release(&mut self, lane: LaneId, way: Direction, now: u64) {
        let (boot, may_open) = (self.boot, self.may_open_unrecorded());
        let ends = &self.ends;
        let live = self.grants.iter_mut().find(|(id, grant)| {
            (grant.boot, grant.lane, grant.direction) == (boot, lane, way)
                && grant.released.is_none()
                && !grant.taken_back
                && !ends.contains_key(id)
        });
        let Some((id, grant)) = live else {
            return self.violated("released without a live grant");
        };
        grant.released = Some(now);
        if !grant.durable {
            self.unrecorded.extend((!grant.gap_told).then_some(*id));
            self.must(may_open, "released before the grant was durable");
        }
    }

    fn see_open(&mut self, lane: LaneId, now: u64) {
        let mode = self.mode(lane, now);
        let reason = self.fire || mode.is_none_or(Mode::is_open);
        self.must(reason, "released both ways without a reason");
        let boot = self.boot;
        // A grant that was on its way to the disk is held back: nobody needs it.
        let held = self.grants.values_mut();
        for grant in held.filter(|grant| grant.boot == boot && grant.lane == lane) {
            grant.annulled |= grant.released.is_none();
        }
    }

    fn see_lock(&mut self, lane: LaneId, scene: &Scene<'_>) {
        let mode = self.mode(lane, scene.now);
        let must_be_open = self.fire || mode.is_some_and(Mode::is_open);
        self.must(!must_be_open, "locked while it must be open");
        let Some((aisle, blind)) = scene.aisles.get(usize::from(lane.0)) else {
            return;
        };
        if aisle.is_tripod() || aisle.stands == Stands::Locked || *blind {
            return;
        }
        let seen_for = aisle
            .touched_since()
            .map_or(0, |since| scene.now.saturating_sub(since));
        self.must(seen_for <= UNSEEN_MAX, "the barrier closes on a body");
    }

    fn see_end(
        &mut self,
        lane: LaneId,
        outcome: Outcome,
        grant: Option<GrantId>,
        actions: &[Action],
        scene: &Scene<'_>,
    ) {
        self.passages = self
            .passages
            .saturating_add(u64::from(outcome == Outcome::Passed));
        let Some(id) = grant else { return };
        let before = self.ends.insert(id, outcome);
        self.must(before.is_none(), "a grant ends twice");
        self.unrecorded.remove(&id);
        let release = self.lane(lane).map_or(0, |lane| lane.release);
        let Some(grant) = self.grants.get_mut(&id) else {
            return;
        };
        grant.annulled |= outcome == Outcome::NoEntryAfterGrant;
        let waited = grant.released.map(|at| scene.now.saturating_sub(at));
        let by_timer = scene
            .timer
            .as_ref()
            .and_then(|states| states.get(usize::from(lane.0)).copied())
            == Some("released");
        // Another mode, or a barrier that fails, takes a grant back sooner.
        let taken_back = actions.iter().any(|action| {
            let mode = matches!(action, Action::Record(entry) if matches!(entry.record.kind, Kind::Mode { .. }));
            mode || matches!(action, Action::Alarm(_, Alarm::BarrierFault, true))
        });
        let early = waited.is_some_and(|waited| waited < release) && by_timer && !taken_back;
        self.must(
            outcome != Outcome::NoEntryAfterGrant || !early,
            "nobody came, it says, before the time was up",
        );
    }

    /// The mode of each lane is the strongest wish, and its barrier stands as the gate believes; in a fire it is released.
    pub(super) fn look_at_lane(
        &mut self,
        lane: LaneId,
        now: u64,
        clocks: Now,
        view: &LaneView,
        stands: Stands,
    ) {
        if self.fire && stands != Stands::Both {
            self.violated("there is a fire and the barrier is not released");
        }
        if view.state == "locked" && stands != Stands::Locked {
            self.violated("the gate believes the barrier locked, and it is not");
        }
        let directives = std::mem::take(&mut self.directives);
        let of = self.lane(lane);
        let holds = of.is_none_or(|of| of.wishes.look(now, clocks, &directives, view.mode.mode));
        self.directives = directives;
        self.must(holds, "a lane has another mode than the strongest wish");
    }

    /// True if a lane may decide on somebody at this side.
    pub(super) fn may_serve(&self, lane: LaneId, side: Direction, now: u64) -> bool {
        self.mode(lane, now).is_none_or(|mode| serves(mode, side))
    }
}
