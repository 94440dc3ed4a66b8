//! A scanner module: every line it sends is a code.
//!
//! It speaks unasked or not at all, so silence says nothing: only a hang-up or an error ends the connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

use super::SerialError;
use super::link::{Device, Ended, Link};
use crate::domain::{Medium, Mono, Personal, Prompt, Shown};
use crate::proto::latch::Latch;
use crate::proto::line::{LINE_MAX, LineEnd, LineError, LineReader, LineShape};

/// Modules without a suffix end a code with this much silence.
const SILENCE: Duration = Duration::from_millis(40);
/// Modules with a line end are given this much; then the rest will not come.
const PAUSE_MAX: Duration = Duration::from_secs(1);
const CHUNK_LEN: usize = 512;
/// Noise is told no more often than this.
const PROMPT_EVERY: Duration = Duration::from_secs(1);
/// So many spoiled lines without a good one before them are another line speed.
const SPOILED_MAX: u32 = 3;

/// Reads one scanner.
#[derive(Default)]
pub(super) struct Scanner {
    /// What it puts around a code.
    shape: LineShape,
    /// A code came at this speed: it is the right one, whatever people show.
    is_known: bool,
    /// Only noise has come so far: it does not count as up before it brings a code.
    is_noisy: bool,
}

impl Scanner {
    pub(super) fn new(shape: LineShape) -> Self {
        Self {
            shape,
            ..Self::default()
        }
    }
}

impl Device for Scanner {
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        mut port: P,
    ) -> Ended {
        if !self.is_noisy {
            link.is_up();
        }
        let mut codes = Codes::new(&self.shape, link.now());
        let mut chunk = Zeroizing::new([0; CHUNK_LEN]);
        loop {
            let (clock, wake) = (link.clock(), codes.deadline());
            tokio::select! {
                biased;
                () = link.attend() => return Ended::Closed,
                // Before the timer: after a stall of ours the rest of the line may well be here already.
                read = port.read(chunk.as_mut_slice()) => {
                    let error = match read {
                        Ok(0) => Some(SerialError::HungUp),
                        Err(error) => Some(SerialError::Io(error)),
                        Ok(length) => {
                            let bytes = chunk.get_mut(..length).unwrap_or_default();
                            codes.take(bytes, link);
                            bytes.zeroize();
                            None
                        }
                    };
                    if let Some(error) = error {
                        // Another one may be plugged in.
                        self.is_known = false;
                        return Ended::Lost { error, heard: true };
                    }
                }
                () = Link::sleep_until(clock, wake) => codes.wake(link),
            }
            if codes.has_good {
                (self.is_known, self.is_noisy) = (true, false);
                link.is_up();
            } else if !self.is_known && codes.spoiled >= SPOILED_MAX {
                self.is_noisy = true;
                let error = SerialError::Noise;
                return Ended::Lost {
                    error,
                    heard: false,
                };
            }
        }
    }
}

struct Codes {
    reader: LineReader,
    latch: Latch<Personal<String>>,
    /// When the first byte of this line came.
    seen: Mono,
    /// So much silence ends a line.
    pause: Duration,
    silent_at: Mono,
    /// When somebody was last told to show it again.
    prompted: Option<Mono>,
    /// A line was a code.
    has_good: bool,
    /// Lines with bytes that no code has.
    spoiled: u32,
}

impl Codes {
    fn new(shape: &LineShape, now: Mono) -> Self {
        let pause = match shape.end {
            LineEnd::Any | LineEnd::Silence => SILENCE,
            LineEnd::Line => PAUSE_MAX,
        };
        Self {
            reader: LineReader::new(LINE_MAX).shaped(shape.clone()),
            pause,
            latch: Latch::default(),
            seen: now,
            silent_at: now,
            prompted: None,
            has_good: false,
            spoiled: 0,
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
        self.silent_at = now + self.pause;
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
                self.has_good = true;
                if self.latch.accept(&text, link.now()) {
                    link.present(Medium::QrCode, Shown::Code(text), self.seen);
                }
            }
            // Somebody shows something, and waits for an answer.
            Err(LineError::TooLong(_)) => {
                link.faults(1);
                link.present(Medium::QrCode, Shown::TooLong, self.seen);
            }
            // Noise, or a code with bytes that we do not take: who stands there is told.
            Err(LineError::Foreign | LineError::NoPrefix | LineError::Unfinished) => {
                self.spoiled = self.spoiled.saturating_add(1);
                link.faults(1);
                let now = link.now();
                if self
                    .prompted
                    .is_none_or(|last| now.since(last) >= PROMPT_EVERY)
                {
                    self.prompted = Some(now);
                    link.prompt(Prompt::ShowAgain);
                }
            }
        }
    }
}
