//! A pseudo-terminal with a name of its own: what an emulated serial device is plugged in by.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;

/// Both ends of a pseudo-terminal, and the link to it.
pub(super) struct Terminal {
    master: AsyncFd<OwnedFd>,
    /// Kept open, not exclusively, so that the driver can close and open its end at will.
    slave: OwnedFd,
    node: CString,
    link: PathBuf,
}

impl Terminal {
    /// Plugs a terminal in at `link`, as udev links a port by its place. It is never the node `last`: whatever was
    /// unplugged comes back under another name. Call it inside the runtime.
    pub(super) fn open(link: &Path, last: Option<&CString>) -> io::Result<Self> {
        let (mut master, mut node) = pair()?;
        if Some(&node) == last {
            // The first one keeps the old name taken until the second has another.
            let taken = master;
            (master, node) = pair()?;
            drop(taken);
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(node.as_c_str(), flags, Mode::empty())?;
        let mut settings = rustix::termios::tcgetattr(&slave)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings)?;
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "the replacement is unsafe; an OwnedFd keeps its descriptor for life"
        )]
        let master = AsyncFd::new(master)?;
        // A link that an earlier run left behind is ours to replace; anything else is not.
        if link.symlink_metadata().is_ok_and(|at| at.is_symlink()) {
            std::fs::remove_file(link)?;
        }
        rustix::fs::symlink(node.as_c_str(), link)?;
        Ok(Self {
            master,
            slave,
            node,
            link: link.into(),
        })
    }

    /// The name of the terminal itself.
    pub(super) const fn node(&self) -> &CString {
        &self.node
    }

    /// The line speed that whoever has opened the port has set.
    pub(super) fn baud(&self) -> io::Result<u32> {
        Ok(rustix::termios::tcgetattr(&self.slave)?.input_speed())
    }

    pub(super) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buf)?)) {
                Ok(read) => return read,
                Err(_would_block) => {}
            }
        }
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master.writable().await?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                bytes = bytes.get(written?..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Another device may stand at this place by now.
        let ours = |target: PathBuf| target.as_os_str().as_bytes() == self.node.as_bytes();
        if !std::fs::read_link(&self.link).is_ok_and(ours) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.link) {
            tracing::debug!(%error, "the link of an emulated device is already gone");
        }
    }
}

/// The controlling end of a new terminal, and the name of the other.
fn pair() -> io::Result<(OwnedFd, CString)> {
    // Not for children: a terminal that somebody else holds open does not hang up.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let node = rustix::pty::ptsname(&master, Vec::new())?;
    Ok((master, node))
}
