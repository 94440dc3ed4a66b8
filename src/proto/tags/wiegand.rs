//! Wiegand lines behind a converter to serial: hex digits and a line end, or bytes with the last bit in the last place.
//!
//! There is no standard framing, so only configured lengths with good parity are taken: noise, mostly from a missing
//! common ground, comes as short runs of zeros and random lengths (leosac/access-control #133, #79; esp-rfid #438).
//! Parity: even over the first half, odd over the second. Vector: 26 bits, facility 75, number 51937 is
//! `00100101111001010111000011` (Wiegand-Protocol-Library-for-Arduino #48).

use super::{Decoded, TagError};
use crate::domain::{Assurance, Tag, TagKind};

/// Longest line: the digits of 34 bits in whole bytes.
const DIGITS_MAX: usize = 10;

/// Formats with a parity bit over each half, at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WiegandFormat {
    /// 26 bits: even over the first 13, odd over the last 13.
    W26,
    /// 34 bits: even over the first 17, odd over the last 17.
    W34,
}

impl WiegandFormat {
    /// The format of so many bits.
    #[must_use]
    pub const fn of_bits(bits: u16) -> Option<Self> {
        match bits {
            26 => Some(Self::W26),
            34 => Some(Self::W34),
            _ => None,
        }
    }

    /// How many bits it has.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::W26 => 26,
            Self::W34 => 34,
        }
    }

    const fn bytes(self) -> usize {
        self.bits().div_ceil(8) as usize
    }

    /// Hex digits, in whole digits or in whole bytes.
    const fn has_digits(self, count: usize) -> bool {
        count == self.bits().div_ceil(4) as usize || count == 2 * self.bytes()
    }

    fn tag(self, value: u64) -> Result<Tag, TagError> {
        let bits = u32::from(self.bits());
        if value >> bits != 0 {
            return Err(TagError::Length);
        }
        let half = bits / 2;
        let (first, second) = (value >> half, value & ((1 << half) - 1));
        if first.count_ones() % 2 != 0 || second.count_ones() % 2 != 1 {
            return Err(TagError::Checksum);
        }
        // First bit first, as OSDP brings the same card.
        let id = (value << (64 - bits)).to_be_bytes();
        let id = id.get(..self.bytes()).unwrap_or_default().to_vec();
        Tag::new(TagKind::Bits, self.bits(), id, Assurance::Identifier).ok_or(TagError::Length)
    }
}

/// Reads one line from the front of `buf`. What does not fit is dropped to the next line end.
pub(super) fn decode_text(buf: &[u8], formats: &[WiegandFormat], silent: bool) -> Decoded {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let blank = buf.iter().take_while(|byte| is_end(byte)).count();
    if blank > 0 {
        return Decoded::Between(blank);
    }
    let length = match buf.iter().position(is_end) {
        Some(length) => length,
        None if silent && !buf.is_empty() => buf.len(),
        None => return Decoded::More,
    };
    let digits = buf.get(..length).unwrap_or_default();
    match value(digits).and_then(|value| {
        let format = formats.iter().find(|format| format.has_digits(length));
        format.ok_or(TagError::Length)?.tag(value)
    }) {
        Ok(tag) => Decoded::Tag(tag, length),
        Err(error) => Decoded::Bad(error, length),
    }
}

fn value(digits: &[u8]) -> Result<u64, TagError> {
    if digits.len() > DIGITS_MAX {
        return Err(TagError::Length);
    }
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(TagError::Foreign)?;
        Ok(value << 4 | u64::from(digit))
    })
}

/// Reads what came between two silences: all of `buf` is one tag, or none of it.
pub(super) fn decode_bytes(buf: &[u8], formats: &[WiegandFormat], silent: bool) -> Decoded {
    if buf.is_empty() || !silent {
        return Decoded::More;
    }
    let value = buf
        .iter()
        .take(8)
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    let format = formats.iter().find(|format| format.bytes() == buf.len());
    match format
        .ok_or(TagError::Length)
        .and_then(|format| format.tag(value))
    {
        Ok(tag) => Decoded::Tag(tag, buf.len()),
        Err(error) => Decoded::Bad(error, buf.len()),
    }
}

/// The converter's side: a card of 26 bits as its bits, parity included.
const fn w26(facility: u8, number: u16) -> u32 {
    let data = (facility as u32) << 16 | number as u32;
    let even = (data >> 12).count_ones() % 2;
    let odd = ((data & 0xFFF).count_ones() + 1) % 2;
    even << 25 | data << 1 | odd
}

/// The converter's side: a card of 26 bits as a line of hex digits.
#[must_use]
pub fn encode_text(facility: u8, number: u16) -> Vec<u8> {
    format!("{:07X}\r\n", w26(facility, number)).into_bytes()
}

/// The converter's side: a card of 26 bits as bytes.
#[must_use]
pub fn encode_bytes(facility: u8, number: u16) -> Vec<u8> {
    w26(facility, number).to_be_bytes().to_vec()
}
