//! A scanner module: every line it sends is a code.
//!
//! It speaks unasked or not at all, so silence says nothing: only a hang-up or an error ends the connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

use super::SerialError;
use super::link::{Device, Ended, Link};
use crate::domain::{Medium, Mono, Personal, Shown};
use crate::proto::line::{LINE_MAX, LineError, LineLatch, LineReader};

/// Modules without a suffix end a code with this much silence.
const SILENCE: Duration = Duration::from_millis(40);
const CHUNK_LEN: usize = 512;

/// Reads one scanner.
pub(super) struct Scanner;

impl Device for Scanner {
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        mut port: P,
    ) -> Ended {
        link.is_up();
        let mut codes = Codes::new(link.now());
        let mut chunk = Zeroizing::new([0; CHUNK_LEN]);
        loop {
            let (clock, wake) = (link.clock(), codes.deadline());
            tokio::select! {
                biased;
                () = link.attend() => return Ended::Closed,
                // Before the timer: after a stall of ours the rest of the line may well be here already.
                read = port.read(chunk.as_mut_slice()) => {
                    let error = match read {
                        Ok(0) => SerialError::HungUp,
                        Err(error) => SerialError::Io(error),
                        Ok(length) => {
                            let bytes = chunk.get_mut(..length).unwrap_or_default();
                            codes.take(bytes, link);
                            bytes.zeroize();
                            continue;
                        }
                    };
                    return Ended::Lost { error, heard: true };
                }
                () = Link::sleep_until(clock, wake) => codes.wake(link),
            }
        }
    }
}

struct Codes {
    reader: LineReader,
    latch: LineLatch,
    /// When the first byte of this line came.
    seen: Mono,
    silent_at: Mono,
}

impl Codes {
    fn new(now: Mono) -> Self {
        Self {
            reader: LineReader::new(LINE_MAX),
            latch: LineLatch::default(),
            seen: now,
            silent_at: now,
        }
    }

    fn deadline(&self) -> Option<Mono> {
        let silent_at = (!self.reader.is_empty()).then_some(self.silent_at);
        [silent_at, self.latch.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn take(&mut self, bytes: &[u8], link: &mut Link) {
        let now = link.now();
        self.silent_at = now + SILENCE;
        for byte in bytes {
            if self.reader.is_empty() {
                self.seen = now;
            }
            let line = self.reader.push(*byte);
            self.hand_on(line, link);
        }
    }

    fn wake(&mut self, link: &mut Link) {
        let now = link.now();
        self.latch.expire(now);
        if !self.reader.is_empty() && self.silent_at <= now {
            let line = self.reader.silence();
            self.hand_on(line, link);
        }
    }

    fn hand_on(&mut self, line: Result<Option<Personal<String>>, LineError>, link: &mut Link) {
        match line {
            Ok(None) => {}
            Ok(Some(text)) => {
                if self.latch.accept(&text, link.now()) {
                    link.present(Medium::QrCode, Shown::Code(text), self.seen);
                }
            }
            Err(LineError::Foreign | LineError::TooLong(_)) => link.faults(1),
        }
    }
}
