//! Keeps a source of frames open: one thread a connection, and a supervisor that gives up those that hang.
//!
//! A thread that hangs in a driver cannot be stopped. It is abandoned: its frames are not looked at any more, and it
//! ends when the driver lets it go. A few may pile up; then no more are started until one has ended.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::decode::{self, say};
use super::idle::Presence;
use super::newest::{Frame, Newest};
use super::sight::Sight;
use super::{CameraError, OpenSource};
use crate::domain::Mono;
use crate::drivers::backoff::Backoff;
use crate::drivers::{Blindness, MonoClock, Port, ReaderEvent, ReaderReport};

/// Threads that hang in the driver at one time. They cost a stack each, and a camera that hangs so often needs hands.
pub const ABANDONED_MAX: usize = 4;
/// Damaged frames in a row before the source is opened again.
const DAMAGED_MAX: u32 = 60;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a sign of life for so long, an open source counts as stalled.
    pub stall: Duration,
    /// Opening may take so long: some cameras start their stream slowly.
    pub open: Duration,
    /// How often the supervisor looks.
    pub tick: Duration,
    /// A picture that is dark or does not change for so long counts as blind.
    pub blind: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(2),
            open: Duration::from_secs(5),
            tick: Duration::from_millis(100),
            blind: Duration::from_secs(3),
        }
    }
}

/// Starts the supervisor and the decode thread. The thread that is returned ends after the decode thread.
pub(super) fn spawn(
    open: OpenSource,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
    patience: Patience,
    presence: Presence,
) -> io::Result<JoinHandle<()>> {
    let newest = Arc::new(Newest::default());
    let decoder = {
        let (newest, port, events) = (Arc::clone(&newest), Arc::clone(&port), events.clone());
        thread::Builder::new()
            .name(format!("decode {}", port.name))
            .spawn(move || decode::run(&newest, &port, clock, &events, presence))?
    };
    let name = format!("camera {}", port.name);
    let supervisor = Supervisor {
        open: Arc::new(Mutex::new(open)),
        newest,
        port,
        clock,
        events,
        patience,
        said: None,
        blind: None,
        logged: None,
        live: Arc::new(()),
    };
    thread::Builder::new().name(name).spawn(move || {
        supervisor.run();
        if decoder.join().is_err() {
            tracing::error!("the decode thread of a camera has panicked");
        }
    })
}

/// What a capture thread tells the supervisor.
enum Sign {
    /// Open. Whether a frame will come is another matter: there are cameras that open well and then hang.
    Opened,
    /// A frame, or nothing new and all is well.
    Alive,
    /// What its frames look like, when that changes: `None`, it sees.
    Sight(Option<Blindness>),
    /// The connection is over.
    Ended(CameraError),
}

/// What the runtime is told of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Blind(Blindness),
}

/// Kinds of trouble: each is one thing for the operator to look at, however often it is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Unplugged, hanging, or taken by another program.
    Gone,
    /// Its pictures cannot be used.
    Unfit,
    /// Its pictures say nothing.
    Blind(Blindness),
}

impl From<&CameraError> for Trouble {
    fn from(error: &CameraError) -> Self {
        match error {
            CameraError::Open { .. } | CameraError::Lost { .. } => Self::Gone,
            CameraError::NoFormat { .. } | CameraError::Damaged { .. } => Self::Unfit,
            CameraError::Blind(blindness) => Self::Blind(*blindness),
        }
    }
}

struct Supervisor {
    open: Arc<Mutex<OpenSource>>,
    newest: Arc<Newest>,
    port: Arc<Port>,
    clock: MonoClock,
    events: Sender<ReaderEvent>,
    patience: Patience,
    /// What was said last.
    said: Option<State>,
    /// What its frames looked like last, over connections: nobody calls a frozen camera up because it was opened anew.
    blind: Option<Blindness>,
    /// The trouble that was logged last.
    logged: Option<Trouble>,
    /// One more holder for each capture thread that has not ended.
    live: Arc<()>,
}

impl Supervisor {
    fn run(mut self) {
        let seed = self.clock.now().as_micros() ^ self.port.name.len() as u64;
        let mut backoff = Backoff::new(seed);
        while !self.events.is_closed() {
            match self.connection(&mut backoff) {
                Ok(()) => return,
                Err(error) => self.down(&error),
            }
            self.pause(backoff.wait());
        }
    }

    /// One connection, from opening to its end. `Ok`: the runtime is gone.
    fn connection(&mut self, backoff: &mut Backoff) -> Result<(), CameraError> {
        // Whoever is left here is an abandoned one: this thread starts one at a time.
        if Arc::strong_count(&self.live) > ABANDONED_MAX {
            return Err(CameraError::Lost {
                reason: format!(
                    "{ABANDONED_MAX} threads hang in its driver; unplug it or start the daemon again"
                ),
            });
        }
        let (signs, watched) = sync_channel(8);
        let given_up = Arc::new(AtomicBool::new(false));
        self.start(signs, &given_up)?;
        let end = self.watch(&watched, backoff);
        // Whoever is still inside the driver is on its own from here.
        given_up.store(true, Ordering::SeqCst);
        end
    }

    fn start(
        &self,
        signs: SyncSender<Sign>,
        given_up: &Arc<AtomicBool>,
    ) -> Result<(), CameraError> {
        let capture = Capture {
            open: Arc::clone(&self.open),
            newest: Arc::clone(&self.newest),
            port: Arc::clone(&self.port),
            clock: self.clock,
            patience: self.patience,
            events: self.events.clone(),
            signs,
            given_up: Arc::clone(given_up),
            live: Arc::clone(&self.live),
            blind: self.blind,
        };
        thread::Builder::new()
            .name(format!("capture {}", self.port.name))
            .spawn(move || capture.run())
            .map(|_| ())
            .map_err(|error| CameraError::Lost {
                reason: format!("no thread for it: {error}"),
            })
    }

    fn watch(&mut self, signs: &Receiver<Sign>, backoff: &mut Backoff) -> Result<(), CameraError> {
        let mut alive_last = self.clock.now();
        let mut limit = self.patience.open;
        while !self.events.is_closed() {
            match signs.recv_timeout(self.patience.tick) {
                Ok(Sign::Opened) => alive_last = self.clock.now(),
                Ok(Sign::Alive) => {
                    alive_last = self.clock.now();
                    limit = self.patience.stall;
                    if self.blind.is_none() {
                        backoff.reset();
                        self.up();
                    }
                }
                Ok(Sign::Sight(None)) => {
                    self.blind = None;
                    backoff.reset();
                    self.up();
                }
                Ok(Sign::Sight(Some(blindness))) => {
                    self.blind = Some(blindness);
                    self.down(&CameraError::Blind(blindness));
                    // To open a frozen one again often helps. Against darkness it does not.
                    if blindness == Blindness::Frozen {
                        return Err(CameraError::Blind(blindness));
                    }
                }
                Ok(Sign::Ended(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) if self.silence(alive_last) > limit => {
                    return Err(CameraError::Lost {
                        reason: format!("no sign of life for {} ms", limit.as_millis()),
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(CameraError::Lost {
                        reason: "its thread has panicked".into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn silence(&self, since: Mono) -> Duration {
        self.clock.now().since(since)
    }

    /// Logged once a change: another trouble than the last one is a change too.
    fn down(&mut self, error: &CameraError) {
        let trouble = Trouble::from(error);
        if self.logged.replace(trouble) != Some(trouble) {
            tracing::warn!(reader = self.port.name, error = %error, "the camera is down");
        }
        self.say(match trouble {
            Trouble::Blind(blindness) => State::Blind(blindness),
            Trouble::Gone | Trouble::Unfit => State::Down,
        });
    }

    fn up(&mut self) {
        if self.said != Some(State::Up) {
            tracing::info!(reader = self.port.name, "the camera is up");
        }
        self.logged = None;
        self.say(State::Up);
    }

    /// Said once a change, and not dropped: this one waits until it is heard.
    fn say(&mut self, state: State) {
        if self.said.replace(state) == Some(state) {
            return;
        }
        let event = ReaderEvent {
            port: Arc::clone(&self.port),
            report: match state {
                State::Up => ReaderReport::Up(true),
                State::Down => ReaderReport::Up(false),
                State::Blind(blindness) => ReaderReport::Blind(blindness),
            },
        };
        // A closed channel is the end of the daemon; the loops see it.
        let _closed = self.events.blocking_send(event).is_err();
    }

    /// Sleeps, but not past the end of the daemon.
    fn pause(&self, wait: Duration) {
        let begun = self.clock.now();
        while !self.events.is_closed() && self.silence(begun) < wait {
            thread::sleep(self.patience.tick.min(wait));
        }
    }
}

/// One connection, on a thread of its own.
struct Capture {
    open: Arc<Mutex<OpenSource>>,
    newest: Arc<Newest>,
    port: Arc<Port>,
    clock: MonoClock,
    patience: Patience,
    events: Sender<ReaderEvent>,
    signs: SyncSender<Sign>,
    given_up: Arc<AtomicBool>,
    live: Arc<()>,
    /// What was wrong with the frames of the last connection.
    blind: Option<Blindness>,
}

impl Capture {
    fn run(self) {
        let ended = match self.stream() {
            Ok(()) => return,
            Err(error) => Sign::Ended(error),
        };
        if self.signs.send(ended).is_err() {
            // Given up in the meantime: the supervisor has said why.
            tracing::debug!(
                reader = self.port.name,
                "an abandoned camera thread has ended"
            );
        }
        drop(self.live);
    }

    /// Until the source ends, or `Ok` when nobody wants its frames any more.
    fn stream(&self) -> Result<(), CameraError> {
        let mut source = {
            let mut open = match self.open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
                Err(TryLockError::WouldBlock) => {
                    return Err(CameraError::Lost {
                        reason: "an earlier try to open it has not come back".into(),
                    });
                }
            };
            open()?
        };
        let mut buffer = Vec::new();
        let mut damaged = 0;
        let mut sight = Sight::new(self.patience.blind, self.blind);
        // A full queue of signs is as good a sign; a closed one shows in `given_up`.
        let _full = self.signs.try_send(Sign::Opened).is_err();
        while !self.given_up.load(Ordering::SeqCst) && !self.events.is_closed() {
            if source.loses_nothing() && !self.newest.wait_taken(self.patience.tick) {
                let _full = self.signs.try_send(Sign::Alive).is_err();
                continue;
            }
            match source.next(&mut buffer) {
                Ok(Some(shape)) if !self.given_up.load(Ordering::SeqCst) => {
                    damaged = 0;
                    let captured = self.clock.now();
                    // Pictures that come once each may well be alike; those of a camera may not.
                    let said = (!source.loses_nothing())
                        .then(|| sight.look(captured, &buffer))
                        .flatten();
                    if said.is_some_and(|said| self.signs.send(Sign::Sight(said)).is_err()) {
                        return Ok(());
                    }
                    buffer = self.newest.put(Frame {
                        luma: buffer,
                        shape,
                        captured,
                    });
                }
                Ok(_) => {}
                Err(CameraError::Damaged { .. }) if damaged < DAMAGED_MAX => {
                    damaged += 1;
                    say(&self.events, &self.port, ReaderReport::Faults(1));
                }
                Err(error) => return Err(error),
            }
            let _full = self.signs.try_send(Sign::Alive).is_err();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::mpsc::{Receiver, channel};

    use super::super::{FrameSource, Shape, frame_feed};
    use super::*;
    use crate::domain::{Direction, LaneId, Shown};

    const HASTE: Patience = Patience {
        stall: Duration::from_millis(60),
        open: Duration::from_millis(60),
        tick: Duration::from_millis(5),
        blind: Duration::from_millis(90),
    };

    fn port() -> Arc<Port> {
        Arc::new(Port {
            lane: LaneId(0),
            direction: Direction::Entry,
            name: "camera".into(),
        })
    }

    /// A wall without a code, with a noisy pixel.
    struct Wall(u8);

    impl FrameSource for Wall {
        fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
            thread::sleep(Duration::from_millis(5));
            out.clear();
            out.resize(64 * 48, 30);
            self.0 = self.0.wrapping_add(1);
            out[0] = self.0;
            Ok(Some(Shape {
                width: 64,
                height: 48,
            }))
        }
    }

    /// Hangs until its sender is dropped.
    struct Hanging(mpsc::Receiver<()>);

    impl FrameSource for Hanging {
        fn next(&mut self, _: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
            self.0.recv().map(|()| None).map_err(|_| CameraError::Lost {
                reason: "let go".into(),
            })
        }
    }

    /// The next report of the kind that `pick` picks.
    fn wait_for<T>(
        events: &mut Receiver<ReaderEvent>,
        pick: impl Fn(&ReaderReport) -> Option<T>,
    ) -> T {
        loop {
            let event = events.blocking_recv().expect("the camera has ended");
            if let Some(picked) = pick(&event.report) {
                return picked;
            }
        }
    }

    fn ups(report: &ReaderReport) -> Option<bool> {
        if let ReaderReport::Up(up) = *report {
            Some(up)
        } else {
            None
        }
    }

    #[test]
    fn a_camera_that_hangs_is_reported_down_and_opened_again() {
        let (events, mut heard) = channel(64);
        let (hand, hang) = mpsc::channel();
        let mut hang = Some(hang);
        let open: OpenSource = Box::new(move || {
            Ok(match hang.take() {
                Some(hang) => Box::new(Hanging(hang)),
                None => Box::new(Wall(0)),
            })
        });
        let thread = spawn(
            open,
            port(),
            MonoClock::start(),
            events,
            HASTE,
            Presence::default(),
        )
        .unwrap();
        assert!(!wait_for(&mut heard, ups), "it opens and hangs");
        assert!(wait_for(&mut heard, ups), "a new thread has it again");
        let read = wait_for(&mut heard, |report| {
            if let ReaderReport::Frame { read, .. } = *report {
                Some(read)
            } else {
                None
            }
        });
        assert!(!read, "a wall");
        drop((hand, heard));
        thread.join().unwrap();
    }

    #[test]
    fn threads_that_hang_in_the_driver_do_not_pile_up() {
        let (mut supervisor, heard) = supervisor();
        let live = Arc::clone(&supervisor.live);
        let hanging = vec![Arc::clone(&live); ABANDONED_MAX - 1];
        let refused = supervisor.connection(&mut Backoff::new(1)).unwrap_err();
        assert!(refused.to_string().contains("hang in its driver"));
        drop((live, hanging));
        let opened = supervisor.connection(&mut Backoff::new(1)).unwrap_err();
        assert!(opened.to_string().contains("not reached"));
        drop(heard);
    }

    /// One whose camera never opens.
    fn supervisor() -> (Supervisor, Receiver<ReaderEvent>) {
        let (events, heard) = channel(64);
        let supervisor = Supervisor {
            open: Arc::new(Mutex::new(Box::new(|| {
                Err(CameraError::Lost {
                    reason: "not reached".into(),
                })
            }))),
            newest: Arc::default(),
            port: port(),
            clock: MonoClock::start(),
            events,
            patience: HASTE,
            said: None,
            blind: None,
            logged: None,
            live: Arc::new(()),
        };
        (supervisor, heard)
    }

    #[test]
    fn each_trouble_of_a_camera_is_logged_once_and_its_end_too() {
        let (mut supervisor, mut heard) = supervisor();
        let lost = |reason: &str| CameraError::Lost {
            reason: reason.into(),
        };
        let frozen = CameraError::Blind(Blindness::Frozen);
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..50 {
                supervisor.down(&lost("unplugged"));
                supervisor.down(&CameraError::Open {
                    device: "/dev/video0".into(),
                    reason: "no such file".into(),
                });
            }
            supervisor.up();
            (0..50).for_each(|_| supervisor.down(&frozen));
            (0..50).for_each(|_| supervisor.down(&CameraError::Blind(Blindness::Dark)));
            (0..50).for_each(|_| supervisor.up());
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let words = ["unplugged", "is up", "frozen", "darkness", "is up"];
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), words.len(), "{text}");
        for (line, word) in lines.iter().zip(words) {
            assert!(line.contains(word), "{line}");
        }
        let mut reports = 0;
        while heard.try_recv().is_ok() {
            reports += 1;
        }
        assert_eq!(reports, 5, "and reported as often");
    }

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_camera_that_is_not_there_is_reported_down_once() {
        let (events, mut heard) = channel(64);
        let open: OpenSource = Box::new(|| {
            Err(CameraError::Open {
                device: "/dev/video9".into(),
                reason: "no such file".into(),
            })
        });
        let thread = spawn(
            open,
            port(),
            MonoClock::start(),
            events,
            HASTE,
            Presence::default(),
        )
        .unwrap();
        assert!(!wait_for(&mut heard, ups));
        thread::sleep(Duration::from_millis(600));
        assert!(heard.try_recv().is_err(), "once a change");
        drop(heard);
        thread.join().unwrap();
    }

    /// A wall, or what a broken camera makes of it.
    struct Fading(Arc<Mutex<Option<Blindness>>>, Wall);

    impl FrameSource for Fading {
        fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Shape>, CameraError> {
            let shape = self.1.next(out)?;
            match *self.0.lock().unwrap() {
                None => {}
                Some(Blindness::Frozen) => out.fill(30),
                Some(Blindness::Dark) => out.iter_mut().for_each(|pixel| *pixel /= 20),
            }
            Ok(shape)
        }
    }

    /// What is said of a camera that goes blind and sees again, and how often it was opened.
    fn goes_blind(blindness: Blindness) -> (ReaderReport, usize) {
        let (events, mut heard) = channel(64);
        let trouble = Arc::new(Mutex::new(None));
        let (opened, shared) = (Arc::new(Mutex::new(0)), Arc::clone(&trouble));
        let count = Arc::clone(&opened);
        let open: OpenSource = Box::new(move || {
            *count.lock().unwrap() += 1;
            Ok(Box::new(Fading(Arc::clone(&shared), Wall(0))))
        });
        let thread = spawn(
            open,
            port(),
            MonoClock::start(),
            events,
            HASTE,
            Presence::default(),
        )
        .unwrap();
        let states = |report: &ReaderReport| {
            matches!(report, ReaderReport::Up(_) | ReaderReport::Blind(_)).then(|| report.clone())
        };
        let up = wait_for(&mut heard, states);
        assert!(matches!(up, ReaderReport::Up(true)), "{up:?}");
        *trouble.lock().unwrap() = Some(blindness);
        let blind = wait_for(&mut heard, states);
        // A frozen one is opened again, and that alone changes nothing.
        thread::sleep(Duration::from_millis(700));
        while let Ok(event) = heard.try_recv() {
            assert!(states(&event.report).is_none(), "{:?}", event.report);
        }
        *trouble.lock().unwrap() = None;
        let sees = wait_for(&mut heard, states);
        assert!(matches!(sees, ReaderReport::Up(true)), "{sees:?}");
        drop(heard);
        thread.join().unwrap();
        let opened = *opened.lock().unwrap();
        (blind, opened)
    }

    #[test]
    fn a_frozen_camera_is_reported_once_and_opened_again_until_its_picture_changes() {
        let (said, opened) = goes_blind(Blindness::Frozen);
        let frozen = matches!(said, ReaderReport::Blind(Blindness::Frozen));
        assert!(frozen, "{said:?}");
        assert!(opened > 1, "it stayed open");
    }

    #[test]
    fn a_dark_camera_is_reported_once_and_seen_to_see_again() {
        let (said, opened) = goes_blind(Blindness::Dark);
        assert!(matches!(said, ReaderReport::Blind(Blindness::Dark)));
        assert_eq!(opened, 1, "to open it again lights no lamp");
    }

    #[cfg(feature = "lab")]
    #[test]
    fn a_phone_in_view_is_presented_once_with_the_time_it_was_seen() {
        let (events, mut heard) = channel(64);
        let (feed, end) = frame_feed();
        let clock = MonoClock::start();
        let open: OpenSource = Box::new(move || Ok(end.open()));
        let thread = spawn(
            open,
            port(),
            clock,
            events,
            Patience::default(),
            Presence::default(),
        )
        .unwrap();
        let frame = code("PLATFORM-2");
        let side = frame.len().isqrt();
        for _ in 0..3 {
            feed.push(side, side, frame.clone()).unwrap();
            thread::sleep(Duration::from_millis(40));
        }
        let presented = |report: &ReaderReport| {
            if let ReaderReport::Presented(presentation) = report {
                Some(presentation.clone())
            } else {
                None
            }
        };
        let presentation = wait_for(&mut heard, presented);
        assert!(matches!(&presentation.shown, Shown::Code(text) if text.expose() == "PLATFORM-2"));
        assert!(presentation.seen <= presentation.read && presentation.read <= clock.now());
        thread::sleep(Duration::from_millis(200));
        while let Ok(event) = heard.try_recv() {
            assert!(presented(&event.report).is_none(), "presented again");
        }
        drop(heard);
        thread.join().unwrap();
    }

    /// The modules of a code, six pixels each, with a quiet zone.
    #[cfg(feature = "lab")]
    fn code(text: &str) -> Vec<u8> {
        let code = qrcode::QrCode::new(text).unwrap();
        let (count, colors) = (code.width(), code.to_colors());
        let side = (count + 8) * 6;
        (0..side * side)
            .map(|i| {
                let (x, y) = (i % side / 6, i / side / 6);
                let inside = (4..count + 4).contains(&x) && (4..count + 4).contains(&y);
                let dark = inside && colors[(y - 4) * count + x - 4] == qrcode::Color::Dark;
                if dark { 20 } else { 230 }
            })
            .collect()
    }
}
