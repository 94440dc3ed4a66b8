//! Cameras: newest frame wins, nothing old is queued.
//!
//! ```text
//! capture thread: open, frame, frame … -> newest -> supervisor thread: decode, latch -> events
//! ```
//!
//! A capture may block for ever (nokhwa's `frame()` does when the source stops), so it has a thread of its own. The
//! supervisor gives it up when nothing has come for [`SILENCE_MAX`], says that the camera is down, and starts another
//! one; the old thread ends when its call returns. At most [`STUCK_MAX`] are given up at a time: a thread that hangs
//! cannot be stopped, only counted.

pub mod folder;
pub mod latch;
pub mod newest;
pub mod pixels;
pub mod v4l;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use self::latch::Latch;
use self::newest::{Newest, Taken};
use super::backoff::Backoff;
use super::{MonoClock, Port, ReaderEvent, ReaderReport};
use crate::config::tree;
use crate::domain::{Medium, Mono, Personal, Prompt, Shown};
use crate::vision::{self, Luma};

/// After this long without a sign of life a capture is given up.
pub const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Captures that were given up and have not ended.
pub const STUCK_MAX: usize = 4;
/// How long the supervisor waits before it looks at the watchdog and the channel.
const LOOK: Duration = Duration::from_millis(100);
/// Frames larger than this are scaled down before they are read.
const FRAME_MAX: (usize, usize) = (1280, 720);

/// Why a camera gives no frames. The driver tries again after every one of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// It cannot be opened, or offers no format that can be read.
    #[error("cannot open {device}: {why}")]
    Open {
        /// The device or folder.
        device: PathBuf,
        /// Why.
        why: String,
    },
    /// It is open and gives no frame.
    #[error("no frame: {0}")]
    Frame(String),
    /// The watchdog.
    #[error("no frame for {} ms", SILENCE_MAX.as_millis())]
    Silent,
    /// Every capture hangs in the driver.
    #[error(
        "{STUCK_MAX} captures hang in the driver; the camera must be unplugged or the daemon restarted"
    )]
    AllStuck,
}

/// Something that gives frames. Calls block.
pub trait FrameSource {
    /// The next frame; `None` if there is none yet and the source is alive.
    ///
    /// # Errors
    /// [`CameraError`]; the source is closed then.
    fn next(&mut self) -> Result<Option<Luma>, CameraError>;
}

/// Opens a source, on the thread that will read it.
pub type OpenSource = Arc<dyn Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + Sync>;

/// Starts the driver of a V4L2 camera. It ends when `events` closes.
///
/// # Errors
/// What the system says if it has no thread left.
pub fn spawn_camera(
    settings: &tree::Camera,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
) -> std::io::Result<()> {
    let settings = settings.clone();
    spawn(Arc::new(move || v4l::open(&settings)), port, clock, events)
}

/// Starts a driver that plays a folder. It ends when `events` closes.
///
/// # Errors
/// What the system says if it has no thread left.
pub fn spawn_folder(
    settings: &tree::Folder,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
) -> std::io::Result<()> {
    let settings = settings.clone();
    spawn(
        Arc::new(move || folder::open(&settings)),
        port,
        clock,
        events,
    )
}

/// Starts the driver of any source. It ends when `events` closes.
///
/// # Errors
/// What the system says if it has no thread left.
pub fn spawn(
    open: OpenSource,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
) -> std::io::Result<()> {
    let driver = Driver {
        open,
        port,
        clock,
        events,
        stuck: Arc::default(),
        latch: Latch::default(),
        faults: 0,
    };
    thread::Builder::new()
        .name(format!("camera-{}", driver.port.name))
        .spawn(move || driver.run())?;
    Ok(())
}

struct Driver {
    open: OpenSource,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
    stuck: Arc<AtomicUsize>,
    latch: Latch,
    faults: u32,
}

impl Driver {
    fn run(mut self) {
        let mut backoff = Backoff::new(self.clock.now().as_micros());
        let mut up = None;
        while !self.events.is_closed() {
            let error = self.watch_one(&mut up, &mut backoff);
            let Some(error) = error else { return };
            let wait = backoff.wait();
            if up != Some(false) {
                tracing::warn!(reader = %self.port.name, %error, "camera is offline");
                self.tell(&mut up, false);
            }
            // Waiting in small steps, so that a stop is not held up.
            let until = self.clock.now() + wait;
            while self.clock.now() < until && !self.events.is_closed() {
                thread::sleep(LOOK.min(wait));
            }
        }
    }

    /// Serves one capture until it fails; `None` if nobody listens any more.
    fn watch_one(&mut self, up: &mut Option<bool>, backoff: &mut Backoff) -> Option<CameraError> {
        let newest = match self.capture() {
            Ok(newest) => newest,
            Err(error) => return Some(error),
        };
        let opened = self.clock.now();
        let mut alive = opened;
        loop {
            if self.events.is_closed() {
                newest.give_up();
                return None;
            }
            match newest.take(LOOK) {
                Taken::Frame(luma, captured) => {
                    alive = self.clock.now();
                    if *up != Some(true) {
                        self.tell(up, true);
                    }
                    self.look(luma, captured);
                }
                Taken::Alive => {
                    alive = self.clock.now();
                    if *up != Some(true) {
                        self.tell(up, true);
                    }
                }
                Taken::Nothing if self.clock.now().since(alive) > SILENCE_MAX => {
                    newest.give_up();
                    return Some(CameraError::Silent);
                }
                Taken::Nothing => {}
                Taken::Ended(error) => return Some(error),
            }
            if self.clock.now().since(opened) > super::backoff::BACKOFF_MAX {
                backoff.reset();
            }
        }
    }

    /// Starts a capture thread.
    fn capture(&self) -> Result<Arc<Newest>, CameraError> {
        if self.stuck.load(Ordering::Relaxed) >= STUCK_MAX {
            return Err(CameraError::AllStuck);
        }
        let newest = Arc::new(Newest::default());
        let (slot, open, clock, stuck) = (
            Arc::clone(&newest),
            Arc::clone(&self.open),
            self.clock,
            Arc::clone(&self.stuck),
        );
        stuck.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            let error = match open() {
                Ok(mut source) => feed(source.as_mut(), &slot, clock),
                Err(error) => Some(error),
            };
            stuck.fetch_sub(1, Ordering::Relaxed);
            if let Some(error) = error {
                slot.end(error);
            }
        };
        let spawned = thread::Builder::new()
            .name(format!("capture-{}", self.port.name))
            .spawn(work);
        match spawned {
            Ok(_) => Ok(newest),
            Err(error) => {
                self.stuck.fetch_sub(1, Ordering::Relaxed);
                Err(CameraError::Frame(error.to_string()))
            }
        }
    }

    fn look(&mut self, luma: Luma, captured: Mono) {
        let started = self.clock.now();
        let reading = vision::read(&luma.fitted(FRAME_MAX.0, FRAME_MAX.1));
        let now = self.clock.now();
        self.report(ReaderReport::Frame {
            decode: now.since(started),
            read: !reading.texts.is_empty(),
        });
        self.faults += reading.panics + u32::from(reading.given_up);
        let located = reading.located;
        for text in reading.texts {
            let text = Personal::new(text);
            if self.latch.is_new(now, &text) {
                let shown = Shown::Code(text);
                let presentation = self.port.presentation(Medium::QrCode, shown, captured, now);
                self.report(ReaderReport::Presented(presentation));
            }
        }
        if self.latch.wants_prompt(now, located) {
            self.report(ReaderReport::Prompt(Prompt::HoldStill));
        }
        if self.faults > 0 {
            let faults = std::mem::take(&mut self.faults);
            self.report(ReaderReport::Faults(faults));
        }
    }

    /// A presentation must never wait in a queue to open a gate later: where there is no room, it is counted and gone.
    fn report(&mut self, report: ReaderReport) {
        if self.events.try_send(self.event(report)).is_err() {
            self.faults = self.faults.saturating_add(1);
        }
    }

    /// Whether a camera is up must not be lost; this waits. A closed channel means a stop, which the loop sees.
    fn tell(&self, up: &mut Option<bool>, now: bool) {
        *up = Some(now);
        let _ = self.events.blocking_send(self.event(ReaderReport::Up(now)));
    }

    fn event(&self, report: ReaderReport) -> ReaderEvent {
        ReaderEvent {
            port: Arc::clone(&self.port),
            report,
        }
    }
}

/// Hands frames over until the source fails, or nobody wants them; then there is no error to tell.
fn feed(source: &mut dyn FrameSource, newest: &Newest, clock: MonoClock) -> Option<CameraError> {
    loop {
        let frame = match source.next() {
            Ok(frame) => frame,
            Err(error) => return Some(error),
        };
        if !newest.put(frame.map(|luma| (luma, clock.now()))) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests;
