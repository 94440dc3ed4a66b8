//! The power goes while somebody is in the aisle, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use tokio::time::Instant;
use turnstiled::store::journal::{Journal, Limits};

use crate::outside::{Gate, home, line, set_line, waits_for};
use crate::site::text;
use crate::terminal::Scanner;

/// A flap that opens without power: its relay holds it shut, and undriven, low, it stands open.
const FAIL_SAFE: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "out"
barrier = "flap"
fail = "safe"
directions = ["exit"]
release_ms = 1000
obstruction_ms = 2000
outputs = { release_exit = { pin = 18, active = "low" } }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "inside", direction = "exit", line = { port = "inside" } }]
"#;

/// Levels of a line, each with when it was first seen so.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<(Instant, char)>>,
}

impl Watch {
    fn over(home: &std::path::Path, pin: u8) -> Self {
        let (home, stop) = (home.to_owned(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut levels: Vec<(Instant, char)> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(level) = line(&home, pin)
                    && levels.last().is_none_or(|(_, last)| *last != level)
                {
                    levels.push((Instant::now(), level));
                }
                sleep(Duration::from_millis(1));
            }
            levels
        });
        Self { stop, thread }
    }

    fn ends(self) -> Vec<(Instant, char)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn state(gate: &Gate) -> String {
    text(&gate.status()["lanes"][0], "state")
}

fn is_ready(gate: &Gate) -> bool {
    gate.metric("turnstile_device_up{device=\"inside\"}") == 1
        && gate.metric("turnstile_device_up{device=\"lines\"}") == 1
}

#[test]
fn a_flap_does_not_close_on_who_was_in_it_when_the_power_came_back() {
    let folder = home(FAIL_SAFE);
    let home = folder.path();
    let scanner = Scanner::plug_in(&home.join("inside"));
    let gate = Gate::start(home);
    waits_for("ready", || is_ready(&gate));
    waits_for("locked", || gate.line(18) == Some('1'));
    scanner.shows("HC:RIDER");
    waits_for("released", || gate.line(18) == Some('0'));
    set_line(home, 6, true);
    waits_for("the rider is seen", || state(&gate) == "passing");
    set_line(home, 5, true);

    // The cut: no last word, and the flap stands open.
    gate.dies();
    set_line(home, 18, false);
    let watch = Watch::over(home, 18);
    let gate = Gate::start(home);
    waits_for("ready again", || is_ready(&gate));
    waits_for("the gate waits for who is there", || {
        state(&gate) == "closing"
    });
    // Longer than it is released for somebody who does not come.
    waits_for("staff are called to who stays", || {
        gate.metric("turnstile_alarm{alarm=\"obstruction\",lane=\"out\"}") == 1
    });
    assert_eq!(gate.line(18), Some('0'), "open while somebody is in it");
    set_line(home, 6, false);
    sleep(Duration::from_millis(200));
    assert_eq!(gate.line(18), Some('0'), "and while they leave");
    let left = Instant::now();
    set_line(home, 5, false);
    waits_for("locked behind them", || gate.line(18) == Some('1'));
    waits_for("in order", || state(&gate) == "locked");
    let levels = watch.ends();
    let seen: Vec<_> = levels.iter().map(|(_, level)| *level).collect();
    assert_eq!(seen, ['0', '1'], "it moved once");
    assert!(levels[1].0 >= left, "and not before they had left");

    // The operator.
    gate.logs("outcome=\"unknown_after_restart\"");
    let passages = |outcome| {
        gate.metric(&format!(
            "turnstile_passages_total{{lane=\"out\",outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!(passages("unknown_after_restart"), 1);
    assert_eq!(passages("passed_uncontrolled"), 1);
    assert_eq!(passages("intrusion"), 0, "who was let in has not broken in");
    waits_for("the alarm has ended", || {
        gate.metric("turnstile_alarm{alarm=\"obstruction\",lane=\"out\"}") == 0
    });

    // The next one is served.
    scanner.shows("HC:NEXT");
    waits_for("released for the next", || gate.line(18) == Some('0'));
    for (inner, outer) in [(true, false), (true, true), (false, true), (false, false)] {
        set_line(home, 6, inner);
        set_line(home, 5, outer);
        sleep(Duration::from_millis(150));
    }
    waits_for("passed", || passages("passed") == 1);
    waits_for("locked", || gate.line(18) == Some('1'));
    gate.dies();

    // Kept: both grants, each ended once.
    let journal = Journal::inspect(&home.join("gate/journal"), Limits::of_mib(1_024)).unwrap();
    journal.verify().unwrap();
    let stored = journal.read(0, usize::MAX, usize::MAX).unwrap();
    let records: Vec<serde_json::Value> = stored
        .iter()
        .map(|stored| serde_json::from_str(&stored.record).unwrap())
        .collect();
    let of_grants = |key: &str| -> Vec<(String, String)> {
        let with_grant = records.iter().filter(|record| !record["grant"].is_null());
        with_grant
            .filter(|record| !record[key].is_null())
            .map(|record| (text(record, key), record["grant"].to_string()))
            .collect()
    };
    let (granted, ended) = (of_grants("verdict"), of_grants("outcome"));
    assert_eq!(granted.len(), 2, "{records:#?}");
    let outcomes: Vec<_> = ended.iter().map(|(outcome, _)| outcome.as_str()).collect();
    assert_eq!(outcomes, ["unknown_after_restart", "passed"]);
    assert!(granted.iter().zip(&ended).all(|(a, b)| a.1 == b.1));
}

#[test]
fn a_flap_that_locks_without_power_stays_locked_and_serves_again_once_the_aisle_is_clear() {
    let lanes = FAIL_SAFE
        .replace("fail = \"safe\"", "fail = \"secure\"")
        .replace("active = \"low\"", "active = \"high\"");
    let folder = home(&lanes);
    let home = folder.path();
    let scanner = Scanner::plug_in(&home.join("inside"));
    // The power is back, and somebody stands in the outer beam of a flap that locked without it.
    set_line(home, 5, true);
    let watch = Watch::over(home, 18);
    let gate = Gate::start(home);
    waits_for("ready", || is_ready(&gate));
    waits_for("the gate waits for who is there", || {
        state(&gate) == "closing"
    });
    assert_eq!(gate.line(18), Some('0'), "nobody is let in by a power cut");
    set_line(home, 5, false);
    waits_for("in order", || state(&gate) == "locked");
    let seen: Vec<_> = watch.ends().iter().map(|(_, level)| *level).collect();
    assert_eq!(seen, ['0'], "it never moved");
    scanner.shows("HC:NEXT");
    waits_for("released for the next", || gate.line(18) == Some('1'));
}
