//! The module's side of a PN532 on its high-speed UART.

use crate::proto::pn532::{ACK, encode};

/// More than that is no command, and is forgotten.
const RECEIVED_MAX: usize = 256;
const START: [u8; 3] = [0x00, 0x00, 0xFF];

#[derive(Default)]
pub(super) struct Pn532 {
    received: Vec<u8>,
}

impl Pn532 {
    pub(super) fn hear(&mut self, bytes: &[u8], laid: Option<[u8; 4]>) -> Vec<Vec<u8>> {
        self.received.extend(bytes);
        let mut replies = Vec::new();
        while let Some((payload, used)) = frame(&self.received) {
            let answer = match payload.as_slice() {
                // SAMConfiguration, GetFirmwareVersion, RFConfiguration, InListPassiveTarget, InRelease.
                [0xD4, 0x14, ..] => encode(&[0xD5, 0x15]),
                [0xD4, 0x02, ..] => encode(&[0xD5, 0x03, 0x32, 0x01, 0x06, 0x07]),
                [0xD4, 0x32, ..] => encode(&[0xD5, 0x33]),
                [0xD4, 0x4A, ..] => match laid {
                    Some([a, b, c, d]) => {
                        encode(&[0xD5, 0x4B, 1, 1, 0x00, 0x04, 0x08, 4, a, b, c, d])
                    }
                    None => encode(&[0xD5, 0x4B, 0]),
                },
                [0xD4, 0x52, ..] => encode(&[0xD5, 0x53, 0]),
                // ACK of the host: it stops, and says nothing.
                [] => Vec::new(),
                _ => encode(&[0x7F]),
            };
            self.received.drain(..used.min(self.received.len()));
            if !answer.is_empty() {
                replies.push([&ACK[..], &answer].concat());
            }
        }
        if self.received.len() > RECEIVED_MAX {
            self.received.clear();
        }
        replies
    }
}

/// The payload of the next whole frame of the host and the bytes up to its end; an ACK has none.
fn frame(received: &[u8]) -> Option<(Vec<u8>, usize)> {
    for at in 0..received.len() {
        let rest = received.get(at..)?;
        if !rest.starts_with(&START) {
            continue;
        }
        let [_, _, _, length, check, body @ ..] = rest else {
            return None;
        };
        if (*length, *check) == (0x00, 0xFF) {
            return Some((Vec::new(), at + ACK.len()));
        }
        if length.wrapping_add(*check) != 0 {
            continue;
        }
        let length = usize::from(*length);
        let payload = body.get(..length)?;
        // Checksum and the last 00.
        body.get(length..length + 2)?;
        return Some((payload.to_vec(), at + 5 + length + 2));
    }
    None
}
