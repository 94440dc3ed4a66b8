//! Days at a gate that the simulator lives through: every rule holds in all of them, and none in the days of a gate
//! with a bug in it. `SEED=17 cargo test --test sim` lives through one day only and tells everything that happens.

#![expect(clippy::unwrap_used, reason = "a day that cannot be set up has failed")]

use turnstiled::lab::simulate::{Plant, day, days};

/// Days of a push.
const DAYS: u64 = 100;
/// Within so many days a planted bug is found.
const FOUND_WITHIN: u64 = 300;

#[test]
fn every_rule_holds_in_a_hundred_bad_days() {
    if let Some(seed) = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        let day = day(seed, None, true).unwrap();
        println!("{}", day.trace.join("\n"));
        assert_eq!(day.violation, None, "seed {seed}");
        return;
    }
    let summary = days(1..DAYS + 1).unwrap();
    assert_eq!(summary.violations, 0, "{:?}", summary.failures);
    // The days were not empty, and they were bad.
    assert!(summary.passages > 1_000, "{} passages", summary.passages);
    let faults = summary.faults.len();
    assert!(faults > 20, "{faults} kinds of fault: {:?}", summary.faults);
}

#[test]
fn a_seed_gives_the_same_day_twice() {
    for seed in [17, 18, 19] {
        let (first, second) = (
            day(seed, None, true).unwrap(),
            day(seed, None, true).unwrap(),
        );
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

/// What the oracle says of days with a bug, on the first of them that it finds it in.
fn found(plant: Plant) -> Option<String> {
    (1..=FOUND_WITHIN).find_map(|seed| day(seed, Some(plant), false).unwrap().violation)
}

#[test]
fn a_bug_in_the_gate_is_found() {
    let missed: Vec<_> = Plant::ALL
        .into_iter()
        .filter(|plant| found(*plant).is_none())
        .collect();
    assert!(
        missed.is_empty(),
        "not found within {FOUND_WITHIN} days: {missed:?}"
    );
}
