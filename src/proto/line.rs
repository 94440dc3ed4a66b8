//! Text lines of scanner modules: one code a line, ended by CR, LF, CRLF or silence.
//!
//! A code is data, never a command: only 20 to 7E are accepted. GM65 modules put a 7-byte acknowledgement of their
//! trigger command in the same stream, before the code; it is dropped by a full match at the start of a line.

use zeroize::{Zeroize, Zeroizing};

use crate::domain::Personal;

/// Longest line by default: signed ride and health codes run to several hundred characters and more.
pub const LINE_MAX: usize = 1500;

const GM65_ACK: [u8; 7] = [0x02, 0x00, 0x00, 0x01, 0x00, 0x33, 0x31];

/// Why a line was dropped. Counted once a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than a code may be.
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    /// A byte that no code has.
    #[error("the line has a byte outside 20 to 7E")]
    Foreign,
    /// The module puts something before every code, and it is not there: the beginning was lost.
    #[error("the line does not begin as the module begins its codes")]
    NoPrefix,
    /// The line fell silent before its end.
    #[error("the line was not sent to its end")]
    Unfinished,
}

/// What a module puts around a code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineShape {
    /// What ends it.
    pub end: LineEnd,
    /// Stands before it.
    pub prefix: String,
    /// An AIM symbology id (ISO/IEC 15424: `]`, a letter, a digit or letter) stands before it, behind the prefix.
    pub aim_id: bool,
}

/// What ends a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// CR, LF or silence, whatever comes first.
    #[default]
    Any,
    /// CR or LF.
    Line,
    /// Silence. CR and LF at the end are dropped all the same.
    Silence,
}

impl LineShape {
    /// The code itself.
    fn strip<'a>(&self, line: &'a str) -> Option<&'a str> {
        let code = line.strip_prefix(self.prefix.as_str())?;
        if !self.aim_id {
            return Some(code);
        }
        let (id, code) = code.split_at_checked(3)?;
        match id.as_bytes() {
            [b']', letter, modifier]
                if letter.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() =>
            {
                Some(code)
            }
            _ => None,
        }
    }
}

/// Puts lines together.
pub struct LineReader {
    line: Zeroizing<Vec<u8>>,
    line_max: usize,
    shape: LineShape,
    /// Bytes of an acknowledgement seen at the start of this line.
    acked: usize,
    /// The rest of this line is not wanted.
    dropping: bool,
}

impl LineReader {
    /// A reader of lines of up to `line_max` bytes.
    #[must_use]
    pub fn new(line_max: usize) -> Self {
        Self {
            // One more than the longest line: a trailing TAB may be the suffix. It never grows.
            line: Zeroizing::new(Vec::with_capacity(line_max + 1)),
            line_max,
            shape: LineShape::default(),
            acked: 0,
            dropping: false,
        }
    }

    /// The same for a module that puts `shape` around its codes.
    #[must_use]
    pub fn shaped(self, shape: LineShape) -> Self {
        Self { shape, ..self }
    }

    /// True between two lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty() && self.acked == 0 && !self.dropping
    }

    /// Takes one byte; gives the line that it ends.
    ///
    /// # Errors
    /// [`LineError`] at the byte that spoils the line. The rest of the line is dropped without another word.
    pub fn push(&mut self, byte: u8) -> Result<Option<Personal<String>>, LineError> {
        match byte {
            b'\r' | b'\n' => self.finish(),
            _ if self.dropping => Ok(None),
            _ if self.line.is_empty() && GM65_ACK.get(self.acked) == Some(&byte) => {
                self.acked = (self.acked + 1) % GM65_ACK.len();
                Ok(None)
            }
            // Inside an acknowledgement that is none, or behind a TAB that was no suffix.
            _ if self.acked > 0 || self.line.last() == Some(&b'\t') => {
                self.spoil(LineError::Foreign)
            }
            b' '..=b'~' if self.line.len() == self.line_max => {
                self.spoil(LineError::TooLong(self.line_max))
            }
            b' '..=b'~' | b'\t' => {
                self.line.push(byte);
                Ok(None)
            }
            _ => self.spoil(LineError::Foreign),
        }
    }

    /// The line has fallen silent: gives what is there, for modules without a suffix.
    ///
    /// # Errors
    /// [`LineError::Foreign`] for half an acknowledgement, [`LineError::Unfinished`] where a line end should have come.
    pub fn silence(&mut self) -> Result<Option<Personal<String>>, LineError> {
        if self.shape.end == LineEnd::Line && !self.line.is_empty() {
            self.clear();
            return Err(LineError::Unfinished);
        }
        self.finish()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.line.zeroize();
        self.acked = 0;
        self.dropping = false;
    }

    fn spoil(&mut self, error: LineError) -> Result<Option<Personal<String>>, LineError> {
        self.clear();
        self.dropping = true;
        Err(error)
    }

    fn finish(&mut self) -> Result<Option<Personal<String>>, LineError> {
        let is_half_ack = self.acked > 0;
        let text = self.line.strip_suffix(b"\t").unwrap_or(&self.line);
        let line = std::str::from_utf8(text)
            .ok()
            .filter(|text| !text.is_empty());
        let code = line.map(|line| self.shape.strip(line).ok_or(LineError::NoPrefix));
        let code = code.map(|code| code.map(|code| Personal::new(code.to_owned())));
        self.clear();
        if is_half_ack {
            return Err(LineError::Foreign);
        }
        let code = code.transpose()?;
        Ok(code.filter(|code| !code.expose().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines and errors out of `bytes`, and what silence makes of the rest.
    fn read(reader: &mut LineReader, bytes: &[u8]) -> Vec<Result<String, LineError>> {
        let steps = bytes.iter().map(|byte| Some(*byte)).chain([None]);
        let mut got = Vec::new();
        for step in steps {
            let result = match step {
                Some(byte) => reader.push(byte),
                None => reader.silence(),
            };
            got.extend(
                result
                    .transpose()
                    .map(|line| line.map(|line| line.expose().clone())),
            );
        }
        got
    }

    fn lines(bytes: &[u8]) -> Vec<Result<String, LineError>> {
        read(&mut LineReader::new(20), bytes)
    }

    #[test]
    fn every_ending_gives_one_line() {
        for ending in ["\r", "\n", "\r\n", "\n\r", "\t", "\t\r\n", ""] {
            let bytes = format!("HC1:6BF+70{ending}");
            assert_eq!(
                lines(bytes.as_bytes()),
                [Ok("HC1:6BF+70".into())],
                "{ending:?}"
            );
        }
        assert_eq!(
            lines(b"one\r\ntwo\r\n"),
            [Ok("one".into()), Ok("two".into())]
        );
    }

    #[test]
    fn every_prefix_waits_for_the_end() {
        let mut reader = LineReader::new(20);
        for byte in b"HC1:6BF+70" {
            assert_eq!(reader.push(*byte), Ok(None));
            assert!(!reader.is_empty());
        }
        let line = reader.push(b'\r').unwrap().unwrap();
        assert_eq!(line.expose(), "HC1:6BF+70");
        assert!(reader.is_empty());
    }

    #[test]
    fn an_acknowledgement_before_the_code_is_dropped() {
        let bytes = [&GM65_ACK[..], &GM65_ACK, b"code\r"].concat();
        assert_eq!(lines(&bytes), [Ok("code".into())]);
        assert_eq!(lines(&GM65_ACK), []);
    }

    #[test]
    fn anything_else_that_starts_like_an_acknowledgement_is_a_fault() {
        for end in 1..GM65_ACK.len() {
            let bytes = [&GM65_ACK[..end], b"code\rnext\r"].concat();
            assert_eq!(
                lines(&bytes),
                [Err(LineError::Foreign), Ok("next".into())],
                "{end} bytes"
            );
            assert_eq!(lines(&GM65_ACK[..end]), [Err(LineError::Foreign)]);
        }
    }

    #[test]
    fn an_acknowledgement_inside_a_line_is_a_fault() {
        let bytes = [b"co", &GM65_ACK[..], b"de\rnext\r"].concat();
        assert_eq!(lines(&bytes), [Err(LineError::Foreign), Ok("next".into())]);
    }

    #[test]
    fn the_longest_line_passes_and_one_more_byte_is_dropped_to_the_next_ending() {
        assert_eq!(lines(&[b'a'; 20]), [Ok("a".repeat(20))]);
        let bytes = [&[b'a'; 200][..], b"\rnext\r"].concat();
        assert_eq!(
            lines(&bytes),
            [Err(LineError::TooLong(20)), Ok("next".into())]
        );
    }

    #[test]
    fn silence_ends_a_dropped_line_too() {
        let mut reader = LineReader::new(20);
        assert_eq!(
            read(&mut reader, &[b'a'; 21]),
            [Err(LineError::TooLong(20))]
        );
        assert_eq!(read(&mut reader, b"next"), [Ok("next".into())]);
    }

    #[test]
    fn a_byte_that_no_code_has_spoils_its_line_only() {
        for byte in (0..=255_u8).filter(|byte| !matches!(byte, b' '..=b'~' | b'\r' | b'\n')) {
            let bytes = [b"a", &[byte][..], b"bc\rnext\r"].concat();
            assert_eq!(
                lines(&bytes),
                [Err(LineError::Foreign), Ok("next".into())],
                "{byte:02X}"
            );
        }
    }

    #[test]
    fn every_single_bit_error_that_leaves_the_alphabet_is_a_fault() {
        let good = b"HC1:6BF+70\r";
        for bit in (7..good.len() * 8).step_by(8) {
            let mut bytes = *good;
            bytes[bit / 8] ^= 0x80;
            assert!(lines(&bytes).contains(&Err(LineError::Foreign)), "{bit}");
        }
    }

    fn shaped(end: LineEnd, prefix: &str, aim_id: bool) -> LineReader {
        let prefix = prefix.to_owned();
        LineReader::new(20).shaped(LineShape {
            end,
            prefix,
            aim_id,
        })
    }

    #[test]
    fn what_the_module_puts_before_a_code_is_cut_off_and_must_be_there() {
        let good = |text: &str| vec![Ok(text.to_owned())];
        let cut = vec![Err(LineError::NoPrefix)];
        let any = LineEnd::Any;
        for (prefix, aim_id, line, want) in [
            ("S1:", false, "S1:code\r", good("code")),
            ("S1:", false, "1:code\r", cut.clone()),
            ("", true, "]Q1code\r", good("code")),
            ("", true, "]d2code", good("code")),
            ("", true, "code\r", cut.clone()),
            ("", true, "]Q\r", cut.clone()),
            ("S1:", true, "S1:]Q1code\r", good("code")),
            // Nothing behind it: nothing was shown.
            ("S1:", true, "S1:]Q1\r", vec![]),
        ] {
            assert_eq!(
                read(&mut shaped(any, prefix, aim_id), line.as_bytes()),
                want,
                "{line}"
            );
        }
    }

    #[test]
    fn a_module_with_a_line_end_is_not_cut_short_by_a_pause() {
        let mut reader = shaped(LineEnd::Line, "", false);
        assert_eq!(read(&mut reader, b"half"), [Err(LineError::Unfinished)]);
        assert_eq!(read(&mut reader, b"whole\r\n"), [Ok("whole".into())]);
    }

    #[test]
    fn the_memory_of_a_line_is_never_moved() {
        let mut reader = LineReader::new(20);
        let before = reader.line.as_ptr();
        read(&mut reader, &[b'a'; 500]);
        read(&mut reader, b"12345678901234567890\t\r");
        assert_eq!(reader.line.as_ptr(), before);
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_the_next_line_is_read(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = LineReader::new(20);
            for line in read(&mut reader, &noise).into_iter().flatten() {
                prop_assert!((1..=20).contains(&line.len()));
            }
            prop_assert_eq!(read(&mut reader, b"next\r"), [Ok("next".to_owned())]);
        }
    }
}
