//! Groups on as many grants, companions and luggage, and people who come from both sides.

use crate::core::scene::{Scene, flap, green, swing, tripod};
use crate::core::{Below, LaneSettings};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::{Alarm, Event, Mode, Outcome, Prompt, Reason, Sensor, Verdict};

fn group(of: u8) -> LaneSettings {
    LaneSettings {
        group_max: of,
        ..flap()
    }
}

const PASSED: [(Outcome, Option<u64>); 3] = [
    (Outcome::Passed, Some(1)),
    (Outcome::Passed, Some(2)),
    (Outcome::Passed, Some(3)),
];

#[test]
fn three_grants_make_three_passages_and_the_flap_closes_once() {
    let mut scene = Scene::new(group(3));
    for (ms, who) in [(100, 1), (300, 2), (500, 3)] {
        scene.shows(ms, Entry, green(who));
    }
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder); 3]);
    for start in [1_000, 2_500, 4_000] {
        scene.senses(&[
            (start, "#."),
            (start + 400, "##"),
            (start + 700, ".#"),
            (start + 1_000, ".."),
        ]);
    }
    scene.until_ms(20_000);
    assert_eq!(scene.outcomes(), PASSED);
    assert!(scene.alarms(Alarm::Intrusion).is_empty());
    let locks = scene
        .barrier()
        .iter()
        .filter(|(_, what)| *what == 'L')
        .count();
    assert_eq!(locks, 2, "at the start and behind the last");
    assert_eq!(scene.view().state, "locked");
}

#[test]
fn a_group_may_walk_close_together_and_whoever_is_one_too_many_is_tailgating() {
    let mut scene = Scene::new(group(2));
    scene
        .shows(100, Entry, green(1))
        .shows(300, Entry, green(2));
    // Each is at the far beam when the next breaks the near one.
    let close = [
        "#.", "..", ".#", "##", "#.", "..", ".#", "##", "#.", "..", ".#", "..",
    ];
    for (nth, picture) in (0u64..).zip(close) {
        scene.senses(&[(1_000 + nth * 200, picture)]);
    }
    scene.until_ms(20_000);
    let with_grant: Vec<_> = scene
        .outcomes()
        .into_iter()
        .filter(|(_, grant)| grant.is_some())
        .collect();
    assert_eq!(with_grant, PASSED[..2]);
    let without: Vec<_> = scene
        .outcomes()
        .into_iter()
        .filter(|(_, grant)| grant.is_none())
        .collect();
    assert_eq!(without, [(Outcome::Tailgating, None)]);
    assert_eq!(scene.alarms(Alarm::Intrusion).len(), 2);
}

#[test]
fn each_of_a_group_at_a_tripod_gets_a_turn_of_his_own() {
    let mut scene = Scene::new(LaneSettings {
        group_max: 2,
        ..tripod()
    });
    scene
        .shows(100, Entry, green(1))
        .shows(200, Entry, green(2));
    scene.senses(&[(1_000, "#."), (1_600, ".."), (3_000, "#."), (3_600, "..")]);
    scene.until_ms(20_000);
    assert_eq!(scene.outcomes(), PASSED[..2]);
    let barrier = [
        (0, 'L'),
        (105, 'R'),
        (605, 'L'),
        (1_610, 'L'),
        (1_610, 'R'),
        (2_110, 'L'),
        (3_610, 'L'),
    ];
    assert_eq!(scene.barrier(), barrier);
}

#[test]
fn a_grant_of_a_group_that_nobody_uses_is_given_back() {
    let mut scene = Scene::new(group(2));
    scene
        .shows(100, Entry, green(1))
        .shows(300, Entry, green(2));
    scene
        .senses(&[(1_000, "#."), (1_400, ".#"), (2_000, "..")])
        .until_ms(20_000);
    assert_eq!(
        scene.outcomes(),
        [PASSED[0], (Outcome::NoEntryAfterGrant, Some(2))]
    );
    assert_eq!(
        scene.barrier().last(),
        Some(&(7_010, 'L')),
        "he had the time that everybody has"
    );
    scene.shows(20_100, Entry, green(2));
    assert_eq!(
        scene.decisions().last(),
        Some(&(Verdict::Grant, Reason::InOrder))
    );
}

#[test]
fn a_group_has_a_size_and_one_direction() {
    let mut scene = Scene::new(group(2));
    for (ms, who, side) in [
        (100, 1, Entry),
        (300, 2, Entry),
        (500, 3, Entry),
        (700, 4, Exit),
    ] {
        scene.shows(ms, side, green(who));
    }
    let busy = (Verdict::Deny, Reason::LaneBusy);
    assert_eq!(scene.decisions()[2..], [busy, busy]);
}

#[test]
fn a_fire_or_work_on_the_lane_ends_every_grant_of_a_group_once() {
    for event in [
        Event::Fire(true),
        Event::ModeSet(
            crate::core::scene::LANE,
            crate::domain::Wanted::by_staff(Some(Mode::Maintenance)),
        ),
    ] {
        let mut scene = Scene::new(group(3));
        for (ms, who) in [(100, 1), (300, 2), (500, 3)] {
            scene.shows(ms, Entry, green(who));
        }
        scene.at_ms(1_000, event).until_ms(30_000);
        let mut outcomes = scene.outcomes();
        outcomes.sort_by_key(|(_, grant)| *grant);
        let nobody = |n| (Outcome::NoEntryAfterGrant, Some(n));
        assert_eq!(outcomes, [nobody(1), nobody(2), nobody(3)]);
    }
}

#[test]
fn each_of_a_group_hears_his_own_answer() {
    let mut scene = Scene::new(group(2));
    scene
        .shows(100, Entry, green(1))
        .shows(300, Entry, green(2))
        .until_ms(400);
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::Go, Prompt::Go]);
}

/// Somebody passes a swing gate, and half a second behind them something low.
fn with_something_low(below: Below) -> Scene {
    let mut scene = Scene::new(LaneSettings { below, ..swing() });
    let shut = [Sensor::Closed];
    scene
        .feels(50, &shut)
        .shows(100, Entry, green(1))
        .feels(300, &[]);
    scene.feels(600, &[Sensor::Opened]);
    let open = [Sensor::Opened];
    let path = [Sensor::EntryBeam, Sensor::Middle1, Sensor::Middle2];
    scene.walks(1_000, &path, &open);
    scene.feels(1_600, &[Sensor::Opened, Sensor::Presence]);
    scene.feels(2_000, &[Sensor::Opened, Sensor::Presence, Sensor::LowBeam]);
    scene.feels(2_500, &[Sensor::Opened, Sensor::Presence]);
    scene.feels(2_600, &[Sensor::Opened, Sensor::ExitBeam]);
    scene
        .feels(2_900, &open)
        .feels(3_200, &[])
        .feels(4_000, &shut)
        .until_ms(9_000);
    scene
}

#[test]
fn a_child_or_a_bag_below_the_beams_is_what_the_site_says() {
    let passed = (Outcome::Passed, Some(1));
    assert_eq!(with_something_low(Below::Luggage).outcomes(), [passed]);
    let companion = with_something_low(Below::Companion);
    assert_eq!(companion.outcomes(), [(Outcome::Companion, None), passed]);
    assert!(companion.alarms(Alarm::Intrusion).is_empty());
    let tailgating = with_something_low(Below::Tailgating);
    assert_eq!(tailgating.outcomes(), [(Outcome::Tailgating, None), passed]);
    assert_eq!(tailgating.alarms(Alarm::Intrusion).len(), 2);
}

#[test]
fn of_two_who_come_from_both_sides_the_second_goes_next() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1)).shows(102, Exit, green(2));
    scene.senses(&[(1_000, "#."), (1_400, ".#"), (2_000, "..")]);
    // A stream from the entry side does not keep the other waiting.
    scene
        .shows(2_500, Entry, green(3))
        .shows(3_000, Exit, green(2));
    let (grant, busy) = (
        (Verdict::Grant, Reason::InOrder),
        (Verdict::Deny, Reason::LaneBusy),
    );
    assert_eq!(scene.decisions(), [grant, busy, busy, grant]);
    scene.senses(&[(3_500, ".#"), (4_000, "#."), (4_500, "..")]);
    scene.shows(5_000, Entry, green(3));
    assert_eq!(scene.decisions()[4], grant);
}

#[test]
fn whoever_was_told_to_wait_and_went_away_keeps_nobody_waiting() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1)).shows(150, Exit, green(2));
    scene.senses(&[(1_000, "#."), (1_400, ".#"), (2_000, "..")]);
    scene.shows(5_100, Entry, green(3));
    assert_eq!(scene.decisions()[2], (Verdict::Grant, Reason::InOrder));
}

#[test]
fn two_who_meet_in_the_aisle_are_told_apart_and_nobody_is_hit() {
    let mut scene = Scene::new(LaneSettings {
        sensors: vec![
            Sensor::EntryBeam,
            Sensor::Middle1,
            Sensor::Middle2,
            Sensor::ExitBeam,
        ],
        ..flap()
    });
    scene.shows(100, Entry, green(1));
    scene.feels(1_000, &[Sensor::EntryBeam]);
    scene
        .feels(1_200, &[Sensor::EntryBeam, Sensor::ExitBeam])
        .until_ms(1_300);
    assert_eq!(scene.outcomes(), [(Outcome::WrongWay, None)]);
    assert_eq!(scene.signs(Exit).last(), Some(&Prompt::StepBack));
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::Go));
    // The one against the grant goes back, and the rider goes on.
    scene.feels(1_500, &[Sensor::EntryBeam, Sensor::Middle1]);
    scene.feels(1_700, &[Sensor::Middle1, Sensor::Middle2]);
    scene.feels(1_900, &[Sensor::Middle2, Sensor::ExitBeam]);
    scene
        .feels(2_100, &[Sensor::ExitBeam])
        .feels(2_300, &[])
        .until_ms(20_000);
    assert!(
        scene.outcomes().contains(&(Outcome::Passed, Some(1))),
        "{:?}",
        scene.outcomes()
    );
    assert_eq!(scene.view().state, "locked");
}
