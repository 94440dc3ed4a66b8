//! Figures, by hand: `cargo test --lib store::measure -- --ignored --nocapture --test-threads 1`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::codes::{Change, Codes, ListState, SledCodes, Verify};
use super::disk;
use super::journal::{Journal, Limits, spawn_writer};
use crate::domain::{
    Digest, Direction, Entry, GrantId, IssuerId, Kind, ListId, Medium, Mono, Now, PassbackKey,
    Prompt, Reason, Record, ReplayKey, RowKey, StateChange, Subject, Utc, Verdict,
};

fn print_us(what: &str, mut us: Vec<u64>) {
    us.sort_unstable();
    let at = |part: usize| us[(us.len() - 1) * part / 1000];
    println!(
        "{what}: n {}, p50 {} us, p99 {} us, p99.9 {} us, max {} us",
        us.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}

fn grant(number: u64) -> Entry {
    let now = Now {
        utc: Some(Utc::from_secs(1_795_000_000 + number)),
        ..Now::default()
    };
    let kind = Kind::Decision {
        direction: Direction::Entry,
        medium: Medium::QrCode,
        issuer: Some(IssuerId::new("health.province").unwrap()),
        subject: Some(Subject(number.to_be_bytes())),
        verdict: Verdict::Grant,
        reason: Reason::InOrder,
        prompt: Prompt::Go,
        grant: Some(GrantId(number)),
        lists: Vec::new(),
        elsewhere: None,
        region: 0,
    };
    let key: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
    Entry {
        grant: Some(GrantId(number)),
        record: Record::new(1, now, Some("north".into()), kind),
        changes: vec![
            StateChange::Seen {
                key: ReplayKey(key),
                until: Utc::from_secs(number),
            },
            StateChange::Passed {
                key: PassbackKey::Subject(Subject((number % 10_000).to_be_bytes())),
                direction: Direction::Entry,
                at: Utc::from_secs(number),
            },
        ],
    }
}

#[test]
#[ignore = "measures"]
fn journal_latency() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Limits::of_mib(256)).unwrap();
    let alone = (0..2_000).map(|number| {
        let begun = Instant::now();
        journal.append(&[grant(number)]).unwrap();
        u64::try_from(begun.elapsed().as_micros()).unwrap()
    });
    print_us("append, one grant a transaction", alone.collect());

    let (send, mut answers) = tokio::sync::mpsc::channel(64);
    let start = Instant::now();
    let clock = std::sync::Arc::new(move || Mono::default() + start.elapsed());
    let writer = spawn_writer(journal, send, clock).unwrap();
    for in_flight in [1, 4, 16] {
        let mut took = Vec::new();
        for round in 0..500 {
            for n in 0..in_flight {
                writer.submit(grant(100_000 + round * 16 + n)).unwrap();
            }
            for _ in 0..in_flight {
                took.push(answers.blocking_recv().unwrap().took_us);
            }
        }
        print_us(&format!("writer, {in_flight} in flight"), took);
    }
}

#[test]
#[ignore = "measures"]
fn journal_size() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Limits::of_mib(1024)).unwrap();
    let path = dir.path().join("journal.redb");
    let print = |what: &str, begun: Instant| {
        let meta = std::fs::metadata(&path).unwrap();
        println!(
            "{what}: {} ms, counted {} KiB, allocated {} KiB, length {} KiB",
            begun.elapsed().as_millis(),
            journal.status().bytes / 1024,
            disk::allocated(&meta) / 1024,
            meta.len() / 1024
        );
    };
    for round in 0..2 {
        let begun = Instant::now();
        for group in 0..2_000 {
            let entries: Vec<_> = (0..100)
                .map(|n| grant((round * 2_000 + group) * 100 + n))
                .collect();
            journal.append(&entries).unwrap();
        }
        print("200,000 grants in groups of 100", begun);
        let begun = Instant::now();
        journal.acknowledge(journal.status().next_seq - 1).unwrap();
        print("acknowledged", begun);
        let begun = Instant::now();
        journal
            .prune(Utc::from_secs(1 << 40), std::time::Duration::ZERO)
            .unwrap();
        print("pruned", begun);
    }
    let begun = Instant::now();
    for n in 0..5_000 {
        journal.append(&[grant(1_000_000 + n)]).unwrap();
    }
    print("5,000 grants one by one", begun);
    drop(journal);
    let begun = Instant::now();
    let (journal, _) = Journal::open(dir.path(), Limits::of_mib(1024)).unwrap();
    println!("opened in {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    journal.verify().unwrap();
    println!("chain walked in {} ms", begun.elapsed().as_millis());
}

fn key(number: u64) -> RowKey {
    let digest: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
    let mut key = RowKey([0; 16]);
    key.0.copy_from_slice(&digest[..16]);
    key
}

#[test]
#[ignore = "measures"]
fn codes_with_a_million_rows() {
    let rows: u64 = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let list = ListId::new("health").unwrap();
    let mut keys: Vec<_> = (0..rows).map(key).collect();
    keys.sort_unstable();
    let mut state = ListState {
        era: 1,
        version: 1,
        created: Utc::from_secs(1),
        fresh_until: Utc::from_secs(2),
        pepper_id: 1,
        rows,
        digest: Digest::default(),
    };
    keys.iter().for_each(|key| state.digest.add(key, &[0; 20]));
    let codes = SledCodes::open(dir.path(), std::slice::from_ref(&list), Verify::First).unwrap();
    let begun = Instant::now();
    let mut load = codes.begin(&list, rows).unwrap();
    for key in &keys {
        load.push(*key, &[0; 20]).unwrap();
    }
    load.commit(&state).unwrap();
    println!(
        "loaded in {} ms, {} KiB on the disk",
        begun.elapsed().as_millis(),
        codes.disk_bytes() / 1024
    );
    drop(codes);
    let begun = Instant::now();
    let codes = SledCodes::open(dir.path(), std::slice::from_ref(&list), Verify::Later).unwrap();
    println!("opened in {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    codes.verify(&list).unwrap();
    println!("verified in {} ms", begun.elapsed().as_millis());

    let look_up = |n: u64| {
        let begun = Instant::now();
        codes.look_up(&list, &key(n % rows)).unwrap().unwrap();
        u64::try_from(begun.elapsed().as_micros()).unwrap()
    };
    print_us("look-up", (0..200_000).map(|n| look_up(n * 7919)).collect());

    let changes: BTreeMap<_, _> = (0..20_000).map(|n| (key(n * 31), 1u8)).collect();
    for key in changes.keys() {
        state.digest.remove(key, &[0; 20]);
        state.digest.add(key, &[1; 20]);
    }
    state.version = 2;
    let changes: Vec<_> = changes
        .keys()
        .map(|key| Change::Put(*key, [1; 20]))
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut took = Vec::new();
            while !done.load(Ordering::Relaxed) {
                took.push(look_up(took.len() as u64 * 7919));
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            took
        });
        let begun = Instant::now();
        codes.apply(&list, &changes, &state).unwrap();
        println!("20,000 changes in {} ms", begun.elapsed().as_millis());
        done.store(true, Ordering::Relaxed);
        print_us("look-up during the delta", asking.join().unwrap());
    });
}
