//! From what the aisle has seen to what the barrier does, and to what came of a grant.

use super::aisle::{Fact, Side};
use super::machine::{Effect, Input};
use super::{Lane, STRIDE};
use crate::core::desk::{self, Pass, Said};
use crate::core::settings::Below;
use crate::core::turn::Turn;
use crate::domain::{Action, Direction, Mono, Outcome, Prompt};

impl Lane {
    /// Takes what was seen.
    pub(super) fn judge(&mut self, facts: &[Fact], turn: &mut Turn<'_>) {
        for (nth, fact) in facts.iter().enumerate() {
            match *fact {
                // He walks on while his own code is being decided on: no intrusion yet, the barrier is locked.
                Fact::Entered(way)
                    if self.desk.serving() == Some(way) && self.machine.is_locked() => {}
                Fact::Entered(way) if !self.is_expected(way) => {
                    self.drive(Input::Entered(way), turn)
                }
                Fact::Followed(way) if !self.is_expected(way) => {
                    self.drive(Input::Followed(way), turn);
                }
                Fact::Entered(_) | Fact::Followed(_) => {}
                Fact::Crossed(way) => self.drive(Input::Crossed(way), turn),
                Fact::Left(way) => self.drive(Input::Left(way), turn),
                Fact::Below(way) => self.judge_below(way, turn),
                Fact::Forced(way) => self.drive(Input::Forced(way), turn),
            }
            let later = facts.iter().skip(nth + 1);
            let enters = |fact: &Fact| matches!(fact, Fact::Entered(_) | Fact::Followed(_));
            let announced = later.clone().any(enters);
            self.next_of_group(announced, turn);
        }
    }

    /// True if whoever steps in behind a rider has a grant that waits, or is so far behind that he may yet show a code:
    /// he is tailgating only if he walks through.
    fn is_expected(&mut self, way: Direction) -> bool {
        self.machine.has_rider(way) && (self.group.expects() || !self.aisle.is_close())
    }

    /// Somebody or something below the beams. With a rider it is what the site says; alone it has crept under.
    fn judge_below(&mut self, way: Direction, turn: &mut Turn<'_>) {
        if self.is_held_open() {
            return;
        }
        if !self.machine.has_rider(way) && self.machine.pass().is_none() {
            return self.drive(Input::Entered(way), turn);
        }
        match self.below {
            Below::Luggage => {}
            Below::Companion => turn.outcome(self.id, way, Outcome::Companion, None),
            Below::Tailgating => self.drive(Input::Followed(way), turn),
        }
    }

    /// A grant is durable: the barrier is released for it, now or once the one ahead is through.
    pub(super) fn release(&mut self, pass: Pass, turn: &mut Turn<'_>) {
        let behind = !self.machine.is_locked() && self.group.has_room();
        // Nobody overtakes who waits, and the rest of the turn of the one before is not this rider's.
        let waits = !self.group.is_empty() || self.aisle.is_leaving();
        if !self.is_held_open() && (behind || waits) {
            self.group.wait(pass);
            // The sign says so already; this is his own tone.
            turn.act(Action::Show(self.id, pass.direction, Prompt::Go));
            self.next_of_group(false, turn);
        } else {
            self.grant(pass, self.stands_inside(pass.direction), turn);
        }
        self.turns.serve(turn.mono(), pass.direction);
        self.signs.end_answer(pass.direction);
    }

    fn grant(&mut self, pass: Pass, inside: bool, turn: &mut Turn<'_>) {
        self.last_way = pass.direction;
        self.drive(Input::Granted(pass, inside), turn);
        // Whoever stepped in too early has been granted the way now.
        self.watch.quieten(self.id, turn);
    }

    /// Somebody stands in the aisle on this way. A sensor that seems stuck says nothing of a rider: he has the time
    /// that everybody has.
    fn stands_inside(&self, way: Direction) -> bool {
        self.aisle.occupant() == Some(way) && !self.watch.is_obstructed()
    }

    /// The next of a group, once the one ahead is through; a rotor first has to be where it can be freed again.
    /// `announced`: whoever is inside is about to be told of as new.
    pub(super) fn next_of_group(&mut self, announced: bool, turn: &mut Turn<'_>) {
        let waits = !self.group.is_empty() && self.machine.takes_next();
        if !waits || self.machine.may_lock_unseen() && self.aisle.occupant().is_some() {
            return;
        }
        if let Some(pass) = self.group.next() {
            let inside = !announced && self.stands_inside(pass.direction);
            self.grant(pass, inside, turn);
        }
    }

    pub(super) fn ask_desk(&mut self, input: desk::Input, turn: &mut Turn<'_>) {
        match self.desk.step(input, turn) {
            Said::Nothing => {}
            Said::Working(side) => self.signs.end_answer(side),
            Said::Refused(side, prompt, assist) => {
                let now = turn.mono();
                self.signs.answer(now, self.id, side, prompt, turn.out);
                if assist {
                    self.watch.call_staff(self.id, turn);
                }
            }
            Said::Release(pass) => self.release(pass, turn),
        }
    }

    pub(super) fn side(&self) -> Side {
        let expected = self.machine.pass().map(|pass| pass.direction);
        Side {
            expected: expected.or(self.desk.serving()),
            passable: !self.machine.is_locked(),
            obstructed: self.watch.is_obstructed(),
        }
    }

    pub(super) fn drive(&mut self, input: Input, turn: &mut Turn<'_>) {
        let was_still = self.machine.is_tripod_still();
        let mut effects = Vec::new();
        #[cfg(feature = "lab")]
        self.pairs.see(&self.machine, input);
        self.machine.step(turn.mono(), input, &mut effects);
        self.count_turns(input, was_still, &effects, turn);
        if matches!(input, Input::HoldOpen | Input::Withdraw) {
            let waiting = self.group.dissolve();
            effects.extend(waiting.into_iter().map(Effect::nobody_came));
        }
        for effect in effects {
            match effect {
                Effect::Release(side) => {
                    self.moved(true, Action::ReleaseBarrier(self.id, side), turn)
                }
                Effect::ReleaseBoth => self.moved(true, Action::ReleaseBothWays(self.id), turn),
                Effect::Lock => self.moved(false, Action::LockBarrier(self.id), turn),
                Effect::Outcome(way, outcome, grant) => {
                    if outcome == Outcome::Passed {
                        self.works.proven();
                    }
                    if grant.is_some() || self.strides(turn.mono()) {
                        turn.outcome(self.id, way, outcome, grant);
                    }
                }
                Effect::Stray(way, outcome) => {
                    if self.watch.stray(self.id, way, turn) || outcome != Outcome::Intrusion {
                        turn.outcome(self.id, way, outcome, None);
                    }
                    // Whoever was just refused and stands too close reads the reason first.
                    if outcome != Outcome::Intrusion {
                        self.signs.end_answer(way);
                    }
                }
            }
        }
    }

    /// What a tripod's turns say of its relay. `was_still`: it was released, and the rotor had not moved.
    fn count_turns(
        &mut self,
        input: Input,
        was_still: Option<bool>,
        effects: &[Effect],
        turn: &mut Turn<'_>,
    ) {
        let Some(was_still) = was_still else { return };
        let ends = |of| {
            let ends = |effect: &Effect| matches!(effect, Effect::Outcome(_, outcome, Some(_)) if *outcome == of);
            effects.iter().any(ends)
        };
        let strays = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Stray(..)));
        if ends(Outcome::Passed) {
            self.relay.rode();
        } else if was_still && matches!(input, Input::Entered(_) | Input::Followed(_)) {
            self.relay.moved();
        } else if was_still && input == Input::TimedOut && ends(Outcome::NoEntryAfterGrant) {
            // A contact that sticks says nothing of turns.
            if self.aisle.is_clear() && self.relay.idled() {
                self.rest(turn);
            }
        } else if strays && matches!(input, Input::Crossed(_) | Input::Forced(_)) {
            self.relay.turned_locked();
        }
    }

    /// The barrier is told to open or to shut.
    fn moved(&mut self, open: bool, action: Action, turn: &mut Turn<'_>) {
        turn.act(action);
        self.duty.power(turn.mono(), open);
        if let Some(feedback) = &mut self.feedback {
            feedback.tell(turn.mono(), open);
        }
    }

    /// False for a "person" who comes sooner than people walk.
    fn strides(&mut self, now: Mono) -> bool {
        let too_soon = self
            .strode
            .is_some_and(|last| last <= now && now.since(last) < STRIDE);
        if !too_soon {
            self.strode = Some(now);
        }
        !too_soon
    }
}
