//! A tripod has no limit switches: its relay is known by the turns that it frees, and by those that it does not.

use crate::core::LaneSettings;
use crate::core::scene::{Scene, green, held_tripod, tripod};
use crate::domain::Direction::Entry;
use crate::domain::{Alarm, Outcome, Reason, Sensor, Verdict};

fn turns(scene: &mut Scene, ms: u64) {
    scene.senses(&[
        (ms, "#."),
        (ms + 200, "##"),
        (ms + 400, ".#"),
        (ms + 600, ".."),
    ]);
}

/// Somebody shows a code, and pushes in vain.
fn fails(scene: &mut Scene, ms: u64, who: u8) {
    scene.shows(ms, Entry, green(who)).until_ms(ms + 6_000);
}

#[test]
fn a_dead_relay_of_a_tripod_is_found_when_three_releases_in_a_row_free_no_turn() {
    let mut scene = Scene::new(tripod());
    fails(&mut scene, 1_000, 1);
    fails(&mut scene, 11_000, 2);
    assert_eq!(scene.alarms(Alarm::BarrierFault), []);
    fails(&mut scene, 21_000, 3);
    let raised: Vec<_> = scene.alarms(Alarm::BarrierFault);
    assert_eq!(raised.iter().map(|(_, on)| *on).collect::<Vec<_>>(), [true]);
    // It is left alone for a moment, and tried again: it may have been repaired.
    scene.shows(27_500, Entry, green(4));
    assert_eq!(
        scene.decisions().last(),
        Some(&(Verdict::Deny, Reason::OutOfService))
    );
    scene.shows(31_000, Entry, green(4));
    turns(&mut scene, 32_000);
    scene.until_ms(40_000);
    assert_eq!(scene.outcomes().last(), Some(&(Outcome::Passed, Some(4))));
    let raised = scene.alarms(Alarm::BarrierFault);
    assert_eq!(
        raised.iter().map(|(_, on)| *on).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn two_who_do_not_come_are_no_dead_relay() {
    let mut scene = Scene::new(tripod());
    for (nth, who) in (0..9u8).enumerate() {
        let ms = 1_000 + 10_000 * nth as u64;
        scene.shows(ms, Entry, green(who));
        if nth % 3 == 2 {
            turns(&mut scene, ms + 1_000);
        }
        scene.until_ms(ms + 9_000);
    }
    assert_eq!(scene.alarms(Alarm::BarrierFault), []);
}

#[test]
fn a_welded_relay_of_a_tripod_is_found_when_it_turns_three_times_though_it_is_locked() {
    for lane in [tripod(), held_tripod()] {
        let points = lane.sensors.contains(&Sensor::PassPoint);
        let mut scene = Scene::new(lane);
        let through = |scene: &mut Scene, ms| {
            if points {
                scene
                    .feels(ms, &[Sensor::EntryRotor])
                    .feels(ms + 200, &[Sensor::EntryRotor, Sensor::PassPoint])
                    .feels(ms + 600, &[]);
            } else {
                turns(scene, ms);
            }
        };
        for ms in [1_000, 11_000] {
            through(&mut scene, ms);
        }
        scene.until_ms(20_000);
        assert_eq!(scene.alarms(Alarm::BarrierFault), []);
        through(&mut scene, 21_000);
        scene.until_ms(30_000);
        let raised = scene.alarms(Alarm::BarrierFault);
        assert_eq!(raised.iter().map(|(_, on)| *on).collect::<Vec<_>>(), [true]);
        // It locks again: two riders follow each other, and nobody turns between them.
        for (who, ms) in [(1, 31_000), (2, 41_000)] {
            scene.shows(ms, Entry, green(who));
            through(&mut scene, ms + 1_000);
        }
        scene.until_ms(50_000);
        let raised = scene.alarms(Alarm::BarrierFault);
        assert_eq!(
            raised.iter().map(|(_, on)| *on).collect::<Vec<_>>(),
            [true, false]
        );
    }
}

#[test]
fn a_child_that_rattles_at_a_locked_rotor_with_points_accuses_no_relay() {
    let mut scene = Scene::new(LaneSettings {
        sensors: held_tripod().sensors,
        ..tripod()
    });
    for ms in [1_000, 3_000, 5_000, 7_000] {
        scene.feels(ms, &[Sensor::EntryRotor]).feels(ms + 200, &[]);
    }
    scene.until_ms(20_000);
    assert_eq!(scene.alarms(Alarm::BarrierFault), []);
}
