//! A list of people that nobody has to keep: every row is computed from its number, and the whole list comes out in
//! ascending order of its keys, so that ten million rows need no memory.

use crate::domain::standing::ROW_VALUE_LEN;
use crate::domain::{Colour, Digest, Row, RowKey, Subject, Utc};
use crate::store::codes::{Change, ListState};

/// The list is made in so many ranges of keys, one after the other: the top 12 bits of a key say which.
const RANGES: usize = 1 << 12;

/// A made list.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    rows: u64,
}

impl Crowd {
    /// A list of so many rows.
    #[must_use]
    pub const fn new(rows: u64) -> Self {
        Self { rows }
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The key of row `n`: spread evenly, like a keyed hash. Numbers from [`Self::rows`] on are people who are not in
    /// the list yet.
    #[must_use]
    pub fn key(&self, n: u64) -> RowKey {
        let range = n % RANGES as u64;
        let high = (range << 52) | (mix(n.wrapping_mul(2)) >> 12);
        let low = mix(n.wrapping_mul(2).wrapping_add(1));
        RowKey((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// The value of row `n` after `turn` changes of it.
    #[must_use]
    pub fn value(&self, n: u64, turn: u64) -> [u8; ROW_VALUE_LEN] {
        let drawn = mix(n ^ (turn << 40));
        let colour = match drawn % 16 {
            0 => Colour::Red,
            1 | 2 => Colour::Yellow,
            _ => Colour::Green,
        };
        let day = u32::try_from(drawn >> 8 & 0x3FF).unwrap_or(0);
        Row {
            subject: Subject(mix(!n).to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 1_800_000_000 + day * 86_400,
            colour: Some(colour),
            entitlements: 1,
            region: 31,
        }
        .encode()
    }

    /// Every row, in ascending order of the keys. Ends at the first error.
    ///
    /// # Errors
    /// That of `each`.
    pub fn each<E>(
        &self,
        mut each: impl FnMut(RowKey, &[u8; ROW_VALUE_LEN]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut range: Vec<(RowKey, u64)> = Vec::new();
        for first in 0..self.rows.min(RANGES as u64) {
            range.clear();
            let numbers = (first..self.rows).step_by(RANGES);
            range.extend(numbers.map(|n| (self.key(n), n)));
            range.sort_unstable();
            for (key, n) in &range {
                each(*key, &self.value(*n, 0))?;
            }
        }
        Ok(())
    }

    /// Version 1 of the list.
    #[must_use]
    pub fn state(&self) -> ListState {
        let mut digest = Digest::default();
        let added = self.each(|key, value| {
            digest.add(&key, value);
            Ok::<(), std::convert::Infallible>(())
        });
        match added {
            Ok(()) => {}
            Err(never) => match never {},
        }
        ListState {
            era: 1,
            version: 1,
            created: Utc::from_secs(1_770_000_000),
            fresh_until: Utc::from_secs(1_780_000_000),
            pepper_id: 1,
            rows: self.rows,
            digest,
        }
    }

    /// Random changes `from..from + count` of a long series that touches no row twice: half of them give a row a new
    /// value, a quarter each takes a row out and brings a new one in. `state` is brought to what they lead to.
    ///
    /// The series is as long as the list at most.
    #[must_use]
    pub fn changes(&self, from: u64, count: u64, state: &mut ListState) -> Vec<Change> {
        let mut changes: Vec<Change> = (from..from.saturating_add(count))
            .map(|k| {
                let n = self.scattered(k);
                let (key, before) = (self.key(n), self.value(n, 0));
                match k % 4 {
                    0 | 1 => {
                        let after = self.value(n, 1);
                        state.digest.remove(&key, &before);
                        state.digest.add(&key, &after);
                        Change::Put(key, after)
                    }
                    2 => {
                        state.digest.remove(&key, &before);
                        state.rows = state.rows.saturating_sub(1);
                        Change::Remove(key)
                    }
                    _ => {
                        let n = self.rows.saturating_add(k);
                        let (key, value) = (self.key(n), self.value(n, 0));
                        state.digest.add(&key, &value);
                        state.rows = state.rows.saturating_add(1);
                        Change::Put(key, value)
                    }
                }
            })
            .collect();
        state.version = state.version.saturating_add(1);
        changes.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        changes
    }

    /// The `k`th row of a walk through the list that comes back to no row before it has been everywhere.
    #[must_use]
    pub const fn scattered(&self, k: u64) -> u64 {
        // A prime larger than any list shares no factor with the number of rows.
        const STRIDE: u128 = 2_305_843_009_213_693_951;
        let rows = if self.rows == 0 { 1 } else { self.rows };
        let place = (k as u128 * STRIDE) % rows as u128;
        // Below `rows`, so nothing is cut off.
        u64::from_be_bytes(low_half(place))
    }
}

const fn low_half(wide: u128) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = wide.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The mixing step of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::codes::{Codes as _, MemoryCodes};
    use std::collections::BTreeSet;

    #[test]
    fn rows_come_in_order_each_once_and_are_those_of_their_numbers() {
        for rows in [0, 1, 5_000, 20_000] {
            let crowd = Crowd::new(rows);
            let mut seen = Vec::new();
            crowd
                .each(|key, value| {
                    seen.push((key, *value));
                    Ok::<(), ()>(())
                })
                .unwrap();
            assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
            let by_number: BTreeSet<_> = (0..rows)
                .map(|n| (crowd.key(n), crowd.value(n, 0)))
                .collect();
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), by_number);
            let walked: BTreeSet<_> = (0..rows).map(|k| crowd.scattered(k)).collect();
            assert_eq!(walked.len() as u64, rows);
        }
    }

    #[test]
    fn changes_lead_where_their_state_says() {
        let crowd = Crowd::new(5_000);
        let (codes, list) = (
            MemoryCodes::default(),
            crate::domain::ListId::new("l").unwrap(),
        );
        let mut state = crowd.state();
        let mut load = codes.begin(&list, crowd.rows()).unwrap();
        crowd.each(|key, value| load.push(key, value)).unwrap();
        load.commit(&state).unwrap();
        for from in [0, 1_000, 2_000] {
            let changes = crowd.changes(from, 1_000, &mut state);
            codes.apply(&list, &changes, &state).unwrap();
        }
        assert_eq!((state.version, state.rows), (4, 5_000));
    }
}
