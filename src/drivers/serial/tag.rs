//! A reader that sends identifiers unasked: RDM6300, or a Wiegand line behind a converter.
//!
//! Like a scanner it speaks unasked or not at all: only a hang-up or an error ends the connection.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use zeroize::{Zeroize, Zeroizing};

use super::SerialError;
use super::link::{Device, Ended, Link};
use crate::domain::{Medium, Mono, Prompt, Shown, Tag};
use crate::proto::latch::Latch;
use crate::proto::tags::{TagCodec, TagError, TagReader};

/// So much silence ends what was sent.
const SILENCE: Duration = Duration::from_millis(40);
const CHUNK_LEN: usize = 64;
/// Somebody is told to show it again no more often than this.
const PROMPT_EVERY: Duration = Duration::from_secs(1);
/// So many spoiled runs without a good tag before them are another line speed.
const SPOILED_MAX: u32 = 3;

/// Reads one such device. The latch outlives a connection, so that a break does not hand a tag on twice.
pub(super) struct TagDevice {
    codec: TagCodec,
    latch: Latch<Tag>,
    /// A tag came at this speed: it is the right one.
    is_known: bool,
    /// Only noise has come so far: it does not count as up before it brings a tag.
    is_noisy: bool,
}

impl TagDevice {
    pub(super) fn new(codec: TagCodec) -> Self {
        Self {
            codec,
            latch: Latch::default(),
            is_known: false,
            is_noisy: false,
        }
    }
}

impl Device for TagDevice {
    async fn serve<P: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        link: &mut Link,
        mut port: P,
    ) -> Ended {
        if !self.is_noisy {
            link.is_up();
        }
        let mut tags = Tags {
            reader: TagReader::new(self.codec.clone()),
            latch: &mut self.latch,
            seen: link.now(),
            silent_at: link.now(),
            prompted: None,
            has_good: false,
            spoiled: 0,
        };
        let mut chunk = Zeroizing::new([0; CHUNK_LEN]);
        loop {
            let (clock, wake) = (link.clock(), tags.deadline());
            tokio::select! {
                biased;
                () = link.attend() => return Ended::Closed,
                // Before the timer: after a stall of ours the rest may well be here already.
                read = port.read(chunk.as_mut_slice()) => {
                    let error = match read {
                        Ok(0) => SerialError::HungUp,
                        Err(error) => SerialError::Io(error),
                        Ok(length) => {
                            let bytes = chunk.get_mut(..length).unwrap_or_default();
                            tags.take(bytes, link);
                            bytes.zeroize();
                            if tags.has_good {
                                (self.is_known, self.is_noisy) = (true, false);
                                link.is_up();
                            }
                            continue;
                        }
                    };
                    // Another one may be plugged in.
                    self.is_known = false;
                    return Ended::Lost { error, heard: true };
                }
                () = Link::sleep_until(clock, wake) => tags.wake(link),
            }
            if tags.has_good {
                (self.is_known, self.is_noisy) = (true, false);
                link.is_up();
            } else if !self.is_known && tags.spoiled >= SPOILED_MAX {
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

struct Tags<'a> {
    reader: TagReader,
    latch: &'a mut Latch<Tag>,
    /// When the first byte of this run came.
    seen: Mono,
    silent_at: Mono,
    /// When somebody was last told to show it again.
    prompted: Option<Mono>,
    has_good: bool,
    spoiled: u32,
}

impl Tags<'_> {
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
            let tag = self.reader.push(*byte);
            self.hand_on(tag, link);
        }
    }

    fn wake(&mut self, link: &mut Link) {
        let now = link.now();
        self.latch.expire(now);
        if !self.reader.is_empty() && self.silent_at <= now {
            let tag = self.reader.silence();
            self.hand_on(tag, link);
        }
    }

    fn hand_on(&mut self, tag: Result<Option<Tag>, TagError>, link: &mut Link) {
        let now = link.now();
        match tag {
            Ok(None) => {}
            Ok(Some(tag)) => {
                self.has_good = true;
                if self.latch.accept(&tag, now) {
                    link.present(Medium::Tag, Shown::Tag(tag), self.seen);
                }
            }
            Err(_) => {
                // What cannot be read is not away; and nobody is told to show a tag again that was read just now.
                self.latch.still_there(now);
                self.spoiled = self.spoiled.saturating_add(1);
                link.faults(1);
                let due = |last| now.since(last) >= PROMPT_EVERY;
                if self.latch.deadline().is_none() && self.prompted.is_none_or(due) {
                    self.prompted = Some(now);
                    link.prompt(Prompt::ShowAgain);
                }
            }
        }
    }
}
