//! A swing gate with limit switches: a relay that is dead or welded, and a leaf that somebody holds, show in them.

use std::time::Duration;

use tokio::time::sleep;
use turnstiled::domain::{Colour, Direction, Outcome, Prompt, Reason, Verdict};

use crate::site::{Site, high};
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "wide"
barrier = "swing"
fail = "safe"
directions = ["entry", "exit"]
release_ms = 5000
travel_ms = 600
group_max = 2
outputs = { release_entry = 17, release_exit = 18, green_light = 22, red_light = 23, green_light_exit = 24, red_light_exit = 25, buzzer = 26 }
sensors = { entry_beam = 5, middle_beams = [6, 7], exit_beam = 8, low_beam = 9, presence = 10, opened = 11, closed = 12 }
reader = [{ name = "outside", direction = "entry", line = { port = "outside" } }]
"#;

const OPENED: u8 = 11;
const CLOSED: u8 = 12;
const PEOPLE: [(&str, Colour); 3] = [
    ("HC:FIRST", Colour::Green),
    ("HC:SECOND", Colour::Green),
    ("HC:THIRD", Colour::Green),
];

async fn site() -> (Site, Scanner) {
    Site::open(LANES, &PEOPLE, |folder, wires| {
        wires.set_input(CLOSED, true);
        Scanner::plug_in(&folder.join("outside"))
    })
    .await
}

/// The leaf is where its switches say.
fn leaf(site: &Site, opened: bool, closed: bool) {
    site.wires.set_input(OPENED, opened);
    site.wires.set_input(CLOSED, closed);
}

/// Somebody walks past all four beams, and the mat between them.
async fn walks(site: &Site) {
    for broken in [
        &[5][..],
        &[5, 6, 10],
        &[6, 7, 9, 10],
        &[7, 8, 10],
        &[8],
        &[],
    ] {
        for pin in [5, 6, 7, 8, 9, 10] {
            site.wires.set_input(pin, broken.contains(&pin));
        }
        sleep(Duration::from_millis(80)).await;
    }
}

fn alarm(site: &Site, name: &str) -> u64 {
    site.metric(&format!(
        "turnstile_alarm{{alarm=\"{name}\",lane=\"wide\"}}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_a_group_walk_through_and_a_leaf_that_is_held_calls_staff_until_it_is_shut() {
    let (mut site, scanner) = site().await;
    scanner.shows("HC:FIRST");
    site.sees_release().await;
    leaf(&site, false, false);
    scanner.shows("HC:SECOND");
    site.sees_decision().await;
    leaf(&site, true, false);
    site.waits_for("the entry side is green", |site| {
        site.wires.is_active(high(22))
    })
    .await;
    assert!(!site.wires.is_active(high(24)), "and the exit side is not");
    walks(&site).await;
    site.sees_outcome(Outcome::Passed).await;
    assert!(
        site.wires.is_active(high(17)),
        "the second is still to come"
    );
    walks(&site).await;
    site.sees_outcome(Outcome::Passed).await;
    site.waits_for("told to shut", |site| !site.wires.is_active(high(17)))
        .await;

    // It begins to shut, and somebody holds it.
    leaf(&site, false, false);
    site.sees_outcome(Outcome::HeldOpen).await;
    site.waits_for("staff are called", |site| alarm(site, "held_open") == 1)
        .await;
    site.waits_for("and the buzzer sounds", |site| {
        site.wires.is_active(high(26))
    })
    .await;
    leaf(&site, false, true);
    site.waits_for("the alarm ends", |site| alarm(site, "held_open") == 0)
        .await;

    // Nobody is granted anything, and it opens: somebody forces it.
    leaf(&site, false, false);
    site.sees_outcome(Outcome::Forced).await;
    leaf(&site, false, true);
    let kept = site.closes().await;
    assert_eq!(kept.outcomes(), ["passed", "passed", "held_open", "forced"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_relay_shows_in_a_leaf_that_stays_shut() {
    let (mut site, scanner) = site().await;
    scanner.shows("HC:FIRST");
    site.sees_release().await;
    // The leaf does not move.
    site.sees_outcome(Outcome::NoEntryAfterGrant).await;
    site.sees_prompt(Direction::Entry, Prompt::OutOfService)
        .await;
    site.waits_for("staff are called", |site| alarm(site, "barrier_fault") == 1)
        .await;
    scanner.shows("HC:SECOND");
    let refused = site.sees_decision().await;
    assert_eq!(
        (refused.verdict, refused.reason),
        (Verdict::Deny, Reason::OutOfService)
    );

    // It has been repaired; after a rest it is tried again, and works.
    site.sees_prompt(Direction::Entry, Prompt::Idle).await;
    assert_eq!(alarm(&site, "barrier_fault"), 0);
    scanner.shows("HC:THIRD");
    site.sees_release().await;
    leaf(&site, true, false);
    walks(&site).await;
    site.sees_outcome(Outcome::Passed).await;
    // And now it is welded.
    site.waits_for("told to shut", |site| !site.wires.is_active(high(17)))
        .await;
    site.sees_prompt(Direction::Entry, Prompt::OutOfService)
        .await;
    site.waits_for("staff are called", |site| alarm(site, "barrier_fault") == 1)
        .await;
    leaf(&site, false, true);
    site.sees_prompt(Direction::Entry, Prompt::Idle).await;
    // The end of the alarm is a record of its own, written a moment later.
    sleep(Duration::from_millis(500)).await;
    let kept = site.closes().await;
    assert_eq!(kept.outcomes(), ["no_entry_after_grant", "passed"]);
    let faults: Vec<_> = kept
        .of_kind("alarm")
        .map(|record| {
            (
                record["alarm"].as_str().unwrap().to_owned(),
                record["on"].as_bool().unwrap(),
            )
        })
        .collect();
    let fault = |on| ("barrier_fault".to_owned(), on);
    assert_eq!(
        faults,
        [fault(true), fault(false), fault(true), fault(false)]
    );
}
