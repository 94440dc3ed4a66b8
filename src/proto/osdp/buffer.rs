//! Bytes in, packets of readers out. The line carries noise, and the echo of what was sent.

use osdp::ParsedPacket;
use zeroize::{Zeroize, Zeroizing};

/// Shortest packet: header, code, checksum.
const LEN_MIN: usize = 7;
/// Longest packet on a bus (SIA OSDP v2.2 §5.6).
const LEN_MAX: usize = 1_440;
const CAPACITY: usize = 2 * LEN_MAX;
const REPLY_BIT: u8 = 0x80;

/// Collects what the line brings. What has been used is zeroised, for it names cards.
pub struct PacketBuffer {
    bytes: Zeroizing<Vec<u8>>,
    in_noise: bool,
    faults: u32,
}

impl Default for PacketBuffer {
    fn default() -> Self {
        Self {
            // It never grows, so that it never leaves a copy behind.
            bytes: Zeroizing::new(Vec::with_capacity(CAPACITY)),
            in_noise: false,
            faults: 0,
        }
    }
}

impl PacketBuffer {
    /// Adds what was read. More than can be held is a fault, and everything is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > CAPACITY {
            self.bytes.zeroize();
            self.fault();
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole packet of a reader. Bad bytes are skipped one by one; marking FF and our own echo are no fault.
    pub fn next_packet(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.scan(false)
    }

    /// The line has fallen silent: what is there is no packet from its first byte on, but there may be one inside it.
    pub fn silence(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let packet = self.scan(true);
        if packet.is_none() {
            self.bytes.zeroize();
        }
        packet
    }

    /// True if bytes have come that are no packet yet.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Forgets everything, before a command: what came earlier is no answer to it.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
        self.in_noise = false;
    }

    /// Runs of bad bytes since the last call.
    pub const fn take_faults(&mut self) -> u32 {
        std::mem::replace(&mut self.faults, 0)
    }

    fn scan(&mut self, silent: bool) -> Option<Zeroizing<Vec<u8>>> {
        let mut at = 0;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            match candidate(rest) {
                Candidate::Packet(length) => {
                    let is_reply = rest.get(1).is_some_and(|address| address & REPLY_BIT != 0);
                    let packet = rest.get(..length).unwrap_or_default().to_vec();
                    self.drop_front(at + length);
                    at = 0;
                    if is_reply {
                        self.in_noise = false;
                        return Some(Zeroizing::new(packet));
                    }
                }
                Candidate::More if silent && !rest.is_empty() => {
                    self.fault();
                    at += 1;
                }
                Candidate::More => {
                    self.drop_front(at);
                    return None;
                }
                Candidate::Marking => at += 1,
                Candidate::Bad => {
                    self.fault();
                    at += 1;
                }
            }
        }
    }

    fn fault(&mut self) {
        if !std::mem::replace(&mut self.in_noise, true) {
            self.faults = self.faults.saturating_add(1);
        }
    }

    fn drop_front(&mut self, used: usize) {
        let used = used.min(self.bytes.len());
        let keep = self.bytes.len() - used;
        self.bytes.copy_within(used.., 0);
        if let Some(rest) = self.bytes.get_mut(keep..) {
            rest.zeroize();
        }
        self.bytes.truncate(keep);
    }
}

enum Candidate {
    /// A packet of so many bytes.
    Packet(usize),
    More,
    /// FF before a packet.
    Marking,
    Bad,
}

fn candidate(buf: &[u8]) -> Candidate {
    match *buf {
        [] | [osdp::SOM] | [osdp::SOM, _] | [osdp::SOM, _, _] => Candidate::More,
        [osdp::SOM, _, lo, hi, ..] => {
            let length = usize::from(u16::from_le_bytes([lo, hi]));
            if !(LEN_MIN..=LEN_MAX).contains(&length) {
                return Candidate::Bad;
            }
            match buf.get(..length) {
                None => Candidate::More,
                Some(packet) if ParsedPacket::parse(packet).is_ok() => Candidate::Packet(length),
                Some(_) => Candidate::Bad,
            }
        }
        [0xFF, ..] => Candidate::Marking,
        [..] => Candidate::Bad,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACK: [u8; 8] = [0x53, 0x85, 0x08, 0x00, 0x06, 0x40, 0x6C, 0xE9];
    const PDID: [u8; 20] = [
        0x53, 0x85, 0x14, 0x00, 0x04, 0x45, 0xBE, 0xBA, 0xFE, 0x01, 0x01, 0xAF, 0xBE, 0xAD, 0xDE,
        0xAD, 0xDE, 0xAD, 0x01, 0xB9,
    ];
    const RAW: [u8; 16] = [
        0x53, 0x85, 0x10, 0x00, 0x06, 0x50, 0x00, 0x01, 0x1A, 0x00, 0xA5, 0xC3, 0xF0, 0x80, 0x7D,
        0x38,
    ];
    const POLL: [u8; 8] = [0x53, 0x05, 0x08, 0x00, 0x04, 0x60, 0xBC, 0x89];

    fn packets(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, u32) {
        let mut buffer = PacketBuffer::default();
        let mut got = Vec::new();
        for chunk in chunks {
            buffer.push(chunk);
            while let Some(packet) = buffer.next_packet() {
                got.push(packet.to_vec());
            }
        }
        while let Some(packet) = buffer.silence() {
            got.push(packet.to_vec());
        }
        (got, buffer.take_faults())
    }

    #[test]
    fn the_published_replies_are_found_in_any_pieces() {
        for good in [&ACK[..], &PDID, &RAW] {
            assert_eq!(packets(&[good]), (vec![good.to_vec()], 0));
            let bytes: Vec<_> = good.chunks(1).collect();
            assert_eq!(packets(&bytes), (vec![good.to_vec()], 0));
        }
    }

    #[test]
    fn marking_and_our_own_echo_are_passed_over() {
        let line = [&[0xFF, 0xFF][..], &POLL, &[0xFF], &ACK].concat();
        assert_eq!(packets(&[&line]), (vec![ACK.to_vec()], 0));
    }

    #[test]
    fn noise_that_looks_like_a_start_hides_no_reply() {
        for noise in [
            &[0x53, 0xFF, 0x00, 0x53][..],
            &[0x53],
            &[0x53, 0x85, 0x00, 0x05],
            &[0x00, 0x53, 0x53],
        ] {
            let line = [noise, &ACK].concat();
            assert_eq!(packets(&[&line]), (vec![ACK.to_vec()], 1), "{noise:02X?}");
        }
    }

    #[test]
    fn every_prefix_is_no_packet() {
        for good in [&ACK[..], &PDID, &RAW] {
            for end in 1..good.len() {
                assert_eq!(packets(&[&good[..end]]), (vec![], 1), "{end}");
            }
        }
    }

    #[test]
    fn every_single_bit_error_is_caught() {
        for good in [&ACK[..], &PDID, &RAW] {
            for bit in 0..good.len() * 8 {
                let mut bytes = good.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let (got, _) = packets(&[&bytes]);
                assert!(got.is_empty(), "bit {bit} of {good:02X?}: {got:02X?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_the_next_packet_is_read(noise in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let mut buffer = PacketBuffer::default();
            for chunk in noise.chunks(200) {
                buffer.push(chunk);
                while buffer.next_packet().is_some() {}
            }
            while buffer.silence().is_some() {}
            buffer.push(&ACK);
            prop_assert_eq!(buffer.next_packet().map(|p| p.to_vec()), Some(ACK.to_vec()));
        }
    }
}
