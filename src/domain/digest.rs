//! The digest of a list: the sum modulo 2^256 of SHA-256(key 16, value 20) over its rows, most significant byte
//! first. Rows can be added and taken away in any order, so a delta keeps it up without a scan (DESIGN §7).

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::ids::RowKey;
use super::standing::ROW_VALUE_LEN;

/// The digest of a set of rows. The empty set has 32 zero bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest as stored or signed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Adds a row to the set.
    pub fn add(&mut self, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        let mut carry = 0u16;
        for (mine, other) in self.0.iter_mut().zip(hash(key, value)).rev() {
            let sum = u16::from(*mine) + u16::from(other) + carry;
            [_, *mine] = sum.to_be_bytes();
            carry = sum >> 8;
        }
    }

    /// Takes a row out of the set.
    pub fn remove(&mut self, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        let mut borrow = 0u16;
        for (mine, other) in self.0.iter_mut().zip(hash(key, value)).rev() {
            let difference = (0x100 + u16::from(*mine)) - u16::from(other) - borrow;
            [_, *mine] = difference.to_be_bytes();
            borrow = u16::from(difference < 0x100);
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hash(key: &RowKey, value: &[u8; ROW_VALUE_LEN]) -> [u8; 32] {
    Sha256::new()
        .chain_update(key.0)
        .chain_update(value)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let rows: Vec<_> = (0..200u8)
            .map(|n| (RowKey([n; 16]), [n ^ 0x5A; 20]))
            .collect();
        let (mut forward, mut backward) = (Digest::default(), Digest::default());
        rows.iter().for_each(|(key, value)| forward.add(key, value));
        rows.iter()
            .rev()
            .for_each(|(key, value)| backward.add(key, value));
        assert_eq!(forward, backward);
        assert_ne!(forward, Digest::default());
        rows.iter()
            .for_each(|(key, value)| forward.remove(key, value));
        assert_eq!(forward, Digest::default());
    }
}
