//! CSV as RFC 4180 has it, but without line breaks inside a field: a line is a record. Nothing of a line is ever
//! repeated in an error, because any field of a bad line may turn out to be somebody's number.

use std::fmt;
use std::io::{self, BufRead, Read as _};

use zeroize::Zeroize as _;

use crate::domain::Personal;

/// Longest line: the longest code there is, quoted, and the other columns.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Most fields of a line.
const FIELDS_MAX: usize = 32;

/// What is wrong with a line.
#[derive(Debug)]
pub struct CsvError {
    /// Counted from 1.
    pub line: u64,
    /// Which column, counted from 1, and its name.
    pub column: Option<(usize, &'static str)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl CsvError {
    pub(super) fn line(line: u64, what: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            what: what.into(),
        }
    }
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some((number, name)) = self.column {
            write!(f, ", column {number} ({name})")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for CsvError {}

/// Number and fields of a line.
type Line = (u64, Vec<Personal<String>>);

/// Reads lines that are not empty.
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line: its number and its fields.
    pub(super) fn next(&mut self) -> Result<Option<Line>, CsvError> {
        loop {
            self.number = self.number.saturating_add(1);
            self.buffer.zeroize();
            let read = read_line(&mut self.input, &mut self.buffer);
            let failed = |error| CsvError::line(self.number, format!("cannot be read: {error}"));
            if read.map_err(failed)? == 0 {
                return Ok(None);
            }
            let mut line = self.buffer.as_slice();
            line = line.strip_suffix(b"\n").unwrap_or(line);
            line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > LINE_BYTES_MAX {
                let what = format!("is longer than {LINE_BYTES_MAX} bytes");
                return Err(CsvError::line(self.number, what));
            }
            if self.number == 1 {
                line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let text = std::str::from_utf8(line)
                .map_err(|_| CsvError::line(self.number, "is not UTF-8 text"))?;
            let fields = fields(text).map_err(|what| CsvError::line(self.number, what))?;
            return Ok(Some((self.number, fields)));
        }
    }
}

impl<R> Drop for Lines<R> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

fn read_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let limit = u64::try_from(LINE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(3);
    input.by_ref().take(limit).read_until(b'\n', buffer)
}

fn fields(line: &str) -> Result<Vec<Personal<String>>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        if fields.len() >= FIELDS_MAX {
            return Err("has too many fields");
        }
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if field.contains('"') {
                    return Err("has a quotation mark inside a field that does not begin with one");
                }
                (field.to_owned(), after)
            }
        };
        fields.push(Personal::new(field));
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("has text between a closing quotation mark and the next comma"),
        }
    }
}

/// What stands up to the closing quotation mark, and what comes after it. Two marks stand for one.
fn quoted_field(quoted: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((before, after)) = rest.split_once('"') {
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
    field.zeroize();
    Err("ends inside a quoted field: a field cannot go on in the next line")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>, CsvError> {
        let mut lines = Lines::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some((number, fields)) = lines.next()? {
            found.push((
                number,
                fields.iter().map(|field| field.expose().clone()).collect(),
            ));
        }
        Ok(found)
    }

    #[test]
    fn fields_are_what_a_spreadsheet_wrote() {
        let found = read("\u{feff}a,b\r\n\r\n\"x,\"\"y\"\"\",\n,\"\"\n").unwrap();
        let fields = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            found,
            [
                (1, fields("a", "b")),
                (3, fields("x,\"y\"", "")),
                (4, fields("", ""))
            ]
        );
        assert_eq!(read("last line without an end").unwrap().len(), 1);
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        for (bad, what) in [
            ("a,b\nsecret,\"open", "ends inside a quoted field"),
            ("a,b\nsecret\"x,1", "quotation mark inside"),
            ("a,b\n\"secret\"x,1", "closing quotation mark"),
            (&format!("a,b\n{}", "secret".repeat(4_000)), "longer than"),
            (&format!("a,b\nsecret{}", ",".repeat(40)), "too many fields"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("line 2: ") && error.contains(what),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        let mut lines = Lines::new(&b"a\n\xff\xfe\n"[..]);
        lines.next().unwrap();
        assert_eq!(
            lines.next().unwrap_err().to_string(),
            "line 2: is not UTF-8 text"
        );
    }
}
