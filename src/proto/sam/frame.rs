//! Frames: `AA AA AA 96 69 | LEN hi lo | payload … | CHK`.
//!
//! LEN counts the payload and CHK; CHK is the XOR of everything from LEN to the byte before it. A command's payload
//! is `CMD PARA`, a reply's is `SW1 SW2 SW3 data…`.

/// Largest LEN that is waited for; the largest known reply (text, photo, two fingerprints) has 2314.
pub const LEN_MAX: usize = 2320;

const PREAMBLE: [u8; 5] = [0xAA, 0xAA, 0xAA, 0x96, 0x69];
const REPLY_LEN_MIN: usize = 4;
const COMMAND_LEN_MIN: usize = 3;

/// What the host asks of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start over.
    Reset,
    /// Is the module well?
    Status,
    /// Which module is it?
    ModuleId,
    /// Is there a card?
    Find,
    /// Take this card.
    Select,
    /// Read text and photo. There is no command for the text alone.
    Read,
}

impl Command {
    const ALL: [Self; 6] = [
        Self::Reset,
        Self::Status,
        Self::ModuleId,
        Self::Find,
        Self::Select,
        Self::Read,
    ];

    /// `CMD PARA`.
    #[must_use]
    pub const fn code(self) -> [u8; 2] {
        match self {
            Self::Reset => [0x10, 0xFF],
            Self::Status => [0x11, 0xFF],
            Self::ModuleId => [0x12, 0xFF],
            Self::Find => [0x20, 0x01],
            Self::Select => [0x20, 0x02],
            Self::Read => [0x30, 0x01],
        }
    }

    /// The command with this code.
    #[must_use]
    pub fn from_code(code: [u8; 2]) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.code() == code)
    }

    /// The bytes on the line.
    #[must_use]
    pub const fn frame(self) -> [u8; 10] {
        let [cmd, para] = self.code();
        let [a, b, c, d, e] = PREAMBLE;
        [a, b, c, d, e, 0x00, 0x03, cmd, para, 0x03 ^ cmd ^ para]
    }
}

/// What the module says of a command: the third status byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 90: done.
    Done,
    /// 9F: there is a card.
    CardFound,
    /// 80: there is none. The normal state of a reader.
    NoCard,
    /// 81: the card did not let itself be selected.
    SelectFailed,
    /// 41: the card could not be read.
    ReadFailed,
    /// 91: the card does not have this item.
    ItemAbsent,
    /// 31, 32, 33: card and module did not authenticate each other, or the data is not signed as it must be.
    NotAuthentic,
    /// 40: not a resident ID card.
    CardNotSupported,
    /// 47: the module has no random numbers; it wants a reset.
    RandomFailed,
    /// 10, 11, 21, 24: the module saw a bad checksum, length or command.
    LineFault,
    /// 23: not permitted.
    NotPermitted,
    /// 60: the module's self-test failed.
    SelfTestFailed,
    /// 66: the module is not authorised.
    NotAuthorised,
    /// A status nobody documents.
    Other(u8),
}

impl Verdict {
    /// Reads the third status byte.
    #[must_use]
    pub const fn from_status(sw3: u8) -> Self {
        match sw3 {
            0x90 => Self::Done,
            0x9F => Self::CardFound,
            0x80 => Self::NoCard,
            0x81 => Self::SelectFailed,
            0x41 => Self::ReadFailed,
            0x91 => Self::ItemAbsent,
            0x31..=0x33 => Self::NotAuthentic,
            0x40 => Self::CardNotSupported,
            0x47 => Self::RandomFailed,
            0x10 | 0x11 | 0x21 | 0x24 => Self::LineFault,
            0x23 => Self::NotPermitted,
            0x60 => Self::SelfTestFailed,
            0x66 => Self::NotAuthorised,
            other => Self::Other(other),
        }
    }
}

/// One reply of the module. The data may be personal, so it is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// What came of the command.
    pub verdict: Verdict,
    /// What follows the status.
    pub data: &'a [u8],
}

impl std::fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("verdict", &self.verdict)
            .field("data_len", &self.data.len())
            .finish()
    }
}

/// Why there is no frame here. The caller drops one byte and tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The preamble does not start here.
    #[error("no frame starts here")]
    NotAStart,
    /// A length no frame has.
    #[error("a frame does not have {0} bytes")]
    Length(usize),
    /// A byte on the way was changed.
    #[error("the checksum does not match")]
    Checksum,
}

/// Reads one reply from the front of `buf`, with the bytes it takes. `None`: need more bytes.
///
/// # Errors
/// [`FrameError`]: drop one byte and try again.
pub fn decode(buf: &[u8]) -> Result<Option<(Reply<'_>, usize)>, FrameError> {
    let Some((payload, used)) = frame(buf, REPLY_LEN_MIN)? else {
        return Ok(None);
    };
    let [_, _, sw3, data @ ..] = payload else {
        return Err(FrameError::Length(payload.len()));
    };
    let verdict = Verdict::from_status(*sw3);
    Ok(Some((Reply { verdict, data }, used)))
}

/// The module's side: reads the code of one command from the front of `buf`, with the bytes it takes.
///
/// # Errors
/// [`FrameError`]: drop one byte and try again.
pub fn decode_command(buf: &[u8]) -> Result<Option<([u8; 2], usize)>, FrameError> {
    let Some((payload, used)) = frame(buf, COMMAND_LEN_MIN)? else {
        return Ok(None);
    };
    let [cmd, para, ..] = payload else {
        return Err(FrameError::Length(payload.len()));
    };
    Ok(Some(([*cmd, *para], used)))
}

/// The module's side: the bytes of a reply. `data` beyond what a frame holds is cut.
#[must_use]
pub fn encode_reply(status: [u8; 3], data: &[u8]) -> Vec<u8> {
    let data = data.get(..LEN_MAX - REPLY_LEN_MIN).unwrap_or(data);
    let len = u16::try_from(data.len() + REPLY_LEN_MIN).unwrap_or(u16::MAX);
    // Reserved at once, so that no copy of the text stays behind in freed memory.
    let mut bytes = Vec::with_capacity(PREAMBLE.len() + 2 + usize::from(len));
    bytes.extend(PREAMBLE);
    bytes.extend(len.to_be_bytes());
    bytes.extend(status);
    bytes.extend(data);
    bytes.push(xor(bytes.get(PREAMBLE.len()..).unwrap_or_default()));
    bytes
}

/// The payload of the frame at the front of `buf`, without LEN and CHK, and the bytes the frame takes.
fn frame(buf: &[u8], len_min: usize) -> Result<Option<(&[u8], usize)>, FrameError> {
    let (head, rest) = buf.split_at(buf.len().min(PREAMBLE.len()));
    if !PREAMBLE.starts_with(head) {
        return Err(FrameError::NotAStart);
    }
    let &[hi, lo, ..] = rest else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([hi, lo]));
    if !(len_min..=LEN_MAX).contains(&len) {
        return Err(FrameError::Length(len));
    }
    let Some(body) = rest.get(..2 + len) else {
        return Ok(None);
    };
    if xor(body) != 0 {
        return Err(FrameError::Checksum);
    }
    let payload = body.get(2..=len).unwrap_or_default();
    Ok(Some((payload, PREAMBLE.len() + body.len())))
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    const NO_CARD: &str = "AA AA AA 96 69 00 04 00 00 80 84";
    const FOUND: &str = "AA AA AA 96 69 00 08 00 00 9F 00 00 00 00 97";
    const SELECTED: &str = "AA AA AA 96 69 00 0C 00 00 90 00 00 00 00 00 00 00 00 9C";

    #[test]
    fn commands_are_the_published_frames() {
        for (command, bytes) in [
            (Command::Reset, "AA AA AA 96 69 00 03 10 FF EC"),
            (Command::Status, "AA AA AA 96 69 00 03 11 FF ED"),
            (Command::Find, "AA AA AA 96 69 00 03 20 01 22"),
            (Command::Select, "AA AA AA 96 69 00 03 20 02 21"),
            (Command::Read, "AA AA AA 96 69 00 03 30 01 32"),
        ] {
            let bytes = hex(bytes);
            assert_eq!(command.frame().as_slice(), bytes);
            assert_eq!(decode_command(&bytes), Ok(Some((command.code(), 10))));
            assert_eq!(Command::from_code(command.code()), Some(command));
        }
    }

    #[test]
    fn commands_that_are_never_sent_are_still_frames() {
        for (code, bytes) in [
            ([0x30, 0x10], "AA AA AA 96 69 00 03 30 10 23"),
            ([0x30, 0x03], "AA AA AA 96 69 00 03 30 03 30"),
            ([0x30, 0x05], "AA AA AA 96 69 00 03 30 05 36"),
            ([0x61, 0xFF], "AA AA AA 96 69 00 04 61 FF 50 CA"),
            ([0x60, 0x00], "AA AA AA 96 69 00 03 60 00 63"),
            ([0x60, 0x01], "AA AA AA 96 69 00 03 60 01 62"),
            ([0x60, 0x02], "AA AA AA 96 69 00 03 60 02 61"),
            ([0x60, 0x03], "AA AA AA 96 69 00 03 60 03 60"),
            ([0x60, 0x04], "AA AA AA 96 69 00 03 60 04 67"),
        ] {
            let bytes = hex(bytes);
            assert_eq!(decode_command(&bytes), Ok(Some((code, bytes.len()))));
            assert_eq!(Command::from_code(code), None);
        }
    }

    #[test]
    fn the_wrong_checksums_of_wild_programs_are_refused() {
        for wild in [
            "AA AA AA 96 69 00 03 20 01 21",
            "AA AA AA 96 69 00 03 20 00 22",
        ] {
            assert_eq!(decode_command(&hex(wild)), Err(FrameError::Checksum));
        }
    }

    #[test]
    fn published_replies_are_read_and_built() {
        for (bytes, verdict, data_len) in [
            (NO_CARD, Verdict::NoCard, 0),
            (FOUND, Verdict::CardFound, 4),
            (SELECTED, Verdict::Done, 8),
            ("AA AA AA 96 69 00 04 00 00 81 85", Verdict::SelectFailed, 0),
            ("AA AA AA 96 69 00 04 00 00 41 45", Verdict::ReadFailed, 0),
            ("AA AA AA 96 69 00 04 00 00 90 94", Verdict::Done, 0),
            ("AA AA AA 96 69 00 04 00 00 91 95", Verdict::ItemAbsent, 0),
            (
                "AA AA AA 96 69 00 04 00 00 60 64",
                Verdict::SelfTestFailed,
                0,
            ),
        ] {
            let bytes = hex(bytes);
            let (reply, used) = decode(&bytes).unwrap().unwrap();
            assert_eq!((reply.verdict, reply.data.len()), (verdict, data_len));
            assert_eq!(used, bytes.len());
            assert_eq!(encode_reply([0, 0, bytes[9]], &vec![0; data_len]), bytes);
        }
    }

    #[test]
    fn every_status_of_the_table_has_its_own_meaning() {
        for (sw3, verdict) in [
            (0x31, Verdict::NotAuthentic),
            (0x32, Verdict::NotAuthentic),
            (0x33, Verdict::NotAuthentic),
            (0x40, Verdict::CardNotSupported),
            (0x47, Verdict::RandomFailed),
            (0x10, Verdict::LineFault),
            (0x11, Verdict::LineFault),
            (0x21, Verdict::LineFault),
            (0x24, Verdict::LineFault),
            (0x23, Verdict::NotPermitted),
            (0x66, Verdict::NotAuthorised),
            (0x77, Verdict::Other(0x77)),
        ] {
            let bytes = encode_reply([0x69, 0x82, sw3], &[]);
            assert_eq!(decode(&bytes).unwrap().unwrap().0.verdict, verdict);
        }
    }

    #[test]
    fn every_prefix_asks_for_more() {
        for bytes in [hex(NO_CARD), hex(FOUND), hex(SELECTED)] {
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
            }
        }
    }

    #[test]
    fn every_single_bit_error_is_caught() {
        for good in [hex(NO_CARD), hex(FOUND), hex(SELECTED)] {
            for bit in 0..good.len() * 8 {
                let mut bytes = good.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(decode(&bytes), Ok(Some(_))), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_length_no_reply_has_is_refused_before_it_is_waited_for() {
        for len in [0_u16, 3, 2321, 0xFFFF] {
            let mut bytes = PREAMBLE.to_vec();
            bytes.extend(len.to_be_bytes());
            assert_eq!(decode(&bytes), Err(FrameError::Length(len.into())));
        }
    }

    #[test]
    fn a_reply_does_not_print_its_data() {
        let bytes = encode_reply([0, 0, 0x90], b"personal");
        let reply = decode(&bytes).unwrap().unwrap().0;
        assert_eq!(format!("{reply:?}"), "Reply { verdict: Done, data_len: 8 }");
    }
}
