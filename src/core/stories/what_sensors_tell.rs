//! What sensors say of bodies: followers near and far, somebody who crawls, somebody who waits inside, and sensors that
//! say what cannot be.

use crate::core::LaneSettings;
use crate::core::scene::{LANE, Scene, flap, green, swing};
use crate::domain::Direction::Entry;
use crate::domain::Sensor::{
    Closed, EntryBeam, ExitBeam, LowBeam, Middle1, Middle2, Opened, Presence,
};
use crate::domain::{Alarm, Event, Mode, Outcome, Prompt, Reason, Sensor, Verdict, Wanted};

const PATH: [Sensor; 4] = [EntryBeam, Middle1, Middle2, ExitBeam];
const PASSED: (Outcome, Option<u64>) = (Outcome::Passed, Some(1));

/// A flap with four beams and whatever else, without limit switches.
fn wide(more: &[Sensor]) -> LaneSettings {
    LaneSettings {
        sensors: PATH.iter().chain(more).copied().collect(),
        ..flap()
    }
}

#[test]
fn a_follower_farther_behind_than_the_gap_is_tailgating_only_if_he_walks_through() {
    let behind = |then: &[(u64, &str)]| {
        let mut scene = Scene::new(flap());
        scene.shows(100, Entry, green(1));
        // He steps in 1.6 s behind the rider, who takes his time at the far beam.
        scene.senses(&[
            (1_000, "#."),
            (1_300, ".."),
            (2_500, ".#"),
            (2_900, "##"),
            (3_300, "#."),
        ]);
        scene.senses(then).until_ms(20_000);
        scene
    };
    let turns_back = behind(&[(3_800, "..")]);
    assert_eq!(turns_back.outcomes(), [PASSED]);
    assert!(turns_back.alarms(Alarm::Intrusion).is_empty());
    let walks_on = behind(&[(3_800, ".."), (4_000, ".#"), (4_500, "..")]);
    assert_eq!(walks_on.outcomes(), [PASSED, (Outcome::Tailgating, None)]);
}

#[test]
fn with_more_beams_a_follower_is_seen_as_soon_as_one_is_clear_between() {
    let mut scene = Scene::new(wide(&[]));
    scene
        .shows(100, Entry, green(1))
        .feels(1_000, &[EntryBeam])
        .feels(1_300, &[EntryBeam, Middle1]);
    scene
        .feels(1_600, &[Middle1, Middle2])
        .feels(1_800, &[EntryBeam, Middle2])
        .until_ms(1_900);
    assert_eq!(scene.outcomes(), [(Outcome::Tailgating, None)]);
    assert_eq!(scene.alarms(Alarm::Intrusion), [(1_810, true)]);
    scene
        .feels(2_000, &[Middle1, ExitBeam])
        .feels(2_300, &[Middle2])
        .feels(2_600, &[ExitBeam]);
    scene.feels(2_900, &[]).until_ms(9_000);
    assert_eq!(scene.outcomes()[1], PASSED);
    assert_eq!(
        scene.barrier().last(),
        Some(&(2_910, 'L')),
        "behind the last of them"
    );
}

#[test]
fn somebody_between_the_beams_is_seen_by_those_in_the_middle_however_long_he_stands() {
    let mut scene = Scene::new(wide(&[]));
    scene
        .shows(100, Entry, green(1))
        .feels(1_000, &[EntryBeam])
        .feels(1_300, &[Middle1]);
    scene.until_ms(60_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R')]);
    assert_eq!(scene.alarms(Alarm::Obstruction), [(11_010, true)]);
    scene
        .feels(61_000, &[Middle2])
        .feels(61_500, &[ExitBeam])
        .feels(62_000, &[])
        .until_ms(70_000);
    assert_eq!(scene.outcomes(), [(Outcome::Obstruction, None), PASSED]);
}

#[test]
fn a_sensor_of_presence_knows_whoever_stands_where_no_beam_sees_him() {
    let lane = LaneSettings {
        sensors: vec![EntryBeam, ExitBeam, Presence],
        ..flap()
    };
    let mut scene = Scene::new(lane);
    scene
        .shows(100, Entry, green(1))
        .feels(1_000, &[EntryBeam, Presence]);
    for n in 0..60u64 {
        scene.feels(1_300 + n * 500, &[Presence]);
    }
    assert_eq!(
        scene.barrier(),
        [(0, 'L'), (105, 'R')],
        "six times as long as it is released"
    );
    assert!(
        !scene
            .outcomes()
            .contains(&(Outcome::NoEntryAfterGrant, Some(1)))
    );
    // He goes back, and it is known at once.
    scene
        .feels(32_000, &[EntryBeam, Presence])
        .feels(32_400, &[])
        .until_ms(40_000);
    assert_eq!(
        scene.outcomes().last(),
        Some(&(Outcome::NoEntryAfterGrant, Some(1)))
    );
    assert_eq!(scene.barrier().last(), Some(&(32_910, 'L')));
}

#[test]
fn somebody_who_waits_inside_is_found_and_nothing_closes_on_him() {
    let mut scene = Scene::new(wide(&[Presence]));
    scene
        .at_ms(
            100,
            Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Free))),
        )
        .feels(1_000, &[Presence]);
    scene
        .at_ms(
            1_500,
            Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Normal))),
        )
        .feels(9_000, &[Presence]);
    assert!(
        scene
            .barrier()
            .iter()
            .all(|(ms, what)| *ms == 0 || *what != 'L')
    );
    scene.until_ms(12_500);
    assert_eq!(
        scene.alarms(Alarm::Obstruction).len(),
        1,
        "staff are called to him"
    );
    scene.feels(13_000, &[]).until_ms(20_000);
    assert_eq!(scene.view().state, "locked");

    // Behind a locked barrier it is an intrusion.
    let mut scene = Scene::new(wide(&[Presence]));
    scene.feels(1_000, &[Presence]).until_ms(3_000);
    assert_eq!(scene.outcomes(), [(Outcome::Intrusion, None)]);
    assert_eq!(scene.alarms(Alarm::Intrusion), [(2_010, true)]);
}

#[test]
fn somebody_who_crawls_under_a_locked_barrier_is_an_intrusion() {
    let mut scene = Scene::new(wide(&[LowBeam]));
    scene.feels(1_000, &[LowBeam]).until_ms(1_309);
    assert!(scene.outcomes().is_empty());
    scene.until_ms(1_310);
    assert_eq!(scene.outcomes(), [(Outcome::Intrusion, None)]);
    assert_eq!(scene.alarms(Alarm::Intrusion), [(1_310, true)]);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::StepBack));
    scene.feels(3_000, &[]).until_ms(9_000);
    assert_eq!(scene.alarms(Alarm::Intrusion).last(), Some(&(4_010, false)));
}

#[test]
fn a_leaf_does_not_close_on_a_child_below_the_beams() {
    let mut scene = Scene::new(wide(&[LowBeam]));
    scene.shows(100, Entry, green(1)).walks(1_000, &PATH, &[]);
    scene.feels(1_805, &[LowBeam]).until_ms(8_000);
    assert_eq!(scene.outcomes(), [PASSED]);
    assert!(!scene.barrier().contains(&(1_810, 'L')));
    scene.feels(8_000, &[]).until_ms(9_000);
    assert_eq!(scene.barrier().last(), Some(&(8_010, 'L')));
}

#[test]
fn a_beam_that_sees_nobody_is_found_out_by_those_who_walk_past_it() {
    let mut scene = Scene::new(wide(&[]));
    let blind = [EntryBeam, Middle2, ExitBeam];
    for n in 0..6u64 {
        let (ms, who) = (1_000 + n * 9_000, u8::try_from(n).unwrap());
        scene.shows(ms, Entry, green(who)).walks(
            ms + 500,
            if n == 0 { &PATH } else { &blind },
            &[],
        );
    }
    scene.until_ms(70_000);
    assert_eq!(scene.suspects(), [(Middle1, true)]);
    assert_eq!(scene.alarms(Alarm::SensorFault).len(), 1);
    let passed = scene
        .outcomes()
        .into_iter()
        .filter(|(outcome, _)| *outcome == Outcome::Passed);
    assert_eq!(passed.count(), 6, "everybody was let through all the same");
    scene
        .shows(70_100, Entry, green(9))
        .walks(70_500, &PATH, &[])
        .until_ms(80_000);
    assert_eq!(scene.suspects(), [(Middle1, true), (Middle1, false)]);
    assert_eq!(scene.alarms(Alarm::SensorFault).len(), 2);
}

#[test]
fn a_beam_that_always_sees_somebody_is_found_out_and_traps_nobody() {
    let mut scene = Scene::new(wide(&[]));
    scene.feels(1_000, &[Middle1]).until_ms(12_000);
    assert_eq!(scene.alarms(Alarm::Obstruction).len(), 1);
    for n in 0..6u64 {
        let (ms, who) = (13_000 + n * 8_000, u8::try_from(n).unwrap());
        scene.shows(ms, crate::domain::Direction::Exit, green(who));
        assert_eq!(
            scene.decisions().last().map(|(verdict, _)| *verdict),
            Some(Verdict::Grant)
        );
        scene.walks(ms + 500, &[ExitBeam, Middle2, EntryBeam], &[Middle1]);
    }
    assert_eq!(scene.suspects(), [(Middle1, true)]);
    scene.shows(70_000, Entry, green(9));
    assert_eq!(
        scene.decisions().last(),
        Some(&(Verdict::Deny, Reason::OutOfService))
    );
}

#[test]
fn a_flicker_shorter_than_the_debounce_time_is_nobody() {
    for lane in [wide(&[Presence, LowBeam]), swing()] {
        let ends: Vec<_> = lane
            .sensors
            .iter()
            .copied()
            .filter(|of| *of == Closed)
            .collect();
        let mut scene = Scene::new(lane);
        scene.feels(500, &ends);
        for (n, sensor) in (0u64..).zip([EntryBeam, Middle1, ExitBeam, LowBeam, Presence, Opened]) {
            let active = [&ends[..], &[sensor]].concat();
            scene
                .feels(1_000 + n * 100, &active)
                .feels(1_008 + n * 100, &ends);
        }
        scene.until_ms(9_000);
        assert!(scene.outcomes().is_empty() && scene.suspects().is_empty());
    }
}
