//! Folders as an operator packs them.

use tempfile::TempDir;

use super::*;
use crate::backend::Mode;
use crate::backend::store::intake::Intake;
use crate::domain::RowKey;
use crate::store::codes::{Change, Codes as _, MemoryCodes};
use crate::sync::chunk::unpack;

const FRESH_S: u64 = 86_400;

struct Folder {
    dir: TempDir,
    packer: Packer,
    /// What a gate has.
    codes: MemoryCodes,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let packer = Packer::new(&dir.path().join("out"), &dir.path().join("data")).unwrap();
        Self {
            dir,
            packer,
            codes: MemoryCodes::default(),
        }
    }

    fn pack_at(&self, rows: &[(u32, u8)], era: Option<u32>, now_s: u64) -> Packed {
        let changes: Vec<Change> = rows.iter().map(|(n, colour)| put(*n, *colour)).collect();
        let rows = Intake::of(self.dir.path(), Mode::Replace, &changes).unwrap();
        let now = Utc::from_secs(now_s);
        self.packer
            .pack(&list(), 7, rows, era, now, FRESH_S)
            .unwrap()
    }

    fn pack(&self, rows: &[(u32, u8)]) -> Packed {
        self.pack_at(rows, None, 1_000)
    }

    fn manifest(&self) -> Manifest {
        let key = self.packer.public_key().unwrap();
        self.packer.manifest(&list(), &key).unwrap().unwrap()
    }

    fn changes(&self, ids: &[ChunkId]) -> Vec<Change> {
        let read = |id: &ChunkId| {
            let packed = fs::read(self.packer.chunks_dir().join(id.to_string())).unwrap();
            unpack(id, &packed).unwrap()
        };
        ids.iter().flat_map(read).collect()
    }

    /// Loads the snapshot into the gate: count and digest are those of the manifest.
    fn load(&self) {
        let manifest = self.manifest();
        let mut load = self.codes.begin(&list(), manifest.rows).unwrap();
        for change in self.changes(&manifest.snapshot) {
            let Change::Put(key, value) = change else {
                panic!("a snapshot removes nothing")
            };
            load.push(key, &value).unwrap();
        }
        load.commit(&manifest.state()).unwrap();
    }

    /// Brings the gate from version `from` to the newest by delta.
    fn apply(&self, from: u64) -> usize {
        let manifest = self.manifest();
        let changes = self.changes(&manifest.delta_from(from).unwrap().chunks);
        self.codes
            .apply(&list(), &changes, &manifest.state())
            .unwrap();
        changes.len()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.packer.chunks_dir()).unwrap().count()
    }
}

fn list() -> ListId {
    ListId::new("health").unwrap()
}

fn put(n: u32, colour: u8) -> Change {
    // Spread over all keys.
    let mut key = [0; 16];
    key[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B1).to_be_bytes());
    key[4..8].copy_from_slice(&n.to_be_bytes());
    let mut value = [0; 20];
    value[16] = colour;
    Change::Put(RowKey(key), value)
}

#[test]
fn a_packed_list_is_what_a_gate_loads_and_small_changes_are_small_files() {
    let folder = Folder::new();
    let mut rows: Vec<(u32, u8)> = (0..100_000).map(|n| (n, 0)).collect();
    let packed = folder.pack(&rows);
    assert_eq!((packed.era, packed.version, packed.rows), (1, 1, 100_000));
    assert_eq!((packed.chunks, packed.written), (8, 8));
    folder.load();
    rows[5].1 = 2;
    rows.remove(9);
    let packed = folder.pack(&rows);
    assert_eq!((packed.version, packed.chunks), (2, 8));
    assert!(packed.written <= 3, "{packed:?}");
    assert_eq!(folder.apply(1), 2);
    rows.push((200_000, 1));
    folder.pack(&rows);
    assert_eq!(folder.apply(2), 1);
}

#[test]
fn a_gate_that_was_away_for_some_versions_finds_its_delta() {
    let folder = Folder::new();
    let mut rows: Vec<(u32, u8)> = (0..2_000).map(|n| (n, 0)).collect();
    folder.pack(&rows);
    folder.load();
    for n in 0..20 {
        rows[n].1 = 1;
        folder.pack(&rows);
    }
    let offered: Vec<u64> = folder.manifest().deltas.iter().map(|d| d.from).collect();
    assert_eq!(offered, (5..=20).rev().collect::<Vec<_>>());
    folder.load();
    rows[0].1 = 0;
    folder.pack(&rows);
    assert_eq!(folder.apply(21), 1);
}

#[test]
fn the_same_rows_are_the_same_version_with_a_new_date() {
    let folder = Folder::new();
    folder.pack_at(&[(1, 0)], None, 1_000);
    let before = folder.manifest();
    let packed = folder.pack_at(&[(1, 0)], None, 4_600);
    assert!(!packed.changed && packed.written == 0);
    let after = folder.manifest();
    assert_eq!(
        (after.version, after.digest),
        (before.version, before.digest)
    );
    assert_eq!(after.created, Utc::from_secs(4_600));
    assert_eq!(after.fresh_until, Utc::from_secs(4_600 + FRESH_S));
    folder.pack_at(&[(1, 0)], None, 2_000);
    assert_eq!(folder.manifest().created, Utc::from_secs(4_600));
}

#[test]
fn old_chunks_stay_for_one_packing_and_then_go() {
    let folder = Folder::new();
    folder.pack(&[(1, 0), (2, 0)]);
    let first = folder.manifest().snapshot[0];
    folder.pack(&[(1, 1), (2, 0)]);
    // The snapshot before, the snapshot now, and the delta.
    assert_eq!(folder.files(), 3);
    folder.pack(&[(1, 1), (2, 0), (3, 0)]);
    assert!(!folder.packer.chunks_dir().join(first.to_string()).exists());
}

#[test]
fn an_era_goes_up_only_and_is_a_way_back() {
    let folder = Folder::new();
    folder.pack(&[(1, 0)]);
    let packed = folder.pack_at(&[(1, 0)], Some(3), 1_000);
    assert_eq!((packed.era, packed.version), (3, 2));
    assert!(folder.manifest().deltas.is_empty());
    let rows = Intake::of(folder.dir.path(), Mode::Replace, &[]).unwrap();
    let now = Utc::from_secs(1_000);
    let error = folder.packer.pack(&list(), 7, rows, Some(2), now, FRESH_S);
    assert!(matches!(error, Err(PackError::Era { asked: 2, here: 3 })));
}

#[test]
fn what_another_key_has_signed_is_not_replaced() {
    let folder = Folder::new();
    folder.pack(&[(1, 0)]);
    let other = Packer::new(
        &folder.dir.path().join("out"),
        &folder.dir.path().join("other"),
    );
    let rows = Intake::of(folder.dir.path(), Mode::Replace, &[]).unwrap();
    let packed = other
        .unwrap()
        .pack(&list(), 7, rows, None, Utc::from_secs(1), FRESH_S);
    assert!(matches!(packed, Err(PackError::Foreign { .. })));
    assert_eq!(folder.manifest().rows, 1);
}

#[test]
fn nothing_secret_is_in_the_folder_that_is_served() {
    let folder = Folder::new();
    folder.packer.pepper(&list()).unwrap();
    folder.pack(&[(1, 0)]);
    let out = folder.dir.path().join("out");
    let mut names: Vec<_> = fs::read_dir(out.join("v1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["chunks", "lists"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}
