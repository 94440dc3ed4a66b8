//! What a step of the core costs, for each kind of barrier, beside a hash of one short text and an empty step in the same
//! run; and how many lanes one processor core could drive by that.
//!
//! `cargo bench --bench core`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::indexing_slicing,
    reason = "a bench that cannot measure has failed, and it prints"
)]

use std::hint::black_box;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use turnstiled::core::{
    Barrier, Below, Drive, Gate, LaneSettings, OnTrouble, Passback, Rules, Settings,
};
use turnstiled::domain::{
    Action, Assessed, Credential, Direction, Event, Finding, HealthOutcome, IssuerId, LaneId,
    Levels, ListId, Medium, Mode, Mono, Now, Restored, RowKey, Rule, Sensor, Standing, Utc,
};

const LANE: LaneId = LaneId(0);
/// People of one run; each run is measured, and the median counts.
const PEOPLE: u32 = 2_000;
const RUNS: usize = 15;
/// What one lane asks of the core in a second at its busiest: levels repeated every 100 ms, and two passages in three
/// seconds, each with this many events of its own.
const REPEATS: f64 = 10.0;
const PASSAGES: f64 = 40.0 / 60.0;

fn main() {
    let hash = median(|| {
        let text = [7u8; 64];
        timed(PEOPLE * 20, || {
            black_box(Sha256::digest(black_box(text)));
        })
    });
    let empty = median(|| {
        let (mut gate, _) = gate(Barrier::Flap, &Sensor::BEAMS);
        let mut out = Vec::new();
        timed(PEOPLE * 20, || {
            gate.step(now(0), black_box(Event::TimedOut), &mut out);
            out.clear();
        })
    });
    println!("{:<44} {:>9} {:>9}", "", "ns", "hashes");
    println!("{:<44} {hash:>9.0} {:>9.2}", "SHA-256 of 64 bytes", 1.0);
    println!(
        "{:<44} {empty:>9.0} {:>9.2}",
        "step, nothing happens",
        empty / hash
    );
    let beams = |n: usize| [&Sensor::BEAMS[..n - 1], &[Sensor::ExitBeam]].concat();
    let with_ends = |n| [beams(n), vec![Sensor::Opened, Sensor::Closed]].concat();
    let rotor = vec![
        Sensor::EntryRotor,
        Sensor::ExitRotor,
        Sensor::PassPoint,
        Sensor::ResetPoint,
    ];
    let pulse = Drive::Pulse(Duration::from_millis(500));
    let kinds = [
        ("flap, 2 beams", Barrier::Flap, beams(2)),
        (
            "swing, 4 beams, limit switches",
            Barrier::Swing,
            with_ends(4),
        ),
        (
            "full height, 6 beams, limit switches",
            Barrier::FullHeight,
            with_ends(6),
        ),
        (
            "tripod, points of 67 and 112 degrees",
            Barrier::Tripod { drive: pulse },
            rotor,
        ),
    ];
    for (name, barrier, sensors) in kinds {
        let (mut per_repeat, mut per_passage, mut events) = (Vec::new(), Vec::new(), 0);
        for _ in 0..RUNS {
            let (repeat, passage, of_passage) = day(barrier, &sensors);
            per_repeat.push(repeat);
            per_passage.push(passage);
            events = of_passage;
        }
        let (repeat, passage) = (middle(per_repeat), middle(per_passage));
        let step = passage / f64::from(events);
        println!(
            "{:<44} {repeat:>9.0} {:>9.2}",
            format!("{name}: levels repeated"),
            repeat / hash
        );
        println!(
            "{:<44} {step:>9.0} {:>9.2}",
            format!("{name}: step of a passage"),
            step / hash
        );
        let busy = REPEATS * repeat + PASSAGES * passage;
        println!(
            "{:<44} {:>9.0}",
            format!("{name}: lanes a core could drive"),
            1e9 / busy
        );
    }
}

/// Many people at one lane: nanoseconds of one repeated level, nanoseconds of a whole passage, and its events.
fn day(barrier: Barrier, sensors: &[Sensor]) -> (f64, f64, u32) {
    let (mut gate, mut out) = gate(barrier, sensors);
    let shut: Levels = sensors
        .iter()
        .copied()
        .filter(|of| *of == Sensor::Closed)
        .collect();
    let (mut us, mut events, mut spent) = (0u64, 0u32, Duration::ZERO);
    gate.step(now(us), Event::Sensed(LANE, shut), &mut out);
    for person in 0..PEOPLE {
        us += 1_000_000;
        let mut script = vec![(0, presented(person, us))];
        script.extend(walk(sensors, shut));
        out.clear();
        events = 0;
        let mut granted = None;
        for (after, event) in script {
            let begun = Instant::now();
            gate.step(now(us + after), event, &mut out);
            spent += begun.elapsed();
            events += 1;
            let found = out.drain(..).find_map(|action| match action {
                Action::Record(entry) => entry.grant,
                Action::ReleaseBarrier(..)
                | Action::ReleaseBothWays(_)
                | Action::LockBarrier(_)
                | Action::Show(..)
                | Action::AskOnline { .. }
                | Action::Claim { .. }
                | Action::Unclaim(_)
                | Action::Decided(_)
                | Action::Ended(..)
                | Action::SensorSticks(..)
                | Action::Alarm(..) => None,
            });
            if let Some(grant) = found {
                granted = Some(grant);
                let begun = Instant::now();
                gate.step(now(us + after + 1), Event::Durable(grant), &mut out);
                spent += begun.elapsed();
                events += 1;
            }
        }
        assert!(granted.is_some(), "everybody is let through");
        us += 10_000_000;
        gate.step(now(us), Event::TimedOut, &mut out);
        assert_eq!(gate.lane_view(LANE).state, "locked");
    }
    let repeat = timed(PEOPLE * 5, || {
        us += 100_000;
        gate.step(now(us), Event::Sensed(LANE, shut), &mut out);
        out.clear();
    });
    // The clock is read once an event here, as the loop reads it.
    (repeat, nanos(spent) / f64::from(PEOPLE), events)
}

/// The levels of one person who walks through, each said twice, with the leaf moving as it should.
fn walk(sensors: &[Sensor], shut: Levels) -> Vec<(u64, Event)> {
    let has_ends = sensors.contains(&Sensor::Closed);
    let path: Vec<_> = if sensors.contains(&Sensor::EntryRotor) {
        vec![
            vec![Sensor::EntryRotor],
            vec![Sensor::EntryRotor, Sensor::PassPoint],
            vec![Sensor::EntryRotor, Sensor::ResetPoint],
        ]
    } else {
        let beams = Sensor::BEAMS
            .into_iter()
            .filter(|beam| sensors.contains(beam));
        beams.map(|beam| vec![beam]).collect()
    };
    let mut said = Vec::new();
    for (nth, active) in (1u64..).zip(path) {
        let levels: Levels = active.into_iter().collect();
        let levels = levels.with(Sensor::Opened, has_ends);
        said.extend([(nth * 300_000, levels), (nth * 300_000 + 100_000, levels)]);
    }
    let last = said.last().map_or(0, |(at, _)| *at);
    let open = Levels::default().with(Sensor::Opened, has_ends);
    said.extend([
        (last + 200_000, open),
        (last + 300_000, open),
        (last + 900_000, shut),
        (last + 1_000_000, shut),
    ]);
    said.into_iter()
        .map(|(at, levels)| (at, Event::Sensed(LANE, levels)))
        .collect()
}

fn presented(person: u32, us: u64) -> Event {
    let mut key = [0; 16];
    let [a, b, c, d] = person.to_be_bytes();
    key[..4].copy_from_slice(&[a, b, c, d]);
    let read = Mono::from_micros(us);
    Event::Presented(Assessed {
        number: u64::from(person),
        lane: LANE,
        direction: Direction::Entry,
        medium: Medium::QrCode,
        seen: read,
        read,
        finding: Finding::Read {
            credential: Credential {
                issuer: IssuerId::new("metro").unwrap(),
                medium: Medium::QrCode,
                keys: vec![(ListId::new("health").unwrap(), RowKey(key))],
                replay: None,
                valid_from: None,
                valid_until: None,
                alone: Rule::Open,
                unknown: None,
                trust_expired: false,
                assurance: turnstiled::domain::Assurance::Signed,
            },
            standing: Standing {
                health: HealthOutcome::Green,
                subject: None,
                valid_from: None,
                valid_until: None,
                entitlements: 1,
                lists: Vec::new(),
                stale: false,
                region: 0,
            },
        },
    })
}

fn gate(barrier: Barrier, sensors: &[Sensor]) -> (Gate, Vec<Action>) {
    let rules = Rules {
        green: Rule::Open,
        yellow: Rule::Assist,
        red: Rule::Assist,
        unknown: Rule::Assist,
        not_applied: Rule::Assist,
        query_failed: Rule::Assist,
        timed_out: Rule::Assist,
        stale: Rule::Assist,
        trust_expired: Rule::Assist,
        clock_untrusted: Rule::Assist,
        assurance: turnstiled::domain::Assurance::Identifier,
    };
    let lane = LaneSettings {
        name: "lane".into(),
        barrier,
        directions: vec![Direction::Entry, Direction::Exit],
        mode: Mode::Normal,
        schedule: turnstiled::domain::Schedule::default(),
        release: Duration::from_secs(5),
        debounce: Duration::from_millis(10),
        obstruction: Duration::from_secs(10),
        sensors: sensors.to_vec(),
        travel: Duration::from_secs(2),
        follower_gap: Duration::from_secs(1),
        below: Below::Luggage,
        group_max: 1,
        duty_percent: 100,
    };
    let settings = Settings {
        lanes: vec![lane],
        entry: rules,
        exit: rules,
        passback: Some(Passback {
            remember: Duration::from_secs(3_600),
            soft: false,
            wide: false,
        }),
        claims: None,
        resolve: None,
        stall: Duration::from_millis(300),
        on_stall: OnTrouble::Hold,
        on_full: OnTrouble::Hold,
        software: "bench".into(),
        required_entitlements: 1,
        health_required: true,
        overlays: Vec::new(),
        certificates: None,
    };
    let mut out = Vec::new();
    let gate = Gate::new(settings, Restored::default(), now(0), &mut out);
    (gate, out)
}

fn now(us: u64) -> Now {
    Now {
        mono: Mono::from_micros(us),
        utc: Some(Utc::from_millis(1_900_000_000_000 + us / 1_000)),
        ..Now::default()
    }
}

/// Nanoseconds of one go.
fn timed(times: u32, mut go: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..times).for_each(|_| go());
    nanos(begun.elapsed()) / f64::from(times)
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn median(run: impl FnMut() -> f64) -> f64 {
    middle(std::iter::repeat_with(run).take(RUNS).collect())
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
