//! Chunks: up to 1 MiB of sorted rows under zstd, named by the SHA-256 of their bytes as sent.
//!
//! A row has 40 bytes: key 16, value 20, mark 1 (0 put, 1 remove), reserved 3 (zero). A removed row has a value of
//! zeros. Keys ascend strictly.

use sha2::{Digest as _, Sha256};

use super::manifest::ChunkId;
use crate::domain::RowKey;
use crate::domain::standing::ROW_VALUE_LEN;
use crate::store::codes::Change;

/// Bytes of a row.
pub const ROW_LEN: usize = 40;
/// Most bytes a chunk may inflate to.
pub const INFLATED_MAX: usize = 1 << 20;
/// Most rows of a chunk.
pub const ROWS_MAX: usize = INFLATED_MAX / ROW_LEN;
/// Most bytes of a chunk as sent: rows that do not compress, and a frame around them.
pub const PACKED_MAX: usize = INFLATED_MAX + (64 << 10);

/// Row keys do not compress; more effort gains nothing.
const LEVEL: i32 = 1;

/// Why a chunk is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// Not the bytes its name promises.
    #[error("the chunk is not what its name says")]
    OtherBytes,
    /// Not zstd, or more than [`INFLATED_MAX`] inside.
    #[error("the chunk does not inflate to at most {INFLATED_MAX} bytes")]
    Inflate,
    /// Half a row at its end.
    #[error("the chunk holds {0} bytes, not a whole number of rows")]
    Length(usize),
    /// Keys do not ascend.
    #[error("row {0} of the chunk is out of order")]
    Order(usize),
    /// A mark that is neither put nor remove, a reserved byte that is not zero, or a removed row with a value.
    #[error("row {0} of the chunk has a mark that this version does not know")]
    Mark(usize),
    /// The compressor refused.
    #[error("the chunk cannot be packed")]
    Pack,
}

/// The 40 bytes of a change.
#[must_use]
pub fn encode_row(change: &Change) -> [u8; ROW_LEN] {
    let (key, value, mark) = match change {
        Change::Put(key, value) => (key, *value, 0),
        Change::Remove(key) => (key, [0; ROW_VALUE_LEN], 1),
    };
    let mut row = [0; ROW_LEN];
    let bytes = key.0.into_iter().chain(value).chain([mark]);
    row.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    row
}

/// The change in 40 bytes; `None` if mark or reserved bytes are not known.
#[must_use]
pub fn decode_row(row: &[u8; ROW_LEN]) -> Option<Change> {
    let (key, rest) = row.split_first_chunk::<16>()?;
    let (value, rest) = rest.split_first_chunk::<ROW_VALUE_LEN>()?;
    match rest {
        [0, 0, 0, 0] => Some(Change::Put(RowKey(*key), *value)),
        [1, 0, 0, 0] if *value == [0; ROW_VALUE_LEN] => Some(Change::Remove(RowKey(*key))),
        _ => None,
    }
}

/// Packs at most [`ROWS_MAX`] changes, in ascending order of their keys.
///
/// # Errors
/// [`ChunkError::Length`] if there are more, [`ChunkError::Pack`] if the compressor refuses.
pub fn pack(changes: &[Change]) -> Result<(ChunkId, Vec<u8>), ChunkError> {
    if changes.len() > ROWS_MAX {
        return Err(ChunkError::Length(changes.len().saturating_mul(ROW_LEN)));
    }
    let rows: Vec<[u8; ROW_LEN]> = changes.iter().map(encode_row).collect();
    let packed = zstd::bulk::compress(rows.as_flattened(), LEVEL).map_err(|_| ChunkError::Pack)?;
    Ok((name(&packed), packed))
}

/// The changes in a chunk, if it is the one called `id`.
///
/// # Errors
/// [`ChunkError`].
pub fn unpack(id: &ChunkId, packed: &[u8]) -> Result<Vec<Change>, ChunkError> {
    if packed.len() > PACKED_MAX || name(packed) != *id {
        return Err(ChunkError::OtherBytes);
    }
    // Writes into a buffer of this size and fails where it ends, whatever the frame announces.
    let inflated = zstd::bulk::decompress(packed, INFLATED_MAX).map_err(|_| ChunkError::Inflate)?;
    let (rows, rest) = inflated.as_chunks::<ROW_LEN>();
    if !rest.is_empty() {
        return Err(ChunkError::Length(inflated.len()));
    }
    let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
    for (n, row) in rows.iter().enumerate() {
        let change = decode_row(row).ok_or(ChunkError::Mark(n))?;
        if changes
            .last()
            .is_some_and(|last| last.key() >= change.key())
        {
            return Err(ChunkError::Order(n));
        }
        changes.push(change);
    }
    Ok(changes)
}

fn name(packed: &[u8]) -> ChunkId {
    ChunkId(Sha256::digest(packed).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(n: u8) -> Change {
        Change::Put(RowKey([n; 16]), [n; ROW_VALUE_LEN])
    }

    fn packed_raw(bytes: &[u8]) -> (ChunkId, Vec<u8>) {
        let packed = zstd::bulk::compress(bytes, LEVEL).unwrap();
        (name(&packed), packed)
    }

    #[test]
    fn changes_survive_their_chunk() {
        let changes = vec![put(1), Change::Remove(RowKey([2; 16])), put(3)];
        let (id, packed) = pack(&changes).unwrap();
        assert_eq!(unpack(&id, &packed), Ok(changes));
    }

    #[test]
    fn the_largest_chunk_of_rows_that_do_not_compress_fits() {
        let changes: Vec<_> = (0..ROWS_MAX)
            .map(|n| {
                let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
                let mut key = [0; 16];
                key[..8].copy_from_slice(&n.to_be_bytes());
                key[8..].copy_from_slice(&hash[..8]);
                let mut value = [0; ROW_VALUE_LEN];
                value.copy_from_slice(&hash[..ROW_VALUE_LEN]);
                Change::Put(RowKey(key), value)
            })
            .collect();
        let (id, packed) = pack(&changes).unwrap();
        assert!(packed.len() <= PACKED_MAX);
        assert_eq!(unpack(&id, &packed).unwrap().len(), ROWS_MAX);
        assert!(pack(&[changes, vec![put(255)]].concat()).is_err());
    }

    #[test]
    fn every_flipped_bit_is_caught() {
        let (id, packed) = pack(&[put(1), put(2)]).unwrap();
        for bit in 0..packed.len() * 8 {
            let mut bytes = packed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                unpack(&id, &bytes),
                Err(ChunkError::OtherBytes),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_chunk_that_inflates_for_ever_is_cut_off() {
        let (id, packed) = packed_raw(&vec![0; 256 << 20]);
        assert!(packed.len() < 64 << 10);
        assert_eq!(unpack(&id, &packed), Err(ChunkError::Inflate));
        let (id, packed) = packed_raw(&vec![0; INFLATED_MAX + 1]);
        assert_eq!(unpack(&id, &packed), Err(ChunkError::Inflate));
    }

    #[test]
    fn disorder_halves_and_unknown_marks_are_refused() {
        let raw = |changes: &[Change]| changes.iter().flat_map(encode_row).collect::<Vec<_>>();
        let refused = |bytes: &[u8]| {
            let (id, packed) = packed_raw(bytes);
            unpack(&id, &packed).unwrap_err()
        };
        assert_eq!(refused(&raw(&[put(2), put(1)])), ChunkError::Order(1));
        assert_eq!(refused(&raw(&[put(1), put(1)])), ChunkError::Order(1));
        assert_eq!(refused(&raw(&[put(1)])[..39]), ChunkError::Length(39));
        for at in 36..40 {
            let mut row = raw(&[put(1)]);
            row[at] = 2;
            assert_eq!(refused(&row), ChunkError::Mark(0), "byte {at}");
        }
        let mut removed = raw(&[Change::Remove(RowKey([1; 16]))]);
        removed[20] = 1;
        assert_eq!(refused(&removed), ChunkError::Mark(0));
    }
}
