//! Opening a terminal: exclusively, 8N1, the line speed set every time, what came before thrown away.

use std::io;
use std::path::{Path, PathBuf};

use serial2::KeepSettings;
use serial2::rs4xx::{Rs485Config, TransceiverMode};
use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, Parity, SerialPort, SerialStream, StopBits,
};

use super::SerialError;
use super::latency::low_latency;

/// Opens `port` at `baud`; `driver_direction`: its driver is told to turn an RS-485 line around.
pub(super) async fn open(
    port: PathBuf,
    baud: u32,
    driver_direction: bool,
) -> Result<SerialStream, SerialError> {
    // A USB adapter that is going away can hold `open` for long; the other tasks go on meanwhile.
    let opened = tokio::task::spawn_blocking(move || {
        // Held until the port is open, so that what is set is still set then.
        let guard = if driver_direction {
            Some(turn_around(&port).map_err(|error| refused(&port, error))?)
        } else {
            None
        };
        low_latency(&port);
        let opened =
            open_terminal(&port, baud).map_err(|source| SerialError::Open { port, source });
        drop(guard);
        opened
    });
    opened
        .await
        .unwrap_or_else(|error| Err(SerialError::Io(error.into())))
}

fn open_terminal(port: &Path, baud: u32) -> io::Result<SerialStream> {
    let path = port
        .to_str()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
    let settings = tokio_serial::new(path, baud)
        .data_bits(DataBits::Eight)
        .parity(Parity::None)
        .stop_bits(StopBits::One)
        .flow_control(FlowControl::None)
        .exclusive(true);
    let stream = SerialStream::open(&settings)?;
    // Answers to somebody else's questions, and codes scanned while nobody looked.
    stream.clear(ClearBuffer::Input)?;
    Ok(stream)
}

/// Has the driver drive RTS around each packet (`TIOCSRS485`): from user space that is late and cuts the answer's head
/// (rusty-bacnet #498). Read back, for a driver may take what it does not do.
fn turn_around(port: &Path) -> io::Result<serial2::SerialPort> {
    let port = serial2::SerialPort::open(port, KeepSettings)?;
    port.set_rs4xx_mode(TransceiverMode::Rs485(Rs485Config::new()))?;
    match port.get_rs4xx_mode()? {
        TransceiverMode::Rs485(_) => Ok(port),
        TransceiverMode::Default | TransceiverMode::Rs422 => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the driver took the setting and did not keep it",
        )),
    }
}

/// A port that is not there is not there, whatever was wanted of it.
fn refused(port: &Path, source: io::Error) -> SerialError {
    let is_shut = matches!(
        source.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ResourceBusy
    );
    if is_shut {
        let port = port.into();
        SerialError::Open { port, source }
    } else {
        SerialError::Direction(source)
    }
}
