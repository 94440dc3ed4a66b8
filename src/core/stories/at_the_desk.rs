//! What is decided, and what is remembered of it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one action out of many"
)]

use std::time::Duration;

use crate::core::scene::{
    BESIDE, LANE, Scene, TODAY_S, credential, dynamic, flap, green, person, read, settings,
    standing, tripod,
};
use crate::core::{LaneSettings, Settings};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::{
    Action, Alarm, Assessed, Credential, Event, Finding, HealthOutcome, Kind, Medium, Mono, Prompt,
    Reason, Standing, Utc, Verdict,
};

fn yesterday() -> Credential {
    Credential {
        valid_until: Some(Utc::from_secs(TODAY_S - 1)),
        ..credential(1)
    }
}

fn tomorrow() -> Credential {
    Credential {
        valid_from: Some(Utc::from_secs(TODAY_S + 86_400)),
        ..credential(1)
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_refusal_on_entry_has_its_reason_and_its_prompt_and_is_recorded() {
    let health = |health| read(credential(1), standing(health));
    for (finding, verdict, reason, prompt) in [
        (
            health(HealthOutcome::Red),
            Verdict::Deny,
            Reason::RedCode,
            Prompt::Hold,
        ),
        (
            health(HealthOutcome::Yellow),
            Verdict::Assist,
            Reason::YellowCode,
            Prompt::SeeStaff,
        ),
        (
            health(HealthOutcome::NotApplied),
            Verdict::Deny,
            Reason::NotApplied,
            Prompt::NotRecognised,
        ),
        (
            read(yesterday(), standing(HealthOutcome::Green)),
            Verdict::Deny,
            Reason::Expired,
            Prompt::CodeExpired,
        ),
        (
            read(tomorrow(), standing(HealthOutcome::Green)),
            Verdict::Deny,
            Reason::NotYetActive,
            Prompt::CodeNotYetValid,
        ),
        (
            Finding::Refused {
                reason: Reason::UnknownIssuer,
                issuer: None,
            },
            Verdict::Deny,
            Reason::UnknownIssuer,
            Prompt::NotRecognised,
        ),
        (
            Finding::Refused {
                reason: Reason::CardNotAuthentic,
                issuer: None,
            },
            Verdict::Assist,
            Reason::CardNotAuthentic,
            Prompt::SeeStaff,
        ),
        (
            read(
                credential(1),
                Standing {
                    entitlements: 2,
                    ..standing(HealthOutcome::Green)
                },
            ),
            Verdict::Deny,
            Reason::NoAccessRights,
            Prompt::Hold,
        ),
    ] {
        let mut scene = Scene::new(flap());
        scene.shows(100, Entry, finding).until_ms(40_000);
        assert_eq!(scene.decisions(), [(verdict, reason)]);
        assert_eq!(scene.signs(Entry), [Prompt::Idle, prompt, Prompt::Idle]);
        assert_eq!(scene.barrier(), [(0, 'L')]);
        assert!(matches!(
            scene.records().last(),
            Some(Kind::Decision { grant: None, .. })
        ));
        let called = scene.alarms(Alarm::Assist);
        let wanted: &[_] = if verdict == Verdict::Assist {
            &[(100, true), (30_100, false)]
        } else {
            &[]
        };
        assert_eq!(called, wanted, "{reason:?}");
    }
}

#[test]
fn nobody_is_trapped_every_refusal_on_exit_calls_staff() {
    for finding in [
        read(yesterday(), standing(HealthOutcome::Green)),
        read(tomorrow(), standing(HealthOutcome::Green)),
        Finding::Refused {
            reason: Reason::Malformed,
            issuer: None,
        },
        Finding::Refused {
            reason: Reason::VerificationFailed,
            issuer: None,
        },
        read(
            credential(1),
            Standing {
                entitlements: 0,
                ..standing(HealthOutcome::Green)
            },
        ),
    ] {
        let mut scene = Scene::new(flap());
        scene.shows(100, Exit, finding).until_ms(200);
        assert_eq!(scene.decisions()[0].0, Verdict::Assist);
        assert_eq!(scene.alarms(Alarm::Assist), [(100, true)]);
    }
}

#[test]
fn a_red_code_opens_the_exit_and_the_record_says_that_it_was_not_in_order() {
    let mut scene = Scene::new(flap());
    scene.shows(100, Exit, read(credential(1), standing(HealthOutcome::Red)));
    assert_eq!(
        scene.decisions(),
        [(Verdict::Grant, Reason::ExitAlwaysOpen)]
    );
}

#[test]
fn a_cache_miss_is_asked_online_and_the_answer_decides() {
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Entry,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    assert_eq!(scene.view().state, "asking");
    let asked = Action::AskOnline {
        number: 1,
        until: Mono::from_millis(900),
    };
    assert!(scene.log.contains(&(100, asked)));
    scene
        .answers(400, Ok(standing(HealthOutcome::Green)))
        .until_ms(500);
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::Wait, Prompt::Go]);
    let decided = scene.log.iter().find_map(|(_, action)| match action {
        Action::Decided(decided) => Some(*decided),
        _ => None,
    });
    assert_eq!(
        decided.map(|d| (d.verdict, d.online_us)),
        Some((Verdict::Grant, 300_000))
    );
}

#[test]
fn an_answer_says_nothing_of_the_ride_that_the_code_proves_by_itself_and_the_two_are_joined() {
    // The backend knows the health alone, the signed code the ride alone; the gate wants both.
    let signed = |entitlements| {
        let itself = Standing {
            entitlements,
            ..standing(HealthOutcome::Unknown)
        };
        read(credential(1), itself)
    };
    let answer = Standing {
        entitlements: 0,
        ..standing(HealthOutcome::Green)
    };
    for (proves, verdict) in [
        (1, (Verdict::Grant, Reason::InOrder)),
        (0, (Verdict::Deny, Reason::NoAccessRights)),
    ] {
        let mut scene = Scene::new(flap());
        scene
            .shows(100, Entry, signed(proves))
            .answers(400, Ok(answer.clone()));
        assert_eq!(scene.decisions(), [verdict], "{proves}");
    }
}

#[test]
fn without_an_answer_in_time_the_rule_for_that_decides_and_a_late_answer_opens_nothing() {
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Entry,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    scene
        .answers(901, Ok(standing(HealthOutcome::Green)))
        .until_ms(9_000);
    assert_eq!(
        scene.decisions(),
        [(Verdict::Assist, Reason::VerificationTimeout)]
    );
    assert_eq!(scene.barrier(), [(0, 'L')]);
}

#[test]
fn no_answer_is_never_taken_for_a_colour() {
    for (answer, reason) in [
        (Err(HealthOutcome::QueryFailed), Reason::QueryFailed),
        (Err(HealthOutcome::Green), Reason::QueryFailed),
        (
            Ok(standing(HealthOutcome::Unknown)),
            Reason::UnknownCredential,
        ),
    ] {
        let mut scene = Scene::new(flap());
        scene.shows(
            100,
            Entry,
            read(credential(1), standing(HealthOutcome::Unknown)),
        );
        scene.answers(200, answer).until_ms(2_000);
        assert_eq!(scene.decisions()[0].1, reason);
        assert_eq!(scene.barrier(), [(0, 'L')]);
    }
}

#[test]
fn an_answer_to_another_presentation_is_not_used() {
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Entry,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    let answer = Ok(standing(HealthOutcome::Green));
    scene.at_ms(200, Event::Answered { number: 99, answer });
    assert_eq!(scene.view().state, "asking");
}

#[test]
fn nobody_waits_for_a_network_on_the_way_out() {
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Exit,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    assert_eq!(
        scene.decisions(),
        [(Verdict::Grant, Reason::ExitAlwaysOpen)]
    );
}

#[test]
fn where_online_is_off_a_cache_miss_follows_its_rule() {
    let mut scene = Scene::with(Settings {
        resolve: None,
        ..settings(vec![flap()])
    });
    scene.shows(
        100,
        Entry,
        read(credential(1), standing(HealthOutcome::Unknown)),
    );
    assert_eq!(
        scene.decisions(),
        [(Verdict::Deny, Reason::UnknownCredential)]
    );
}

fn two_lanes() -> Scene {
    Scene::with(settings(vec![
        flap(),
        LaneSettings {
            name: "beside".into(),
            ..flap()
        },
    ]))
}

#[test]
fn a_screenshot_is_refused_at_the_lane_beside_while_the_first_is_still_being_written() {
    let mut scene = two_lanes();
    let code = || read(dynamic(1), standing(HealthOutcome::Green));
    scene
        .shows_at(LANE, 100, Entry, code())
        .shows_at(BESIDE, 101, Entry, code());
    assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::Replayed));
    scene.until_ms(9_000).shows_at(BESIDE, 9_000, Entry, code());
    assert_eq!(
        scene.decisions()[2],
        (Verdict::Grant, Reason::InOrder),
        "nobody walked, so the code is good again"
    );
}

#[test]
fn a_used_code_calls_staff_on_the_way_out() {
    let mut scene = Scene::new(tripod());
    let code = || read(dynamic(1), standing(HealthOutcome::Green));
    scene
        .shows(100, Entry, code())
        .senses(&[(500, "#."), (900, "..")]);
    scene.shows(2_000, Exit, code());
    assert_eq!(scene.decisions()[1], (Verdict::Assist, Reason::Replayed));
}

#[test]
fn passback_follows_the_person_through_other_credentials_and_ends_on_the_way_out() {
    let mut scene = Scene::new(tripod());
    let known = || Standing {
        subject: Some(person(9)),
        ..standing(HealthOutcome::Green)
    };
    let walk = |scene: &mut Scene, from, picture| {
        scene.senses(&[(from, picture), (from + 400, "..")]);
    };
    scene.shows(100, Entry, read(credential(1), known()));
    walk(&mut scene, 500, "#.");
    scene.shows(2_000, Entry, read(credential(2), known()));
    assert_eq!(scene.decisions()[1], (Verdict::Deny, Reason::Passback));
    scene.shows(5_000, Exit, read(credential(2), known()));
    walk(&mut scene, 5_500, ".#");
    scene.shows(8_000, Exit, read(credential(1), known()));
    assert_eq!(scene.decisions()[3], (Verdict::Assist, Reason::Passback));
    scene.shows(12_000, Entry, read(credential(1), known()));
    assert_eq!(scene.decisions()[4], (Verdict::Grant, Reason::InOrder));
}

#[test]
fn passback_can_be_off() {
    let mut scene = Scene::with(Settings {
        passback: None,
        ..settings(vec![tripod()])
    });
    for n in 0..2 {
        scene.shows(n * 5_000 + 100, Entry, green(1));
        scene.senses(&[(n * 5_000 + 500, "#."), (n * 5_000 + 900, "..")]);
    }
    assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::InOrder); 2]);
    assert!(scene.changes().is_empty());
}

#[test]
fn without_a_trusted_date_what_needs_one_follows_the_rule_for_that() {
    for (finding, wanted) in [
        (
            read(dynamic(1), standing(HealthOutcome::Green)),
            (Verdict::Assist, Reason::ClockUntrusted),
        ),
        (
            read(yesterday(), standing(HealthOutcome::Green)),
            (Verdict::Assist, Reason::ClockUntrusted),
        ),
        (green(1), (Verdict::Grant, Reason::InOrder)),
    ] {
        let mut scene = Scene::new(flap());
        scene.dateless = true;
        scene.shows(100, Entry, finding);
        assert_eq!(scene.decisions(), [wanted]);
    }
    let mut scene = Scene::new(flap());
    scene.dateless = true;
    scene.shows(100, Exit, read(yesterday(), standing(HealthOutcome::Green)));
    assert_eq!(
        scene.decisions(),
        [(Verdict::Grant, Reason::ExitAlwaysOpen)]
    );
}

#[test]
fn a_stale_list_follows_its_rule_but_its_red_still_counts() {
    for (health, wanted) in [
        (HealthOutcome::Green, (Verdict::Assist, Reason::StaleList)),
        (
            HealthOutcome::NotApplied,
            (Verdict::Assist, Reason::StaleList),
        ),
        (HealthOutcome::Red, (Verdict::Deny, Reason::RedCode)),
    ] {
        let mut scene = Scene::new(flap());
        let stale = Standing {
            stale: true,
            ..standing(health)
        };
        scene.shows(100, Entry, read(credential(1), stale));
        assert_eq!(scene.decisions(), [wanted]);
    }
}

#[test]
fn a_presentation_that_comes_late_opens_nothing() {
    let mut scene = Scene::new(flap());
    for (number, read_ms) in [(1, 999), (2, 1_000)] {
        let assessed = Assessed {
            number,
            lane: LANE,
            direction: Entry,
            medium: Medium::IdCard,
            seen: Mono::from_millis(500),
            read: Mono::from_millis(read_ms),
            finding: green(1),
        };
        scene.at_ms(2_000, Event::Presented(assessed));
    }
    assert_eq!(
        scene.decisions(),
        [
            (Verdict::Deny, Reason::TooLate),
            (Verdict::Grant, Reason::InOrder)
        ]
    );
    assert_eq!(scene.signs(Entry)[1], Prompt::ShowAgain);
}

#[test]
fn a_presentation_at_a_lane_that_is_not_there_is_harmless() {
    let mut scene = Scene::new(flap());
    scene.shows_at(BESIDE, 100, Entry, green(1));
    assert!(scene.decisions().is_empty());
    assert_eq!(scene.gate.lane_view(BESIDE).state, "absent");
}

#[test]
fn a_hint_of_a_reader_is_shown_once_while_it_is_repeated() {
    let mut scene = Scene::new(flap());
    for n in 0..30u64 {
        scene.at_ms(
            100 + n * 33,
            Event::ReaderPrompt(LANE, Entry, Prompt::HoldStill),
        );
    }
    scene.until_ms(9_000);
    assert_eq!(
        scene.signs(Entry),
        [Prompt::Idle, Prompt::HoldStill, Prompt::Idle]
    );
    scene.shows(10_000, Entry, green(1)).until_ms(10_100);
    scene.at_ms(10_200, Event::ReaderPrompt(LANE, Entry, Prompt::HoldStill));
    assert_eq!(
        scene.signs(Entry).last(),
        Some(&Prompt::Go),
        "a rider is served"
    );
}

#[test]
fn a_hint_does_not_hide_the_reason_of_a_refusal() {
    let mut scene = Scene::new(flap());
    scene.shows(
        100,
        Entry,
        read(yesterday(), standing(HealthOutcome::Green)),
    );
    scene.at_ms(500, Event::ReaderPrompt(LANE, Entry, Prompt::HoldStill));
    scene.senses(&[(600, "#.")]).until_ms(2_599);
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::CodeExpired]);
    assert_eq!(
        scene.until_ms(2_600).signs(Entry).last(),
        Some(&Prompt::StepBack)
    );
}

#[test]
fn a_clock_that_goes_back_is_harmless() {
    let mut scene = Scene::new(flap());
    scene
        .until_ms(50_000)
        .shows(50_000, Entry, green(1))
        .until_ms(50_100);
    let mut out = Vec::new();
    let back = crate::core::scene::now(10, false);
    scene.gate.step(back, Event::TimedOut, &mut out);
    assert!(out.is_empty());
    assert_eq!(
        scene.gate.deadline(),
        Some(Mono::from_millis(50_005) + Duration::from_secs(5))
    );
}
