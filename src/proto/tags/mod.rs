//! Readers that send an identifier unasked: RDM6300 and its kin, Wiegand lines behind a converter.

mod rdm6300;
mod wiegand;

pub use rdm6300::encode as encode_rdm6300;
pub use wiegand::{WiegandFormat, encode_bytes, encode_text};

use zeroize::{Zeroize, Zeroizing};

use crate::domain::Tag;

/// Longest run of bytes that any of these devices sends for one tag, and room for noise before it.
const BUFFER_LEN: usize = 64;

/// Why bytes are no tag. Counted once a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// No frame of this device starts here.
    #[error("no tag starts here")]
    NotAStart,
    /// A byte that no frame has at this place.
    #[error("a byte is not one that a tag is sent with")]
    Foreign,
    /// Not as many bits as any configured format has.
    #[error("no configured format has so many bits")]
    Length,
    /// A byte or bit on the way was changed.
    #[error("the checksum or parity does not match")]
    Checksum,
    /// The line fell silent in the middle.
    #[error("the tag was not sent to its end")]
    Unfinished,
}

/// How tags are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagCodec {
    /// RDM6300, and ID-12 and ID-20 modules.
    Rdm6300,
    /// A Wiegand line, as a line of hex digits.
    WiegandText(Vec<WiegandFormat>),
    /// A Wiegand line, as bytes, the last bit in the last place; silence ends it.
    WiegandBytes(Vec<WiegandFormat>),
}

/// What a codec makes of the bytes at hand.
enum Decoded {
    /// A tag, and the bytes it takes.
    Tag(Tag, usize),
    /// Need more.
    More,
    /// So many bytes between two tags: drop them, nothing is wrong.
    Between(usize),
    /// Not a tag: drop so many bytes and try again.
    Bad(TagError, usize),
}

impl TagCodec {
    /// `silent`: the line has fallen silent, no more bytes belong to these.
    fn decode(&self, buf: &[u8], silent: bool) -> Decoded {
        match self {
            Self::Rdm6300 => rdm6300::decode(buf),
            Self::WiegandText(formats) => wiegand::decode_text(buf, formats, silent),
            Self::WiegandBytes(formats) => wiegand::decode_bytes(buf, formats, silent),
        }
    }
}

/// Puts the tags of one reader together.
pub struct TagReader {
    codec: TagCodec,
    bytes: Zeroizing<Vec<u8>>,
    /// Inside a run of bad bytes: it counts once.
    in_noise: bool,
}

impl TagReader {
    /// A reader of what `codec` sends.
    #[must_use]
    pub fn new(codec: TagCodec) -> Self {
        Self {
            codec,
            // It never grows, so that it never leaves a copy behind.
            bytes: Zeroizing::new(Vec::with_capacity(BUFFER_LEN)),
            in_noise: false,
        }
    }

    /// True between two tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.in_noise
    }

    /// Takes one byte; gives the tag that it ends.
    ///
    /// # Errors
    /// [`TagError`] at the first byte of a run that is no tag.
    pub fn push(&mut self, byte: u8) -> Result<Option<Tag>, TagError> {
        if self.bytes.len() == BUFFER_LEN {
            // A byte that no tag has keeps the rest of it from being taken for one.
            self.bytes.zeroize();
            self.bytes.extend([0xFF, byte]);
            return self.spoil(TagError::Length);
        }
        self.bytes.push(byte);
        self.settle(false)
    }

    /// The line has fallen silent: gives what is there, for devices without an end mark.
    ///
    /// # Errors
    /// [`TagError`] for half a tag.
    pub fn silence(&mut self) -> Result<Option<Tag>, TagError> {
        let result = self.settle(true);
        let result = if self.bytes.is_empty() {
            result
        } else {
            self.spoil(TagError::Unfinished)
        };
        self.bytes.zeroize();
        self.in_noise = false;
        result
    }

    fn settle(&mut self, silent: bool) -> Result<Option<Tag>, TagError> {
        let mut result = Ok(None);
        loop {
            let used = match self.codec.decode(&self.bytes, silent) {
                Decoded::More => return result,
                Decoded::Between(used) => used,
                Decoded::Tag(tag, used) => {
                    self.drop_front(used);
                    self.in_noise = false;
                    return Ok(Some(tag));
                }
                Decoded::Bad(error, used) => {
                    let bad = self.spoil(error);
                    result = result.and(bad);
                    used
                }
            };
            self.drop_front(used.max(1));
            if self.bytes.is_empty() {
                return result;
            }
        }
    }

    /// An error for the first of a run, silence for the rest.
    fn spoil(&mut self, error: TagError) -> Result<Option<Tag>, TagError> {
        if std::mem::replace(&mut self.in_noise, true) {
            Ok(None)
        } else {
            Err(error)
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

#[cfg(test)]
mod tests;
