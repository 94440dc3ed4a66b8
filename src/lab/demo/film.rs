//! The camera of a demo lane: fifteen pictures a second of an empty hall, or of a phone that comes and is held still.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::drivers::camera::{CameraError, FrameSource, OpenSource};
use crate::lab::random::SplitMix64;
use crate::lab::screen::{self, Phone, View};
use crate::vision::Luma;

/// Between two pictures.
const PAUSE: Duration = Duration::from_millis(66);
/// Pictures on the way to the camera, blurred and small.
const APPROACH: usize = 4;

/// What is before the camera of one lane. Clones are the same scene.
#[derive(Clone)]
pub struct Scene {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    phone: Option<Held>,
    random: SplitMix64,
}

struct Held {
    phone: Arc<Phone>,
    view: View,
    pictures: usize,
}

impl Scene {
    /// An empty hall.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                phone: None,
                random: SplitMix64::new(seed),
            })),
        }
    }

    /// Somebody comes with a phone.
    pub fn show(&self, phone: Phone) {
        let mut inner = self.lock();
        let view = View::at_rest(&mut inner.random);
        inner.phone = Some(Held {
            phone: Arc::new(phone),
            view,
            pictures: 0,
        });
    }

    /// The phone is put away.
    pub fn clear(&self) {
        self.lock().phone = None;
    }

    /// Opens the camera.
    #[must_use]
    pub fn opener(&self) -> OpenSource {
        let scene = self.clone();
        Arc::new(move || {
            Ok(Box::new(Film {
                scene: scene.clone(),
            }))
        })
    }

    /// What the next picture shows.
    fn next(&self) -> (Option<(Arc<Phone>, View)>, u64) {
        let mut inner = self.lock();
        let seed = inner.random.next();
        let held = inner.phone.as_mut().map(|held| {
            let left = APPROACH.saturating_sub(held.pictures);
            held.pictures += 1;
            (Arc::clone(&held.phone), held.view.approaching(left))
        });
        (held, seed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Film {
    scene: Scene,
}

impl FrameSource for Film {
    fn next(&mut self) -> Result<Option<Luma>, CameraError> {
        thread::sleep(PAUSE);
        let (held, seed) = self.scene.next();
        Ok(Some(screen::picture(
            held.as_ref().map(|(phone, view)| (phone.as_ref(), view)),
            seed,
        )))
    }
}
