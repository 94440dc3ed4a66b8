//! Cameras: frames in, presentations out.
//!
//! Three threads a camera, because a camera blocks. A capture thread takes frames from the source, a decode thread
//! reads the newest one, and a supervisor watches both, gives up a capture thread that hangs and opens the source
//! again. Frames that come faster than they are read are overwritten, never queued.

pub mod capture;
pub mod channel;
mod controls;
pub mod cores;
pub mod decode;
pub mod folder;
mod framing;
mod idle;
pub mod look;
pub mod newest;
pub mod picture;
mod sight;
pub mod v4l;
pub mod view;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::Sender;

use super::{Blindness, MonoClock, Port, ReaderEvent};
use crate::config::tree;
use crate::vision::FrameError;

pub use capture::Patience;
pub use channel::{FrameFeed, frame_feed};
pub use idle::Presence;
pub use newest::Shape;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// Not there, not ours, or busy. Tried again for ever.
    #[error("cannot open {device}: {reason}")]
    Open {
        /// What was to be opened.
        device: String,
        /// As the driver said.
        reason: String,
    },
    /// It offers no picture that we take.
    #[error("{device} offers none of YUYV, NV12, GREY and MJPEG")]
    NoFormat {
        /// The camera.
        device: String,
    },
    /// It was open and is gone.
    #[error("the source of frames is gone: {reason}")]
    Lost {
        /// As the driver said.
        reason: String,
    },
    /// Frames come, and say nothing.
    #[error("{}", sight::words(*.0))]
    Blind(Blindness),
    /// This frame is no picture; the next one may be.
    #[error("a damaged frame: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
}

impl From<FrameError> for CameraError {
    fn from(error: FrameError) -> Self {
        Self::Damaged {
            reason: error.to_string(),
        }
    }
}

/// Where frames come from. Made and used on a thread of its own, so it may block.
pub trait FrameSource {
    /// Waits for the next frame and writes it to `out`: luma: [height x width] u8, row-major.
    /// `Ok(None)`: nothing yet, and all is well. A source says so at least once a second, or counts as stalled.
    ///
    /// # Errors
    /// [`CameraError::Damaged`] spoils one frame; every other error ends the source.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError>;

    /// True if each frame is to be read: the next one is not asked for before. A camera cannot wait, a folder can.
    fn loses_nothing(&self) -> bool {
        false
    }
}

/// Opens a source: again after each loss.
pub type OpenSource = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, CameraError> + Send>;

/// Runs a V4L2 camera until `events` is closed.
///
/// # Errors
/// If no thread can be started.
pub fn spawn_camera(
    settings: &tree::Camera,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
    presence: Presence,
) -> io::Result<JoinHandle<()>> {
    let settings = settings.clone();
    spawn_where(
        move || {
            v4l::V4lSource::open(&settings)
                .map(|source| -> Box<dyn FrameSource> { Box::new(source) })
        },
        port,
        clock,
        events,
        presence,
    )
}

/// Plays the pictures of a folder until `events` is closed.
///
/// # Errors
/// If no thread can be started.
pub fn spawn_folder(
    settings: &tree::Folder,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
) -> io::Result<JoinHandle<()>> {
    let mut player = Some(folder::FolderSource::new(settings));
    let settings = settings.clone();
    spawn_source(
        move || {
            // What was played is remembered by the first player; it is made anew only after the folder was lost.
            let player = player
                .take()
                .unwrap_or_else(|| folder::FolderSource::new(&settings));
            player
                .opened()
                .map(|source| -> Box<dyn FrameSource> { Box::new(source) })
        },
        port,
        clock,
        events,
    )
}

/// Runs any source until `events` is closed. The thread that is returned ends after all others.
///
/// # Errors
/// If no thread can be started.
pub fn spawn_source(
    open: impl FnMut() -> Result<Box<dyn FrameSource>, CameraError> + Send + 'static,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
) -> io::Result<JoinHandle<()>> {
    let presence = Presence::default();
    spawn_where(open, port, clock, events, presence)
}

/// The same, at a lane whose beams tell whether somebody stands there.
///
/// # Errors
/// If no thread can be started.
pub fn spawn_where(
    open: impl FnMut() -> Result<Box<dyn FrameSource>, CameraError> + Send + 'static,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
    presence: Presence,
) -> io::Result<JoinHandle<()>> {
    let patience = Patience::default();
    capture::spawn(Box::new(open), port, clock, events, patience, presence)
}
