//! The lines of a Raspberry Pi through the crate `rppal`, by BCM number.
//!
//! Edge interrupts are not used: levels are polled, so a lost edge cannot be lost for good.

use std::collections::BTreeMap;

use rppal::gpio::{Error, Gpio, IoPin, Level, Mode};

use super::{Board, GpioError, Layout};
use crate::config::types::Line;

/// The lines of one gate on a Raspberry Pi. Dropped, it leaves its outputs undriven: the safe state.
#[derive(Debug)]
pub struct RppalBoard {
    outputs: BTreeMap<u8, IoPin>,
    inputs: BTreeMap<u8, IoPin>,
}

impl RppalBoard {
    /// Takes the lines; outputs start inactive.
    ///
    /// # Errors
    /// [`GpioError::NotARaspberryPi`] on any other board; else what `rppal` says.
    pub fn open(layout: &Layout) -> Result<Self, GpioError> {
        let gpio = Gpio::new().map_err(wrong)?;
        let take = |line: Line| {
            let mut pin = gpio
                .get(line.pin.get())
                .map_err(wrong)?
                .into_io(Mode::Input);
            // Its own idea of a reset is the mode before, which may be an output that a killed process left behind.
            pin.set_reset_on_drop(false);
            Ok::<_, GpioError>((line.pin.get(), pin))
        };
        let mut board = Self {
            outputs: BTreeMap::new(),
            inputs: layout
                .inputs()
                .map(|input| take(input.line))
                .collect::<Result<_, _>>()?,
        };
        for line in layout.outputs() {
            // Undriven until it is driven for the first time.
            let (number, pin) = take(line)?;
            board.outputs.insert(number, pin);
        }
        Ok(board)
    }
}

impl Board for RppalBoard {
    fn drive(&mut self, line: Line, active: bool) -> Result<(), GpioError> {
        let pin = self.outputs.get_mut(&line.pin.get());
        let pin = pin.ok_or(GpioError::UnknownLine(line.pin.get()))?;
        // The level first: the line never shows another one.
        pin.write(level(line, active));
        if pin.mode() != Mode::Output {
            pin.set_mode(Mode::Output);
        }
        Ok(())
    }

    fn sense(&mut self, line: Line) -> Result<bool, GpioError> {
        read(&self.inputs, line)
    }

    fn driven(&mut self, line: Line) -> Result<bool, GpioError> {
        read(&self.outputs, line)
    }
}

impl Drop for RppalBoard {
    fn drop(&mut self) {
        for pin in self.outputs.values_mut() {
            pin.set_mode(Mode::Input);
        }
    }
}

fn read(pins: &BTreeMap<u8, IoPin>, line: Line) -> Result<bool, GpioError> {
    let pin = pins.get(&line.pin.get());
    let pin = pin.ok_or(GpioError::UnknownLine(line.pin.get()))?;
    Ok(pin.read() == level(line, true))
}

fn level(line: Line, active: bool) -> Level {
    if line.level(active) {
        Level::High
    } else {
        Level::Low
    }
}

fn wrong(error: Error) -> GpioError {
    match error {
        Error::UnknownModel => GpioError::NotARaspberryPi,
        Error::PermissionDenied(device) => GpioError::Permission { device },
        other @ (Error::PinUsed(_)
        | Error::PinNotAvailable(_)
        | Error::Io(_)
        | Error::ThreadPanic) => GpioError::Rppal(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_board_is_told_which_driver_to_use() {
        let model = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
        if model.contains("Raspberry") {
            return;
        }
        let error = RppalBoard::open(&Layout::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "gpio.driver = \"rppal\" needs a Raspberry Pi; on this board use \"gpiocdev\""
        );
    }
}
