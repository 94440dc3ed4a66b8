//! What a list is made of: one signed document a version, the same bytes for every gate.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::chunk::ChunkId;
use super::dsse::{self, DsseError, MANIFEST_TYPE};
use super::hex::Hex;
use crate::domain::{Digest, ListId, Utc};
use crate::store::codes::ListState;

/// Longest manifest that is read, bytes of its envelope: 10 M rows have 382 chunks of 67 characters.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// The payload. Times are whole seconds since 1970; unknown keys are ignored, so that a later version can add some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the list. A manifest of another list is refused even if its signature holds.
    pub list: ListId,
    /// A new era is a signed recovery: order is (era, version).
    pub era: u32,
    /// Version within the era.
    pub version: u64,
    /// When it was signed; staleness counts from here.
    pub created: u64,
    /// Until when the backend calls it fresh.
    pub fresh_until: u64,
    /// Which pepper its row keys are made with.
    pub pepper_id: u32,
    /// Rows of the list.
    pub rows: u64,
    /// Digest over its rows.
    pub digest: Hex<32>,
    /// Chunks of the whole list, in ascending order.
    pub snapshot: Vec<ChunkId>,
    /// Shorter ways from earlier versions of this era.
    #[serde(default)]
    pub deltas: Vec<Delta>,
}

/// The changes from one version to the manifest's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The version it starts from.
    pub from: u64,
    /// Its chunks, in ascending order.
    pub chunks: Vec<ChunkId>,
}

/// Why a manifest is refused. It is refused whole.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The payload.
    #[error("the manifest cannot be read: {0}")]
    Payload(#[from] serde_json::Error),
    /// Another list was asked for.
    #[error("this is the manifest of the list {0}")]
    OtherList(ListId),
    /// It contradicts itself.
    #[error("the manifest names one chunk twice, or rows without chunks")]
    Contradiction,
    /// It is older than one that was in force before.
    #[error(
        "version {era}.{version} is older than {floor_era}.{floor_version}, which was in force"
    )]
    RolledBack {
        /// Era offered.
        era: u32,
        /// Version offered.
        version: u64,
        /// Highest era accepted.
        floor_era: u32,
        /// Highest version accepted in it.
        floor_version: u64,
    },
}

impl Manifest {
    /// Opens the envelope of a manifest of `list` that is not older than `floor`, the highest (era, version) that was
    /// ever in force.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn open(
        envelope: &[u8],
        list: &ListId,
        keys: &[VerifyingKey],
        floor: Option<(u32, u64)>,
    ) -> Result<Self, ManifestError> {
        let payload = dsse::open(envelope, MANIFEST_TYPE, keys)?;
        let manifest: Self = serde_json::from_slice(&payload)?;
        if manifest.list != *list {
            return Err(ManifestError::OtherList(manifest.list));
        }
        let distinct: BTreeMap<_, ()> = manifest.snapshot.iter().map(|id| (id, ())).collect();
        if distinct.len() != manifest.snapshot.len()
            || manifest.snapshot.is_empty() != (manifest.rows == 0)
        {
            return Err(ManifestError::Contradiction);
        }
        let Self { era, version, .. } = manifest;
        match floor {
            Some((floor_era, floor_version)) if (era, version) < (floor_era, floor_version) => {
                Err(ManifestError::RolledBack {
                    era,
                    version,
                    floor_era,
                    floor_version,
                })
            }
            Some(_) | None => Ok(manifest),
        }
    }

    /// The state that a gate is in once it has applied this.
    #[must_use]
    pub const fn state(&self) -> ListState {
        ListState {
            era: self.era,
            version: self.version,
            created: Utc::from_secs(self.created),
            fresh_until: Utc::from_secs(self.fresh_until),
            pepper_id: self.pepper_id,
            rows: self.rows,
            digest: Digest::from_bytes(self.digest.0),
        }
    }

    /// The delta that leads here from what a gate has, if there is one.
    #[must_use]
    pub fn delta_from(&self, have: &ListState) -> Option<&Delta> {
        self.deltas
            .iter()
            .find(|delta| have.era == self.era && have.version == delta.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    fn manifest() -> Manifest {
        Manifest {
            list: ListId::new("health").unwrap(),
            era: 1,
            version: 5,
            created: 1_000,
            fresh_until: 2_000,
            pepper_id: 1,
            rows: 1,
            digest: Hex([3; 32]),
            snapshot: vec![Hex([4; 32])],
            deltas: vec![Delta {
                from: 4,
                chunks: vec![Hex([5; 32])],
            }],
        }
    }

    fn open(
        manifest: &Manifest,
        list: &str,
        floor: Option<(u32, u64)>,
    ) -> Result<Manifest, ManifestError> {
        let key = SigningKey::from_bytes(&[1; 32]);
        let envelope = dsse::sign(&key, MANIFEST_TYPE, &serde_json::to_vec(manifest).unwrap());
        Manifest::open(
            &envelope,
            &ListId::new(list).unwrap(),
            &[key.verifying_key()],
            floor,
        )
    }

    #[test]
    fn a_manifest_is_read_as_it_was_signed() {
        assert_eq!(open(&manifest(), "health", None).unwrap(), manifest());
    }

    #[test]
    fn a_list_is_not_swapped_for_another() {
        assert!(matches!(
            open(&manifest(), "rides", None),
            Err(ManifestError::OtherList(_))
        ));
    }

    #[test]
    fn a_version_never_goes_back_and_a_new_era_is_a_recovery() {
        for (floor, accepted) in [
            ((1, 4), true),
            ((1, 5), true),
            ((1, 6), false),
            ((2, 1), false),
            ((0, 99), true),
        ] {
            assert_eq!(
                open(&manifest(), "health", Some(floor)).is_ok(),
                accepted,
                "{floor:?}"
            );
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        for wrong in [
            Manifest {
                rows: 0,
                ..manifest()
            },
            Manifest {
                snapshot: vec![],
                ..manifest()
            },
            Manifest {
                snapshot: vec![Hex([4; 32]); 2],
                ..manifest()
            },
        ] {
            assert!(matches!(
                open(&wrong, "health", None),
                Err(ManifestError::Contradiction)
            ));
        }
    }

    #[test]
    fn a_delta_helps_only_from_its_own_version_and_era() {
        let have = ListState {
            version: 4,
            ..manifest().state()
        };
        assert!(manifest().delta_from(&have).is_some());
        assert!(
            manifest()
                .delta_from(&ListState { version: 3, ..have })
                .is_none()
        );
        assert!(
            manifest()
                .delta_from(&ListState { era: 0, ..have })
                .is_none()
        );
    }
}
