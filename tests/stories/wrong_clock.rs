//! The date is wrong at boot, jumps by a year, or drifts: nobody is taken for expired or valid by it, who has passed is
//! not forgotten, and what needs the date follows the rule of the site until somebody vouches for it.

use turnstiled::backend::system_clock;
use turnstiled::domain::{ClockQuality, Colour, Direction, Reason, Row, Subject, Verdict};
use turnstiled::lab::demo::cast::{Act, Carries, Known, Person, Walk};
use turnstiled::lab::demo::props::Props;

use crate::link::{Calendar, Link};
use crate::told::{Log, story};

const VALID: &str = "code valid today";
const VALID_TOO: &str = "another code valid today";
const VALID_EXIT: &str = "code valid today, leaving";

/// Somebody whose row is valid from an hour ago until in an hour.
fn today(story: &'static str, direction: Direction) -> Person {
    let now = u32::try_from(system_clock()().as_secs()).unwrap();
    let code: String = story.chars().filter(char::is_ascii_alphabetic).collect();
    Person {
        story,
        act: Act::Connected,
        direction,
        carries: Carries::Phone(format!("HC:{}", code.to_uppercase())),
        known: Known::Synced(Row {
            subject: Subject::NONE,
            valid_from_s: now - 3_600,
            valid_until_s: now + 3_600,
            colour: Some(Colour::Green),
            entitlements: 1,
            region: 0,
        }),
        walk: Walk::Through,
        expected: (Verdict::Grant, Reason::InOrder),
    }
}

async fn gate_with(log: Log, seed: u64, calendar: &Calendar) -> Link {
    let props = Props {
        date: calendar.boxed(),
        ..Props::default()
    };
    let more = [
        (VALID, Direction::Entry),
        (VALID_TOO, Direction::Entry),
        (VALID_EXIT, Direction::Exit),
    ];
    let more = more
        .map(|(story, direction)| today(story, direction))
        .to_vec();
    let gate = Link::with(log, seed, system_clock(), props, more).await;
    gate.ready().await;
    gate
}

async fn until_clock(gate: &Link, clock: &str) {
    gate.until(&format!("the clock is {clock}"), |status| {
        status.clock == clock
    })
    .await;
}

#[test]
fn wrong_at_boot_without_network() {
    story(async |log| {
        let mut gate = gate_with(log, 341, &Calendar::synchronised()).await;
        gate.passes("green code, first time", Reason::InOrder).await;
        gate.passes("dynamic code", Reason::InOrder).await;
        gate.everything_arrives_once().await;
        gate.stage.lose_backend().await;

        // No battery, no network: it is 1976, as far as anybody here knows.
        let calendar = Calendar::default();
        calendar.jump(-50 * 365);
        let mut gate = gate.restarted(calendar.boxed(), |_| {}).await;
        until_clock(&gate, "untrusted").await;
        gate.passes("green code", Reason::InOrder).await;
        gate.refused(VALID, Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.refused("expired code", Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.passes(VALID_EXIT, Reason::ExitAlwaysOpen).await;
        // They passed before the restart; how long ago that was, nobody can say.
        gate.refused(
            "the same code once more",
            Verdict::Assist,
            Reason::ClockUntrusted,
        )
        .await;
        assert_eq!(gate.metric("turnstile_clock_trusted").await, Some(0.0));
        gate.log.says_once(&["nobody vouches for the date"]);
        assert!(gate.records("\"utc_ms\":null,\"clock\":\"untrusted\"") >= 6);
        assert_eq!(gate.records("\"utc_ms\":19"), 0, "no record is dated 1976");

        // The network is back, and with it the date.
        gate.stage.bring_back_backend().await.unwrap();
        calendar.jump(50 * 365);
        calendar.vouch(ClockQuality::Synchronised);
        until_clock(&gate, "synchronised").await;
        assert_eq!(gate.metric("turnstile_clock_trusted").await, Some(1.0));
        gate.passes(VALID, Reason::InOrder).await;
        gate.refused("the same code once more", Verdict::Deny, Reason::Passback)
            .await;
        gate.refused("screenshot of that code", Verdict::Deny, Reason::Replayed)
            .await;
        gate.refused("expired code", Verdict::Deny, Reason::Expired)
            .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn stepped_a_year_ahead_while_running_cuts_nobodys_validity() {
    story(async |log| {
        let calendar = Calendar::synchronised();
        let mut gate = gate_with(log, 342, &calendar).await;
        gate.passes("dynamic code", Reason::InOrder).await;
        gate.passes("green code, first time", Reason::InOrder).await;
        calendar.jump(365);
        until_clock(&gate, "untrusted").await;
        gate.log.says_once(&["the date has jumped", "ahead_s=3153"]);
        assert_eq!(gate.metric("turnstile_clock_jumps_total").await, Some(1.0));
        assert_eq!(gate.metric("turnstile_clock_trusted").await, Some(0.0));
        gate.refused(VALID, Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.refused(
            "code not valid yet",
            Verdict::Assist,
            Reason::ClockUntrusted,
        )
        .await;
        gate.passes(VALID_EXIT, Reason::ExitAlwaysOpen).await;
        gate.passes("green code", Reason::InOrder).await;
        // A year has not made the gate forget: it counts by its own clock.
        gate.refused("the same code once more", Verdict::Deny, Reason::Passback)
            .await;

        calendar.jump(-365);
        calendar.vouch(ClockQuality::Synchronised);
        until_clock(&gate, "synchronised").await;
        gate.passes(VALID, Reason::InOrder).await;
        gate.refused("screenshot of that code", Verdict::Deny, Reason::Replayed)
            .await;
        // The year left no trace in what must survive: the right date is believed after a restart.
        let mut gate = gate
            .restarted(Calendar::synchronised().boxed(), |_| {})
            .await;
        until_clock(&gate, "synchronised").await;
        gate.passes(VALID_TOO, Reason::InOrder).await;
        gate.refused("the same code once more", Verdict::Deny, Reason::Passback)
            .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn stepped_a_year_back_while_running_brings_no_expired_code_back() {
    story(async |log| {
        let calendar = Calendar::synchronised();
        let mut gate = gate_with(log, 343, &calendar).await;
        gate.passes("green code, first time", Reason::InOrder).await;
        gate.refused("expired code", Verdict::Deny, Reason::Expired)
            .await;
        calendar.jump(-365);
        until_clock(&gate, "untrusted").await;
        gate.log
            .says_once(&["the date has jumped", "behind_s=3153"]);
        gate.refused("expired code", Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.refused(VALID, Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.passes("green code", Reason::InOrder).await;
        gate.refused("the same code once more", Verdict::Deny, Reason::Passback)
            .await;
        // Even a time daemon that vouches for it is not believed below the floor: a list was signed later than that.
        calendar.vouch(ClockQuality::Synchronised);
        gate.refused(VALID_TOO, Verdict::Assist, Reason::ClockUntrusted)
            .await;
        gate.log
            .says_once(&["older than what was recorded or signed before"]);
        assert_eq!(gate.metric("turnstile_clock_trusted").await, Some(0.0));
        calendar.jump(365);
        calendar.vouch(ClockQuality::Synchronised);
        until_clock(&gate, "synchronised").await;
        gate.passes(VALID, Reason::InOrder).await;
        gate.refused("expired code", Verdict::Deny, Reason::Expired)
            .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn the_date_that_a_list_was_signed_at_is_a_floor_that_survives_the_cache() {
    story(async |log| {
        // Nobody has ever vouched for a date here: no record has one.
        let mut gate = gate_with(log, 345, &Calendar::default()).await;
        until_clock(&gate, "untrusted").await;
        gate.passes("green code", Reason::InOrder).await;
        gate.everything_arrives_once().await;
        gate.stage.lose_backend().await;
        let battery = Calendar::default();
        battery.jump(-365);
        battery.vouch(ClockQuality::Held);
        let without_cache = |folder: &std::path::Path| {
            std::fs::remove_dir_all(folder.join("codes")).unwrap();
        };
        let gate = gate.restarted(battery.boxed(), without_cache).await;
        until_clock(&gate, "untrusted").await;
        assert_eq!(gate.version(), None);
        gate.log
            .says_once(&["older than what was recorded or signed before"]);
        battery.jump(365);
        battery.vouch(ClockQuality::Held);
        until_clock(&gate, "held").await;
        gate.ends().await;
    });
}

#[test]
fn drifting_without_a_time_server_the_date_is_held() {
    story(async |log| {
        let calendar = Calendar::synchronised();
        let mut gate = gate_with(log, 344, &calendar).await;
        gate.passes(VALID, Reason::InOrder).await;
        calendar.vouch(ClockQuality::Untrusted);
        for _ in 0..30 {
            calendar.drift(2_000);
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        until_clock(&gate, "held").await;
        // A minute off, and nobody is refused for it.
        gate.passes(VALID_TOO, Reason::InOrder).await;
        gate.refused("expired code", Verdict::Deny, Reason::Expired)
            .await;
        assert_eq!(gate.metric("turnstile_clock_trusted").await, Some(1.0));
        assert_eq!(gate.metric("turnstile_clock_jumps_total").await, Some(0.0));
        gate.stage.lose_backend().await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        gate.until("records are kept", |status| status.backlog > 0)
            .await;
        assert!(gate.records("\"clock\":\"held\"") >= 1, "records say so");
        // The server is back: a correction of a minute is a jump, vouched for in the same moment.
        calendar.drift(-60_000);
        calendar.vouch(ClockQuality::Synchronised);
        until_clock(&gate, "synchronised").await;
        gate.stage.bring_back_backend().await.unwrap();
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}
