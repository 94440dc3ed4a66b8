//! What lies where in the file, byte by byte. Numbers are big-endian.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::{Epoch, JournalError};
use crate::domain::{Direction, GrantId, Mode, PassbackKey, RowKey, StaffMode, Subject, Utc};

/// Sequence number to [`Stored`].
pub(super) const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// `head` to [`Head`].
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Replay key to the millisecond until which it is remembered.
pub(super) const SEEN: TableDefinition<&[u8; 32], u64> = TableDefinition::new("seen");
/// Passback key to direction and millisecond.
pub(super) const PASSED: TableDefinition<&[u8], (u8, u64)> = TableDefinition::new("passed");
/// Grant without an outcome to direction and lane; an empty lane is none.
pub(super) const OPEN_GRANTS: TableDefinition<u64, (u8, &str)> =
    TableDefinition::new("open_grants");
/// Name of a lane to what staff want of it: number of the mode, millisecond until which, user id.
pub(super) const STAFF_MODES: TableDefinition<&str, (u8, Option<u64>, Option<u32>)> =
    TableDefinition::new("staff_modes");
/// Name to a signed document that was accepted, as it came.
pub(super) const DOCUMENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("documents");
/// Name to the highest accepted (era, version).
pub(super) const FLOORS: TableDefinition<&str, (u32, u64)> = TableDefinition::new("floors");

const HEAD: &str = "head";
const FORMAT: u8 = 2;
/// Before records were kept beyond their acknowledgement.
const FORMAT_1: u8 = 1;
/// What a record takes beside its text: number, hash, date, and its share of the tree.
const RECORD_OVERHEAD: u64 = 72;
/// What a remembered code, person or grant takes with its share of the tree.
const STATE_BYTES: u64 = 128;

/// What a record of so many bytes counts for.
pub(super) const fn record_cost(text: usize) -> u64 {
    // Leaves of the tree are not filled to the last byte.
    (text as u64 + RECORD_OVERHEAD) * 9 / 8
}

/// The one row that every transaction writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    /// The first record that belongs to it.
    pub(super) epoch_first: u64,
    pub(super) boot: u32,
    pub(super) next_seq: u64,
    pub(super) acked_seq: u64,
    /// Everything up to here is acknowledged and no longer here.
    pub(super) gone_seq: u64,
    /// Link of the last record.
    pub(super) last_hash: [u8; 32],
    /// Link of the last record that is gone: the chain of what is left starts from it.
    pub(super) gone_hash: [u8; 32],
    pub(super) clock_floor: Option<Utc>,
    pub(super) fire_latched: bool,
    /// Sum of [`record_cost`] over what waits for the backend.
    pub(super) record_bytes: u64,
    /// Sum of [`record_cost`] over what is acknowledged and still here.
    pub(super) kept_bytes: u64,
    /// Rows in `seen`, `passed` and `open_grants`.
    pub(super) state_rows: u64,
    /// Date of the first record that waits for the backend.
    pub(super) oldest_utc: Option<Utc>,
    /// Date of the last record of all.
    pub(super) newest_utc: Option<Utc>,
}

impl Head {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            epoch_first: 1,
            next_seq: 1,
            ..Self::default()
        }
    }

    /// What may not be dropped.
    pub(super) const fn bytes(&self) -> u64 {
        self.record_bytes
            .saturating_add(self.state_rows.saturating_mul(STATE_BYTES))
    }

    /// Everything that is here.
    pub(super) const fn all_bytes(&self) -> u64 {
        self.bytes().saturating_add(self.kept_bytes)
    }

    pub(super) fn save(&self, transaction: &WriteTransaction) -> Result<(), JournalError> {
        let mut bytes = vec![FORMAT, u8::from(self.fire_latched)];
        bytes.extend(self.epoch.0);
        bytes.extend(self.boot.to_be_bytes());
        bytes.extend(self.next_seq.to_be_bytes());
        bytes.extend(self.acked_seq.to_be_bytes());
        bytes.extend(self.last_hash);
        bytes.extend(self.gone_hash);
        bytes.extend(date(self.clock_floor));
        bytes.extend(self.record_bytes.to_be_bytes());
        bytes.extend(self.state_rows.to_be_bytes());
        bytes.extend(date(self.oldest_utc));
        bytes.extend(self.gone_seq.to_be_bytes());
        bytes.extend(self.kept_bytes.to_be_bytes());
        bytes.extend(date(self.newest_utc));
        bytes.extend(self.epoch_first.to_be_bytes());
        let mut meta = transaction.open_table(META)?;
        meta.insert(HEAD, bytes.as_slice())?;
        Ok(())
    }

    pub(super) fn load(
        meta: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<Self>, JournalError> {
        let Some(bytes) = meta.get(HEAD)? else {
            return Ok(None);
        };
        Self::decode(bytes.value())
            .map(Some)
            .ok_or_else(|| JournalError::Failed("its head is of another version".into()))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[format, fire], rest) = bytes.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (next_seq, rest) = rest.split_first_chunk()?;
        let (acked_seq, rest) = rest.split_first_chunk()?;
        let (last_hash, rest) = rest.split_first_chunk()?;
        let (gone_hash, rest) = rest.split_first_chunk()?;
        let (clock_floor, rest) = rest.split_first_chunk()?;
        let (record_bytes, rest) = rest.split_first_chunk()?;
        let (state_rows, rest) = rest.split_first_chunk()?;
        let (oldest_utc, rest) = rest.split_first_chunk()?;
        let acked_seq = u64::from_be_bytes(*acked_seq);
        let later = match format {
            FORMAT => Later::decode(rest)?,
            FORMAT_1 if rest.is_empty() => Later {
                gone_seq: acked_seq,
                epoch_first: acked_seq.saturating_add(1),
                ..Later::default()
            },
            _ => return None,
        };
        let head = Self {
            epoch: Epoch(*epoch),
            epoch_first: later.epoch_first,
            boot: u32::from_be_bytes(*boot),
            next_seq: u64::from_be_bytes(*next_seq),
            acked_seq,
            gone_seq: later.gone_seq,
            last_hash: *last_hash,
            gone_hash: *gone_hash,
            clock_floor: undate(*clock_floor),
            fire_latched: fire != 0,
            record_bytes: u64::from_be_bytes(*record_bytes),
            kept_bytes: later.kept_bytes,
            state_rows: u64::from_be_bytes(*state_rows),
            oldest_utc: undate(*oldest_utc),
            newest_utc: later.newest_utc,
        };
        let ordered = head.next_seq > head.acked_seq && head.acked_seq >= head.gone_seq;
        ordered.then_some(head)
    }
}

/// What format 2 has behind format 1.
#[derive(Default)]
struct Later {
    gone_seq: u64,
    kept_bytes: u64,
    newest_utc: Option<Utc>,
    epoch_first: u64,
}

impl Later {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (gone_seq, rest) = bytes.split_first_chunk()?;
        let (kept_bytes, rest) = rest.split_first_chunk()?;
        let (newest_utc, rest) = rest.split_first_chunk()?;
        let (epoch_first, rest) = rest.split_first_chunk()?;
        rest.is_empty().then_some(Self {
            gone_seq: u64::from_be_bytes(*gone_seq),
            kept_bytes: u64::from_be_bytes(*kept_bytes),
            newest_utc: undate(*newest_utc),
            epoch_first: u64::from_be_bytes(*epoch_first),
        })
    }
}

/// A record as it lies in the table: hash, date, text.
pub(super) struct Stored<'a> {
    pub(super) hash: &'a [u8; 32],
    pub(super) utc: Option<Utc>,
    pub(super) text: &'a str,
}

impl<'a> Stored<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40 + self.text.len());
        bytes.extend(self.hash);
        bytes.extend(date(self.utc));
        bytes.extend(self.text.as_bytes());
        bytes
    }

    /// Its link of the chain and what it costs, without a look at the text.
    pub(super) fn link_and_cost(bytes: &[u8]) -> Result<([u8; 32], u64), JournalError> {
        let parts = bytes
            .split_first_chunk()
            .and_then(|(hash, rest)| Some((*hash, record_cost(rest.len().checked_sub(8)?))));
        parts.ok_or_else(|| JournalError::Failed("a record is damaged".into()))
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, JournalError> {
        let parts = || {
            let (hash, rest) = bytes.split_first_chunk()?;
            let (utc, text) = rest.split_first_chunk()?;
            Some(Self {
                hash,
                utc: undate(*utc),
                text: std::str::from_utf8(text).ok()?,
            })
        };
        parts().ok_or_else(|| JournalError::Failed("a record is damaged".into()))
    }
}

/// No date is the largest number.
fn date(utc: Option<Utc>) -> [u8; 8] {
    utc.map_or(u64::MAX, Utc::as_millis).to_be_bytes()
}

fn undate(bytes: [u8; 8]) -> Option<Utc> {
    match u64::from_be_bytes(bytes) {
        u64::MAX => None,
        ms => Some(Utc::from_millis(ms)),
    }
}

pub(super) fn passback_bytes(key: &PassbackKey) -> Vec<u8> {
    match key {
        PassbackKey::Subject(subject) => subject.0.to_vec(),
        PassbackKey::Row(row) => row.0.to_vec(),
    }
}

/// Eight bytes are a subject, sixteen a row key.
pub(super) fn passback_key(bytes: &[u8]) -> Option<PassbackKey> {
    if let Ok(subject) = bytes.try_into() {
        return Some(PassbackKey::Subject(Subject(subject)));
    }
    let row = bytes.try_into().ok()?;
    Some(PassbackKey::Row(RowKey(row)))
}

pub(super) const fn direction_byte(direction: Direction) -> u8 {
    match direction {
        Direction::Entry => 0,
        Direction::Exit => 1,
    }
}

pub(super) const fn direction(byte: u8) -> Option<Direction> {
    match byte {
        0 => Some(Direction::Entry),
        1 => Some(Direction::Exit),
        _ => None,
    }
}

pub(super) fn mode_byte(mode: Mode) -> u8 {
    let number = Mode::ALL.iter().position(|known| *known == mode);
    number.and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX)
}

/// What staff want, as [`crate::domain::Restored`] wants it.
pub(super) fn staff_mode((mode, until, by): (u8, Option<u64>, Option<u32>)) -> Option<StaffMode> {
    Some(StaffMode {
        mode: *Mode::ALL.get(usize::from(mode))?,
        by,
        until: until.map(Utc::from_millis),
    })
}

/// An open grant as [`crate::domain::Restored`] wants it.
pub(super) fn open_grant(
    grant: u64,
    (way, lane): (u8, &str),
) -> Option<(Option<String>, Direction, GrantId)> {
    let lane = (!lane.is_empty()).then(|| lane.to_owned());
    Some((lane, direction(way)?, GrantId(grant)))
}
