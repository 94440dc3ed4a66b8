//! From a CSV of people to rows of a list. Identifiers become row keys at once and go no further.
//!
//! The first line names the columns: `kind,issuer,identifier,colour` and, where wanted,
//! `valid_from,valid_until,entitlements,subject,region`.
//!
//! | Column | Values |
//! |---|---|
//! | kind | `opaque`, `id_card` |
//! | issuer | name of the trust list |
//! | identifier | text of the code, or number of the card |
//! | colour | `green`, `yellow`, `red`, `not_applied`, or `remove` in a patch |
//! | valid_from, valid_until | empty, seconds since 1970, or RFC 3339 |
//! | entitlements | 0 to 65535, bits; empty is 1, the ride |
//! | subject | empty, or 16 hex digits |
//! | region | 0 to 255; empty is 0 |

use std::collections::BTreeMap;
use std::io::BufRead;

use crate::codes::Pepper;
use crate::codes::row_key::{ID_CARD, OPAQUE, row_key};
use crate::domain::{Colour, IssuerId, Row, RowKey, Subject};
use crate::store::codes::Change;
use crate::sync::chunk::{self, ChunkError};
use crate::sync::hex::Hex;

/// Longest line, bytes.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// Why a file is not imported. Nothing of it is imported then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[from] std::io::Error),
    /// Something in a line. The value itself is not repeated: it may be somebody's number.
    #[error("line {line}, column `{column}`: {allowed}")]
    Value {
        /// Line, from 1.
        line: u64,
        /// Column by name.
        column: &'static str,
        /// What is allowed there.
        allowed: &'static str,
    },
    /// The line as a whole.
    #[error("line {line}: {what}")]
    Line {
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

const COLUMNS: [&str; 9] = [
    "kind",
    "issuer",
    "identifier",
    "colour",
    "valid_from",
    "valid_until",
    "entitlements",
    "subject",
    "region",
];
const COLUMNS_REQUIRED: usize = 4;

/// Reads a CSV. A person who stands twice counts with the last line.
///
/// # Errors
/// [`ImportError`], naming line and column.
pub fn csv(reader: impl BufRead, pepper: &Pepper) -> Result<BTreeMap<RowKey, Change>, ImportError> {
    let mut lines = Lines { reader, line: 0 };
    let header = lines
        .next()?
        .ok_or_else(|| lines.wrong("the file is empty; its first line names the columns".into()))?;
    let names: Vec<_> = header.split(',').map(str::trim).collect();
    let known = names
        .iter()
        .zip(COLUMNS)
        .all(|(name, column)| *name == column);
    if !known || !(COLUMNS_REQUIRED..=COLUMNS.len()).contains(&names.len()) {
        return Err(lines.wrong(format!(
            "the columns are {}, the last five may be left out",
            COLUMNS.join(",")
        )));
    }
    let mut rows = BTreeMap::new();
    while let Some(text) = lines.next()? {
        if text.trim().is_empty() {
            continue;
        }
        let fields =
            split(&text).ok_or_else(|| lines.wrong("a quoted field does not end".into()))?;
        if fields.len() != names.len() {
            return Err(lines.wrong(format!(
                "{} fields, the header has {}",
                fields.len(),
                names.len()
            )));
        }
        let change = change(&fields, pepper, lines.line)?;
        rows.insert(*change.key(), change);
    }
    Ok(rows)
}

/// Reads rows of 40 bytes, in whatever order.
///
/// # Errors
/// [`ChunkError`].
pub fn wire_rows(bytes: &[u8]) -> Result<BTreeMap<RowKey, Change>, ChunkError> {
    Ok(chunk::rows(bytes)?
        .into_iter()
        .map(|change| (*change.key(), change))
        .collect())
}

struct Lines<R> {
    reader: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, ImportError> {
        self.line += 1;
        let mut bytes = Vec::new();
        let mut limited = std::io::Read::take(&mut self.reader, LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() as u64 == LINE_BYTES_MAX {
            return Err(self.wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| self.wrong("not UTF-8".into()))?;
        let text = text
            .strip_prefix('\u{FEFF}')
            .map_or(text.clone(), str::to_owned);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    const fn wrong(&self, what: String) -> ImportError {
        ImportError::Line {
            line: self.line,
            what,
        }
    }
}

/// Splits a line at its commas; a field in double quotes may hold commas, and two quotes stand for one (RFC 4180).
fn split(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            _ => field.push(c),
        }
    }
    (!quoted).then_some(fields)
}

fn change(fields: &[String], pepper: &Pepper, line: u64) -> Result<Change, ImportError> {
    let field = |at: usize| fields.get(at).map_or("", |field| field.trim());
    let wrong = |column: &'static str, allowed: &'static str| ImportError::Value {
        line,
        column,
        allowed,
    };
    let kind = [OPAQUE, ID_CARD].into_iter().find(|kind| *kind == field(0));
    let kind = kind.ok_or_else(|| wrong("kind", "opaque or id_card"))?;
    let issuer =
        IssuerId::new(field(1)).map_err(|_| wrong("issuer", "1 to 64 of a-z A-Z 0-9 . _ -"))?;
    let identifier = field(2);
    if identifier.is_empty() {
        return Err(wrong(
            "identifier",
            "the text of the code or the number of the card",
        ));
    }
    let key = row_key(pepper, kind, &issuer, identifier).map_err(|_| {
        wrong(
            "identifier",
            "the text of the code or the number of the card",
        )
    })?;
    let colour = match field(3) {
        "green" => Some(Colour::Green),
        "yellow" => Some(Colour::Yellow),
        "red" => Some(Colour::Red),
        "not_applied" => None,
        "remove" => return Ok(Change::Remove(key)),
        _ => return Err(wrong("colour", "green, yellow, red, not_applied or remove")),
    };
    const TIME: &str = "empty, seconds since 1970 up to 4294967295, or RFC 3339";
    let subject = match field(7) {
        "" => Subject::NONE,
        text => Subject(
            Hex::<8>::parse(text)
                .ok_or_else(|| wrong("subject", "empty or 16 lower-case hex digits"))?
                .0,
        ),
    };
    let row = Row {
        subject,
        valid_from_s: time(field(4)).ok_or_else(|| wrong("valid_from", TIME))?,
        valid_until_s: time(field(5)).ok_or_else(|| wrong("valid_until", TIME))?,
        colour,
        entitlements: number(field(6), 1)
            .ok_or_else(|| wrong("entitlements", "empty or 0 to 65535"))?,
        region: number(field(8), 0).ok_or_else(|| wrong("region", "empty or 0 to 255"))?,
    };
    Ok(Change::Put(key, row.encode()))
}

fn number<T: std::str::FromStr>(text: &str, default: T) -> Option<T> {
    if text.is_empty() {
        Some(default)
    } else {
        text.parse().ok()
    }
}

fn time(text: &str) -> Option<u32> {
    if text.is_empty() || text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text, 0);
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    u32::try_from(instant.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<RowKey, Change>, ImportError> {
        csv(text.as_bytes(), &Pepper::from_bytes([1; 32]))
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    const HEADER: &str = "kind,issuer,identifier,colour,valid_from,valid_until\n";

    #[test]
    fn a_file_becomes_rows_under_the_gates_own_keys() {
        let rows = read(&format!(
            "{HEADER}opaque,health,\"HC:1,\"\"2\",red,,2026-11-24T00:00:00Z\r\n\n"
        ))
        .unwrap();
        let issuer = IssuerId::new("health").unwrap();
        let key = row_key(&Pepper::from_bytes([1; 32]), OPAQUE, &issuer, "HC:1,\"2").unwrap();
        let Some(Change::Put(_, value)) = rows.get(&key) else {
            panic!("the row is under its key")
        };
        let row = Row::decode(value).unwrap();
        assert_eq!(
            (row.colour, row.valid_until_s, row.entitlements),
            (Some(Colour::Red), 1_795_478_400, 1)
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column_and_never_repeated() {
        let said = refusal(&format!("{HEADER}opaque,health,secret,blue,,\n"));
        assert_eq!(
            said,
            "line 2, column `colour`: green, yellow, red, not_applied or remove"
        );
        assert!(refusal(&format!("{HEADER}card,health,x,red,,\n")).contains("`kind`"));
        assert!(refusal(&format!("{HEADER}opaque,he alth,x,red,,\n")).contains("`issuer`"));
        assert!(refusal(&format!("{HEADER}opaque,health,,red,,\n")).contains("`identifier`"));
        assert!(
            refusal(&format!("{HEADER}opaque,health,x,red,yesterday,\n")).contains("`valid_from`")
        );
        assert!(
            refusal(&format!("{HEADER}opaque,health,x,red,,99999999999\n"))
                .contains("`valid_until`")
        );
        assert!(
            refusal(&format!("{HEADER}opaque,health,x,red\n"))
                .contains("4 fields, the header has 6")
        );
        assert!(refusal(&format!("{HEADER}opaque,health,\"x,red,,\n")).contains("does not end"));
        assert!(refusal("name,id\n").contains("the columns are kind,issuer"));
        assert!(refusal("").contains("empty"));
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        assert!(refusal(&format!("{HEADER}{}", "x".repeat(100_000))).contains("longer than"));
    }
}
