//! Simulated lines in memory: a board for tests and for the demo's world, and the other end of its wires.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Board, GpioError, Layout};
use crate::config::types::Line;
use crate::domain::Mono;
use crate::drivers::MonoClock;

/// Changes that are remembered; older ones are dropped.
const CHANGES_MAX: usize = 65_536;

/// A board whose lines end in [`Wires`].
#[derive(Debug)]
pub struct MemoryBoard {
    wires: Wires,
}

/// The far ends of the lines: sensors to be set, relays to be looked at. Clones share the same wires.
#[derive(Clone, Debug)]
pub struct Wires {
    state: Arc<Mutex<State>>,
    clock: MonoClock,
}

#[derive(Debug, Default)]
struct State {
    levels: BTreeMap<u8, bool>,
    stuck: BTreeMap<u8, bool>,
    changes: VecDeque<Change>,
    failing: bool,
    /// Boards at the near end.
    boards: usize,
}

/// An output changed its voltage level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which line.
    pub pin: u8,
    /// True for high.
    pub level: bool,
    /// When.
    pub at: Mono,
}

impl Wires {
    /// Wires for the lines of `layout`: outputs inactive, sensors quiet, the fire loop intact.
    #[must_use]
    pub fn new(layout: &Layout, clock: MonoClock) -> Self {
        let outputs = layout.outputs().map(|line| (line, false));
        let inputs = layout.inputs().map(|input| (input.line, input.quiet));
        let levels = outputs
            .chain(inputs)
            .map(|(line, active)| (line.pin.get(), line.level(active)));
        let state = State {
            levels: levels.collect(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
        }
    }

    /// A board at the near end. It can be opened again after a failure.
    ///
    /// # Errors
    /// [`GpioError::Simulated`] while the wires are set to fail.
    pub fn board(&self) -> Result<MemoryBoard, GpioError> {
        let mut state = self.lock();
        if state.failing {
            return Err(GpioError::Simulated);
        }
        state.boards += 1;
        Ok(MemoryBoard {
            wires: self.clone(),
        })
    }

    /// What [`super::spawn`] wants: opens such a board, as often as it is asked.
    pub fn opener(&self) -> impl FnMut() -> Result<Box<dyn Board>, GpioError> + Send + use<> {
        let wires = self.clone();
        move || Ok(Box::new(wires.board()?))
    }

    /// Puts a voltage level on an input, true for high.
    pub fn set_input(&self, pin: u8, level: bool) {
        self.lock().levels.insert(pin, level);
    }

    /// Makes an input active or inactive, by its polarity.
    pub fn set_active(&self, line: Line, active: bool) {
        self.set_input(line.pin.get(), line.level(active));
    }

    /// The voltage level of an output, true for high.
    #[must_use]
    pub fn output(&self, pin: u8) -> bool {
        let state = self.lock();
        let level = state.stuck.get(&pin).or_else(|| state.levels.get(&pin));
        level.copied().unwrap_or(false)
    }

    /// True if an output is active, by its polarity.
    #[must_use]
    pub fn is_active(&self, line: Line) -> bool {
        self.output(line.pin.get()) == line.level(true)
    }

    /// True while somebody drives the outputs. Undriven, pulls and polarity decide.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.lock().boards > 0
    }

    /// Makes every access fail, or work again.
    pub fn fail(&self, failing: bool) {
        self.lock().failing = failing;
    }

    /// Holds an output at a level whatever is written, as a short circuit would; `None` sets it free.
    pub fn stick(&self, pin: u8, level: Option<bool>) {
        let mut state = self.lock();
        match level {
            Some(level) => state.stuck.insert(pin, level),
            None => state.stuck.remove(&pin),
        };
    }

    /// Changes of outputs since the last call, oldest first.
    #[must_use]
    pub fn take_changes(&self) -> Vec<Change> {
        self.lock().changes.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of a test elsewhere does not make a level wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, line: Line) -> Result<bool, GpioError> {
        if self.lock().failing {
            return Err(GpioError::Simulated);
        }
        Ok(self.is_active(line))
    }
}

impl Drop for MemoryBoard {
    fn drop(&mut self) {
        let mut state = self.wires.lock();
        state.boards = state.boards.saturating_sub(1);
    }
}

impl Board for MemoryBoard {
    fn drive(&mut self, line: Line, active: bool) -> Result<(), GpioError> {
        let at = self.wires.clock.now();
        let mut state = self.wires.lock();
        if state.failing {
            return Err(GpioError::Simulated);
        }
        let (pin, level) = (line.pin.get(), line.level(active));
        let Some(old) = state.levels.insert(pin, level) else {
            state.levels.remove(&pin);
            return Err(GpioError::UnknownLine(pin));
        };
        if old != level {
            if state.changes.len() >= CHANGES_MAX {
                state.changes.pop_front();
            }
            state.changes.push_back(Change { pin, level, at });
        }
        Ok(())
    }

    fn sense(&mut self, line: Line) -> Result<bool, GpioError> {
        self.wires.read(line)
    }

    fn driven(&mut self, line: Line) -> Result<bool, GpioError> {
        self.wires.read(line)
    }
}
