//! The daemon is told to end, or is killed, while somebody is in the aisle. It never drives a leaf shut on them, and
//! whoever drives the lines no more leaves them to pulls and polarity.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use turnstiled::store::journal::{Journal, Limits};

use crate::outside::{Gate, home, line, set_line, waits_for};
use crate::site::text;
use crate::terminal::Scanner;

/// A flap that opens without power: its relay holds it shut, and undriven, low, it stands open.
const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "out"
barrier = "flap"
fail = "safe"
directions = ["exit"]
outputs = { release_exit = { pin = 18, active = "low" } }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "inside", direction = "exit", line = { port = "inside" } }]
"#;

fn is_driven(home: &Path) -> bool {
    let Ok(file) = File::open(home.join("lines/driven")) else {
        return false;
    };
    file.try_lock().is_err()
}

/// A gate with a rider in the aisle of its only lane.
fn with_a_rider(home: &Path) -> Gate {
    let scanner = Scanner::plug_in(&home.join("inside"));
    let gate = Gate::start(home);
    waits_for("locked", || gate.line(18) == Some('1'));
    waits_for("the reader works", || {
        gate.metric("turnstile_device_up{device=\"inside\"}") == 1
    });
    scanner.shows("HC:RIDER");
    waits_for("released", || gate.line(18) == Some('0'));
    set_line(home, 6, true);
    waits_for("the rider is seen", || {
        text(&gate.status()["lanes"][0], "state") == "passing"
    });
    gate
}

fn terminate(gate: &Gate) {
    let told = Command::new("kill")
        .args(["-TERM", &gate.pid().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
}

fn outcomes(home: &Path) -> Vec<String> {
    let journal = Journal::inspect(&home.join("gate/journal"), Limits::of_mib(1_024)).unwrap();
    let stored = journal.read(0, usize::MAX, usize::MAX).unwrap();
    let records = stored
        .iter()
        .map(|stored| serde_json::from_str::<serde_json::Value>(&stored.record).unwrap());
    records
        .filter(|record| record["kind"] == "outcome")
        .map(|record| text(&record, "outcome"))
        .collect()
}

#[test]
fn whoever_is_on_the_way_is_let_out_before_the_daemon_ends() {
    let folder = home(LANES);
    let home = folder.path();
    let gate = with_a_rider(home);
    terminate(&gate);
    sleep(Duration::from_millis(700));
    assert_eq!(line(home, 18), Some('0'), "not on a body");
    assert!(is_driven(home), "it waits for the rider");
    for (outer, inner) in [(true, true), (true, false), (false, false)] {
        set_line(home, 5, outer);
        set_line(home, 6, inner);
        sleep(Duration::from_millis(150));
    }
    waits_for("the daemon has ended", || !is_driven(home));
    assert_eq!(
        line(home, 18),
        Some('1'),
        "locked behind the rider, and then left to its pull"
    );
    let stat = format!("/proc/{}/stat", gate.pid());
    waits_for("and is gone", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    drop(gate);
    assert_eq!(outcomes(home), ["passed"], "and what came of it is known");
}

#[test]
fn a_flap_with_somebody_in_it_is_left_open_by_a_daemon_that_must_end() {
    let folder = home(LANES);
    let home = folder.path();
    let gate = with_a_rider(home);
    terminate(&gate);
    waits_for("the daemon has ended", || !is_driven(home));
    assert_eq!(line(home, 18), Some('0'), "never driven shut on a body");
    gate.logs("somebody is still on the way");
}

#[test]
fn after_a_kill_nobody_drives_the_lines() {
    let folder = home(LANES);
    let home = folder.path();
    let gate = with_a_rider(home);
    assert!(is_driven(home));
    gate.dies();
    // The pull of this relay stands for what nobody drives: the flap stands open, which is the safe state of this lane.
    assert!(!is_driven(home));
    assert_eq!(line(home, 18), Some('0'));
}
