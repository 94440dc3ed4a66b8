//! The codes cache under power cuts. It may lose a copy that was being changed in several steps, because the lists come
//! again; it must never answer from a mixture, and what was promised whole is there whole.

use std::collections::BTreeMap;
use std::path::Path;

use turnstiled::domain::standing::ROW_VALUE_LEN;
use turnstiled::domain::{Colour, Digest, ListId, Row, RowKey, Subject, Utc};
use turnstiled::lab::random::SplitMix64;
use turnstiled::store::codes::{Change, Codes as _, ListState, SledCodes, Verify};

use crate::{cut_the_power, seed, times, under_the_tape};

const STEPS: usize = 30;
/// Row keys that are ever used.
const UNIVERSE: u64 = 6_000;

type Rows = BTreeMap<RowKey, [u8; ROW_VALUE_LEN]>;

#[test]
fn a_power_cut_leaves_a_whole_version_or_none_that_was_promised() {
    let (list, steps) = (list(), steps());
    let images = times("CRASH_IMAGES", 60);
    cut_the_power("codes cache", "cache::run", images, |image, promised| {
        let codes = open(image);
        // Step 0 is the empty cache.
        let version = codes.state(&list).map(|state| state.version);
        let came_to = match version {
            None if promised.done <= 1 => return "nothing yet",
            None => {
                let torn = promised.begun > promised.done && steps[promised.done].is_long_delta();
                assert!(
                    torn,
                    "version {} was promised and is gone",
                    promised.done - 1
                );
                return "dropped in the middle of a long delta";
            }
            Some(version) if version + 1 == promised.done as u64 => "as promised",
            Some(version) => {
                assert!(version + 1 == promised.begun as u64, "version {version}");
                "what was asked for is there too"
            }
        };
        let step = &steps[usize::try_from(version.unwrap()).unwrap()];
        assert_eq!(codes.state(&list), Some(step.state));
        for number in 0..UNIVERSE {
            let found = codes.look_up(&list, &key(number)).unwrap();
            let expected = step.rows.get(&key(number));
            assert_eq!(found.map(|row| row.encode()).as_ref(), expected);
        }
        came_to
    });
}

/// The process under the tape.
#[test]
#[ignore = "runs under the tape"]
fn run() {
    let (dir, mut say) = under_the_tape();
    let list = list();
    let mut codes = None;
    for step in steps() {
        say("begin".into());
        let reopened = || open(&dir);
        if step.restart {
            drop(codes.take());
        }
        let codes = codes.get_or_insert_with(reopened);
        match &step.how {
            How::Nothing => {}
            How::Snapshot => {
                let mut load = codes.begin(&list, step.rows.len() as u64).unwrap();
                for (key, value) in &step.rows {
                    load.push(*key, value).unwrap();
                }
                load.commit(&step.state).unwrap();
            }
            How::Delta(changes) => codes.apply(&list, changes, &step.state).unwrap(),
        }
        say("done".into());
    }
}

fn open(dir: &Path) -> SledCodes {
    SledCodes::open(&dir.join("codes"), &[list()], Verify::First).unwrap()
}

fn list() -> ListId {
    ListId::new("health").unwrap()
}

fn key(number: u64) -> RowKey {
    let mut random = SplitMix64::new(number);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random.next_u64().to_be_bytes());
    key[8..].copy_from_slice(&random.next_u64().to_be_bytes());
    RowKey(key)
}

enum How {
    Nothing,
    Snapshot,
    Delta(Vec<Change>),
}

/// What leads to a version, and the version.
struct Step {
    how: How,
    /// The cache is closed and opened before.
    restart: bool,
    rows: Rows,
    state: ListState,
}

impl Step {
    /// A delta that does not fit into one batch of the store.
    fn is_long_delta(&self) -> bool {
        matches!(&self.how, How::Delta(changes) if changes.len() > 1_000)
    }
}

/// The same steps for the process and for whoever checks it. Version n is what step n leads to.
fn steps() -> Vec<Step> {
    let mut random = SplitMix64::new(seed());
    let mut rows = Rows::new();
    let mut steps = vec![Step {
        how: How::Nothing,
        restart: true,
        rows: Rows::new(),
        state: state(0, &rows),
    }];
    while steps.len() < STEPS {
        let snapshot = steps.len() == 1 || random.percent(10);
        let count = match random.below(4) {
            _ if snapshot => 3_000,
            0 => 1_500,
            1 => 1,
            _ => 1 + random.below(200),
        };
        let numbers: std::collections::BTreeSet<_> =
            (0..count).map(|_| key(random.below(UNIVERSE))).collect();
        let changes: Vec<_> = numbers
            .into_iter()
            .map(|key| match random.below(4) {
                0 => Change::Remove(key),
                _ => Change::Put(key, value(&mut random)),
            })
            .collect();
        for change in &changes {
            match change {
                Change::Put(key, value) => drop(rows.insert(*key, *value)),
                Change::Remove(key) => drop(rows.remove(key)),
            }
        }
        steps.push(Step {
            how: if snapshot {
                How::Snapshot
            } else {
                How::Delta(changes)
            },
            restart: random.percent(10),
            state: state(steps.len() as u64, &rows),
            rows: rows.clone(),
        });
    }
    steps
}

fn value(random: &mut SplitMix64) -> [u8; ROW_VALUE_LEN] {
    let colours = [
        Some(Colour::Green),
        Some(Colour::Yellow),
        Some(Colour::Red),
        None,
    ];
    let row = Row {
        subject: Subject(random.next_u64().to_be_bytes()),
        valid_from_s: 0,
        valid_until_s: 0,
        colour: colours[random.index(colours.len())],
        entitlements: 1,
        region: 0,
    };
    row.encode()
}

fn state(version: u64, rows: &Rows) -> ListState {
    let mut digest = Digest::default();
    rows.iter().for_each(|(key, value)| digest.add(key, value));
    ListState {
        era: 1,
        version,
        created: Utc::from_secs(1_795_000_000 + version),
        fresh_until: Utc::from_secs(1_795_100_000 + version),
        pepper_id: 7,
        rows: rows.len() as u64,
        digest,
    }
}
