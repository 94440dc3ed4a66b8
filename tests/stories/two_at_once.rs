//! Two people want the same lane at the same moment.

use std::time::Duration;

use tokio::time::sleep;
use turnstiled::domain::{Colour, Direction, LaneId, Outcome, Prompt, Reason, Verdict};

use crate::site::{Site, high};
use crate::terminal::Scanner;

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "both"
barrier = "flap"
fail = "secure"
directions = ["entry", "exit"]
release_ms = 3000
outputs = { release_entry = 17, release_exit = 18, green_light = 22, red_light = 23 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "outside", direction = "entry", line = { port = "outside" } },
    { name = "inside", direction = "exit", line = { port = "inside" } },
]
"#;

/// A scanner shows a code once more only after it was gone for so long.
const AWAY: Duration = Duration::from_millis(2_300);

#[tokio::test(flavor = "multi_thread")]
async fn two_from_both_sides_go_one_after_the_other_and_never_meet_in_the_aisle() {
    let people = [
        ("HC:INWARDS", Colour::Green),
        ("HC:OUTWARDS", Colour::Green),
    ];
    let (mut site, scanners) = Site::open(LANES, &people, |folder, _| {
        ["outside", "inside"].map(|name| Scanner::plug_in(&folder.join(name)))
    })
    .await;
    let [outside, inside] = &scanners;
    let _ = site.wires.take_changes();

    outside.shows("HC:INWARDS");
    inside.shows("HC:OUTWARDS");
    let (first, second) = (site.sees_decision().await, site.sees_decision().await);
    assert_eq!(
        (first.verdict, first.reason),
        (Verdict::Grant, Reason::InOrder)
    );
    assert_eq!(
        (second.verdict, second.reason),
        (Verdict::Deny, Reason::LaneBusy)
    );
    assert_ne!(first.direction, second.direction);
    site.sees_release().await;
    // What each of them reads.
    let lane = LaneId(0);
    let busy = site.prompts(lane, second.direction);
    assert!(busy.contains(&Prompt::OneAtATime), "{busy:?}");
    assert!(!busy.contains(&Prompt::Go), "{busy:?}");
    site.waits_for("the other is told to go", |site| {
        let page = site.page("/status.json");
        page.contains("\"go\"") && page.contains("\"state\":\"released\"")
    })
    .await;
    walks(&site, first.direction).await;
    site.sees_outcome(Outcome::Passed).await;

    // Nothing waits for the other: who was told to wait shows the code again, and is next.
    sleep(AWAY).await;
    assert_eq!(site.decisions().len(), 2, "nothing is decided later");
    if second.direction == Direction::Entry {
        outside.shows("HC:INWARDS");
    } else {
        inside.shows("HC:OUTWARDS");
    }
    let third = site.sees_decision().await;
    assert_eq!(
        (third.direction, third.verdict),
        (second.direction, Verdict::Grant)
    );
    site.sees_release().await;
    walks(&site, third.direction).await;
    site.sees_outcome(Outcome::Passed).await;
    site.waits_for("locked", |site| {
        !site.wires.is_active(high(17)) && !site.wires.is_active(high(18))
    })
    .await;

    // The operator: one release a person, never both ways at once.
    let (mut ways, mut releases) = ([false; 2], 0);
    for change in site.wires.take_changes() {
        let Some(way) = [17, 18].iter().position(|pin| *pin == change.pin) else {
            continue;
        };
        ways[way] = change.level;
        releases += usize::from(change.level);
        assert_ne!(ways, [true, true], "released both ways");
    }
    assert_eq!(releases, 2);
    let series = |result| {
        format!(
            "turnstile_presentations_total{{lane=\"both\",medium=\"qr_code\",result=\"{result}\"}}"
        )
    };
    assert_eq!(site.metric(&series("lane_busy")), 1);
    assert_eq!(site.metric(&series("granted")), 2);

    // Kept: two grants and two passages. Who was told to wait has lost nothing, and is not in the journal.
    let kept = site.closes().await;
    let grant = ("grant".to_owned(), "in_order".to_owned());
    assert_eq!(kept.decisions(), [grant.clone(), grant]);
    assert_eq!(kept.outcomes(), ["passed", "passed"]);
}

/// Through the aisle, from the side where `way` begins.
async fn walks(site: &Site, way: Direction) {
    let mut pictures = ["#.", "##", ".#", ".."];
    if way == Direction::Exit {
        pictures = [".#", "##", "#.", ".."];
    }
    site.walks(5, 6, &pictures).await;
}
