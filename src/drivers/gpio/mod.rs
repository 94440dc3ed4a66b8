//! Relays and sensors behind one trait.
//!
//! A [`Board`] is one way to reach the lines: `rppal` on a Raspberry Pi, the GPIO character device elsewhere, files in
//! a folder for a demo, memory for tests. [`lines::spawn`] runs the one thread that owns a board; it speaks in
//! [`Command`]s and [`GpioEvent`]s and knows from the [`Layout`] which line is whose.
//!
//! An undriven line is the safe state: a board that is dropped leaves its outputs undriven, and pulls and relay
//! polarity in the drawings do the rest. No board changes the bias of an input: pulls belong to the wiring.

pub mod chardev;
mod fire;
pub mod folder;
pub mod layout;
pub mod lines;
#[cfg(feature = "lab")]
pub mod memory;
mod messages;
mod outbox;
pub mod rppal;
pub mod signal;
mod signals;

use std::path::PathBuf;

pub use fire::FIRE_CONFIRM;
pub use layout::{LaneLines, Layout};
pub use lines::spawn;
pub use messages::{Command, GpioEvent};
pub use signal::{Colour, Pattern, Signal};

use crate::config::tree::{Gpio, GpioDriver};
use crate::config::types::Line;

/// One way to reach the lines of a gate. Levels are logical: `true` is active, whatever the voltage.
pub trait Board: Send {
    /// Sets an output.
    ///
    /// # Errors
    /// [`GpioError`] if the line cannot be set; the board is given up then.
    fn drive(&mut self, line: Line, active: bool) -> Result<(), GpioError>;

    /// Reads an input.
    ///
    /// # Errors
    /// [`GpioError`] if the line cannot be read; the board is given up then.
    fn sense(&mut self, line: Line) -> Result<bool, GpioError>;

    /// Reads back an output: what the line really is, and not what was last written, where the hardware can tell.
    ///
    /// # Errors
    /// [`GpioError`] if the line cannot be read; the board is given up then.
    fn driven(&mut self, line: Line) -> Result<bool, GpioError>;
}

/// Why the lines cannot be reached. The driver thread opens the board again after every one of them.
#[derive(Debug, thiserror::Error)]
pub enum GpioError {
    /// `rppal` on a board that is no Raspberry Pi: another driver has to be configured.
    #[error("gpio.driver = \"rppal\" needs a Raspberry Pi; on this board use \"gpiocdev\"")]
    NotARaspberryPi,
    /// The daemon's user may not use the lines: it has to be in the group `gpio`.
    #[error(
        "no permission to use {device}; the user of the daemon has to be in the group \"gpio\""
    )]
    Permission {
        /// What was refused.
        device: String,
    },
    /// `rppal` cannot open the lines.
    #[error("cannot use the lines of the Raspberry Pi")]
    Rppal(#[source] ::rppal::gpio::Error),
    /// The character device cannot be opened, or the lines are taken by another program.
    #[error("cannot use the lines of {}", chip.display())]
    Chip {
        /// The character device.
        chip: PathBuf,
        /// What the kernel says.
        source: gpiocdev::Error,
    },
    /// A file of the simulated board cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the simulated board holds something else than `0` or `1`.
    #[error("{} holds neither 0 nor 1", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// The line is not part of the layout the board was opened with.
    #[error("line {0} is not part of the layout")]
    UnknownLine(u8),
    /// The simulated wiring is set to fail.
    #[error("the simulated lines are set to fail")]
    Simulated,
}

/// What [`spawn`] wants: opens the configured board, as often as it is asked.
pub fn opener(
    gpio: &Gpio,
    layout: &Layout,
) -> impl FnMut() -> Result<Box<dyn Board>, GpioError> + Send + use<> {
    let (gpio, layout) = (gpio.clone(), layout.clone());
    move || {
        // `config` refuses these drivers without their key, so the defaults are never used.
        let chip = || gpio.chip.clone().unwrap_or_default();
        let folder = || gpio.folder.clone().unwrap_or_default();
        Ok(match gpio.driver {
            GpioDriver::Rppal => Box::new(rppal::RppalBoard::open(&layout)?),
            GpioDriver::Gpiocdev => Box::new(chardev::ChardevBoard::open(&chip(), &layout)?),
            GpioDriver::Simulated => Box::new(folder::FolderBoard::open(&folder(), &layout)?),
        })
    }
}
