//! A grant is durable before the barrier is released; and what happens when the journal does not take it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one action out of many"
)]

use crate::core::scene::{
    BESIDE, LANE, Scene, credential, dynamic, flap, full, grant, green, read, settings, standing,
};
use crate::core::{LaneSettings, OnTrouble, Settings};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::{
    Action, Alarm, Event, HealthOutcome, JournalTrouble, Kind, Outcome, PassbackKey, Prompt,
    Reason, ReplayKey, Restored, RowKey, StateChange, Utc, Verdict,
};

fn silent(on_stall: OnTrouble, on_full: OnTrouble) -> Scene {
    let lanes = vec![
        flap(),
        LaneSettings {
            name: "beside".into(),
            ..flap()
        },
    ];
    let mut scene = Scene::with(Settings {
        on_stall,
        on_full,
        ..settings(lanes)
    });
    scene.journal_ms = None;
    scene
}

#[test]
fn the_barrier_waits_for_the_disk() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Hold);
    scene.shows(100, Entry, green(1)).until_ms(399);
    assert_eq!(
        (scene.view().state, scene.barrier()),
        ("recording", vec![(0, 'L')])
    );
    scene.at_ms(399, Event::Durable(grant(1)));
    assert_eq!(scene.barrier(), [(0, 'L'), (399, 'R')]);
}

#[test]
fn a_stalled_journal_holds_calls_staff_and_forgets_the_use() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Hold);
    let code = || read(dynamic(1), standing(HealthOutcome::Green));
    scene.shows(100, Entry, code()).until_ms(400);
    assert_eq!(
        scene.decisions()[1],
        (Verdict::Assist, Reason::JournalStalled)
    );
    assert_eq!(scene.signs(Entry), [Prompt::Idle, Prompt::SeeStaff]);
    assert_eq!(scene.alarms(Alarm::Assist), [(400, true)]);
    scene.shows(500, Entry, code());
    assert_eq!(
        scene.decisions()[2],
        (Verdict::Grant, Reason::InOrder),
        "the code is not used up"
    );
}

#[test]
fn a_grant_that_is_durable_after_all_ends_in_the_journal_and_opens_nothing() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Hold);
    scene.shows(100, Entry, read(dynamic(1), standing(HealthOutcome::Green)));
    scene
        .at_ms(2_000, Event::Durable(grant(1)))
        .at_ms(2_001, Event::Durable(grant(1)));
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert_eq!(scene.barrier(), [(0, 'L')]);
    let unseen = StateChange::Unseen {
        key: ReplayKey([1; 32]),
    };
    assert!(scene.changes().contains(&unseen));
}

#[test]
fn a_late_end_does_not_wipe_a_later_use_by_the_same_person() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Hold);
    let code = || read(dynamic(1), standing(HealthOutcome::Green));
    scene.shows_at(LANE, 100, Entry, code()).until_ms(400);
    scene
        .shows_at(BESIDE, 500, Entry, code())
        .at_ms(510, Event::Durable(grant(2)));
    scene.at_ms(600, Event::Durable(grant(1)));
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    assert!(
        !scene
            .changes()
            .iter()
            .any(|change| matches!(change, StateChange::Unseen { .. }))
    );
    let kept = matches!(
        scene.changes().last(),
        Some(StateChange::PassedBack {
            before: Some((Entry, _)),
            ..
        })
    );
    assert!(kept, "the disk learns what is remembered now");
}

#[test]
fn a_stalled_journal_may_open_with_an_alarm_until_the_disk_answers() {
    let mut scene = silent(OnTrouble::Open, OnTrouble::Hold);
    scene.shows(100, Entry, green(1)).until_ms(400);
    assert_eq!(scene.barrier(), [(0, 'L'), (400, 'R')]);
    assert_eq!(scene.alarms(Alarm::Unrecorded), [(400, true)]);
    scene.at_ms(700, Event::Durable(grant(1)));
    assert_eq!(scene.alarms(Alarm::Unrecorded), [(400, true), (700, false)]);
    assert!(
        !scene
            .records()
            .iter()
            .any(|kind| matches!(kind, Kind::Gap { .. }))
    );
}

#[test]
fn a_release_that_the_disk_refuses_after_all_is_a_gap() {
    let mut scene = silent(OnTrouble::Open, OnTrouble::Hold);
    scene.shows(100, Entry, green(1)).until_ms(400);
    scene.at_ms(700, Event::NotDurable(grant(1), JournalTrouble::Failed));
    assert_eq!(scene.alarms(Alarm::Unrecorded), [(400, true)]);
    scene
        .until_ms(9_000)
        .shows(9_000, Entry, green(2))
        .at_ms(9_010, Event::Durable(grant(2)));
    assert!(scene.records().contains(&Kind::Gap { unrecorded: 1 }));
    assert_eq!(
        scene.alarms(Alarm::Unrecorded),
        [(400, true), (9_010, false)]
    );
}

#[test]
fn a_full_journal_holds_and_takes_nothing_back_later() {
    let mut scene = silent(OnTrouble::Open, OnTrouble::Hold);
    scene.shows(100, Entry, green(1)).at_ms(110, full(1));
    assert_eq!(scene.decisions()[1], (Verdict::Assist, Reason::JournalFull));
    scene.shows(5_000, Entry, green(1));
    assert_eq!(scene.decisions()[2], (Verdict::Grant, Reason::InOrder));
    assert_eq!(scene.outcomes(), []);
}

#[test]
fn a_full_journal_may_open_and_the_gap_is_recorded_once_it_works_again() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Open);
    scene.shows(100, Entry, green(1)).at_ms(110, full(1));
    scene
        .shows_at(BESIDE, 200, Entry, green(2))
        .at_ms(210, full(2));
    assert_eq!(scene.barrier(), [(0, 'L'), (110, 'R')]);
    scene
        .until_ms(9_000)
        .shows(9_000, Entry, green(3))
        .at_ms(9_010, Event::Durable(grant(3)));
    assert!(scene.records().contains(&Kind::Gap { unrecorded: 2 }));
    assert_eq!(
        scene.alarms(Alarm::Unrecorded),
        [(110, true), (9_010, false)]
    );
}

#[test]
fn a_disk_that_refuses_follows_the_rule_for_a_stall() {
    let mut scene = silent(OnTrouble::Hold, OnTrouble::Open);
    scene.shows(100, Entry, green(1));
    scene.at_ms(110, Event::NotDurable(grant(1), JournalTrouble::Failed));
    assert_eq!(
        scene.decisions()[1],
        (Verdict::Assist, Reason::JournalStalled)
    );
}

#[test]
fn a_journal_that_never_answers_is_not_asked_without_end() {
    for (on_stall, held) in [(OnTrouble::Hold, true), (OnTrouble::Open, false)] {
        let mut scene = silent(on_stall, OnTrouble::Hold);
        scene.settings.passback = None;
        for n in 0..400u64 {
            scene.shows(
                n * 10_000 + 100,
                Entry,
                read(credential(1), standing(HealthOutcome::Green)),
            );
            scene.until_ms(n * 10_000 + 9_900);
        }
        let asked = scene
            .log
            .iter()
            .filter(|(_, action)| matches!(action, Action::Record(entry) if entry.grant.is_some()));
        assert_eq!(asked.count(), 256);
        assert_eq!(scene.barrier().iter().all(|(_, what)| *what == 'L'), held);
        let ended = scene.outcomes().len();
        assert_eq!(ended, if held { 0 } else { 400 });
    }
}

#[test]
fn after_a_restart_open_grants_are_closed_and_nothing_is_annulled() {
    let restored = Restored {
        boot: 8,
        seen: vec![(ReplayKey([1; 32]), Utc::from_secs(u64::MAX / 1000))],
        passed: vec![(
            PassbackKey::Row(RowKey([2; 16])),
            Entry,
            Utc::from_secs(crate::core::scene::TODAY_S - 60),
        )],
        open_grants: vec![
            (Some("north".into()), Exit, grant(5)),
            (None, Entry, grant(6)),
        ],
        ..Restored::default()
    };
    let mut scene = Scene::restored(settings(vec![flap()]), restored);
    assert_eq!(scene.outcomes(), [(Outcome::UnknownAfterRestart, Some(5))]);
    let closed = scene
        .records()
        .iter()
        .filter(|kind| {
            matches!(
                kind,
                Kind::Outcome {
                    outcome: Outcome::UnknownAfterRestart,
                    grant: Some(_),
                    ..
                }
            )
        })
        .count();
    assert_eq!(closed, 2);
    assert!(scene.changes().is_empty());
    assert!(scene.records().contains(&Kind::Started {
        software: "1.2.3".into()
    }));
    // Until the rider of the open grant has certainly left the aisle, nobody is sent against him.
    scene.shows(100, Entry, green(3));
    assert_eq!(scene.decisions(), [(Verdict::Deny, Reason::LaneBusy)]);
    scene.until_ms(6_000).log.clear();
    scene.shows(
        6_100,
        Entry,
        read(dynamic(1), standing(HealthOutcome::Green)),
    );
    scene
        .shows(6_200, Entry, green(2))
        .shows(6_300, Entry, green(3));
    assert_eq!(
        scene
            .decisions()
            .iter()
            .map(|(_, reason)| *reason)
            .collect::<Vec<_>>(),
        [Reason::Replayed, Reason::Passback, Reason::InOrder]
    );
    let first = scene.log.iter().find_map(|(_, action)| match action {
        Action::Decided(decided) => decided.grant,
        _ => None,
    });
    assert_eq!(first.map(|grant| grant.to_string()).as_deref(), Some("8.1"));
}
