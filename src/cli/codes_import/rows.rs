//! From lines to rows: every value checked, every credential once.

use std::io::BufRead;
use std::path::Path;

use super::csv::{CsvError, Lines};
use crate::backend::{Mode, ROWS_MAX};
use crate::codes::Profile;
use crate::codes::row_key::{
    ID_CARD, OPAQUE, Pepper, REVOKED, SUBJECT, SUBJECT_ISSUER, TAG, row_key,
};
use crate::domain::{Colour, IssuerId, Personal, Row, Subject, tag};
use crate::store::codes::Change;
use crate::sync::chunk::{ROW_LEN, encode_row};
use crate::sync::hex;
use crate::sync::spool::{Sorter, Spool, SpoolError};

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
/// Kinds of rows: one a profile, what an issuer has revoked, and a person however they are known.
pub(super) const KINDS: [&str; 9] = [
    OPAQUE,
    Profile::Hcert.row_kind(),
    Profile::Shc.row_kind(),
    Profile::RideV81.row_kind(),
    Profile::RideCwt.row_kind(),
    ID_CARD,
    TAG,
    REVOKED,
    SUBJECT,
];
/// Columns that must be there: the first so many.
const REQUIRED: usize = 4;

/// Why no rows came out.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// A line is bad.
    #[error(transparent)]
    Line(#[from] CsvError),
    /// The rows cannot be put in order.
    #[error(transparent)]
    Spool(SpoolError),
}

/// Reads all lines; sorted rows as they are sent, in a file without a name below `dir`. The lines are read once, and
/// nothing is kept of a line but its row.
pub(super) fn read(
    input: impl BufRead,
    pepper: &Pepper,
    mode: Mode,
    dir: &Path,
) -> Result<Spool, ReadError> {
    let mut lines = Lines::new(input);
    let header = match lines.next()? {
        Some((line, fields)) => Header::parse(line, &fields)?,
        None => {
            let what = format!("the columns are missing: {}", columns());
            return Err(CsvError::line(1, what).into());
        }
    };
    let mut sorter = Sorter::new(dir.into());
    let mut rows = 0;
    while let Some((line, fields)) = lines.next()? {
        if rows >= ROWS_MAX {
            let what = format!("a list has at most {ROWS_MAX} rows");
            return Err(CsvError::line(line, what).into());
        }
        rows += 1;
        let fields = Fields {
            line,
            header: &header,
            fields: &fields,
        };
        let change = fields.change(pepper, mode)?;
        let removed = matches!(change, Change::Remove(_));
        let mut row = encode_row(&change);
        set_last_four(&mut row, tail(line)? | if removed { REMOVED } else { 0 });
        sorter.push(row).map_err(ReadError::Spool)?;
    }
    // Rows carry their line number in their last four bytes until here; these hold the mark as their top bit.
    let settled = sorter.finish(|row| {
        let removed = last_four(row) & REMOVED != 0;
        set_last_four(row, if removed { MARK_REMOVED } else { 0 });
    });
    settled.map_err(|error| match error {
        SpoolError::Twice { rows, .. } => {
            let (a, b) = (line_of(&rows.0), line_of(&rows.1));
            let what = format!("the same credential is in line {} already", a.min(b));
            ReadError::Line(CsvError {
                line: u64::from(a.max(b)),
                column: Some((3, "identifier")),
                what,
            })
        }
        error @ SpoolError::Io { .. } => ReadError::Spool(error),
    })
}

/// The last four bytes of a removed row: mark 1, reserved 0.
const MARK_REMOVED: u32 = 0x0100_0000;
/// The mark, while a row carries its line number.
const REMOVED: u32 = 1 << 31;

fn tail(line: u64) -> Result<u32, CsvError> {
    u32::try_from(line)
        .ok()
        .filter(|line| line & REMOVED == 0)
        .ok_or_else(|| CsvError::line(line, "the file has too many lines"))
}

fn last_four(row: &[u8; ROW_LEN]) -> u32 {
    row.last_chunk::<4>()
        .map_or(0, |four| u32::from_be_bytes(*four))
}

fn line_of(row: &[u8; ROW_LEN]) -> u32 {
    last_four(row) & !REMOVED
}

fn set_last_four(row: &mut [u8; ROW_LEN], to: u32) {
    if let Some(four) = row.last_chunk_mut::<4>() {
        *four = to.to_be_bytes();
    }
}

fn columns() -> String {
    COLUMNS.join(",")
}

/// Where each column stands.
struct Header {
    places: [Option<usize>; COLUMNS.len()],
    width: usize,
}

impl Header {
    fn parse(line: u64, fields: &[Personal<String>]) -> Result<Self, CsvError> {
        let mut places = [None; COLUMNS.len()];
        for (place, field) in fields.iter().enumerate() {
            let name = field.expose().trim_ascii();
            let number = place.saturating_add(1);
            let known = COLUMNS.iter().position(|column| *column == name);
            let Some(slot) = known.and_then(|n| places.get_mut(n)) else {
                // A file without a header has somebody's number here: the name is not repeated.
                let what = format!("column {number} is none of {}", columns());
                return Err(CsvError::line(line, what));
            };
            if slot.replace(place).is_some() {
                let what = format!("column {number} is there twice");
                return Err(CsvError::line(line, what));
            }
        }
        let missing = COLUMNS
            .iter()
            .zip(&places)
            .take(REQUIRED)
            .find(|(_, place)| place.is_none());
        if let Some((column, _)) = missing {
            return Err(CsvError::line(
                line,
                format!("the column {column} is missing"),
            ));
        }
        Ok(Self {
            places,
            width: fields.len(),
        })
    }
}

/// One line.
struct Fields<'a> {
    line: u64,
    header: &'a Header,
    fields: &'a [Personal<String>],
}

impl Fields<'_> {
    fn change(&self, pepper: &Pepper, mode: Mode) -> Result<Change, CsvError> {
        if self.fields.len() > self.header.width {
            let (has, most) = (self.fields.len(), self.header.width);
            let what = format!("has {has} fields, the first line names {most}");
            return Err(CsvError::line(self.line, what));
        }
        let name = self.get("kind");
        let kind = KINDS.into_iter().find(|kind| *kind == name);
        let kind = kind.ok_or_else(|| {
            let sentence = format!("must be one of {}", KINDS.join(", "));
            self.bad("kind", &sentence)
        })?;
        let issuer =
            IssuerId::new(self.get("issuer")).map_err(|e| self.bad("issuer", &e.to_string()))?;
        let identifier = self.get("identifier");
        if kind == ID_CARD && !is_card_number(identifier) {
            return Err(self.bad(
                "identifier",
                "the number of an ID card has 15 or 18 letters and digits",
            ));
        }
        if kind == TAG && !tag::is_identifier(identifier) {
            return Err(self.bad(
                "identifier",
                "a tag is spelled like em4100:0D00C8D3B1, iso14443a:04A1B2C3 or bits26:A5C3F080; UIDs of four bytes \
                 that begin with 08 are random and name nobody",
            ));
        }
        let person = identifier.len() == 16
            && identifier
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if kind == SUBJECT && (!person || issuer.as_str() != SUBJECT_ISSUER) {
            let sentence = format!(
                "a subject is 16 hex digits in lower case, and its issuer is \"{SUBJECT_ISSUER}\""
            );
            return Err(self.bad("identifier", &sentence));
        }
        let key = row_key(pepper, kind, &issuer, identifier)
            .map_err(|e| self.bad("identifier", &e.to_string()))?;
        let colour = match self.get("colour") {
            "green" => Some(Colour::Green),
            "yellow" => Some(Colour::Yellow),
            "red" => Some(Colour::Red),
            "not_applied" => None,
            "removed" if mode == Mode::Patch => return Ok(Change::Remove(key)),
            _ => return Err(self.bad("colour", allowed_colours(mode))),
        };
        let row = Row {
            subject: self.subject()?,
            valid_from_s: self.time("valid_from")?,
            valid_until_s: self.time("valid_until")?,
            colour,
            entitlements: self.entitlements()?,
            region: self.region()?,
        };
        if row.valid_until_s != 0 && row.valid_until_s < row.valid_from_s {
            return Err(self.bad("valid_until", "must not be before valid_from"));
        }
        Ok(Change::Put(key, row.encode()))
    }

    /// The field without white space around it; empty if it is not there.
    fn get(&self, column: &str) -> &str {
        let place = COLUMNS
            .iter()
            .zip(&self.header.places)
            .find_map(|(name, place)| place.filter(|_| *name == column));
        let field = place.and_then(|place| self.fields.get(place));
        field.map_or("", |field| field.expose().trim_ascii())
    }

    fn bad(&self, column: &str, what: &str) -> CsvError {
        let name = COLUMNS
            .into_iter()
            .find(|name| *name == column)
            .unwrap_or("?");
        let place = COLUMNS
            .iter()
            .zip(&self.header.places)
            .find_map(|(name, place)| place.filter(|_| *name == column));
        CsvError {
            line: self.line,
            column: place.map(|place| (place.saturating_add(1), name)),
            what: what.to_owned(),
        }
    }

    /// Seconds since 1970; 0 if empty.
    fn time(&self, column: &str) -> Result<u32, CsvError> {
        let what = "must be empty, a time such as 2026-03-01T00:00:00+08:00, or seconds since 1970, up to the year 2106";
        let bad = || self.bad(column, what);
        let text = self.get(column);
        if text.is_empty() {
            return Ok(0);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map_err(|_| bad());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        u32::try_from(time.as_second()).map_err(|_| bad())
    }

    fn entitlements(&self) -> Result<u16, CsvError> {
        match self.get("entitlements") {
            "" | "ride" => Ok(1),
            "none" => Ok(0),
            number => number.parse().map_err(|_| {
                self.bad(
                    "entitlements",
                    "must be empty or ride, none, or a number from 0 to 65535",
                )
            }),
        }
    }

    fn subject(&self) -> Result<Subject, CsvError> {
        match self.get("subject") {
            "" => Ok(Subject::NONE),
            digits => hex::decode(digits)
                .map(Subject)
                .ok_or_else(|| self.bad("subject", "must be empty or 16 hex digits")),
        }
    }

    fn region(&self) -> Result<u8, CsvError> {
        match self.get("region") {
            "" => Ok(0),
            number => number
                .parse()
                .map_err(|_| self.bad("region", "must be a number from 0 to 255")),
        }
    }
}

const fn allowed_colours(mode: Mode) -> &'static str {
    match mode {
        Mode::Replace => "must be one of green, yellow, red, not_applied",
        Mode::Patch => "must be one of green, yellow, red, not_applied, removed",
    }
}

fn is_card_number(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
