//! The thread that owns the lines of a gate.
//!
//! It performs commands at once, polls the inputs every 2 ms, and says every level again every 100 ms, so that one
//! lost message heals by itself. Outputs are read back after every command and at every repetition. When the board
//! fails it is opened again, with longer and longer waits, and gets the wanted levels; commands given meanwhile count.
//! Only the lock of a flap from before does not: nobody has seen the aisle meanwhile. At the start it is the same.
//! It ends when either channel closes: there is no second shutdown path. Lights, buzzers and the arms of tripods are
//! inactive then; a leaf that is not locked is left as it is, and undriven, for somebody may be in it.
//!
//! Whoever gives commands says that it is alive, too. While it does not, no solenoid of a tripod stays powered, unless
//! the lane is open to everybody.
//!
//! While the board is away nothing is sensed, and that is said by [`GpioEvent::Up`]; no fire is reported then, because
//! nothing could be released either: release in a fire is also wired past the daemon.

mod inputs;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::fire::{Fire, Steady};
use super::messages::{Command, GpioEvent};
use super::outbox::Outbox;
use super::signals::Signals;
use super::{Board, GpioError, Layout};
use crate::config::types::Line;
use crate::domain::{Direction, LaneId, Levels, Mode, Mono};
use crate::drivers::MonoClock;
use crate::drivers::backoff::{BACKOFF_MAX, Backoff};

/// How often inputs are read.
pub const POLL: Duration = Duration::from_millis(2);
/// How often unchanged levels are said again.
pub const REPEAT: Duration = Duration::from_millis(100);
/// A barrier whose relay is found at another level so often, 100 ms apart, does not obey. Less is a glitch, and healed.
const DISOBEYED_MAX: u32 = 3;
/// After so long without a command or a sign of life nobody knows for whom a solenoid is powered.
const SILENCE: Duration = Duration::from_secs(3);

/// Starts the thread.
///
/// `open` opens the board, as often as it is asked. Give commands with `try_send` on a bounded channel; the thread
/// never waits for the receiver of `events`.
///
/// # Errors
/// The error of the system, if there can be no further thread.
pub fn spawn(
    open: impl FnMut() -> Result<Box<dyn Board>, GpioError> + Send + 'static,
    layout: Layout,
    commands: Receiver<Command>,
    events: Sender<GpioEvent>,
    clock: MonoClock,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("gpio".into())
        .spawn(move || Worker::new(open, &layout, events, clock).run(&commands))
}

/// An output with the level it should have.
#[derive(Clone, Copy, Debug)]
struct Output {
    lane: LaneId,
    line: Line,
    /// `None`: nobody has said yet. A leaf stays as it is found then, for somebody may be in it.
    wanted: Option<bool>,
    /// It moves the barrier; the others are lights and the buzzer.
    moves: bool,
    /// It moves a barrier that may close on a body.
    closes: bool,
}

struct Worker<'a, F> {
    open: F,
    layout: &'a Layout,
    clock: MonoClock,
    outbox: Outbox,
    board: Option<Box<dyn Board>>,
    /// `None` before the first attempt, so that a board that fails from the start is reported too.
    up: Option<bool>,
    opened: Mono,
    retry: Mono,
    backoff: Backoff,
    outputs: Vec<Output>,
    /// By lane: whether an output does not agree.
    mismatch: Vec<bool>,
    /// By lane: how often in a row the barrier's relay was not where it should be.
    disobeyed: Vec<u32>,
    /// By lane: the levels last said.
    sensed: Vec<Option<Levels>>,
    fire: Fire,
    signals: Signals,
    /// By lane: released both ways, for everybody.
    for_all: Vec<bool>,
    /// When the last command came.
    heard: Mono,
    /// By lane; none for a lane without a key switch.
    keys: Vec<Option<Steady<Option<Mode>>>>,
    repeat: Mono,
    check_outputs: bool,
}

impl<'a, F: FnMut() -> Result<Box<dyn Board>, GpioError>> Worker<'a, F> {
    fn new(open: F, layout: &'a Layout, events: Sender<GpioEvent>, clock: MonoClock) -> Self {
        let now = clock.now();
        let outputs = layout.lanes().flat_map(|(lane, lines)| {
            lines.outputs().map(move |line| {
                let releases = [lines.release_entry, lines.release_exit];
                let moves = releases.iter().flatten().any(|of| of.pin == line.pin);
                let closes = lines.closes && moves;
                Output {
                    lane,
                    line,
                    wanted: (!closes).then_some(false),
                    moves,
                    closes,
                }
            })
        });
        Self {
            open,
            layout,
            clock,
            outbox: Outbox::new(events),
            board: None,
            up: None,
            opened: now,
            retry: now,
            backoff: Backoff::new(now.as_micros()),
            outputs: outputs.collect(),
            mismatch: vec![false; layout.lanes.len()],
            disobeyed: vec![0; layout.lanes.len()],
            sensed: vec![None; layout.lanes.len()],
            fire: Fire::default(),
            signals: Signals::new(layout),
            for_all: vec![false; layout.lanes.len()],
            heard: now,
            keys: layout
                .lanes
                .iter()
                .map(|lane| (!lane.keys.is_empty()).then(Steady::default))
                .collect(),
            repeat: now,
            check_outputs: false,
        }
    }

    fn run(mut self, commands: &Receiver<Command>) {
        let mut poll = self.clock.now();
        while !self.outbox.is_closed() {
            let now = self.clock.now();
            if now >= poll {
                self.turn(now);
                // Counted from the end of the turn: a slow board does not take the whole processor.
                poll = self.clock.now() + POLL;
            }
            self.outbox.flush();
            match commands.recv_timeout(poll.since(self.clock.now())) {
                Ok(command) => {
                    self.heard = self.clock.now();
                    self.perform(command);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.stop();
    }

    /// One turn: open the board if it is time, read back, sense.
    fn turn(&mut self, now: Mono) {
        if self.board.is_none() && now >= self.retry {
            self.reopen(now);
        }
        let again = now >= self.repeat;
        if again {
            self.repeat = now + REPEAT;
        }
        let Some(mut board) = self.board.take() else {
            return;
        };
        match self.serve(&mut *board, now, again) {
            Ok(()) => self.board = Some(board),
            Err(error) => {
                drop(board);
                self.lost(&error);
            }
        }
    }

    fn serve(&mut self, board: &mut dyn Board, now: Mono, again: bool) -> Result<(), GpioError> {
        self.advance(board, now)?;
        if again || self.check_outputs {
            self.check_outputs = false;
            self.read_back(board, again)?;
        }
        self.sense(board, now, again)
    }

    /// Lights and tones as their patterns are now; and what nobody answers for any more is let go.
    fn advance(&mut self, board: &mut dyn Board, now: Mono) -> Result<(), GpioError> {
        let silent = now.since(self.heard) > SILENCE;
        for output in &mut self.outputs {
            let Some(lines) = self.layout.lane(output.lane) else {
                continue;
            };
            let for_all = self.for_all.get(usize::from(output.lane.0)) == Some(&true);
            let wanted = if !output.moves {
                self.signals.wanted(now, output.lane, lines, output.line)
            } else if silent && !output.closes && !for_all {
                Some(false)
            } else {
                continue;
            };
            if let Some(level) = wanted.filter(|_| wanted != output.wanted) {
                if output.moves {
                    tracing::error!(
                        lane = output.lane.0,
                        "nobody gives commands: the solenoid is let go"
                    );
                }
                output.wanted = wanted;
                board.drive(output.line, level)?;
            }
        }
        Ok(())
    }

    /// Compares every output with what it should be, and drives it again if it is not.
    fn read_back(&mut self, board: &mut dyn Board, again: bool) -> Result<(), GpioError> {
        let lanes = self.mismatch.iter_mut().zip(&mut self.disobeyed);
        for (lane, (was, disobeyed)) in (0..=u8::MAX).map(LaneId).zip(lanes) {
            let (mut wrong, mut obeys) = (None, true);
            for output in self.outputs.iter().filter(|output| output.lane == lane) {
                let Some(wanted) = output.wanted else {
                    continue;
                };
                if board.driven(output.line)? != wanted {
                    wrong = Some(output.line.pin.get());
                    obeys &= !output.moves;
                    board.drive(output.line, wanted)?;
                }
            }
            match wrong {
                Some(pin) if !*was => {
                    tracing::warn!(
                        lane = lane.0,
                        pin,
                        "an output is not at the level it was given"
                    );
                    self.outbox.push(GpioEvent::ReadBackMismatch { lane });
                }
                None if *was => tracing::info!(lane = lane.0, "outputs agree again"),
                Some(_) | None => {}
            }
            *was = wrong.is_some();
            let had = *disobeyed;
            match obeys {
                true => *disobeyed = 0,
                false if again => *disobeyed = had.saturating_add(1),
                false => {}
            }
            if (had >= DISOBEYED_MAX) != (*disobeyed >= DISOBEYED_MAX) {
                self.outbox.push(GpioEvent::BarrierObeys { lane, obeys });
            }
        }
        Ok(())
    }

    fn perform(&mut self, command: Command) {
        let now = self.clock.now();
        let (lane, [entry, exit]) = match command {
            Command::Release(lane, Direction::Entry) => (lane, [true, false]),
            Command::Release(lane, Direction::Exit) => (lane, [false, true]),
            Command::ReleaseBoth(lane) => (lane, [true, true]),
            Command::Lock(lane) => (lane, [false, false]),
            Command::Signal(lane, side, signal) => {
                return self.signals.give(now, lane, side, signal);
            }
            Command::Alarm(lane, on) => return self.signals.alarm(lane, on),
            Command::Alive => return,
        };
        if let Some(for_all) = self.for_all.get_mut(usize::from(lane.0)) {
            *for_all = entry && exit;
        }
        let levels = self.barrier(lane, entry, exit);
        // First what becomes inactive: the two ways, and the two lights, are never on together by accident.
        let mut changes: Vec<(Line, bool)> = levels.into_iter().flatten().collect();
        changes.sort_by_key(|(_, active)| *active);
        for (line, active) in &changes {
            let outputs = self.outputs.iter_mut();
            outputs
                .filter(|output| output.lane == lane && output.line.pin == line.pin)
                .for_each(|output| output.wanted = Some(*active));
        }
        let Some(mut board) = self.board.take() else {
            return;
        };
        let driven = changes
            .iter()
            .try_for_each(|(line, active)| board.drive(*line, *active));
        match driven {
            Ok(()) => {
                self.board = Some(board);
                self.check_outputs = true;
                if changes.iter().any(|(_, active)| *active) {
                    let at = self.clock.now();
                    self.outbox.push(GpioEvent::Performed { lane, at });
                }
            }
            Err(error) => {
                drop(board);
                self.lost(&error);
            }
        }
    }

    /// The levels of a barrier. One relay for both ways is active if either way is.
    fn barrier(&self, lane: LaneId, entry: bool, exit: bool) -> [Option<(Line, bool)>; 2] {
        let lines = self.layout.lane(lane);
        let release = |way| lines.and_then(|lines| lines.release(way));
        match (release(Direction::Entry), release(Direction::Exit)) {
            (Some(one), Some(same)) if one.pin == same.pin => [Some((one, entry || exit)), None],
            (inwards, outwards) => [inwards.map(|l| (l, entry)), outwards.map(|l| (l, exit))],
        }
    }

    fn reopen(&mut self, now: Mono) {
        let opened = (self.open)().and_then(|mut board| {
            self.outputs
                .iter()
                .filter_map(|output| Some((output.line, output.wanted?)))
                .try_for_each(|(line, wanted)| board.drive(line, wanted))?;
            Ok(board)
        });
        match opened {
            Ok(board) => {
                self.board = Some(board);
                self.opened = now;
                // Everything is said again, and read back, in this turn.
                self.repeat = now;
                self.fire = Fire::default();
                if self.up != Some(true) {
                    tracing::info!("relays and sensors work");
                    self.up = Some(true);
                    self.outbox.push(GpioEvent::Up(true));
                }
            }
            Err(error) => self.lost(&error),
        }
    }

    /// The board is gone. Said once; opened again later.
    fn lost(&mut self, error: &GpioError) {
        let now = self.clock.now();
        if self.up != Some(false) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "relays and sensors are offline");
            if self.up == Some(true) && now.since(self.opened) > BACKOFF_MAX {
                // Do not hammer a board that opens and fails at once.
                self.backoff.reset();
            }
            self.up = Some(false);
            self.outbox.push(GpioEvent::Up(false));
        }
        // Undriven, a flap may have opened. Whether it may be locked again is said anew, by whoever knows the aisle.
        for output in &mut self.outputs {
            if output.closes && output.wanted == Some(false) {
                output.wanted = None;
            }
        }
        self.retry = now + self.backoff.wait();
    }

    /// Every output inactive but a leaf that nobody has locked, as far as the board still obeys; dropping it leaves them
    /// undriven.
    fn stop(mut self) {
        let Some(mut board) = self.board.take() else {
            return;
        };
        let stays = |output: &&Output| output.closes && output.wanted != Some(false);
        for output in self.outputs.iter().filter(|output| !stays(output)) {
            if let Err(error) = board.drive(output.line, false) {
                tracing::warn!(lane = output.lane.0, %error, "cannot lock at the end");
            }
        }
    }
}

#[cfg(feature = "lab")]
#[cfg(test)]
mod tests;
