//! Bugs that `turnstiled simulate` found, as stories: what went wrong on the way through a seed.

use crate::core::LaneSettings;
use crate::core::scene::{Scene, green, held_tripod, tripod};
use crate::domain::Direction::Entry;
use crate::domain::{Outcome, Reason, Sensor, Verdict};

/// A tripod with the points of 67 and 112 degrees, whose solenoid is pulsed.
fn pointed() -> LaneSettings {
    LaneSettings {
        sensors: held_tripod().sensors,
        ..tripod()
    }
}

const BEGUN: &[Sensor] = &[Sensor::EntryRotor];
const THROUGH: &[Sensor] = &[Sensor::EntryRotor, Sensor::PassPoint];
const RESET: &[Sensor] = &[Sensor::EntryRotor, Sensor::PassPoint, Sensor::ResetPoint];

/// Somebody turns the rotor once.
fn turns(scene: &mut Scene, ms: u64) {
    scene
        .feels(ms, BEGUN)
        .feels(ms + 200, THROUGH)
        .feels(ms + 400, RESET)
        .feels(ms + 600, &[]);
}

#[test]
fn whoever_shows_while_the_rotor_of_the_one_before_turns_home_keeps_their_grant() {
    let mut scene = Scene::new(pointed());
    scene.shows(100, Entry, green(1));
    scene.feels(1_000, BEGUN).feels(1_200, THROUGH);
    // The first is through; the pawl does not hold the next arm yet.
    scene.shows(1_250, Entry, green(2));
    scene.feels(1_400, RESET).feels(1_600, &[]);
    turns(&mut scene, 2_500);
    scene.until_ms(20_000);
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder); 2]);
    assert_eq!(
        scene.outcomes(),
        [(Outcome::Passed, Some(1)), (Outcome::Passed, Some(2))]
    );
}

#[test]
fn nobody_overtakes_a_group_that_waits_for_the_rotor() {
    let mut scene = Scene::new(LaneSettings {
        group_max: 4,
        ..pointed()
    });
    scene
        .shows(100, Entry, green(1))
        .shows(200, Entry, green(2))
        .shows(300, Entry, green(3));
    scene.feels(1_000, BEGUN).feels(1_200, THROUGH);
    scene.shows(1_250, Entry, green(4));
    scene.feels(1_400, RESET).feels(1_600, &[]);
    for ms in [2_500, 4_500, 6_500] {
        turns(&mut scene, ms);
    }
    scene.until_ms(30_000);
    let passed: Vec<_> = (1..=4).map(|n| (Outcome::Passed, Some(n))).collect();
    assert_eq!(scene.outcomes(), passed);
}
