//! The bus: who is asked next, and what the line brings meanwhile. One question at a time.

use std::time::Duration;

use super::buffer::PacketBuffer;
use super::reader::{News, Reader};
use super::{Cause, Look, PROVISION_MAX, Provisioned, ReaderSettings};
use crate::domain::{Mono, Tag};

/// A reader answers within this (SIA OSDP v2.2 §5.7).
const REPLY_TIME: Duration = Duration::from_millis(200);
/// A packet that pauses for longer will not be finished (§5.6).
const INTER_BYTE_TIME: Duration = Duration::from_millis(20);
/// The line rests before it is driven again: more than two characters at 9600 baud would need, and a timer's tick.
const REST_TIME: Duration = Duration::from_millis(1);
/// Drives the line before a packet, so that a receiver that was asleep does not lose its start.
const MARKING: u8 = 0xFF;

/// What can happen to a bus.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes came.
    Bytes(&'a [u8]),
    /// Time has passed. Early or late is harmless.
    TimedOut,
}

/// What the bus wants done or known. Readers go by their place in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send(Vec<u8>),
    /// The secure channel of a reader stands.
    Up(usize),
    /// A reader is not served.
    Down(usize, Cause),
    /// A card was shown.
    Presented {
        /// At which reader.
        reader: usize,
        /// What it says.
        tag: Tag,
    },
    /// A card was shown while the reader was not heard; it must be shown again.
    Stale(usize),
    /// Somebody opens a reader, or has closed it.
    Tamper(usize, bool),
    /// A reader's supply fails, or is back.
    PowerFailure(usize, bool),
    /// What a reader says that it is.
    Identified(usize, String),
    /// How far giving a reader its key has come.
    Provisioned(usize, Provisioned),
    /// Something was lost or spoiled: to be counted.
    Fault(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody is asked before this.
    Resting { until: Mono },
    /// A reader is asked.
    Waiting { reader: usize, until: Mono },
}

/// The readers of one line.
pub struct Bus {
    readers: Vec<Reader>,
    state: State,
    buffer: PacketBuffer,
    /// When an unfinished packet counts as broken.
    silent_at: Option<Mono>,
    nonce: Box<dyn FnMut() -> Option<[u8; 8]> + Send>,
}

impl Bus {
    /// A bus with these readers. `nonce` gives eight random bytes of the operating system: whoever can foresee them can
    /// replay a whole session. Without them no session is begun.
    #[must_use]
    pub fn new(
        readers: Vec<ReaderSettings>,
        nonce: impl FnMut() -> Option<[u8; 8]> + Send + 'static,
    ) -> Self {
        Self {
            readers: readers.into_iter().map(Reader::new).collect(),
            state: State::Resting {
                until: Mono::default(),
            },
            buffer: PacketBuffer::default(),
            silent_at: None,
            nonce: Box::new(nonce),
        }
    }

    /// Begins on a fresh connection: every session starts over.
    pub fn start(&mut self, now: Mono) {
        for reader in &mut self.readers {
            reader.restart(now);
        }
        self.buffer.clear();
        self.silent_at = None;
        self.state = State::Resting { until: now };
    }

    /// Lets a reader show something from now on.
    pub fn show(&mut self, reader: usize, look: Look) {
        if let Some(reader) = self.readers.get_mut(reader) {
            reader.show(look);
        }
    }

    /// Lets a reader be given its key from now on, for at most [`PROVISION_MAX`]: it is spoken to with the public key of the
    /// standard, and no card is taken, until it has taken its own, has refused, or `lasts` is over.
    pub fn provision(&mut self, now: Mono, reader: usize, lasts: Duration, out: &mut Vec<Output>) {
        let Some(provisioned) = self.readers.get_mut(reader) else {
            return;
        };
        let mut news = Vec::new();
        provisioned.provision(now, now + lasts.min(PROVISION_MAX), &mut news);
        tell(reader, news, out);
        // An answer that is still to come belongs to the session before.
        if matches!(self.state, State::Waiting { reader: asked, .. } if asked == reader) {
            self.buffer.clear();
            self.silent_at = None;
            let until = now + REPLY_TIME;
            self.state = State::Resting { until };
        }
    }

    /// When [`Input::TimedOut`] is due.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        match self.state {
            State::Waiting { until, .. } => self.silent_at.map_or(until, |at| at.min(until)),
            State::Resting { until } => {
                let due = self.readers.iter().map(Reader::due).min();
                due.map_or(until, |due| due.max(until))
            }
        }
    }

    /// Advances by one input. Pure but for `nonce`: no clock, no I/O.
    pub fn step(&mut self, now: Mono, input: Input<'_>, out: &mut Vec<Output>) {
        if let Input::Bytes(bytes) = input {
            self.buffer.push(bytes);
            self.silent_at = Some(now + INTER_BYTE_TIME);
        }
        while let Some(packet) = self.buffer.next_packet() {
            self.received(now, &packet, out);
        }
        if self.silent_at.is_some_and(|at| at <= now) {
            self.silent_at = None;
            while let Some(packet) = self.buffer.silence() {
                self.received(now, &packet, out);
            }
        }
        if !self.buffer.is_unfinished() {
            self.silent_at = None;
        }
        self.count_faults(out);
        for (at, reader) in self.readers.iter_mut().enumerate() {
            let mut news = Vec::new();
            reader.times_out(now, &mut news);
            tell(at, news, out);
        }
        match self.state {
            State::Waiting { reader, until } if until <= now => {
                let mut news = Vec::new();
                if let Some(asked) = self.readers.get_mut(reader) {
                    asked.missed(now, &mut news);
                }
                tell(reader, news, out);
                self.rest(now);
            }
            State::Waiting { .. } => {}
            State::Resting { .. } => {
                if self.deadline() <= now {
                    self.ask(now, out);
                }
            }
        }
    }

    /// Asks whoever has waited longest.
    fn ask(&mut self, now: Mono, out: &mut Vec<Output>) {
        let waiting = self.readers.iter_mut().enumerate();
        let Some((at, reader)) = waiting.min_by_key(|(_, reader)| reader.due()) else {
            return;
        };
        match reader.frame(&mut self.nonce) {
            Ok(frame) => {
                // What came before is no answer to it.
                self.buffer.clear();
                self.silent_at = None;
                let mut bytes = Vec::with_capacity(frame.len() + 1);
                bytes.push(MARKING);
                bytes.extend(frame);
                out.push(Output::Send(bytes));
                let until = now + REPLY_TIME;
                self.state = State::Waiting { reader: at, until };
            }
            // Nothing that we send is too long; a session that cannot go on starts over.
            Err(_) => {
                reader.restart(now + REPLY_TIME);
                out.push(Output::Fault(at));
                self.rest(now);
            }
        }
    }

    fn received(&mut self, now: Mono, packet: &[u8], out: &mut Vec<Output>) {
        let State::Waiting { reader, .. } = self.state else {
            return;
        };
        let Some(asked) = self.readers.get_mut(reader) else {
            return;
        };
        let mut news = Vec::new();
        let is_answer = asked.answered(now, packet, &mut news);
        if !is_answer {
            news.push(News::Fault);
        }
        tell(reader, news, out);
        if is_answer {
            self.rest(now);
        }
    }

    fn count_faults(&mut self, out: &mut Vec<Output>) {
        let faults = self.buffer.take_faults();
        let State::Waiting { reader, .. } = self.state else {
            return;
        };
        out.extend((0..faults).map(|_| Output::Fault(reader)));
    }

    fn rest(&mut self, now: Mono) {
        let until = now + REST_TIME;
        self.state = State::Resting { until };
    }
}

fn tell(reader: usize, news: Vec<News>, out: &mut Vec<Output>) {
    out.extend(news.into_iter().map(|news| match news {
        News::Up => Output::Up(reader),
        News::Down(cause) => Output::Down(reader, cause),
        News::Presented(tag) => Output::Presented { reader, tag },
        News::Stale => Output::Stale(reader),
        News::Tamper(on) => Output::Tamper(reader, on),
        News::PowerFailure(on) => Output::PowerFailure(reader, on),
        News::Identified(identity) => Output::Identified(reader, identity),
        News::Provisioned(how) => Output::Provisioned(reader, how),
        News::Fault => Output::Fault(reader),
    }));
}

#[cfg(test)]
mod tests;
