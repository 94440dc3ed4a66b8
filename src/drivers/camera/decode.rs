//! Reads the newest frame and says what came into view.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::newest::{Frame, Newest};
use super::view::InView;
use crate::domain::{Medium, Mono, Personal, Prompt, Shown};
use crate::drivers::pace::Pace;
use crate::drivers::{MonoClock, Port, ReaderEvent, ReaderReport};
use crate::vision::{Luma, Reading, Tracker};

/// How long to wait for a frame before looking whether the runtime is still there.
const PATIENCE: Duration = Duration::from_millis(100);
/// Characters of the longest code that any issuer makes; a longer one is shown as such, and its text goes no further.
pub const CHARS_MAX: usize = 1_500;

/// Says something without waiting: when nobody listens in time it is dropped. A presentation that waits in a queue
/// would open the gate for somebody who has left.
pub(super) fn say(events: &Sender<ReaderEvent>, port: &Arc<Port>, report: ReaderReport) -> bool {
    let port = Arc::clone(port);
    events.try_send(ReaderEvent { port, report }).is_ok()
}

/// Reads frames until `events` is closed.
pub(super) fn run(
    newest: &Newest,
    port: &Arc<Port>,
    clock: MonoClock,
    events: &Sender<ReaderEvent>,
) {
    let (mut view, mut pace) = (InView::default(), Pace::default());
    let mut tracker = Tracker::default();
    while !events.is_closed() {
        let Some(frame) = newest.take(PATIENCE) else {
            continue;
        };
        let begun = clock.now();
        match Luma::new(frame.shape.width, frame.shape.height, &frame.luma) {
            Ok(luma) => {
                let reading = tracker.read(luma);
                let ended = clock.now();
                let decode = ended.since(begun);
                let read = !reading.texts.is_empty();
                say(events, port, ReaderReport::Frame { decode, read });
                report(reading, &frame, ended, (&mut view, &mut pace), port, events);
            }
            Err(_) => {
                say(events, port, ReaderReport::Faults(1));
            }
        }
        newest.recycle(frame.luma);
    }
}

fn report(
    reading: Reading,
    frame: &Frame,
    read: Mono,
    (view, pace): (&mut InView, &mut Pace),
    port: &Arc<Port>,
    events: &Sender<ReaderEvent>,
) {
    let faults = reading.panics + u32::from(reading.gave_up);
    if faults > 0 {
        say(events, port, ReaderReport::Faults(faults));
    }
    if view.wants_prompt(frame.captured, &reading) {
        say(events, port, ReaderReport::Prompt(Prompt::HoldStill));
    }
    for text in reading.texts {
        if !view.is_new(frame.captured, &text) {
            continue;
        }
        if !pace.admits(read) {
            say(events, port, ReaderReport::TooFast(1));
            continue;
        }
        let shown = if text.chars().nth(CHARS_MAX).is_some() {
            Shown::TooLong
        } else {
            Shown::Code(Personal::new(text))
        };
        let presentation = port.presentation(Medium::QrCode, shown, frame.captured, read);
        if !say(events, port, ReaderReport::Presented(presentation)) {
            // The next frame shows it again.
            view.forget_newest();
        }
    }
}
