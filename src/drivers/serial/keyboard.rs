//! A scanner that types: its input device, grabbed so that nobody else hears what it types, as a stream of bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use evdev::{Device, EventStream, EventSummary};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SerialError;
use crate::proto::keyboard::Keyboard;

/// Opens and grabs the device: a console or another program that has it grabbed, or would hear it, is shut out.
pub(super) async fn open(path: PathBuf) -> Result<Typing, SerialError> {
    let port = path.clone();
    let opened = tokio::task::spawn_blocking(move || grab(&path));
    let opened = opened.await.unwrap_or_else(|error| Err(error.into()));
    opened
        .and_then(Device::into_event_stream)
        .map(Typing::new)
        .map_err(|source| SerialError::Open { port, source })
}

fn grab(path: &Path) -> io::Result<Device> {
    let mut device = Device::open(path)?;
    if device.supported_keys().is_none() {
        let why = "it has no keys: this is no scanner that types";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    device.grab()?;
    Ok(device)
}

/// What a grabbed device types, as bytes.
pub(super) struct Typing {
    events: EventStream,
    keyboard: Keyboard,
}

impl Typing {
    fn new(events: EventStream) -> Self {
        Self {
            events,
            keyboard: Keyboard::default(),
        }
    }
}

impl AsyncRead for Typing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let event = ready!(self.events.poll_event(cx))?;
            let EventSummary::Key(_, code, value) = event.destructure() else {
                continue;
            };
            if let Some(byte) = self.keyboard.key(code.0, value) {
                buf.put_slice(&[byte]);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Nothing is ever said to a keyboard.
impl AsyncWrite for Typing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_input_device_is_refused_in_a_sentence() {
        let gone = open("/dev/input/by-id/no-such-scanner".into()).await;
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        assert!(matches!(gone, Err(SerialError::Open { source, .. }) if is_gone(&source)));
        let null = open("/dev/null".into()).await;
        assert!(matches!(null, Err(SerialError::Open { .. })));
    }
}
