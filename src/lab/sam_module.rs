//! An emulated SAM module on a pseudo-terminal: the real driver opens it like any port and meets the real bytes, at
//! the pace of a line of 115200 baud.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time;
use zeroize::Zeroizing;

use crate::domain::IdCard;
use crate::drivers::MonoClock;
use crate::proto::sam::{Command, FrameError, decode_command, encode_read, encode_reply};

/// A byte with its start and stop bit at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
const CHUNK_LEN: usize = 64;

/// What the module answers to "find" while a card that has been read is still there. Both are in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRead {
    /// "No card", until the card is lifted.
    Quiet,
    /// "Found", again and again.
    Found,
}

/// What lies on the module.
#[derive(Clone, Debug)]
enum Laid {
    Card(IdCard),
    /// A card that answers a read with this status.
    Fails(u8),
}

#[derive(Clone, Debug)]
struct World {
    laid: Option<Laid>,
    /// Counts the layings: the same card again is another laying.
    number: u64,
    is_plugged: bool,
}

/// The handle: lay cards on it, lift them, pull the plug. The module is gone when it is dropped.
#[derive(Debug)]
pub struct SamModule {
    path: PathBuf,
    world: watch::Sender<World>,
}

impl SamModule {
    /// Plugs a module in at `path`, which becomes a link to its terminal. Call it inside the runtime.
    ///
    /// # Errors
    /// The system has no pseudo-terminals left, or something else stands at `path`.
    pub fn start(path: impl Into<PathBuf>, after_read: AfterRead) -> io::Result<Self> {
        let path = path.into();
        let terminal = Terminal::open(&path)?;
        let (world, seen) = watch::channel(World {
            laid: None,
            number: 0,
            is_plugged: true,
        });
        let module = Module {
            path: path.clone(),
            terminal: Some(terminal),
            world: seen,
            after_read,
            was_read: 0,
            clock: MonoClock::start(),
        };
        tokio::spawn(module.run());
        Ok(Self { path, world })
    }

    /// The port to configure.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lays a card on the module, in place of what lay there.
    pub fn present(&self, card: IdCard) {
        self.lay(Some(Laid::Card(card)));
    }

    /// Lays a card on the module that answers a read with `status`: 41 unreadable, 31 not authentic, 40 unknown.
    pub fn present_failing(&self, status: u8) {
        self.lay(Some(Laid::Fails(status)));
    }

    /// Takes the card away.
    pub fn lift(&self) {
        self.lay(None);
    }

    /// Pulls the plug: the port hangs up, and its path is gone.
    pub fn unplug(&self) {
        self.world.send_modify(|world| world.is_plugged = false);
    }

    /// Puts the plug back: another terminal, at the same path. Plugged back at once, it was never out.
    pub fn plug(&self) {
        self.world.send_modify(|world| world.is_plugged = true);
    }

    fn lay(&self, laid: Option<Laid>) {
        self.world.send_modify(|world| {
            world.number += 1;
            world.laid = laid;
        });
    }
}

/// Both ends of a pseudo-terminal, and the link to it.
struct Terminal {
    master: AsyncFd<OwnedFd>,
    /// Kept open, not exclusively, so that the driver can close and open its end at will.
    _slave: OwnedFd,
    link: PathBuf,
}

impl Terminal {
    fn open(link: &Path) -> io::Result<Self> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
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
        rustix::fs::symlink(name.as_c_str(), link)?;
        Ok(Self {
            master,
            _slave: slave,
            link: link.into(),
        })
    }

    async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buf)?)) {
                Ok(read) => return read,
                Err(_would_block) => {}
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
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
        if let Err(error) = std::fs::remove_file(&self.link) {
            tracing::debug!(%error, "the emulated module's link is already gone");
        }
    }
}

struct Module {
    path: PathBuf,
    terminal: Option<Terminal>,
    world: watch::Receiver<World>,
    after_read: AfterRead,
    /// The laying that was read last.
    was_read: u64,
    clock: MonoClock,
}

impl Module {
    /// Answers until the handle is dropped.
    async fn run(mut self) {
        let mut received = Vec::new();
        loop {
            let is_plugged = self.world.borrow_and_update().is_plugged;
            let result = if !is_plugged {
                self.terminal = None;
                received.clear();
                Ok(())
            } else if self.terminal.is_none() {
                Terminal::open(&self.path).map(|terminal| self.terminal = Some(terminal))
            } else {
                self.answer_all(&mut received).await
            };
            if let Err(error) = result {
                tracing::warn!(%error, "the emulated module has lost its terminal");
                return;
            }
            let mut chunk = [0; CHUNK_LEN];
            tokio::select! {
                changed = self.world.changed() => if changed.is_err() {
                    return;
                },
                read = read_from(self.terminal.as_ref(), &mut chunk) => match read {
                    Ok(length) => received.extend(chunk.iter().take(length)),
                    Err(error) => {
                        tracing::warn!(%error, "the emulated module cannot read");
                        return;
                    }
                },
            }
        }
    }

    /// Answers each whole command in `received`.
    async fn answer_all(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let (reply, used) = match decode_command(received) {
                Ok(None) => return Ok(()),
                Ok(Some((code, used))) => (Some(self.reply_to(code)), used),
                Err(FrameError::Checksum) => (Some(status(0x10)), 1),
                Err(FrameError::NotAStart | FrameError::Length(_)) => (None, 1),
            };
            received.drain(..used);
            if let Some(reply) = reply {
                self.send(&reply).await?;
            }
        }
    }

    fn reply_to(&mut self, code: [u8; 2]) -> Zeroizing<Vec<u8>> {
        let world = self.world.borrow();
        let is_quiet = self.after_read == AfterRead::Quiet && self.was_read == world.number;
        match (Command::from_code(code), &world.laid) {
            (None, _) => status(0x21),
            (Some(Command::Reset | Command::Status), _) => status(0x90),
            (Some(Command::Find), Some(_)) if !is_quiet => answer(0x9F, &[0; 4]),
            (Some(Command::Find), _) => status(0x80),
            (Some(Command::Select), Some(_)) => answer(0x90, &[0; 8]),
            (Some(Command::Select), None) => status(0x81),
            (Some(Command::Read), Some(Laid::Card(card))) => {
                self.was_read = world.number;
                encode_read(card)
            }
            (Some(Command::Read), Some(Laid::Fails(sw3))) => status(*sw3),
            (Some(Command::Read), None) => status(0x41),
        }
    }

    /// Sends at the pace of the line, in parts, as a UART brings them.
    async fn send(&self, reply: &[u8]) -> io::Result<()> {
        let mut at = self.clock.now();
        for part in reply.chunks(CHUNK_LEN) {
            at = at + BYTE_TIME * u32::try_from(part.len()).unwrap_or(u32::MAX);
            time::sleep_until(self.clock.instant(at)).await;
            match &self.terminal {
                Some(terminal) if self.world.borrow().is_plugged => {
                    terminal.write_all(part).await?;
                }
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
    }
}

async fn read_from(terminal: Option<&Terminal>, buf: &mut [u8]) -> io::Result<usize> {
    match terminal {
        Some(terminal) => terminal.read(buf).await,
        None => std::future::pending().await,
    }
}

fn answer(sw3: u8, data: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(encode_reply([0, 0, sw3], data))
}

fn status(sw3: u8) -> Zeroizing<Vec<u8>> {
    answer(sw3, &[])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;
    use crate::config::tree::Serial;
    use crate::domain::{Direction, IdCardKind, LaneId, Personal, Presentation, Prompt, Shown};
    use crate::drivers::serial::run_id_card;
    use crate::drivers::{Port, ReaderEvent, ReaderReport};

    fn card(number: &str) -> IdCard {
        IdCard {
            number: Personal::new(number.into()),
            kind: IdCardKind::Resident,
            valid_from: "20200101".into(),
            valid_until: None,
        }
    }

    struct Scene {
        module: SamModule,
        events: mpsc::Receiver<ReaderEvent>,
        clock: MonoClock,
        _folder: tempfile::TempDir,
    }

    impl Scene {
        /// The real driver, on a module behind a real terminal.
        fn new(after_read: AfterRead) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let module = SamModule::start(folder.path().join("id-card"), after_read).unwrap();
            let settings = Serial {
                port: module.path().into(),
                baud: None,
            };
            let port = Arc::new(Port {
                lane: LaneId(0),
                direction: Direction::Entry,
                name: "id-card".into(),
            });
            let clock = MonoClock::start();
            let (sender, events) = mpsc::channel(16);
            tokio::spawn(async move { run_id_card(&settings, port, clock, sender).await });
            Self {
                module,
                events,
                clock,
                _folder: folder,
            }
        }

        async fn next(&mut self) -> ReaderReport {
            let next = time::timeout(Duration::from_secs(5), self.events.recv());
            next.await.unwrap().unwrap().report
        }

        async fn next_number(&mut self) -> String {
            let report = self.next().await;
            match report {
                ReaderReport::Presented(Presentation {
                    shown: Shown::Card(card),
                    ..
                }) => card.number.expose().clone(),
                ReaderReport::Presented(_)
                | ReaderReport::Prompt(_)
                | ReaderReport::Up(_)
                | ReaderReport::Frame { .. }
                | ReaderReport::Faults(_)
                | ReaderReport::NotAuthentic => panic!("{report:?}"),
            }
        }

        async fn quiet_for(&mut self, ms: u64) {
            let next = time::timeout(Duration::from_millis(ms), self.events.recv());
            assert!(next.await.is_err(), "something came");
        }

        async fn up(&mut self, up: bool) {
            let report = self.next().await;
            assert!(
                matches!(report, ReaderReport::Up(is) if is == up),
                "{report:?}"
            );
        }
    }

    const A: &str = "11010519491231002X";
    const B: &str = "440524188001010014";

    async fn reads_two_cards_once_each(after_read: AfterRead) {
        let mut scene = Scene::new(after_read);
        scene.up(true).await;
        let laid = scene.clock.now();
        scene.module.present(card(A));
        assert_eq!(scene.next_number().await, A);
        let took = scene.clock.now().since(laid);
        println!("{after_read:?}: presented after {took:?}");
        // The line alone takes 112 ms for the read.
        assert!(took > Duration::from_millis(112), "{took:?}");
        scene.quiet_for(400).await;
        scene.module.lift();
        scene.quiet_for(100).await;
        scene.module.present(card(B));
        assert_eq!(scene.next_number().await, B);
    }

    #[tokio::test]
    async fn a_module_that_is_quiet_after_a_read_gives_each_card_once() {
        reads_two_cards_once_each(AfterRead::Quiet).await;
    }

    #[tokio::test]
    async fn a_module_that_goes_on_finding_the_card_gives_each_card_once() {
        reads_two_cards_once_each(AfterRead::Found).await;
    }

    #[tokio::test]
    async fn a_pulled_plug_heals() {
        let mut scene = Scene::new(AfterRead::Quiet);
        scene.up(true).await;
        scene.module.unplug();
        scene.up(false).await;
        scene.module.plug();
        scene.up(true).await;
        scene.module.present(card(A));
        assert_eq!(scene.next_number().await, A);
    }

    #[tokio::test]
    async fn cards_that_fail_are_told_apart() {
        let mut scene = Scene::new(AfterRead::Found);
        scene.up(true).await;
        scene.module.present_failing(0x31);
        let report = scene.next().await;
        assert!(matches!(report, ReaderReport::NotAuthentic), "{report:?}");
        scene.module.present_failing(0x40);
        let report = scene.next().await;
        let not_supported = matches!(report, ReaderReport::Prompt(Prompt::CardNotSupported));
        assert!(not_supported, "{report:?}");
    }

    #[tokio::test]
    async fn nothing_stays_behind_and_nothing_foreign_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id-card");
        std::fs::write(&path, "mine").unwrap();
        assert!(SamModule::start(&path, AfterRead::Quiet).is_err());
        std::fs::remove_file(&path).unwrap();
        let module = SamModule::start(&path, AfterRead::Quiet).unwrap();
        drop(module);
        for _ in 0..100 {
            if !path.is_symlink() {
                return;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the link is still there");
    }
}
