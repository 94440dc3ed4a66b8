//! What the sensors make of a grant, and of nobody's.

use crate::core::scene::{LANE, Scene, all, flap, grant, green, settings, tripod};
use crate::domain::Direction::{self, Entry, Exit};
use crate::domain::{Alarm, Event, Outcome, Prompt, Reason, Restored, Rule, StateChange, Verdict};

const WALK_IN: [(u64, &str); 4] = [(1_000, "#."), (1_400, "##"), (1_700, ".#"), (2_000, "..")];

#[test]
fn a_rider_passes_a_flap_which_closes_when_the_aisle_is_clear() {
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .senses(&WALK_IN)
        .until_ms(9_000);
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder)]);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (2_010, 'L')]);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::Go, Prompt::Idle]);
    assert_eq!(scene.signs(Exit), [Prompt::Idle]);
    assert!(scene.alarms(Alarm::Intrusion).is_empty());
}

#[test]
fn a_rider_passes_a_tripod_whose_solenoid_is_pulsed() {
    let mut scene = Scene::new(tripod());
    scene.shows(100, Entry, green(1));
    scene
        .senses(&[(3_000, "#."), (3_600, "..")])
        .until_ms(9_000);
    assert_eq!(
        scene.barrier(),
        [(0, 'L'), (105, 'R'), (605, 'L'), (3_610, 'L')]
    );
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
}

#[test]
fn a_quick_rider_ends_the_pulse_so_that_nobody_turns_on_it_behind_him() {
    let mut scene = Scene::new(tripod());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(150, "#."), (400, "..")]);
    assert_eq!(
        scene.until_ms(450).barrier(),
        [(0, 'L'), (105, 'R'), (410, 'L')]
    );
    scene.senses(&[(500, "#."), (900, "..")]);
    assert_eq!(
        scene.until_ms(9_000).outcomes(),
        [(Outcome::Passed, Some(1)), (Outcome::Intrusion, None)]
    );
}

#[test]
fn a_rider_who_does_not_come_gets_the_passage_back() {
    for lane in [flap(), tripod()] {
        let mut scene = Scene::new(lane);
        scene.shows(100, Entry, green(1)).until_ms(5_104);
        assert_eq!(scene.outcomes(), []);
        scene.until_ms(5_105);
        assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
        assert_eq!(scene.barrier().last(), Some(&(5_105, 'L')));
        let last = scene.changes().pop();
        assert!(matches!(
            last,
            Some(StateChange::PassedBack { before: None, .. })
        ));
        scene.shows(5_200, Entry, green(1));
        assert_eq!(scene.decisions()[1], (Verdict::Grant, Reason::InOrder));
    }
}

#[test]
fn a_rider_in_the_beam_at_the_last_moment_is_waited_for() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    scene
        .senses(&[(5_100, "#."), (5_107, "#."), (5_500, ".#"), (6_000, "..")])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
}

#[test]
fn a_rider_who_turns_back_is_not_charged_and_the_flap_waits_until_he_is_out() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(1_000, "#."), (1_300, "##"), (1_600, "#."), (2_000, "..")]);
    scene.until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (2_010, 'L')]);
}

#[test]
fn a_flap_does_not_close_on_somebody_unseen_between_the_beams() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(4_000, "#."), (4_400, ".."), (8_000, ".#"), (8_500, "..")]);
    scene.until_ms(9_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (8_510, 'L')]);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
}

#[test]
fn a_follower_on_the_same_grant_raises_the_alarm_and_does_not_trap_the_rider() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(1_000, "#."), (1_300, ".."), (1_500, ".#"), (1_700, "##")]);
    scene.senses(&[(2_000, "#."), (2_300, ".."), (2_500, ".#"), (2_900, "..")]);
    scene.until_ms(9_000);
    assert_eq!(
        scene.outcomes(),
        [(Outcome::Tailgating, None), (Outcome::Passed, Some(1))]
    );
    assert_eq!(
        scene.alarms(Alarm::Intrusion),
        [(1_710, true), (3_910, false)]
    );
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (2_910, 'L')]);
}

#[test]
fn a_follower_who_steps_in_as_the_rider_leaves_is_tailgating() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(1_000, "#."), (1_300, ".."), (1_500, ".#"), (1_700, "#.")]);
    scene
        .senses(&[(2_000, ".#"), (2_300, "..")])
        .until_ms(9_000);
    assert_eq!(
        scene.outcomes(),
        [(Outcome::Passed, Some(1)), (Outcome::Tailgating, None)]
    );
}

#[test]
fn somebody_against_the_grant_is_told_to_step_back_and_the_rider_still_goes() {
    for lane in [flap(), tripod()] {
        let mut scene = Scene::new(lane);
        scene.shows(100, Entry, green(1));
        scene
            .senses(&[(1_000, ".#"), (1_400, "..")])
            .until_ms(1_500);
        assert_eq!(scene.outcomes(), [(Outcome::WrongWay, None)]);
        assert_eq!(scene.signs(Exit), [Prompt::Idle, Prompt::StepBack]);
        assert_eq!(scene.alarms(Alarm::Intrusion), [(1_010, true)]);
        scene.until_ms(20_000);
        assert_eq!(scene.outcomes()[1], (Outcome::NoEntryAfterGrant, Some(1)));
        assert_eq!(scene.view().state, "locked");
    }
    let mut scene = Scene::new(tripod());
    scene.shows(100, Entry, green(1));
    scene.senses(&[(1_000, ".#"), (1_400, ".."), (2_000, "#."), (2_500, "..")]);
    assert_eq!(
        scene.until_ms(3_000).outcomes()[1],
        (Outcome::Passed, Some(1))
    );
}

#[test]
fn somebody_without_a_grant_meets_a_locked_flap_and_an_alarm() {
    let mut scene = Scene::new(flap());
    scene
        .senses(&[(1_000, "#."), (1_500, "##"), (2_000, "..")])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::Intrusion, None)]);
    assert_eq!(scene.barrier(), [(0, 'L')]);
    assert_eq!(
        scene.signs(Entry),
        [Prompt::Idle, Prompt::StepBack, Prompt::Idle]
    );
    assert_eq!(
        scene.alarms(Alarm::Intrusion),
        [(1_010, true), (3_010, false)]
    );
}

#[test]
fn a_flickering_beam_is_one_intrusion_and_does_not_fill_the_journal() {
    let mut scene = Scene::new(flap());
    for n in 0..1_000u64 {
        scene.senses(&[(1_000 + n * 40, "#."), (1_020 + n * 40, "..")]);
    }
    scene.until_ms(60_000);
    assert_eq!(scene.outcomes(), [(Outcome::Intrusion, None)]);
    assert_eq!(scene.view().state, "locked");
}

#[test]
fn a_turn_without_a_grant_is_an_intrusion() {
    let mut scene = Scene::new(tripod());
    scene
        .senses(&[(1_000, "#."), (1_500, "..")])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::Intrusion, None)]);
}

#[test]
fn walking_on_while_the_own_code_is_decided_is_no_intrusion() {
    let mut scene = Scene::new(flap());
    scene.journal_ms = Some(200);
    scene.shows(100, Entry, green(1));
    scene
        .senses(&[(150, "#."), (600, ".#"), (900, "..")])
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    assert!(scene.alarms(Alarm::Intrusion).is_empty());
}

#[test]
fn whoever_stepped_in_too_early_may_still_show_a_code() {
    let mut scene = Scene::new(flap());
    scene.senses(&[(1_000, "#.")]).shows(2_000, Entry, green(1));
    scene
        .senses(&[(2_500, ".#"), (3_000, "..")])
        .until_ms(9_000);
    assert_eq!(
        scene.outcomes(),
        [(Outcome::Intrusion, None), (Outcome::Passed, Some(1))]
    );
    assert_eq!(
        scene.alarms(Alarm::Intrusion),
        [(1_010, true), (2_005, false)]
    );
}

#[test]
fn nobody_is_granted_the_way_against_somebody_in_the_aisle() {
    let mut scene = Scene::new(flap());
    scene.senses(&[(1_000, ".#")]).shows(1_100, Entry, green(1));
    assert_eq!(scene.decisions(), [(Verdict::Deny, Reason::LaneBusy)]);
}

#[test]
fn a_stuck_beam_becomes_an_obstruction_that_ends_when_it_clears() {
    let mut scene = Scene::new(flap());
    scene.senses(&[(1_000, ".#")]);
    for n in 0..60u64 {
        scene.senses(&[(1_000 + n * 250, ".#")]);
    }
    assert_eq!(scene.alarms(Alarm::Obstruction), [(11_010, true)]);
    assert_eq!(scene.outcomes()[1], (Outcome::Obstruction, None));
    scene.shows(16_000, Entry, green(1));
    assert_eq!(scene.decisions(), [(Verdict::Deny, Reason::OutOfService)]);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::OutOfService));
    scene.senses(&[(17_000, "..")]).until_ms(20_000);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::Idle));
    assert_eq!(
        scene.alarms(Alarm::Obstruction).last(),
        Some(&(17_010, false))
    );
    scene.shows(20_000, Entry, green(1));
    assert_eq!(scene.decisions()[1], (Verdict::Grant, Reason::InOrder));
}

#[test]
fn a_stuck_beam_keeps_nobody_from_leaving() {
    let mut scene = Scene::new(flap());
    scene.senses(&[(1_000, "#.")]).shows(15_000, Exit, green(1));
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder)]);
    scene.senses(&[(16_000, "##"), (17_000, "#."), (40_000, "#.")]);
    assert_eq!(
        scene.barrier(),
        [(0, 'L'), (15_005, 'R')],
        "it stays open while a beam is broken"
    );
    scene.senses(&[(41_000, "..")]).until_ms(50_000);
    assert_eq!(scene.view().state, "locked");
    assert_eq!(
        scene
            .outcomes()
            .iter()
            .filter(|(_, grant)| grant.is_some())
            .count(),
        1
    );
}

#[test]
fn a_rider_who_stands_in_the_flap_is_obstructed_and_never_hit() {
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .senses(&[(1_000, "##"), (30_000, "##")]);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R')]);
    assert_eq!(scene.alarms(Alarm::Obstruction), [(11_010, true)]);
    scene
        .senses(&[(31_000, ".#"), (31_500, "..")])
        .until_ms(40_000);
    assert_eq!(scene.outcomes().last(), Some(&(Outcome::Passed, Some(1))));
    assert_eq!(scene.barrier().last(), Some(&(31_510, 'L')));
}

#[test]
fn a_lost_edge_heals_with_the_next_repeated_level() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Entry, green(1));
    // The edge of the near beam is lost: the rider is first seen in both.
    scene.senses(&[(1_000, "##"), (1_250, "##"), (1_500, ".."), (1_750, "..")]);
    scene.until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    assert_eq!(scene.view().state, "locked");
}

#[test]
fn one_at_a_time_and_the_second_is_neither_recorded_nor_queued() {
    let mut scene = Scene::with(super::super::settings::Settings {
        entry: all(Rule::Open),
        ..settings(vec![flap()])
    });
    scene.shows(100, Entry, green(1));
    let records = scene.records().len();
    scene.shows(102, Exit, green(2)).shows(200, Entry, green(3));
    assert_eq!(
        scene.decisions()[1..],
        [(Verdict::Deny, Reason::LaneBusy); 2]
    );
    assert_eq!(scene.records().len(), records);
    scene.senses(&WALK_IN).until_ms(30_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    assert_eq!(scene.barrier().len(), 3, "nothing is opened later");
    assert_eq!(
        scene.signs(Entry),
        [Prompt::Idle, Prompt::Go, Prompt::OneAtATime, Prompt::Idle]
    );
}

/// Power is back, and the journal has a grant that was on its way.
fn after_a_cut(rider: Option<Direction>) -> Scene {
    let grant = rider.map(|way| (Some("north".into()), way, grant(5)));
    let restored = Restored {
        boot: 8,
        open_grants: grant.into_iter().collect(),
        ..Restored::default()
    };
    Scene::unsensed(settings(vec![flap()]), restored)
}

#[test]
fn power_that_comes_back_does_not_close_a_flap_on_somebody_in_it() {
    let mut scene = after_a_cut(Some(Entry));
    scene
        .senses(&[(20, "##"), (4_000, "##"), (20_000, ".#")])
        .until_ms(20_900);
    assert_eq!(scene.barrier(), [], "it stays as it was found");
    scene.senses(&[(21_000, "..")]).until_ms(30_000);
    // Whoever was granted may still stand between the beams, so it waits a little longer.
    assert_eq!(scene.barrier(), [(26_010, 'L')]);
    assert_eq!(
        scene.outcomes(),
        [
            (Outcome::UnknownAfterRestart, Some(5)),
            (Outcome::Obstruction, None),
            (Outcome::PassedUncontrolled, None)
        ]
    );
    assert!(scene.alarms(Alarm::Intrusion).is_empty());
    scene.shows(30_000, Entry, green(1));
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder)]);
}

#[test]
fn power_that_comes_back_waits_for_a_rider_whom_no_beam_sees() {
    let mut scene = after_a_cut(Some(Entry));
    scene.senses(&[(20, ".."), (2_000, ".#"), (2_500, "..")]);
    scene.until_ms(9_000);
    assert_eq!(scene.barrier(), [(2_510, 'L')]);

    // Nobody comes: it locks when a rider who stood there would have gone.
    let mut scene = after_a_cut(Some(Entry));
    scene.senses(&[(20, "..")]).until_ms(9_000);
    assert_eq!(scene.barrier(), [(5_000, 'L')]);

    let mut scene = after_a_cut(None);
    scene.senses(&[(20, "..")]).until_ms(9_000);
    assert_eq!(scene.barrier(), [(20, 'L')], "nobody was on the way");
}

#[test]
fn lines_that_were_away_lock_nothing_until_the_aisle_is_seen_clear() {
    let mut scene = Scene::new(flap());
    scene.at_ms(1_000, Event::LinesLost(LANE));
    assert_eq!(scene.view().state, "unsensed");
    scene.senses(&[(3_000, "#."), (3_500, ".#")]);
    assert_eq!(scene.barrier(), [(0, 'L')]);
    scene.senses(&[(4_000, "..")]).until_ms(9_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (4_010, 'L')]);
    assert_eq!(scene.outcomes(), [(Outcome::PassedUncontrolled, None)]);

    // A rider who is waited for when the lines go is not locked out by the time that is up.
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .at_ms(1_000, Event::LinesLost(LANE))
        .until_ms(20_000);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R')]);
    scene.senses(&[(20_000, "..")]);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (20_000, 'L')]);
}
