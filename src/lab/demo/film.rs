//! The camera of a demo lane: fifteen pictures a second of an empty hall, or of a phone that comes and is held still.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::drivers::camera::{CameraError, FrameSource, Shape};
use crate::lab::random::SplitMix64;
use crate::lab::screen::{self, View};
use crate::runtime::start::OpenSource;
use crate::vision::LumaImage;

/// Between two pictures.
const PAUSE: Duration = Duration::from_millis(50);
/// Pictures on the way to the camera, blurred and small.
const APPROACH: usize = 5;

/// What is before the camera of one lane. Clones are the same scene.
#[derive(Clone)]
pub struct Scene {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    phone: Option<Phone>,
    random: SplitMix64,
}

/// A phone in view.
#[derive(Clone)]
struct Phone {
    text: String,
    /// Draws how it is held.
    seed: u64,
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

    /// Somebody comes with a phone that shows `text`.
    pub fn show(&self, text: &str) {
        let mut inner = self.lock();
        let seed = inner.random.next_u64();
        inner.phone = Some(Phone {
            text: text.to_owned(),
            seed,
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
                seed: None,
                coming: VecDeque::new(),
            }))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Film {
    scene: Scene,
    /// The phone whose pictures are being taken.
    seed: Option<u64>,
    /// Its pictures until it is at rest.
    coming: VecDeque<LumaImage>,
}

impl FrameSource for Film {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
        thread::sleep(PAUSE);
        let (phone, noise) = {
            let mut inner = self.scene.lock();
            (inner.phone.clone(), inner.random.next_u64())
        };
        let picture = match phone {
            None => {
                self.seed = None;
                self.coming.clear();
                screen::empty_scene(noise)
            }
            Some(Phone { text, seed }) => {
                if self.seed != Some(seed) {
                    self.seed = Some(seed);
                    self.coming = screen::approach(&text, seed, APPROACH).into();
                }
                let at_rest = || screen::render(&text, &View::at_rest_with(&text, seed), noise);
                self.coming.pop_front().unwrap_or_else(at_rest)
            }
        };
        out.clear();
        out.extend_from_slice(picture.pixels());
        Ok(Some(Shape {
            width: screen::WIDTH,
            height: screen::HEIGHT,
        }))
    }
}
