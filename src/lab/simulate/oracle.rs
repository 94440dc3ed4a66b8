//! Knows the rules and nothing else, and looks at every step.

use std::collections::{BTreeMap, BTreeSet};

use super::aisle::{Aisle, Stands};
use super::records::end;
use crate::core::{OnTrouble, Settings};
use crate::domain::{
    Action, Alarm, Colour, Decided, Direction, GrantId, Mode, Outcome, Prompt, Reason, Verdict,
};

/// How long a sensor's level may be unknown to the gate: its driver repeats it every 100 ms, an edge and its repeat
/// may be lost, and it must stay for the debounce time.
const UNSEEN_MAX: u64 = 600_000;

/// What the oracle expects of one presentation.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Who shows it.
    pub(super) person: usize,
    /// The text of a dynamic code.
    pub(super) dynamic: Option<String>,
    /// What the lists said when it was shown; the outer `None` if nobody knows the person.
    pub(super) said: Option<Option<Colour>>,
    /// When it was read, in microseconds of the day.
    pub(super) read: u64,
}

/// A grant as the oracle knows it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Granted {
    pub(super) number: u64,
    pub(super) direction: Direction,
    pub(super) expected: Option<Expected>,
    pub(super) at: u64,
    pub(super) boot: u32,
    pub(super) durable: bool,
    pub(super) released: bool,
    pub(super) annulled: bool,
    pub(super) in_order: bool,
}

/// The oracle of one day.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) settings: Settings,
    /// Dates can be trusted all day: what must survive a restart does.
    pub(super) clean_clock: bool,
    pub(super) boot: u32,
    pub(super) grants: BTreeMap<GrantId, Granted>,
    /// Grants of this boot that were released without a durable record.
    pub(super) unrecorded: BTreeSet<GrantId>,
    pub(super) gaps: u32,
    pub(super) alarms: BTreeSet<Alarm>,
    pub(super) mode: Mode,
    pub(super) fire: bool,
    /// The latch is on the disk.
    pub(super) fire_durable: bool,
    pub(super) signs: [Option<Prompt>; 2],
    /// The journal, as it must be for ever.
    pub(super) log: Vec<(u64, String)>,
    pub(super) ends: BTreeMap<GrantId, Outcome>,
    /// Passages that were seen through.
    pub(super) passages: u64,
    /// The first rule that was broken.
    pub(super) violation: Option<String>,
}

/// What the oracle looks at besides the actions.
pub(super) struct Scene<'a> {
    /// Microseconds of the day.
    pub(super) now: u64,
    /// The lane, as it was before the actions.
    pub(super) aisle: &'a Aisle,
    /// A sensor is stuck, or an edge was lost a moment ago: the gate cannot know better.
    pub(super) blind: bool,
}

impl Oracle {
    /// An oracle for a gate with these settings.
    #[must_use]
    pub(super) fn new(settings: Settings, clean_clock: bool) -> Self {
        let mode = settings
            .lanes
            .first()
            .map_or(Mode::Normal, |lane| lane.mode);
        Self {
            settings,
            clean_clock,
            boot: 0,
            grants: BTreeMap::new(),
            unrecorded: BTreeSet::new(),
            gaps: 0,
            alarms: BTreeSet::new(),
            mode,
            fire: false,
            fire_durable: false,
            signs: [None; 2],
            log: Vec::new(),
            ends: BTreeMap::new(),
            passages: 0,
            violation: None,
        }
    }

    /// A rule is broken. The first one counts.
    pub(super) fn violated(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert(what.into());
    }

    pub(super) fn must(&mut self, holds: bool, what: &str) {
        if !holds {
            self.violated(what);
        }
    }

    /// True while everybody may walk.
    #[must_use]
    pub(super) const fn is_held_open(&self) -> bool {
        self.fire || matches!(self.mode, Mode::Free | Mode::Emergency)
    }

    /// True while there is a fire, or nobody has reset it.
    #[must_use]
    pub(super) const fn is_fire(&self) -> bool {
        self.fire
    }

    /// The fire loop says so, and the gate has been told.
    pub(super) const fn fire(&mut self, input: bool) {
        self.fire = self.fire || input;
    }

    /// A person has reset the fire.
    pub(super) const fn fire_reset(&mut self) {
        self.fire = false;
    }

    /// Staff have set a mode.
    pub(super) const fn mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// The controller starts again: what must be remembered is.
    pub(super) fn restarted(&mut self, actions: &[Action], scene: &Scene<'_>, mode: Mode) {
        self.boot = self.boot.saturating_add(1);
        self.mode = mode;
        self.alarms.clear();
        self.unrecorded.clear();
        self.signs = [None; 2];
        // What had ended in memory only has not ended.
        self.ends = self.log.iter().filter_map(|(_, text)| end(text)).collect();
        let opened = actions
            .iter()
            .any(|action| matches!(action, Action::ReleaseBothWays(_)));
        self.must(
            opened || !self.fire_durable,
            "a fire is forgotten over a restart",
        );
        self.fire = opened && !matches!(mode, Mode::Free | Mode::Emergency);
        self.see(actions, scene, &BTreeMap::new());
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
                Action::ReleaseBarrier(_, way) => self.see_release(*way),
                Action::ReleaseBothWays(_) => {
                    self.must(self.is_held_open(), "released both ways without a reason");
                }
                Action::LockBarrier(_) => self.see_lock(scene),
                Action::Show(_, side, prompt) => *self.sign(*side) = Some(*prompt),
                Action::AskOnline { .. }
                | Action::Claim { .. }
                | Action::Unclaim(_)
                | Action::Record(_)
                | Action::SensorSticks(..) => {}
                Action::Decided(decided) => {
                    self.see_decision(decided, scene, shown.get(&decided.number));
                    if decided.verdict != Verdict::Grant {
                        refused.push(*decided);
                    }
                }
                Action::Ended(_, _, outcome, grant) => self.see_end(*outcome, *grant),
                Action::Alarm(_, alarm, true) => {
                    self.alarms.insert(*alarm);
                }
                Action::Alarm(_, alarm, false) => {
                    self.alarms.remove(alarm);
                }
            }
        }
        for decided in refused {
            let silent = matches!(
                *self.sign(decided.direction),
                None | Some(Prompt::Idle | Prompt::Wait)
            );
            self.must(!silent, "somebody is refused and the sign says nothing");
        }
        self.must(
            self.unrecorded.is_empty() || self.alarms.contains(&Alarm::Unrecorded),
            "released without a record, and no alarm says so",
        );
    }

    const fn sign(&mut self, side: Direction) -> &mut Option<Prompt> {
        let [entry, exit] = &mut self.signs;
        match side {
            Direction::Entry => entry,
            Direction::Exit => exit,
        }
    }

    fn may_open_unrecorded(&self) -> bool {
        [self.settings.on_stall, self.settings.on_full].contains(&OnTrouble::Open)
    }

    fn see_release(&mut self, way: Direction) {
        let (boot, may_open) = (self.boot, self.may_open_unrecorded());
        let ends = &self.ends;
        let live = self.grants.iter_mut().rev().find(|(id, grant)| {
            grant.boot == boot
                && grant.direction == way
                && !grant.released
                && !ends.contains_key(id)
        });
        let Some((id, grant)) = live else {
            return self.violated("released without a live grant");
        };
        grant.released = true;
        if !grant.durable {
            self.unrecorded.insert(*id);
            self.must(may_open, "released before the grant was durable");
        }
        if self.mode == Mode::Closed && way == Direction::Entry {
            self.violated("an entry is released while entry is closed");
        }
    }

    fn see_lock(&mut self, scene: &Scene<'_>) {
        self.must(!self.is_held_open(), "locked while it must be open");
        if scene.aisle.is_tripod() || scene.aisle.stands == Stands::Locked || scene.blind {
            return;
        }
        let seen_for = scene
            .aisle
            .touched_since()
            .map_or(0, |since| scene.now.saturating_sub(since));
        self.must(seen_for <= UNSEEN_MAX, "the barrier closes on a body");
    }

    fn see_decision(&mut self, decided: &Decided, scene: &Scene<'_>, shown: Option<&Expected>) {
        self.must(
            (decided.verdict == Verdict::Grant) == decided.grant.is_some(),
            "a verdict and its grant do not fit",
        );
        let again = matches!(decided.reason, Reason::LaneBusy | Reason::TooLate);
        self.must(
            decided.verdict != Verdict::Deny || decided.direction == Direction::Entry || again,
            "somebody is denied the way out",
        );
        let Some(id) = decided.grant else {
            if let Some(known) = self.taken_back(decided) {
                self.grants.remove(&known);
            }
            return;
        };
        let in_order = decided.reason == Reason::InOrder;
        if let Some(expected) = shown {
            self.must(
                scene.now.saturating_sub(expected.read) <= 2_000_000,
                "an old presentation opens the gate",
            );
            if decided.direction == Direction::Entry {
                self.must(
                    expected.said == Some(Some(Colour::Green)) || !in_order,
                    "granted to somebody whom no list calls green",
                );
                self.must(in_order, "an entry is granted for another reason");
                self.see_again(expected, scene.now);
            }
        }
        let granted = Granted {
            number: decided.number,
            direction: decided.direction,
            expected: shown.cloned(),
            at: scene.now,
            boot: self.boot,
            durable: false,
            released: false,
            annulled: false,
            in_order,
        };
        let before = self.grants.insert(id, granted);
        self.must(before.is_none(), "a grant has the number of another");
    }

    /// The grant of this presentation, if it was granted before and is refused after all.
    fn taken_back(&self, decided: &Decided) -> Option<GrantId> {
        let mut grants = self.grants.iter().rev();
        let of = |grant: &Granted| grant.boot == self.boot && grant.number == decided.number;
        grants.find(|(_, grant)| of(grant)).map(|(id, _)| *id)
    }

    /// No code opens twice, nobody enters twice.
    fn see_again(&mut self, expected: &Expected, now: u64) {
        let remembered = |grant: &&Granted| {
            !grant.annulled && (grant.boot == self.boot || self.clean_clock && grant.durable)
        };
        let of_code = |grant: &&Granted| {
            expected.dynamic.is_some()
                && grant.expected.as_ref().map(|e| &e.dynamic) == Some(&expected.dynamic)
                && now.saturating_sub(grant.at) < 58_000_000
        };
        if self
            .grants
            .values()
            .filter(remembered)
            .any(|grant| of_code(&grant))
        {
            return self.violated("a code opens the gate twice");
        }
        let Some(remember) = self.settings.passback else {
            return;
        };
        let theirs = |grant: &&Granted| {
            grant
                .expected
                .as_ref()
                .is_some_and(|e| e.person == expected.person)
        };
        let last = self
            .grants
            .values()
            .filter(remembered)
            .filter(theirs)
            .max_by_key(|grant| grant.at);
        let again = last.is_some_and(|grant| {
            grant.in_order
                && grant.direction == Direction::Entry
                && u128::from(now.saturating_sub(grant.at)) + 2_000_000
                    < remember.remember.as_micros()
        });
        self.must(!again, "somebody enters twice");
    }

    fn see_end(&mut self, outcome: Outcome, grant: Option<GrantId>) {
        self.passages = self
            .passages
            .saturating_add(u64::from(outcome == Outcome::Passed));
        let Some(id) = grant else { return };
        let before = self.ends.insert(id, outcome);
        self.must(before.is_none(), "a grant ends twice");
        self.unrecorded.remove(&id);
        if let Some(grant) = self.grants.get_mut(&id) {
            grant.annulled |= outcome == Outcome::NoEntryAfterGrant;
        }
    }
}
