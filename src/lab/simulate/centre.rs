//! The centre of a station: the backend's real inbox, a publisher of lists, a trust list and directives. The links to it
//! behave as their moods say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::SimulationError;
use super::disk::Disk;
use super::mood::Mood;
use super::papers::Papers;
use crate::backend::inbox::{ClaimDesk, Inbox};
use crate::domain::{Digest, GateId, ListId, Mode, Row, RowKey, Utc};
use crate::store::codes::Change;
use crate::sync::client::LinkError;
use crate::sync::manifest::{ChunkId, Delta, Manifest, PAYLOAD_TYPE};
use crate::sync::{chunk, dsse};

type Rows = BTreeMap<RowKey, Row>;

pub(super) struct State {
    /// One a gate.
    pub(super) moods: Vec<Mood>,
    pub(super) inbox: Inbox,
    disk: Disk,
    pub(super) claims: ClaimDesk,
    claims_disk: Disk,
    /// How late it is for claims.
    pub(super) now: Utc,
    list: ListId,
    pepper_id: u32,
    key: SigningKey,
    rows: Arc<Rows>,
    pub(super) era: u32,
    pub(super) version: u64,
    today: Utc,
    pub(super) chunks: BTreeMap<ChunkId, Vec<u8>>,
    pub(super) newest: Vec<u8>,
    /// The first manifest that was ever published.
    pub(super) first: Vec<u8>,
    /// What the newest says, in the name of somebody else.
    pub(super) next: Option<Manifest>,
    /// What each version said, for the oracle.
    history: BTreeMap<(u32, u64), Arc<Rows>>,
    /// Whom it knows and no list holds: canonical text to row.
    pub(super) visitors: BTreeMap<String, Row>,
    /// Trust list and directives.
    pub(super) papers: Papers,
    backup: Option<Backup>,
}

struct Backup {
    disk: Disk,
    claims: Disk,
    version: u64,
    rows: Arc<Rows>,
}

/// The centre; clones are the same one.
#[derive(Clone)]
pub(super) struct Centre(Arc<Mutex<State>>);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Whom nobody should believe.
pub(super) fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

impl Centre {
    /// A centre that has published nothing yet, for so many gates.
    ///
    /// # Errors
    /// [`SimulationError`] if its inbox cannot be made.
    pub(super) fn new(list: ListId, pepper_id: u32, gates: usize) -> Result<Self, SimulationError> {
        let disk = Disk::default();
        let inbox = open(&disk)?;
        let claims_disk = Disk::default();
        let claims = ClaimDesk::open(claims_disk.clone())?;
        Ok(Self(Arc::new(Mutex::new(State {
            moods: vec![Mood::Well; gates],
            inbox,
            disk,
            claims,
            claims_disk,
            now: Utc::default(),
            list,
            pepper_id,
            key: key(),
            rows: Arc::default(),
            era: 1,
            version: 0,
            today: Utc::default(),
            chunks: BTreeMap::new(),
            newest: Vec::new(),
            first: Vec::new(),
            next: None,
            history: BTreeMap::new(),
            visitors: BTreeMap::new(),
            papers: Papers::default(),
            backup: None,
        }))))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that gates pin, as configs hold it.
    #[must_use]
    pub(super) fn public_key(&self) -> String {
        dsse::public_key_text(&self.state().key.verifying_key())
    }

    /// From now on the link of a gate behaves so.
    pub(super) fn set_mood(&self, gate: usize, mood: Mood) {
        if let Some(of) = self.state().moods.get_mut(gate) {
            *of = mood;
        }
    }

    /// Publishes these changes as the next version, signed `today`.
    ///
    /// # Errors
    /// [`SimulationError`] if the chunks cannot be made.
    pub(super) fn publish(
        &self,
        today: Utc,
        changes: &[(RowKey, Row)],
    ) -> Result<(), SimulationError> {
        let state = &mut *self.state();
        state.today = today;
        state.version = state.version.saturating_add(1);
        Arc::make_mut(&mut state.rows).extend(changes.iter().copied());
        state.publish(changes)
    }

    /// Signs the next trust list.
    pub(super) fn publish_trust(&self, today: Utc) -> Result<(), SimulationError> {
        let state = &mut *self.state();
        state.papers.publish_trust(today, &state.key)
    }

    /// Signs a directive for every lane of a gate, or, without a mode, the end of the one before.
    pub(super) fn direct(
        &self,
        gate: &GateId,
        mode: Option<Mode>,
        from: Utc,
        until: Utc,
    ) -> Result<(), SimulationError> {
        let state = &mut *self.state();
        let key = &state.key;
        state.papers.direct(gate, mode, from, until, key)
    }

    /// Somebody whom only the centre knows.
    pub(super) fn knows(&self, identifier: &str, row: Row) {
        self.state().visitors.insert(identifier.into(), row);
    }

    /// Makes a backup of everything.
    pub(super) fn back_up(&self) {
        let state = &mut *self.state();
        state.backup = Some(Backup {
            disk: state.disk.copy(),
            claims: state.claims_disk.copy(),
            version: state.version,
            rows: Arc::clone(&state.rows),
        });
    }

    /// Comes back with the backup, if there is one: what came after it is not known there any more. True if it did.
    ///
    /// # Errors
    /// As [`Centre::publish`].
    pub(super) fn restore(&self) -> Result<bool, SimulationError> {
        let state = &mut *self.state();
        let Some(backup) = state.backup.take() else {
            return Ok(false);
        };
        state.inbox = open(&backup.disk)?;
        state.disk = backup.disk;
        state.claims = ClaimDesk::open(backup.claims.clone())?;
        state.claims_disk = backup.claims;
        (state.version, state.rows) = (backup.version, backup.rows);
        state.publish(&[])?;
        Ok(true)
    }

    /// The operator declares a new era: what the centre has now is in force, whatever was before.
    ///
    /// # Errors
    /// As [`Centre::publish`].
    pub(super) fn begin_era(&self, today: Utc) -> Result<(), SimulationError> {
        let state = &mut *self.state();
        state.today = today;
        (state.era, state.version) = (state.era.saturating_add(1), 1);
        state.publish(&[])
    }

    /// What the list said of a key at a version; `None` if there was no such version.
    #[must_use]
    pub(super) fn said(&self, at: (u32, u64), key: &RowKey) -> Option<Option<Row>> {
        let state = self.state();
        state.history.get(&at).map(|rows| rows.get(key).copied())
    }

    /// The newest version.
    #[must_use]
    pub(super) fn newest(&self) -> (u32, u64) {
        let state = self.state();
        (state.era, state.version)
    }

    /// Every record that has come from `gate`, in the order of arrival.
    ///
    /// # Errors
    /// [`SimulationError`] if the inbox fails.
    pub(super) fn received(&self, gate: &GateId) -> Result<Vec<(u64, String)>, SimulationError> {
        let state = self.state();
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let (found, looked) = state.inbox.received(gate, after, 1_000)?;
            if found.is_empty() {
                return Ok(all);
            }
            all.extend(found.into_iter().map(|one| (one.seq, one.record)));
            after = looked;
        }
    }
}

fn open(disk: &Disk) -> Result<Inbox, SimulationError> {
    Ok(Inbox::open(disk.clone())?)
}

impl State {
    fn publish(&mut self, changes: &[(RowKey, Row)]) -> Result<(), SimulationError> {
        let put = |(key, row): (&RowKey, &Row)| Change::Put(*key, row.encode());
        let whole: Vec<_> = self.rows.iter().map(put).collect();
        let mut digest = Digest::default();
        for (key, row) in self.rows.iter() {
            digest.add(key, &row.encode());
        }
        let sorted: BTreeMap<_, _> = changes.iter().copied().collect();
        let step: Vec<_> = sorted.iter().map(put).collect();
        let mut deltas = Vec::new();
        if !step.is_empty() && self.version > 1 {
            let chunks = vec![self.store(&step)?];
            deltas.push(Delta {
                from: self.version.saturating_sub(1),
                chunks,
            });
        }
        let manifest = Manifest {
            list: self.list.clone(),
            era: self.era,
            version: self.version,
            created: self.today,
            fresh_until: self.today + Duration::from_secs(86_400),
            pepper_id: self.pepper_id,
            rows: self.rows.len() as u64,
            digest,
            snapshot: vec![self.store(&whole)?],
            deltas,
        };
        self.history
            .insert((self.era, self.version), Arc::clone(&self.rows));
        self.newest = sign(&manifest, &self.key)?;
        if self.first.is_empty() {
            self.first.clone_from(&self.newest);
        }
        self.next = Some(Manifest {
            version: self.version.saturating_add(9),
            ..manifest
        });
        Ok(())
    }

    fn store(&mut self, changes: &[Change]) -> Result<ChunkId, SimulationError> {
        let (id, packed) =
            chunk::pack(changes).map_err(|error| SimulationError(error.to_string()))?;
        self.chunks.insert(id, packed);
        Ok(id)
    }

    /// The manifest as a link in this mood has it.
    ///
    /// # Errors
    /// [`SimulationError`] if it cannot be signed.
    pub(super) fn manifest(&self, mood: Mood) -> Result<Vec<u8>, SimulationError> {
        match (mood, &self.next) {
            (Mood::Forging, Some(next)) => sign(next, &stranger()),
            (Mood::Swapping, Some(next)) => {
                let list =
                    ListId::new("other").map_err(|error| SimulationError(error.to_string()))?;
                let other = Manifest {
                    list,
                    ..next.clone()
                };
                sign(&other, &self.key)
            }
            (Mood::RollingBack, _) => Ok(self.first.clone()),
            (
                Mood::Well
                | Mood::Away
                | Mood::Late
                | Mood::Failing
                | Mood::Nonsense
                | Mood::Greedy
                | Mood::Repeating
                | Mood::Forging
                | Mood::Swapping,
                _,
            ) => Ok(self.newest.clone()),
        }
    }

    /// The mood of a gate's link, or the error that it makes of any call.
    pub(super) fn there(&self, gate: usize) -> Result<Mood, LinkError> {
        let mood = self.moods.get(gate).copied().unwrap_or_default();
        match mood {
            Mood::Away => Err(LinkError::Away(String::new())),
            Mood::Late => Err(LinkError::Late),
            Mood::Failing => Err(LinkError::Status(500)),
            Mood::Well
            | Mood::Nonsense
            | Mood::Greedy
            | Mood::Repeating
            | Mood::Forging
            | Mood::RollingBack
            | Mood::Swapping => Ok(mood),
        }
    }
}

fn sign(manifest: &Manifest, key: &SigningKey) -> Result<Vec<u8>, SimulationError> {
    let payload =
        serde_json::to_vec(manifest).map_err(|error| SimulationError(error.to_string()))?;
    Ok(dsse::sign(PAYLOAD_TYPE, &payload, key).into_bytes())
}
