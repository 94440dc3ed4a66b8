//! An ID card module: performs what [`SamMachine`] wants.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time;
use zeroize::{Zeroize, Zeroizing};

use super::link::{Device, Ended, Link};
use super::{SerialError, WRITE_TIME};
use crate::domain::{Medium, Mono, Shown};
use crate::proto::sam::{Command, Input, Output, ReplyBuffer, SamMachine};

/// A reply that pauses for longer will not be finished.
const INTER_BYTE_TIME: Duration = Duration::from_millis(100);
const CHUNK_LEN: usize = 512;

/// Polls one module. The machine outlives a connection, so that a break does not hand a card on twice.
#[derive(Default)]
pub(super) struct SamReader {
    machine: SamMachine,
}

impl Device for SamReader {
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        port: P,
    ) -> Ended {
        let mut out = Vec::new();
        self.machine.start(link.now(), &mut out);
        let mut line = Line {
            port,
            buffer: ReplyBuffer::new(),
            chunk: Zeroizing::new([0; CHUNK_LEN]),
            silent_at: None,
        };
        loop {
            if let Err(error) = self.settle(link, &mut line, &mut out).await {
                let heard = self.machine.has_heard();
                return Ended::Lost { error, heard };
            }
            let wake = [self.machine.deadline(), line.silent_at];
            let wake = wake.into_iter().flatten().min();
            let clock = link.clock();
            tokio::select! {
                biased;
                () = link.attend() => return Ended::Closed,
                // Before the timer: after a stall of ours the answer may well be here already.
                received = line.receive(clock) => if let Err(error) = received {
                    let heard = self.machine.has_heard();
                    return Ended::Lost { error, heard };
                },
                () = Link::sleep_until(clock, wake) => {}
            }
        }
    }
}

impl SamReader {
    /// Feeds the machine with all that is at hand and does all that it wants.
    async fn settle<P: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link,
        line: &mut Line<P>,
        out: &mut Vec<Output>,
    ) -> Result<(), SerialError> {
        loop {
            for output in out.drain(..) {
                perform(output, link, line).await?;
            }
            let now = link.now();
            if let Some(reply) = line.buffer.next_reply() {
                self.machine.step(now, Input::Reply(reply), out);
                continue;
            }
            if !line.buffer.is_unfinished() {
                line.silent_at = None;
            } else if line.silent_at.is_some_and(|at| at <= now) {
                line.silent_at = None;
                line.buffer.silence();
                self.machine.step(now, Input::Corrupt, out);
            }
            link.faults(line.buffer.take_faults());
            self.machine.step(now, Input::TimedOut, out);
            if out.is_empty() {
                return Ok(());
            }
        }
    }
}

async fn perform<P: AsyncRead + AsyncWrite + Unpin>(
    output: Output,
    link: &mut Link,
    line: &mut Line<P>,
) -> Result<(), SerialError> {
    match output {
        Output::Send(command) => {
            let stale = line.forget().await?;
            link.faults(stale);
            line.send(command).await?;
        }
        Output::Ready => link.is_up(),
        Output::Identified(id) => link.is_identified(format!("SAM {id}")),
        Output::OutOfService => link.is_out_of_service(),
        Output::Presented { card, seen } => link.present(Medium::IdCard, Shown::Card(card), seen),
        Output::Prompt(prompt) => link.prompt(prompt),
        Output::NotAuthentic => link.not_authentic(),
        Output::Fault => link.faults(1),
        Output::GaveUp => return Err(SerialError::NoAnswer),
    }
    Ok(())
}

struct Line<P> {
    port: P,
    buffer: ReplyBuffer,
    chunk: Zeroizing<[u8; CHUNK_LEN]>,
    /// When an unfinished reply counts as broken.
    silent_at: Option<Mono>,
}

impl<P: AsyncRead + AsyncWrite + Unpin> Line<P> {
    async fn receive(&mut self, clock: crate::drivers::MonoClock) -> Result<(), SerialError> {
        let read = self.port.read(self.chunk.as_mut_slice()).await;
        let length = read.map_err(SerialError::Io)?;
        if length == 0 {
            return Err(SerialError::HungUp);
        }
        let bytes = self.chunk.get_mut(..length).unwrap_or_default();
        self.buffer.push(bytes);
        bytes.zeroize();
        self.silent_at = Some(clock.now() + INTER_BYTE_TIME);
        Ok(())
    }

    /// Throws away what came before a command, for it is no answer to it. Returns 1 if there was something.
    async fn forget(&mut self) -> Result<u32, SerialError> {
        self.buffer.clear();
        self.silent_at = None;
        let mut stale = 0;
        // Bounded: a line that never falls silent must not hold us here.
        for _ in 0..16 {
            let mut read = ReadBuf::new(self.chunk.as_mut_slice());
            let port = &mut self.port;
            let polled = std::future::poll_fn(|cx| {
                Poll::Ready(Pin::new(&mut *port).poll_read(cx, &mut read))
            });
            match polled.await {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(SerialError::Io(error)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Err(SerialError::HungUp),
                Poll::Ready(Ok(())) => stale = 1,
            }
        }
        self.chunk.zeroize();
        Ok(stale)
    }

    async fn send(&mut self, command: Command) -> Result<(), SerialError> {
        // Not flushed: that waits in the kernel, and the answer comes when the bytes are out.
        let frame = command.frame();
        match time::timeout(WRITE_TIME, self.port.write_all(&frame)).await {
            Ok(written) => written.map_err(SerialError::Io),
            Err(_) => Err(SerialError::Stalled {
                stalled_ms: WRITE_TIME.as_millis(),
            }),
        }
    }
}
