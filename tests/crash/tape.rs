//! A tape of what a process did to its disk, and what a power cut can make of it.
//!
//! The disk of this model keeps what was synced, and of everything else in 4 KiB blocks nothing, all, or a drawn half.
//! It is stricter than ext4: a name that was made, renamed or removed is durable only once its directory is synced;
//! until then a cut keeps none, all, or the first few of such changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use turnstiled::lab::random::SplitMix64;

const BLOCK: usize = 4096;

/// One change or sync.
pub(crate) enum Event {
    Opened(u64, bool, PathBuf),
    Length(u64, usize),
    Written(u64, usize, Vec<u8>),
    Synced(u64),
    MadeDir(u64, PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

/// Reads a tape of `disk.c`.
pub(crate) fn read(tape: &Path) -> Vec<Event> {
    let bytes = fs::read(tape).unwrap();
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let number = |at: usize| u64::from_ne_bytes(rest[at..at + 8].try_into().unwrap());
        let (op, a, b) = (rest[0], number(1), number(9));
        let length = u32::from_ne_bytes(rest[17..21].try_into().unwrap()) as usize;
        let content = &rest[21..21 + length];
        let path = |bytes: &[u8]| PathBuf::from(String::from_utf8(bytes.to_vec()).unwrap());
        let place = usize::try_from(b).unwrap();
        events.push(match op {
            b'O' => Event::Opened(a, b != 0, path(content)),
            b'T' => Event::Length(a, place),
            b'W' => Event::Written(a, place, content.to_vec()),
            b'S' => Event::Synced(a),
            b'M' => Event::MadeDir(a, path(content)),
            b'R' => {
                let mut both = content.split(|byte| *byte == 0).map(path);
                Event::Renamed(both.next().unwrap(), both.next().unwrap())
            }
            b'U' => Event::Removed(path(content)),
            other => panic!("no such letter on a tape: {other}"),
        });
        rest = &rest[21 + length..];
    }
    events
}

/// What a cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Dropped,
    Half,
    Kept,
}

impl Unsynced {
    pub(crate) const ALL: [Self; 3] = [Self::Dropped, Self::Half, Self::Kept];
}

#[derive(Clone, Default)]
struct File {
    is_dir: bool,
    durable: Vec<u8>,
    current: Vec<u8>,
    dirty: BTreeSet<usize>,
}

type Names = BTreeMap<PathBuf, usize>;

enum Change {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl Change {
    /// The directory whose sync makes it durable. Nothing here is renamed from one directory to another.
    fn dir(&self) -> &Path {
        match self {
            Self::Made(path, _) | Self::Renamed(_, path) | Self::Removed(path) => {
                path.parent().unwrap()
            }
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Renamed(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Removed(path) => {
                names.remove(path);
            }
        }
    }
}

/// The disk while a tape is played.
pub(crate) struct World {
    root: PathBuf,
    files: Vec<File>,
    /// Which file an inode is now: numbers are given again after a removal.
    inodes: BTreeMap<u64, usize>,
    names: Names,
    durable_names: Names,
    pending: Vec<Change>,
    /// Where the process says what it has been promised, and everything it has said. It is not part of the disk.
    said_path: PathBuf,
    pub(crate) said: Vec<u8>,
}

impl World {
    /// An empty disk below `root`, and the file in it that the process says things to.
    pub(crate) fn new(root: &Path, said: &str) -> Self {
        Self {
            root: root.into(),
            files: Vec::new(),
            inodes: BTreeMap::new(),
            names: Names::new(),
            durable_names: Names::new(),
            pending: Vec::new(),
            said_path: root.join(said),
            said: Vec::new(),
        }
    }

    pub(crate) fn play(&mut self, event: &Event) {
        match event {
            Event::Opened(inode, is_dir, path) => self.opened(*inode, *is_dir, path),
            Event::MadeDir(inode, path) => self.opened(*inode, true, path),
            Event::Length(inode, length) => {
                let file = &mut self.files[self.inodes[inode]];
                let (old, new) = (file.current.len(), *length);
                file.current.resize(new, 0);
                file.dirty
                    .extend(old.min(new) / BLOCK..old.max(new).div_ceil(BLOCK));
            }
            Event::Written(inode, at, bytes) => {
                let number = self.inodes[inode];
                let file = &mut self.files[number];
                let end = at + bytes.len();
                if file.current.len() < end {
                    file.current.resize(end, 0);
                }
                file.current[*at..end].copy_from_slice(bytes);
                file.dirty.extend(at / BLOCK..end.div_ceil(BLOCK));
                if self.names.get(&self.said_path) == Some(&number) {
                    self.said.extend(bytes);
                }
            }
            Event::Synced(inode) => self.synced(self.inodes[inode]),
            Event::Renamed(from, to) => self.change(Change::Renamed(from.clone(), to.clone())),
            Event::Removed(path) => self.change(Change::Removed(path.clone())),
        }
    }

    fn opened(&mut self, inode: u64, is_dir: bool, path: &Path) {
        let known = self.names.get(path);
        if known.is_some() && known == self.inodes.get(&inode) {
            return;
        }
        let number = self.files.len();
        self.files.push(File {
            is_dir,
            ..File::default()
        });
        self.inodes.insert(inode, number);
        if path == self.root {
            self.names.insert(path.into(), number);
        } else {
            self.change(Change::Made(path.into(), number));
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn synced(&mut self, number: usize) {
        let file = &mut self.files[number];
        if file.is_dir {
            let dir = self.names.iter().find(|(_, file)| **file == number);
            let Some((dir, _)) = dir else { return };
            let (done, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|change| change.dir() == dir);
            done.iter()
                .for_each(|change| change.apply(&mut self.durable_names));
            self.pending = left;
            return;
        }
        file.durable.resize(file.current.len(), 0);
        for block in std::mem::take(&mut file.dirty) {
            copy_block(&file.current, &mut file.durable, block);
        }
    }

    /// Blocks and names that a cut now could lose.
    pub(crate) fn at_risk(&self) -> usize {
        let blocks: usize = self.files.iter().map(|file| file.dirty.len()).sum();
        blocks + self.pending.len()
    }

    /// Writes what a cut now leaves to `to`, an empty directory.
    pub(crate) fn cut(&self, unsynced: Unsynced, random: &mut SplitMix64, to: &Path) {
        let mut names = self.durable_names.clone();
        let kept = match unsynced {
            Unsynced::Dropped => 0,
            Unsynced::Half => usize::try_from(random.below(self.pending.len() as u64 + 1)).unwrap(),
            Unsynced::Kept => self.pending.len(),
        };
        self.pending[..kept]
            .iter()
            .for_each(|change| change.apply(&mut names));
        names.remove(&self.said_path);
        // Parents come before what is in them; what has lost its directory is lost.
        for (path, number) in &names {
            let target = to.join(path.strip_prefix(&self.root).unwrap());
            let file = &self.files[*number];
            if file.is_dir {
                if target.parent().is_some_and(Path::is_dir) {
                    fs::create_dir(&target).unwrap();
                }
            } else if target.parent().is_some_and(Path::is_dir) {
                fs::write(&target, file.after_cut(unsynced, random)).unwrap();
            }
        }
    }
}

impl File {
    fn after_cut(&self, unsynced: Unsynced, random: &mut SplitMix64) -> Vec<u8> {
        match unsynced {
            Unsynced::Dropped => self.durable.clone(),
            Unsynced::Kept => self.current.clone(),
            Unsynced::Half => {
                let mut left = self.durable.clone();
                if random.below(2) == 0 {
                    left.resize(self.current.len(), 0);
                }
                for block in &self.dirty {
                    if random.below(2) == 0 {
                        copy_block(&self.current, &mut left, *block);
                    }
                }
                left
            }
        }
    }
}

/// Copies what both have of a block.
fn copy_block(from: &[u8], to: &mut [u8], block: usize) {
    let start = block * BLOCK;
    let end = (start + BLOCK).min(from.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&from[start..end]);
    }
}
