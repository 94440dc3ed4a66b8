//! Rows on the wire. A chunk is one zstd frame, at most 1 MiB inflated: rows of 40 bytes in strictly ascending order of
//! their keys.
//!
//! | Offset | Length | Field |
//! |---|---|---|
//! | 0 | 16 | row key |
//! | 16 | 20 | value ([`Row`](crate::domain::Row)); zero for a row that is removed |
//! | 36 | 1 | mark: 0 put, 1 remove (in deltas only) |
//! | 37 | 3 | reserved, zero |
//!
//! A chunk is named by the SHA-256 of its compressed bytes, so it never changes and any cache may keep it.

use sha2::{Digest as _, Sha256};

use super::hex::Hex;
use crate::domain::RowKey;
use crate::domain::standing::ROW_VALUE_LEN;
use crate::store::codes::Change;

/// Bytes of a row on the wire.
pub const WIRE_ROW_LEN: usize = 40;
/// Rows of a full chunk: 1 MiB inflated.
pub const CHUNK_ROWS_MAX: usize = (1 << 20) / WIRE_ROW_LEN;
/// Bytes of a chunk, inflated.
pub const CHUNK_BYTES_MAX: usize = CHUNK_ROWS_MAX * WIRE_ROW_LEN;
/// Bytes of a chunk as served: rows that do not compress, and zstd's frame around them.
pub const CHUNK_WIRE_MAX: usize = CHUNK_BYTES_MAX + (1 << 14);

const LEVEL: i32 = 3;

/// Name of a chunk.
pub type ChunkId = Hex<32>;

/// Why a chunk is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes are not those the manifest names.
    #[error("the bytes are not those of their name")]
    Name,
    /// No zstd, or larger than a chunk may be.
    #[error("it does not inflate to at most {CHUNK_BYTES_MAX} bytes")]
    Inflate,
    /// Not a whole number of rows.
    #[error("it does not hold whole rows")]
    Length,
    /// A mark or reserved bytes that this version does not know.
    #[error("it holds a mark that this version does not know")]
    Mark,
    /// Keys must ascend strictly.
    #[error("its rows do not ascend")]
    Order,
}

/// The name of these bytes.
#[must_use]
pub fn name(compressed: &[u8]) -> ChunkId {
    Hex(Sha256::digest(compressed).into())
}

/// Packs at most [`CHUNK_ROWS_MAX`] changes, which the caller has sorted.
///
/// # Errors
/// What zstd says if it has no memory.
pub fn pack(changes: &[Change]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(changes.len() * WIRE_ROW_LEN);
    for change in changes {
        plain.extend_from_slice(&wire_row(change));
    }
    zstd::bulk::compress(&plain, LEVEL)
}

/// The 40 bytes of a change.
#[must_use]
pub fn wire_row(change: &Change) -> [u8; WIRE_ROW_LEN] {
    let (value, mark) = match change {
        Change::Put(_, value) => (*value, 0),
        Change::Remove(_) => ([0; ROW_VALUE_LEN], 1),
    };
    let mut row = [0; WIRE_ROW_LEN];
    let parts = change.key().0.into_iter().chain(value).chain([mark]);
    row.iter_mut()
        .zip(parts)
        .for_each(|(byte, part)| *byte = part);
    row
}

/// Unpacks a chunk that must have this name.
///
/// # Errors
/// [`ChunkError`]; nothing of a chunk is used unless all of it holds.
pub fn unpack(id: &ChunkId, compressed: &[u8]) -> Result<Vec<Change>, ChunkError> {
    if name(compressed) != *id {
        return Err(ChunkError::Name);
    }
    let plain =
        zstd::bulk::decompress(compressed, CHUNK_BYTES_MAX).map_err(|_| ChunkError::Inflate)?;
    let changes = rows(&plain)?;
    let ascending = changes
        .iter()
        .zip(changes.iter().skip(1))
        .all(|(one, next)| one.key() < next.key());
    if ascending {
        Ok(changes)
    } else {
        Err(ChunkError::Order)
    }
}

/// Reads rows of 40 bytes, in whatever order they come.
///
/// # Errors
/// [`ChunkError::Length`] or [`ChunkError::Mark`].
pub fn rows(plain: &[u8]) -> Result<Vec<Change>, ChunkError> {
    let (rows, []) = plain.as_chunks::<WIRE_ROW_LEN>() else {
        return Err(ChunkError::Length);
    };
    rows.iter().map(change).collect()
}

fn change(row: &[u8; WIRE_ROW_LEN]) -> Result<Change, ChunkError> {
    let (key, rest) = row.split_first_chunk::<16>().ok_or(ChunkError::Length)?;
    let (value, tail) = rest
        .split_first_chunk::<ROW_VALUE_LEN>()
        .ok_or(ChunkError::Length)?;
    match tail {
        [0, 0, 0, 0] => Ok(Change::Put(RowKey(*key), *value)),
        [1, 0, 0, 0] => Ok(Change::Remove(RowKey(*key))),
        _ => Err(ChunkError::Mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(n: u8) -> Vec<Change> {
        (0..n)
            .map(|at| {
                if at % 3 == 0 {
                    Change::Remove(RowKey([at; 16]))
                } else {
                    Change::Put(RowKey([at; 16]), [at; 20])
                }
            })
            .collect()
    }

    #[test]
    fn a_chunk_survives_the_wire() {
        let packed = pack(&some(200)).unwrap();
        assert_eq!(unpack(&name(&packed), &packed).unwrap(), some(200));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let packed = pack(&some(3)).unwrap();
        for bit in 0..packed.len() * 8 {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                unpack(&name(&packed), &flipped),
                Err(ChunkError::Name),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_chunk_that_inflates_for_ever_is_given_up() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < CHUNK_WIRE_MAX);
        assert_eq!(unpack(&name(&bomb), &bomb), Err(ChunkError::Inflate));
    }

    #[test]
    fn rows_that_are_cut_unsorted_or_marked_strangely_are_refused() {
        let refused = |plain: &[u8]| {
            let packed = zstd::bulk::compress(plain, 1).unwrap();
            unpack(&name(&packed), &packed).unwrap_err()
        };
        assert_eq!(refused(&[0; 39]), ChunkError::Length);
        assert_eq!(refused(&[0; 80]), ChunkError::Order);
        let mut marked = [0; 40];
        marked[36] = 2;
        assert_eq!(refused(&marked), ChunkError::Mark);
        marked[36] = 0;
        marked[39] = 1;
        assert_eq!(refused(&marked), ChunkError::Mark);
    }

    #[test]
    fn a_full_chunk_of_noise_fits_the_wire() {
        let mut state = 1u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33).to_be_bytes()
        };
        let rows: Vec<_> = (0..CHUNK_ROWS_MAX as u64)
            .map(|at| {
                let mut key = [0; 16];
                key[..8].copy_from_slice(&at.to_be_bytes());
                key[8..].copy_from_slice(&noise());
                let mut value = [0; 20];
                value[..8].copy_from_slice(&noise());
                Change::Put(RowKey(key), value)
            })
            .collect();
        let packed = pack(&rows).unwrap();
        assert!(packed.len() <= CHUNK_WIRE_MAX);
        assert_eq!(
            unpack(&name(&packed), &packed).unwrap().len(),
            CHUNK_ROWS_MAX
        );
    }
}
