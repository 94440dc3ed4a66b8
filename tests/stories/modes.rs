//! Each mode at a lane, and those who may want one on the spot: key switch, staff, schedule.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;
use turnstiled::backend::system_clock;
use turnstiled::cli;
use turnstiled::domain::{Colour, Direction, Mode, Outcome, Prompt, Reason, Utc, Verdict};
use turnstiled::runtime::staff::wire::{Reply, Request, Result};

use crate::site::{Site, high, text};
use crate::terminal::Scanner;

/// A flap both ways with a key switch, and a tripod beside it.
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
key_switch = [{ line = 26, mode = "maintenance" }, { line = 27, mode = "free" }]
outputs = { release_entry = 17, release_exit = 18, green_light = 22, red_light = 23 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "outside", direction = "entry", line = { port = "outside" } },
    { name = "inside", direction = "exit", line = { port = "inside" } },
]

[[lane]]
name = "beside"
barrier = "tripod"
fail = "secure"
directions = ["entry"]
outputs = { release_entry = 20 }
sensors = { entry_rotor = 13 }
"#;

struct Both {
    outside: Scanner,
    inside: Scanner,
}

async fn open(lanes: &str, people: crate::site::People<'_>) -> (Site, Both) {
    Site::open(lanes, people, |folder, _| Both {
        outside: Scanner::plug_in(&folder.join("outside")),
        inside: Scanner::plug_in(&folder.join("inside")),
    })
    .await
}

fn mode(mode: Option<Mode>) -> Request {
    Request::Mode {
        lane: Some("both".into()),
        mode,
        for_s: None,
    }
}

fn is_open(site: &Site) -> bool {
    site.wires.is_active(high(17)) && site.wires.is_active(high(18))
}

fn is_locked(site: &Site) -> bool {
    !site.wires.is_active(high(17)) && !site.wires.is_active(high(18))
}

/// Mode and source of the first lane, as the metrics say.
fn in_force(site: &Site, mode: &str, source: &str) -> bool {
    let mode = format!("turnstile_lane_mode{{lane=\"both\",mode=\"{mode}\"}}");
    let source = format!("turnstile_lane_mode_source{{lane=\"both\",source=\"{source}\"}}");
    site.metric(&mode) == 1 && site.metric(&source) == 1
}

async fn until_in_force(site: &Site, mode: &str, source: &str) {
    let what = format!("mode {mode} by {source}");
    site.waits_for(&what, |site| in_force(site, mode, source))
        .await;
}

/// The reason of the next decision, for somebody who shows a code.
async fn shown(site: &mut Site, scanner: &Scanner, code: &str) -> (Verdict, Reason) {
    scanner.shows(code);
    let decided = site.sees_decision().await;
    (decided.verdict, decided.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_set_every_mode_and_each_is_recorded_with_who_it_was() {
    let (mut site, both) = open(LANES, &[("HC:ONE", Colour::Green)]).await;
    // A code that is shown twice within a moment is one presentation.
    let mut codes = (0..).map(|n| format!("HC:{n}"));
    let mut code = || codes.next().unwrap();
    let shut = (Verdict::Deny, Reason::LaneClosed);
    let staff = (Verdict::Assist, Reason::LaneClosed);
    for (wanted, entry, exit, signs) in [
        (
            Mode::Closed,
            Some(shut),
            None,
            [Prompt::LaneClosed, Prompt::Idle],
        ),
        (
            Mode::ExitOnly,
            Some(shut),
            None,
            [Prompt::LaneClosed, Prompt::Idle],
        ),
        (
            Mode::EntryOnly,
            None,
            Some(staff),
            [Prompt::Idle, Prompt::LaneClosed],
        ),
        (
            Mode::Maintenance,
            Some(shut),
            Some(staff),
            [Prompt::OutOfService; 2],
        ),
    ] {
        let reply = site.asks(&mode(Some(wanted)));
        assert_eq!(reply.result, Result::Done, "{reply:?}");
        until_in_force(&site, wanted.as_str(), "staff").await;
        if let Some(entry) = entry {
            assert_eq!(
                shown(&mut site, &both.outside, &code()).await,
                entry,
                "{wanted:?}"
            );
        }
        if let Some(exit) = exit {
            assert_eq!(
                shown(&mut site, &both.inside, &code()).await,
                exit,
                "{wanted:?}"
            );
        }
        for (side, sign) in [Direction::Entry, Direction::Exit].into_iter().zip(signs) {
            let what = format!("{wanted:?}: {side} shows {sign:?}");
            site.waits_for(&what, |site| {
                let page = site.gate.status.borrow();
                page.lanes[0].prompts.contains(&(side.as_str(), sign.id()))
            })
            .await;
        }
        assert!(is_locked(&site), "{wanted:?}");
        // A refusal is shown for a moment; the next one comes after it.
        sleep(Duration::from_millis(300)).await;
    }
    for wanted in [Mode::Free, Mode::Emergency] {
        assert_eq!(site.asks(&mode(Some(wanted))).result, Result::Done);
        until_in_force(&site, wanted.as_str(), "staff").await;
        site.waits_for("both ways are released", is_open).await;
        let refused = site.asks(&Request::OpenOnce {
            lane: "both".into(),
            direction: Some(Direction::Entry),
        });
        assert!(refused.said[0].contains("open to everybody"), "{refused:?}");
        site.walks(5, 6, &["#.", "##", ".#", ".."]).await;
        site.sees_outcome(Outcome::PassedUncontrolled).await;
        sleep(Duration::from_millis(300)).await;
    }
    let reply = site.asks(&mode(None));
    assert_eq!(
        reply.said,
        ["lane both: staff want nothing any more; mode normal by config"]
    );
    site.waits_for("locked again", is_locked).await;
    assert!(
        site.page("/status.json")
            .contains("\"mode_source\":\"config\""),
        "the page says whose mode it is"
    );

    site.waits_for("the last of it is recorded", |site| {
        let records = site.gate.journal.read(0, usize::MAX, usize::MAX).unwrap();
        let mut records = records.iter().map(|stored| &stored.record);
        records.any(|record| record.contains("\"source\":\"config\""))
    })
    .await;
    let me = std::fs::metadata("/proc/self").unwrap().uid();
    let kept = site.closes().await;
    let orders: Vec<_> = kept.of_kind("staff").collect();
    assert_eq!(orders.len(), 7, "each order once");
    assert!(
        orders
            .iter()
            .all(|order| order["uid"] == me && order["lane"] == "both")
    );
    assert_eq!(text(orders[0], "mode"), "closed");
    assert_eq!(text(orders[6], "deed"), "end_mode");
    let modes: Vec<_> = kept
        .of_kind("mode")
        .map(|record| (text(record, "mode"), text(record, "source")))
        .collect();
    assert_eq!(modes.first().unwrap(), &("closed".into(), "staff".into()));
    assert_eq!(modes.last().unwrap(), &("normal".into(), "config".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_let_one_person_through_by_a_recorded_grant_that_is_followed() {
    let (mut site, _both) = open(LANES, &[("HC:ONE", Colour::Green)]).await;
    let once = |direction| Request::OpenOnce {
        lane: "both".into(),
        direction,
    };
    let unclear = site.asks(&once(None));
    assert_eq!(unclear.result, Result::Malformed);
    assert!(
        unclear.said[0].contains("say \"entry\" or \"exit\""),
        "{unclear:?}"
    );
    let reply = site.asks(&once(Some(Direction::Exit)));
    assert_eq!(reply.result, Result::Done, "{reply:?}");
    // The answer may overtake the relay.
    site.waits_for("released the way that was asked", |site| {
        site.wires.is_active(high(18))
    })
    .await;
    assert!(!site.wires.is_active(high(17)));
    let busy = site.asks(&once(Some(Direction::Entry)));
    assert!(busy.said[0].contains("serving somebody"), "{busy:?}");
    site.walks(5, 6, &[".#", "##", "#.", ".."]).await;
    site.sees_outcome(Outcome::Passed).await;
    // Where a lane serves one way only, nobody has to say which; and nobody comes.
    let beside = Request::OpenOnce {
        lane: "beside".into(),
        direction: None,
    };
    assert_eq!(site.asks(&beside).result, Result::Done);
    site.sees_outcome(Outcome::NoEntryAfterGrant).await;
    let nowhere = Request::OpenOnce {
        lane: "roof".into(),
        direction: None,
    };
    assert_eq!(
        site.asks(&nowhere).said,
        ["there is no lane \"roof\"; this gate has both, beside"]
    );

    let kept = site.closes().await;
    assert_eq!(kept.outcomes(), ["passed", "no_entry_after_grant"]);
    let granted = ("grant".to_owned(), "by_staff".to_owned());
    assert_eq!(
        kept.decisions()
            .iter()
            .filter(|one| **one == granted)
            .count(),
        2
    );
    assert_eq!(
        kept.of_kind("staff")
            .filter(|r| text(r, "deed") == "open_once")
            .count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_switch_wins_over_staff_and_passing_a_position_is_no_wish() {
    let (mut site, both) = open(LANES, &[("HC:ONE", Colour::Green)]).await;
    assert_eq!(site.asks(&mode(Some(Mode::Free))).result, Result::Done);
    until_in_force(&site, "free", "staff").await;
    site.wires.set_input(26, true);
    until_in_force(&site, "maintenance", "key").await;
    site.waits_for("locked", is_locked).await;
    let refused = shown(&mut site, &both.outside, "HC:ONE").await;
    assert_eq!(refused, (Verdict::Deny, Reason::LaneClosed));
    let noted = site.asks(&mode(Some(Mode::Normal)));
    assert_eq!(
        noted.said,
        ["lane both: normal is noted, but mode maintenance by key is stronger"]
    );
    let refused = site.asks(&Request::OpenOnce {
        lane: "both".into(),
        direction: Some(Direction::Entry),
    });
    assert!(
        refused.said[0].contains("in maintenance by key"),
        "{refused:?}"
    );
    let status = site.asks(&Request::Status);
    let lane = &status.said[0];
    assert!(
        lane.contains("mode maintenance by key; over staff (uid"),
        "{lane}"
    );
    assert!(status.status.unwrap()["lanes"][0]["wishes"][1]["source"] == "staff");
    // The key is turned back over another position.
    site.wires.set_input(26, false);
    site.wires.set_input(27, true);
    sleep(Duration::from_millis(15)).await;
    site.wires.set_input(27, false);
    until_in_force(&site, "normal", "staff").await;
    let kept = site.closes().await;
    let by_key: Vec<_> = kept
        .of_kind("mode")
        .filter(|record| text(record, "source") == "key")
        .map(|record| text(record, "mode"))
        .collect();
    assert!(!by_key.is_empty());
    assert!(
        by_key.iter().all(|mode| mode == "maintenance"),
        "no free on the way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_act_is_told_so_and_nonsense_is_answered() {
    let (site, _both) = open(LANES, &[("HC:ONE", Colour::Green)]).await;
    let socket = site.folder.path().join("staff.sock");
    for nonsense in [&b"{\"ask\":\"dance\"}\n"[..], &[b'x'; 100_000]] {
        let reply: Reply = serde_json::from_slice(&says(&socket, nonsense)).unwrap();
        assert_eq!(reply.result, Result::Malformed);
    }
    // Nobody who only holds connections keeps others away for long.
    let held: Vec<_> = (0..8)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(site.asks(&Request::Status).result, Result::Done);
    drop(held);
    site.gate.stop().await;
    assert!(!socket.exists(), "the socket goes with the gate");
    assert!(cli::lane::ask(&socket, &Request::Status).is_err());
}

/// What is answered to these bytes.
fn says(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The gate may have heard enough before the end.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    reply
}

/// Local minutes of today in UTC, as a schedule writes them.
fn clock(at: Utc) -> String {
    let minute = at.as_secs() / 60 % 1440;
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_decides_while_nobody_wants_anything_and_says_until_when() {
    let now = system_clock()();
    // From an hour ago until in two hours: sometimes across midnight, as it comes.
    let (from, to) = (
        clock(now - Duration::from_secs(3_600)),
        clock(now + Duration::from_secs(7_200)),
    );
    let schedule = format!(
        "[schedule]\ntime_zone = \"UTC\"\n[[schedule.span]]\nlanes = [\"both\"]\nfrom = \"{from}\"\nto = \"{to}\"\n\
         mode = \"closed\"\n"
    );
    let (mut site, both) = open(&(schedule + LANES), &[("HC:ONE", Colour::Green)]).await;
    until_in_force(&site, "closed", "schedule").await;
    let refused = shown(&mut site, &both.outside, "HC:ONE").await;
    assert_eq!(refused, (Verdict::Deny, Reason::LaneClosed));
    let lane = site.asks(&Request::Status).said[0].clone();
    assert!(lane.contains(&format!("T{to}:00Z")), "{lane}");
    // Staff are stronger, for as long as they say.
    let briefly = Request::Mode {
        lane: None,
        mode: Some(Mode::Normal),
        for_s: Some(2),
    };
    assert_eq!(site.asks(&briefly).said.len(), 2, "every lane");
    until_in_force(&site, "normal", "staff").await;
    until_in_force(&site, "closed", "schedule").await;
    let kept = site.closes().await;
    let modes: Vec<_> = kept
        .of_kind("mode")
        .filter(|record| text(record, "lane") == "both")
        .map(|record| (text(record, "mode"), text(record, "source")))
        .collect();
    let expected = [
        ("closed", "schedule"),
        ("normal", "staff"),
        ("closed", "schedule"),
    ];
    assert_eq!(
        modes,
        expected.map(|(mode, source)| (mode.to_owned(), source.to_owned()))
    );
}
