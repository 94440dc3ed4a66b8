//! The barrier of one lane: an enum of states and one `match` on (state, input). Every pair is named, so a new input
//! does not compile until each state has an answer.

use std::time::Duration;

use super::track::Fact;
use crate::core::settings::Barrier;
use crate::domain::{Direction, GrantId, Mono, Outcome};

/// A grant that is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Which way.
    pub direction: Direction,
    /// Until when its person may step in.
    pub until: Mono,
}

/// Where a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Barrier locked. `intruder`: somebody is crossing all the same.
    Locked {
        /// Which way they walk.
        intruder: Option<Direction>,
    },
    /// Barrier released for one person who has not stepped in yet.
    Released {
        /// Their grant.
        grant: Grant,
        /// Somebody came against it.
        wrong_way: bool,
    },
    /// The person is in the aisle. The barrier stays released until it is empty.
    Passing {
        /// Their grant.
        grant: Grant,
        /// From when on the aisle counts as obstructed.
        obstructed_at: Mono,
    },
    /// The grant has ended and somebody is still in the aisle: a flap never closes on a body.
    Clearing {
        /// From when on the aisle counts as obstructed.
        obstructed_at: Mono,
    },
    /// Fire, free or emergency mode: released both ways for everybody.
    HeldOpen,
}

/// What moves a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A grant that is durable.
    Granted(GrantId, Direction),
    /// Something the sensors say.
    Fact(Fact),
    /// Fire, free or emergency mode begins.
    HoldOpen,
    /// It ends.
    EndHold {
        /// True while somebody is in the aisle.
        occupied: bool,
    },
    /// The deadline is here, or not quite: early and late are harmless.
    TimedOut {
        /// True while somebody is in the aisle.
        occupied: bool,
    },
}

/// What a lane asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Release for one direction.
    Release(Direction),
    /// Release both ways.
    ReleaseBothWays,
    /// Lock.
    Lock,
    /// Something came of a grant, or of nobody's.
    Ended(Outcome, Direction, Option<GrantId>),
    /// Somebody crosses who must not: call staff, ask them to step back.
    Intruder(Direction),
    /// The aisle does not clear, or has cleared again.
    Obstructed(bool),
    /// The barrier is locked and the aisle is empty: ready for the next person.
    Ready,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    barrier: Barrier,
    release: Duration,
    obstruction: Duration,
    state: State,
    /// `tripod`: when the solenoid has been powered for long enough.
    pulse_end: Option<Mono>,
    obstructed: bool,
}

impl Machine {
    /// A locked lane.
    #[must_use]
    pub const fn new(barrier: Barrier, release: Duration, obstruction: Duration) -> Self {
        let state = State::Locked { intruder: None };
        Self {
            barrier,
            release,
            obstruction,
            state,
            pulse_end: None,
            obstructed: false,
        }
    }

    /// Advances by one input. Pure: no clock, no I/O, no randomness.
    pub fn step(&mut self, now: Mono, input: Input, out: &mut Vec<Output>) {
        self.end_pulse(now, out);
        let before = self.state;
        self.state = match before {
            State::Locked { intruder } => self.locked(now, intruder, input, out),
            State::Released { grant, wrong_way } => {
                self.released(now, grant, wrong_way, input, out)
            }
            State::Passing {
                grant,
                obstructed_at,
            } => self.passing(now, grant, obstructed_at, input, out),
            State::Clearing { obstructed_at } => self.clearing(now, obstructed_at, input, out),
            State::HeldOpen => self.held_open(now, input, out),
        };
        let in_aisle = matches!(self.state, State::Passing { .. } | State::Clearing { .. });
        if self.obstructed && !in_aisle {
            self.obstructed = false;
            out.push(Output::Obstructed(false));
        }
    }

    /// When [`Input::TimedOut`] is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let state = match self.state {
            State::Released { grant, .. } => Some(grant.until),
            State::Passing { obstructed_at, .. } | State::Clearing { obstructed_at } => {
                (!self.obstructed).then_some(obstructed_at)
            }
            State::Locked { .. } | State::HeldOpen => None,
        };
        [state, self.pulse_end].into_iter().flatten().min()
    }

    /// True if a grant could be served.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        matches!(self.state, State::Locked { intruder: None })
    }

    /// The direction of the grant at hand.
    #[must_use]
    pub const fn granted_direction(&self) -> Option<Direction> {
        match self.state {
            State::Released { grant, .. } | State::Passing { grant, .. } => Some(grant.direction),
            State::Locked { .. } | State::Clearing { .. } | State::HeldOpen => None,
        }
    }

    /// Name of the state, for pages and metrics.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            State::Locked { .. } => "locked",
            State::Released { .. } => "released",
            State::Passing { .. } => "passing",
            State::Clearing { .. } => "clearing",
            State::HeldOpen => "held_open",
        }
    }

    fn locked(
        &mut self,
        now: Mono,
        intruder: Option<Direction>,
        input: Input,
        out: &mut Vec<Output>,
    ) -> State {
        match input {
            Input::Granted(id, direction) => {
                out.push(Output::Release(direction));
                if let Barrier::Tripod { pulse } = self.barrier {
                    self.pulse_end = Some(now + pulse);
                }
                State::Released {
                    grant: Grant {
                        id,
                        direction,
                        until: now + self.release,
                    },
                    wrong_way: false,
                }
            }
            // At the far sensor of a locked lane: climbed over, crawled under, or forced.
            Input::Fact(Fact::Reached(direction) | Fact::Crossed(direction))
                if intruder.is_none() =>
            {
                out.extend([
                    Output::Intruder(direction),
                    Output::Ended(Outcome::Intrusion, direction, None),
                ]);
                State::Locked {
                    intruder: Some(direction),
                }
            }
            Input::Fact(Fact::Cleared) => {
                out.push(Output::Ready);
                State::Locked { intruder: None }
            }
            Input::HoldOpen => Self::hold(out),
            // Standing in the mouth of the aisle is not a crossing.
            Input::Fact(
                Fact::Entered(_) | Fact::TurnedBack(_) | Fact::Reached(_) | Fact::Crossed(_),
            )
            | Input::EndHold { .. }
            | Input::TimedOut { .. } => State::Locked { intruder },
        }
    }

    fn released(
        &mut self,
        now: Mono,
        grant: Grant,
        wrong_way: bool,
        input: Input,
        out: &mut Vec<Output>,
    ) -> State {
        match input {
            Input::Fact(Fact::Entered(direction)) if direction == grant.direction => {
                State::Passing { grant, obstructed_at: now + self.obstruction }
            }
            Input::Fact(Fact::Reached(direction) | Fact::Crossed(direction))
                if direction != grant.direction && !wrong_way =>
            {
                out.extend([Output::Intruder(direction), Output::Ended(Outcome::WrongWay, direction, None)]);
                State::Released { grant, wrong_way: true }
            }
            // The far sensor without the near one: the near beam is blind, the person is there.
            Input::Fact(Fact::Reached(_)) if !wrong_way => {
                State::Passing { grant, obstructed_at: now + self.obstruction }
            }
            Input::Fact(Fact::Cleared) => State::Released { grant, wrong_way: false },
            Input::TimedOut { occupied } if now >= grant.until => {
                out.push(Output::Ended(Outcome::NoEntryAfterGrant, grant.direction, Some(grant.id)));
                if occupied && self.barrier == Barrier::Flap {
                    State::Clearing { obstructed_at: now + self.obstruction }
                } else {
                    self.lock(out)
                }
            }
            Input::HoldOpen => {
                out.push(Output::Ended(Outcome::NoEntryAfterGrant, grant.direction, Some(grant.id)));
                Self::hold(out)
            }
            Input::Fact(Fact::Entered(_) | Fact::Reached(_) | Fact::Crossed(_) | Fact::TurnedBack(_))
            // The desk grants one at a time.
            | Input::Granted(..)
            | Input::EndHold { .. }
            | Input::TimedOut { .. } => State::Released { grant, wrong_way },
        }
    }

    fn passing(
        &mut self,
        now: Mono,
        grant: Grant,
        obstructed_at: Mono,
        input: Input,
        out: &mut Vec<Output>,
    ) -> State {
        match input {
            Input::Fact(Fact::Crossed(direction)) if direction == grant.direction => {
                out.push(Output::Ended(Outcome::Passed, direction, Some(grant.id)));
                State::Clearing {
                    obstructed_at: now + self.obstruction,
                }
            }
            Input::Fact(Fact::Entered(direction)) => {
                self.follower(direction, out);
                State::Passing {
                    grant,
                    obstructed_at,
                }
            }
            // Back where they came from: they may still make up their mind.
            Input::Fact(Fact::TurnedBack(_) | Fact::Cleared) => State::Released {
                grant,
                wrong_way: false,
            },
            Input::TimedOut { .. } if now >= obstructed_at => {
                self.obstruct(grant.direction, out);
                State::Passing {
                    grant,
                    obstructed_at,
                }
            }
            Input::HoldOpen => {
                out.push(Output::Ended(
                    Outcome::Passed,
                    grant.direction,
                    Some(grant.id),
                ));
                Self::hold(out)
            }
            Input::Fact(Fact::Reached(_) | Fact::Crossed(_))
            | Input::Granted(..)
            | Input::EndHold { .. }
            | Input::TimedOut { .. } => State::Passing {
                grant,
                obstructed_at,
            },
        }
    }

    fn clearing(
        &mut self,
        now: Mono,
        obstructed_at: Mono,
        input: Input,
        out: &mut Vec<Output>,
    ) -> State {
        match input {
            Input::Fact(Fact::Cleared) => self.lock(out),
            Input::Fact(Fact::Entered(direction)) => {
                self.follower(direction, out);
                State::Clearing { obstructed_at }
            }
            Input::TimedOut { .. } if now >= obstructed_at => {
                self.obstruct(Direction::Entry, out);
                State::Clearing { obstructed_at }
            }
            Input::HoldOpen => Self::hold(out),
            Input::Fact(Fact::Reached(_) | Fact::Crossed(_) | Fact::TurnedBack(_))
            | Input::Granted(..)
            | Input::EndHold { .. }
            | Input::TimedOut { .. } => State::Clearing { obstructed_at },
        }
    }

    fn held_open(&mut self, now: Mono, input: Input, out: &mut Vec<Output>) -> State {
        match input {
            Input::Fact(Fact::Crossed(direction)) => {
                out.push(Output::Ended(Outcome::PassedUncontrolled, direction, None));
                State::HeldOpen
            }
            Input::EndHold { occupied } if occupied && self.barrier == Barrier::Flap => {
                State::Clearing {
                    obstructed_at: now + self.obstruction,
                }
            }
            Input::EndHold { .. } => self.lock(out),
            Input::Fact(
                Fact::Entered(_) | Fact::Reached(_) | Fact::TurnedBack(_) | Fact::Cleared,
            )
            | Input::Granted(..)
            | Input::HoldOpen
            | Input::TimedOut { .. } => State::HeldOpen,
        }
    }

    fn hold(out: &mut Vec<Output>) -> State {
        out.push(Output::ReleaseBothWays);
        State::HeldOpen
    }

    fn lock(&mut self, out: &mut Vec<Output>) -> State {
        self.pulse_end = None;
        out.extend([Output::Lock, Output::Ready]);
        State::Locked { intruder: None }
    }

    fn follower(&self, direction: Direction, out: &mut Vec<Output>) {
        let outcome = match self.state {
            State::Passing { grant, .. } if direction != grant.direction => Outcome::WrongWay,
            State::Passing { .. }
            | State::Clearing { .. }
            | State::Locked { .. }
            | State::Released { .. }
            | State::HeldOpen => Outcome::Tailgating,
        };
        out.extend([
            Output::Intruder(direction),
            Output::Ended(outcome, direction, None),
        ]);
    }

    fn obstruct(&mut self, direction: Direction, out: &mut Vec<Output>) {
        if !self.obstructed {
            self.obstructed = true;
            out.extend([
                Output::Obstructed(true),
                Output::Ended(Outcome::Obstruction, direction, None),
            ]);
        }
    }

    /// The solenoid of a tripod is powered for its pulse only; the rotor keeps the turn free mechanically.
    fn end_pulse(&mut self, now: Mono, out: &mut Vec<Output>) {
        if self.pulse_end.is_some_and(|end| now >= end) {
            self.pulse_end = None;
            if !matches!(self.state, State::HeldOpen) {
                out.push(Output::Lock);
            }
        }
    }
}
