//! A tripod: a solenoid frees one turn, rotor contacts tell the turn. It is powered for a pulse, or until the person is
//! through.
//!
//! The arms block whoever has no turn, so the solenoid may fall at any time; but while the rotor is away from home
//! after an open time, the lock waits, for a pawl that falls on a turning rotor stops the person in it.

use super::machine::{Effect, Input, Times};
use crate::core::desk::Pass;
use crate::domain::{Mono, Outcome};

/// Where a tripod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tripod {
    /// Locked.
    Locked,
    /// The solenoid is powered; `told`: somebody comes the wrong way, and was told.
    Pulsed {
        pass: Pass,
        pulse_until: Mono,
        until: Mono,
        told: bool,
    },
    /// The solenoid has freed one turn and is off again; the rider has not come yet.
    Armed { pass: Pass, until: Mono, told: bool },
    /// The rider turns the rotor; `pulse_until`: until when the solenoid is still powered.
    Turning {
        pass: Pass,
        pulse_until: Option<Mono>,
    },
    /// It was open to everybody, and is locked when the rotor is home.
    Settling,
    /// Open to everybody; a rider may have been turning when it began.
    Open { rider: Option<Pass> },
}

impl Tripod {
    /// Advances the tripod by one input.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm a pair: the table is the machine"
    )]
    pub(super) fn step(&mut self, now: Mono, times: Times, input: Input, out: &mut Vec<Effect>) {
        use {Effect as E, Input as I, Tripod as S};
        *self = match (*self, input) {
            (S::Locked, I::Granted(pass, inside)) => {
                out.push(E::Release(pass.direction));
                let pulse_until = times.pulse.map(|pulse| now + pulse);
                let until = now + times.release;
                match inside {
                    true => S::Turning { pass, pulse_until },
                    false => S::Pulsed {
                        pass,
                        pulse_until: pulse_until.unwrap_or(until),
                        until,
                        told: false,
                    },
                }
            }
            (S::Locked, I::Entered(way) | I::Crossed(way) | I::Followed(way)) => {
                out.push(E::Stray(way, Outcome::Intrusion));
                S::Locked
            }
            (S::Locked, I::Forced(way)) => {
                out.push(E::Stray(way, Outcome::Forced));
                S::Locked
            }
            (S::Locked, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: None }
            }
            (S::Locked, I::Left(_) | I::Cleared | I::EndOpen | I::Withdraw | I::TimedOut) => {
                S::Locked
            }

            (
                S::Pulsed {
                    pass, pulse_until, ..
                },
                I::Entered(way) | I::Followed(way),
            ) if way == pass.direction => S::Turning {
                pass,
                pulse_until: times.pulse.map(|_| pulse_until),
            },
            (S::Armed { pass, .. }, I::Entered(way) | I::Followed(way))
                if way == pass.direction =>
            {
                S::Turning {
                    pass,
                    pulse_until: None,
                }
            }
            (S::Pulsed { pass, .. } | S::Armed { pass, .. }, I::Crossed(way))
                if way == pass.direction =>
            {
                out.extend([E::passed(pass), E::Lock]);
                S::Locked
            }
            (
                S::Pulsed {
                    pass,
                    pulse_until,
                    until,
                    told,
                },
                I::Entered(way) | I::Followed(way),
            ) => {
                if !told {
                    out.push(E::Stray(way, Outcome::WrongWay));
                }
                S::Pulsed {
                    pass,
                    pulse_until,
                    until,
                    told: true,
                }
            }
            (S::Armed { pass, until, told }, I::Entered(way) | I::Followed(way)) => {
                if !told {
                    out.push(E::Stray(way, Outcome::WrongWay));
                }
                let told = true;
                S::Armed { pass, until, told }
            }
            (S::Pulsed { pass, until, .. } | S::Armed { pass, until, .. }, I::TimedOut)
                if until <= now =>
            {
                out.extend([E::nobody_came(pass), E::Lock]);
                S::Locked
            }
            (
                S::Pulsed {
                    pass,
                    pulse_until,
                    until,
                    told,
                },
                I::TimedOut,
            ) if pulse_until <= now => {
                out.push(E::Lock);
                S::Armed { pass, until, told }
            }
            (S::Pulsed { pass, .. } | S::Armed { pass, .. }, I::Withdraw) => {
                out.extend([E::nobody_came(pass), E::Lock]);
                S::Locked
            }
            (S::Pulsed { pass, .. } | S::Armed { pass, .. }, I::HoldOpen) => {
                out.extend([E::ReleaseBoth, E::nobody_came(pass)]);
                S::Open { rider: None }
            }
            (
                state @ (S::Pulsed { .. } | S::Armed { .. }),
                I::Crossed(_) | I::Left(_) | I::Cleared | I::EndOpen | I::TimedOut,
            ) => state,

            (S::Turning { pass, .. }, I::Crossed(_)) => {
                // The next turn needs its own grant, even if the pulse is not over.
                out.extend([E::passed(pass), E::Lock]);
                S::Locked
            }
            (S::Turning { pass, .. }, I::Left(_) | I::Cleared) => {
                out.extend([E::nobody_came(pass), E::Lock]);
                S::Locked
            }
            (
                S::Turning {
                    pass,
                    pulse_until: Some(pulse_until),
                },
                I::TimedOut,
            ) if pulse_until <= now => {
                out.push(E::Lock);
                S::Turning {
                    pass,
                    pulse_until: None,
                }
            }
            (S::Turning { pass, .. }, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: Some(pass) }
            }
            (
                state @ S::Turning { .. },
                I::Entered(_) | I::Followed(_) | I::EndOpen | I::Withdraw | I::TimedOut,
            ) => state,

            (S::Settling, I::Cleared) => {
                out.push(E::Lock);
                S::Locked
            }
            (S::Settling, I::Crossed(way)) => {
                out.push(E::uncontrolled(way));
                S::Settling
            }
            (S::Settling, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: None }
            }
            (
                S::Settling,
                I::Entered(_)
                | I::Followed(_)
                | I::Left(_)
                | I::EndOpen
                | I::Withdraw
                | I::TimedOut,
            ) => S::Settling,

            (S::Open { rider: Some(pass) }, I::Crossed(way)) if way == pass.direction => {
                out.push(E::passed(pass));
                S::Open { rider: None }
            }
            (S::Open { rider: Some(pass) }, I::Left(_) | I::Cleared) => {
                out.push(E::nobody_came(pass));
                S::Open { rider: None }
            }
            (S::Open { rider: Some(pass) }, I::EndOpen) => {
                // He finishes the turn that he has begun.
                out.push(E::Lock);
                S::Turning {
                    pass,
                    pulse_until: None,
                }
            }
            (S::Open { rider: None }, I::EndOpen) => S::Settling,
            (state @ S::Open { .. }, I::Crossed(way)) => {
                out.push(E::uncontrolled(way));
                state
            }
            (state @ S::Open { .. }, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                state
            }
            (
                state @ S::Open { .. },
                I::Entered(_)
                | I::Followed(_)
                | I::Left(_)
                | I::Cleared
                | I::Withdraw
                | I::TimedOut,
            ) => state,

            // A lane that serves somebody refuses the next at the desk. Should a grant come all the same, it ends.
            (
                state @ (S::Pulsed { .. }
                | S::Armed { .. }
                | S::Turning { .. }
                | S::Settling
                | S::Open { .. }),
                I::Granted(second, _),
            ) => {
                out.push(E::nobody_came(second));
                state
            }

            // What turns a rotor that is free is no force.
            (
                state @ (S::Pulsed { .. }
                | S::Armed { .. }
                | S::Turning { .. }
                | S::Settling
                | S::Open { .. }),
                I::Forced(_),
            ) => state,
        };
    }

    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Pulsed {
                pulse_until, until, ..
            } => Some(if until.as_micros() < pulse_until.as_micros() {
                *until
            } else {
                *pulse_until
            }),
            Self::Armed { until, .. } => Some(*until),
            Self::Turning { pulse_until, .. } => *pulse_until,
            Self::Locked | Self::Settling | Self::Open { .. } => None,
        }
    }

    /// The grant that is being used.
    pub(super) const fn pass(&self) -> Option<Pass> {
        match self {
            Self::Pulsed { pass, .. } | Self::Armed { pass, .. } | Self::Turning { pass, .. } => {
                Some(*pass)
            }
            Self::Open { rider } => *rider,
            Self::Locked | Self::Settling => None,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Pulsed { .. } | Self::Armed { .. } => "released",
            Self::Turning { .. } => "passing",
            Self::Settling => "closing",
            Self::Open { .. } => "open",
        }
    }
}
