//! Events on their way out of the thread, which never waits for anybody.

use std::collections::VecDeque;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::GpioEvent;

/// Events kept while the receiver does not keep up.
const OUTBOX_MAX: usize = 256;

/// A bounded queue before the channel: what is late is late in order.
pub(super) struct Outbox {
    events: Sender<GpioEvent>,
    queue: VecDeque<GpioEvent>,
    overflowed: bool,
}

impl Outbox {
    /// An empty queue before `events`.
    pub(super) const fn new(events: Sender<GpioEvent>) -> Self {
        Self {
            events,
            queue: VecDeque::new(),
            overflowed: false,
        }
    }

    /// Takes an event; if there are too many, the oldest that will be said again anyway is dropped.
    pub(super) fn push(&mut self, event: GpioEvent) {
        if self.queue.len() >= OUTBOX_MAX {
            if !self.overflowed {
                self.overflowed = true;
                tracing::warn!("events of the lines are not taken; the oldest are dropped");
            }
            // Levels are said again, so the oldest of them is what can be spared.
            let spare = |event: &GpioEvent| {
                matches!(
                    event,
                    GpioEvent::Sensed(..) | GpioEvent::Key(..) | GpioEvent::Fire(_)
                )
            };
            let oldest = self.queue.iter().position(spare).unwrap_or(0);
            self.queue.remove(oldest);
        }
        self.queue.push_back(event);
        self.flush();
    }

    /// Hands over what the channel takes.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.queue.front() {
            match self.events.try_send(*event) {
                Ok(()) => {
                    self.queue.pop_front();
                }
                Err(TrySendError::Full(_)) => return,
                // The loop of the thread sees that the channel is closed.
                Err(TrySendError::Closed(_)) => self.queue.clear(),
            }
        }
        self.overflowed = false;
    }

    /// True if nobody listens any more.
    pub(super) fn is_closed(&self) -> bool {
        self.events.is_closed()
    }
}
