//! What can be wrong with a serial line. A good line is the default; every field can be set on its own.

use super::random::SplitMix64;

/// Bytes that a UART brings together.
const CHUNK_LEN: usize = 64;

/// The faults of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFaults {
    /// Bytes that come together: 64 as a UART brings them, 1 for one byte at a time.
    pub chunk_len: usize,
    /// Bytes of noise before each reply.
    pub noise_len: usize,
    /// Of so many replies, one has a wrong bit; 0: none has.
    pub bit_error_every: u32,
    /// A reply stops after so many bytes, and the rest never comes.
    pub stops_after: Option<usize>,
    /// The speed the device is set to. At any other, both sides hear noise.
    pub baud: Option<u32>,
}

impl Default for LineFaults {
    fn default() -> Self {
        Self {
            chunk_len: CHUNK_LEN,
            noise_len: 0,
            bit_error_every: 0,
            stops_after: None,
            baud: None,
        }
    }
}

impl LineFaults {
    /// Reply number `number` as it comes over the line.
    pub(super) fn spoil(&self, reply: &mut Vec<u8>, number: u32, random: &mut SplitMix64) {
        let has_error = number.checked_rem(self.bit_error_every) == Some(0);
        if has_error && let Some(byte) = reply.last_mut() {
            // The checksum itself: whatever the reply says, it is not believed.
            *byte ^= 1;
        }
        if let Some(length) = self.stops_after {
            reply.truncate(length);
        }
        reply.splice(0..0, noise(random, self.noise_len));
    }
}

/// Bytes of a line that is disturbed; many of them look like the start of a frame.
pub(super) fn noise(random: &mut SplitMix64, length: usize) -> Vec<u8> {
    let byte = |_| match random.next_u64().to_be_bytes() {
        [0..=63, ..] => 0xAA,
        [_, byte, ..] => byte,
    };
    (0..length).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: [u8; 4] = [0xAA, 0xAA, 0x10, 0x77];

    fn spoiled(faults: LineFaults, number: u32) -> Vec<u8> {
        let mut reply = REPLY.to_vec();
        faults.spoil(&mut reply, number, &mut SplitMix64::new(1));
        reply
    }

    #[test]
    fn a_good_line_changes_nothing() {
        for number in 0..4 {
            assert_eq!(spoiled(LineFaults::default(), number), REPLY);
        }
    }

    #[test]
    fn each_fault_stands_on_its_own() {
        let good = LineFaults::default();
        let noisy = LineFaults {
            noise_len: 9,
            ..good
        };
        assert_eq!(spoiled(noisy, 1).len(), 13);
        assert!(spoiled(noisy, 1).ends_with(&REPLY));
        let short = LineFaults {
            stops_after: Some(2),
            ..good
        };
        assert_eq!(spoiled(short, 1), [0xAA, 0xAA]);
        let flipping = LineFaults {
            bit_error_every: 3,
            ..good
        };
        let wrong = (1..=6).filter(|number| spoiled(flipping, *number) != REPLY);
        assert_eq!(wrong.collect::<Vec<_>>(), [3, 6]);
    }
}
