//! Frames from memory: the demo pushes what its camera would see.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{CameraError, FrameSource, Shape};
use crate::vision::Luma;

/// Frames under way. A camera has a queue of about this length too.
const UNDER_WAY_MAX: usize = 2;
/// How long the source waits before it says that all is well.
const HEARTBEAT: Duration = Duration::from_millis(200);

type Pushed = (Shape, Vec<u8>);

/// The hand that pushes frames.
#[derive(Clone, Debug)]
pub struct FrameFeed {
    frames: SyncSender<Pushed>,
}

/// What became of a pushed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStatus {
    /// On its way.
    Taken,
    /// The camera is behind: the frame is dropped, as a camera would drop it.
    Dropped,
    /// Nobody takes frames any more.
    Closed,
}

impl FrameFeed {
    /// Pushes one frame. luma: [height x width] u8, row-major.
    ///
    /// # Errors
    /// [`CameraError::Damaged`] if the bytes are not of that size.
    pub fn push(
        &self,
        width: usize,
        height: usize,
        luma: Vec<u8>,
    ) -> Result<FeedStatus, CameraError> {
        Luma::new(width, height, &luma)?;
        Ok(
            match self.frames.try_send((Shape { width, height }, luma)) {
                Ok(()) => FeedStatus::Taken,
                Err(TrySendError::Full(_)) => FeedStatus::Dropped,
                Err(TrySendError::Disconnected(_)) => FeedStatus::Closed,
            },
        )
    }
}

/// The other end: opens sources for [`super::spawn_source`].
#[derive(Clone)]
pub struct FrameFeedEnd(Arc<Mutex<Receiver<Pushed>>>);

impl FrameFeedEnd {
    /// A source of the pushed frames. Of several, each gets what it is first to take.
    #[must_use]
    pub fn open(&self) -> Box<dyn FrameSource> {
        Box::new(ChannelSource(self.clone()))
    }
}

/// A feed and its end.
#[must_use]
pub fn frame_feed() -> (FrameFeed, FrameFeedEnd) {
    let (frames, end) = sync_channel(UNDER_WAY_MAX);
    (
        FrameFeed { frames },
        FrameFeedEnd(Arc::new(Mutex::new(end))),
    )
}

struct ChannelSource(FrameFeedEnd);

impl FrameSource for ChannelSource {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
        let ChannelSource(FrameFeedEnd(frames)) = self;
        let frames = frames.lock().unwrap_or_else(PoisonError::into_inner);
        match frames.recv_timeout(HEARTBEAT) {
            Ok((shape, luma)) => {
                *out = luma;
                Ok(Some(shape))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(CameraError::Lost {
                reason: "the feed was closed".into(),
            }),
        }
    }
}
