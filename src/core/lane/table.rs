//! The tables of the state machines in `hardware/lane-states.md`, made from the code: every state with every input.
//! `TURNSTILED_WRITE=1 cargo test --lib lane::table` writes them anew.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::flap::{After, Flap};
use super::machine::{Effect, Input, Times};
use super::pairs::{INPUTS, flap, tripod};
use super::tripod::Tripod;
use crate::core::desk::Pass;
use crate::domain::{Direction, GrantId, Mono, Outcome};

const WAY: Direction = Direction::Entry;
const AGAINST: Direction = Direction::Exit;
const PASS: Pass = Pass {
    grant: GrantId(1),
    direction: WAY,
};
const NEXT: Pass = Pass {
    grant: GrantId(2),
    direction: WAY,
};
/// Now; what is due then is due, what is due later is not.
const NOW: Mono = Mono::from_millis(10_000);
const LATER: Mono = Mono::from_millis(20_000);

/// Every input, in the order of [`INPUTS`].
const EACH: [Input; 15] = [
    Input::Granted(NEXT, false),
    Input::Granted(NEXT, true),
    Input::Entered(WAY),
    Input::Entered(AGAINST),
    Input::Crossed(WAY),
    Input::Crossed(AGAINST),
    Input::Followed(WAY),
    Input::Followed(AGAINST),
    Input::Left(WAY),
    Input::Forced(WAY),
    Input::Cleared,
    Input::HoldOpen,
    Input::EndOpen,
    Input::Withdraw,
    Input::TimedOut,
];

/// An input that has no line here does not compile.
const fn is_in_table(input: Input) -> bool {
    match input {
        Input::Granted(..)
        | Input::Entered(_)
        | Input::Crossed(_)
        | Input::Followed(_)
        | Input::Left(_)
        | Input::Forced(_)
        | Input::Cleared
        | Input::HoldOpen
        | Input::EndOpen
        | Input::Withdraw
        | Input::TimedOut => true,
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Release(_) => "release".into(),
        Effect::ReleaseBoth => "release both ways".into(),
        Effect::Lock => "lock".into(),
        Effect::Outcome(_, outcome, grant) => {
            let of = if *grant == Some(NEXT.grant) {
                " (the next)"
            } else {
                ""
            };
            format!("*{}*{of}", words(*outcome))
        }
        Effect::Stray(_, outcome) => format!("alarm: *{}*", words(*outcome)),
    }
}

fn words(outcome: Outcome) -> String {
    outcome.as_str().replace('_', " ")
}

/// The table of one machine: a line a state, a column an input.
fn table<S: Copy + PartialEq>(
    states: &[S],
    name: impl Fn(&S) -> &'static str,
    step: impl Fn(&mut S, Input, &mut Vec<Effect>),
) -> String {
    let mut text = String::new();
    for state in states {
        writeln!(
            text,
            "\n### {}\n\n| Input | Then | Does |\n|---|---|---|",
            name(state)
        )
        .unwrap();
        for (words, input) in INPUTS.into_iter().zip(EACH) {
            assert!(is_in_table(input));
            let (mut after, mut effects) = (*state, Vec::new());
            step(&mut after, input, &mut effects);
            let then = if after == *state { "-" } else { name(&after) };
            let does: Vec<_> = effects.iter().map(effect).collect();
            let does = if does.is_empty() {
                "-".into()
            } else {
                does.join(", ")
            };
            writeln!(text, "| {words} | {then} | {does} |").unwrap();
        }
    }
    text
}

fn leaves() -> String {
    let times = Times {
        release: Duration::from_secs(5),
        pulse: None,
    };
    let released = |until, told| Flap::Released {
        pass: PASS,
        until,
        told,
    };
    let states = [
        Flap::Unsensed,
        Flap::Locked,
        released(NOW, false),
        released(NOW, true),
        Flap::Passing {
            pass: PASS,
            told: false,
        },
        Flap::Passing {
            pass: PASS,
            told: true,
        },
        Flap::Closing(After::Rider),
        Flap::Closing(After::Open),
        Flap::Closing(After::Told),
        Flap::Open { rider: Some(PASS) },
        Flap::Open { rider: None },
    ];
    table(&states, flap, |state, input, out| {
        state.step(NOW, times, input, out)
    })
}

fn tripods(pulse: Option<Duration>) -> String {
    let times = Times {
        release: Duration::from_secs(5),
        pulse,
    };
    let powered = |told| Tripod::Pulsed {
        pass: PASS,
        pulse_until: NOW,
        until: if pulse.is_some() { LATER } else { NOW },
        told,
    };
    let freed = |told| Tripod::Armed {
        pass: PASS,
        until: NOW,
        told,
    };
    let turning = |pulse_until| Tripod::Turning {
        pass: PASS,
        pulse_until,
    };
    let mut states = vec![Tripod::Locked, powered(false), powered(true)];
    if pulse.is_some() {
        states.extend([freed(false), freed(true), turning(Some(NOW))]);
    }
    states.extend([
        turning(None),
        Tripod::Settling,
        Tripod::Open { rider: Some(PASS) },
        Tripod::Open { rider: None },
    ]);
    table(&states, tripod, |state, input, out| {
        state.step(NOW, times, input, out)
    })
}

fn document() -> String {
    format!(
        "# States of a lane\n\n\
         What the machine of each kind of barrier does, in every state and on every input. This page is made from the \
         code; a test fails when it is stale. To write it anew: \
         `TURNSTILED_WRITE=1 cargo test --lib lane::table`.\n\n\
         *Told*: somebody goes where nobody granted it, and was told to step back. *Against it*: the other way than the \
         grant's. A table shows its state with its time just run out. In italics are outcomes, which are recorded; \
         \"alarm\" calls staff. Before an input comes here the lane has judged the sensors: the aisle is clear only when \
         no beam, no low beam and no sensor of presence sees anything, not even for an instant.\n\n\
         A leaf's relay is known by its limit switches. A tripod has none: its relay counts as dead when three releases in \
         a row run out and the rotor has not left home, and as welded when the rotor has turned through three times though \
         it was locked. Staff are called; a dead one is left alone for a while after each further release, and is in order \
         once the rotor moves; a welded one is once two riders have followed each other and nobody has turned between them.\n\n\
         ## `flap`, `swing`, `full_height`\n\n\
         One machine; they differ in their sensors and times. It locks on \"aisle clear\" alone.\n{}\n\
         ## `tripod`, pulse\n{}\n\
         ## `tripod`, hold\n{}",
        leaves(),
        tripods(Some(Duration::from_millis(500))),
        tripods(None),
    )
}

#[test]
fn the_tables_in_hardware_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware/lane-states.md");
    let wanted = document();
    if std::env::var_os("TURNSTILED_WRITE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == wanted,
        "hardware/lane-states.md is stale; TURNSTILED_WRITE=1 cargo test --lib lane::table writes it anew"
    );
}

#[test]
fn a_leaf_locks_only_on_a_clear_aisle() {
    for line in leaves()
        .lines()
        .filter(|line| line.ends_with(" lock |") || line.contains("lock,"))
    {
        assert!(line.starts_with("| aisle clear |"), "{line}");
    }
}
