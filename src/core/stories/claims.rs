//! No code twice, at this gate or another; one person behind many codes.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one action out of many"
)]

use std::time::Duration;

use super::super::Passback;
use super::super::scene::{
    BESIDE, LANE, Scene, credential, dynamic, flap, green, person, read, settings, standing,
};
use super::super::settings::Settings;
use crate::domain::{
    Action, Claim, ClaimId, Claimed, Deed, Direction, Elsewhere, Event, Finding, GateId,
    HealthOutcome, Kind, Mode, Mono, Outcome, Reason, StateChange, Verdict, Wanted,
};
use Direction::{Entry, Exit};

const BUDGET: Duration = Duration::from_millis(150);
const HOUR: Duration = Duration::from_secs(3_600);
const REPLAYED: (Verdict, Reason) = (Verdict::Deny, Reason::Replayed);
const PASSBACK: (Verdict, Reason) = (Verdict::Deny, Reason::Passback);
const IN_ORDER: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);

fn station() -> Settings {
    let mut beside = flap();
    beside.name = "beside".into();
    Settings {
        claims: Some(BUDGET),
        passback: None,
        ..settings(vec![flap(), beside])
    }
}

fn wide(soft: bool) -> Settings {
    Settings {
        passback: Some(Passback {
            remember: HOUR,
            soft,
            wide: true,
        }),
        ..station()
    }
}

fn code(n: u8) -> Finding {
    read(dynamic(n), standing(HealthOutcome::Green))
}

/// Somebody whom the backend knows, by a credential of their own.
fn somebody(n: u8, subject: u8) -> Finding {
    let mut standing = standing(HealthOutcome::Green);
    standing.subject = Some(person(subject));
    read(credential(n), standing)
}

fn elsewhere(ms: u64) -> Elsewhere {
    Elsewhere {
        gate: GateId::new("north-2").unwrap(),
        at_ms: super::super::scene::TODAY_S * 1_000 + ms,
    }
}

fn won() -> Claimed {
    Claimed::Won { before: None }
}

impl Scene {
    fn claims(&self) -> Vec<Claim> {
        let claim = |(_, action): &(u64, Action)| match action {
            Action::Claim { claim, .. } => Some(*claim),
            _ => None,
        };
        self.log.iter().filter_map(claim).collect()
    }

    fn taken_back(&self) -> Vec<ClaimId> {
        let id = |(_, action): &(u64, Action)| match action {
            Action::Unclaim(id) => Some(*id),
            _ => None,
        };
        self.log.iter().filter_map(id).collect()
    }

    /// What comes of the last claim.
    fn hears(&mut self, ms: u64, claimed: Claimed) -> &mut Self {
        let id = self.claims().last().unwrap().id;
        self.at_ms(ms, Event::Claimed(id, claimed))
    }

    /// The rider of the last grant walks through the first lane.
    fn walks_in(&mut self, ms: u64) -> &mut Self {
        self.senses(&[
            (ms, "#."),
            (ms + 200, "##"),
            (ms + 400, ".#"),
            (ms + 600, ".."),
        ])
    }
}

#[test]
fn a_code_is_claimed_before_the_barrier_is_released_and_the_wait_is_counted_apart() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1));
    assert_eq!(scene.view().state, "claiming");
    let claim = scene.claims()[0];
    assert_eq!(claim.replay, dynamic(1).replay);
    assert_eq!(claim.person, None, "passback is off");
    let until = Mono::from_millis(250);
    assert!(scene.log.contains(&(100, Action::Claim { claim, until })));
    assert!(scene.barrier().iter().all(|(_, done)| *done != 'R'));
    scene.hears(140, won()).until_ms(200);
    assert_eq!(scene.decisions(), [IN_ORDER]);
    assert_eq!(scene.barrier().last(), Some(&(145, 'R')));
    let decided = scene.log.iter().find_map(|(_, action)| match action {
        Action::Decided(decided) => Some(*decided),
        _ => None,
    });
    let waits = decided.map(|decided| (decided.claim_us, decided.online_us));
    assert_eq!(waits, Some((40_000, 0)));
    assert_eq!(scene.taken_back(), []);
}

#[test]
fn a_printed_code_and_a_gate_without_claims_claim_nothing() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, green(1)).until_ms(200);
    let mut alone = station();
    alone.claims = None;
    let mut without = Scene::with(alone);
    without.shows(100, Entry, code(1)).until_ms(200);
    for scene in [scene, without] {
        assert_eq!(
            (scene.claims(), scene.decisions()),
            (vec![], vec![IN_ORDER])
        );
    }
}

#[test]
fn a_screenshot_that_another_gate_took_is_refused_and_the_record_says_where_and_when() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1));
    scene.hears(130, Claimed::Replayed(elsewhere(50)));
    assert_eq!(scene.decisions(), [REPLAYED]);
    let said = scene.records().into_iter().find_map(|kind| match kind {
        Kind::Decision { elsewhere, .. } => elsewhere,
        _ => None,
    });
    assert_eq!(said, Some(elsewhere(50)));
    let mut way_out = Scene::with(station());
    way_out.shows(100, Exit, code(1));
    way_out.hears(130, Claimed::Replayed(elsewhere(50)));
    let staff = (Verdict::Assist, Reason::Replayed);
    assert_eq!(way_out.decisions(), [staff], "nobody is trapped");
}

#[test]
fn when_nobody_answers_in_150_ms_the_gate_goes_by_what_it_remembers_itself() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1)).until_ms(249);
    assert_eq!(scene.decisions(), []);
    scene.until_ms(300);
    assert_eq!(scene.decisions(), [IN_ORDER]);
    assert_eq!(
        scene.barrier().last(),
        Some(&(255, 'R')),
        "150 ms, and the disk"
    );
    // A late answer changes nothing; the copy is refused at once, without a question.
    scene
        .hears(310, Claimed::Replayed(elsewhere(50)))
        .walks_in(400);
    scene.shows(2_000, Entry, code(1));
    assert_eq!(scene.decisions(), [IN_ORDER, REPLAYED]);
    assert_eq!(scene.claims().len(), 1);
}

#[test]
fn the_lane_beside_refuses_a_copy_even_while_the_first_is_still_being_claimed() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1));
    scene.shows_at(BESIDE, 120, Entry, code(1));
    assert_eq!(scene.decisions(), [REPLAYED]);
    scene.hears(140, won()).until_ms(200);
    assert_eq!(scene.decisions(), [REPLAYED, IN_ORDER]);
    assert_eq!((scene.claims().len(), scene.taken_back()), (1, vec![]));
}

#[test]
fn whoever_did_not_walk_takes_the_claim_back_and_is_served_again() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1)).hears(120, won());
    let first = scene.claims()[0].id;
    scene.until_ms(6_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.taken_back(), [first]);
    scene.shows(7_000, Entry, code(1)).hears(7_010, won());
    scene.until_ms(7_100).walks_in(7_200).until_ms(9_000);
    assert_eq!(scene.decisions(), [IN_ORDER, IN_ORDER]);
    assert_ne!(scene.claims()[1].id, first, "a claim has a name of its own");
    assert_eq!(scene.taken_back(), [first], "this one is kept");
}

#[test]
fn a_grant_that_is_not_recorded_takes_its_claim_back() {
    let mut scene = Scene::with(station());
    scene.journal_ms = None;
    scene.shows(100, Entry, code(1)).hears(120, won());
    scene.until_ms(1_000);
    assert_eq!(
        scene.decisions(),
        [IN_ORDER, (Verdict::Assist, Reason::JournalStalled)]
    );
    assert_eq!(scene.taken_back(), [scene.claims()[0].id]);
}

#[test]
fn a_lane_that_stops_serving_takes_its_claim_back() {
    for mode in [Mode::Closed, Mode::Free] {
        let mut scene = Scene::with(station());
        scene.shows(100, Entry, code(1));
        scene.at_ms(120, Event::ModeSet(LANE, Wanted::by_staff(Some(mode))));
        scene.hears(130, won()).until_ms(400);
        assert_eq!(scene.taken_back(), [scene.claims()[0].id]);
        assert!(!scene.decisions().contains(&IN_ORDER), "{mode:?}");
    }
}

#[test]
fn a_person_who_went_in_at_another_gate_of_the_area_is_refused_whatever_they_show() {
    let mut scene = Scene::with(wide(false));
    scene.shows(100, Entry, somebody(1, 9));
    let person_part = scene.claims()[0].person.unwrap();
    assert_eq!(
        (person_part.enforced, person_part.known_here),
        (true, false)
    );
    assert_eq!(person_part.remember_s, 3_600);
    scene.hears(120, Claimed::PassedBack(elsewhere(0)));
    // Another code of the same person: the same key.
    scene.shows(1_000, Entry, somebody(2, 9));
    assert_eq!(scene.claims()[1].person, Some(person_part));
    scene.hears(1_010, Claimed::PassedBack(elsewhere(0)));
    assert_eq!(scene.decisions(), [PASSBACK, PASSBACK]);
}

#[test]
fn whoever_left_at_another_gate_since_may_come_in_here_again() {
    let mut scene = Scene::with(wide(false));
    scene.shows(100, Entry, somebody(1, 9)).hears(120, won());
    scene.until_ms(200).walks_in(300);
    let before = |ms| Claimed::Won {
        before: Some((Exit, elsewhere(ms))),
    };
    // The backend has seen them go out since: it knows better than this gate.
    scene.shows(60_000, Entry, somebody(1, 9));
    assert_eq!(
        scene.claims()[1].person.map(|who| who.known_here),
        Some(true)
    );
    scene.hears(60_010, before(50_000)).until_ms(60_100);
    assert_eq!(scene.decisions(), [IN_ORDER, IN_ORDER]);
    scene.walks_in(60_200).until_ms(62_000);
    // What the backend saw before that says nothing.
    scene
        .shows(70_000, Entry, somebody(1, 9))
        .hears(70_010, before(50_000));
    assert_eq!(scene.decisions().last(), Some(&PASSBACK));
    assert_eq!(scene.taken_back(), [scene.claims()[2].id]);
    // And while nobody answers, what this gate remembers counts.
    scene.shows(80_000, Entry, somebody(1, 9)).until_ms(80_200);
    assert_eq!(scene.decisions().last(), Some(&PASSBACK));
}

#[test]
fn soft_passback_lets_through_and_the_record_says_so() {
    let mut scene = Scene::with(wide(true));
    let again = Claimed::Won {
        before: Some((Entry, elsewhere(0))),
    };
    scene.shows(100, Entry, somebody(1, 9));
    assert_eq!(
        scene.claims()[0].person.map(|who| who.enforced),
        Some(false)
    );
    scene.hears(120, again).until_ms(200);
    let passed = (Verdict::Grant, Reason::Passback);
    assert_eq!(scene.decisions(), [passed]);
    let mut local = Scene::with(Settings {
        passback: Some(Passback {
            remember: HOUR,
            soft: true,
            wide: false,
        }),
        ..settings(vec![flap()])
    });
    local
        .shows(100, Entry, somebody(1, 9))
        .until_ms(150)
        .walks_in(200);
    local.shows(2_000, Entry, somebody(1, 9)).until_ms(2_100);
    assert_eq!(local.decisions(), [IN_ORDER, passed]);
}

#[test]
fn staff_forgive_the_last_refusal_of_a_lane_once_and_are_recorded() {
    let forgive = Deed::Forgive { direction: Entry };
    let mut scene = Scene::with(Settings {
        passback: Some(Passback {
            remember: HOUR,
            soft: false,
            wide: false,
        }),
        ..settings(vec![flap()])
    });
    let may = |scene: &Scene, ms| {
        let now = super::super::scene::now(ms, false);
        scene.gate.may_forgive(LANE, Entry, now)
    };
    scene
        .shows(100, Entry, somebody(1, 9))
        .until_ms(200)
        .walks_in(300);
    assert!(!may(&scene, 1_000), "nobody was refused");
    scene.shows(2_000, Entry, somebody(1, 9));
    assert_eq!(scene.decisions(), [IN_ORDER, PASSBACK]);
    assert!(may(&scene, 2_100) && !may(&scene, 700_000));
    scene.at_ms(3_000, Event::Staffed(1_000, Some(LANE), forgive));
    assert!(!may(&scene, 3_000), "once");
    let staffed = Kind::Staff {
        uid: 1_000,
        deed: forgive,
    };
    assert!(scene.records().contains(&staffed));
    assert!(
        scene
            .changes()
            .iter()
            .any(|change| matches!(change, StateChange::PassedBack { before: None, .. }))
    );
    // Whoever else has gone through is not forgiven.
    scene
        .shows(4_000, Entry, somebody(2, 8))
        .until_ms(4_100)
        .walks_in(4_200);
    scene.shows(6_000, Entry, somebody(2, 8));
    assert_eq!(scene.decisions().last(), Some(&PASSBACK));
    scene
        .shows(7_000, Entry, somebody(1, 9))
        .until_ms(7_100)
        .walks_in(7_200);
    assert_eq!(scene.decisions().last(), Some(&IN_ORDER));
    scene.shows(9_000, Entry, somebody(1, 9));
    assert_eq!(
        scene.decisions().last(),
        Some(&PASSBACK),
        "and then it was that"
    );
}

#[test]
fn whoever_is_forgiven_and_does_not_walk_stays_forgiven_and_the_backend_is_told_so() {
    let mut scene = Scene::with(wide(false));
    scene.shows(100, Entry, somebody(1, 9));
    scene.hears(120, Claimed::PassedBack(elsewhere(0)));
    let forgive = Deed::Forgive { direction: Entry };
    scene.at_ms(1_000, Event::Staffed(1_000, Some(LANE), forgive));
    let again = || Claimed::Won {
        before: Some((Entry, elsewhere(0))),
    };
    for (ms, nth) in [(2_000, 1), (10_000, 2)] {
        scene.shows(ms, Entry, somebody(1, 9));
        assert_eq!(
            scene.claims()[nth].person.map(|who| who.enforced),
            Some(false)
        );
        scene.hears(ms + 10, again()).until_ms(ms + 6_000);
        assert_eq!(scene.decisions().last(), Some(&IN_ORDER));
    }
    assert_eq!(scene.taken_back().len(), 2);
}

#[test]
fn a_card_and_a_code_of_one_person_at_two_lanes_at_once_let_one_through() {
    let mut scene = Scene::with(wide(false));
    scene.shows(100, Entry, somebody(1, 9));
    let first = scene.claims()[0].id;
    scene.shows_at(BESIDE, 110, Entry, somebody(2, 9));
    let second = scene.claims()[1];
    assert_eq!(second.person.map(|who| who.known_here), Some(true));
    scene.at_ms(120, Event::Claimed(first, won())).until_ms(300);
    assert_eq!(scene.decisions(), [IN_ORDER, PASSBACK]);
    assert_eq!(scene.taken_back(), [second.id]);
}

#[test]
fn what_was_used_here_is_known_after_a_restart_and_is_not_even_claimed() {
    let mut scene = Scene::with(station());
    scene.shows(100, Entry, code(1)).hears(110, won());
    scene.until_ms(200).walks_in(300);
    let seen = scene.changes().into_iter().find_map(|change| match change {
        StateChange::Seen { key, until } => Some((key, until)),
        _ => None,
    });
    let restored = crate::domain::Restored {
        boot: 8,
        seen: seen.into_iter().collect(),
        ..crate::domain::Restored::default()
    };
    let mut next = Scene::restored(station(), restored);
    next.shows(2_000, Entry, code(1));
    assert_eq!((next.decisions(), next.claims()), (vec![REPLAYED], vec![]));
}
