//! Opening a terminal: exclusively, 8N1, the line speed set every time, what came before thrown away.

use std::io;
use std::path::PathBuf;

use tokio_serial::{
    ClearBuffer, DataBits, FlowControl, Parity, SerialPort, SerialStream, StopBits,
};

use super::SerialError;

/// Opens `port` at `baud`.
pub(super) async fn open(port: PathBuf, baud: u32) -> Result<SerialStream, SerialError> {
    // A USB adapter that is going away can hold `open` for long; the other tasks go on meanwhile.
    let path = port.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let path = path
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
    });
    let result = opened.await.unwrap_or_else(|error| Err(error.into()));
    result.map_err(|source| SerialError::Open { port, source })
}
