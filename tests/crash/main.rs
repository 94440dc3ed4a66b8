//! What a power cut and a kill leave behind. `make crash` runs all of it, `make test` a smaller part.
//!
//! A process does real work on a real disk while every write, sync and change of a name is taped (`tests/daemon/disk.c`).
//! Then the tape is played to many points, a disk is built that a cut there could leave ([`tape`]), and the real code
//! opens it. What the process had been promised by then must be there; what it had asked for and not been promised may be.
//!
//! | Part | What runs | What is checked |
//! |---|---|---|
//! | [`journal`] | records, acknowledgements, state, restarts | every record once, in order; nothing goes back |
//! | [`cache`] | snapshots and deltas of a list | the promised version, whole, or a later one |
//! | [`kill`] | the daemon with passengers, killed again and again, the backend coming and going | each grant once at the backend |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what cannot be set up has failed, and figures are printed"
)]

mod cache;
#[path = "../daemon/mod.rs"]
mod daemon;
mod journal;
mod kill;
mod tape;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use daemon::disk::Disk;
use tape::{Event, Unsynced, World};
use turnstiled::lab::random::SplitMix64;

/// Where the process under the tape works.
const DIR: &str = "CRASH_DIR";
/// The file it says things to.
const SAID: &str = "said";

/// How often something is done: more in `make crash`.
fn times(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    std::env::var("SEED").map_or(1, |text| text.parse().expect("a number"))
}

/// In the process under the tape: where to work, and whom to tell.
fn under_the_tape() -> (PathBuf, impl FnMut(String)) {
    let dir = PathBuf::from(std::env::var(DIR).expect("the tape's parent sets it"));
    let mut said = fs::File::create(dir.join(SAID)).unwrap();
    (dir, move |line| {
        said.write_all(format!("{line}\n").as_bytes()).unwrap()
    })
}

/// What a process has been promised: how many steps it began and how many of them were done.
#[derive(Clone, Copy, Debug)]
struct Promised {
    begun: usize,
    done: usize,
}

impl Promised {
    fn new(said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(said);
        let count = |word: &str| said.lines().filter(|line| *line == word).count();
        Self {
            begun: count("begin"),
            done: count("done"),
        }
    }
}

/// Tapes a test of this binary, then cuts the power at many points and has each image looked at.
fn cut_the_power(
    what: &str,
    run: &str,
    images: usize,
    mut check: impl FnMut(&Path, Promised) -> &'static str,
) {
    let (dir, tape) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = fs::canonicalize(dir.path()).unwrap();
    let tape = fs::canonicalize(tape.path()).unwrap().join("tape");
    let disk = Disk::Taped {
        under: root.clone(),
        tape: tape.clone(),
    };
    let this = std::env::current_exe().unwrap();
    let ran = disk
        .command(this.to_str().unwrap())
        .args([run, "--exact", "--ignored", "--nocapture"])
        .env(DIR, &root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let complaints = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}{complaints}"
    );

    let events = tape::read(&tape);
    let points = points(&events, images.div_ceil(Unsynced::ALL.len()));
    let mut random = SplitMix64::new(seed());
    let mut world = World::new(&root, SAID);
    let (mut found, mut at_risk) = (BTreeMap::<&str, usize>::new(), 0);
    for (number, event) in events.iter().enumerate() {
        world.play(event);
        if !points.contains(&(number + 1)) {
            continue;
        }
        at_risk += usize::from(world.at_risk() > 0);
        let promised = Promised::new(&world.said);
        for unsynced in Unsynced::ALL {
            let image = tempfile::tempdir().unwrap();
            world.cut(unsynced, &mut random, image.path());
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                check(image.path(), promised)
            }));
            let Ok(came_to) = checked else {
                panic!(
                    "{what}: cut after event {} of {}, {unsynced:?}, {promised:?}",
                    number + 1,
                    events.len()
                );
            };
            *found.entry(came_to).or_default() += 1;
        }
    }
    let whole = tempfile::tempdir().unwrap();
    world.cut(Unsynced::Kept, &mut random, whole.path());
    same(&root, whole.path());
    println!(
        "{what}: {} events taped; {} points, {at_risk} of them with something to lose; {} images: {found:?}",
        events.len(),
        points.len(),
        points.len() * Unsynced::ALL.len(),
    );
}

/// Where to cut: half of the points just before a sync, where most is at risk; the others anywhere.
fn points(events: &[Event], wanted: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(seed());
    let before_sync: Vec<_> = (1..events.len())
        .filter(|at| matches!(events[*at], Event::Synced(_)))
        .collect();
    let mut points = Vec::new();
    let wanted = wanted.min(events.len() / 2);
    while points.len() < wanted {
        let point = if points.len() % 2 == 0 {
            before_sync[random.index(before_sync.len())]
        } else {
            1 + random.index(events.len() - 1)
        };
        // A sync before which everything was cut once already gives its turn to any other point.
        let point = if points.contains(&point) {
            1 + random.index(events.len() - 1)
        } else {
            point
        };
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

/// A tape that was played to its end is the disk itself: nothing got past the recorder.
fn same(disk: &Path, played: &Path) {
    let entries = |dir: &Path| {
        let names = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name != SAID).collect();
        names.sort();
        names
    };
    assert_eq!(entries(disk), entries(played), "in {}", disk.display());
    for name in entries(disk) {
        let (disk, played) = (disk.join(&name), played.join(&name));
        if disk.is_dir() {
            same(&disk, &played);
        } else {
            let same = fs::read(&disk).unwrap() == fs::read(&played).unwrap();
            assert!(same, "{} is not as the tape says", disk.display());
        }
    }
}
