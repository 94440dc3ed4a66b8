//! The trust list that the gate decides by: the file beside the config, or a newer one that was signed. Another one
//! takes its place while the gate serves; a bad one is refused whole.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::codes::{Reader, TrustList};
use crate::domain::Utc;
use crate::sync::dsse::{ENVELOPE_BYTES_MAX, PinnedKeys};
use crate::sync::trust::{self, FollowedTrust, SignedTrust};

/// The reader that lanes read by. Clones are the same.
#[derive(Clone, Debug)]
pub struct InForce(Arc<RwLock<Arc<Reader>>>);

impl From<Reader> for InForce {
    fn from(reader: Reader) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(reader))))
    }
}

impl InForce {
    /// The reader in force. Whoever has begun to read by one ends by it.
    #[must_use]
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads by another trust list from now on.
    pub fn put(&self, trust: TrustList) {
        let reader = Arc::new(self.reader().with_trust(trust));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reader;
    }
}

/// Where the trust list in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file that the config names, which is believed as the config is.
    File,
    /// The backend, signed by a pinned key.
    Signed {
        /// To tell it from another one of the same version.
        digest: [u8; 32],
    },
}

/// What a gate starts with.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The trust list.
    pub list: TrustList,
    /// Where it comes from.
    pub origin: Origin,
    /// What is to be said of the other one.
    pub remark: Option<String>,
}

impl Chosen {
    /// Which one it is, for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        let from = match self.origin {
            Origin::File => "the file of the config",
            Origin::Signed { .. } => "signed, from the backend",
        };
        let until = self.list.not_after.map_or_else(
            || "without an end".to_owned(),
            |end| format!("good until {}", date(end)),
        );
        let (version, issuers) = (self.list.version, self.list.issuers.len());
        format!("trust list: version {version}, {from}, {issuers} issuers, {until}")
    }
}

/// A date for a person.
fn date(at: Utc) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "for ever".into(), |date| date.to_string())
}

/// Where the last signed trust list lies.
#[must_use]
pub fn kept_file(data_dir: &Path) -> PathBuf {
    data_dir.join("trust.json")
}

/// Chooses between the file of the config and the signed trust list that was kept, if there is one: it is taken if it
/// is newer, signed by a key that is pinned now, and not below `floor`, the highest version that was ever accepted.
#[must_use]
pub fn choose(
    file: &TrustList,
    kept: &Path,
    keys: Option<&PinnedKeys>,
    floor: Option<u64>,
) -> Chosen {
    let (of_file, kept_at) = (file.version, kept.display());
    let stay = |remark: Option<String>| Chosen {
        list: file.clone(),
        origin: Origin::File,
        remark,
    };
    let Some(keys) = keys.filter(|_| kept.exists()) else {
        let lost = floor.filter(|floor| of_file < *floor);
        return stay(lost.map(|floor| {
            format!(
                "version {floor}, which was accepted from the backend before, is gone: {kept_at}"
            )
        }));
    };
    let (signed, list) = match read_kept(kept, keys) {
        Ok(read) => read,
        Err(why) => return stay(Some(format!("{kept_at} is refused: {why}"))),
    };
    let version = signed.version;
    if let Some(floor) = floor.filter(|floor| version < *floor) {
        let why = "older than what was accepted before";
        return stay(Some(format!(
            "{kept_at} is refused: version {version} is {why}, version {floor}"
        )));
    }
    if version <= of_file {
        return stay(Some(format!(
            "the signed one, version {version}, is not newer"
        )));
    }
    let digest = trust::digest(&signed.document);
    Chosen {
        list,
        origin: Origin::Signed { digest },
        remark: Some(format!(
            "the file of the config, version {of_file}, is older"
        )),
    }
}

fn read_kept(path: &Path, keys: &PinnedKeys) -> Result<(SignedTrust, TrustList), String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > ENVELOPE_BYTES_MAX as u64 {
        return Err(format!("{length} bytes are too many for a signed document"));
    }
    let envelope = fs::read(path).map_err(|error| error.to_string())?;
    let signed = SignedTrust::open(envelope, keys).map_err(|error| error.to_string())?;
    let list = read(&signed)?;
    Ok((signed, list))
}

/// Reads what was signed; its head is what the signature's side has seen.
fn read(signed: &SignedTrust) -> Result<TrustList, String> {
    let list = TrustList::parse_compiled(&signed.document).map_err(|error| error.to_string())?;
    let head = (Some(signed.created), Some(signed.not_after));
    if list.version != signed.version || (list.created, list.not_after) != head {
        return Err("its version or its dates can be read in two ways".into());
    }
    Ok(list)
}

/// What is followed: a newer trust list is kept in `kept` and put in force.
#[must_use]
pub fn followed(
    in_force: InForce,
    origin: Origin,
    keys: PinnedKeys,
    kept: PathBuf,
) -> FollowedTrust {
    let version = in_force.reader().trust().version;
    let digest = match origin {
        Origin::File => None,
        Origin::Signed { digest } => Some(digest),
    };
    let take = move |signed: &SignedTrust| {
        let list = read(signed)?;
        // Kept first: what is in force now is in force after a restart.
        keep(&kept, &signed.envelope)
            .map_err(|error| format!("{} cannot be written: {error}", kept.display()))?;
        in_force.put(list);
        Ok(())
    };
    FollowedTrust {
        keys,
        in_force: (version, digest),
        take: Arc::new(take),
    }
}

/// Writes beside the file, syncs, and puts it in place.
fn keep(path: &Path, envelope: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(envelope)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

/// True if the date is known and past the last instant of the trust list.
#[must_use]
pub fn is_expired(not_after: Option<Utc>, utc: Option<Utc>) -> bool {
    not_after.zip(utc).is_some_and(|(end, now)| end < now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::dsse;
    use ed25519_dalek::SigningKey;

    const CARD: &str = "[[issuer]]\nid = \"card\"\nprofile = \"idcard\"\n";

    fn file(version: u64) -> TrustList {
        TrustList::parse(&format!("version = {version}\n{CARD}")).unwrap()
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn pinned(seed: u8) -> PinnedKeys {
        PinnedKeys::parse(&[dsse::public_key_text(&key(seed).verifying_key())]).unwrap()
    }

    fn signed(version: u64, seed: u8) -> String {
        let document = format!(
            r#"{{"version":{version},"created":1770000000,"not_after":1780000000,"issuer":[{{"id":"card","profile":"idcard"}}]}}"#
        );
        dsse::sign(trust::PAYLOAD_TYPE, document.as_bytes(), &key(seed))
    }

    #[test]
    fn the_higher_version_counts_and_what_is_wrong_with_the_other_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept_file(dir.path());
        let chosen = |of_file, floor| choose(&file(of_file), &kept, Some(&pinned(1)), floor);
        let is_file = |chosen: &Chosen| chosen.origin == Origin::File;
        assert!(is_file(&chosen(1, None)) && chosen(1, None).remark.is_none());

        fs::write(&kept, signed(5, 1)).unwrap();
        let newer = chosen(4, Some(5));
        assert_eq!((newer.list.version, is_file(&newer)), (5, false));
        assert!(
            newer
                .in_words()
                .contains("version 5, signed, from the backend, 1 issuers, good until 2026-05-28T")
        );
        for of_file in [5, 6] {
            let other = chosen(of_file, None);
            assert_eq!((other.list.version, is_file(&other)), (of_file, true));
            assert!(other.remark.unwrap().contains("version 5, is not newer"));
        }
        // Nobody pins a key any more: it counts for nothing.
        assert!(is_file(&choose(&file(4), &kept, None, None)));

        let told = |of_file, floor| chosen(of_file, floor).remark.unwrap();
        assert!(told(4, Some(6)).contains("older than what was accepted before, version 6"));
        fs::write(&kept, signed(5, 2)).unwrap();
        assert!(told(4, None).contains("no pinned key has signed"));
        fs::write(
            &kept,
            signed(5, 1).replace("payload\":\"e", "payload\":\"f"),
        )
        .unwrap();
        assert!(told(4, None).contains("is refused"));
        fs::remove_file(&kept).unwrap();
        assert!(
            told(4, Some(5))
                .contains("version 5, which was accepted from the backend before, is gone")
        );
    }

    #[test]
    fn what_is_taken_is_kept_and_read_by_at_once_and_what_cannot_be_read_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kept = kept_file(dir.path());
        let in_force = InForce::from(Reader::new(file(1), Vec::new()).unwrap());
        let followed = followed(in_force.clone(), Origin::File, pinned(1), kept.clone());
        assert_eq!(followed.in_force, (1, None));
        let open = |text: String| SignedTrust::open(text.into_bytes(), &pinned(1)).unwrap();
        (followed.take)(&open(signed(5, 1))).unwrap();
        assert_eq!(in_force.reader().trust().version, 5);
        assert_eq!(
            choose(&file(1), &kept, Some(&pinned(1)), Some(5))
                .list
                .version,
            5
        );

        let bad = r#"{"version":6,"created":1770000000,"not_after":1780000000,"issuer":[]}"#;
        let bad = open(dsse::sign(trust::PAYLOAD_TYPE, bad.as_bytes(), &key(1)));
        assert!(
            (followed.take)(&bad)
                .unwrap_err()
                .contains("allowed are 1 to 256")
        );
        let twice = r#"{"version":6,"created":1770000000,"not_after":"2026-05-28T20:26:41Z","issuer":[{"id":"card","profile":"idcard"}]}"#;
        assert!(
            SignedTrust::open(
                dsse::sign(trust::PAYLOAD_TYPE, twice.as_bytes(), &key(1)).into_bytes(),
                &pinned(1)
            )
            .is_err()
        );
        assert_eq!(in_force.reader().trust().version, 5);
        assert_eq!(
            choose(&file(1), &kept, Some(&pinned(1)), Some(5))
                .list
                .version,
            5
        );
    }
}
