//! A flap, a swing gate or a full-height gate: a held relay keeps it open, beams tell the body.
//!
//! It is locked in two places only, `Closing` and `Unsensed`, and only when the aisle is clear. So it never closes on a
//! body that can be seen.

use super::machine::{Effect, Input, Times};
use crate::core::desk::Pass;
use crate::domain::{Direction, Mono, Outcome};

/// Where a flap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flap {
    /// Nobody has looked into the aisle since the start, or since the lines were away: it stays as it was found.
    Unsensed,
    /// Locked.
    Locked,
    /// Released for a rider who has not stepped in yet; `told`: somebody comes the wrong way, and was told.
    Released { pass: Pass, until: Mono, told: bool },
    /// The rider is in the aisle; `told`: somebody follows, and was told.
    Passing { pass: Pass, told: bool },
    /// Nobody's grant: released only until the aisle is clear.
    Closing(After),
    /// Open to everybody; a rider may have been on the way when it began.
    Open { rider: Option<Pass> },
}

/// What came before the flap wants to close: what a person is who walks through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// A rider: who comes next is tailgating.
    Rider,
    /// It was open to everybody: who comes next does not know that it ends.
    Open,
    /// Whoever is there has been told.
    Told,
}

impl Flap {
    /// Advances the flap by one input.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm a pair: the table is the machine"
    )]
    pub(super) fn step(&mut self, now: Mono, times: Times, input: Input, out: &mut Vec<Effect>) {
        use {Effect as E, Flap as S, Input as I};
        *self = match (*self, input) {
            // The next of a group, while the leaf still stands open; or a decision that was on its way when somebody was
            // seen in an aisle that nobody had looked into.
            (S::Locked | S::Unsensed | S::Closing(_), I::Granted(pass, inside)) => {
                out.push(E::Release(pass.direction));
                match inside {
                    true => S::Passing { pass, told: false },
                    false => S::Released {
                        pass,
                        until: now + times.release,
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
            (S::Locked | S::Unsensed, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: None }
            }
            (S::Locked, I::Left(_) | I::Cleared | I::EndOpen | I::Withdraw | I::TimedOut) => {
                S::Locked
            }

            // Whoever is there then has not broken in: he waits until the aisle is clear, and is counted.
            (S::Unsensed, I::Entered(_) | I::Followed(_)) => S::Closing(After::Open),
            (S::Unsensed, I::Crossed(way)) => {
                out.push(E::uncontrolled(way));
                S::Closing(After::Open)
            }
            (S::Unsensed, I::Cleared) => {
                out.push(E::Lock);
                S::Locked
            }
            (S::Unsensed, I::Left(_) | I::EndOpen | I::Withdraw | I::TimedOut) => S::Unsensed,

            (S::Released { pass, .. }, I::Entered(way) | I::Followed(way))
                if way == pass.direction =>
            {
                S::Passing { pass, told: false }
            }
            (S::Released { pass, .. }, I::Crossed(way)) if way == pass.direction => {
                out.push(E::passed(pass));
                S::Closing(After::Rider)
            }
            (S::Released { pass, until, told }, I::Entered(way) | I::Followed(way)) => {
                if !told {
                    out.push(E::Stray(way, Outcome::WrongWay));
                }
                let told = true;
                S::Released { pass, until, told }
            }
            (S::Released { pass, until, .. }, I::TimedOut) if until <= now => give_up(pass, out),
            (S::Released { pass, .. }, I::Withdraw) => give_up(pass, out),
            (S::Released { pass, .. }, I::HoldOpen) => {
                out.extend([E::ReleaseBoth, E::nobody_came(pass)]);
                S::Open { rider: None }
            }
            (
                state @ S::Released { .. },
                I::Crossed(_) | I::Left(_) | I::Cleared | I::EndOpen | I::TimedOut,
            ) => state,

            (S::Passing { pass, told }, I::Crossed(way)) if way == pass.direction => {
                out.push(E::passed(pass));
                S::Closing(if told { After::Told } else { After::Rider })
            }
            (S::Passing { pass, told }, I::Entered(way) | I::Followed(way)) => {
                if !told {
                    out.push(E::Stray(way, behind_or_against(pass, way)));
                }
                S::Passing { pass, told: true }
            }
            (S::Passing { pass, .. }, I::Left(_)) => give_up(pass, out),
            (S::Passing { pass, .. }, I::Cleared) => {
                out.extend([E::nobody_came(pass), E::Lock]);
                S::Locked
            }
            (S::Passing { pass, .. }, I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: Some(pass) }
            }
            (state @ S::Passing { .. }, I::Crossed(_) | I::EndOpen | I::Withdraw | I::TimedOut) => {
                state
            }

            (S::Closing(After::Rider), I::Entered(way) | I::Followed(way) | I::Crossed(way)) => {
                out.push(E::Stray(way, Outcome::Tailgating));
                S::Closing(After::Told)
            }
            (S::Closing(After::Open), I::Crossed(way)) => {
                out.push(E::uncontrolled(way));
                S::Closing(After::Open)
            }
            (S::Closing(_), I::Cleared) => {
                out.push(E::Lock);
                S::Locked
            }
            (S::Closing(_), I::HoldOpen) => {
                out.push(E::ReleaseBoth);
                S::Open { rider: None }
            }
            (
                state @ S::Closing(After::Open | After::Told),
                I::Entered(_) | I::Followed(_) | I::Crossed(_),
            ) => state,
            (state @ S::Closing(_), I::Left(_) | I::EndOpen | I::Withdraw | I::TimedOut) => state,

            (S::Open { rider: Some(pass) }, I::Crossed(way)) if way == pass.direction => {
                out.push(E::passed(pass));
                S::Open { rider: None }
            }
            (S::Open { rider: Some(pass) }, I::Left(_) | I::Cleared) => {
                out.push(E::nobody_came(pass));
                S::Open { rider: None }
            }
            (S::Open { rider: Some(pass) }, I::EndOpen) => S::Passing { pass, told: false },
            (S::Open { rider: None }, I::EndOpen) => S::Closing(After::Open),
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
                state @ (S::Released { .. } | S::Passing { .. } | S::Open { .. }),
                I::Granted(second, _),
            ) => {
                out.push(E::nobody_came(second));
                state
            }

            // What moves a leaf that is not locked is no force.
            (
                state @ (S::Unsensed
                | S::Released { .. }
                | S::Passing { .. }
                | S::Closing(_)
                | S::Open { .. }),
                I::Forced(_),
            ) => state,
        };
    }

    pub(super) const fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Released { until, .. } => Some(*until),
            Self::Unsensed
            | Self::Locked
            | Self::Passing { .. }
            | Self::Closing(_)
            | Self::Open { .. } => None,
        }
    }

    /// The grant that is being used.
    pub(super) const fn pass(&self) -> Option<Pass> {
        match self {
            Self::Released { pass, .. } | Self::Passing { pass, .. } => Some(*pass),
            Self::Open { rider } => *rider,
            Self::Unsensed | Self::Locked | Self::Closing(_) => None,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Unsensed => "unsensed",
            Self::Locked => "locked",
            Self::Released { .. } => "released",
            Self::Passing { .. } => "passing",
            Self::Closing(_) => "closing",
            Self::Open { .. } => "open",
        }
    }
}

/// Nobody has used the grant. The flap closes once the aisle is clear.
fn give_up(pass: Pass, out: &mut Vec<Effect>) -> Flap {
    out.push(Effect::nobody_came(pass));
    Flap::Closing(After::Told)
}

fn behind_or_against(pass: Pass, way: Direction) -> Outcome {
    if way == pass.direction {
        Outcome::Tailgating
    } else {
        Outcome::WrongWay
    }
}
