//! One place for one frame: a newer one takes the place of an older one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::CameraError;
use crate::domain::Mono;
use crate::vision::Luma;

/// The place.
#[derive(Default)]
pub struct Newest {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frame: Option<(Luma, Mono)>,
    alive: bool,
    ended: Option<CameraError>,
    given_up: bool,
}

/// What was there.
pub enum Taken {
    /// A frame, and when it was captured.
    Frame(Luma, Mono),
    /// No frame, but the source is alive.
    Alive,
    /// Nothing at all.
    Nothing,
    /// The source has ended.
    Ended(CameraError),
}

impl Newest {
    /// Puts a frame, or a sign of life. False if nobody wants them any more.
    pub fn put(&self, frame: Option<(Luma, Mono)>) -> bool {
        let mut state = self.lock();
        match frame {
            Some(frame) => state.frame = Some(frame),
            None => state.alive = true,
        }
        self.changed.notify_one();
        !state.given_up
    }

    /// The source has ended.
    pub fn end(&self, error: CameraError) {
        self.lock().ended = Some(error);
        self.changed.notify_one();
    }

    /// Nobody will take from here again.
    pub fn give_up(&self) {
        self.lock().given_up = true;
    }

    /// Takes what is there, after waiting for it for at most `within`.
    pub fn take(&self, within: Duration) -> Taken {
        let state = self.lock();
        let empty =
            |state: &mut State| state.frame.is_none() && !state.alive && state.ended.is_none();
        let waited = self.changed.wait_timeout_while(state, within, empty);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some((luma, captured)) = state.frame.take() {
            state.alive = false;
            Taken::Frame(luma, captured)
        } else if let Some(error) = state.ended.take() {
            Taken::Ended(error)
        } else if std::mem::take(&mut state.alive) {
            Taken::Alive
        } else {
            Taken::Nothing
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
