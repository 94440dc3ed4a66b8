//! Figures of the journal, each beside the plain alternative in the same run: `make bench`.
//!
//! | Variable | Means |
//! |---|---|
//! | `DRAIN` | records that wait when the gate starts, 1,000,000 by default |
//! | `DIR` | where to write, a temporary directory by default |

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "what cannot be set up has failed; figures are printed; a bench reads the clock"
)]

#[path = "../daemon/mod.rs"]
mod daemon;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daemon::Home;
use daemon::disk::Disk;
use turnstiled::domain::{
    Direction, Entry, GrantId, IssuerId, Kind, Medium, Now, Outcome, PassbackKey, Prompt, Reason,
    Record, ReplayKey, StateChange, Subject, Utc, Verdict,
};
use turnstiled::store::journal::{Journal, Limits};

/// People who have passed in the last hours, so that state has the size that it has in service.
const PEOPLE: u64 = 10_000;
/// 2026-11-04, so that what is buffered lies in the past.
const BEGUN_S: u64 = 1_793_772_000;
/// Records of one request of the plain alternative, as many as of a full delivery.
const LINES: usize = 8_000;
/// A working day of a busy gate.
const PASSAGES_A_DAY: u64 = 20_000;

fn main() {
    let home = tempfile::tempdir().unwrap();
    let dir = std::env::var("DIR").map_or_else(|_| home.path().to_owned(), Into::into);
    println!(
        "load before: {}",
        fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
    append(&dir);
    wear(&dir);
    let records = std::env::var("DRAIN").map_or(1_000_000, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(drain(records));
    runtime.block_on(plain_drain(&dir, records.min(1_000_000)));
    println!(
        "load after: {}",
        fs::read_to_string("/proc/loadavg").unwrap().trim()
    );
}

fn grant(number: u64) -> Entry {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    let now = now(number);
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
    let at = now.utc.unwrap();
    Entry {
        grant: Some(GrantId(number)),
        record: Record::new(1, now, Some("north".into()), kind),
        changes: vec![
            StateChange::Seen {
                key: ReplayKey(key),
                until: at + Duration::from_secs(60),
            },
            StateChange::Passed {
                key: PassbackKey::Subject(Subject((number % PEOPLE).to_be_bytes())),
                direction: Direction::Entry,
                at,
            },
        ],
    }
}

fn outcome(number: u64) -> Entry {
    let kind = Kind::Outcome {
        direction: Direction::Entry,
        outcome: Outcome::Passed,
        grant: Some(GrantId(number)),
    };
    Entry {
        grant: None,
        record: Record::new(1, now(number), Some("north".into()), kind),
        changes: Vec::new(),
    }
}

fn now(number: u64) -> Now {
    Now {
        utc: Some(Utc::from_secs(BEGUN_S + number / 10)),
        ..Now::default()
    }
}

fn timed(mut work: impl FnMut()) -> u64 {
    let began = Instant::now();
    work();
    u64::try_from(began.elapsed().as_micros()).unwrap()
}

fn percentiles(what: &str, mut us: Vec<u64>) {
    us.sort_unstable();
    let at = |part: usize| us[(us.len() - 1) * part / 1_000];
    println!(
        "{what}: p50 {} us, p99 {} us, n {}",
        at(500),
        at(990),
        us.len()
    );
}

/// One grant with its state, durable, beside its text appended to a file with fdatasync: in turn, so that both meet the
/// same disk.
fn append(dir: &Path) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (journal, _) = Journal::open(dir.path(), Limits::of_mib(1_024)).unwrap();
    let mut plain = plain_file(dir.path());
    for group in 0..PEOPLE / 500 {
        let entries: Vec<_> = (0..500).map(|n| grant(group * 500 + n)).collect();
        journal.append(&entries).unwrap();
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in PEOPLE..PEOPLE + 3_000 {
        let entry = grant(number);
        let text = serde_json::to_string(&entry.record).unwrap();
        ours.push(timed(|| {
            journal.append(std::slice::from_ref(&entry)).unwrap();
        }));
        theirs.push(timed(|| sync_line(&mut plain, &text)));
    }
    percentiles("append: grant with state, durable", ours);
    percentiles("append: its text to a file, fdatasync", theirs);
}

fn plain_file(dir: &Path) -> File {
    let path = dir.join("plain");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn sync_line(file: &mut File, text: &str) {
    file.write_all(text.as_bytes()).unwrap();
    file.write_all(b"\n").unwrap();
    file.sync_data().unwrap();
}

/// Bytes that this process has had written to disks.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}

/// Bytes written a passage: grant, outcome, and the acknowledgement of both.
fn wear(dir: &Path) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (journal, _) = Journal::open(dir.path(), Limits::of_mib(1_024)).unwrap();
    let mut plain = plain_file(dir.path());
    let mut number = 0;
    let mut alone = 0;
    for group in [1, 4, 16, 128] {
        let passages = (group * 25).max(1_000);
        let mut cost = |work: &mut dyn FnMut(&[Entry])| {
            let before = written();
            for _ in 0..passages / group {
                let grants: Vec<_> = (number..number + group).map(grant).collect();
                let outcomes: Vec<_> = (number..number + group).map(outcome).collect();
                number += group;
                work(&grants);
                work(&outcomes);
            }
            (written() - before) / passages
        };
        let ours = cost(&mut |entries| {
            let seq = journal.append(entries).unwrap();
            journal.acknowledge(seq).unwrap();
        });
        let theirs = cost(&mut |entries| {
            let texts = entries
                .iter()
                .map(|entry| serde_json::to_string(&entry.record).unwrap());
            sync_line(&mut plain, &texts.collect::<Vec<_>>().join("\n"));
        });
        println!(
            "wear: {group} passages at a time: {ours} bytes a passage; appended to a file: {theirs}"
        );
        if group == 1 {
            alone = ours;
        }
    }
    let day = alone * PASSAGES_A_DAY;
    // Every block of the card written a thousand times, and each byte of ours written three times inside the card.
    let years = 32_000_000_000 / 3 * 1_000 / day / 365;
    println!(
        "wear: {PASSAGES_A_DAY} passages a day, one at a time: {} MB a day; a 32 GB card of 1,000 cycles, each byte \
         written three times inside it: {years} years (computed)",
        day / 1_000_000
    );
}

/// A gate starts with a backlog; the backend of this process takes it, while people pass.
async fn drain(records: u64) {
    let home = Home::new(
        20_000,
        "[journal]\nsize_mib_max = 65536\nkeep_acked_h = 0\n",
    )
    .await;
    let began = Instant::now();
    let size = fill(&home, records);
    println!(
        "drain: {records} records buffered in {} s, {size} MiB on the disk",
        began.elapsed().as_secs()
    );
    let began = Instant::now();
    let gate = home.gate(&Disk::Good).await;
    println!(
        "drain: the gate decides after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let delivered = async || gate.metric("turnstile_delivered_records_total").await;
    let (first, began) = (delivered().await, Instant::now());
    let (mut person, mut slow) = (0, 0);
    let mut half = None;
    loop {
        let asked = Instant::now();
        home.shows(person);
        while !home.is_released() && asked.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        slow += u32::from(asked.elapsed() > Duration::from_millis(300));
        home.walks().await;
        person += 1;
        let backlog = gate.metric("turnstile_journal_backlog_records").await;
        if half.is_none() && backlog < (records / 2) as f64 {
            let ends = [
                gate.metric("turnstile_journal_first_seq").await,
                gate.metric("turnstile_journal_next_seq").await,
                gate.metric("turnstile_journal_oldest_age_seconds").await,
                gate.metric("turnstile_journal_newest_age_seconds").await,
            ];
            half = Some(ends);
        }
        if backlog < 100.0 {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let rate = (delivered().await - first) / took;
    let status = fs::read_to_string(format!("/proc/{}/status", gate.id())).unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let share = |part: &str| format!("turnstile_own_share_seconds_{part}{{lane=\"entry\"}}");
    let counted = gate.metric(&share("count")).await;
    let mean = gate.metric(&share("sum")).await / counted * 1_000.0;
    let within = "turnstile_own_share_seconds_bucket{lane=\"entry\",le=\"0.02\"}";
    println!(
        "drain: {rate:.0} records/s for {took:.1} s, both ends on this machine; gate {}",
        peak.trim()
    );
    println!(
        "drain: meanwhile {person} people came, {slow} of them waited longer than 300 ms; own share mean {mean:.1} ms, {} of {counted} within 20 ms",
        gate.metric(within).await
    );
    println!(
        "drain: half way the metrics said first_seq, next_seq, oldest and newest age: {half:?}"
    );
    let counts = home.counts();
    assert_eq!(counts.len(), 1);
    println!("drain: at the backend {:?}", counts[0].1);
}

/// Gives the journal's size in MiB.
fn fill(home: &Home, records: u64) -> u64 {
    let dir = home.path("gate/journal");
    let (journal, _) = Journal::open(&dir, Limits::of_mib(65_536)).unwrap();
    let mut number = 0;
    while journal.status().backlog < records {
        let entry = |n: u64| {
            let entry = if n.is_multiple_of(2) {
                grant(n / 2)
            } else {
                outcome(n / 2)
            };
            // People of days ago are no state any more.
            Entry {
                changes: Vec::new(),
                ..entry
            }
        };
        let group: Vec<_> = (number..number + 5_000).map(entry).collect();
        number += 5_000;
        journal.append(&group).unwrap();
    }
    drop(journal);
    fs::metadata(dir.join("journal.redb")).unwrap().len() >> 20
}

/// The plain alternative to a drain: lines of a file, posted in order to a server that appends them to a file with fdatasync
/// before it answers. Nobody looks for repeats, gaps or a broken chain.
async fn plain_drain(dir: &Path, records: u64) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let source = dir.path().join("source");
    let mut lines = BufWriter::new(File::create(&source).unwrap());
    for number in 0..records {
        serde_json::to_writer(&mut lines, &grant(number).record).unwrap();
        lines.write_all(b"\n").unwrap();
    }
    drop(lines);
    let arrived = Arc::new(Mutex::new(plain_file(dir.path())));
    let take = move |body: axum::body::Bytes| {
        let arrived = Arc::clone(&arrived);
        async move {
            let stored = tokio::task::spawn_blocking(move || {
                let mut file = arrived.lock().unwrap();
                file.write_all(&body)?;
                file.sync_data()
            });
            stored.await.unwrap().unwrap();
        }
    };
    let router = axum::Router::new()
        .route("/", axum::routing::post(take))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(turnstiled::sync::tls::plain().unwrap())
        .build()
        .unwrap();
    let began = Instant::now();
    let mut lines = BufReader::new(File::open(&source).unwrap());
    loop {
        let mut body = Vec::new();
        for _ in 0..LINES {
            lines.read_until(b'\n', &mut body).unwrap();
        }
        if body.is_empty() {
            break;
        }
        let answer = client.post(&url).body(body).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    let rate = records as f64 / began.elapsed().as_secs_f64();
    println!("drain: lines of a file posted to a file, {records} of them: {rate:.0} records/s");
    server.abort();
}
