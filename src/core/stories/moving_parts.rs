//! Every kind of barrier on its way, and what its feedback says when it does not do what it is told.

use std::time::Duration;

use crate::core::Barrier;
use crate::core::scene::{
    LANE, Scene, each_kind, flap, full_height, green, held_tripod, swing, tripod,
};
use crate::core::{Drive, LaneSettings};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::Sensor::{
    Closed, EntryBeam, EntryRotor, ExitBeam, ExitRotor, Middle1, Middle2, Opened, PassPoint,
    ResetPoint,
};
use crate::domain::{Alarm, Event, Outcome, Prompt, Reason, Sensor, Verdict};

const GRANT: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);
const PASSED: (Outcome, Option<u64>) = (Outcome::Passed, Some(1));
const NOBODY: (Outcome, Option<u64>) = (Outcome::NoEntryAfterGrant, Some(1));

#[test]
fn a_held_solenoid_falls_once_the_rider_is_past_67_degrees() {
    let mut scene = Scene::new(held_tripod());
    scene
        .shows(100, Entry, green(1))
        .feels(1_000, &[EntryRotor]);
    scene
        .feels(1_400, &[EntryRotor, PassPoint])
        .feels(1_600, &[EntryRotor, PassPoint, ResetPoint]);
    scene.feels(1_800, &[]).until_ms(9_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (1_410, 'L')]);
    assert_eq!(scene.outcomes(), [PASSED]);
}

#[test]
fn a_rider_who_steps_back_before_67_degrees_keeps_his_passage() {
    for drive in [Drive::Hold, Drive::Pulse(Duration::from_millis(500))] {
        let mut scene = Scene::new(LaneSettings {
            barrier: Barrier::Tripod { drive },
            ..held_tripod()
        });
        scene
            .shows(100, Entry, green(1))
            .feels(1_000, &[EntryRotor])
            .feels(1_500, &[])
            .until_ms(2_000);
        assert_eq!(scene.outcomes(), [NOBODY], "{drive:?}");
        assert_eq!(scene.barrier().last(), Some(&(1_510, 'L')));
        scene.shows(2_000, Entry, green(1));
        assert_eq!(scene.decisions(), [GRANT; 2]);
    }
}

#[test]
fn past_112_degrees_the_next_is_served_before_the_rotor_is_home() {
    let mut scene = Scene::new(held_tripod());
    scene
        .shows(100, Entry, green(1))
        .feels(1_000, &[EntryRotor]);
    scene
        .feels(1_400, &[EntryRotor, PassPoint])
        .shows(1_450, Exit, green(2));
    scene
        .feels(1_600, &[EntryRotor, PassPoint, ResetPoint])
        .shows(1_650, Exit, green(2));
    assert_eq!(
        scene.decisions(),
        [GRANT, (Verdict::Deny, Reason::LaneBusy), GRANT]
    );
    scene
        .feels(1_800, &[])
        .feels(2_400, &[ExitRotor])
        .feels(2_800, &[ExitRotor, PassPoint]);
    scene
        .feels(3_000, &[ExitRotor, ResetPoint])
        .feels(3_200, &[])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [PASSED, (Outcome::Passed, Some(2))]);
}

#[test]
fn a_locked_rotor_that_rattles_is_nothing_and_one_that_is_forced_is_an_alarm() {
    let mut scene = Scene::new(held_tripod());
    for n in 0..20u64 {
        scene
            .feels(1_000 + n * 200, &[EntryRotor])
            .feels(1_100 + n * 200, &[]);
    }
    assert!(scene.outcomes().is_empty());
    scene
        .feels(6_000, &[EntryRotor])
        .feels(6_200, &[EntryRotor, PassPoint])
        .feels(6_800, &[]);
    scene.until_ms(20_000);
    assert_eq!(scene.outcomes(), [(Outcome::Forced, None)]);
    assert_eq!(
        scene.alarms(Alarm::Intrusion),
        [(6_210, true), (7_810, false)]
    );
}

#[test]
fn a_point_of_the_rotor_that_is_closed_at_home_contradicts_it() {
    let mut scene = Scene::new(held_tripod());
    scene.feels(1_000, &[PassPoint]).until_ms(1_500);
    assert!(scene.suspects().is_empty());
    scene.until_ms(3_000);
    assert_eq!(scene.suspects(), [(PassPoint, true)]);
    assert_eq!(scene.alarms(Alarm::SensorFault), [(1_510, true)]);
    scene.feels(4_000, &[]).until_ms(5_000);
    assert_eq!(scene.suspects(), [(PassPoint, true), (PassPoint, false)]);
    assert_eq!(
        scene.alarms(Alarm::SensorFault).last(),
        Some(&(4_010, false))
    );
}

#[test]
fn a_solenoid_rests_when_it_has_been_powered_for_its_share() {
    let mut scene = Scene::new(LaneSettings {
        duty_percent: 5,
        ..tripod()
    });
    for n in 0..12u64 {
        let (ms, who) = (100 + n * 1_500, u8::try_from(n).unwrap());
        scene
            .shows(ms, Entry, green(who))
            .senses(&[(ms + 600, "#."), (ms + 1_000, "..")]);
    }
    let granted = scene
        .decisions()
        .iter()
        .filter(|decided| **decided == GRANT)
        .count();
    assert!(
        (6..=8).contains(&granted),
        "{granted} of 12, by a share of three seconds a minute"
    );
    assert!(
        scene
            .decisions()
            .contains(&(Verdict::Deny, Reason::LaneBusy))
    );
    // It has cooled down.
    scene.shows(60_000, Entry, green(99));
    assert_eq!(scene.decisions().last(), Some(&GRANT));
}

/// A leaf that moves as it should: the limit switches around the passage of one rider.
fn passes(lane: LaneSettings) -> Scene {
    let beams: Vec<_> = Sensor::BEAMS
        .into_iter()
        .filter(|beam| lane.sensors.contains(beam))
        .collect();
    let ends = lane.sensors.contains(&Closed);
    let fitted = |of: &[Sensor]| if ends { of.to_vec() } else { Vec::new() };
    let mut scene = Scene::new(lane);
    scene
        .feels(50, &fitted(&[Closed]))
        .shows(100, Entry, green(1));
    scene.feels(300, &[]).feels(900, &fitted(&[Opened]));
    scene.walks(1_000, &beams, &fitted(&[Opened]));
    scene
        .feels(3_000, &[])
        .feels(3_500, &fitted(&[Closed]))
        .until_ms(20_000);
    scene
}

#[test]
fn a_rider_passes_every_kind_of_leaf_and_nothing_is_found_wrong() {
    for lane in each_kind()
        .into_iter()
        .filter(|lane| !lane.barrier.is_tripod())
    {
        let name = lane.name.clone();
        let scene = passes(lane);
        assert_eq!(scene.outcomes(), [PASSED], "{name}");
        let moved: String = scene.barrier().iter().map(|(_, what)| *what).collect();
        assert_eq!(moved, "LRL", "{name}");
        for alarm in [
            Alarm::Intrusion,
            Alarm::HeldOpen,
            Alarm::BarrierFault,
            Alarm::SensorFault,
        ] {
            assert!(scene.alarms(alarm).is_empty(), "{name} {alarm:?}");
        }
    }
}

#[test]
fn a_dead_relay_shows_in_a_leaf_that_stays_shut_and_the_grant_is_given_back() {
    let mut scene = Scene::new(full_height());
    scene
        .feels(50, &[Closed])
        .shows(100, Entry, green(1))
        .until_ms(3_000);
    assert_eq!(
        scene.outcomes(),
        [NOBODY],
        "it did not move in the time that it may take"
    );
    assert_eq!(scene.alarms(Alarm::BarrierFault), [(2_105, true)]);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::OutOfService));
    scene
        .shows(3_000, Entry, green(1))
        .shows(3_100, Exit, green(2));
    let refused = [
        (Verdict::Deny, Reason::OutOfService),
        (Verdict::Assist, Reason::OutOfService),
    ];
    assert_eq!(
        scene.decisions()[1..],
        refused,
        "whoever wants out gets staff"
    );
}

#[test]
fn a_welded_relay_shows_in_a_leaf_that_stays_open() {
    let mut scene = Scene::new(swing());
    scene
        .feels(50, &[Closed])
        .shows(100, Entry, green(1))
        .feels(600, &[Opened]);
    scene
        .walks(1_000, &[EntryBeam, Middle1, Middle2, ExitBeam], &[Opened])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [PASSED]);
    assert_eq!(
        scene.alarms(Alarm::BarrierFault),
        [(3_810, true)],
        "two seconds after the lock"
    );
    scene.shows(9_000, Entry, green(2));
    assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::OutOfService));
    scene
        .feels(10_000, &[])
        .feels(10_500, &[Closed])
        .until_ms(11_000);
    assert_eq!(
        scene.alarms(Alarm::BarrierFault).last(),
        Some(&(10_010, false))
    );
    scene.shows(12_000, Entry, green(2));
    assert_eq!(scene.decisions()[2], GRANT);
}

#[test]
fn a_leaf_that_somebody_holds_is_held_open_until_it_is_shut() {
    let mut scene = Scene::new(swing());
    scene
        .feels(50, &[Closed])
        .shows(100, Entry, green(1))
        .feels(600, &[Opened]);
    scene
        .walks(1_000, &[EntryBeam, Middle1, Middle2, ExitBeam], &[Opened])
        .feels(2_500, &[]);
    scene.until_ms(9_000);
    assert_eq!(scene.outcomes(), [PASSED, (Outcome::HeldOpen, None)]);
    assert_eq!(scene.alarms(Alarm::HeldOpen), [(3_810, true)]);
    scene.feels(9_500, &[Closed]).until_ms(10_000);
    assert_eq!(scene.alarms(Alarm::HeldOpen).last(), Some(&(9_510, false)));
}

#[test]
fn a_leaf_that_is_pushed_open_is_forced() {
    let mut scene = Scene::new(full_height());
    scene.feels(50, &[Closed]).feels(5_000, &[]).until_ms(5_500);
    assert_eq!(scene.outcomes(), [(Outcome::Forced, None)]);
    assert_eq!(scene.alarms(Alarm::Intrusion), [(5_010, true)]);
    scene.feels(6_000, &[Closed]).until_ms(20_000);
    assert_eq!(scene.alarms(Alarm::Intrusion).len(), 2);
    assert_eq!(scene.outcomes().len(), 1);
}

#[test]
fn a_leaf_that_is_open_and_shut_at_once_is_a_fault_of_its_switches() {
    let mut scene = Scene::new(full_height());
    scene
        .feels(50, &[Closed])
        .feels(1_000, &[Opened, Closed])
        .until_ms(2_000);
    assert_eq!(scene.suspects(), [(Opened, true), (Closed, true)]);
    scene.feels(3_000, &[Closed]).until_ms(4_000);
    assert_eq!(
        scene.alarms(Alarm::SensorFault),
        [(1_010, true), (3_010, false)]
    );
}

#[test]
fn a_relay_that_never_pulls_in_is_left_alone_longer_each_time() {
    let mut scene = Scene::new(flap());
    let (mut now, mut rests) = (1_000, Vec::new());
    for who in 0..5 {
        scene
            .shows(now, Entry, green(who))
            .at_ms(now + 300, Event::BarrierWorks(LANE, false));
        // Locked, its relay is where it should be.
        scene.at_ms(now + 400, Event::BarrierWorks(LANE, true));
        let failed = now + 300;
        now = failed + 500;
        while scene.signs(Entry).last() == Some(&Prompt::OutOfService) || now == failed + 500 {
            now += 500;
            scene.until_ms(now);
        }
        rests.push((now - failed) / 1_000);
    }
    assert_eq!(rests, [3, 6, 12, 24, 48]);
    assert_eq!(scene.decisions(), [GRANT; 5]);
    // Once it has moved for somebody, it is as good as before.
    scene.shows(now, Entry, green(9)).senses(&[
        (now + 500, "#."),
        (now + 900, ".#"),
        (now + 1_500, ".."),
    ]);
    scene
        .shows(now + 3_000, Entry, green(10))
        .at_ms(now + 3_300, Event::BarrierWorks(LANE, false));
    scene
        .at_ms(now + 3_400, Event::BarrierWorks(LANE, true))
        .until_ms(now + 6_400);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::Idle));
}

#[test]
fn the_end_of_the_daemon_lets_a_rider_out_and_takes_back_what_nobody_used() {
    for lane in each_kind() {
        let is_tripod = lane.barrier.is_tripod();
        let mut scene = Scene::new(lane);
        scene
            .feels(50, &[])
            .shows(100, Entry, green(1))
            .at_ms(500, Event::Stopping)
            .until_ms(600);
        assert_eq!(scene.outcomes(), [NOBODY]);
        assert!(scene.gate.is_at_rest());
        scene.shows(700, Entry, green(2));
        assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::OutOfService));

        let rider = if is_tripod { EntryRotor } else { EntryBeam };
        let mut scene = Scene::new(scene.settings.lanes[0].clone());
        scene
            .feels(50, &[])
            .shows(100, Entry, green(1))
            .feels(400, &[rider]);
        scene.at_ms(500, Event::Stopping).until_ms(9_000);
        assert!(!scene.gate.is_at_rest(), "somebody is on the way");
        let locks = scene
            .barrier()
            .into_iter()
            .filter(|(ms, what)| *ms > 400 && *what == 'L');
        assert!(is_tripod || locks.count() == 0, "never on a body");
    }
}
