//! The lines of any Linux board through the GPIO character device (uAPI v2), by offset on the chip.
//!
//! Each output is a request of its own: it is undriven until it is driven for the first time, and none of the others is
//! touched then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gpiocdev::Request;
use gpiocdev::line::Value;

use super::{Board, GpioError, Layout};
use crate::config::types::{Active, Line};

/// Who holds the lines, in `gpioinfo`.
const CONSUMER: &str = "turnstiled";

/// The lines of one gate on one chip. Dropped, it leaves its outputs undriven: the safe state.
#[derive(Debug)]
pub struct ChardevBoard {
    chip: PathBuf,
    outputs: BTreeMap<u8, Output>,
    inputs: Option<Request>,
}

/// One output line.
#[derive(Debug)]
struct Output {
    request: Request,
    is_driven: bool,
}

impl ChardevBoard {
    /// Requests the lines; outputs are undriven at first, the bias of inputs stays as it is.
    ///
    /// # Errors
    /// [`GpioError`] if the chip cannot be opened, or a line is taken or not there.
    pub fn open(chip: &Path, layout: &Layout) -> Result<Self, GpioError> {
        let request = |lines: Vec<Line>| {
            if lines.is_empty() {
                return Ok(None);
            }
            let mut builder = Request::builder();
            builder.on_chip(chip).with_consumer(CONSUMER);
            for line in lines {
                builder.with_line(line.pin.get().into()).as_input();
                match line.active {
                    Active::High => builder.as_active_high(),
                    Active::Low => builder.as_active_low(),
                };
            }
            let request = builder.request().map_err(|source| wrong(chip, source))?;
            Ok(Some(request))
        };
        let mut outputs = BTreeMap::new();
        for line in layout.outputs() {
            let taken = request(vec![line])?.map(|request| Output {
                request,
                is_driven: false,
            });
            outputs.extend(taken.map(|output| (line.pin.get(), output)));
        }
        Ok(Self {
            chip: chip.to_owned(),
            inputs: request(layout.inputs().map(|input| input.line).collect())?,
            outputs,
        })
    }

    fn read(&self, request: Option<&Request>, line: Line) -> Result<bool, GpioError> {
        let request = request.ok_or(GpioError::UnknownLine(line.pin.get()))?;
        let value = request.value(line.pin.get().into());
        Ok(value.map_err(|source| wrong(&self.chip, source))? == Value::Active)
    }
}

impl Board for ChardevBoard {
    fn drive(&mut self, line: Line, active: bool) -> Result<(), GpioError> {
        let output = self.outputs.get_mut(&line.pin.get());
        let output = output.ok_or(GpioError::UnknownLine(line.pin.get()))?;
        let value = if active {
            Value::Active
        } else {
            Value::Inactive
        };
        output
            .drive(line, value)
            .map_err(|source| wrong(&self.chip, source))
    }

    fn sense(&mut self, line: Line) -> Result<bool, GpioError> {
        self.read(self.inputs.as_ref(), line)
    }

    fn driven(&mut self, line: Line) -> Result<bool, GpioError> {
        let output = self.outputs.get(&line.pin.get());
        self.read(output.map(|output| &output.request), line)
    }
}

impl Output {
    /// The first level makes the line an output, so that it never shows another one.
    fn drive(&mut self, line: Line, value: Value) -> gpiocdev::Result<()> {
        let offset = line.pin.get().into();
        if self.is_driven {
            return self.request.set_value(offset, value).map(|_| ());
        }
        let mut config = self.request.config();
        config.with_line(offset).as_output(value);
        self.request.reconfigure(&config)?;
        self.is_driven = true;
        Ok(())
    }
}

impl Drop for ChardevBoard {
    fn drop(&mut self) {
        // What a line does after its release is up to the kernel's driver; as an input it is undriven on all of them.
        for (pin, output) in &self.outputs {
            let mut config = output.request.config();
            config.with_line((*pin).into()).as_input();
            if let Err(error) = output.request.reconfigure(&config) {
                tracing::warn!(chip = %self.chip.display(), pin, %error, "cannot leave an output undriven");
            }
        }
    }
}

fn wrong(chip: &Path, source: gpiocdev::Error) -> GpioError {
    GpioError::Chip {
        chip: chip.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Pin;

    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let line = Line {
            pin: Pin::from(1),
            active: Active::High,
        };
        let layout = Layout {
            fire_loop: Some(line),
            ..Layout::default()
        };
        let error = ChardevBoard::open(Path::new("/dev/gpiochip-none"), &layout).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use the lines of /dev/gpiochip-none"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}
