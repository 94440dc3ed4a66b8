//! The disk a process meets: a good one, one that `disk.c` stands before, or a small one of its own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a process finds under its feet.
pub(crate) enum Disk {
    /// As it is.
    Good,
    /// One that turns bad and good again.
    Fickle {
        /// The files below this directory are on it.
        under: PathBuf,
        /// Where it says how bad it is.
        fault: PathBuf,
    },
    /// Every change below `under` and every sync is written to `tape`.
    Taped {
        /// The directory.
        under: PathBuf,
        /// The tape.
        tape: PathBuf,
    },
    /// A file system in memory at `under` that only this process sees, mounted with these options.
    Own {
        /// The directory.
        under: PathBuf,
        /// `size=32m`, `ro`
        options: &'static str,
    },
}

impl Disk {
    /// A disk below `under` that is good until [`Disk::turn`].
    pub(crate) fn fickle(under: PathBuf) -> Self {
        let fault = under.with_extension("fault");
        Self::Fickle { under, fault }
    }

    /// From now on: `slow 300` makes each sync take 300 ms longer, `refuse 30` makes writes fail with this errno,
    /// `good` ends both.
    pub(crate) fn turn(&self, how: &str) {
        let Self::Fickle { fault, .. } = self else {
            panic!("this disk does not turn");
        };
        let draft = fault.with_extension("draft");
        fs::write(&draft, how).unwrap();
        fs::rename(&draft, fault).unwrap();
    }

    /// A command that meets this disk.
    pub(crate) fn command(&self, program: &str) -> Command {
        let preloaded = |under: &Path| {
            let mut command = Command::new(program);
            command.env("LD_PRELOAD", shim()).env("DISK_UNDER", under);
            command
        };
        match self {
            Self::Good => Command::new(program),
            Self::Fickle { under, fault } => {
                let mut command = preloaded(under);
                command.env("DISK_FAULT", fault);
                command
            }
            Self::Taped { under, tape } => {
                let mut command = preloaded(under);
                command.env("DISK_TAPE", tape);
                command
            }
            Self::Own { under, options } => {
                let mount = r#"mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@""#;
                let mut command = own_mounts();
                command.args(["sh", "-c", mount, "sh", options]);
                command.arg(under).arg(program);
                command
            }
        }
    }
}

/// A command whose mounts are its own and go with it.
fn own_mounts() -> Command {
    let mut command = Command::new("unshare");
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        command.arg("--mount");
    } else {
        command.args(["--mount", "--map-root-user"]);
    }
    command
}

/// True if processes may have mounts of their own here. If not, it says so.
pub(crate) fn can_mount(story: &str) -> bool {
    let tried = own_mounts()
        .args(["mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    if !can {
        eprintln!("SKIPPED: {story}: this user may not mount a file system of its own here");
    }
    can
}

/// The library that stands before the disk, built once a run.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/disk.c");
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let draft = dir.join(format!("libdisk-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&draft, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler, as .ci/setup installs it");
        let complaints = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{}: {complaints}", source.display());
        let shim = dir.join("libdisk.so");
        fs::rename(&draft, &shim).unwrap();
        shim
    })
}
