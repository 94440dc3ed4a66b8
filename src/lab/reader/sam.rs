//! The module's side of a SAM_V or SAM_A line.

use crate::domain::IdCard;
use crate::proto::sam::{Command, FrameError, decode_command, encode_read, encode_reply};

/// It says so of itself.
const MODULE_ID: &[u8; 16] = b"LAB-MODULE-00001";
/// More than that is no command, and is forgotten.
const RECEIVED_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Sam {
    received: Vec<u8>,
}

impl Sam {
    pub(super) fn hear(&mut self, bytes: &[u8], laid: Option<&IdCard>) -> Vec<Vec<u8>> {
        self.received.extend(bytes);
        let mut replies = Vec::new();
        loop {
            let used = match decode_command(&self.received) {
                Ok(None) => break,
                Ok(Some((code, used))) => {
                    replies.push(answer(code, laid));
                    used
                }
                Err(FrameError::Checksum) => {
                    replies.push(encode_reply([0, 0, 0x10], &[]));
                    1
                }
                Err(FrameError::NotAStart | FrameError::Length(_)) => 1,
            };
            self.received.drain(..used.min(self.received.len()));
        }
        if self.received.len() > RECEIVED_MAX {
            self.received.clear();
        }
        replies
    }
}

fn answer(code: [u8; 2], laid: Option<&IdCard>) -> Vec<u8> {
    let status = |sw3| encode_reply([0, 0, sw3], &[]);
    match (Command::from_code(code), laid) {
        (None, _) => status(0x21),
        (Some(Command::Reset | Command::Status), _) => status(0x90),
        (Some(Command::ModuleId), _) => encode_reply([0, 0, 0x90], MODULE_ID),
        (Some(Command::Find), Some(_)) => encode_reply([0, 0, 0x9F], &[0; 4]),
        (Some(Command::Find), None) => status(0x80),
        (Some(Command::Select), Some(_)) => encode_reply([0, 0, 0x90], &[0; 8]),
        (Some(Command::Select), None) => status(0x81),
        (Some(Command::Read), Some(card)) => encode_read(card).to_vec(),
        (Some(Command::Read), None) => status(0x41),
    }
}
