//! The manifest of a list: what it holds at one version, and where its bytes are. The same bytes go to every gate.
//!
//! JSON inside a DSSE envelope of type [`PAYLOAD_TYPE`]:
//!
//! ```json
//! {"list": "health.demo", "era": 1, "version": 17, "created": 1770000000, "fresh_until": 1770086400,
//!  "pepper_id": 305419896, "rows": 1200000, "digest": "64 hex digits",
//!  "snapshot": ["sha256 of a chunk", "..."], "deltas": [{"from": 16, "chunks": ["..."]}]}
//! ```
//!
//! `created` and `fresh_until` are whole seconds since 1970. Order is (era, version). The chunks of the snapshot, read
//! one after the other, are the list in ascending order of its keys; the chunks of a delta are the changes that lead
//! from version `from` of the same era to this one.

use serde::{Deserialize, Serialize};

use super::dsse::{self, DsseError, PinnedKeys};
use super::hex;
use crate::domain::{Digest, ListId, Utc};
use crate::store::codes::ListState;

/// Payload type of the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.turnstiled.manifest+json";
/// Most chunks of a snapshot: 100 million rows.
pub const SNAPSHOT_CHUNKS_MAX: usize = 8192;
/// Most versions a manifest offers a delta from.
pub const DELTAS_MAX: usize = 64;
/// Most chunks of one delta: one million changes.
pub const DELTA_CHUNKS_MAX: usize = 64;

/// Name of a chunk: SHA-256 of its bytes as they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChunkId(pub [u8; 32]);

impl ChunkId {
    /// Reads 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }
}

impl TryFrom<String> for ChunkId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a chunk is named by 64 hex digits")
    }
}

impl From<ChunkId> for String {
    fn from(id: ChunkId) -> Self {
        hex::encode(&id.0)
    }
}

impl std::fmt::Display for ChunkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// What a list holds at one version. A field this version does not know is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which list.
    pub list: ListId,
    /// Era; a new one is a signed recovery.
    pub era: u32,
    /// Version within the era.
    pub version: u64,
    /// When it was signed; staleness counts from here.
    #[serde(with = "seconds")]
    pub created: Utc,
    /// Until when it is worth deciding by.
    #[serde(with = "seconds")]
    pub fresh_until: Utc,
    /// Which pepper the row keys are made with.
    pub pepper_id: u32,
    /// How many rows.
    pub rows: u64,
    /// Digest over the rows.
    #[serde(with = "digest_hex")]
    pub digest: Digest,
    /// The whole list.
    pub snapshot: Vec<ChunkId>,
    /// Shorter ways from earlier versions.
    pub deltas: Vec<Delta>,
}

/// The changes since an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// That version.
    pub from: u64,
    /// Where the changes are.
    pub chunks: Vec<ChunkId>,
}

/// Why a manifest is refused. The last good one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not signed as it should be.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// Signed, but not a manifest.
    #[error("the manifest cannot be read: {0}")]
    Malformed(String),
    /// The manifest of another list under this list's address.
    #[error("this is the manifest of list {0}")]
    OtherList(ListId),
    /// More chunks or deltas than a list can have.
    #[error("the manifest names too many chunks")]
    TooMany,
}

impl Manifest {
    /// Reads an envelope: signature first, then the document, then whether it is about `list`.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn open(envelope: &[u8], list: &ListId, keys: &PinnedKeys) -> Result<Self, ManifestError> {
        let payload = dsse::verify(envelope, PAYLOAD_TYPE, keys)?;
        let manifest: Self = serde_json::from_slice(&payload)
            .map_err(|error| ManifestError::Malformed(error.to_string()))?;
        if manifest.list != *list {
            return Err(ManifestError::OtherList(manifest.list));
        }
        let too_long = |delta: &Delta| delta.chunks.len() > DELTA_CHUNKS_MAX;
        if manifest.snapshot.len() > SNAPSHOT_CHUNKS_MAX
            || manifest.deltas.len() > DELTAS_MAX
            || manifest.deltas.iter().any(too_long)
        {
            return Err(ManifestError::TooMany);
        }
        Ok(manifest)
    }

    /// What the cache compares with.
    #[must_use]
    pub const fn state(&self) -> ListState {
        ListState {
            era: self.era,
            version: self.version,
            created: self.created,
            fresh_until: self.fresh_until,
            pepper_id: self.pepper_id,
            rows: self.rows,
            digest: self.digest,
        }
    }

    /// True if its snapshot is that of `other`, whenever either was signed.
    #[must_use]
    pub fn has_rows_of(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.era, one.version, one.pepper_id, one.rows, one.digest);
        of(self) == of(other) && self.snapshot == other.snapshot
    }

    /// The changes since `version`, if they are offered.
    #[must_use]
    pub fn delta_from(&self, version: u64) -> Option<&Delta> {
        self.deltas.iter().find(|delta| delta.from == version)
    }
}

mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::Utc;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde's `with` asks for"
    )]
    pub(super) fn serialize<S: Serializer>(at: &Utc, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(at.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Utc, D::Error> {
        u64::deserialize(d).map(Utc::from_secs)
    }
}

mod digest_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::hex;
    use crate::domain::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(digest.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Digest, D::Error> {
        hex::decode(&String::deserialize(d)?)
            .map(Digest::from_bytes)
            .ok_or_else(|| serde::de::Error::custom("a digest is 64 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn list(name: &str) -> ListId {
        ListId::new(name).unwrap()
    }

    fn manifest() -> Manifest {
        Manifest {
            list: list("health"),
            era: 1,
            version: 17,
            created: Utc::from_secs(1_770_000_000),
            fresh_until: Utc::from_secs(1_770_086_400),
            pepper_id: 5,
            rows: 2,
            digest: Digest::from_bytes([0xAB; 32]),
            snapshot: vec![ChunkId([1; 32])],
            deltas: vec![Delta {
                from: 16,
                chunks: vec![ChunkId([2; 32])],
            }],
        }
    }

    fn open(manifest: &Manifest, as_list: &str) -> Result<Manifest, ManifestError> {
        let key = SigningKey::from_bytes(&[9; 32]);
        let keys = PinnedKeys::parse(&[dsse::public_key_text(&key.verifying_key())]).unwrap();
        let payload = serde_json::to_vec(manifest).unwrap();
        Manifest::open(
            dsse::sign(PAYLOAD_TYPE, &payload, &key).as_bytes(),
            &list(as_list),
            &keys,
        )
    }

    #[test]
    fn a_manifest_survives_its_envelope() {
        assert_eq!(open(&manifest(), "health"), Ok(manifest()));
        assert!(manifest().delta_from(16).is_some());
        assert!(manifest().delta_from(15).is_none());
    }

    #[test]
    fn the_manifest_of_another_list_is_refused() {
        assert_eq!(
            open(&manifest(), "ride"),
            Err(ManifestError::OtherList(list("health")))
        );
    }

    #[test]
    fn a_manifest_without_end_is_refused() {
        let mut many = manifest();
        many.snapshot = vec![ChunkId([1; 32]); SNAPSHOT_CHUNKS_MAX + 1];
        assert_eq!(open(&many, "health"), Err(ManifestError::TooMany));
        let mut many = manifest();
        many.deltas = vec![many.deltas[0].clone(); DELTAS_MAX + 1];
        assert_eq!(open(&many, "health"), Err(ManifestError::TooMany));
    }
}
