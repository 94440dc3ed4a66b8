//! Fire wins over everything; modes say whom a lane serves.

use crate::core::LaneSettings;
use crate::core::scene::{
    LANE, Scene, credential, flap, grant, green, read, settings, standing, tripod,
};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::{
    Alarm, Event, HealthOutcome, Kind, Mode, Outcome, Prompt, Reason, Restored, Source,
    StateChange, Verdict, Wanted,
};

#[test]
fn a_fire_releases_every_lane_until_a_person_resets_it() {
    let mut scene = Scene::with(settings(vec![flap(), tripod()]));
    scene
        .at_ms(100, Event::Fire(true))
        .at_ms(200, Event::Fire(true));
    assert_eq!(scene.barrier(), [(0, 'L'), (100, 'B')]);
    assert_eq!(scene.signs(Exit), [Prompt::Idle, Prompt::EmergencyExit]);
    assert_eq!(scene.alarms(Alarm::Fire), [(100, true)]);
    assert_eq!(scene.changes(), [StateChange::FireLatched(true)]);

    scene.at_ms(300, Event::FireReset);
    assert!(scene.view().fire, "not while the loop still says fire");
    scene.at_ms(400, Event::Fire(false)).until_ms(60_000);
    assert_eq!(
        scene.barrier(),
        [(0, 'L'), (100, 'B')],
        "a quiet loop locks nothing"
    );
    scene.at_ms(60_000, Event::FireReset).until_ms(60_100);
    assert_eq!(scene.barrier(), [(0, 'L'), (100, 'B'), (60_000, 'L')]);
    assert_eq!(scene.alarms(Alarm::Fire), [(100, true), (60_000, false)]);
    assert_eq!(scene.changes()[1], StateChange::FireLatched(false));
    assert_eq!(scene.signs(Exit).last(), Some(&Prompt::Idle));
}

#[test]
fn a_fire_survives_a_restart() {
    let restored = Restored {
        fire_latched: true,
        ..Restored::default()
    };
    let scene = Scene::restored(settings(vec![flap(), tripod()]), restored);
    assert_eq!(scene.barrier(), [(0, 'B')]);
    assert!(scene.view().fire);
    assert_eq!(scene.signs(Entry), [Prompt::EmergencyExit]);
}

#[test]
fn the_end_of_a_fire_never_closes_on_a_body() {
    let mut scene = Scene::new(flap());
    scene
        .at_ms(100, Event::Fire(true))
        .at_ms(200, Event::Fire(false));
    scene
        .senses(&[(300, ".#")])
        .at_ms(400, Event::FireReset)
        .until_ms(5_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (100, 'B')]);
    assert_eq!(scene.view().state, "closing");
    scene
        .senses(&[(6_000, "#."), (7_000, "..")])
        .until_ms(9_000);
    assert_eq!(scene.barrier().last(), Some(&(7_010, 'L')));
    assert_eq!(scene.outcomes(), [(Outcome::PassedUncontrolled, None)]);
}

#[test]
fn in_a_fire_people_are_counted_and_nothing_is_decided() {
    for lane in [flap(), tripod()] {
        let mut scene = Scene::new(lane);
        scene
            .at_ms(100, Event::Fire(true))
            .shows(200, Entry, green(1));
        for n in 1..4u64 {
            scene.senses(&[(n * 1_000, ".#"), (n * 1_000 + 300, "##")]);
            scene.senses(&[(n * 1_000 + 600, "#."), (n * 1_000 + 900, "..")]);
        }
        // Where everybody may walk, a crowd that does not end is no obstruction.
        scene.senses(&[(10_000, ".#"), (40_000, ".#")]);
        assert_eq!(scene.outcomes(), [(Outcome::PassedUncontrolled, None); 3]);
        assert!(scene.decisions().is_empty());
        assert!(scene.alarms(Alarm::Obstruction).is_empty());
    }
}

#[test]
fn a_flickering_contact_in_a_fire_does_not_fill_the_journal() {
    let mut scene = Scene::new(tripod());
    scene.at_ms(100, Event::Fire(true));
    for n in 0..500u64 {
        scene.senses(&[(1_000 + n * 40, "#."), (1_020 + n * 40, "..")]);
    }
    assert!(scene.outcomes().len() <= 81, "four a second at most");
}

#[test]
fn a_fire_ends_an_open_grant_exactly_once() {
    // Granted, nobody there yet.
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .at_ms(500, Event::Fire(true))
        .until_ms(60_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);

    // Already walking.
    for lane in [flap(), tripod()] {
        let mut scene = Scene::new(lane);
        scene
            .shows(100, Entry, green(1))
            .senses(&[(500, "#.")])
            .at_ms(600, Event::Fire(true));
        scene.senses(&[(700, ".#"), (1_000, "..")]).until_ms(60_000);
        assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    }

    // On its way to the disk.
    let mut scene = Scene::new(flap());
    scene.journal_ms = None;
    scene
        .shows(100, Entry, green(1))
        .at_ms(150, Event::Fire(true));
    scene.at_ms(200, Event::Durable(grant(1))).until_ms(60_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L'), (150, 'B')]);

    // Still being asked about.
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Entry,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    scene
        .at_ms(150, Event::Fire(true))
        .answers(200, Ok(standing(HealthOutcome::Green)));
    scene.until_ms(60_000);
    assert!(scene.outcomes().is_empty() && scene.decisions().is_empty());
}

#[test]
fn each_mode_serves_whom_it_says() {
    let open = (Verdict::Grant, Reason::InOrder);
    let shut = (Verdict::Deny, Reason::LaneClosed);
    let staff = (Verdict::Assist, Reason::LaneClosed);
    for (mode, entry, exit) in [
        (Mode::Normal, open, open),
        (Mode::Closed, shut, open),
        (Mode::EntryOnly, open, staff),
        (Mode::ExitOnly, shut, open),
        (Mode::Maintenance, shut, staff),
    ] {
        for (side, wanted) in [(Entry, entry), (Exit, exit)] {
            let mut scene = Scene::new(LaneSettings { mode, ..flap() });
            scene.shows(100, side, green(1)).until_ms(1_000);
            assert_eq!(scene.decisions(), [wanted], "{mode:?} {side}");
        }
    }
}

#[test]
fn a_lane_for_one_direction_does_not_serve_the_other() {
    let scene = &mut Scene::new(LaneSettings {
        directions: vec![Entry],
        ..flap()
    });
    scene.shows(100, Exit, green(1));
    assert_eq!(scene.decisions(), [(Verdict::Assist, Reason::LaneClosed)]);
    assert_eq!(scene.signs(Exit)[0], Prompt::LaneClosed);
}

#[test]
fn free_mode_holds_the_lane_open_and_counts_and_ends_when_the_aisle_is_clear() {
    let mut scene = Scene::new(LaneSettings {
        mode: Mode::Free,
        ..flap()
    });
    assert_eq!(scene.signs(Entry), [Prompt::Go]);
    scene.senses(&[(1_000, "#."), (1_500, ".#"), (2_000, ".."), (3_000, "#.")]);
    scene.at_ms(
        3_500,
        Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Normal))),
    );
    assert_eq!(scene.barrier(), [(0, 'B')]);
    scene
        .senses(&[(4_000, ".#"), (4_500, "..")])
        .until_ms(6_000);
    assert_eq!(scene.barrier(), [(0, 'B'), (4_510, 'L')]);
    assert_eq!(scene.outcomes(), [(Outcome::PassedUncontrolled, None); 2]);
    assert_eq!(scene.signs(Entry), [Prompt::Go, Prompt::Idle]);
}

#[test]
fn a_fire_in_free_mode_leaves_the_lane_open_after_the_reset() {
    let mut scene = Scene::new(LaneSettings {
        mode: Mode::Free,
        ..tripod()
    });
    scene
        .at_ms(100, Event::Fire(true))
        .at_ms(200, Event::Fire(false));
    scene.at_ms(300, Event::FireReset).until_ms(9_000);
    assert_eq!(scene.view().state, "open");
    assert!(scene.barrier().iter().all(|(_, what)| *what == 'B'));
}

#[test]
fn a_mode_set_in_a_fire_counts_when_the_fire_is_over() {
    let mut scene = Scene::new(flap());
    scene.at_ms(100, Event::Fire(true)).at_ms(
        200,
        Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Maintenance))),
    );
    assert_eq!(scene.view().state, "open");
    scene
        .at_ms(300, Event::Fire(false))
        .at_ms(400, Event::FireReset);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::OutOfService));
    assert_eq!(scene.view().state, "locked");
}

#[test]
fn maintenance_takes_back_a_grant_that_nobody_has_used_but_lets_a_rider_out() {
    let set = Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Maintenance)));
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1)).at_ms(500, set.clone());
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.view().state, "locked");

    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .senses(&[(400, "#.")])
        .at_ms(500, set.clone());
    scene.senses(&[(900, ".#"), (1_200, "..")]).until_ms(2_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);

    let mut scene = Scene::new(flap());
    scene.journal_ms = None;
    scene
        .shows(100, Entry, green(1))
        .at_ms(150, set)
        .at_ms(160, Event::Durable(grant(1)));
    assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::LaneClosed));
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L')]);
}

#[test]
fn a_mode_is_recorded_once() {
    let mut scene = Scene::new(flap());
    for ms in [100, 200] {
        scene.at_ms(
            ms,
            Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Closed))),
        );
    }
    let modes = scene
        .records()
        .into_iter()
        .filter(|kind| matches!(kind, Kind::Mode { .. }));
    assert_eq!(
        modes.collect::<Vec<_>>(),
        [Kind::Mode {
            mode: Mode::Closed,
            source: Source::Staff,
        }]
    );
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::LaneClosed]);
    assert_eq!(scene.signs(Exit), [Prompt::Idle]);
}
