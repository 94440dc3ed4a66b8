//! Which pairs of state and input the machines of a lane have been through: what the simulator reaches, and what it does
//! not. Only laboratories look.

use super::flap::{After, Flap};
use super::machine::{Input, Machine};
use super::tripod::Tripod;

/// Every input, in the words of the tables. *Against it*: the other way than the grant's.
pub(super) const INPUTS: [&str; 15] = [
    "granted, nobody there",
    "granted, rider inside",
    "entered",
    "entered against it",
    "crossed",
    "crossed against it",
    "followed",
    "followed against it",
    "went back",
    "forced",
    "aisle clear",
    "open to all",
    "open no more",
    "withdrawn",
    "time is up",
];

/// Every state of a leaf.
const FLAPS: [&str; 11] = [
    "unsensed",
    "locked",
    "released",
    "released, told",
    "passing",
    "passing, told",
    "closing behind a rider",
    "closing after it was open",
    "closing, told",
    "open, with a rider",
    "open",
];

/// Every state of a tripod; those of a solenoid that falls by itself come last.
const TRIPODS: [&str; 10] = [
    "locked",
    "powered",
    "powered, told",
    "turning",
    "settling",
    "open, with a rider",
    "open",
    "freed",
    "freed, told",
    "turning, pulsed",
];

/// States of a tripod whose solenoid is held.
const HELD: usize = 7;

/// The name of a leaf's state.
#[cfg(test)]
pub(super) fn flap(state: &Flap) -> &'static str {
    FLAPS.get(flap_place(state)).copied().unwrap_or_default()
}

const fn flap_place(state: &Flap) -> usize {
    match state {
        Flap::Unsensed => 0,
        Flap::Locked => 1,
        Flap::Released { told: false, .. } => 2,
        Flap::Released { told: true, .. } => 3,
        Flap::Passing { told: false, .. } => 4,
        Flap::Passing { told: true, .. } => 5,
        Flap::Closing(After::Rider) => 6,
        Flap::Closing(After::Open) => 7,
        Flap::Closing(After::Told) => 8,
        Flap::Open { rider: Some(_) } => 9,
        Flap::Open { rider: None } => 10,
    }
}

/// The name of a tripod's state.
#[cfg(test)]
pub(super) fn tripod(state: &Tripod) -> &'static str {
    TRIPODS
        .get(tripod_place(state))
        .copied()
        .unwrap_or_default()
}

const fn tripod_place(state: &Tripod) -> usize {
    match state {
        Tripod::Locked => 0,
        Tripod::Pulsed { told: false, .. } => 1,
        Tripod::Pulsed { told: true, .. } => 2,
        Tripod::Turning {
            pulse_until: None, ..
        } => 3,
        Tripod::Settling => 4,
        Tripod::Open { rider: Some(_) } => 5,
        Tripod::Open { rider: None } => 6,
        Tripod::Armed { told: false, .. } => 7,
        Tripod::Armed { told: true, .. } => 8,
        Tripod::Turning {
            pulse_until: Some(_),
            ..
        } => 9,
    }
}

/// Pairs of state and input, for each kind of machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    leaf: [u16; FLAPS.len()],
    pulse: [u16; TRIPODS.len()],
    hold: [u16; TRIPODS.len()],
}

impl Pairs {
    /// A machine gets an input.
    pub(super) fn see(&mut self, machine: &Machine, input: Input) {
        let way = machine.pass().map(|pass| pass.direction);
        let bits = bits(input, way);
        let of = match machine {
            Machine::Flap(flap, _) => self.leaf.get_mut(flap_place(flap)),
            Machine::Tripod(tripod, times) if times.pulse.is_some() => {
                self.pulse.get_mut(tripod_place(tripod))
            }
            Machine::Tripod(tripod, _) => self.hold.get_mut(tripod_place(tripod)),
        };
        if let Some(of) = of {
            *of |= bits;
        }
    }

    /// Those of another, too.
    pub fn add(&mut self, other: &Self) {
        let each = |mine: &mut [u16], theirs: &[u16]| {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine |= theirs;
            }
        };
        each(&mut self.leaf, &other.leaf);
        each(&mut self.pulse, &other.pulse);
        each(&mut self.hold, &other.hold);
    }

    /// Every pair there is: machine, state, input, and whether it is among these.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, &'static str, &'static str, bool)> {
        let held = self.hold.get(..HELD).unwrap_or_default();
        let kinds: [(&str, &[&'static str], &[u16]); 3] = [
            ("leaf", &FLAPS, &self.leaf),
            ("tripod, pulse", &TRIPODS, &self.pulse),
            ("tripod, hold", &TRIPODS, held),
        ];
        let mut all = Vec::new();
        for (kind, states, seen) in kinds {
            for (state, seen) in states.iter().zip(seen) {
                for (nth, input) in INPUTS.iter().enumerate() {
                    all.push((kind, *state, *input, seen & (1 << nth) != 0));
                }
            }
        }
        all
    }
}

/// The places of an input among [`INPUTS`]. Without a grant there is no way that somebody could come against.
fn bits(input: Input, pass: Option<crate::domain::Direction>) -> u16 {
    let ways = |with: u16, way| match pass {
        None => 0b11 << with,
        Some(pass) if pass == way => 1 << with,
        Some(_) => 1 << (with + 1),
    };
    match input {
        Input::Granted(_, false) => 1,
        Input::Granted(_, true) => 1 << 1,
        Input::Entered(way) => ways(2, way),
        Input::Crossed(way) => ways(4, way),
        Input::Followed(way) => ways(6, way),
        Input::Left(_) => 1 << 8,
        Input::Forced(_) => 1 << 9,
        Input::Cleared => 1 << 10,
        Input::HoldOpen => 1 << 11,
        Input::EndOpen => 1 << 12,
        Input::Withdraw => 1 << 13,
        Input::TimedOut => 1 << 14,
    }
}
