//! Offline gives the same verdict as online wherever the same facts are at hand (PEERS, want 3): a gate that has the lists,
//! and one that has them empty and asks a real backend, over drawn people and policies.

use super::*;
use crate::backend::{Backend, Mode};
use crate::codes::row_key::{OPAQUE, row_key, subject_key};
use crate::codes::{Pepper, TrustList};
use crate::core::{Gate, Overlay, Settings};
use crate::domain::{
    Action, ClockQuality, Decided, Digest, Direction, Event, GateId, IssuerId, LaneId, Medium,
    Mono, Personal, Restored, Rule, Shown, Subject, Utc,
};
use crate::runtime::settings::core_settings;
use crate::store::codes::{Change, ListState, MemoryCodes};
use crate::sync::{Client, Online, Report};

const CASES: u64 = 10_000;
const NOW_S: u64 = 1_795_000_000;
const TRUST: &str = r#"
version = 1
issuer = [
    { id = "local", profile = "opaque", detect = [{ prefix = "L:" }] },
    { id = "national", profile = "opaque", detect = [{ prefix = "N:" }], list = ["health"] },
]
"#;

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn row(&mut self, subject: Subject) -> Row {
        let pick = |n: u64| match n {
            0 => 0,
            1 => u32::try_from(NOW_S - 1_000).unwrap(),
            2 => u32::try_from(NOW_S).unwrap(),
            _ => u32::try_from(NOW_S + 1_000).unwrap(),
        };
        Row {
            subject,
            valid_from_s: pick(self.below(8) % 4),
            valid_until_s: pick([0, 0, 0, 3, 3, 2, 1, 0][usize::try_from(self.below(8)).unwrap()]),
            colour: [
                None,
                Some(Colour::Green),
                Some(Colour::Green),
                Some(Colour::Yellow),
                Some(Colour::Red),
            ][usize::try_from(self.below(5)).unwrap()],
            entitlements: u16::try_from(self.below(4)).unwrap(),
            region: [0, 31, 44][usize::try_from(self.below(3)).unwrap()],
        }
    }
}

struct Lists {
    names: [ListId; 2],
    peppers: [Pepper; 2],
    rows: [Vec<(RowKey, Row)>; 2],
}

impl Lists {
    fn code(n: u64) -> (IssuerId, String) {
        let (issuer, letter) = if n.is_multiple_of(2) {
            ("local", 'L')
        } else {
            ("national", 'N')
        };
        (IssuerId::new(issuer).unwrap(), format!("{letter}:{n}"))
    }

    /// People who are in both lists, in one, in none; by their code, and by their subject beside it.
    fn draw(&mut self, draw: &mut Draw) {
        for n in 0..CASES {
            let (issuer, code) = Self::code(n);
            let subject = if draw.below(4) == 0 {
                Subject::NONE
            } else {
                Subject((n + 1).to_be_bytes())
            };
            for at in 0..2 {
                let pepper = &self.peppers[at];
                if draw.below(3) > 0 {
                    let key = row_key(pepper, OPAQUE, &issuer, &code).unwrap();
                    self.rows[at].push((key, draw.row(subject)));
                }
                if subject != Subject::NONE && draw.below(2) == 0 {
                    self.rows[at].push((subject_key(pepper, subject).unwrap(), draw.row(subject)));
                }
            }
        }
    }

    fn codes(&self, full: bool) -> MemoryCodes {
        let codes = MemoryCodes::default();
        for (at, list) in self.names.iter().enumerate() {
            let mut rows: Vec<_> = self.rows[at].iter().filter(|_| full).collect();
            rows.sort_by_key(|(key, _)| *key);
            let mut digest = Digest::default();
            rows.iter()
                .for_each(|(key, row)| digest.add(key, &row.encode()));
            let state = ListState {
                era: 1,
                version: 1,
                created: Utc::from_secs(NOW_S - 60),
                fresh_until: Utc::from_secs(NOW_S + 3_600),
                pepper_id: self.peppers[at].id(),
                rows: rows.len() as u64,
                digest,
            };
            let mut load = codes.begin(list, state.rows).unwrap();
            rows.iter()
                .for_each(|(key, row)| load.push(*key, &row.encode()).unwrap());
            load.commit(&state).unwrap();
        }
        codes
    }

    fn assessor(&self, full: bool) -> Assessor {
        let peppers = self.names.iter().cloned().zip(self.peppers.iter().cloned());
        let trust = TrustList::parse(TRUST).unwrap();
        Assessor {
            trust: codes::Reader::new(trust, peppers.collect()).unwrap().into(),
            cache: Arc::new(self.codes(full)),
            lists: self
                .names
                .iter()
                .map(|list| (list.clone(), Duration::from_secs(3_600)))
                .collect(),
            certificates: Vec::new(),
            learned: None,
        }
    }
}

/// A gate decides. `None`: it asks.
fn decide(gate: &mut Gate, now: Now, event: Event) -> Option<Decided> {
    let mut out = Vec::new();
    gate.step(now, event, &mut out);
    out.iter().find_map(|action| {
        if let Action::Decided(decided) = action {
            Some(*decided)
        } else {
            None
        }
    })
}

fn settings(draw: &mut Draw, asks: bool) -> Settings {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/example.toml");
    let config = crate::config::parse(
        std::path::Path::new(path),
        &std::fs::read_to_string(path).unwrap(),
    );
    let mut settings = core_settings(&config.unwrap());
    let mut rule =
        || [Rule::Open, Rule::Assist, Rule::Hold][usize::try_from(draw.below(3)).unwrap()];
    for rules in [&mut settings.entry, &mut settings.exit] {
        (rules.green, rules.yellow, rules.red) = (rule(), rule(), rule());
        (rules.unknown, rules.not_applied) = (rule(), rule());
    }
    let mut other = settings.entry;
    (other.yellow, other.not_applied) = (rule(), rule());
    settings.overlays = vec![Overlay {
        issuers: Vec::new(),
        regions: vec![44],
        entry: other,
        exit: settings.exit,
    }];
    settings.health_required = draw.below(4) > 0;
    settings.required_entitlements = u16::try_from(draw.below(4)).unwrap();
    settings.resolve = asks.then_some(Duration::from_millis(1_400));
    settings
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one comparison, from drawing to verdict"
)]
async fn offline_and_online_agree_over_ten_thousand_people() {
    let dir = tempfile::tempdir().unwrap();
    let clock: crate::backend::Clock = Arc::new(|| Utc::from_secs(NOW_S));
    let backend = Backend::start_with(([127, 0, 0, 1], 0).into(), dir.path(), clock)
        .await
        .unwrap();
    let names = ["health", "ride"].map(|name| ListId::new(name).unwrap());
    let peppers = [
        backend.pepper(&names[0]).unwrap(),
        backend.pepper(&names[1]).unwrap(),
    ];
    let mut lists = Lists {
        names,
        peppers,
        rows: [Vec::new(), Vec::new()],
    };
    let mut draw = Draw(20_261_124);
    lists.draw(&mut draw);
    for (at, list) in lists.names.iter().enumerate() {
        let changes = lists.rows[at]
            .iter()
            .map(|(key, row)| Change::Put(*key, row.encode()));
        backend
            .import(list, Mode::Replace, changes.collect())
            .await
            .unwrap();
    }
    let (at_hand, empty) = (lists.assessor(true), lists.assessor(false));
    let (events, _heard) = mpsc::channel(1_024);
    let online = Online::new(
        GateId::new("g").unwrap(),
        &lists.names,
        Arc::new(Client::new(&backend.url()).unwrap()),
        Arc::new(Report::new(events)),
    );
    let (mut compared, mut granted) = (0, 0);
    for n in 0..CASES {
        let direction = if draw.below(4) == 0 {
            Direction::Exit
        } else {
            Direction::Entry
        };
        let seed = draw.below(u64::MAX);
        let now = Now {
            mono: Mono::from_millis(5_000),
            utc: Some(Utc::from_millis(
                NOW_S * 1_000 + [0, 500, 999, 1_000][usize::try_from(draw.below(4)).unwrap()],
            )),
            quality: ClockQuality::Synchronised,
        };
        let shown = |assessor: &Assessor| {
            assessor.assess(&Job {
                number: n,
                now,
                floor: Utc::default(),
                certificates: None,
                presentation: Presentation {
                    lane: LaneId(0),
                    direction,
                    medium: Medium::QrCode,
                    shown: Shown::Code(Personal::new(Lists::code(n).1)),
                    seen: now.mono,
                    read: now.mono,
                },
            })
        };
        let gate = |asks| {
            let mut wide = settings(&mut Draw(seed), asks);
            wide.lanes
                .iter_mut()
                .for_each(|lane| lane.directions = vec![Direction::Entry, Direction::Exit]);
            Gate::new(wide, Restored::default(), now, &mut Vec::new())
        };
        let offline = decide(
            &mut gate(false),
            now,
            Event::Presented(shown(&at_hand).assessed),
        )
        .unwrap();
        let assessment = shown(&empty);
        let mut asking = gate(true);
        let at_once = decide(&mut asking, now, Event::Presented(assessment.assessed));
        // On the way out nobody waits for a network where it would open anyhow; and a ride that needs no entitlement.
        let Some(decided) = (match at_once {
            Some(_) => None,
            None => {
                let question = assessment.asking.unwrap().question;
                let answer = online.resolve(&question, Duration::from_secs(10)).await;
                decide(&mut asking, now, Event::Answered { number: n, answer })
            }
        }) else {
            continue;
        };
        let verdict = |decided: &Decided| (decided.verdict, decided.reason);
        assert_eq!(
            verdict(&decided),
            verdict(&offline),
            "{n} {direction} {:?}",
            settings(&mut Draw(seed), true)
        );
        compared += 1;
        granted += u32::from(decided.grant.is_some());
    }
    assert!(
        compared > CASES / 2 && granted > 100,
        "{compared} compared, {granted} granted"
    );
    backend.shutdown().await;
}
