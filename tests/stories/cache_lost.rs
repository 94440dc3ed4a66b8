//! The copy of the lists is torn, scribbled over or deleted: the gate decides from what it still has, or by the rule
//! `stale`, fetches the list again, and nobody notices anything else.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use turnstiled::domain::{Reason, Verdict};

use crate::liar::{ALL, Call, Lie};
use crate::link::Link;
use crate::told::{Log, story};

/// The files of the generation in force.
fn generation(gate: &Path) -> PathBuf {
    let list = gate.join("codes/health");
    let live = fs::read_to_string(list.join("live")).unwrap();
    list.join(live.trim())
}

fn scribble(path: &Path, from: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

/// The gate is off, its cache is damaged, and when it starts again nobody answers at first.
async fn damaged_while_off(log: Log, seed: u64, damage: impl FnOnce(&Path)) {
    let mut gate = Link::new(log, seed).await;
    gate.passes("green code, first time", Reason::InOrder).await;
    gate.everything_arrives_once().await;
    let version = gate.version();
    gate.liar.lies(&ALL, &Lie::Gone);
    let mut gate = gate
        .restarted(None, |folder| damage(&generation(folder)))
        .await;
    assert_eq!(gate.version(), None, "it does not decide from a torn copy");
    gate.log
        .says_once(&["the copy of the list is dropped", "list=health"]);
    let ready = gate.page("/readyz").await;
    assert!(ready.contains("list health has not arrived"), "{ready}");
    gate.refused("green code", Verdict::Assist, Reason::StaleList)
        .await;
    gate.passes("green code, leaving", Reason::ExitAlwaysOpen)
        .await;
    gate.liar.tells_the_truth();
    gate.until_version(version).await;
    gate.passes("green code, backend back", Reason::InOrder)
        .await;
    gate.refused("the same code once more", Verdict::Deny, Reason::Passback)
        .await;
    assert_eq!(
        gate.metric("turnstile_list_version{list=\"health\"}").await,
        version.map(|(_, v)| f64::from(u32::try_from(v).unwrap()))
    );
    gate.everything_arrives_once().await;
    // What was fetched again lasts.
    let gate = gate.restarted(None, |_| {}).await;
    assert_eq!(gate.version(), version);
    gate.ends().await;
}

#[test]
fn a_torn_cache_directory() {
    story(async |log| {
        damaged_while_off(log, 351, |generation| {
            let db = OpenOptions::new()
                .write(true)
                .open(generation.join("db"))
                .unwrap();
            db.set_len(100).unwrap();
            fs::write(generation.join("snap.0000000000000001.generating"), [7; 40]).unwrap();
        })
        .await;
    });
}

#[test]
fn a_store_that_panics_over_garbage_pages() {
    story(async |log| {
        damaged_while_off(log, 352, |generation| {
            let db = generation.join("db");
            let length = fs::metadata(&db).unwrap().len();
            scribble(&db, 0, &vec![0xC3; usize::try_from(length).unwrap()]);
        })
        .await;
    });
}

#[test]
fn a_cache_directory_that_is_half_there() {
    story(async |log| {
        damaged_while_off(log, 353, |generation| {
            fs::remove_file(generation.join("db")).unwrap()
        })
        .await;
    });
}

#[test]
fn garbage_under_a_running_gate() {
    story(async |log| {
        let mut gate = Link::new(log, 354).await;
        let version = gate.version().unwrap();
        let db = generation(&gate.folder()).join("db");
        let length = fs::metadata(&db).unwrap().len();
        scribble(&db, 0, &vec![0xC3; usize::try_from(length).unwrap()]);
        gate.passes("green code", Reason::InOrder).await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        // A change is written into the damaged files, or they are given up for it: the newer list is in force.
        let newer = gate.publish(1).await;
        gate.until_version(Some((version.0, newer))).await;
        gate.passes("green code, backend gone", Reason::InOrder)
            .await;
        // Whatever is found at the next start is dropped and fetched again, or good.
        let mut gate = gate.restarted(None, |_| {}).await;
        gate.until_version(Some((version.0, newer))).await;
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.everything_arrives_once().await;
        gate.ends().await;
    });
}

#[test]
fn deleted_while_running() {
    story(async |log| {
        let mut gate = Link::new(log, 355).await;
        let version = gate.version();
        let chunks = gate.liar.asked(Call::Chunk);
        gate.liar.lies(&ALL, &Lie::Gone);
        fs::remove_dir_all(gate.folder().join("codes/health")).unwrap();
        gate.passes("green code", Reason::InOrder).await;
        gate.refused("red code", Verdict::Deny, Reason::RedCode)
            .await;
        assert_eq!(
            gate.version(),
            version,
            "the files are gone, what is open goes on deciding"
        );
        gate.liar.tells_the_truth();
        gate.until("it is fetched again", |_| {
            gate.liar.asked(Call::Chunk) > chunks
        })
        .await;
        gate.until("it is on the disk", |_| {
            gate.folder().join("codes/health/live").exists()
        })
        .await;
        gate.passes("green code, backend back", Reason::InOrder)
            .await;
        gate.everything_arrives_once().await;
        gate.stage.lose_backend().await;
        let mut gate = gate.restarted(None, |_| {}).await;
        assert_eq!(gate.version(), version, "it is there without a backend");
        gate.passes("green code, backend gone", Reason::InOrder)
            .await;
        gate.ends().await;
    });
}
