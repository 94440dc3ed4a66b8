//! An emulated reader on a pseudo-terminal, with faults, for as long as somebody wants it.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::{Device, Kind};
use crate::lab::line_faults::LineFaults;
use crate::lab::random::SplitMix64;
use crate::lab::terminal::Terminal;

const READ_LEN: usize = 256;
/// A byte with its start and stop bit at 115200 baud.
const BYTE_TIME: Duration = Duration::from_nanos(86_806);
/// How long a card lies, and how long a plug is out.
const LIES: Duration = Duration::from_millis(1_500);
const OUT: Duration = Duration::from_secs(3);
/// A module that repeats does so this often.
const REPEAT: Duration = Duration::from_millis(100);

/// What is emulated, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which.
    pub kind: Kind,
    /// Becomes a link to the terminal.
    pub path: PathBuf,
    /// Readers of an OSDP line.
    pub keys: Vec<(u8, Option<[u8; 16]>)>,
    /// Chunks, noise and wrong checksums.
    pub faults: LineFaults,
    /// Of so many replies, one stops in the middle; 0: none does.
    pub stall_every: u32,
    /// The plug is pulled so often, for three seconds.
    pub unplug_every: Option<Duration>,
    /// A card is laid so often; none: only when told.
    pub tap_every: Option<Duration>,
    /// Seed of noise.
    pub seed: u64,
}

/// Emulates until `taps` closes; whatever comes on it lays the next card.
///
/// # Errors
/// The system has no pseudo-terminals left, or something else stands at the path.
pub async fn run(settings: Settings, mut taps: mpsc::Receiver<()>) -> io::Result<()> {
    let mut line = Line {
        terminal: Some(Terminal::open(&settings.path, None)?),
        device: Device::new(settings.kind, &settings.keys),
        random: SplitMix64::new(settings.seed),
        replies: 0,
        node: None,
        settings,
    };
    let now = Instant::now();
    let mut tap = line.settings.tap_every.map(|every| now + every);
    let mut unplug = line.settings.unplug_every.map(|every| now + every);
    let (mut lift, mut plug, mut again) = (None, None, None);
    let mut number = 0_u16;
    loop {
        let mut chunk = [0; READ_LEN];
        let mut lay = false;
        tokio::select! {
            told = taps.recv() => match told {
                Some(()) => lay = true,
                None => return Ok(()),
            },
            read = line.read(&mut chunk) => {
                let bytes = chunk.get(..read?).unwrap_or_default();
                for reply in line.device.hear(bytes) {
                    line.send(reply).await?;
                }
            }
            () = at(tap) => {
                tap = line.settings.tap_every.map(|every| Instant::now() + every);
                lay = true;
            }
            () = at(lift) => {
                (lift, again) = (None, None);
                line.device.lift();
            }
            () = at(again) => {
                again = Some(Instant::now() + REPEAT);
                let bytes = line.device.again();
                line.send(bytes).await?;
            }
            () = at(unplug) => {
                (unplug, plug) = (None, Some(Instant::now() + OUT));
                line.unplug();
            }
            () = at(plug) => {
                plug = None;
                unplug = line.settings.unplug_every.map(|every| Instant::now() + every);
                line.plug()?;
            }
        }
        if lay {
            number = number.wrapping_add(1);
            let bytes = line.device.lay(number);
            line.send(bytes).await?;
            (lift, again) = (Some(Instant::now() + LIES), Some(Instant::now() + REPEAT));
        }
    }
}

async fn at(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Line {
    settings: Settings,
    terminal: Option<Terminal>,
    device: Device,
    random: SplitMix64,
    replies: u32,
    /// The name of its last terminal.
    node: Option<CString>,
}

impl Line {
    async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.terminal {
            Some(terminal) => terminal.read(buf).await,
            None => std::future::pending().await,
        }
    }

    fn unplug(&mut self) {
        self.node = self.terminal.take().map(|terminal| terminal.node().clone());
    }

    fn plug(&mut self) -> io::Result<()> {
        let path: &Path = &self.settings.path;
        self.terminal = Some(Terminal::open(path, self.node.as_ref())?);
        Ok(())
    }

    /// Sends at the pace of the line, spoiled as ordered.
    async fn send(&mut self, mut reply: Vec<u8>) -> io::Result<()> {
        let Some(terminal) = self.terminal.as_ref().filter(|_| !reply.is_empty()) else {
            return Ok(());
        };
        self.replies = self.replies.wrapping_add(1);
        let mut faults = self.settings.faults;
        if self.replies.checked_rem(self.settings.stall_every) == Some(0) {
            faults.stops_after = Some(reply.len() / 2);
        }
        faults.spoil(&mut reply, self.replies, &mut self.random);
        for part in reply.chunks(faults.chunk_len.max(1)) {
            time::sleep(BYTE_TIME * u32::try_from(part.len()).unwrap_or(u32::MAX)).await;
            terminal.write_all(part).await?;
        }
        Ok(())
    }
}
