//! How rows lie in pages. Pure.
//!
//! The page key is the top `bits` bits of the row key as a number of 3 bytes, big-endian. A page holds its rows in
//! ascending order, each as `suffix, value 20`. The suffix is the row key from byte `bits / 8` on: with 20 bits the
//! page key covers bytes 0, 1 and half of byte 2, the suffix starts at byte 2 and has 14 bytes, an entry 34. So no bit
//! of a key is lost, and the half byte that is kept twice tells a page that lies under a wrong key.

use super::{Change, CodesError};
use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{Digest, RowKey};

/// Rows a page should hold on average: 10 M rows in 2^20 pages (STORAGE).
const ROWS_PER_PAGE: u64 = 10;
/// A page key has 3 bytes.
pub(super) const BITS_MAX: u8 = 24;
const KEY_LEN: usize = 16;

/// The number of top bits that make the page key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    bits: u8,
}

/// What a set of rows amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) digest: Digest,
}

impl Tally {
    pub(super) fn add(&mut self, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        self.rows = self.rows.saturating_add(1);
        self.digest.add(key, value);
    }

    fn remove(&mut self, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        self.rows = self.rows.saturating_sub(1);
        self.digest.remove(key, value);
    }
}

/// The key of a page.
pub(super) type PageKey = [u8; 3];

impl Layout {
    /// The layout for about this many rows.
    pub(super) fn for_rows(rows: u64) -> Self {
        let pages = rows
            .div_ceil(ROWS_PER_PAGE)
            .min(1 << BITS_MAX)
            .next_power_of_two();
        let bits = u8::try_from(pages.trailing_zeros()).unwrap_or(BITS_MAX);
        Self {
            bits: bits.min(BITS_MAX),
        }
    }

    /// A layout as stored.
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        if bits <= BITS_MAX {
            Some(Self { bits })
        } else {
            None
        }
    }

    pub(super) const fn bits(self) -> u8 {
        self.bits
    }

    /// The page that a row belongs to.
    pub(super) const fn page_key(self, key: &RowKey) -> PageKey {
        let [a, b, c, ..] = key.0;
        let top = u32::from_be_bytes([0, a, b, c]) >> (BITS_MAX - self.bits);
        let [_, a, b, c] = top.to_be_bytes();
        [a, b, c]
    }

    /// Bytes of the row key that the page key covers whole.
    const fn skipped(self) -> usize {
        (self.bits / 8) as usize
    }

    const fn suffix_len(self) -> usize {
        KEY_LEN - self.skipped()
    }

    const fn entry_len(self) -> usize {
        self.suffix_len() + ROW_VALUE_LEN
    }

    /// Appends a row to a page. The caller keeps the order.
    pub(super) fn append(self, page: &mut Vec<u8>, key: &RowKey, value: &[u8; ROW_VALUE_LEN]) {
        page.extend(key.0.iter().skip(self.skipped()));
        page.extend(value);
    }

    /// The value of a row, if the page has it.
    pub(super) fn find(
        self,
        page: &[u8],
        key: &RowKey,
    ) -> Result<Option<[u8; ROW_VALUE_LEN]>, CodesError> {
        let wanted = key.0.get(self.skipped()..).unwrap_or_default();
        let entries = Self::whole_entries(page, self.entry_len())?;
        let (mut low, mut high) = (0, entries);
        while low < high {
            let middle = low + (high - low) / 2;
            let (suffix, value) = self.entry(page, middle)?;
            match suffix.cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(*value)),
            }
        }
        Ok(None)
    }

    fn whole_entries(page: &[u8], entry_len: usize) -> Result<usize, CodesError> {
        if page.len().is_multiple_of(entry_len) {
            Ok(page.len() / entry_len)
        } else {
            Err(damaged())
        }
    }

    fn entry(self, page: &[u8], at: usize) -> Result<(&[u8], &[u8; ROW_VALUE_LEN]), CodesError> {
        page.get(at * self.entry_len()..)
            .and_then(|rest| rest.split_at_checked(self.suffix_len()))
            .and_then(|(suffix, rest)| Some((suffix, rest.first_chunk()?)))
            .ok_or_else(damaged)
    }

    /// Every row of a page, in order. A page out of order, or with a row that belongs elsewhere, is an error.
    pub(super) fn rows(
        self,
        page_key: PageKey,
        page: &[u8],
        mut each: impl FnMut(RowKey, &[u8; ROW_VALUE_LEN]) -> Result<(), CodesError>,
    ) -> Result<(), CodesError> {
        let mut last = None;
        for at in 0..Self::whole_entries(page, self.entry_len())? {
            let (suffix, value) = self.entry(page, at)?;
            let key = self.whole_key(page_key, suffix)?;
            if last.is_some_and(|last| last >= key) || self.page_key(&key) != page_key {
                return Err(damaged());
            }
            last = Some(key);
            each(key, value)?;
        }
        Ok(())
    }

    fn whole_key(self, page_key: PageKey, suffix: &[u8]) -> Result<RowKey, CodesError> {
        let [a, b, c] = page_key;
        let top = u32::from_be_bytes([0, a, b, c]) << (BITS_MAX - self.bits);
        let [_, head @ ..] = top.to_be_bytes();
        let mut key = [0; KEY_LEN];
        let bytes = head.iter().take(self.skipped()).chain(suffix);
        if self.skipped() + suffix.len() != KEY_LEN {
            return Err(damaged());
        }
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(RowKey(key))
    }

    /// The page after the changes, all of which belong to it, and what that does to the tally.
    pub(super) fn merge(
        self,
        page_key: PageKey,
        old: &[u8],
        changes: &[Change],
        tally: &mut Tally,
    ) -> Result<Vec<u8>, CodesError> {
        let mut page = Vec::with_capacity(old.len() + changes.len() * self.entry_len());
        let mut changes = changes.iter().peekable();
        let put = |page: &mut Vec<u8>, tally: &mut Tally, change: &Change| {
            if let Change::Put(key, value) = change {
                self.append(page, key, value);
                tally.add(key, value);
            }
        };
        self.rows(page_key, old, |key, value| {
            while let Some(change) = changes.next_if(|change| *change.key() < key) {
                put(&mut page, tally, change);
            }
            if let Some(change) = changes.next_if(|change| *change.key() == key) {
                tally.remove(&key, value);
                put(&mut page, tally, change);
            } else {
                self.append(&mut page, &key, value);
            }
            Ok(())
        })?;
        changes.for_each(|change| put(&mut page, tally, change));
        Ok(page)
    }
}

fn damaged() -> CodesError {
    CodesError::Broken("a page of rows is damaged".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn ten_million_rows_have_twenty_bits_and_entries_of_thirty_four_bytes() {
        let layout = Layout::for_rows(10_000_000);
        assert_eq!((layout.bits(), layout.entry_len()), (20, 34));
        assert_eq!(Layout::for_rows(0).bits(), 0);
        assert_eq!(Layout::for_rows(10).bits(), 0);
        assert_eq!(Layout::for_rows(11).bits(), 1);
        assert_eq!(Layout::for_rows(u64::MAX).bits(), BITS_MAX);
    }

    #[test]
    fn a_page_key_is_the_top_bits_as_a_number() {
        let key = RowKey([0xAB; 16]);
        assert_eq!(Layout { bits: 20 }.page_key(&key), [0x0A, 0xBA, 0xBA]);
        assert_eq!(Layout { bits: 24 }.page_key(&key), [0xAB; 3]);
        assert_eq!(Layout { bits: 1 }.page_key(&key), [0, 0, 1]);
        assert_eq!(Layout { bits: 0 }.page_key(&key), [0; 3]);
    }

    #[test]
    fn a_torn_page_and_a_page_under_a_wrong_key_are_errors() {
        let layout = Layout { bits: 20 };
        let key = RowKey([7; 16]);
        let mut page = Vec::new();
        layout.append(&mut page, &key, &[1; 20]);
        let ignore = |_: RowKey, _: &[u8; 20]| Ok(());
        assert!(layout.rows(layout.page_key(&key), &page, ignore).is_ok());
        assert!(layout.rows([0, 0, 1], &page, ignore).is_err());
        page.pop();
        assert!(layout.find(&page, &key).is_err());
        assert!(layout.rows(layout.page_key(&key), &page, ignore).is_err());
    }

    fn change() -> impl Strategy<Value = (u128, Option<[u8; 20]>)> {
        // Few distinct keys, spread over all bits, so that changes meet rows.
        (0..40u128, proptest::option::of(any::<[u8; 20]>())).prop_map(|(n, value)| {
            (
                n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
                value,
            )
        })
    }

    proptest! {
        #[test]
        fn merging_is_what_a_map_does(
            bits in 0..=BITS_MAX,
            deltas in proptest::collection::vec(proptest::collection::vec(change(), 0..30), 1..5),
        ) {
            let layout = Layout { bits };
            let mut model = BTreeMap::new();
            let mut pages: BTreeMap<PageKey, Vec<u8>> = BTreeMap::new();
            let mut tally = Tally::default();
            for delta in deltas {
                let delta: BTreeMap<_, _> = delta.into_iter().collect();
                let changes: Vec<_> = delta.iter().map(|(n, value)| {
                    let key = RowKey(n.to_be_bytes());
                    value.map_or(Change::Remove(key), |value| Change::Put(key, value))
                }).collect();
                for group in changes.chunk_by(|a, b| layout.page_key(a.key()) == layout.page_key(b.key())) {
                    let page_key = layout.page_key(group[0].key());
                    let old = pages.remove(&page_key).unwrap_or_default();
                    pages.insert(page_key, layout.merge(page_key, &old, group, &mut tally).unwrap());
                }
                for (n, value) in delta {
                    match value {
                        Some(value) => { model.insert(n, value); }
                        None => { model.remove(&n); }
                    }
                }
            }
            let mut expected = Tally::default();
            for (n, value) in &model {
                let key = RowKey(n.to_be_bytes());
                expected.add(&key, value);
                let page = &pages[&layout.page_key(&key)];
                prop_assert_eq!(layout.find(page, &key).unwrap(), Some(*value));
            }
            let mut scanned = Tally::default();
            for (page_key, page) in &pages {
                layout.rows(*page_key, page, |key, value| { scanned.add(&key, value); Ok(()) }).unwrap();
            }
            prop_assert_eq!(tally, expected);
            prop_assert_eq!(scanned, expected);
        }
    }
}
