//! A fire while somebody is on the way through.

use std::time::Duration;

use tokio::time::sleep;
use turnstiled::domain::{Colour, Direction, Outcome, Prompt, Reason, Verdict};
use turnstiled::runtime::staff::wire::{Request, Result};

use crate::site::{Site, high};
use crate::terminal::Scanner;

const LANES: &str = r#"
[staff]
socket = "staff.sock"

[gpio]
driver = "simulated"
folder = "lines"
fire_loop = 4

[[lane]]
name = "both"
barrier = "flap"
fail = "safe"
directions = ["entry", "exit"]
release_ms = 1500
outputs = { release_entry = 17, release_exit = 18, green_light = 22, red_light = 23 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "outside", direction = "entry", line = { port = "outside" } }]
"#;

fn is_open(site: &Site) -> bool {
    site.wires.is_active(high(17)) && site.wires.is_active(high(18))
}

fn is_locked(site: &Site) -> bool {
    !site.wires.is_active(high(17)) && !site.wires.is_active(high(18))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_releases_both_ways_and_its_end_never_closes_on_who_is_still_there() {
    let people = [("HC:FIRST", Colour::Green), ("HC:NEXT", Colour::Green)];
    let (mut site, scanner) = Site::open(LANES, &people, |folder, _| {
        Scanner::plug_in(&folder.join("outside"))
    })
    .await;
    scanner.shows("HC:FIRST");
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##"]).await;

    site.wires.set_input(4, false);
    site.sees_prompt(Direction::Entry, Prompt::EmergencyExit)
        .await;
    site.sees_prompt(Direction::Exit, Prompt::EmergencyExit)
        .await;
    site.waits_for("both ways are released", is_open).await;
    site.waits_for("the light is green", |site| site.wires.is_active(high(22)))
        .await;
    site.waits_for("the operator sees it", |site| {
        site.metric("turnstile_alarm{alarm=\"fire\",lane=\"gate\"}") == 1
            && site.page("/status.json").contains(r#"["gate","fire"]"#)
    })
    .await;
    // In a fire nobody is asked for a code.
    scanner.shows("HC:NEXT");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(site.decisions().len(), 1);

    // The loop is quiet again, and somebody who may says that it is over, while the rider is still there.
    let refused = site.asks(&Request::ResetFire);
    assert_eq!(refused.result, Result::Refused);
    assert!(refused.said[0].contains("still says fire"), "{refused:?}");
    sleep(Duration::from_millis(500)).await;
    assert!(is_open(&site), "not while the loop says fire");
    site.wires.set_input(4, true);
    sleep(Duration::from_millis(1_000)).await;
    assert!(is_open(&site), "a quiet loop locks nothing");
    assert_eq!(site.asks(&Request::ResetFire).result, Result::Done);
    site.waits_for("the alarm has ended", |site| {
        site.metric("turnstile_alarm{alarm=\"fire\",lane=\"gate\"}") == 0
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert!(!is_locked(&site), "never on a body");
    site.walks(5, 6, &[".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    site.waits_for("locked once the aisle is clear", is_locked)
        .await;

    // All in order: the next one is served.
    sleep(Duration::from_secs(2)).await;
    scanner.shows("HC:NEXT");
    let next = site.sees_decision().await;
    assert_eq!(
        (next.verdict, next.reason),
        (Verdict::Grant, Reason::InOrder)
    );
    site.sees_release().await;
    site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;

    let kept = site.closes().await;
    assert_eq!(
        kept.outcomes(),
        ["passed", "passed"],
        "each grant ends once"
    );
    let alarms: Vec<_> = kept
        .of_kind("alarm")
        .filter(|record| record["alarm"] == "fire")
        .map(|record| record["on"].as_bool().unwrap())
        .collect();
    assert_eq!(alarms, [true, false]);
}
