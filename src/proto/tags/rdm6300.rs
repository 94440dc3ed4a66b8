//! RDM6300: `02 | 10 hex digits | 2 hex digits of checksum | 03`, 9600 8N1, unsolicited and again while the tag is near.
//!
//! The checksum is the XOR of the five bytes. ID-12 and ID-20 modules put CR LF before the 03. Digits are upper case.
//! Sources: arduino12/rdm6300 `rdm6300.h`; the ID-20LA class of several sketches. Modules of this kind also send false
//! data (Tasmota #9673): nothing is taken without its checksum.

use super::{Decoded, TagError};
use crate::domain::{Tag, TagKind};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const DIGITS_LEN: usize = 12;

/// Reads one tag from the front of `buf`.
pub(super) fn decode(buf: &[u8]) -> Decoded {
    let Some((first, rest)) = buf.split_first() else {
        return Decoded::More;
    };
    if *first != STX {
        return Decoded::Bad(TagError::NotAStart, 1);
    }
    let (digits, end) = rest.split_at(rest.len().min(DIGITS_LEN));
    if digits.iter().any(|digit| value(*digit).is_none()) {
        return Decoded::Bad(TagError::Foreign, 1);
    }
    let used = match end {
        [ETX, ..] => 1 + DIGITS_LEN + 1,
        [b'\r', b'\n', ETX, ..] => 1 + DIGITS_LEN + 3,
        [] | [b'\r'] | [b'\r', b'\n'] => return Decoded::More,
        [..] => return Decoded::Bad(TagError::Foreign, 1),
    };
    let mut bytes = [0_u8; DIGITS_LEN / 2];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair
            .iter()
            .filter_map(|digit| value(*digit))
            .fold(0, |byte, digit| byte << 4 | digit);
    }
    let [id @ .., sum] = bytes;
    if id.iter().fold(0, |sum, byte| sum ^ byte) != sum {
        return Decoded::Bad(TagError::Checksum, 1);
    }
    match Tag::of_bytes(TagKind::Em4100, &id) {
        Some(tag) => Decoded::Tag(tag, used),
        None => Decoded::Bad(TagError::Length, 1),
    }
}

/// The module's side: the bytes of a tag.
#[must_use]
pub fn encode(id: [u8; 5]) -> Vec<u8> {
    let sum = id.iter().fold(0, |sum, byte| sum ^ byte);
    let digits = id.iter().chain([&sum]).map(|byte| format!("{byte:02X}"));
    let mut bytes = vec![STX];
    bytes.extend(digits.collect::<String>().bytes());
    bytes.push(ETX);
    bytes
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
