//! The mark of a generation: which version its pages are. It lies beside them, under a key that no page has, so that
//! it changes in the same batch.

use super::ListState;
use super::page::Layout;
use crate::domain::{Digest, Utc};

/// The mark's key: four bytes, after every page key.
pub(super) const MARK_KEY: [u8; 4] = [0xFF; 4];
const FORMAT: u8 = 1;
const LEN: usize = 91;

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// False while a delta of several batches is being written: such a generation is torn if it is found so.
    pub(super) whole: bool,
    pub(super) layout: Layout,
    pub(super) state: ListState,
    /// Rows when it was loaded.
    pub(super) loaded_rows: u64,
    /// Changes since then.
    pub(super) changes: u64,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let state = &self.state;
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend([FORMAT, u8::from(self.whole), self.layout.bits()]);
        bytes.extend(state.era.to_be_bytes());
        bytes.extend(state.version.to_be_bytes());
        bytes.extend(state.created.as_millis().to_be_bytes());
        bytes.extend(state.fresh_until.as_millis().to_be_bytes());
        bytes.extend(state.pepper_id.to_be_bytes());
        bytes.extend(state.rows.to_be_bytes());
        bytes.extend(state.digest.as_bytes());
        bytes.extend(self.loaded_rows.to_be_bytes());
        bytes.extend(self.changes.to_be_bytes());
        bytes
    }

    /// `None` for anything that this version did not write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[format, whole, bits], rest) = bytes.split_first_chunk()?;
        let (era, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (created, rest) = rest.split_first_chunk()?;
        let (fresh_until, rest) = rest.split_first_chunk()?;
        let (pepper_id, rest) = rest.split_first_chunk()?;
        let (rows, rest) = rest.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk()?;
        let (loaded_rows, rest) = rest.split_first_chunk()?;
        let (changes, rest) = rest.split_first_chunk()?;
        if format != FORMAT || whole > 1 || !rest.is_empty() {
            return None;
        }
        Some(Self {
            whole: whole == 1,
            layout: Layout::from_bits(bits)?,
            state: ListState {
                era: u32::from_be_bytes(*era),
                version: u64::from_be_bytes(*version),
                created: Utc::from_millis(u64::from_be_bytes(*created)),
                fresh_until: Utc::from_millis(u64::from_be_bytes(*fresh_until)),
                pepper_id: u32::from_be_bytes(*pepper_id),
                rows: u64::from_be_bytes(*rows),
                digest: Digest::from_bytes(*digest),
            },
            loaded_rows: u64::from_be_bytes(*loaded_rows),
            changes: u64::from_be_bytes(*changes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_bytes_and_nothing_else_is_taken_for_one() {
        let mark = Mark {
            whole: true,
            layout: Layout::for_rows(10_000_000),
            state: ListState {
                era: 1,
                version: 2,
                created: Utc::from_secs(3),
                fresh_until: Utc::from_secs(4),
                pepper_id: 5,
                rows: 6,
                digest: Digest::from_bytes([7; 32]),
            },
            loaded_rows: 8,
            changes: 9,
        };
        let bytes = mark.encode();
        assert_eq!((bytes.len(), Mark::decode(&bytes)), (LEN, Some(mark)));
        for end in 0..bytes.len() {
            assert_eq!(Mark::decode(&bytes[..end]), None);
        }
        let mut newer = bytes;
        newer[0] += 1;
        assert_eq!(Mark::decode(&newer), None);
    }
}
