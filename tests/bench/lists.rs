//! The codes cache and sync, and beside them the plain alternative: one redb table with an entry a row. Each case runs in a
//! process of its own, so that its memory is its own.
//!
//! `cargo bench --bench lists`, or with `ROWS=10000000` and `DIR=/on/the/card` before it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot measure has failed, and it prints"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use turnstiled::backend::{Backend, Mode};
use turnstiled::cli::doctor::memory;
use turnstiled::cli::doctor::storage::crowd::Crowd;
use turnstiled::cli::doctor::storage::report::Took;
use turnstiled::domain::{GateId, ListId, Mono, Row, RowKey};
use turnstiled::store::codes::{Change, Codes, CodesError, ListState, Load, SledCodes, Verify};
use turnstiled::store::journal::{Journal, Limits};
use turnstiled::sync::{Client, Followed, Parts, PinnedKeys, Report, SyncEvent, start};

const ROWS: TableDefinition<'_, &[u8; 16], &[u8; 20]> = TableDefinition::new("rows");
const LOOK_UPS: u64 = 100_000;
const DELTA: usize = 1_000;

fn main() {
    let given = |name: &str| std::env::var(name).ok();
    let rows: u64 = given("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let dir = given("DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    if let Some(case) = given("CASE") {
        println!("{}", measure(&case, rows, &dir));
        return;
    }
    println!("{rows} rows in {}", dir.display());
    let cases = ["sled pages", "redb rows"];
    let measured = cases.map(|case| {
        let done = Command::new(std::env::current_exe().unwrap())
            .env("CASE", case)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        serde_json::from_slice::<Map<String, Value>>(&done.stdout).unwrap()
    });
    let ([sled, redb], [pages, plain]) = (measured, cases);
    println!("{:<34} {pages:>16} {plain:>16}", "");
    for (name, value) in &sled {
        println!("{name:<34} {value:>16} {:>16}", redb.get(name).unwrap());
    }
}

fn measure(case: &str, rows: u64, dir: &Path) -> Value {
    let place = tempfile::tempdir_in(dir).unwrap();
    let list = ListId::new("bench").unwrap();
    let codes = open(case, &place.path().join("codes"));
    let crowd = Crowd::new(rows);
    let mut state = crowd.state();
    memory::forget_peak();
    let begun = Instant::now();
    load(&*codes, &list, &crowd, &state);
    let load_s = begun.elapsed();
    let load_peak = memory::peak_kib();
    look_ups(&*codes, &list, &crowd, 0);
    let fresh = look_ups(&*codes, &list, &crowd, 0);
    let steady = memory::resident_kib();
    let disk = codes.disk_bytes();
    let changes = (rows / 25).min(400_000) / 1_000 * 1_000;
    let begun = Instant::now();
    for from in (0..changes).step_by(DELTA) {
        let delta = crowd.changes(from, DELTA as u64, &mut state);
        codes.apply(&list, &delta, &state).unwrap();
    }
    let spent = begun.elapsed();
    let aged = look_ups(&*codes, &list, &crowd, changes);
    let aged_rss = memory::resident_kib();
    let aged_disk = codes.disk_bytes();
    memory::forget_peak();
    let mut whole = crowd.state();
    whole.version = state.version + 1;
    let beside = beside(&*codes, &list, &crowd, &whole);
    let reload_peak = memory::peak_kib();
    drop(codes);
    let codes = open(case, &place.path().join("synced"));
    let (in_force, change) = sync(&codes, rows.min(1_000_000), place.path());
    let second = |took: Duration| (took.as_secs_f64() * 10.0).round() / 10.0;
    json!({
        "load s": second(load_s),
        "load, most memory MiB": load_peak / 1024,
        "look-up us p50": fresh.p50,
        "look-up us p99": fresh.p99,
        "memory in use MiB": steady / 1024,
        "disk MiB": disk >> 20,
        "changes": changes,
        "changes a second": (changes as f64 / spent.as_secs_f64()).round(),
        "look-up us p50 after changes": aged.p50,
        "look-up us p99 after changes": aged.p99,
        "memory after changes MiB": aged_rss / 1024,
        "disk after changes MiB": aged_disk >> 20,
        "load beside use, most memory MiB": reload_peak / 1024,
        "look-up us p99 meanwhile": beside.p99,
        "sync: import to in force ms": in_force.as_millis(),
        "sync: 100 changes in force ms": change.as_millis(),
    })
}

fn open(case: &str, dir: &Path) -> Arc<dyn Codes> {
    let list = ListId::new("bench").unwrap();
    if case.starts_with("sled") {
        Arc::new(SledCodes::open(dir, &[list], Verify::First).unwrap())
    } else {
        Arc::new(RedbCodes::open(dir))
    }
}

fn load(codes: &dyn Codes, list: &ListId, crowd: &Crowd, state: &ListState) {
    let mut load = codes.begin(list, crowd.rows()).unwrap();
    crowd.each(|key, value| load.push(key, value)).unwrap();
    load.commit(state).unwrap();
}

/// People whom the first `changed` changes have left alone or brought in.
fn look_ups(codes: &dyn Codes, list: &ListId, crowd: &Crowd, changed: u64) -> Took {
    let ask = |k: u64| {
        // Of four changes the first leaves its row there; nobody is asked about twice, so that no page is warm by that.
        let k = if changed == 0 {
            k % crowd.rows()
        } else {
            k % (crowd.rows() / 4) * 4
        };
        let n = crowd.scattered(k);
        let begun = Instant::now();
        assert!(codes.look_up(list, &crowd.key(n)).unwrap().is_some());
        u64::try_from(begun.elapsed().as_micros()).unwrap()
    };
    Took::of((0..LOOK_UPS).map(ask).collect())
}

fn beside(codes: &dyn Codes, list: &ListId, crowd: &Crowd, state: &ListState) -> Took {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut took = Vec::new();
            let mut k = 0;
            while !done.load(Ordering::Relaxed) {
                k += 4;
                let key = crowd.key(crowd.scattered(k % crowd.rows() / 4 * 4));
                let begun = Instant::now();
                assert!(codes.look_up(list, &key).unwrap().is_some());
                took.push(u64::try_from(begun.elapsed().as_micros()).unwrap());
                std::thread::sleep(Duration::from_millis(1));
            }
            Took::of(took)
        });
        load(codes, list, crowd, state);
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    })
}

/// A backend and a gate's sync over HTTP on loopback: how long a whole list takes, and a small change.
fn sync(codes: &Arc<dyn Codes>, rows: u64, dir: &Path) -> (Duration, Duration) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let list = ListId::new("bench").unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let backend = Backend::start(listen, &dir.join("backend")).await.unwrap();
        let crowd = Crowd::new(rows);
        let mut changes = Vec::new();
        let gathered = crowd.each(|key, value| {
            changes.push(Change::Put(key, *value));
            Ok::<(), ()>(())
        });
        gathered.unwrap();
        let (journal, _) = Journal::open(&dir.join("journal"), Limits::of_mib(8)).unwrap();
        let (events_in, mut events) = mpsc::channel(64);
        let (_stop, stopped) = watch::channel(false);
        let origin = Instant::now();
        let parts = Arc::new(Parts {
            gate: GateId::new("bench").unwrap(),
            transport: Arc::new(Client::new(&backend.url()).unwrap()),
            codes: Arc::clone(codes),
            journal,
            keys: PinnedKeys::parse(&[backend.list_public_key()]).unwrap(),
            poll: Duration::from_secs(2),
            report: Arc::new(Report::new(events_in)),
            wake: Arc::new(Notify::new()),
            now: Arc::new(move || Mono::default() + origin.elapsed()),
        });
        let follow = Followed {
            list: list.clone(),
            pepper_ids: Vec::new(),
        };
        let _tasks = start(&parts, &[follow], &stopped);
        let begun = Instant::now();
        let first = backend.import(&list, Mode::Replace, changes).await.unwrap();
        applied(&mut events, first.version).await;
        let whole = begun.elapsed();
        let delta = |turn: u64| {
            let one = |n: u64| Change::Put(crowd.key(n * 7), crowd.value(n * 7, turn));
            (0..100).map(one).collect::<Vec<_>>()
        };
        let mut worst = Duration::ZERO;
        for turn in 1..6 {
            let begun = Instant::now();
            let done = backend
                .import(&list, Mode::Patch, delta(turn))
                .await
                .unwrap();
            applied(&mut events, done.version).await;
            worst = worst.max(begun.elapsed());
        }
        backend.shutdown().await;
        (whole, worst)
    })
}

async fn applied(events: &mut mpsc::Receiver<SyncEvent>, version: u64) {
    loop {
        match events.recv().await.unwrap() {
            SyncEvent::ListApplied { state, .. } if state.version == version => return,
            SyncEvent::ListFailed { why, .. } => eprintln!("{why}"),
            SyncEvent::ListApplied { .. }
            | SyncEvent::ListCurrent { .. }
            | SyncEvent::TrustApplied { .. }
            | SyncEvent::TrustFailed { .. }
            | SyncEvent::BackendUp(_)
            | SyncEvent::Delivered { .. }
            | SyncEvent::EpochConflict { .. }
            | SyncEvent::Untrusted { .. }
            | SyncEvent::DeliveryRefused { .. }
            | SyncEvent::BackendLost { .. } => {}
        }
    }
}

/// The plain alternative.
struct RedbCodes {
    db: Arc<Database>,
    path: PathBuf,
    state: Arc<std::sync::Mutex<Option<ListState>>>,
}

impl RedbCodes {
    fn open(path: &Path) -> Self {
        let db = redb::Builder::new()
            .set_cache_size(16 << 20)
            .create(path)
            .unwrap();
        Self {
            db: Arc::new(db),
            path: path.into(),
            state: Arc::default(),
        }
    }
}

impl Codes for RedbCodes {
    fn look_up(&self, _: &ListId, key: &RowKey) -> Result<Option<Row>, CodesError> {
        let table = self.db.begin_read().unwrap().open_table(ROWS).unwrap();
        let value = table.get(&key.0).unwrap();
        Ok(value.map(|value| Row::decode(value.value())).transpose()?)
    }

    fn state(&self, _: &ListId) -> Option<ListState> {
        *self.state.lock().unwrap()
    }

    fn begin(&self, _: &ListId, _: u64) -> Result<Box<dyn Load>, CodesError> {
        let (rows_in, rows) = std::sync::mpsc::sync_channel::<Part>(4);
        let db = Arc::clone(&self.db);
        let writing = std::thread::spawn(move || {
            let transaction = db.begin_write().unwrap();
            // The whole list anew, in one transaction.
            transaction.delete_table(ROWS).unwrap();
            {
                let mut table = transaction.open_table(ROWS).unwrap();
                for (key, value) in rows.into_iter().flatten() {
                    table.insert(&key.0, &value).unwrap();
                }
            }
            transaction.commit().unwrap();
        });
        Ok(Box::new(RedbLoad {
            rows: Some(rows_in),
            waiting: Vec::new(),
            writing: Some(writing),
            state: Arc::clone(&self.state),
        }))
    }

    fn apply(&self, _: &ListId, changes: &[Change], next: &ListState) -> Result<(), CodesError> {
        let transaction = self.db.begin_write().unwrap();
        {
            let mut table = transaction.open_table(ROWS).unwrap();
            for change in changes {
                match change {
                    Change::Put(key, value) => table.insert(&key.0, value).unwrap(),
                    Change::Remove(key) => table.remove(&key.0).unwrap(),
                };
            }
        }
        transaction.commit().unwrap();
        *self.state.lock().unwrap() = Some(*next);
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&self.path.metadata().unwrap()) * 512
    }
}

/// Rows on their way to the thread that writes them.
type Part = Vec<(RowKey, [u8; 20])>;

struct RedbLoad {
    rows: Option<std::sync::mpsc::SyncSender<Part>>,
    waiting: Part,
    writing: Option<std::thread::JoinHandle<()>>,
    state: Arc<std::sync::Mutex<Option<ListState>>>,
}

impl Load for RedbLoad {
    fn push(&mut self, key: RowKey, value: &[u8; 20]) -> Result<(), CodesError> {
        self.waiting.push((key, *value));
        if self.waiting.len() >= 1_000 {
            let full = std::mem::take(&mut self.waiting);
            self.rows.as_ref().unwrap().send(full).unwrap();
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>, state: &ListState) -> Result<(), CodesError> {
        let rest = std::mem::take(&mut self.waiting);
        self.rows.take().unwrap().send(rest).unwrap();
        self.writing.take().unwrap().join().unwrap();
        *self.state.lock().unwrap() = Some(*state);
        Ok(())
    }
}
