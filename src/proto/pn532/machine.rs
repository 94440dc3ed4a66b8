//! Wake, configure, bound the retries, then search for a tag again and again.
//!
//! Pure: a frame or the passing of time goes in, commands and news come out. A command is acknowledged within 30 ms and
//! answered within its time; otherwise it is aborted by an ACK of ours and the module is woken anew.

use std::time::Duration;

use super::frame::{ACK, Frame, encode};
use crate::domain::{Mono, Tag, TagKind};
use crate::proto::latch::Latch;

const ACK_TIME: Duration = Duration::from_millis(50);
const ANSWER_TIME: Duration = Duration::from_millis(500);
const SEARCH_PERIOD: Duration = Duration::from_millis(100);
const UNANSWERED_MAX: u32 = 3;
const FOUND_CODE: u8 = 0x4B;

/// What the host asks of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Wake, and use the chip without a security module.
    Wake,
    /// Which chip is it?
    Firmware,
    /// Search a bounded number of times; without it a search never ends.
    BoundRetries,
    /// Search one type A tag.
    Find,
    /// Let the tag go, so that the next search finds it anew.
    Release,
    /// Stop what the module is doing.
    Abort,
}

impl Command {
    /// The bytes on the line.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        match self {
            Self::Wake => {
                // A module in power-down needs bytes to see, and time to wake.
                let mut bytes = vec![0x55, 0x55];
                bytes.extend([0; 14]);
                bytes.extend(encode(&[0xD4, 0x14, 0x01]));
                bytes
            }
            Self::Firmware => encode(&[0xD4, 0x02]),
            Self::BoundRetries => encode(&[0xD4, 0x32, 0x05, 0xFF, 0x01, 0x02]),
            Self::Find => encode(&[0xD4, 0x4A, 0x01, 0x00]),
            Self::Release => encode(&[0xD4, 0x52, 0x00]),
            Self::Abort => ACK.to_vec(),
        }
    }

    /// The code of its answer.
    const fn answer(self) -> u8 {
        match self {
            Self::Wake => 0x15,
            Self::Firmware => 0x03,
            Self::BoundRetries => 0x33,
            Self::Find => FOUND_CODE,
            Self::Release => 0x53,
            Self::Abort => 0x00,
        }
    }
}

/// What can happen to the machine.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// Time has passed. Early or late is harmless.
    TimedOut,
}

/// What the machine wants done or known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this, after forgetting what came before.
    Send(Command),
    /// The module is configured.
    Ready,
    /// A tag was shown.
    Presented {
        /// What it says.
        tag: Tag,
        /// When it was found.
        seen: Mono,
    },
    /// An answer was missing, or not the one to expect: to be counted.
    Fault,
    /// Too many answers in a row are missing: the connection should be opened anew.
    GaveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    /// A command was sent; it is acknowledged, or not yet.
    Asked {
        command: Command,
        acked: bool,
        until: Mono,
    },
    Resting {
        until: Mono,
    },
}

/// The polling of one PN532.
pub struct Pn532Machine {
    state: State,
    latch: Latch<Tag>,
    unanswered: u32,
    heard: bool,
    is_ready: bool,
}

impl Default for Pn532Machine {
    fn default() -> Self {
        Self {
            state: State::Stopped,
            latch: Latch::default(),
            unanswered: 0,
            heard: false,
            is_ready: false,
        }
    }
}

impl Pn532Machine {
    /// Begins on a fresh connection. A tag that was handed on before the break stays held back.
    pub fn start(&mut self, now: Mono, out: &mut Vec<Output>) {
        *self = Self {
            latch: std::mem::take(&mut self.latch),
            ..Self::default()
        };
        // Whatever the module was told before, it is not doing it any more.
        out.push(Output::Send(Command::Abort));
        self.ask(now, Command::Wake, out);
    }

    /// When [`Input::TimedOut`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::Stopped => None,
            State::Asked { until, .. } | State::Resting { until } => Some(until),
        }
    }

    /// True if this connection has brought at least one whole frame.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Advances by one input. Pure: no clock, no I/O, no randomness.
    pub fn step(&mut self, now: Mono, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Frame(frame) => {
                self.heard = true;
                self.received(now, frame, out);
            }
            Input::TimedOut => {
                if self.deadline().is_some_and(|due| due <= now) {
                    self.timed_out(now, out);
                }
            }
        }
    }

    fn received(&mut self, now: Mono, frame: Frame<'_>, out: &mut Vec<Output>) {
        let State::Asked { command, acked, .. } = self.state else {
            // Late: nobody is waiting for it.
            return;
        };
        match frame {
            Frame::Ack => {
                let until = now + ANSWER_TIME;
                self.state = State::Asked {
                    command,
                    acked: true,
                    until,
                };
            }
            Frame::Answer { code, data } if acked && code == command.answer() => {
                self.unanswered = 0;
                self.answered(now, command, data, out);
            }
            Frame::Nack | Frame::Refused => {
                out.push(Output::Fault);
                self.failed(now, out);
            }
            // The answer to an earlier command.
            Frame::Answer { .. } => out.push(Output::Fault),
        }
    }

    fn answered(&mut self, now: Mono, command: Command, data: &[u8], out: &mut Vec<Output>) {
        match command {
            Command::Wake => self.ask(now, Command::Firmware, out),
            Command::Firmware => self.ask(now, Command::BoundRetries, out),
            Command::BoundRetries => {
                if !std::mem::replace(&mut self.is_ready, true) {
                    out.push(Output::Ready);
                }
                self.ask(now, Command::Find, out);
            }
            Command::Find => self.found(now, data, out),
            Command::Release | Command::Abort => self.rest(now),
        }
    }

    fn found(&mut self, now: Mono, data: &[u8], out: &mut Vec<Output>) {
        match data {
            [0x00] | [] => self.rest(now),
            data => {
                match uid(data).and_then(|uid| Tag::of_bytes(TagKind::Iso14443a, uid)) {
                    Some(tag) => {
                        if self.latch.accept(&tag, now) {
                            out.push(Output::Presented { tag, seen: now });
                        }
                    }
                    None => {
                        out.push(Output::Fault);
                        self.latch.still_there(now);
                    }
                }
                self.ask(now, Command::Release, out);
            }
        }
    }

    fn timed_out(&mut self, now: Mono, out: &mut Vec<Output>) {
        match self.state {
            State::Stopped => {}
            State::Resting { .. } => self.ask(now, Command::Find, out),
            State::Asked { .. } => {
                out.push(Output::Fault);
                self.failed(now, out);
            }
        }
    }

    /// No answer, or a refusal: what the module is doing is aborted, and it is told once more; then it is woken anew.
    fn failed(&mut self, now: Mono, out: &mut Vec<Output>) {
        // It says nothing of the reader being empty.
        self.latch.still_there(now);
        self.unanswered += 1;
        if self.unanswered >= UNANSWERED_MAX {
            self.state = State::Stopped;
            out.push(Output::GaveUp);
            return;
        }
        let next = match self.state {
            State::Asked { command, .. } if self.unanswered == 1 => command,
            State::Asked { .. } | State::Resting { .. } | State::Stopped => Command::Wake,
        };
        out.push(Output::Send(Command::Abort));
        self.ask(now, next, out);
    }

    fn ask(&mut self, now: Mono, command: Command, out: &mut Vec<Output>) {
        let until = now + ACK_TIME;
        self.state = State::Asked {
            command,
            acked: false,
            until,
        };
        out.push(Output::Send(command));
    }

    fn rest(&mut self, now: Mono) {
        let until = now + SEARCH_PERIOD;
        self.state = State::Resting { until };
    }
}

/// The UID out of `1 | target | ATQA 2 | SAK | length | UID …`. UIDs have 4, 7 or 10 bytes.
fn uid(data: &[u8]) -> Option<&[u8]> {
    let [1, _target, _, _, _sak, length, rest @ ..] = data else {
        return None;
    };
    let uid = rest.get(..usize::from(*length))?;
    matches!(uid.len(), 4 | 7 | 10).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = &[0x00];
    const CARD: &[u8] = &[0x01, 0x01, 0x00, 0x04, 0x08, 0x04, 0xFB, 0x0E, 0xE2, 0x0B];

    #[test]
    fn commands_are_the_published_frames() {
        let wake = [&[0x55, 0x55][..], &[0; 14]].concat();
        for (command, bytes) in [
            (
                Command::Firmware,
                vec![0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD4, 0x02, 0x2A, 0x00],
            ),
            (
                Command::BoundRetries,
                vec![
                    0x00, 0x00, 0xFF, 0x06, 0xFA, 0xD4, 0x32, 0x05, 0xFF, 0x01, 0x02, 0xF3, 0x00,
                ],
            ),
            (
                Command::Find,
                vec![
                    0x00, 0x00, 0xFF, 0x04, 0xFC, 0xD4, 0x4A, 0x01, 0x00, 0xE1, 0x00,
                ],
            ),
            (
                Command::Release,
                vec![0x00, 0x00, 0xFF, 0x03, 0xFD, 0xD4, 0x52, 0x00, 0xDA, 0x00],
            ),
            (Command::Abort, vec![0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00]),
            (
                Command::Wake,
                [
                    &wake[..],
                    &[0x00, 0x00, 0xFF, 0x03, 0xFD, 0xD4, 0x14, 0x01, 0x17, 0x00],
                ]
                .concat(),
            ),
        ] {
            assert_eq!(command.frame(), bytes, "{command:?}");
        }
    }

    /// A module that answers at once, with or without a card on it; `None`: it is silent.
    struct Bench {
        machine: Pn532Machine,
        now: Mono,
        out: Vec<Output>,
        seen: Vec<Output>,
        asked: usize,
        /// Of so many commands it answers all but one; 0: all.
        deaf_every: usize,
    }

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                machine: Pn532Machine::default(),
                now: Mono::from_millis(0),
                out: Vec::new(),
                seen: Vec::new(),
                asked: 0,
                deaf_every: 0,
            };
            bench.machine.start(bench.now, &mut bench.out);
            bench
        }

        /// Answers commands for `ms`.
        fn run(&mut self, ms: u64, card: Option<&[u8]>) {
            let end = self.now + Duration::from_millis(ms);
            while self.now < end {
                let out = std::mem::take(&mut self.out);
                for output in out {
                    if let (Output::Send(command), Some(card)) = (&output, card)
                        && *command != Command::Abort
                    {
                        self.asked += 1;
                        if self.asked.checked_rem(self.deaf_every) == Some(0) {
                            self.seen.push(output);
                            continue;
                        }
                        let data = if *command == Command::Find { card } else { &[] };
                        let code = command.answer();
                        for frame in [Frame::Ack, Frame::Answer { code, data }] {
                            self.machine
                                .step(self.now, Input::Frame(frame), &mut self.out);
                        }
                    }
                    self.seen.push(output);
                }
                if self.out.is_empty() {
                    let Some(due) = self.machine.deadline() else {
                        return;
                    };
                    self.now = due.max(self.now);
                    self.machine.step(self.now, Input::TimedOut, &mut self.out);
                }
            }
        }

        fn count(&mut self, wanted: impl Fn(&Output) -> bool) -> usize {
            std::mem::take(&mut self.seen)
                .iter()
                .filter(|output| wanted(output))
                .count()
        }
    }

    const fn is_card(output: &Output) -> bool {
        matches!(output, Output::Presented { .. })
    }

    #[test]
    fn a_module_is_woken_configured_and_searched() {
        let mut bench = Bench::new();
        bench.run(10, Some(EMPTY));
        let sent = bench.seen.iter().filter_map(|output| match output {
            Output::Send(command) => Some(*command),
            Output::Ready | Output::Presented { .. } | Output::Fault | Output::GaveUp => None,
        });
        use Command::{Abort, BoundRetries, Find, Firmware, Wake};
        assert_eq!(
            sent.collect::<Vec<_>>(),
            [Abort, Wake, Firmware, BoundRetries, Find]
        );
        assert_eq!(bench.count(|output| *output == Output::Ready), 1);
    }

    #[test]
    fn a_card_that_lies_there_is_one_presentation() {
        let mut bench = Bench::new();
        bench.run(10_000, Some(CARD));
        assert_eq!(bench.count(is_card), 1);
        bench.run(1_500, Some(EMPTY));
        bench.run(1_000, Some(CARD));
        assert_eq!(bench.count(is_card), 1);
    }

    #[test]
    fn another_card_counts_at_once() {
        let mut bench = Bench::new();
        bench.run(500, Some(CARD));
        let mut other = CARD.to_vec();
        other[9] ^= 1;
        bench.run(500, Some(&other));
        assert_eq!(bench.count(is_card), 2);
    }

    #[test]
    fn a_silent_module_is_aborted_and_woken_and_then_given_up() {
        let mut bench = Bench::new();
        bench.run(300, Some(EMPTY));
        bench.seen.clear();
        bench.run(5_000, None);
        assert_eq!(
            bench
                .seen
                .iter()
                .filter(|o| **o == Output::Send(Command::Abort))
                .count(),
            2
        );
        assert_eq!(bench.seen.last(), Some(&Output::GaveUp));
        assert_eq!(bench.machine.deadline(), None);
    }

    /// Every third is the third of its way from waking to searching, too.
    #[test]
    fn a_module_that_misses_every_third_command_is_told_again_and_gives_its_card() {
        let mut bench = Bench::new();
        bench.deaf_every = 3;
        bench.run(3_000, Some(CARD));
        assert_eq!(bench.count(is_card), 1);
    }

    #[test]
    fn a_break_does_not_hand_a_card_on_twice() {
        let mut bench = Bench::new();
        bench.run(500, Some(CARD));
        bench.out.clear();
        bench.machine.start(bench.now, &mut bench.out);
        bench.run(500, Some(CARD));
        assert_eq!(bench.count(is_card), 1);
    }

    #[test]
    fn an_answer_that_adds_up_to_no_uid_is_a_fault_and_no_card() {
        for end in 1..CARD.len() {
            let mut bench = Bench::new();
            bench.run(300, Some(&CARD[..end]));
            assert!(!bench.seen.iter().any(is_card), "{end}");
            assert!(bench.count(|output| *output == Output::Fault) > 0, "{end}");
        }
    }
}
