//! A device on a pseudo-terminal: the gate opens the path, the story writes bytes.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// A scanner module. Its path is gone when it is dropped.
pub(crate) struct Scanner {
    master: File,
    /// Kept open, so that the driver can close and open its end at will.
    _slave: OwnedFd,
    path: PathBuf,
}

impl Scanner {
    pub(crate) fn plug_in(path: &Path) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let mut settings = rustix::termios::tcgetattr(&slave).unwrap();
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings).unwrap();
        rustix::fs::symlink(name.as_c_str(), path).unwrap();
        Self {
            master: File::from(master),
            _slave: slave,
            path: path.into(),
        }
    }

    /// Somebody holds a code under it.
    pub(crate) fn shows(&self, code: &str) {
        self.sends(format!("{code}\r").as_bytes());
    }

    /// Any bytes. Waits while nobody reads them.
    pub(crate) fn sends(&self, bytes: &[u8]) {
        (&self.master).write_all(bytes).unwrap();
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
