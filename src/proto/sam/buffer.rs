//! Bytes in, replies out: one reply may come in twenty reads, and noise may come before it.

use zeroize::{Zeroize, Zeroizing};

use super::frame::{LEN_MAX, Reply, decode};

const CAPACITY: usize = 2 * LEN_MAX;

/// Collects what the line brings. What has been used is zeroised, for it holds names and photos.
#[derive(Default)]
pub struct ReplyBuffer {
    bytes: Zeroizing<Vec<u8>>,
    /// Bytes at the front that have been used.
    used: usize,
    /// Inside a run of bad bytes: it counts once.
    in_noise: bool,
    faults: u32,
}

impl ReplyBuffer {
    /// An empty buffer. It never grows past its first size, so that it never leaves a copy behind.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(CAPACITY)),
            ..Self::default()
        }
    }

    /// Adds what was read. More than can be held is a fault, and everything is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        self.drop_used();
        if self.bytes.len() + bytes.len() > CAPACITY {
            self.bytes.zeroize();
            self.fault();
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole reply; bad bytes before it are skipped one by one.
    pub fn next_reply(&mut self) -> Option<Reply<'_>> {
        self.drop_used();
        let mut at = 0;
        let length = loop {
            match decode(self.bytes.get(at..).unwrap_or_default()) {
                Ok(Some((_, length))) => break Some(length),
                Ok(None) => break None,
                Err(_) => {
                    at += 1;
                    self.fault();
                }
            }
        };
        self.used = at + length?;
        self.in_noise = false;
        let frame = self.bytes.get(at..self.used)?;
        decode(frame).ok().flatten().map(|(reply, _)| reply)
    }

    /// True if bytes have come that are no reply yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.in_noise || self.bytes.len() > self.used
    }

    /// The line has fallen silent: what is there will not become a reply.
    pub fn silence(&mut self) {
        if self.bytes.len() > self.used {
            self.fault();
        }
        self.clear();
    }

    /// Forgets everything, before a command: what came earlier is no answer to it.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
        self.used = 0;
        self.in_noise = false;
    }

    /// Runs of bad bytes since the last call.
    pub const fn take_faults(&mut self) -> u32 {
        std::mem::replace(&mut self.faults, 0)
    }

    fn fault(&mut self) {
        if !self.in_noise {
            self.in_noise = true;
            self.faults = self.faults.saturating_add(1);
        }
    }

    fn drop_used(&mut self) {
        let used = std::mem::replace(&mut self.used, 0).min(self.bytes.len());
        if used > 0 {
            let keep = self.bytes.len() - used;
            self.bytes.copy_within(used.., 0);
            if let Some(tail) = self.bytes.get_mut(keep..) {
                tail.zeroize();
            }
            self.bytes.truncate(keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{Verdict, encode_reply};
    use super::*;

    fn no_card() -> Vec<u8> {
        encode_reply([0, 0, 0x80], &[])
    }

    fn verdicts(buffer: &mut ReplyBuffer) -> Vec<Verdict> {
        std::iter::from_fn(|| buffer.next_reply().map(|reply| reply.verdict)).collect()
    }

    #[test]
    fn a_reply_that_comes_byte_by_byte_is_one_reply() {
        let mut buffer = ReplyBuffer::new();
        let bytes = no_card();
        for byte in &bytes[..bytes.len() - 1] {
            buffer.push(&[*byte]);
            assert!(buffer.next_reply().is_none() && buffer.is_unfinished());
        }
        buffer.push(&bytes[bytes.len() - 1..]);
        assert_eq!(verdicts(&mut buffer), [Verdict::NoCard]);
        assert!(!buffer.is_unfinished());
        assert_eq!(buffer.take_faults(), 0);
    }

    #[test]
    fn one_start_byte_too_many_still_syncs() {
        let mut buffer = ReplyBuffer::new();
        buffer.push(&[0xAA]);
        buffer.push(&no_card());
        assert_eq!(verdicts(&mut buffer), [Verdict::NoCard]);
        assert_eq!(buffer.take_faults(), 1);
    }

    #[test]
    fn a_broken_reply_does_not_take_the_next_one_with_it() {
        let mut broken = encode_reply([0, 0, 0x9F], &[0; 4]);
        broken[9] ^= 0x10;
        let mut buffer = ReplyBuffer::new();
        buffer.push(&[broken, no_card()].concat());
        assert_eq!(verdicts(&mut buffer), [Verdict::NoCard]);
        assert_eq!(buffer.take_faults(), 1);
    }

    #[test]
    fn silence_ends_a_reply_that_will_not_be_finished() {
        let mut buffer = ReplyBuffer::new();
        buffer.push(&no_card()[..8]);
        assert!(buffer.next_reply().is_none());
        buffer.silence();
        assert_eq!(buffer.take_faults(), 1);
        buffer.push(&no_card());
        assert_eq!(verdicts(&mut buffer), [Verdict::NoCard]);
    }

    #[test]
    fn more_than_any_reply_is_not_kept() {
        let mut buffer = ReplyBuffer::new();
        buffer.push(&vec![0xAA; CAPACITY]);
        buffer.push(&[0xAA; 64]);
        assert_eq!(buffer.take_faults(), 1);
        buffer.clear();
        buffer.push(&no_card());
        assert_eq!(verdicts(&mut buffer), [Verdict::NoCard]);
    }

    #[test]
    fn what_has_been_used_is_zeroised() {
        let mut buffer = ReplyBuffer::new();
        buffer.push(&encode_reply([0, 0, 0x90], b"personal"));
        assert!(buffer.next_reply().is_some());
        assert!(buffer.next_reply().is_none());
        assert_eq!(buffer.bytes.len(), 0);
        assert!(buffer.bytes.capacity() >= CAPACITY, "the memory was moved");
    }

    proptest! {
        #[test]
        fn any_noise_and_any_cutting_leaves_the_reply_after_a_silence_readable(
            noise in proptest::collection::vec(any::<u8>(), 0..600),
            cut in 1_usize..64,
        ) {
            let mut buffer = ReplyBuffer::new();
            for part in noise.chunks(cut) {
                buffer.push(part);
                while buffer.next_reply().is_some() {}
            }
            buffer.silence();
            let mut found = Vec::new();
            for part in no_card().chunks(cut) {
                buffer.push(part);
                found.extend(verdicts(&mut buffer));
            }
            prop_assert_eq!(found, [Verdict::NoCard]);
        }
    }
}
