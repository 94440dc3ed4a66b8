//! Who wants which mode, and who has it: schedule, directive, staff, key switch.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::core::scene::{
    BESIDE, LANE, Scene, TODAY_S, all, flap, green, now, settings, standing, tripod,
};
use crate::core::{Gate, LaneSettings, Settings};
use crate::domain::Direction::{Entry, Exit};
use crate::domain::directive::{LaneMode, PolicyChange, RuleChanges, Target};
use crate::domain::schedule::{Calendar, Dateless, Day, Span};
use crate::domain::{
    Deed, Directive, Event, GateId, HealthOutcome, Kind, Mode, Outcome, Reason, Restored, Rule,
    Schedule, Source, StaffMode, StateChange, Utc, Verdict, Wanted,
};

/// Millisecond 0 is 2030-03-17T17:46:40Z, a Sunday.
const MIDNIGHT_MS: u64 = (6 * 3600 + 13 * 60 + 20) * 1000;

/// From and to, hour and minute, and the mode meanwhile.
type Hours = ((u16, u16), (u16, u16), Mode);

fn schedule(spans: &[Hours], dateless: Dateless) -> Schedule {
    use Day::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    let span = |(from, to, mode): &Hours| Span {
        days: vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun],
        from: from.0 * 60 + from.1,
        to: to.0 * 60 + to.1,
        mode: *mode,
    };
    Schedule {
        calendar: Arc::new(Calendar {
            zone: TimeZone::UTC,
            ..Calendar::default()
        }),
        spans: spans.iter().map(span).collect(),
        dateless,
    }
}

fn at_night(lane: LaneSettings, dateless: Dateless) -> LaneSettings {
    LaneSettings {
        schedule: schedule(&[((23, 0), (5, 0), Mode::Closed)], dateless),
        ..lane
    }
}

fn directive(version: u64, from_s: u64, until_s: u64, mode: Option<Mode>) -> Arc<Directive> {
    let lane_mode = |mode| LaneMode { lane: None, mode };
    Arc::new(Directive {
        target: Target::Gate(GateId::new("g").unwrap()),
        version,
        not_before: Utc::from_secs(TODAY_S + from_s),
        not_after: Utc::from_secs(TODAY_S + until_s),
        modes: mode.map(lane_mode).into_iter().collect(),
        policy: PolicyChange::default(),
    })
}

fn staff(mode: Option<Mode>) -> Event {
    Event::ModeSet(LANE, Wanted::by_staff(mode))
}

fn key(mode: Option<Mode>) -> Event {
    Event::ModeSet(LANE, Wanted::by_key(mode))
}

fn in_force(scene: &Scene) -> (Mode, Source) {
    let ruling = scene.view().mode;
    (ruling.mode, ruling.source)
}

/// Every change of the mode, as it was recorded.
fn recorded(scene: &Scene) -> Vec<(Mode, Source)> {
    let modes = scene.records().into_iter().filter_map(|kind| match kind {
        Kind::Mode { mode, source } => Some((mode, source)),
        Kind::Started { .. }
        | Kind::Decision { .. }
        | Kind::Outcome { .. }
        | Kind::Alarm { .. }
        | Kind::Staff { .. }
        | Kind::Directive { .. }
        | Kind::Gap { .. } => None,
    });
    modes.collect()
}

#[test]
fn the_schedule_closes_a_lane_across_midnight_and_opens_it_again_without_an_event() {
    let mut scene = Scene::new(at_night(flap(), Dateless::LaneMode));
    let closes = MIDNIGHT_MS - 3_600_000;
    scene.until_ms(closes - 1);
    assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
    scene.until_ms(closes);
    assert_eq!(in_force(&scene), (Mode::Closed, Source::Schedule));
    scene
        .shows(MIDNIGHT_MS + 3_600_000, Entry, green(1))
        .until_ms(MIDNIGHT_MS + 5 * 3_600_000 - 1);
    assert_eq!(scene.decisions(), [(Verdict::Deny, Reason::LaneClosed)]);
    assert_eq!(in_force(&scene), (Mode::Closed, Source::Schedule));
    scene.until_ms(MIDNIGHT_MS + 5 * 3_600_000);
    assert_eq!(
        recorded(&scene),
        [
            (Mode::Closed, Source::Schedule),
            (Mode::Normal, Source::Config)
        ]
    );
}

#[test]
fn a_gate_that_starts_at_night_starts_closed() {
    let spans = [((17, 0), (5, 0), Mode::Closed)];
    let scene = Scene::new(LaneSettings {
        schedule: schedule(&spans, Dateless::LaneMode),
        ..flap()
    });
    assert_eq!(in_force(&scene), (Mode::Closed, Source::Schedule));
    assert_eq!(recorded(&scene), [(Mode::Closed, Source::Schedule)]);
    let until = Utc::from_secs(TODAY_S) + Duration::from_millis(MIDNIGHT_MS + 5 * 3_600_000);
    assert_eq!(scene.view().mode.until, Some(until));
}

#[test]
fn without_a_date_the_schedule_says_nothing_or_what_it_said_last() {
    for (dateless, wanted) in [
        (Dateless::LaneMode, (Mode::Normal, Source::Config)),
        (Dateless::Last, (Mode::Closed, Source::Schedule)),
    ] {
        let mut scene = Scene::new(at_night(flap(), dateless));
        scene.until_ms(MIDNIGHT_MS);
        scene.dateless = true;
        scene.senses(&[(MIDNIGHT_MS + 100, "..")]);
        assert_eq!(in_force(&scene), wanted, "{dateless:?}");
        // Whatever it says without a date, the date is asked again as soon as there is one.
        scene.dateless = false;
        scene.senses(&[(MIDNIGHT_MS + 6 * 3_600_000, "..")]);
        assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
    }
}

#[test]
fn a_date_that_is_set_right_is_seen_at_the_next_word_of_the_sensors() {
    let mut out = Vec::new();
    let settings = settings(vec![at_night(flap(), Dateless::LaneMode)]);
    let mut gate = Gate::new(settings, Restored::default(), now(0, false), &mut out);
    let mut later = now(100, false);
    later.utc = later
        .utc
        .map(|utc| utc + Duration::from_millis(MIDNIGHT_MS));
    gate.step(later, Event::TimedOut, &mut out);
    assert_eq!(gate.lane_view(LANE).mode.mode, Mode::Closed);
}

#[test]
fn the_strongest_wish_wins_whatever_came_first_and_each_change_is_recorded_with_its_source() {
    let mut scene = Scene::new(LaneSettings {
        schedule: schedule(&[((0, 0), (24, 0), Mode::Free)], Dateless::LaneMode),
        ..flap()
    });
    let closed = vec![directive(1, 0, 3_600, Some(Mode::Closed))];
    scene
        .at_ms(1_000, Event::Directed(closed))
        .at_ms(2_000, staff(Some(Mode::ExitOnly)))
        .at_ms(3_000, key(Some(Mode::EntryOnly)));
    assert_eq!(in_force(&scene), (Mode::EntryOnly, Source::Key));
    let wishes: Vec<_> = scene.gate.wishes(LANE).iter().map(|w| w.source).collect();
    assert_eq!(
        wishes,
        [
            Source::Key,
            Source::Staff,
            Source::Directive,
            Source::Schedule,
            Source::Config
        ]
    );
    scene
        .at_ms(4_000, key(None))
        .at_ms(5_000, staff(None))
        .until_ms(3_600_000);
    assert_eq!(
        recorded(&scene),
        [
            (Mode::Free, Source::Schedule),
            (Mode::Closed, Source::Directive),
            (Mode::ExitOnly, Source::Staff),
            (Mode::EntryOnly, Source::Key),
            (Mode::ExitOnly, Source::Staff),
            (Mode::Closed, Source::Directive),
            (Mode::Free, Source::Schedule),
        ]
    );
}

#[test]
fn maintenance_at_the_lane_is_not_overruled_from_afar_but_an_emergency_is_heard() {
    for local in [staff(Some(Mode::Maintenance)), key(Some(Mode::Maintenance))] {
        let mut scene = Scene::new(flap());
        let free = vec![directive(1, 0, 3_600, Some(Mode::Free))];
        let emergency = vec![directive(2, 0, 3_600, Some(Mode::Emergency))];
        scene
            .at_ms(1_000, local)
            .at_ms(2_000, Event::Directed(free));
        assert_eq!(scene.view().mode.mode, Mode::Maintenance);
        assert!(!scene.view().is_open);
        scene.at_ms(3_000, Event::Directed(emergency));
        assert_eq!(in_force(&scene), (Mode::Emergency, Source::Directive));
        assert!(scene.view().is_open);
    }
}

#[test]
fn a_directive_begins_and_ends_by_its_dates_and_the_schedule_returns() {
    let mut scene = Scene::new(tripod());
    scene.at_ms(
        1_000,
        Event::Directed(vec![directive(7, 60, 120, Some(Mode::Free))]),
    );
    scene.until_ms(59_999);
    assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
    scene.until_ms(60_000);
    assert_eq!(in_force(&scene), (Mode::Free, Source::Directive));
    // The date is lost meanwhile: the monotonic clock ends it all the same.
    scene.dateless = true;
    scene.senses(&[(100_000, "..")]).until_ms(119_999);
    assert_eq!(in_force(&scene), (Mode::Free, Source::Directive));
    scene.until_ms(120_000);
    assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
    let of_directive = scene.records().into_iter().filter_map(|kind| match kind {
        Kind::Directive { version, on, .. } => Some((version, on)),
        Kind::Started { .. }
        | Kind::Decision { .. }
        | Kind::Outcome { .. }
        | Kind::Alarm { .. }
        | Kind::Staff { .. }
        | Kind::Mode { .. }
        | Kind::Gap { .. } => None,
    });
    assert_eq!(of_directive.collect::<Vec<_>>(), [(7, true), (7, false)]);
}

#[test]
fn without_any_date_a_directive_may_lock_but_opens_nothing() {
    for (mode, wanted) in [(Mode::Free, Mode::Normal), (Mode::Closed, Mode::Closed)] {
        let mut scene = Scene::new(flap());
        scene.dateless = true;
        scene.senses(&[(100, "..")]);
        scene.at_ms(
            1_000,
            Event::Directed(vec![directive(1, 0, 60, Some(mode))]),
        );
        assert_eq!(scene.view().mode.mode, wanted);
        // The date comes back, and it is over.
        scene.dateless = false;
        scene.senses(&[(61_000, "..")]);
        assert_eq!(scene.view().mode.mode, Mode::Normal);
    }
}

#[test]
fn a_directive_changes_rules_while_it_is_in_force_and_no_longer() {
    let yellow = |n| {
        let credential = crate::core::scene::credential(n);
        crate::core::scene::read(credential, standing(HealthOutcome::Yellow))
    };
    let mut scene = Scene::new(flap());
    let mut changed = Directive::clone(&directive(1, 10, 20, None));
    changed.policy.entry = RuleChanges {
        yellow: Some(Rule::Open),
        ..RuleChanges::default()
    };
    scene.at_ms(1_000, Event::Directed(vec![Arc::new(changed)]));
    scene
        .shows(5_000, Entry, yellow(1))
        .shows(11_000, Entry, yellow(2))
        .shows(21_000, Entry, yellow(3));
    assert_eq!(
        scene.decisions(),
        [
            (Verdict::Assist, Reason::YellowCode),
            (Verdict::Grant, Reason::SiteRule),
            (Verdict::Assist, Reason::YellowCode),
        ]
    );
}

#[test]
fn a_newer_directive_without_modes_ends_the_one_before() {
    let mut scene = Scene::new(flap());
    scene
        .at_ms(
            1_000,
            Event::Directed(vec![directive(1, 0, 600, Some(Mode::Closed))]),
        )
        .at_ms(2_000, Event::Directed(vec![directive(2, 0, 600, None)]));
    assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
}

#[test]
fn what_staff_want_survives_a_restart_and_its_time_goes_on() {
    let mut scene = Scene::new(flap());
    let lasting = Wanted {
        lasts: Some(Duration::from_secs(600)),
        by: Some(1_000),
        ..Wanted::by_staff(Some(Mode::Maintenance))
    };
    scene.at_ms(1_000, Event::ModeSet(LANE, lasting));
    let wanted = StaffMode {
        mode: Mode::Maintenance,
        by: Some(1_000),
        until: Some(Utc::from_secs(TODAY_S + 601)),
    };
    let kept = StateChange::StaffMode {
        lane: "north".into(),
        wanted: Some(wanted),
    };
    assert_eq!(scene.changes(), [kept]);

    let restored = Restored {
        boot: 8,
        staff_modes: vec![("north".into(), wanted), ("gone".into(), wanted)],
        ..Restored::default()
    };
    let mut scene = Scene::restored(settings(vec![flap()]), restored);
    assert_eq!(in_force(&scene), (Mode::Maintenance, Source::Staff));
    assert_eq!(scene.view().mode.by, Some(1_000));
    scene.until_ms(601_000);
    assert_eq!(in_force(&scene), (Mode::Normal, Source::Config));
    let forgotten = StateChange::StaffMode {
        lane: "north".into(),
        wanted: None,
    };
    assert_eq!(scene.changes(), [forgotten]);
}

#[test]
fn a_time_that_was_given_without_a_date_ends_by_the_monotonic_clock_and_with_the_process() {
    let mut scene = Scene::new(flap());
    scene.dateless = true;
    let lasting = Wanted {
        lasts: Some(Duration::from_secs(60)),
        ..Wanted::by_staff(Some(Mode::Free))
    };
    scene.at_ms(1_000, Event::ModeSet(LANE, lasting));
    assert_eq!(scene.view().mode.mode, Mode::Free);
    let none = StateChange::StaffMode {
        lane: "north".into(),
        wanted: None,
    };
    assert_eq!(scene.changes(), [none]);
    scene.dateless = false;
    scene.senses(&[(30_000, "..")]).until_ms(60_999);
    assert_eq!(scene.view().mode.mode, Mode::Free);
    scene.until_ms(61_000);
    assert_eq!(scene.view().mode.mode, Mode::Normal);
}

#[test]
fn a_wish_for_one_lane_leaves_the_lane_beside_as_it_is() {
    let beside = LaneSettings {
        name: "beside".into(),
        ..flap()
    };
    let mut scene = Scene::with(settings(vec![flap(), beside]));
    scene.at_ms(1_000, staff(Some(Mode::Closed)));
    assert_eq!(scene.gate.lane_view(BESIDE).mode.mode, Mode::Normal);
    let named = LaneMode {
        lane: Some("beside".into()),
        mode: Mode::ExitOnly,
    };
    let mut both = Directive::clone(&directive(1, 0, 60, Some(Mode::Free)));
    both.modes.push(named);
    scene.at_ms(2_000, Event::Directed(vec![Arc::new(both)]));
    assert_eq!(scene.view().mode.mode, Mode::Closed, "staff are stronger");
    assert_eq!(scene.gate.lane_view(BESIDE).mode.mode, Mode::ExitOnly);
}

#[test]
fn staff_let_one_person_through_by_a_grant_like_any_other() {
    for mode in [Mode::Normal, Mode::Closed, Mode::ExitOnly] {
        let mut scene = Scene::new(LaneSettings { mode, ..flap() });
        let deed = Deed::OpenOnce { direction: Entry };
        scene.at_ms(900, Event::Staffed(1_000, Some(LANE), deed));
        scene.shows(1_000, Entry, crate::domain::Finding::ByStaff);
        assert_eq!(scene.decisions(), [(Verdict::Grant, Reason::ByStaff)]);
        assert_eq!(scene.barrier(), [(0, 'L')], "not before it is durable");
        scene
            .senses(&[(1_500, "#."), (1_800, "##"), (2_000, ".#"), (2_300, "..")])
            .until_ms(3_000);
        assert_eq!(scene.barrier()[1].1, 'R');
        assert_eq!(scene.outcomes(), [(Outcome::Passed, Some(1))]);
        assert!(scene.records().contains(&Kind::Staff { uid: 1_000, deed }));
    }
    // One who does not come is as any other.
    let mut scene = Scene::new(tripod());
    scene
        .shows(1_000, Exit, crate::domain::Finding::ByStaff)
        .until_ms(9_000);
    assert_eq!(scene.outcomes(), [(Outcome::NoEntryAfterGrant, Some(1))]);
    // Nothing moves where somebody works.
    let mut scene = Scene::new(LaneSettings {
        mode: Mode::Maintenance,
        ..flap()
    });
    scene
        .shows(1_000, Entry, crate::domain::Finding::ByStaff)
        .until_ms(3_000);
    assert_eq!(scene.barrier(), [(0, 'L')]);
}

#[test]
fn another_config_changes_rules_modes_and_schedules_and_no_barrier_that_has_no_reason_to_move() {
    let before = settings(vec![flap(), tripod()]);
    let mut scene = Scene::with(before.clone());
    scene.shows(1_000, Entry, green(1)).until_ms(1_500);
    let moved = scene.barrier();
    let mut lanes = vec![flap(), at_night(tripod(), Dateless::LaneMode)];
    lanes[1].mode = Mode::Closed;
    let after = Settings {
        entry: all(Rule::Assist),
        lanes,
        ..before
    };
    let mut out = Vec::new();
    scene.gate.reload(&after, now(2_000, false), &mut out);
    let mode = scene.gate.lane_view(BESIDE).mode;
    assert_eq!((mode.mode, mode.source), (Mode::Closed, Source::Config));
    assert_eq!(
        scene.barrier(),
        moved,
        "the grant of before is still being used"
    );
    scene.until_ms(9_000).shows(9_000, Entry, green(2));
    assert_eq!(scene.decisions().last().unwrap().0, Verdict::Assist);
}
