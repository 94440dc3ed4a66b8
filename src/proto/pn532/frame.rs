//! `00 00 FF | LEN | LCS | TFI data… | DCS | 00`; LEN + LCS = 0, TFI + data + DCS = 0, both mod 256.
//!
//! TFI is D4 from the host and D5 from the module. LEN counts TFI and data. Any number of 00 may stand around a frame.

use zeroize::{Zeroize, Zeroizing};

/// The module has understood a command; sent by the host it aborts one.
pub const ACK: [u8; 6] = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00];
const NACK: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00];
const START: [u8; 3] = [0x00, 0x00, 0xFF];
const FROM_MODULE: u8 = 0xD5;
const FROM_HOST: u8 = 0xD4;
/// Largest LEN that is waited for: one type A tag with a UID of 10 bytes and its ATS stays far below.
pub const LEN_MAX: usize = 64;
const CAPACITY: usize = 4 * LEN_MAX;

/// What the module sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// It has understood the command.
    Ack,
    /// It has not.
    Nack,
    /// Its answer: the command's code plus 1, and what follows.
    Answer {
        /// Command code plus 1.
        code: u8,
        /// May name a card, so it is not printed.
        data: &'a [u8],
    },
    /// `7F`: it does not know the command, or not now.
    Refused,
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ack => f.write_str("Ack"),
            Self::Nack => f.write_str("Nack"),
            Self::Refused => f.write_str("Refused"),
            Self::Answer { code, data } => {
                write!(f, "Answer({code:02X}, {} bytes)", data.len())
            }
        }
    }
}

/// Why there is no frame here. The caller drops one byte and tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No frame starts here.
    #[error("no frame starts here")]
    NotAStart,
    /// A length no frame has, or its check is wrong.
    #[error("a frame does not have such a length")]
    Length,
    /// A byte on the way was changed.
    #[error("the checksum does not match")]
    Checksum,
    /// Not from a module: an echo of the host's own frame.
    #[error("the frame is not from the module")]
    Echo,
}

/// Reads one frame from the front of `buf`, with the bytes it takes. `None`: need more bytes.
///
/// # Errors
/// [`FrameError`]: drop one byte and try again.
pub fn decode(buf: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let head = buf.get(..START.len()).unwrap_or(buf);
    if !START.starts_with(head) {
        return Err(FrameError::NotAStart);
    }
    let &[_, _, _, len, lcs, ref rest @ ..] = buf else {
        return Ok(None);
    };
    // ACK and NACK are whole patterns: a LEN of 00 or FF has no check of its own.
    for (pattern, frame) in [(ACK, Frame::Ack), (NACK, Frame::Nack)] {
        if pattern.starts_with(buf.get(..pattern.len()).unwrap_or(buf)) {
            return Ok((buf.len() >= pattern.len()).then_some((frame, pattern.len())));
        }
    }
    let length = usize::from(len);
    if len.wrapping_add(lcs) != 0 || !(1..=LEN_MAX).contains(&length) {
        return Err(FrameError::Length);
    }
    let Some(body) = rest.get(..length + 2) else {
        return Ok(None);
    };
    let [payload @ .., _dcs, end] = body else {
        return Err(FrameError::Length);
    };
    if sum(body) != *end || *end != 0 {
        return Err(FrameError::Checksum);
    }
    let frame = match payload {
        [FROM_MODULE, code, data @ ..] => Frame::Answer { code: *code, data },
        [FROM_HOST, ..] => return Err(FrameError::Echo),
        [0x7F] => Frame::Refused,
        [..] => return Err(FrameError::Length),
    };
    Ok(Some((frame, START.len() + 2 + body.len())))
}

/// A frame of the host (`D4`) or, for an emulated module, of the module (`D5`). `payload` begins with the TFI; what is
/// longer than [`LEN_MAX`] is cut.
#[must_use]
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..LEN_MAX).unwrap_or(payload);
    let len = u8::try_from(payload.len()).unwrap_or_default();
    let mut bytes = START.to_vec();
    bytes.extend([len, len.wrapping_neg()]);
    bytes.extend(payload);
    bytes.extend([sum(payload).wrapping_neg(), 0x00]);
    bytes
}

fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// Bytes in, frames out. What has been used is zeroised, for it names cards.
pub struct FrameBuffer {
    bytes: Zeroizing<Vec<u8>>,
    used: usize,
    in_noise: bool,
    faults: u32,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self {
            // It never grows, so that it never leaves a copy behind.
            bytes: Zeroizing::new(Vec::with_capacity(CAPACITY)),
            used: 0,
            in_noise: false,
            faults: 0,
        }
    }
}

impl FrameBuffer {
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

    /// The next whole frame; bad bytes before it are skipped one by one. Single 00 between frames are no fault.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.drop_used();
        let mut at = 0;
        let length = loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            match decode(rest) {
                Ok(Some((_, length))) => break Some(length),
                Ok(None) => break None,
                Err(error) => {
                    let is_padding = error == FrameError::NotAStart && rest.first() == Some(&0);
                    at += 1;
                    if !is_padding {
                        self.fault();
                    }
                }
            }
        };
        let Some(length) = length else {
            self.used = at;
            self.drop_used();
            return None;
        };
        self.used = at + length;
        self.in_noise = false;
        let frame = self.bytes.get(at..self.used)?;
        decode(frame).ok().flatten().map(|(frame, _)| frame)
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
        if !std::mem::replace(&mut self.in_noise, true) {
            self.faults = self.faults.saturating_add(1);
        }
    }

    fn drop_used(&mut self) {
        let used = std::mem::replace(&mut self.used, 0).min(self.bytes.len());
        let keep = self.bytes.len() - used;
        self.bytes.copy_within(used.., 0);
        if let Some(rest) = self.bytes.get_mut(keep..) {
            rest.zeroize();
        }
        self.bytes.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAM_CONFIGURED: [u8; 9] = [0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD5, 0x15, 0x16, 0x00];
    /// One target, ATQA 00 04, SAK 08, UID FB0EE20B.
    const FOUND: [u8; 19] = [
        0x00, 0x00, 0xFF, 0x0C, 0xF4, 0xD5, 0x4B, 0x01, 0x01, 0x00, 0x04, 0x08, 0x04, 0xFB, 0x0E,
        0xE2, 0x0B, 0xD8, 0x00,
    ];

    #[test]
    fn published_answers_are_read_and_built() {
        for (bytes, code, data) in [
            (&SAM_CONFIGURED[..], 0x15, &[][..]),
            (&FOUND, 0x4B, &FOUND[7..17]),
        ] {
            let frame = Frame::Answer { code, data };
            assert_eq!(decode(bytes), Ok(Some((frame, bytes.len()))));
            let payload = &bytes[5..bytes.len() - 2];
            assert_eq!(encode(payload), bytes);
        }
        assert_eq!(decode(&ACK), Ok(Some((Frame::Ack, 6))));
        assert_eq!(decode(&NACK), Ok(Some((Frame::Nack, 6))));
        let refused = [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00];
        assert_eq!(decode(&refused), Ok(Some((Frame::Refused, 8))));
    }

    #[test]
    fn every_prefix_asks_for_more() {
        for bytes in [&SAM_CONFIGURED[..], &FOUND, &ACK, &NACK] {
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Ok(None), "{end} of {bytes:02X?}");
            }
        }
    }

    #[test]
    fn every_single_bit_error_is_caught() {
        for good in [&SAM_CONFIGURED[..], &FOUND, &ACK, &NACK] {
            for bit in 0..good.len() * 8 {
                let mut bytes = good.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    !matches!(decode(&bytes), Ok(Some(_))),
                    "bit {bit} of {good:02X?}"
                );
            }
        }
    }

    #[test]
    fn an_echo_of_the_host_is_no_answer() {
        let echo = encode(&[0xD4, 0x02]);
        assert_eq!(decode(&echo), Err(FrameError::Echo));
    }

    fn frames(chunks: &[&[u8]]) -> (Vec<String>, u32) {
        let mut buffer = FrameBuffer::default();
        let mut got = Vec::new();
        for chunk in chunks {
            buffer.push(chunk);
            while let Some(frame) = buffer.next_frame() {
                got.push(format!("{frame:?}"));
            }
        }
        (got, buffer.take_faults())
    }

    #[test]
    fn frames_are_found_behind_padding_and_noise() {
        let want = vec!["Ack".to_owned(), "Answer(4B, 10 bytes)".to_owned()];
        let padded = [&[0; 5][..], &ACK, &[0; 3], &FOUND].concat();
        assert_eq!(frames(&[&padded]), (want.clone(), 0));
        let noisy = [&[0x55, 0x00, 0x00, 0xFE][..], &ACK, &FOUND].concat();
        assert_eq!(frames(&[&noisy]), (want.clone(), 1));
        let bytes: Vec<_> = padded.chunks(1).collect();
        assert_eq!(frames(&bytes), (want, 0));
    }

    #[test]
    fn a_uid_is_not_printed() {
        let (frame, _) = decode(&FOUND).unwrap().unwrap();
        assert!(!format!("{frame:?}").contains("FB"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_the_next_frame_is_read_after_silence(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut buffer = FrameBuffer::default();
            for chunk in noise.chunks(64) {
                buffer.push(chunk);
                while buffer.next_frame().is_some() {}
            }
            buffer.clear();
            buffer.push(&FOUND);
            prop_assert!(buffer.next_frame().is_some());
        }
    }
}
