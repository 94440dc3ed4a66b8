//! The one place that reads the monotonic clock.

use tokio::time::Instant;

use crate::domain::Mono;

/// Hands out [`Mono`] instants since its creation. Copies share the origin.
#[derive(Clone, Copy, Debug)]
pub struct MonoClock {
    origin: Instant,
}

impl MonoClock {
    /// A clock that starts at zero, now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Mono {
        Mono::default() + self.origin.elapsed()
    }

    /// The instant of the runtime's clock for `at`, to sleep until.
    #[must_use]
    pub fn instant(&self, at: Mono) -> Instant {
        self.origin + std::time::Duration::from_micros(at.as_micros())
    }
}
