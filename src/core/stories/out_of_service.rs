//! What a lane does while something of it does not work.

use crate::core::scene::{BESIDE, LANE, Scene, flap, grant, green, settings, tripod};
use crate::domain::{
    Alarm, Direction, Event, Mode, Outcome, Prompt, Reason, Service, Verdict, Wanted,
};

use Direction::{Entry, Exit};

#[test]
fn a_sign_invites_only_what_can_be_read() {
    let mut scene = Scene::new(flap());
    let readers = [
        (100, Service::CardsOnly),
        (200, Service::None),
        (300, Service::CodesOnly),
        (400, Service::CodesOnly),
        (500, Service::Full),
    ];
    for (ms, service) in readers {
        scene.at_ms(ms, Event::Readers(LANE, Entry, service));
    }
    let shown = [
        Prompt::Idle,
        Prompt::UseCard,
        Prompt::OutOfService,
        Prompt::UseCode,
        Prompt::Idle,
    ];
    assert_eq!(scene.signs(Entry), shown);
    assert_eq!(scene.signs(Exit), [Prompt::Idle], "the other side works");
}

#[test]
fn a_reader_that_goes_while_somebody_is_served_takes_nothing_from_them() {
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .at_ms(200, Event::Readers(LANE, Entry, Service::None));
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::Go));
    scene.senses(&[(400, "#."), (900, ".#"), (1_200, "..")]);
    scene.until_ms(2_000);
    assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::OutOfService));
}

#[test]
fn a_lane_that_is_closed_says_so_whatever_its_readers_do() {
    let mut scene = Scene::new(flap());
    scene
        .at_ms(
            100,
            Event::ModeSet(LANE, Wanted::by_staff(Some(Mode::Closed))),
        )
        .at_ms(200, Event::Readers(LANE, Entry, Service::CardsOnly));
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::LaneClosed));
}

#[test]
fn nobody_is_told_to_go_before_a_barrier_that_cannot_be_moved() {
    let mut scene = Scene::with(settings(vec![flap(), tripod()]));
    scene
        .at_ms(100, Event::BarrierWorks(LANE, false))
        .shows(200, Entry, green(1))
        .shows(300, Exit, green(2))
        .shows_at(BESIDE, 400, Entry, green(3));
    let decided = [
        (Verdict::Deny, Reason::OutOfService),
        (Verdict::Assist, Reason::OutOfService),
        (Verdict::Grant, Reason::InOrder),
    ];
    assert_eq!(scene.decisions(), decided, "the lane beside serves");
    assert_eq!(
        scene.alarms(Alarm::Assist),
        [(300, true)],
        "staff for whoever wants out"
    );
    assert_eq!(scene.barrier(), [(0, 'L')]);
    scene
        .at_ms(9_000, Event::BarrierWorks(LANE, true))
        .shows(9_100, Entry, green(1));
    assert_eq!(scene.decisions()[3], (Verdict::Grant, Reason::InOrder));
}

#[test]
fn a_grant_is_taken_back_when_the_barrier_fails_and_opens_for_nobody_later() {
    let fails = Event::BarrierWorks(LANE, false);
    let works = Event::BarrierWorks(LANE, true);
    let mut scene = Scene::new(flap());
    scene
        .shows(100, Entry, green(1))
        .at_ms(500, fails.clone())
        .at_ms(600, works.clone())
        .until_ms(4_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L'), (105, 'R'), (500, 'L')]);
    // Nothing is held against the rider.
    scene.shows(5_000, Entry, green(1));
    assert_eq!(scene.decisions()[1], (Verdict::Grant, Reason::InOrder));

    let mut scene = Scene::new(flap());
    scene.journal_ms = None;
    scene
        .shows(100, Entry, green(1))
        .at_ms(150, fails)
        .at_ms(160, Event::Durable(grant(1)))
        .at_ms(200, works)
        .until_ms(4_000);
    assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::OutOfService));
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L')]);
}

#[test]
fn a_fire_is_shown_and_wanted_even_while_the_barrier_does_not_obey() {
    let mut scene = Scene::new(flap());
    scene
        .at_ms(100, Event::BarrierWorks(LANE, false))
        .at_ms(200, Event::Fire(true));
    assert_eq!(scene.signs(Entry).last(), Some(&Prompt::EmergencyExit));
    assert_eq!(scene.barrier().last(), Some(&(200, 'B')));
}

#[test]
fn a_rotor_contact_that_sticks_lets_one_after_the_other_leave() {
    let mut scene = Scene::new(tripod());
    scene.senses(&[(1_000, ".#")]).until_ms(12_000);
    assert_eq!(scene.alarms(Alarm::Obstruction), [(11_010, true)]);
    for (ms, who) in [(12_000, 1), (18_000, 2), (24_000, 3)] {
        scene.shows(ms, Exit, green(who)).until_ms(ms + 5_900);
    }
    assert_eq!(
        scene.decisions(),
        [(Verdict::Grant, Reason::InOrder); 3],
        "nobody is trapped"
    );
    scene.shows(30_000, Entry, green(4));
    assert_eq!(scene.decisions()[3], (Verdict::Deny, Reason::OutOfService));
    assert_eq!(scene.signs(Exit).last(), Some(&Prompt::Idle));
}
