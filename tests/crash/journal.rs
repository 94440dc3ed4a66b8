//! The journal and the state in it, under power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use turnstiled::domain::{
    Direction, Entry, GrantId, IssuerId, Kind, Medium, Mode, Mono, Now, Outcome, PassbackKey,
    Prompt, Reason, Record, ReplayKey, Restored, RowKey, StaffMode, StateChange, Subject, Utc,
    Verdict,
};
use turnstiled::lab::random::SplitMix64;
use turnstiled::store::journal::{Journal, Limits};

use crate::{cut_the_power, seed, times, under_the_tape};

const LIMITS: Limits = Limits::of_mib(64);
const STEPS: usize = 160;
const FLOORS: [&str; 3] = ["list/health", "list/ride", "trust"];
const REMEMBER: Duration = Duration::from_secs(600);
const DAY_S: u64 = 1_795_000_000;

#[test]
fn a_power_cut_takes_nothing_that_was_promised() {
    let steps = steps();
    let mut states = vec![State::default()];
    for step in &steps {
        let mut next = states[states.len() - 1].clone();
        next.take(step);
        states.push(next);
    }
    let history = states[states.len() - 1].texts.clone();
    let images = times("CRASH_IMAGES", 60);
    cut_the_power("journal", "journal::run", images, |image, promised| {
        let (journal, restored) = Journal::open(&image.join("journal"), LIMITS).unwrap();
        let found = State::of(&journal, &restored);
        let came_to = if found.is(&states[promised.done], &history) {
            "as promised"
        } else {
            assert!(
                promised.begun > promised.done,
                "{found:#?}\nis not\n{:#?}",
                states[promised.done]
            );
            let asked = &states[promised.begun];
            assert!(found.is(asked, &history), "{found:#?}\nis not\n{asked:#?}");
            "what was asked for is there too"
        };
        // It goes on from there.
        journal.append(&[started()]).unwrap();
        journal.verify().unwrap();
        came_to
    });
}

/// The process under the tape.
#[test]
#[ignore = "runs under the tape"]
fn run() {
    let (dir, mut say) = under_the_tape();
    let open = || Journal::open(&dir.join("journal"), LIMITS).unwrap().0;
    let mut journal = None;
    for step in steps() {
        say("begin".into());
        match (&step, &journal) {
            (Step::Start, _) => {
                // The old one is closed first.
                drop(journal.take());
                journal = Some(open());
            }
            (step, Some(journal)) => perform(journal, step),
            (_, None) => unreachable!("the first step is a start"),
        }
        say("done".into());
    }
}

fn perform(journal: &Journal, step: &Step) {
    match step {
        Step::Start => {}
        Step::Append(entries) => drop(journal.append(entries).unwrap()),
        Step::Acknowledge(seq) => journal.acknowledge(*seq).unwrap(),
        Step::Floor(name, version) => drop(journal.raise_floor(name, 1, *version).unwrap()),
        Step::ClockFloor(to) => journal.raise_clock_floor(*to).unwrap(),
        Step::State(changes) => journal.change_state(changes).unwrap(),
        Step::Prune(now) => drop(journal.prune(*now, REMEMBER).unwrap()),
        Step::NewEpoch => drop(journal.new_epoch().unwrap()),
    }
}

/// One thing that is asked of a journal, and durable when it answers.
enum Step {
    Start,
    Append(Vec<Entry>),
    Acknowledge(u64),
    Floor(&'static str, u64),
    ClockFloor(Utc),
    State(Vec<StateChange>),
    Prune(Utc),
    NewEpoch,
}

/// Staff want something of a lane, or no longer.
fn staff_mode(random: &mut SplitMix64) -> StateChange {
    let wanted = random.percent(70).then(|| StaffMode {
        mode: Mode::ALL[random.index(Mode::ALL.len())],
        by: Some(1_000),
        until: random.percent(50).then(|| Utc::from_secs(DAY_S + 9_000)),
    });
    let lane = if random.percent(50) { "north" } else { "south" };
    StateChange::StaffMode {
        lane: lane.into(),
        wanted,
    }
}

/// The same steps for the process and for whoever checks it.
fn steps() -> Vec<Step> {
    let mut random = SplitMix64::new(seed());
    let mut steps = vec![Step::Start];
    let (mut next_seq, mut acked, mut version) = (1u64, 0u64, 0u64);
    while steps.len() < STEPS {
        let now = Utc::from_secs(DAY_S + steps.len() as u64 * 30);
        steps.push(match random.below(20) {
            0 => Step::Start,
            1 | 2 => {
                version += 1;
                Step::Floor(FLOORS[random.index(FLOORS.len())], version)
            }
            3 => Step::ClockFloor(now),
            4 if random.percent(50) => Step::State(vec![staff_mode(&mut random)]),
            4 => Step::State(vec![StateChange::FireLatched(random.percent(50))]),
            5 => Step::Prune(now),
            6 => Step::NewEpoch,
            7..=10 if acked + 1 < next_seq => {
                acked += 1 + random.below(next_seq - acked - 1);
                Step::Acknowledge(acked)
            }
            _ => {
                let largest = if random.percent(10) { 40 } else { 4 };
                let group = 1 + random.below(largest);
                let entries = (0..group).map(|n| entry(next_seq + n, now, &mut random));
                let entries = entries.collect();
                next_seq += group;
                Step::Append(entries)
            }
        });
    }
    steps
}

fn started() -> Entry {
    let kind = Kind::Started {
        software: "next".into(),
    };
    Entry {
        grant: None,
        record: Record::new(1, Now::default(), None, kind),
        changes: Vec::new(),
    }
}

/// A grant with its state, or the end of an earlier one.
fn entry(seq: u64, now: Utc, random: &mut SplitMix64) -> Entry {
    let at = Now {
        utc: random.percent(90).then_some(now),
        mono: Mono::default() + Duration::from_millis(seq),
        ..Now::default()
    };
    let lane = Some("north".to_owned());
    let person = random.below(12);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seq.to_be_bytes());
    let passback = if person.is_multiple_of(2) {
        PassbackKey::Subject(Subject(person.to_be_bytes()))
    } else {
        PassbackKey::Row(RowKey([u8::try_from(person).unwrap(); 16]))
    };
    if random.percent(40) {
        let kind = Kind::Outcome {
            direction: Direction::Entry,
            outcome: Outcome::Passed,
            grant: Some(GrantId(seq.saturating_sub(1 + random.below(4)))),
        };
        let back = StateChange::PassedBack {
            key: passback,
            before: random.percent(50).then_some((Direction::Exit, now)),
        };
        return Entry {
            grant: None,
            record: Record::new(1, at, lane, kind),
            changes: if random.percent(30) {
                vec![back]
            } else {
                Vec::new()
            },
        };
    }
    let kind = Kind::Decision {
        direction: Direction::Entry,
        medium: Medium::QrCode,
        issuer: Some(IssuerId::new("health").unwrap()),
        subject: Some(Subject(person.to_be_bytes())),
        verdict: Verdict::Grant,
        reason: Reason::InOrder,
        prompt: Prompt::Go,
        grant: Some(GrantId(seq)),
        lists: Vec::new(),
        elsewhere: None,
        region: 0,
    };
    Entry {
        grant: Some(GrantId(seq)),
        record: Record::new(1, at, lane, kind),
        changes: vec![
            StateChange::Seen {
                key: ReplayKey(key),
                until: now + Duration::from_secs(random.below(1_200)),
            },
            StateChange::Passed {
                key: passback,
                direction: Direction::Entry,
                at: now,
            },
        ],
    }
}

/// What a journal holds, in plain words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    boot: u32,
    /// Every record ever written, by its number.
    texts: BTreeMap<u64, String>,
    acked: u64,
    floors: BTreeMap<&'static str, u64>,
    seen: BTreeMap<ReplayKey, Utc>,
    passed: BTreeMap<PassbackKey, (Direction, Utc)>,
    fire: bool,
    staff_modes: BTreeMap<String, StaffMode>,
    clock_floor: Option<Utc>,
    open_grants: BTreeSet<GrantId>,
}

impl State {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Start => self.boot += 1,
            Step::Append(entries) => entries.iter().for_each(|entry| self.append(entry)),
            Step::Acknowledge(seq) => self.acked = *seq,
            Step::Floor(name, version) => drop(self.floors.insert(name, *version)),
            Step::ClockFloor(to) => self.clock_floor = self.clock_floor.max(Some(*to)),
            Step::State(changes) => changes.iter().for_each(|change| self.change(change)),
            Step::Prune(now) => {
                self.seen.retain(|_, until| *until >= *now);
                self.passed.retain(|_, (_, at)| *at >= *now - REMEMBER);
            }
            Step::NewEpoch => {}
        }
    }

    fn append(&mut self, entry: &Entry) {
        let seq = self.texts.len() as u64 + 1;
        self.texts
            .insert(seq, serde_json::to_string(&entry.record).unwrap());
        self.clock_floor = self
            .clock_floor
            .max(entry.record.utc_ms.map(Utc::from_millis));
        if let Kind::Decision {
            grant: Some(grant), ..
        } = &entry.record.kind
        {
            self.open_grants.insert(*grant);
        }
        if let Kind::Outcome {
            grant: Some(grant), ..
        } = &entry.record.kind
        {
            self.open_grants.remove(grant);
        }
        entry.changes.iter().for_each(|change| self.change(change));
    }

    fn change(&mut self, change: &StateChange) {
        match change {
            StateChange::Seen { key, until } => drop(self.seen.insert(*key, *until)),
            StateChange::Unseen { key } => drop(self.seen.remove(key)),
            StateChange::Passed { key, direction, at } => {
                self.passed.insert(*key, (*direction, *at));
            }
            StateChange::PassedBack {
                key,
                before: Some(before),
            } => {
                self.passed.insert(*key, *before);
            }
            StateChange::PassedBack { key, before: None } => drop(self.passed.remove(key)),
            StateChange::FireLatched(latched) => self.fire = *latched,
            StateChange::StaffMode {
                lane,
                wanted: Some(wanted),
            } => drop(self.staff_modes.insert(lane.clone(), *wanted)),
            StateChange::StaffMode { lane, wanted: None } => drop(self.staff_modes.remove(lane)),
        }
    }

    /// What was found after a cut, before the start that found it.
    fn of(journal: &Journal, restored: &Restored) -> Self {
        let status = journal.status();
        let waiting = journal
            .read(status.acked_seq, usize::MAX, usize::MAX)
            .unwrap();
        let numbers = waiting.iter().map(|record| record.seq);
        assert!(
            numbers.eq(status.acked_seq + 1..status.next_seq),
            "in order, without a gap"
        );
        let grants = restored.open_grants.iter();
        Self {
            boot: restored.boot - 1,
            texts: waiting
                .into_iter()
                .map(|record| (record.seq, record.record))
                .collect(),
            acked: status.acked_seq,
            floors: FLOORS
                .into_iter()
                .filter_map(|name| Some((name, journal.floor(name).unwrap()?.1)))
                .collect(),
            seen: restored.seen.iter().copied().collect(),
            passed: restored
                .passed
                .iter()
                .map(|(key, way, at)| (*key, (*way, *at)))
                .collect(),
            fire: restored.fire_latched,
            staff_modes: restored.staff_modes.iter().cloned().collect(),
            clock_floor: restored.clock_floor,
            open_grants: grants.map(|(_, _, grant)| *grant).collect(),
        }
    }

    /// True if this is what is expected. What the backend has acknowledged may be here again, as it was.
    fn is(&self, expected: &Self, history: &BTreeMap<u64, String>) -> bool {
        let last =
            |texts: &BTreeMap<u64, String>, acked| texts.keys().last().copied().unwrap_or(acked);
        let rest = |state: &Self| Self {
            texts: BTreeMap::new(),
            acked: 0,
            ..state.clone()
        };
        self.acked <= expected.acked
            && last(&self.texts, self.acked) == last(&expected.texts, expected.acked)
            && self
                .texts
                .iter()
                .all(|(seq, text)| history.get(seq) == Some(text))
            && rest(self) == rest(expected)
    }
}

#[test]
fn the_check_finds_what_is_missing() {
    let mut whole = State::default();
    steps().iter().for_each(|step| whole.take(step));
    let history = whole.texts.clone();
    assert!(whole.clone().is(&whole, &history));
    let spoiled: [fn(&mut State); 6] = [
        |state| drop(state.texts.pop_last()),
        |state| state.seen.clear(),
        |state| state.floors.clear(),
        |state| state.fire = !state.fire,
        |state| {
            let lane = state.staff_modes.len().to_string();
            let wanted = StaffMode {
                mode: Mode::Closed,
                by: None,
                until: None,
            };
            state.staff_modes.insert(lane, wanted);
        },
        |state| state.clock_floor = None,
    ];
    for spoil in spoiled {
        let mut less = whole.clone();
        spoil(&mut less);
        assert!(!less.is(&whole, &history));
    }
}
