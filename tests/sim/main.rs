//! Days at a station that the simulator lives through: every rule holds in all of them, and none in the days of a gate
//! with a bug in it. `SEED=17 cargo test --test sim` lives through one day only and tells everything that happens.

#![expect(clippy::unwrap_used, reason = "a day that cannot be set up has failed")]

use turnstiled::lab::simulate::{Options, Plant, day, days, shrink};

/// Days of a push.
const DAYS: u64 = 500;
/// Within so many days a planted bug is found.
const FOUND_WITHIN: u64 = 1_000;
/// Where each was found. `HUNT=1 cargo test --test sim a_bug -- --nocapture` looks for all of them anew, from the first seed on;
/// `HUNT=FireLate` for that one.
const FOUND: &[(Plant, u64)] = &[
    (Plant::LostOutcome, 1),
    (Plant::MissingLock, 1),
    (Plant::UnrepeatedBeams, 6),
    (Plant::EarlyTimer, 1),
    (Plant::DoubleRelease, 1),
    (Plant::AckBeforeSync, 2),
    (Plant::FloorForgotten, 58),
    (Plant::PassbackNotAnnulled, 23),
    (Plant::ScheduleMidnight, 11),
    (Plant::FireUnlatched, 2),
    (Plant::QueueUnbounded, 25),
    (Plant::ReleasedBeforeDurable, 1),
    (Plant::SeenForgotten, 8),
    (Plant::FireLate, 18),
    (Plant::SilentRefusal, 1),
    (Plant::PersonalRecord, 1),
];

fn traced() -> Options {
    Options {
        traced: true,
        ..Options::default()
    }
}

#[test]
fn every_rule_holds_in_five_hundred_bad_days() {
    if let Some(seed) = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        let day = day(seed, &traced()).unwrap();
        println!("{}", day.trace.join("\n"));
        assert_eq!(day.violation, None, "seed {seed}");
        return;
    }
    let summary = days(1..DAYS + 1, &Options::default()).unwrap();
    assert_eq!(summary.violations, 0, "{:?}", summary.failures);
    // The days were not empty, and they were bad.
    assert!(summary.passages > 20_000, "{} passages", summary.passages);
    let faults = summary.faults.len();
    assert!(faults > 40, "{faults} kinds of fault: {:?}", summary.faults);
    let wrong = unexplained(&summary.reached.all());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Pairs of state and input that are not reached and not explained, and those that are reached though they never should.
fn unexplained(pairs: &[(&str, &str, &str, bool)]) -> Vec<String> {
    let lines: Vec<Vec<&str>> = include_str!("unreached.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(" | ").collect())
        .collect();
    let mut wrong = Vec::new();
    for (machine, state, input, reached) in pairs {
        let fits = |line: &&Vec<&str>| {
            let found = line.iter().zip([machine, state, input]);
            found.clone().count() == 3 && found.into_iter().all(|(of, is)| *of == "*" || of == is)
        };
        let why = lines.iter().find(fits).and_then(|line| line.get(3));
        match (reached, why) {
            (false, None) => wrong.push(format!("not reached: {machine} | {state} | {input}")),
            (true, Some(&"never")) => {
                wrong.push(format!("reached after all: {machine} | {state} | {input}"));
            }
            (true | false, _) => {}
        }
    }
    assert!(lines.iter().all(|line| line.len() == 5));
    wrong
}

#[test]
fn a_seed_gives_the_same_day_twice() {
    for seed in [17, 18, 19] {
        let (first, second) = (day(seed, &traced()).unwrap(), day(seed, &traced()).unwrap());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
        let untraced = day(seed, &Options::default()).unwrap();
        assert_eq!(first.hash, untraced.hash, "seed {seed}");
    }
}

fn planted(plant: Plant) -> Options {
    Options {
        plant: Some(plant),
        ..Options::default()
    }
}

/// The first day with a bug in which the oracle finds it.
fn found(plant: Plant) -> Option<(u64, String)> {
    (1..=FOUND_WITHIN).find_map(|seed| {
        let violation = day(seed, &planted(plant)).unwrap().violation;
        violation.map(|violation| (seed, violation))
    })
}

#[test]
fn a_bug_in_the_gate_is_found_and_the_same_day_without_it_is_in_order() {
    if let Ok(wanted) = std::env::var("HUNT") {
        let all = Plant::ALL.into_iter();
        for plant in all.filter(|plant| wanted == "1" || wanted == format!("{plant:?}")) {
            println!("{plant:?}: {:?}", found(plant));
        }
        return;
    }
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        let (_, seed) = *FOUND.iter().find(|(of, _)| *of == plant).unwrap();
        assert!(seed <= FOUND_WITHIN, "{plant:?}");
        let with = day(seed, &planted(plant)).unwrap().violation;
        let without = day(seed, &Options::default()).unwrap().violation;
        assert_eq!(without, None, "seed {seed}");
        if with.is_none() {
            missed.push(plant);
        }
    }
    assert!(
        missed.is_empty(),
        "not found any more: {missed:?}; hunt for them anew"
    );
}

#[test]
fn a_failing_day_shrinks_and_what_is_left_fails_the_same_way_twice() {
    let options = planted(Plant::LostOutcome);
    let (seed, violation) = found(Plant::LostOutcome).unwrap();
    let shrunk = shrink(seed, &options).unwrap().unwrap();
    assert!(shrunk.items.len() < shrunk.of / 4, "{:?}", shrunk.items);
    println!("{violation}: {} of {} items", shrunk.items.len(), shrunk.of);
    let again = Options {
        only: Some(std::sync::Arc::new(shrunk.items)),
        traced: true,
        ..options
    };
    let (first, second) = (day(seed, &again).unwrap(), day(seed, &again).unwrap());
    assert!(first.violation.is_some());
    assert_eq!(first.violation, shrunk.day.violation);
    assert_eq!((first.trace, first.hash), (second.trace, second.hash));
    assert_eq!(first.hash, shrunk.day.hash);
}
