//! Behaviour of the gate as a whole: scenes that people notice, and random days that must keep the rules.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it looks for out of all actions"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::policy::tests::{credential, settings};
use super::{Barrier, Gate, LaneSettings, OnTrouble, Settings};
use crate::domain::{
    Action, Alarm, Assessed, Credential, Direction, Event, Finding, GrantId, HealthOutcome,
    JournalTrouble, Kind, LaneId, Levels, ListId, Medium, Mode, Mono, Now, Outcome, Prompt, Reason,
    Replay, ReplayKey, Restored, RowKey, Sensor, Standing, StateChange, Utc, Verdict,
};
use Direction::{Entry, Exit};

const FLAP: LaneId = LaneId(0);
const TRIPOD: LaneId = LaneId(1);

fn lane(name: &str, barrier: Barrier) -> LaneSettings {
    LaneSettings {
        name: name.into(),
        barrier,
        directions: vec![Entry, Exit],
        mode: Mode::Normal,
        release: Duration::from_secs(5),
        debounce: Duration::from_millis(0),
        obstruction: Duration::from_secs(10),
    }
}

fn gate_settings() -> Settings {
    let tripod = Barrier::Tripod {
        pulse: Duration::from_millis(500),
    };
    Settings {
        lanes: vec![lane("flap", Barrier::Flap), lane("tripod", tripod)],
        ..settings()
    }
}

struct Scene {
    gate: Gate,
    now: Now,
    shown: u64,
    actions: Vec<Action>,
}

impl Scene {
    fn new() -> Self {
        Self::with(
            gate_settings(),
            &Restored {
                boot: 1,
                ..Restored::default()
            },
        )
    }

    fn with(settings: Settings, restored: &Restored) -> Self {
        let now = Now {
            mono: Mono::default(),
            utc: Some(Utc::from_secs(1_000_000)),
            ..Now::default()
        };
        let mut actions = Vec::new();
        let gate = Gate::new(settings, restored, now, &mut actions);
        Self {
            gate,
            now,
            shown: 0,
            actions,
        }
    }

    /// Lets time pass, serving every deadline on the way.
    fn wait_ms(&mut self, ms: u64) -> &mut Self {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some(due) = self.gate.deadline().filter(|due| *due <= end) {
            self.advance(due);
            self.gate.step(self.now, Event::TimedOut, &mut self.actions);
        }
        self.advance(end);
        self
    }

    fn advance(&mut self, to: Mono) {
        let by = to.since(self.now.mono);
        self.now.mono = self.now.mono + by;
        self.now.utc = self.now.utc.map(|utc| utc + by);
    }

    fn step(&mut self, event: Event) -> &mut Self {
        self.gate.step(self.now, event, &mut self.actions);
        self
    }

    fn show(
        &mut self,
        lane: LaneId,
        direction: Direction,
        credential: &Credential,
        standing: &Standing,
    ) -> &mut Self {
        self.shown += 1;
        let finding = Finding::Read {
            credential: credential.clone(),
            standing: standing.clone(),
        };
        let (seen, read) = (self.now.mono, self.now.mono);
        let medium = Medium::QrCode;
        self.step(Event::Presented(Assessed {
            number: self.shown,
            lane,
            direction,
            medium,
            seen,
            read,
            finding,
        }))
    }

    fn grant(&self) -> GrantId {
        let recorded = |action: &Action| match action {
            Action::Record(entry) => entry.grant,
            _ => None,
        };
        self.actions
            .iter()
            .rev()
            .find_map(recorded)
            .expect("a grant was recorded")
    }

    fn durable(&mut self) -> &mut Self {
        let grant = self.grant();
        self.step(Event::Durable(grant))
    }

    fn beams(&mut self, entry: bool, exit: bool) -> &mut Self {
        let levels = Levels::default()
            .with(Sensor::EntryBeam, entry)
            .with(Sensor::ExitBeam, exit);
        self.step(Event::Sensed(FLAP, levels)).wait_ms(100)
    }

    fn walk_through(&mut self) -> &mut Self {
        self.beams(true, false)
            .beams(true, true)
            .beams(false, true)
            .beams(false, false)
    }

    fn verdicts(&self) -> Vec<(Verdict, Reason)> {
        let verdict = |action: &Action| match action {
            Action::Decided(decided) => Some((decided.verdict, decided.reason)),
            _ => None,
        };
        self.actions.iter().filter_map(verdict).collect()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |action: &Action| match action {
            Action::Ended(_, _, outcome, _) => Some(*outcome),
            _ => None,
        };
        self.actions.iter().filter_map(outcome).collect()
    }

    fn saw(&self, action: &Action) -> bool {
        self.actions.contains(action)
    }

    fn changes(&self) -> Vec<StateChange> {
        let changes = |action: &Action| match action {
            Action::Record(entry) => entry.changes.clone(),
            _ => Vec::new(),
        };
        self.actions.iter().flat_map(changes).collect()
    }

    fn forget(&mut self) -> &mut Self {
        self.actions.clear();
        self
    }
}

fn person(n: u8) -> Credential {
    Credential {
        keys: vec![(ListId::new("health").unwrap(), RowKey([n; 16]))],
        ..credential()
    }
}

fn dynamic(n: u8) -> Credential {
    Credential {
        replay: Some(Replay {
            key: ReplayKey([n; 32]),
            window_s: 60,
        }),
        ..person(n)
    }
}

fn standing(health: HealthOutcome) -> Standing {
    Standing {
        health,
        ..Standing::unknown()
    }
}

fn green() -> Standing {
    standing(HealthOutcome::Green)
}

const IN_ORDER: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);

#[test]
fn a_grant_is_durable_before_the_barrier_is_released() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &person(1), &green());
    assert!(!scene.saw(&Action::ReleaseBarrier(FLAP, Entry)));
    scene.durable();
    assert!(scene.saw(&Action::ReleaseBarrier(FLAP, Entry)));
    assert!(scene.saw(&Action::Show(FLAP, Entry, Prompt::Go)));
    assert_eq!(scene.verdicts(), [IN_ORDER]);
}

#[test]
fn a_rider_passes_and_the_flap_locks_behind_them() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .forget()
        .walk_through();
    assert_eq!(scene.outcomes(), [Outcome::Passed]);
    assert_eq!(
        scene.actions.last(),
        Some(&Action::Show(FLAP, Entry, Prompt::Idle))
    );
    assert!(scene.saw(&Action::LockBarrier(FLAP)));
    assert_eq!(scene.gate.lane_view(FLAP).state, "locked");
}

#[test]
fn who_does_not_walk_is_annulled_and_may_come_again() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &dynamic(1), &green())
        .durable()
        .wait_ms(5_000);
    assert_eq!(scene.outcomes(), [Outcome::NoEntryAfterGrant]);
    let changes = scene.changes();
    assert!(changes.contains(&StateChange::Unseen {
        key: ReplayKey([1; 32])
    }));
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, StateChange::PassedBack { before: None, .. }))
    );
    scene
        .forget()
        .show(FLAP, Entry, &dynamic(1), &green())
        .durable();
    assert_eq!(scene.verdicts(), [IN_ORDER]);
}

#[test]
fn who_turns_back_may_still_make_up_their_mind() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &person(1), &green()).durable();
    scene
        .beams(true, false)
        .beams(false, false)
        .wait_ms(500)
        .walk_through();
    assert_eq!(scene.outcomes(), [Outcome::Passed]);
}

#[test]
fn a_follower_on_the_same_grant_raises_the_alarm_and_does_not_trap_the_rider() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .forget();
    scene
        .beams(true, false)
        .beams(true, true)
        .beams(false, true)
        .beams(true, true);
    scene
        .beams(true, false)
        .beams(true, true)
        .beams(false, true);
    assert!(
        !scene.saw(&Action::LockBarrier(FLAP)),
        "a flap never closes on a body"
    );
    scene.beams(false, false);
    assert_eq!(scene.outcomes(), [Outcome::Tailgating, Outcome::Passed]);
    assert!(scene.saw(&Action::Alarm(Some(FLAP), Alarm::Intrusion, true)));
    assert!(scene.saw(&Action::LockBarrier(FLAP)));
}

#[test]
fn somebody_who_climbs_over_a_locked_flap_is_an_intrusion() {
    let mut scene = Scene::new();
    scene.walk_through();
    assert_eq!(scene.outcomes(), [Outcome::Intrusion]);
    assert!(scene.saw(&Action::Show(FLAP, Entry, Prompt::StepBack)));
}

#[test]
fn somebody_who_waits_in_the_mouth_of_the_aisle_is_no_intruder_and_can_be_granted() {
    let mut scene = Scene::new();
    scene.beams(true, false).wait_ms(3_000);
    assert!(scene.outcomes().is_empty());
    scene.show(FLAP, Entry, &person(1), &green()).durable();
    scene
        .beams(true, true)
        .beams(false, true)
        .beams(false, false);
    assert_eq!(scene.outcomes(), [Outcome::Passed]);
}

#[test]
fn somebody_against_the_grant_is_wrong_way_and_the_flap_waits_for_them() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .forget();
    scene.beams(false, true).beams(true, true);
    assert_eq!(scene.outcomes(), [Outcome::WrongWay]);
    scene.wait_ms(5_000);
    assert_eq!(
        scene.outcomes(),
        [Outcome::WrongWay, Outcome::NoEntryAfterGrant]
    );
    assert!(
        !scene.saw(&Action::LockBarrier(FLAP)),
        "a flap never closes on a body"
    );
    scene.beams(true, false).beams(false, false);
    assert!(scene.saw(&Action::LockBarrier(FLAP)));
}

#[test]
fn a_stuck_beam_is_an_obstruction_and_ends_when_it_clears() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &person(1), &green()).durable();
    scene.beams(true, false).beams(true, true).wait_ms(10_000);
    assert!(scene.saw(&Action::Alarm(Some(FLAP), Alarm::Obstruction, true)));
    assert_eq!(scene.outcomes(), [Outcome::Obstruction]);
    scene.beams(false, true).beams(false, false);
    assert!(scene.saw(&Action::Alarm(Some(FLAP), Alarm::Obstruction, false)));
    assert_eq!(scene.outcomes(), [Outcome::Obstruction, Outcome::Passed]);
}

#[test]
fn a_tripod_is_pulsed_and_its_turn_completes_the_passage() {
    let mut scene = Scene::new();
    scene.show(TRIPOD, Exit, &person(1), &green()).durable();
    assert!(scene.saw(&Action::ReleaseBarrier(TRIPOD, Exit)));
    scene.forget().wait_ms(500);
    assert!(
        scene.saw(&Action::LockBarrier(TRIPOD)),
        "the solenoid is not powered for longer than its pulse"
    );
    assert!(
        scene.outcomes().is_empty(),
        "the grant lives on until the rotor turns"
    );
    let turning = Levels::default().with(Sensor::ExitRotor, true);
    scene
        .step(Event::Sensed(TRIPOD, turning))
        .wait_ms(800)
        .step(Event::Sensed(TRIPOD, Levels::default()));
    assert_eq!(scene.outcomes(), [Outcome::Passed]);
    scene.step(Event::Sensed(TRIPOD, turning));
    assert_eq!(
        scene.outcomes(),
        [Outcome::Passed, Outcome::Intrusion],
        "a second turn has no grant"
    );
}

#[test]
fn a_red_code_is_held_on_the_way_in_and_traps_nobody_on_the_way_out() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &person(1), &standing(HealthOutcome::Red));
    scene
        .show(TRIPOD, Exit, &person(1), &standing(HealthOutcome::Red))
        .durable();
    assert_eq!(
        scene.verdicts(),
        [
            (Verdict::Deny, Reason::RedCode),
            (Verdict::Grant, Reason::ExitAlwaysOpen)
        ]
    );
}

#[test]
fn a_screenshot_is_refused_at_the_lane_beside_before_anybody_has_walked() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &dynamic(1), &green());
    scene.show(TRIPOD, Entry, &dynamic(1), &green());
    assert_eq!(scene.verdicts(), [(Verdict::Deny, Reason::Replayed)]);
    scene
        .durable()
        .wait_ms(100)
        .show(TRIPOD, Exit, &dynamic(1), &green());
    assert_eq!(
        scene.verdicts().last(),
        Some(&(Verdict::Assist, Reason::Replayed))
    );
}

#[test]
fn the_same_person_again_in_one_direction_is_passback_and_may_leave() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .walk_through();
    scene.show(FLAP, Entry, &person(1), &green());
    assert_eq!(
        scene.verdicts().last(),
        Some(&(Verdict::Deny, Reason::Passback))
    );
    scene.show(FLAP, Exit, &person(1), &green());
    assert_eq!(scene.gate.lane_view(FLAP).state, "locked");
    scene.durable();
    assert_eq!(scene.verdicts().last(), Some(&IN_ORDER));
}

#[test]
fn used_codes_and_passages_survive_a_restart() {
    let restored = Restored {
        boot: 2,
        seen: vec![(ReplayKey([1; 32]), Utc::from_secs(1_000_030))],
        passed: vec![(
            crate::domain::PassbackKey::Row(RowKey([2; 16])),
            Entry,
            Utc::from_secs(999_000),
        )],
        open_grants: vec![(Some("flap".into()), Entry, GrantId(7))],
        ..Restored::default()
    };
    let mut scene = Scene::with(gate_settings(), &restored);
    let lost = Kind::Outcome {
        direction: Entry,
        outcome: Outcome::UnknownAfterRestart,
        grant: Some(GrantId(7)),
    };
    assert!(
        scene
            .actions
            .iter()
            .any(|action| matches!(action, Action::Record(entry) if entry.record.kind == lost))
    );
    scene
        .show(FLAP, Entry, &dynamic(1), &green())
        .show(FLAP, Entry, &person(2), &green());
    assert_eq!(
        scene.verdicts(),
        [
            (Verdict::Deny, Reason::Replayed),
            (Verdict::Deny, Reason::Passback)
        ]
    );
}

#[test]
fn an_unknown_code_is_asked_about_and_the_answer_decides() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &person(1), &Standing::unknown());
    assert!(scene.saw(&Action::Show(FLAP, Entry, Prompt::Wait)));
    assert!(scene.verdicts().is_empty());
    scene
        .wait_ms(120)
        .step(Event::Answered {
            number: 1,
            answer: Ok(green()),
        })
        .durable();
    assert_eq!(scene.verdicts(), [IN_ORDER]);
}

#[test]
fn silence_of_the_backend_is_timed_out_and_a_late_answer_changes_nothing() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &Standing::unknown())
        .wait_ms(800);
    assert_eq!(
        scene.verdicts(),
        [(Verdict::Assist, Reason::VerificationTimeout)]
    );
    scene.step(Event::Answered {
        number: 1,
        answer: Ok(green()),
    });
    assert_eq!(scene.verdicts().len(), 1);
    scene.show(FLAP, Exit, &person(1), &Standing::unknown());
    scene
        .step(Event::Answered {
            number: 2,
            answer: Err(HealthOutcome::QueryFailed),
        })
        .durable();
    assert_eq!(
        scene.verdicts().last(),
        Some(&(Verdict::Grant, Reason::ExitAlwaysOpen))
    );
}

#[test]
fn one_at_a_time_and_nobody_is_queued() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .forget();
    scene.show(FLAP, Entry, &person(2), &green());
    assert_eq!(scene.verdicts(), [(Verdict::Deny, Reason::LaneBusy)]);
    assert!(
        !scene
            .actions
            .iter()
            .any(|action| matches!(action, Action::Record(_))),
        "a flood cannot fill the journal"
    );
    scene.walk_through().wait_ms(10_000);
    assert_eq!(
        scene.outcomes(),
        [Outcome::Passed],
        "the second person's code never opens the gate later"
    );
}

#[test]
fn a_presentation_that_is_older_than_a_second_is_not_decided_on() {
    let mut scene = Scene::new();
    scene.wait_ms(5_000);
    let finding = Finding::Read {
        credential: person(1),
        standing: green(),
    };
    let old = Mono::from_millis(3_900);
    let assessed = Assessed {
        number: 1,
        lane: FLAP,
        direction: Entry,
        medium: Medium::IdCard,
        seen: old,
        read: old,
        finding,
    };
    scene.step(Event::Presented(assessed));
    assert_eq!(scene.verdicts(), [(Verdict::Deny, Reason::TooLate)]);
}

#[test]
fn a_stalled_disk_holds_the_gate_and_the_late_record_ends_its_grant() {
    let mut scene = Scene::new();
    scene.show(FLAP, Entry, &dynamic(1), &green()).wait_ms(300);
    assert_eq!(
        scene.verdicts(),
        [(Verdict::Assist, Reason::JournalStalled)]
    );
    scene.durable();
    assert!(
        !scene.saw(&Action::ReleaseBarrier(FLAP, Entry)),
        "a late record never opens a gate"
    );
    assert_eq!(scene.outcomes(), [Outcome::NoEntryAfterGrant]);
    scene.show(FLAP, Entry, &dynamic(1), &green()).durable();
    assert_eq!(
        scene.verdicts().last(),
        Some(&IN_ORDER),
        "the code was not used up by the stall"
    );
}

#[test]
fn a_full_journal_opens_where_the_site_says_so_with_an_alarm_and_a_gap_record() {
    let mut scene = Scene::with(
        Settings {
            on_full: OnTrouble::Open,
            ..gate_settings()
        },
        &Restored {
            boot: 1,
            ..Restored::default()
        },
    );
    scene.show(FLAP, Entry, &person(1), &green());
    let grant = scene.grant();
    scene.step(Event::NotDurable(grant, JournalTrouble::Full));
    assert!(scene.saw(&Action::ReleaseBarrier(FLAP, Entry)));
    assert!(scene.saw(&Action::Alarm(None, Alarm::Unrecorded, true)));
    scene
        .walk_through()
        .show(FLAP, Entry, &person(2), &green())
        .durable();
    let gap = |action: &Action| matches!(action, Action::Record(e) if e.record.kind == Kind::Gap { unrecorded: 1 });
    assert!(scene.actions.iter().any(gap));
    assert!(scene.saw(&Action::Alarm(None, Alarm::Unrecorded, false)));
}

#[test]
fn fire_opens_everything_and_stays_latched_until_somebody_resets_it() {
    let mut scene = Scene::new();
    scene
        .show(FLAP, Entry, &person(1), &green())
        .durable()
        .forget()
        .step(Event::Fire(true));
    assert!(
        scene.saw(&Action::ReleaseBothWays(FLAP)) && scene.saw(&Action::ReleaseBothWays(TRIPOD))
    );
    assert!(scene.saw(&Action::Show(FLAP, Entry, Prompt::EmergencyExit)));
    assert_eq!(
        scene.outcomes(),
        [Outcome::NoEntryAfterGrant],
        "the open grant has ended"
    );
    assert!(scene.changes().contains(&StateChange::FireLatched(true)));
    scene
        .walk_through()
        .step(Event::FireReset)
        .step(Event::Fire(false))
        .wait_ms(60_000);
    assert_eq!(
        scene.outcomes(),
        [Outcome::NoEntryAfterGrant, Outcome::PassedUncontrolled]
    );
    assert!(!scene.saw(&Action::LockBarrier(FLAP)));
    scene.beams(true, false).step(Event::FireReset);
    assert!(scene.saw(&Action::LockBarrier(TRIPOD)));
    assert!(
        !scene.saw(&Action::LockBarrier(FLAP)),
        "a flap never closes on a body"
    );
    scene.beams(false, false).wait_ms(1_000);
    assert!(scene.saw(&Action::LockBarrier(FLAP)));
}

#[test]
fn fire_holds_over_a_restart() {
    let restored = Restored {
        boot: 2,
        fire_latched: true,
        ..Restored::default()
    };
    let scene = Scene::with(gate_settings(), &restored);
    assert!(scene.saw(&Action::ReleaseBothWays(FLAP)));
}

#[test]
fn modes_close_sides_and_say_so() {
    let mut scene = Scene::new();
    scene
        .step(Event::ModeSet(FLAP, Mode::Closed))
        .show(FLAP, Entry, &person(1), &green());
    assert_eq!(scene.verdicts(), [(Verdict::Deny, Reason::LaneClosed)]);
    assert!(scene.saw(&Action::Show(FLAP, Entry, Prompt::LaneClosed)));
    scene.show(FLAP, Exit, &person(1), &green()).durable();
    assert_eq!(
        scene.verdicts().last(),
        Some(&IN_ORDER),
        "who is inside may leave"
    );
    scene.forget().step(Event::ModeSet(TRIPOD, Mode::Free));
    assert!(scene.saw(&Action::ReleaseBothWays(TRIPOD)));
    scene.show(TRIPOD, Entry, &person(2), &standing(HealthOutcome::Red));
    assert!(
        scene.verdicts().is_empty(),
        "a free lane decides about nobody"
    );
}

/// SplitMix64: a seed gives the same day for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What must hold whatever happens.
#[derive(Default)]
struct Oracle {
    durable: Vec<GrantId>,
    released: Vec<GrantId>,
    ended: BTreeMap<GrantId, u32>,
    recorded: Vec<GrantId>,
    broken: bool,
    opened_by_all: [bool; 2],
}

impl Oracle {
    fn see(&mut self, seed: u64, action: &Action) {
        match action {
            Action::Decided(decided) if decided.verdict == Verdict::Grant => {
                let grant = decided.grant.expect("a grant has a number");
                assert!(
                    self.durable.contains(&grant),
                    "seed {seed}: released before durable"
                );
                self.released.push(grant);
            }
            Action::Ended(_, _, _, Some(grant)) => *self.ended.entry(*grant).or_default() += 1,
            Action::LockBarrier(FLAP) => {
                assert!(!self.broken, "seed {seed}: the flap closed on a body")
            }
            Action::Record(entry) => self.recorded.extend(entry.grant),
            Action::ReleaseBothWays(lane) => self.opened_by_all[usize::from(lane.0)] = true,
            _ => {}
        }
    }
}

fn random_event(random: &mut Random, scene: &mut Scene, oracle: &mut Oracle) -> Event {
    let lane = LaneId(u8::try_from(random.below(2)).unwrap());
    let direction = if random.below(2) == 0 { Entry } else { Exit };
    match random.below(24) {
        0..=5 => {
            scene.shown += 1;
            let credential = if random.below(2) == 0 {
                person(7)
            } else {
                dynamic(u8::try_from(random.below(9)).unwrap())
            };
            let health = [
                HealthOutcome::Green,
                HealthOutcome::Red,
                HealthOutcome::Unknown,
            ];
            let standing = standing(health[usize::try_from(random.below(3)).unwrap()]);
            let finding = Finding::Read {
                credential,
                standing,
            };
            let (seen, read, medium) = (scene.now.mono, scene.now.mono, Medium::QrCode);
            Event::Presented(Assessed {
                number: scene.shown,
                lane,
                direction,
                medium,
                seen,
                read,
                finding,
            })
        }
        6..=8 => match oracle.recorded.last() {
            Some(grant) if random.below(8) > 0 && !oracle.durable.contains(grant) => {
                oracle.durable.push(*grant);
                Event::Durable(*grant)
            }
            Some(grant) if !oracle.durable.contains(grant) => {
                Event::NotDurable(*grant, JournalTrouble::Failed)
            }
            _ => Event::TimedOut,
        },
        9..=10 => Event::Answered {
            number: scene.shown,
            answer: Ok(green()),
        },
        11..=20 => {
            let (entry, exit) = (random.below(2) == 0, random.below(2) == 0);
            if lane == FLAP {
                oracle.broken = entry || exit;
                Event::Sensed(
                    lane,
                    Levels::default()
                        .with(Sensor::EntryBeam, entry)
                        .with(Sensor::ExitBeam, exit),
                )
            } else {
                Event::Sensed(lane, Levels::default().with(Sensor::EntryRotor, entry))
            }
        }
        21 => Event::Fire(random.below(6) == 0),
        22 => Event::FireReset,
        _ => Event::ModeSet(
            lane,
            [Mode::Normal, Mode::Free, Mode::Closed][usize::try_from(random.below(3)).unwrap()],
        ),
    }
}

#[test]
fn on_random_days_the_rules_hold() {
    for seed in 0..1_500 {
        let mut random = Random(seed);
        let mut scene = Scene::new();
        let mut oracle = Oracle::default();
        for _ in 0..200 {
            let event = random_event(&mut random, &mut scene, &mut oracle);
            scene.forget().step(event);
            let pause = random.below(400);
            // Levels of a bad day change faster than the flap can know; what it may not do is close on what it saw.
            scene
                .actions
                .iter()
                .for_each(|action| oracle.see(seed, action));
            scene.forget().wait_ms(pause);
            scene
                .actions
                .iter()
                .for_each(|action| oracle.see(seed, action));
        }
        // A quiet evening: everybody has gone, the disk has answered.
        oracle.broken = false;
        scene
            .forget()
            .step(Event::Fire(false))
            .step(Event::FireReset);
        scene
            .step(Event::Sensed(FLAP, Levels::default()))
            .step(Event::Sensed(TRIPOD, Levels::default()));
        for lane in [FLAP, TRIPOD] {
            scene.step(Event::ModeSet(lane, Mode::Normal));
        }
        scene.wait_ms(30_000);
        scene
            .actions
            .iter()
            .for_each(|action| oracle.see(seed, action));
        for grant in &oracle.released {
            assert_eq!(
                oracle.ended.get(grant),
                Some(&1),
                "seed {seed}: grant {grant} ends exactly once"
            );
        }
        for lane in [FLAP, TRIPOD] {
            assert_eq!(
                scene.gate.lane_view(lane).state,
                "locked",
                "seed {seed}: the lane did not recover"
            );
        }
        assert_eq!(
            scene.gate.deadline(),
            None,
            "seed {seed}: a timer runs for nobody"
        );
    }
}

#[test]
fn a_deadline_that_was_served_moves_on() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut scene = Scene::new();
        let mut oracle = Oracle::default();
        for _ in 0..100 {
            let event = random_event(&mut random, &mut scene, &mut oracle);
            scene.forget().step(event);
            if let Some(due) = scene.gate.deadline() {
                scene.advance(due.max(scene.now.mono));
                scene.step(Event::TimedOut);
                assert!(
                    scene
                        .gate
                        .deadline()
                        .is_none_or(|next| next > scene.now.mono),
                    "seed {seed}: the loop spins"
                );
            }
        }
    }
}
