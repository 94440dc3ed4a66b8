//! Rows of an import as they come: checked one by one and put in order, in bounded memory. Nothing is taken over before
//! the last of them is here.

use std::error::Error as _;
use std::path::Path;

use super::StoreError;
use super::lists::{Mode, ROWS_MAX};
use crate::domain::Row;
use crate::store::codes::Change;
use crate::sync::chunk::{decode_row, encode_row};
use crate::sync::spool::{RawRow, Sorter, Spool, SpoolError};

/// An import that is coming in.
pub(in crate::backend) struct Intake {
    sorter: Sorter,
    mode: Mode,
    rows: usize,
}

impl Intake {
    /// Sorts below `dir`.
    pub(in crate::backend) fn new(dir: &Path, mode: Mode) -> Self {
        Self {
            sorter: Sorter::new(dir.into()),
            mode,
            rows: 0,
        }
    }

    /// Takes one row, if a gate could read it.
    pub(in crate::backend) fn push(&mut self, raw: RawRow) -> Result<(), StoreError> {
        if self.rows >= ROWS_MAX {
            return Err(StoreError::TooLarge { max: ROWS_MAX });
        }
        self.rows = self.rows.saturating_add(1);
        let row = self.rows;
        let why = match decode_row(&raw) {
            None => "its mark is not known",
            Some(Change::Put(_, value)) if Row::decode(&value).is_err() => "it has an unknown flag",
            Some(Change::Remove(_)) if self.mode == Mode::Replace => "a whole list removes nothing",
            Some(Change::Put(..) | Change::Remove(_)) => {
                return self.sorter.push(raw).map_err(|error| failed(&error));
            }
        };
        Err(StoreError::BadRow { row, why })
    }

    /// All of them, in order.
    pub(in crate::backend) fn finish(self) -> Result<Spool, StoreError> {
        self.sorter.finish(|_| ()).map_err(|error| failed(&error))
    }

    /// The same for changes that are in memory already.
    pub(in crate::backend) fn of(
        dir: &Path,
        mode: Mode,
        changes: &[Change],
    ) -> Result<Spool, StoreError> {
        let mut intake = Self::new(dir, mode);
        changes
            .iter()
            .try_for_each(|change| intake.push(encode_row(change)))?;
        intake.finish()
    }
}

fn failed(error: &SpoolError) -> StoreError {
    match error {
        SpoolError::Twice { place, .. } => StoreError::BadRow {
            row: usize::try_from(*place).unwrap_or(usize::MAX),
            why: "its key comes twice",
        },
        SpoolError::Io { .. } => {
            let why = error.source().map(ToString::to_string);
            StoreError::Failed(format!("{error}: {}", why.unwrap_or_default()))
        }
    }
}
