//! The journal on a real disk, and on a disk that fails when it is told to.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{ReadableTable as _, StorageBackend};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::domain::{
    Alarm, Direction, Entry, GrantId, IssuerId, JournalTrouble, Kind, Medium, Mode, Mono, Now,
    Outcome, PassbackKey, Prompt, Reason, Record, ReplayKey, Restored, RowKey, StaffMode,
    StateChange, Subject, Verdict,
};

const ROOMY: Limits = Limits {
    bytes_max: 64 << 20,
    free_min: 0,
    keep: Duration::ZERO,
};

fn open(dir: &Path) -> (Journal, Restored) {
    Journal::open(dir, ROOMY).unwrap()
}

fn record(utc: Option<Utc>, kind: Kind) -> Record {
    let now = Now {
        utc,
        ..Now::default()
    };
    Record::new(1, now, Some("north".into()), kind)
}

fn alarm(second: u64) -> Entry {
    let kind = Kind::Alarm {
        alarm: Alarm::Assist,
        on: true,
    };
    Entry {
        grant: None,
        record: record(Some(Utc::from_secs(second)), kind),
        changes: Vec::new(),
    }
}

fn grant(number: u64) -> Entry {
    let kind = Kind::Decision {
        direction: Direction::Exit,
        medium: Medium::QrCode,
        issuer: Some(IssuerId::new("province").unwrap()),
        subject: Some(Subject([number.to_be_bytes()[7]; 8])),
        verdict: Verdict::Grant,
        reason: Reason::InOrder,
        prompt: Prompt::Go,
        grant: Some(GrantId(number)),
        lists: Vec::new(),
        elsewhere: None,
        region: 0,
    };
    let mut replay = [0; 32];
    replay[..8].copy_from_slice(&number.to_be_bytes());
    Entry {
        grant: Some(GrantId(number)),
        record: record(Some(Utc::from_secs(number)), kind),
        changes: vec![
            StateChange::Seen {
                key: ReplayKey(replay),
                until: Utc::from_secs(number + 60),
            },
            StateChange::Passed {
                key: PassbackKey::Subject(Subject(number.to_be_bytes())),
                direction: Direction::Exit,
                at: Utc::from_secs(number),
            },
        ],
    }
}

fn outcome(number: u64) -> Entry {
    let kind = Kind::Outcome {
        direction: Direction::Exit,
        outcome: Outcome::Passed,
        grant: Some(GrantId(number)),
    };
    Entry {
        grant: None,
        record: record(None, kind),
        changes: Vec::new(),
    }
}

fn alarms(count: u64) -> Vec<Entry> {
    (1..=count).map(alarm).collect()
}

fn all(journal: &Journal) -> Vec<StoredRecord> {
    journal.read(0, usize::MAX, usize::MAX).unwrap()
}

#[test]
fn records_are_read_in_order_as_they_will_be_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, restored) = open(dir.path());
    assert_eq!(restored.boot, 1);
    assert_eq!(journal.append(&[alarm(1), grant(2)]).unwrap(), 2);
    assert_eq!(journal.append(&[outcome(2)]).unwrap(), 3);
    assert_eq!(journal.append(&[]).unwrap(), 3);
    let records = all(&journal);
    let seqs: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
    let second: Record = serde_json::from_str(&records[1].record).unwrap();
    assert_eq!(second, grant(2).record);
    assert_eq!(journal.read(1, 1, usize::MAX).unwrap(), records[1..2]);
    // A limit below one record still gives one.
    assert_eq!(journal.read(0, 10, 1).unwrap(), records[..1]);
    assert_eq!(journal.read(3, 10, 1000).unwrap(), []);
    let status = journal.status();
    assert_eq!(
        (status.first_seq, status.next_seq, status.backlog),
        (1, 4, 3)
    );
    assert_eq!(status.oldest_utc, Some(Utc::from_secs(1)));
}

#[test]
fn each_link_of_the_chain_holds_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&alarms(3)).unwrap();
    let mut before = [0u8; 32];
    for stored in all(&journal) {
        let link = Sha256::new()
            .chain_update(before)
            .chain_update(stored.record.as_bytes());
        before = link.finalize().into();
        assert_eq!(stored.hash, before);
    }
    let verified = journal.verify().unwrap();
    assert_eq!((verified.records, verified.last_hash), (3, before));
    // It holds over an acknowledgement and a restart.
    journal.acknowledge(2).unwrap();
    drop(journal);
    let (journal, _) = open(dir.path());
    journal.append(&[alarm(4)]).unwrap();
    assert_eq!(journal.verify().unwrap().records, 2);
}

#[test]
fn an_altered_record_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&alarms(4)).unwrap();
    journal
        .write(|transaction, _| {
            let mut records = transaction.open_table(tables::RECORDS)?;
            let mut bytes = records.get(2)?.unwrap().value().to_vec();
            *bytes.last_mut().unwrap() = b' ';
            records.insert(2, bytes.as_slice())?;
            Ok(())
        })
        .unwrap();
    let error = journal.verify().unwrap_err();
    assert!(
        error.to_string().ends_with("the chain breaks at record 2"),
        "{error}"
    );
}

#[test]
fn a_restart_goes_on_where_it_was_and_counts_the_boot() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&alarms(5)).unwrap();
    journal.acknowledge(2).unwrap();
    let before = (journal.status(), all(&journal));
    drop(journal);
    let (journal, restored) = open(dir.path());
    assert_eq!(restored.boot, 2);
    assert_eq!((journal.status(), all(&journal)), before);
    assert_eq!(journal.append(&[alarm(6)]).unwrap(), 6);
}

#[test]
fn an_acknowledgement_lets_go_of_records_for_ever_and_never_of_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&alarms(1300)).unwrap();
    let full = journal.status().bytes;
    assert!(matches!(
        journal.acknowledge(1301),
        Err(JournalError::AckPastEnd {
            acked: 1301,
            last: 1300
        })
    ));
    assert_eq!(journal.status().backlog, 1300);
    journal.acknowledge(1299).unwrap();
    journal.acknowledge(5).unwrap();
    let status = journal.status();
    assert_eq!(
        (status.acked_seq, status.first_seq, status.backlog),
        (1299, 1300, 1)
    );
    assert_eq!(status.oldest_utc, Some(Utc::from_secs(1300)));
    assert!(status.bytes > 0 && status.bytes < full / 1000);
    drop(journal);
    let (journal, _) = open(dir.path());
    journal.acknowledge(1300).unwrap();
    let status = journal.status();
    assert_eq!(
        (status.bytes, status.backlog, status.oldest_utc),
        (0, 0, None)
    );
    assert_eq!(all(&journal), []);
    // Numbers are not used again.
    assert_eq!(journal.append(&[alarm(1)]).unwrap(), 1301);
    assert_eq!(journal.verify().unwrap().records, 1);
}

/// The use of a code and a passage are taken back; of another person the state before returns.
fn nobody_walked(number: u64, other: PassbackKey) -> Entry {
    let changes = grant(number).changes;
    let StateChange::Seen { key, .. } = changes[0] else {
        panic!("a grant notes its code first")
    };
    Entry {
        changes: vec![
            StateChange::Unseen { key },
            StateChange::PassedBack {
                key: PassbackKey::Subject(Subject(number.to_be_bytes())),
                before: None,
            },
            StateChange::PassedBack {
                key: other,
                before: Some((Direction::Exit, Utc::from_secs(30))),
            },
        ],
        ..outcome(number)
    }
}

#[test]
fn what_the_gate_knew_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, restored) = open(dir.path());
    assert_eq!((restored.clock_floor, restored.fire_latched), (None, false));
    let row = PassbackKey::Row(RowKey([9; 16]));
    let seen = |second| StateChange::Seen {
        key: ReplayKey([7; 32]),
        until: Utc::from_secs(second),
    };
    let mut fire = alarm(50);
    fire.changes = vec![
        StateChange::FireLatched(true),
        staff_mode("north", Some(Mode::Maintenance)),
        staff_mode("south", Some(Mode::Free)),
        staff_mode("south", None),
        seen(80),
        StateChange::Passed {
            key: row,
            direction: Direction::Entry,
            at: Utc::from_secs(40),
        },
    ];
    journal.append(&[grant(1), fire, grant(2)]).unwrap();
    let undone = nobody_walked(2, row);
    journal.append(&[undone]).unwrap();
    drop(journal);

    let (journal, restored) = open(dir.path());
    let mut one = [0; 32];
    one[7] = 1;
    assert_eq!(
        restored,
        Restored {
            boot: 2,
            seen: vec![
                (ReplayKey(one), Utc::from_secs(61)),
                (ReplayKey([7; 32]), Utc::from_secs(80)),
            ],
            passed: vec![
                (
                    PassbackKey::Subject(Subject(1u64.to_be_bytes())),
                    Direction::Exit,
                    Utc::from_secs(1)
                ),
                (row, Direction::Exit, Utc::from_secs(30)),
            ],
            fire_latched: true,
            staff_modes: vec![(
                "north".into(),
                StaffMode {
                    mode: Mode::Maintenance,
                    by: Some(1_000),
                    until: Some(Utc::from_secs(90)),
                }
            )],
            clock_floor: Some(Utc::from_secs(50)),
            open_grants: vec![(Some("north".into()), Direction::Exit, GrantId(1))],
        }
    );
    // It is not tied to the records: they may be acknowledged.
    journal.acknowledge(4).unwrap();
    journal
        .change_state(&[StateChange::FireLatched(false)])
        .unwrap();
    journal.raise_clock_floor(Utc::from_secs(20)).unwrap();
    drop(journal);
    let (_, again) = open(dir.path());
    assert_eq!(again.clock_floor, Some(Utc::from_secs(50)));
    assert!(!again.fire_latched);
    assert_eq!(again.open_grants, restored.open_grants);
    assert_eq!(again.seen, restored.seen);
}

fn staff_mode(lane: &str, mode: Option<Mode>) -> StateChange {
    StateChange::StaffMode {
        lane: lane.into(),
        wanted: mode.map(|mode| StaffMode {
            mode,
            by: Some(1_000),
            until: Some(Utc::from_secs(90)),
        }),
    }
}

#[test]
fn a_signed_document_is_kept_with_its_floor_and_none_below_it_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let name = "directive:gate:g";
    assert_eq!(journal.document(name).unwrap(), None);
    assert!(journal.keep_document(name, (0, 7), b"seven").unwrap());
    for late in [(0, 6), (0, 7)] {
        assert!(!journal.keep_document(name, late, b"again").unwrap());
    }
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(journal.document(name).unwrap(), Some(b"seven".to_vec()));
    assert_eq!(journal.floor(name).unwrap(), Some((0, 7)));
    assert!(journal.keep_document(name, (0, 8), b"eight").unwrap());
    assert_eq!(journal.document(name).unwrap(), Some(b"eight".to_vec()));
}

#[test]
fn expired_codes_and_old_passages_are_forgotten_and_give_their_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let grants: Vec<_> = (1..=1_200).map(grant).collect();
    journal.append(&grants).unwrap();
    let outcomes: Vec<_> = (1..=1_200).map(outcome).collect();
    journal.append(&outcomes).unwrap();
    journal.acknowledge(2_400).unwrap();
    assert!(journal.status().bytes > 0);
    // Codes are remembered 60 s, people here 100 s.
    let remember = Duration::from_secs(100);
    let pruned = journal.prune(Utc::from_secs(1_100), remember).unwrap();
    assert_eq!(pruned, 1_039 + 999);
    drop(journal);
    let (journal, restored) = open(dir.path());
    assert_eq!((restored.seen.len(), restored.passed.len()), (161, 201));
    journal.prune(Utc::from_secs(9_999), remember).unwrap();
    assert_eq!(journal.status().bytes, 0);
}

#[test]
fn a_floor_is_never_lowered() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert_eq!(journal.floor("list/a").unwrap(), None);
    assert!(journal.raise_floor("list/a", 2, 5).unwrap());
    assert!(!journal.raise_floor("list/a", 2, 5).unwrap());
    assert!(!journal.raise_floor("list/a", 1, 99).unwrap());
    assert!(journal.raise_floor("list/a", 3, 0).unwrap());
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(journal.floor("list/a").unwrap(), Some((3, 0)));
    assert_eq!(journal.floor("trust").unwrap(), None);
}

#[test]
fn a_full_journal_refuses_grants_first_keeps_all_it_has_and_takes_again_after_an_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_max: 100_000,
        ..ROOMY
    };
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    let mut granted = 0;
    while journal.append(&[grant(granted + 1)]).is_ok() {
        granted += 1;
        assert!(granted < 1_000);
    }
    assert!(journal.status().is_nearly_full());
    // The end of a passage still finds room.
    journal.append(&[outcome(1)]).unwrap();
    while journal.append(&[alarm(1)]).is_ok() {}
    let error = journal.append(&[alarm(1)]).unwrap_err();
    assert!(matches!(
        error,
        JournalError::Full {
            bytes_max: 100_000,
            ..
        }
    ));
    let status = journal.status();
    assert!(status.bytes <= 100_000);
    journal
        .change_state(&[StateChange::FireLatched(true)])
        .unwrap();
    assert_eq!(journal.verify().unwrap().records, status.backlog);
    drop(journal);
    let (journal, restored) = Journal::open(dir.path(), limits).unwrap();
    assert!(restored.fire_latched);
    assert_eq!(restored.seen.len() as u64, granted);
    assert!(journal.append(&[grant(9_999)]).is_err());
    journal.acknowledge(granted).unwrap();
    journal.append(&[grant(9_999)]).unwrap();
}

#[test]
fn a_disk_that_is_nearly_full_refuses_before_it_is_in_trouble() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).0.append(&[alarm(1)]).unwrap();
    let limits = Limits {
        free_min: u64::MAX,
        ..ROOMY
    };
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    assert!(matches!(
        journal.append(&[alarm(2)]),
        Err(JournalError::Full { .. })
    ));
    journal.acknowledge(1).unwrap();
}

#[test]
fn a_record_beyond_all_bounds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut long = alarm(1);
    long.record.lane = Some("x".repeat(RECORD_BYTES_MAX));
    assert!(matches!(
        journal.append(&[alarm(1), long]),
        Err(JournalError::Unwritable(_))
    ));
    assert_eq!(journal.status().backlog, 0);
}

#[test]
fn a_new_journal_has_a_new_epoch_and_a_conflict_gives_another_to_the_same_records() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (journal, _) = open(one.path());
    let (other, _) = open(two.path());
    assert_ne!(journal.status().epoch, other.status().epoch);
    journal.append(&alarms(3)).unwrap();
    journal.acknowledge(1).unwrap();
    let (before, records) = (journal.status(), all(&journal));
    let epoch = journal.new_epoch().unwrap();
    assert_ne!(epoch, before.epoch);
    let after = JournalStatus {
        epoch,
        epoch_first: 2,
        ..before
    };
    assert_eq!(journal.status(), after);
    assert_eq!(all(&journal), records);
    drop(journal);
    assert_eq!(open(one.path()).0.status().epoch, epoch);
    assert_eq!(epoch.to_string().len(), 32);
}

#[test]
fn two_processes_do_not_share_a_journal_and_looking_at_it_counts_no_start() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Journal::inspect(dir.path(), ROOMY),
        Err(JournalError::Io { .. })
    ));
    let (journal, _) = open(dir.path());
    journal.append(&alarms(2)).unwrap();
    assert!(matches!(
        Journal::open(dir.path(), ROOMY),
        Err(JournalError::InUse { .. })
    ));
    drop(journal);
    let looked = Journal::inspect(dir.path(), ROOMY).unwrap();
    assert_eq!(looked.verify().unwrap().records, 2);
    drop(looked);
    assert_eq!(open(dir.path()).1.boot, 2);
}

#[test]
fn a_file_that_is_no_journal_is_named_and_kept() {
    let path = |dir: &Path| dir.join("journal.redb");
    for content in [&b""[..], b"not a journal", &[0; 40_000], &[0xFF; 9_000]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path()), content).unwrap();
        let error = Journal::open(dir.path(), ROOMY).err().unwrap();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("journal.redb"), "{error}");
        assert!(path(dir.path()).exists());
    }
    // A redb file of somebody else.
    let dir = tempfile::tempdir().unwrap();
    drop(redb::Database::create(path(dir.path())).unwrap());
    assert!(matches!(
        Journal::open(dir.path(), ROOMY),
        Err(JournalError::Corrupt { .. })
    ));
    // Half a file left under the draft's name by a power cut is no hindrance.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("journal.new"), b"half").unwrap();
    assert_eq!(open(dir.path()).1.boot, 1);
}

#[test]
fn damage_anywhere_in_the_file_is_found_at_opening_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.redb");
    let (journal, _) = open(dir.path());
    journal.append(&alarms(300)).unwrap();
    let sound = all(&journal);
    drop(journal);
    let bytes = fs::read(&file).unwrap();
    let mut found = 0;
    for at in (0..bytes.len() - 16).step_by(bytes.len() / 150) {
        let mut damaged = bytes.clone();
        damaged[at..at + 16]
            .iter_mut()
            .for_each(|byte| *byte ^= 0x5A);
        fs::write(&file, &damaged).unwrap();
        match Journal::open(dir.path(), ROOMY) {
            // In a free page, or repaired from the other commit slot: then it holds in itself.
            Ok((journal, _)) => {
                assert!(journal.verify().is_ok());
                let kept = all(&journal);
                assert!(kept.is_empty() || kept == sound);
            }
            Err(JournalError::Corrupt { .. }) => found += 1,
            Err(other) => panic!("{at}: {other}"),
        }
        fs::write(&file, &bytes[..at]).unwrap();
        assert!(Journal::open(dir.path(), ROOMY).is_err(), "cut at {at}");
    }
    assert!(found > 10, "{found}");
}

#[test]
fn a_file_deleted_under_a_running_gate_is_not_called_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.append(&[alarm(1)]).unwrap();
    fs::remove_file(dir.path().join("journal.redb")).unwrap();
    assert!(matches!(
        journal.append(&[alarm(2)]),
        Err(JournalError::Failed(_))
    ));
}

/// A disk that can be told to fail. Each opening sees the same bytes.
#[derive(Clone, Debug)]
struct Disk {
    bytes: Arc<InMemoryBackend>,
    broken: Arc<AtomicBool>,
    /// Writes and syncs until it breaks by itself.
    left: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
}

impl Disk {
    fn new() -> Self {
        Self {
            bytes: Arc::new(InMemoryBackend::new()),
            broken: Arc::new(AtomicBool::new(false)),
            left: Arc::new(AtomicU64::new(u64::MAX)),
            syncs: Arc::default(),
        }
    }

    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    fn breaks_after(&self, operations: u64) {
        self.left.store(operations, Ordering::Relaxed);
    }

    /// Counts one write or sync.
    fn spends(&self) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.breaks(true);
        }
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        self.works()
    }

    fn works(&self) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is told to fail"));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.works()?;
        self.bytes.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.spends()?;
        self.bytes.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.spends()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.spends()?;
        self.bytes.write(offset, data)
    }
}

fn on(disk: &Disk) -> Journal {
    let disk = disk.clone();
    Journal::open_backend(move || disk.clone(), ROOMY)
        .unwrap()
        .0
}

#[test]
fn after_a_fault_of_the_disk_the_journal_goes_on_by_itself() {
    let disk = Disk::new();
    let journal = on(&disk);
    journal.append(&[alarm(1)]).unwrap();
    disk.breaks(true);
    for _ in 0..3 {
        assert!(matches!(
            journal.append(&[alarm(2)]),
            Err(JournalError::Failed(_) | JournalError::InDoubt { .. })
        ));
    }
    assert_eq!(journal.status().backlog, 1);
    disk.breaks(false);
    journal.append(&[alarm(3)]).unwrap();
    let verified = journal.verify().unwrap();
    assert_eq!(verified.records, journal.status().backlog);
    assert_eq!(on_again(&disk, journal), verified);
}

fn on_again(disk: &Disk, journal: Journal) -> Verified {
    drop(journal);
    on(disk).verify().unwrap()
}

fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || Mono::default() + start.elapsed())
}

type Answers = tokio::sync::mpsc::Receiver<Written>;

fn writer(journal: &Journal, answers: usize) -> (Writer, Answers) {
    let (send, receive) = tokio::sync::mpsc::channel(answers);
    let writer = spawn_writer(journal.clone(), send, clock()).unwrap();
    (writer, receive)
}

#[test]
fn a_grant_is_answered_when_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let (writer, mut answers) = writer(&journal, 8);
    writer.submit(grant(7)).unwrap();
    let written = answers.blocking_recv().unwrap();
    assert_eq!((written.grant, written.result), (Some(GrantId(7)), Ok(())));
    assert!(written.took_us > 0);
    assert_eq!(journal.status().backlog, 1);
}

#[test]
fn closing_writes_what_is_queued_even_if_nobody_takes_the_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let (writer, answers) = writer(&journal, 2);
    for n in 1..=600 {
        writer.submit(grant(n)).unwrap();
    }
    assert_eq!(writer.close(), WriterStatus::default());
    assert_eq!(journal.verify().unwrap().records, 600);
    drop(answers);
    drop(journal);
    assert_eq!(open(dir.path()).1.open_grants.len(), 600);
}

#[test]
fn what_is_queued_together_is_written_together_and_in_order() {
    let disk = Disk::new();
    let journal = on(&disk);
    let (writer, mut answers) = writer(&journal, 1);
    for n in 1..=500 {
        writer.submit(grant(n)).unwrap();
    }
    for n in 1..=500 {
        assert_eq!(answers.blocking_recv().unwrap().grant, Some(GrantId(n)));
    }
    drop(writer);
    for (n, stored) in (1..).zip(all(&journal)) {
        let record: Record = serde_json::from_str(&stored.record).unwrap();
        assert_eq!(record, grant(n).record);
    }
}

#[test]
fn a_full_queue_gives_the_entry_back() {
    let disk = Disk::new();
    let journal = on(&disk);
    // Nobody takes answers, so the writer stops at the second one.
    let (writer, _answers) = writer(&journal, 1);
    let refused = (1..=3 * QUEUE_MAX as u64).find_map(|n| writer.submit(grant(n)).err());
    assert!(refused.is_some_and(|entry| entry.grant.is_some()));
}

#[test]
fn a_failing_disk_refuses_grants_at_once_keeps_the_rest_and_catches_up() {
    let disk = Disk::new();
    let journal = on(&disk);
    let (writer, mut answers) = writer(&journal, 64);
    disk.breaks(true);
    let mut latched = alarm(1);
    latched.changes = vec![StateChange::FireLatched(true)];
    writer.submit(latched).unwrap();
    writer.submit(grant(2)).unwrap();
    writer.submit(outcome(1)).unwrap();
    let mut refused = Vec::new();
    for _ in 0..3 {
        let written = answers.blocking_recv().unwrap();
        assert!(written.result.is_err(), "{written:?}");
        refused.push(written.grant);
    }
    refused.sort();
    assert_eq!(refused, [None, None, Some(GrantId(2))]);
    disk.breaks(false);
    let mut caught_up = 0;
    while caught_up < 2 {
        let written = answers.blocking_recv().unwrap();
        match written.grant {
            None => caught_up += u8::from(written.result.is_ok()),
            // It was in doubt: now it is known that it is not there.
            Some(_) => assert_eq!(written.result, Err(JournalTrouble::Failed)),
        }
    }
    assert_eq!(writer.close(), WriterStatus::default());
    let kinds: Vec<Record> = all(&journal)
        .iter()
        .map(|stored| serde_json::from_str(&stored.record).unwrap())
        .collect();
    assert_eq!(kinds, [alarm(1).record, outcome(1).record]);
}

#[test]
fn what_a_dead_disk_never_took_is_counted_at_the_end() {
    let disk = Disk::new();
    let journal = on(&disk);
    let (writer, _answers) = writer(&journal, 64);
    disk.breaks(true);
    for n in 0..5 {
        writer.submit(alarm(n)).unwrap();
    }
    let ended = writer.close();
    assert_eq!((ended.lost, ended.kept), (5, 0));
    assert_eq!(ended.trouble, Some(JournalTrouble::Failed));
}

#[test]
fn a_full_journal_refuses_grants_latches_a_fire_and_writes_the_rest_after_an_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_max: 30_000,
        ..ROOMY
    };
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    while journal.append(&[alarm(1)]).is_ok() {}
    let (writer, mut answers) = writer(&journal, 64);
    let mut fire = alarm(2);
    fire.changes = vec![StateChange::FireLatched(true)];
    for entry in [grant(1), fire, alarm(3), grant(2)] {
        writer.submit(entry).unwrap();
    }
    for _ in 0..4 {
        let written = answers.blocking_recv().unwrap();
        assert_eq!(written.result, Err(JournalTrouble::Full));
    }
    let filled = journal.status().next_seq - 1;
    journal.acknowledge(filled).unwrap();
    for _ in 0..2 {
        assert_eq!(answers.blocking_recv().unwrap().result, Ok(()));
    }
    assert_eq!(writer.close(), WriterStatus::default());
    assert_eq!(journal.status().backlog, 2);
    drop(journal);
    assert!(open(dir.path()).1.fire_latched);
}

/// Keeps what is acknowledged for an hour.
fn keeping(bytes_max: u64) -> Limits {
    Limits { bytes_max, ..ROOMY }.keeping(Duration::from_secs(3600))
}

#[test]
fn acknowledged_records_are_kept_for_their_time_and_do_not_count_as_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let limits = keeping(64 << 20);
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    // One a second: 1 to 6000.
    for group in alarms(6_000).chunks(500) {
        journal.append(group).unwrap();
    }
    let empty = journal.status().bytes;
    journal.acknowledge(5_990).unwrap();
    let status = journal.status();
    assert_eq!(
        (status.kept_seq, status.first_seq, status.backlog),
        (1, 5_991, 10)
    );
    assert!(status.kept_bytes > 0 && status.bytes + status.kept_bytes == empty);
    assert_eq!(journal.verify().unwrap().records, 6_000);
    let first = journal.read(status.acked_seq, 1, 1 << 20).unwrap();
    assert_eq!(first[0].seq, 5_991, "only what waits is delivered");

    journal
        .prune(Utc::from_secs(3600 + 5_000), Duration::ZERO)
        .unwrap();
    assert_eq!(journal.status().kept_seq, 5_000);
    assert_eq!(journal.verify().unwrap().records, 1_001);
    drop(journal);
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    assert_eq!(journal.status().kept_seq, 5_000);
    journal
        .prune(Utc::from_secs(1 << 30), Duration::ZERO)
        .unwrap();
    let status = journal.status();
    assert_eq!((status.kept_seq, status.kept_bytes), (5_991, 0));
    assert_eq!(
        journal.verify().unwrap().records,
        10,
        "what waits is never too old"
    );
}

#[test]
fn kept_records_make_room_and_those_that_wait_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let limits = keeping(200_000);
    let (journal, _) = Journal::open(dir.path(), limits).unwrap();
    let mut last = 0;
    for _ in 0..3 {
        while let Ok(seq) = journal.append(&alarms(5)) {
            last = seq;
        }
        assert!(journal.status().backlog > 100, "full again, of what waits");
        journal.acknowledge(last).unwrap();
        assert_eq!(journal.status().bytes, 0);
    }
    journal.verify().unwrap();
}

#[test]
fn undated_records_do_not_stay_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), keeping(64 << 20)).unwrap();
    let undated = |dated: Option<Utc>| Entry {
        record: record(dated, alarm(1).record.kind),
        ..alarm(1)
    };
    journal.append(&[undated(None), undated(None)]).unwrap();
    journal
        .append(&[undated(Some(Utc::from_secs(10)))])
        .unwrap();
    journal.append(&[undated(None)]).unwrap();
    journal.acknowledge(4).unwrap();
    journal
        .prune(Utc::from_secs(5_000), Duration::ZERO)
        .unwrap();
    assert_eq!(
        journal.status().kept_seq,
        4,
        "they go with the next one that has a date"
    );
    journal.verify().unwrap();
}

#[test]
fn a_new_epoch_begins_with_what_waits_and_leaves_the_rest_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), keeping(64 << 20)).unwrap();
    journal.append(&alarms(9)).unwrap();
    journal.acknowledge(7).unwrap();
    let epoch = journal.new_epoch().unwrap();
    drop(journal);
    let (journal, _) = Journal::open(dir.path(), keeping(64 << 20)).unwrap();
    let status = journal.status();
    assert_eq!(
        (status.epoch, status.epoch_first, status.kept_seq),
        (epoch, 8, 1)
    );
    assert_eq!(journal.verify().unwrap().records, 9);
}

#[test]
fn an_acknowledgement_becomes_durable_with_the_next_record() {
    let disk = Disk::new();
    let journal = on(&disk);
    journal.append(&alarms(3)).unwrap();
    let syncs = disk.syncs();
    journal.acknowledge(2).unwrap();
    assert_eq!(disk.syncs(), syncs, "it costs the card nothing");
    assert_eq!(journal.status().backlog, 1);
    journal.append(&alarms(1)).unwrap();
    assert!(disk.syncs() > syncs);
}

#[test]
fn gap_records_are_counted_when_the_chain_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).0;
    let gap = Entry {
        grant: None,
        record: record(None, Kind::Gap { unrecorded: 7 }),
        changes: Vec::new(),
    };
    journal.append(&[alarm(1), gap, alarm(2)]).unwrap();
    let found = journal.verify().unwrap();
    assert_eq!((found.records, found.gaps, found.unrecorded), (3, 1, 7));
}

/// The disk fails after any number of writes and syncs, and works again later. Wherever that is: what is answered as
/// durable is there, what is answered as lost is not, and nothing is there twice.
#[test]
fn wherever_a_commit_breaks_off_nothing_is_lost_or_written_twice() {
    let (mut found, mut lost) = (0, 0);
    for operations in 0..24 {
        let disk = Disk::new();
        let journal = on(&disk);
        let time = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&time);
        let clock: Clock = Arc::new(move || Mono::from_millis(now.load(Ordering::Relaxed)));
        let mut scribe = scribe::Scribe::new(journal.clone(), clock);
        let mut answers = Vec::new();
        disk.breaks_after(operations);
        let entries = [grant(1), outcome(7), alarm(3)];
        let group = entries.map(|entry| scribe::Queued::new(entry, Mono::default()));
        scribe.take(group.into(), &mut |written| answers.push(written));
        disk.breaks_after(u64::MAX);
        disk.breaks(false);
        time.store(60_000, Ordering::Relaxed);
        scribe.take(Vec::new(), &mut |written| answers.push(written));
        assert_eq!(scribe.status(), WriterStatus::default(), "{operations}");

        let of_grant = |written: &&Written| written.grant.is_some();
        let last = answers.iter().rev().find(of_grant).unwrap();
        let records: Vec<Record> = all(&journal)
            .iter()
            .map(|stored| serde_json::from_str(&stored.record).unwrap())
            .collect();
        let rest = [outcome(7).record, alarm(3).record];
        match last.result {
            Ok(()) => assert_eq!(records[0], grant(1).record, "{operations}"),
            Err(trouble) => assert_eq!(trouble, JournalTrouble::Failed, "{operations}"),
        }
        assert_eq!(
            records[usize::from(last.result.is_ok())..],
            rest,
            "{operations}"
        );
        let doubted = answers
            .iter()
            .any(|w| w.result == Err(JournalTrouble::InDoubt));
        found += u8::from(doubted && last.result.is_ok());
        lost += u8::from(doubted && last.result.is_err());
        journal.verify().unwrap();
    }
    assert!(
        found > 0 && lost > 0,
        "both happen: {found} found, {lost} lost"
    );
}
