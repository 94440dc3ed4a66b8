//! A PN532 module: performs what [`Pn532Machine`] wants.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time;
use zeroize::{Zeroize, Zeroizing};

use super::link::{Device, Ended, Link};
use super::{SerialError, WRITE_TIME};
use crate::domain::{Medium, Shown};
use crate::proto::pn532::{FrameBuffer, Input, Output, Pn532Machine};

const CHUNK_LEN: usize = 64;

/// Polls one module. The machine outlives a connection, so that a break does not hand a card on twice.
#[derive(Default)]
pub(super) struct Pn532 {
    machine: Pn532Machine,
}

impl Device for Pn532 {
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        mut port: P,
    ) -> Ended {
        let mut out = Vec::new();
        let mut buffer = FrameBuffer::default();
        let mut chunk = Zeroizing::new([0; CHUNK_LEN]);
        self.machine.start(link.now(), &mut out);
        loop {
            if let Err(error) = self.settle(link, &mut port, &mut buffer, &mut out).await {
                let heard = self.machine.has_heard();
                return Ended::Lost { error, heard };
            }
            let (clock, wake) = (link.clock(), self.machine.deadline());
            tokio::select! {
                biased;
                () = link.attend() => return Ended::Closed,
                // Before the timer: after a stall of ours the answer may well be here already.
                read = port.read(chunk.as_mut_slice()) => {
                    let error = match read {
                        Ok(0) => SerialError::HungUp,
                        Err(error) => SerialError::Io(error),
                        Ok(length) => {
                            let bytes = chunk.get_mut(..length).unwrap_or_default();
                            buffer.push(bytes);
                            bytes.zeroize();
                            continue;
                        }
                    };
                    return Ended::Lost { error, heard: self.machine.has_heard() };
                }
                () = Link::sleep_until(clock, wake) => {}
            }
        }
    }
}

impl Pn532 {
    /// Feeds the machine with all that is at hand and does all that it wants.
    async fn settle<P: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link,
        port: &mut P,
        buffer: &mut FrameBuffer,
        out: &mut Vec<Output>,
    ) -> Result<(), SerialError> {
        loop {
            for output in out.drain(..) {
                match output {
                    Output::Send(command) => {
                        // What came before is no answer to it.
                        buffer.clear();
                        let frame = command.frame();
                        match time::timeout(WRITE_TIME, port.write_all(&frame)).await {
                            Ok(written) => written.map_err(SerialError::Io)?,
                            Err(_) => {
                                let stalled_ms = WRITE_TIME.as_millis();
                                return Err(SerialError::Stalled { stalled_ms });
                            }
                        }
                    }
                    Output::Ready => link.is_up(),
                    Output::Presented { tag, seen } => {
                        link.present(Medium::Tag, Shown::Tag(tag), seen);
                    }
                    Output::Fault => link.faults(1),
                    Output::GaveUp => return Err(SerialError::NoAnswer),
                }
            }
            let now = link.now();
            if let Some(frame) = buffer.next_frame() {
                self.machine.step(now, Input::Frame(frame), out);
                continue;
            }
            link.faults(buffer.take_faults());
            self.machine.step(now, Input::TimedOut, out);
            if out.is_empty() {
                return Ok(());
            }
        }
    }
}
