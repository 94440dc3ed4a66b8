//! The cache on a real disk: loads, deltas, and everything that can be done to its files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::domain::{Colour, Subject};

type Rows = BTreeMap<RowKey, [u8; ROW_VALUE_LEN]>;

fn list() -> ListId {
    ListId::new("health.test").unwrap()
}

fn spread(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}

fn key(n: u64) -> RowKey {
    let high = u128::from(spread(n)) << 64;
    RowKey((high | u128::from(spread(!n))).to_be_bytes())
}

fn value(n: u64) -> [u8; ROW_VALUE_LEN] {
    let colours = [Some(Colour::Green), Some(Colour::Yellow), Some(Colour::Red)];
    Row {
        subject: Subject(n.to_be_bytes()),
        valid_from_s: 0,
        valid_until_s: 0,
        colour: colours[(n % 3) as usize],
        entitlements: 1,
        region: 0,
    }
    .encode()
}

fn rows(numbers: std::ops::Range<u64>) -> Rows {
    numbers.map(|n| (key(n), value(n))).collect()
}

fn state(version: u64, rows: &Rows) -> ListState {
    let mut digest = Digest::default();
    rows.iter().for_each(|(key, value)| digest.add(key, value));
    ListState {
        era: 1,
        version,
        created: Utc::from_secs(version),
        fresh_until: Utc::from_secs(version + 60),
        pepper_id: 3,
        rows: rows.len() as u64,
        digest,
    }
}

fn open(dir: &Path) -> SledCodes {
    SledCodes::open(dir, &[list()], Verify::First).unwrap()
}

fn load(codes: &dyn Codes, version: u64, rows: &Rows) -> Result<(), CodesError> {
    let mut load = codes.begin(&list(), rows.len() as u64)?;
    for (key, value) in rows {
        load.push(*key, value)?;
    }
    load.commit(&state(version, rows))
}

/// Applies to the model and to the cache.
fn change(
    codes: &dyn Codes,
    version: u64,
    rows: &mut Rows,
    mut changes: Vec<Change>,
) -> Result<(), CodesError> {
    changes.sort_by_key(|change| *change.key());
    for change in &changes {
        match change {
            Change::Put(key, value) => rows.insert(*key, *value),
            Change::Remove(key) => rows.remove(key),
        };
    }
    codes.apply(&list(), &changes, &state(version, rows))
}

fn assert_same(codes: &dyn Codes, rows: &Rows) {
    for (key, value) in rows.iter().step_by(rows.len() / 500 + 1) {
        let found = codes.look_up(&list(), key).unwrap();
        assert_eq!(found, Some(Row::decode(value).unwrap()));
    }
    let stranger = key(u64::MAX);
    assert_eq!(codes.look_up(&list(), &stranger).unwrap(), None);
}

fn generations_in(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir.join(list().as_str()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// Old generations are removed by a thread of their own.
fn wait_for_generations(dir: &Path, count: usize) {
    for _ in 0..200 {
        if generations_in(dir).len() == count {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?}", generations_in(dir));
}

fn assert_lost_and_heals(codes: &SledCodes, dir: &Path, version: u64, rows: &Rows) {
    assert_eq!(codes.state(&list()), None);
    assert!(codes.needs_load(&list()));
    assert!(matches!(
        codes.look_up(&list(), &key(1)),
        Err(CodesError::Unavailable)
    ));
    load(codes, version, rows).unwrap();
    assert_same(codes, rows);
    assert!(!codes.needs_load(&list()));
    wait_for_generations(dir, 1);
}

#[test]
fn a_hundred_thousand_rows_are_loaded_found_and_found_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..100_000);
    let codes = open(dir.path());
    assert!(codes.needs_load(&list()));
    load(&codes, 7, &rows).unwrap();
    assert_same(&codes, &rows);
    assert_eq!(codes.state(&list()), Some(state(7, &rows)));
    assert!(codes.disk_bytes() > 3_600_000);
    drop(codes);
    let codes = open(dir.path());
    assert_eq!(codes.state(&list()), Some(state(7, &rows)));
    assert_same(&codes, &rows);
}

#[test]
fn a_list_that_was_never_loaded_is_unavailable_and_not_an_unknown_person() {
    let dir = tempfile::tempdir().unwrap();
    let codes = open(dir.path());
    let other = ListId::new("other").unwrap();
    for name in [list(), other] {
        assert!(matches!(
            codes.look_up(&name, &key(1)),
            Err(CodesError::Unavailable)
        ));
    }
}

#[test]
fn an_empty_list_is_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let codes = open(dir.path());
    load(&codes, 1, &Rows::new()).unwrap();
    assert_eq!(codes.look_up(&list(), &key(1)).unwrap(), None);
    let mut rows = Rows::new();
    change(&codes, 2, &mut rows, vec![Change::Put(key(1), value(1))]).unwrap();
    assert_same(&codes, &rows);
}

#[test]
fn deltas_add_change_and_remove_rows_and_the_digest_equals_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = rows(0..5_000);
    let codes = open(dir.path());
    load(&codes, 1, &rows).unwrap();
    // One change; a few; and one of many batches, over nearly all pages.
    for (version, count) in [(2, 1), (3, 60), (4, 3_000)] {
        let changes = (0..count)
            .map(|n| match n % 3 {
                0 => Change::Put(key(100_000 * version + n), value(n)),
                1 => Change::Put(key(n), value(n + version)),
                _ => Change::Remove(key(n * version)),
            })
            .collect();
        change(&codes, version, &mut rows, changes).unwrap();
        assert_same(&codes, &rows);
        codes.verify(&list()).unwrap();
    }
    let removed = key(4 * 2);
    assert_eq!(codes.look_up(&list(), &removed).unwrap(), None);
    drop(codes);
    let codes = open(dir.path());
    assert_eq!(codes.state(&list()), Some(state(4, &rows)));
    assert_same(&codes, &rows);
}

#[test]
fn a_manifest_signed_again_is_taken_over_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..100);
    let codes = open(dir.path());
    load(&codes, 1, &rows).unwrap();
    let again = ListState {
        created: Utc::from_secs(3_600),
        ..state(1, &rows)
    };
    codes.apply(&list(), &[], &again).unwrap();
    drop(codes);
    assert_eq!(open(dir.path()).state(&list()), Some(again));
}

#[test]
fn what_does_not_fit_the_manifest_leaves_the_live_list_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..1_000);
    let codes = open(dir.path());
    load(&codes, 5, &rows).unwrap();

    let mut short = codes.begin(&list(), 10).unwrap();
    short.push(key(1), &value(1)).unwrap();
    let error = short.commit(&state(6, &rows)).unwrap_err();
    assert!(matches!(
        error,
        CodesError::Mismatch {
            expected: 1000,
            rows: 1
        }
    ));
    assert!(error.wants_load());

    let put = [Change::Put(key(5_000), value(1))];
    let wrong = codes.apply(&list(), &put, &state(6, &rows)).unwrap_err();
    assert!(matches!(wrong, CodesError::Mismatch { .. }));
    let older = codes.apply(&list(), &[], &state(4, &rows)).unwrap_err();
    assert!(matches!(older, CodesError::Older));
    let mut twice = codes.begin(&list(), 10).unwrap();
    twice.push(key(1), &value(1)).unwrap();
    let repeated = twice.push(key(1), &value(1)).unwrap_err();
    assert!(matches!(repeated, CodesError::NotAscending));
    drop(twice);
    let unsorted = [put[0], put[0]];
    let unsorted = codes.apply(&list(), &unsorted, &state(6, &rows));
    assert!(matches!(unsorted, Err(CodesError::NotAscending)));
    let mut flags = value(1);
    flags[16] = 0x80;
    let strange = codes.apply(&list(), &[Change::Put(key(1), flags)], &state(6, &rows));
    assert!(matches!(strange, Err(CodesError::UnreadableRow(_))));

    assert_eq!(codes.state(&list()), Some(state(5, &rows)));
    assert_same(&codes, &rows);
    codes.verify(&list()).unwrap();
    wait_for_generations(dir.path(), 1);
}

#[test]
fn one_load_at_a_time_and_one_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let codes = open(dir.path());
    let first = codes.begin(&list(), 10).unwrap();
    assert!(matches!(codes.begin(&list(), 10), Err(CodesError::Busy)));
    drop(first);
    wait_for_generations(dir.path(), 0);
    assert!(codes.begin(&list(), 10).is_ok());
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let codes = open(dir.path());
    assert!(matches!(
        codes.begin(&list(), u64::MAX / 1000),
        Err(CodesError::NoSpace { .. })
    ));
    assert!(generations_in(dir.path()).is_empty());
}

#[test]
fn a_new_generation_replaces_the_old_while_look_ups_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (rows(0..2_000), rows(1_000..4_000));
    let codes = open(dir.path());
    load(&codes, 1, &old).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (codes, finished) = (&codes, &done);
        let asking = scope.spawn(move || {
            let mut asked = 0;
            while !finished.load(std::sync::atomic::Ordering::Relaxed) {
                assert!(codes.look_up(&list(), &key(1_500)).unwrap().is_some());
                asked += 1;
            }
            asked
        });
        load(codes, 2, &new).unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    assert_same(&codes, &new);
    assert_eq!(codes.look_up(&list(), &key(10)).unwrap(), None);
    wait_for_generations(dir.path(), 1);
}

#[test]
fn two_processes_do_not_share_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    assert!(matches!(
        SledCodes::open(dir.path(), &[list()], Verify::First),
        Err(CodesError::InUse { .. })
    ));
}

#[test]
fn leftovers_and_lists_that_nobody_follows_are_removed_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..50);
    load(&open(dir.path()), 1, &rows).unwrap();
    let here = dir.path().join(list().as_str());
    fs::create_dir(here.join("g00000000000000ff")).unwrap();
    let other = dir.path().join("unfollowed");
    fs::create_dir_all(other.join("g0000000000000001")).unwrap();
    fs::write(other.join("live"), "g0000000000000001\n").unwrap();
    let foreign = dir.path().join("photos");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("cat.png"), "not ours").unwrap();

    let codes = open(dir.path());
    assert_same(&codes, &rows);
    assert_eq!(generations_in(dir.path()).len(), 1);
    assert!(!other.exists());
    assert!(foreign.join("cat.png").exists());
    // The number of a leftover is not used again.
    load(&codes, 2, &rows).unwrap();
    assert!(here.join("g0000000000000100").exists());
}

#[test]
fn a_torn_snapshot_of_sled_does_not_cost_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..500);
    load(&open(dir.path()), 1, &rows).unwrap();
    let torn = generations_in(dir.path())[0].join("snap.00000000FFFFFFFF.generating");
    fs::write(&torn, b"half").unwrap();
    let codes = open(dir.path());
    assert_same(&codes, &rows);
    assert!(!torn.exists());
}

#[test]
fn a_delta_torn_between_its_batches_is_found_at_opening_and_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..500);
    load(&open(dir.path()), 1, &rows).unwrap();
    let generation = &generations_in(dir.path())[0];
    {
        // What the first of several batches leaves behind.
        let db = contain::open_patiently(&sled::Config::new().path(generation)).unwrap();
        let mark = db.get(mark::MARK_KEY).unwrap().unwrap();
        let torn = mark::Mark {
            whole: false,
            ..mark::Mark::decode(&mark).unwrap()
        };
        db.insert(mark::MARK_KEY, torn.encode()).unwrap();
    }
    let codes = SledCodes::open(dir.path(), &[list()], Verify::Later).unwrap();
    assert_lost_and_heals(&codes, dir.path(), 1, &rows);
}

#[test]
fn a_row_that_vanished_without_a_trace_is_found_by_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..500);
    for verify in [Verify::First, Verify::Later] {
        load(&open(dir.path()), 1, &rows).unwrap();
        wait_for_generations(dir.path(), 1);
        {
            let generation = &generations_in(dir.path())[0];
            let db = contain::open_patiently(&sled::Config::new().path(generation)).unwrap();
            let (first, _) = db.first().unwrap().unwrap();
            db.remove(first).unwrap();
        }
        let codes = SledCodes::open(dir.path(), &[list()], verify).unwrap();
        if verify == Verify::Later {
            assert!(codes.state(&list()).is_some());
            assert!(codes.verify(&list()).is_err());
        }
        assert_lost_and_heals(&codes, dir.path(), 1, &rows);
    }
}

/// Whatever is done to the files while the gate is off: it starts, says what it has, and heals.
fn damage_while_closed(what: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..3_000);
    load(&open(dir.path()), 1, &rows).unwrap();
    wait_for_generations(dir.path(), 1);
    what(&generations_in(dir.path())[0]);
    let codes = open(dir.path());
    match codes.state(&list()) {
        Some(found) => {
            assert_eq!(found, state(1, &rows));
            assert_same(&codes, &rows);
        }
        None => assert_lost_and_heals(&codes, dir.path(), 1, &rows),
    }
    drop(codes);
    assert_same(&open(dir.path()), &rows);
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn damaged_files_found_at_opening_never_panic_and_heal() {
    for at in [0, 20, 100, 5_000, 60_000, 120_000] {
        for bytes in [[0xFF; 64], [0x00; 64], [0x5A; 64]] {
            damage_while_closed(|dir| overwrite(&dir.join("db"), at, &bytes));
        }
    }
    for name in ["db", "conf"] {
        damage_while_closed(|dir| fs::write(dir.join(name), b"").unwrap());
        damage_while_closed(|dir| fs::write(dir.join(name), [0xA5; 300]).unwrap());
        damage_while_closed(|dir| fs::remove_file(dir.join(name)).unwrap());
    }
    for len in [1, 40, 4_096, 70_000] {
        damage_while_closed(|dir| {
            let file = fs::OpenOptions::new().write(true).open(dir.join("db"));
            file.unwrap().set_len(len).unwrap();
        });
    }
    damage_while_closed(|dir| fs::remove_dir_all(dir).unwrap());
    damage_while_closed(|dir| {
        fs::write(dir.parent().unwrap().join("live"), "../../../etc\n").unwrap();
    });
    damage_while_closed(|dir| fs::remove_file(dir.parent().unwrap().join("live")).unwrap());
    for entry in ["snap.0000000000000001", "snap.FFFFFFFFFFFFFFFF"] {
        damage_while_closed(|dir| fs::write(dir.join(entry), [7; 200]).unwrap());
    }
}

#[test]
fn damaged_files_under_a_running_gate_never_panic_and_heal() {
    let truncate: fn(&Path) = |db| {
        let file = fs::OpenOptions::new().write(true).open(db).unwrap();
        file.set_len(10).unwrap();
    };
    let scribble: fn(&Path) = |db| {
        let len = fs::metadata(db).unwrap().len();
        overwrite(db, 0, &vec![0xC3; usize::try_from(len).unwrap()]);
    };
    for damage in [truncate, scribble] {
        let dir = tempfile::tempdir().unwrap();
        // Far more rows than sled keeps in memory after a restart.
        let rows = rows(0..60_000);
        load(&open(dir.path()), 1, &rows).unwrap();
        let codes = SledCodes::open(dir.path(), &[list()], Verify::Later).unwrap();
        damage(&generations_in(dir.path())[0].join("db"));
        let mut unavailable = 0;
        for (key, value) in &rows {
            match codes.look_up(&list(), key) {
                // Still in memory: right, or not at all.
                Ok(found) => assert_eq!(found, Some(Row::decode(value).unwrap())),
                Err(CodesError::Unavailable) => unavailable += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(unavailable > 0);
        assert_lost_and_heals(&codes, dir.path(), 2, &rows);
    }
}

#[test]
fn a_cache_deleted_under_a_running_gate_goes_on_answering_and_is_loaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = rows(0..1_000);
    let codes = open(dir.path());
    load(&codes, 1, &rows).unwrap();
    fs::remove_dir_all(dir.path().join(list().as_str())).unwrap();
    assert_same(&codes, &rows);
    assert!(codes.state(&list()).is_some());
    assert!(codes.needs_load(&list()));
    let put = vec![Change::Put(key(9_999), value(1))];
    let refused = change(&codes, 2, &mut rows, put).unwrap_err();
    assert!(refused.wants_load());
    load(&codes, 2, &rows).unwrap();
    assert!(!codes.needs_load(&list()));
    drop(codes);
    assert_same(&open(dir.path()), &rows);
}

#[test]
fn a_list_is_verified_while_it_is_in_use_and_a_cache_that_closes_does_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(0..100_000);
    let codes = open(dir.path());
    load(&codes, 1, &rows).unwrap();
    drop(codes);
    for _ in 0..5 {
        let codes = SledCodes::open(dir.path(), &[list()], Verify::Later).unwrap();
        codes.verify_beside().unwrap();
        assert_same(&codes, &rows);
    }
    let codes = SledCodes::open(dir.path(), &[list()], Verify::Later).unwrap();
    codes.verify(&list()).unwrap();
    assert!(!codes.needs_load(&list()));
}

#[test]
fn a_list_that_grew_far_beyond_its_layout_is_rebuilt_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = rows(0..10);
    let codes = open(dir.path());
    load(&codes, 1, &rows).unwrap();
    assert!(!codes.tidy(&list()).unwrap());
    let grown = (10..10_000)
        .map(|n| Change::Put(key(n), value(n)))
        .collect();
    change(&codes, 2, &mut rows, grown).unwrap();
    assert!(codes.tidy(&list()).unwrap());
    assert!(!codes.tidy(&list()).unwrap());
    assert_eq!(codes.state(&list()), Some(state(2, &rows)));
    assert_same(&codes, &rows);
    wait_for_generations(dir.path(), 1);
}

#[test]
fn the_cache_in_memory_answers_alike() {
    let dir = tempfile::tempdir().unwrap();
    let memory = MemoryCodes::default();
    let sled = open(dir.path());
    let both: [&dyn Codes; 2] = [&memory, &sled];
    for codes in both {
        let mut rows = rows(0..300);
        load(codes, 1, &rows).unwrap();
        let mix = vec![Change::Remove(key(1)), Change::Put(key(900), value(9))];
        change(codes, 2, &mut rows, mix).unwrap();
        assert_same(codes, &rows);
        assert_eq!(codes.state(&list()), Some(state(2, &rows)));
        let wrong = codes.apply(&list(), &[Change::Remove(key(2))], &state(3, &rows));
        assert!(matches!(wrong, Err(CodesError::Mismatch { .. })));
    }
    memory.lose(&list());
    assert!(memory.needs_load(&list()));
}
