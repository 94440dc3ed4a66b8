//! A camera that can be unplugged, hang, freeze and go dark, round any source of frames.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::drivers::camera::{CameraError, FrameSource, Shape};
use crate::runtime::start::OpenSource;

/// What is wrong with a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CameraFault {
    /// Nothing.
    #[default]
    None,
    /// It is not there: what was open ends, and nothing opens.
    Unplugged,
    /// It is there, and no frame comes: whoever waits for one waits for ever, as in the driver of the kernel.
    Hangs,
    /// The same frame comes again and again, over every opening.
    Frozen,
    /// Its lens is covered: only the noise of the sensor is left.
    Dark,
}

/// The handle. Clones are the same camera.
#[derive(Clone, Default)]
pub struct CameraFaults {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    fault: CameraFault,
    /// The frame that a frozen camera gives. luma: [height x width] u8, row-major.
    frozen: Option<(Shape, Vec<u8>)>,
}

impl CameraFaults {
    /// Sets what is wrong, from the next frame on.
    pub fn set(&self, fault: CameraFault) {
        *self.shared.lock() = State {
            fault,
            frozen: None,
        };
        self.shared.changed.notify_all();
    }

    /// The camera that `open` opens, with these faults.
    #[must_use]
    pub fn wrap(&self, open: OpenSource) -> OpenSource {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || {
            if shared.lock().fault == CameraFault::Unplugged {
                return Err(CameraError::Open {
                    device: "the emulated camera".into(),
                    reason: "No such file or directory".into(),
                });
            }
            Ok(Box::new(Faulty {
                shared: Arc::clone(&shared),
                source: open()?,
            }))
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong, once the camera does not hang any more.
    fn fault(&self) -> CameraFault {
        let state = self.lock();
        let state = self
            .changed
            .wait_while(state, |state| state.fault == CameraFault::Hangs)
            .unwrap_or_else(PoisonError::into_inner);
        state.fault
    }
}

struct Faulty {
    shared: Arc<Shared>,
    source: Box<dyn FrameSource>,
}

impl FrameSource for Faulty {
    fn loses_nothing(&self) -> bool {
        self.source.loses_nothing()
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
        let fault = self.shared.fault();
        if fault == CameraFault::Unplugged {
            return Err(CameraError::Lost {
                reason: "No such device".into(),
            });
        }
        let Some(shape) = self.source.next(out)? else {
            return Ok(None);
        };
        match fault {
            CameraFault::None | CameraFault::Unplugged | CameraFault::Hangs => Ok(Some(shape)),
            CameraFault::Dark => {
                out.iter_mut().for_each(|level| *level = 2 + *level % 8);
                Ok(Some(shape))
            }
            CameraFault::Frozen => {
                let mut state = self.shared.lock();
                let (shape, frozen) = state.frozen.get_or_insert_with(|| (shape, out.clone()));
                out.clone_from(frozen);
                Ok(Some(*shape))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Each frame is brighter than the one before.
    struct Counting(u8);

    impl FrameSource for Counting {
        fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
            self.0 += 1;
            *out = vec![100 + self.0; 4];
            Ok(Some(Shape {
                width: 2,
                height: 2,
            }))
        }
    }

    fn camera() -> (CameraFaults, OpenSource) {
        let faults = CameraFaults::default();
        let open = faults.wrap(Arc::new(|| Ok(Box::new(Counting(0)))));
        (faults, open)
    }

    fn frame(source: &mut dyn FrameSource) -> u8 {
        let mut out = Vec::new();
        source.next(&mut out).unwrap().unwrap();
        out[0]
    }

    #[test]
    fn a_frozen_camera_gives_the_same_frame_over_every_opening() {
        let (faults, open) = camera();
        let mut source = open().unwrap();
        assert_eq!([frame(&mut *source), frame(&mut *source)], [101, 102]);
        faults.set(CameraFault::Frozen);
        assert_eq!([frame(&mut *source), frame(&mut *source)], [103, 103]);
        assert_eq!(frame(&mut *open().unwrap()), 103);
        faults.set(CameraFault::None);
        assert!(frame(&mut *source) > 103);
    }

    #[test]
    fn a_dark_camera_keeps_only_noise() {
        let (faults, open) = camera();
        faults.set(CameraFault::Dark);
        assert!(frame(&mut *open().unwrap()) < 10);
    }

    #[test]
    fn an_unplugged_camera_ends_and_does_not_open() {
        let (faults, open) = camera();
        let mut source = open().unwrap();
        faults.set(CameraFault::Unplugged);
        assert!(source.next(&mut Vec::new()).is_err() && open().is_err());
        faults.set(CameraFault::None);
        assert_eq!(frame(&mut *open().unwrap()), 101);
    }

    #[test]
    fn a_camera_that_hangs_gives_nothing_until_it_is_let_go() {
        let (faults, open) = camera();
        faults.set(CameraFault::Hangs);
        let waiting = thread::spawn(move || frame(&mut *open().unwrap()));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        faults.set(CameraFault::None);
        assert_eq!(waiting.join().unwrap(), 101);
    }
}
