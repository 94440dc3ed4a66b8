//! Days at a gate that the simulator lives through: every rule holds in all of them, and none in the days of a gate
//! with a bug in it. `SEED=17 cargo test --test sim` lives through one day only and tells everything that happens.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a day that cannot be set up has failed; a single day is told"
)]

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

/// Lives through days with a bug until the oracle finds it.
fn is_found(plant: Plant) -> String {
    (1..FOUND_WITHIN + 1)
        .find_map(|seed| day(seed, Some(plant), false).unwrap().violation)
        .unwrap_or_else(|| panic!("{plant:?} is not found within {FOUND_WITHIN} days"))
}

#[test]
fn a_bug_in_the_gate_is_found() {
    for plant in Plant::ALL {
        let found = is_found(plant);
        println!("{plant:?}: {found}");
    }
}
