//! Ten thousand presentations in a minute at one reader: a scanner gone mad, or a screen that changes without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use tokio::time::Instant;
use turnstiled::drivers::pace::{BURST, EVERY};
use turnstiled::store::journal::{Journal, Limits};

use crate::outside::{Gate, home, set_line, waits_for};
use crate::site::text;
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "flooded"
barrier = "flap"
fail = "safe"
directions = ["exit"]
release_ms = 1000
outputs = { release_exit = 18 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "mad", direction = "exit", line = { port = "mad" } }]

[[lane]]
name = "beside"
barrier = "flap"
fail = "safe"
directions = ["exit"]
release_ms = 1000
outputs = { release_exit = 19 }
sensors = { entry_beam = 7, exit_beam = 8 }
reader = [{ name = "sane", direction = "exit", line = { port = "sane" } }]
"#;

/// The minute is pressed into this: four times the rate.
const FLOOD_TIME: Duration = Duration::from_secs(15);
const FLOOD: u64 = 10_000;
/// Whoever stands at a gate is served within this.
const SERVED: Duration = Duration::from_secs(2);

/// Memory of a process, KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.unwrap().split_whitespace().nth(1);
    words.unwrap().parse().unwrap()
}

/// Walks out through the beams of a lane.
fn walks(home: &std::path::Path, outer: u8, inner: u8) {
    for (at_inner, at_outer) in [(true, false), (true, true), (false, true), (false, false)] {
        set_line(home, inner, at_inner);
        set_line(home, outer, at_outer);
        sleep(Duration::from_millis(120));
    }
}

#[test]
fn ten_thousand_presentations_a_minute_cost_the_lane_beside_nothing_and_the_journal_little() {
    let folder = home(LANES);
    let home = folder.path();
    let (mad, sane) = (
        Scanner::plug_in(&home.join("mad")),
        Scanner::plug_in(&home.join("sane")),
    );
    let gate = Gate::start(home);
    for device in ["mad", "sane", "lines"] {
        let series = format!("turnstile_device_up{{device=\"{device}\"}}");
        waits_for(device, || gate.metric(&series) == 1);
    }
    let before = memory(gate.pid());

    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let began = Instant::now();
    let flood = std::thread::spawn(move || {
        let each = FLOOD / 150;
        for n in 0..FLOOD {
            // No issuer's: nobody is let out by it, and staff are called.
            mad.shows(&format!("FLOOD-{n}"));
            count.fetch_add(1, Ordering::Relaxed);
            if n % each == 0 {
                let due = FLOOD_TIME.mul_f64(n as f64 / FLOOD as f64);
                sleep(due.saturating_sub(began.elapsed()));
            }
        }
        mad
    });
    let flooded =
        |gate: &Gate| gate.metric("turnstile_alarm{alarm=\"reader_flooded\",lane=\"flooded\"}");
    waits_for("the operator sees it", || flooded(&gate) == 1);
    gate.logs("more is presented than people can show");
    waits_for("the page says so", || {
        gate.page("/status.json").contains("reader_flooded")
    });

    // People at the lane beside, all through it.
    for person in 0..4 {
        let shown = Instant::now();
        sane.shows(&format!("HC:PERSON-{person}"));
        waits_for("released", || gate.line(19) == Some('1'));
        let waited = shown.elapsed();
        assert!(waited < SERVED, "served after {waited:?}");
        walks(home, 7, 8);
        waits_for("locked", || gate.line(19) == Some('0'));
    }
    let mad = flood.join().unwrap();
    let flood_took = began.elapsed();
    assert_eq!(sent.load(Ordering::Relaxed), FLOOD);

    // The flooded lane serves again at once.
    sleep(EVERY);
    let shown = Instant::now();
    mad.shows("HC:AFTERWARDS");
    waits_for("released", || gate.line(18) == Some('1'));
    let waited = shown.elapsed();
    assert!(waited < SERVED, "served after {waited:?}");
    walks(home, 5, 6);
    waits_for("the alarm ends", || flooded(&gate) == 0);
    let over = gate.logs("the flood of presentations is over");
    assert!(over.contains("mad") && over.contains("dropped="), "{over}");

    // Each was decided or counted as dropped.
    let dropped = gate.metric(
        "turnstile_presentations_total{lane=\"flooded\",medium=\"any\",result=\"dropped\"}",
    );
    let decided = gate.metric(
        "turnstile_presentations_total{lane=\"flooded\",medium=\"qr_code\",result=\"unknown_issuer\"}",
    );
    let unheard = gate.metric("turnstile_device_faults_total{device=\"mad\"}");
    assert_eq!(dropped + decided + unheard, FLOOD);
    // The bound that is stated: a burst, and then one every half second.
    let since_then = u64::try_from(flood_took.as_millis() / EVERY.as_millis()).unwrap();
    let most = u64::from(BURST) + since_then + 2;
    assert!(decided <= most, "{decided} decided, at most {most}");
    assert!(decided >= u64::from(BURST), "{decided} decided");
    let grown = memory(gate.pid()).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more");
    let log = gate.log();
    let most_lines = usize::try_from(most).unwrap() * 3 + 60;
    assert!(log.len() < most_lines, "{log:#?}");
    gate.dies();

    // Kept: everybody who passed, and of the flood no more than was decided.
    let journal = Journal::inspect(&home.join("gate/journal"), Limits::of_mib(1_024)).unwrap();
    journal.verify().unwrap();
    let stored = journal.read(0, usize::MAX, usize::MAX).unwrap();
    let records: Vec<serde_json::Value> = stored
        .iter()
        .map(|stored| serde_json::from_str(&stored.record).unwrap())
        .collect();
    let of_flood = records
        .iter()
        .filter(|record| record["reason"] == "unknown_issuer");
    assert!(of_flood.count() <= usize::try_from(most).unwrap());
    let passed = |lane: &str| {
        let of_lane = records.iter().filter(|record| record["lane"] == lane);
        of_lane
            .filter(|record| text(record, "outcome") == "passed")
            .count()
    };
    assert_eq!((passed("beside"), passed("flooded")), (4, 1));
}
