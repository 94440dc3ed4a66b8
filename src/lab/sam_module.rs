//! An emulated SAM module on a pseudo-terminal: the real driver opens it like any port and meets the real bytes, at
//! the pace of a line of 115200 baud. Its plug can be pulled, in the middle of a reply too, and its line spoiled.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;
use zeroize::Zeroizing;

use super::line_faults::{LineFaults, noise};
use super::random::SplitMix64;
use super::terminal::Terminal;
use crate::domain::IdCard;
use crate::drivers::MonoClock;
use crate::proto::sam::{Command, FrameError, decode_command, encode_read, encode_reply};

/// A byte with its start and stop bit at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
const CHUNK_LEN: usize = 64;
/// Bytes of a flood that are written together, as fast as they are taken.
const FLOOD_CHUNK_LEN: usize = 1_024;
/// What a module at another line speed answers to what it cannot make out.
const GARBAGE_LEN: usize = 11;

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
    /// Counts the times it was plugged in.
    plugs: u64,
    /// The plug is pulled when so many bytes of one reply are out.
    torn_after: Option<usize>,
    faults: LineFaults,
    /// Bytes of noise that were ordered, since the start.
    flood_len: usize,
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
        let terminal = Terminal::open(&path, None)?;
        let (world, seen) = watch::channel(World {
            laid: None,
            number: 0,
            is_plugged: true,
            plugs: 0,
            torn_after: None,
            faults: LineFaults::default(),
            flood_len: 0,
        });
        let module = Module {
            path: path.clone(),
            node: terminal.node().clone(),
            terminal: Some(terminal),
            world: seen,
            after_read,
            was_read: 0,
            torn: None,
            replies: 0,
            flooded: 0,
            random: SplitMix64::new(1),
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

    /// Pulls the plug in the middle of the next reply that is longer than `bytes`: so many of them are out.
    pub fn unplug_in_mid_frame(&self, bytes: usize) {
        self.world
            .send_modify(|world| world.torn_after = Some(bytes));
    }

    /// Puts the plug back: a terminal of another name, at the same path. Plugged back at once, it was never out.
    pub fn plug(&self) {
        self.world.send_modify(|world| {
            world.is_plugged = true;
            world.plugs += 1;
            world.torn_after = None;
        });
    }

    /// Sets what is wrong with the line from the next reply on.
    pub fn set_faults(&self, faults: LineFaults) {
        self.world.send_modify(|world| world.faults = faults);
    }

    /// Sends so many bytes of noise unasked, as fast as they are taken.
    pub fn flood(&self, bytes: usize) {
        self.world.send_modify(|world| world.flood_len += bytes);
    }

    fn lay(&self, laid: Option<Laid>) {
        self.world.send_modify(|world| {
            world.number += 1;
            world.laid = laid;
        });
    }
}

struct Module {
    path: PathBuf,
    terminal: Option<Terminal>,
    /// The name of its last terminal.
    node: CString,
    world: watch::Receiver<World>,
    after_read: AfterRead,
    /// The laying that was read last.
    was_read: u64,
    /// How often it had been plugged in when its plug was pulled in the middle of a reply.
    torn: Option<u64>,
    replies: u32,
    flooded: usize,
    random: SplitMix64,
    clock: MonoClock,
}

impl Module {
    /// Answers until the handle is dropped.
    async fn run(mut self) {
        let mut received = Vec::new();
        loop {
            self.world.borrow_and_update();
            if let Err(error) = self.turn(&mut received).await {
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

    /// Follows the plug, and answers what has come.
    async fn turn(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        if self.is_plugged() && self.terminal.is_none() {
            let terminal = Terminal::open(&self.path, Some(&self.node))?;
            self.node = terminal.node().clone();
            self.terminal = Some(terminal);
        }
        self.flood().await?;
        self.answer_all(received).await?;
        if !self.is_plugged() {
            self.terminal = None;
            received.clear();
        }
        Ok(())
    }

    fn is_plugged(&self) -> bool {
        let world = self.world.borrow();
        world.is_plugged && self.torn != Some(world.plugs)
    }

    fn faults(&self) -> LineFaults {
        self.world.borrow().faults
    }

    /// Sends the noise that was ordered.
    async fn flood(&mut self) -> io::Result<()> {
        loop {
            let ordered = self.world.borrow().flood_len;
            let length = ordered.saturating_sub(self.flooded).min(FLOOD_CHUNK_LEN);
            let (Some(terminal), 1..) = (&self.terminal, length) else {
                return Ok(());
            };
            if !self.is_plugged() {
                return Ok(());
            }
            let bytes = noise(&mut self.random, length);
            self.flooded += length;
            terminal.write_all(&bytes).await?;
        }
    }

    /// Answers each whole command in `received`.
    async fn answer_all(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        if received.is_empty() || !self.is_plugged() {
            return Ok(());
        }
        if self.hears_noise()? {
            received.clear();
            let garbage = noise(&mut self.random, GARBAGE_LEN);
            return self.send(&garbage).await;
        }
        loop {
            let (reply, used) = match decode_command(received) {
                Ok(None) => return Ok(()),
                Ok(Some((code, used))) => (Some(self.reply_to(code)), used),
                Err(FrameError::Checksum) => (Some(status(0x10)), 1),
                Err(FrameError::NotAStart | FrameError::Length(_)) => (None, 1),
            };
            received.drain(..used);
            if let Some(mut reply) = reply {
                self.replies = self.replies.wrapping_add(1);
                let faults = self.faults();
                faults.spoil(&mut reply, self.replies, &mut self.random);
                self.send(&reply).await?;
            }
        }
    }

    /// True if the port is open at another speed than the module is set to.
    fn hears_noise(&self) -> io::Result<bool> {
        Ok(match (&self.terminal, self.faults().baud) {
            (Some(terminal), Some(baud)) => terminal.baud()? != baud,
            (Some(_) | None, _) => false,
        })
    }

    fn reply_to(&mut self, code: [u8; 2]) -> Zeroizing<Vec<u8>> {
        let world = self.world.borrow();
        let is_quiet = self.after_read == AfterRead::Quiet && self.was_read == world.number;
        match (Command::from_code(code), &world.laid) {
            (None, _) => status(0x21),
            (Some(Command::Reset | Command::Status), _) => status(0x90),
            (Some(Command::ModuleId), _) => answer(0x90, b"LAB-MODULE-00001"),
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

    /// Sends at the pace of the line, in parts, as a UART brings them; until the plug is pulled.
    async fn send(&mut self, reply: &[u8]) -> io::Result<()> {
        let (torn_after, plugs) = {
            let world = self.world.borrow();
            let torn_after = world.torn_after.filter(|length| *length < reply.len());
            (torn_after, world.plugs)
        };
        let reply = reply
            .get(..torn_after.unwrap_or(reply.len()))
            .unwrap_or(reply);
        let mut at = self.clock.now();
        for part in reply.chunks(self.faults().chunk_len.max(1)) {
            at = at + BYTE_TIME * u32::try_from(part.len()).unwrap_or(u32::MAX);
            time::sleep_until(self.clock.instant(at)).await;
            match &self.terminal {
                Some(terminal) if self.is_plugged() => terminal.write_all(part).await?,
                Some(_) | None => return Ok(()),
            }
        }
        if torn_after.is_some() {
            self.torn = Some(plugs);
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
mod tests;
