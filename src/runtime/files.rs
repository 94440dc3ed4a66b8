//! The files that a config names, read and checked as `check` and `run` both do; and why a gate does not start.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::trust::{self, Chosen, InForce};
use super::trust_watch::TrustWatch;
use crate::codes::{Pepper, Reader, TrustList};
use crate::config::Config;
use crate::config::tree::Backend;
use crate::domain::{ListId, Utc};
use crate::drivers::serial::{Key, is_public_key};
use crate::store::journal::Journal;
use crate::sync::hex;
use crate::sync::tls::{self, Facts, Material, SharedDate};
use crate::sync::trust::FLOOR;
use crate::sync::{Addressee, Client, ClientError, Followed, FollowedTrust, PinnedKeys};

/// Whose pepper it is that belongs to no list.
const OWN: &str = "own";

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file that the config names.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random number: {0}")]
    Random(String),
    /// Something in the config that is only known once it is tried.
    #[error("{0}")]
    Config(String),
    /// The pages' address.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The socket for staff.
    #[error("cannot listen on {}, where staff come to", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal. It is never replaced silently: somebody may want to save what is in it.
    #[error(transparent)]
    Journal(#[from] crate::store::journal::JournalError),
    /// The codes cache, for a reason that dropping it does not cure.
    #[error(transparent)]
    Codes(#[from] crate::store::codes::CodesError),
    /// Threads or tasks.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] crate::telemetry::metrics::MetricsError),
}

impl StartError {
    /// True if the config, or a file it names, has to be changed.
    #[must_use]
    pub const fn is_config(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Config(_))
    }
}

/// What the files that a config names hold.
pub struct Files {
    pub(super) trust: TrustFiles,
    pub(super) followed: Vec<Followed>,
    pub(super) link: Option<Link>,
    /// Keys of OSDP readers, by the name of the reader.
    pub(super) reader_keys: Vec<(String, Key)>,
}

/// What a trust list is chosen from, and the peppers that go with it.
pub(super) struct TrustFiles {
    file: TrustList,
    kept: PathBuf,
    peppers: Vec<(ListId, Pepper)>,
    pub(super) keys: Option<PinnedKeys>,
}

/// The trust list of a gate that starts.
pub(super) struct StartedTrust {
    pub(super) in_force: InForce,
    pub(super) followed: Option<FollowedTrust>,
    pub(super) watch: TrustWatch,
}

impl TrustFiles {
    /// The trust list to start with; `floor`: the highest version that was ever accepted, as far as it is known.
    pub(super) fn choose(&self, floor: Option<u64>) -> Chosen {
        trust::choose(&self.file, &self.kept, self.keys.as_ref(), floor)
    }

    /// A reader by this trust list.
    pub(super) fn reader(&self, list: TrustList) -> Result<Reader, StartError> {
        Reader::new(list, self.peppers.clone())
            .map_err(|error| StartError::Config(error.to_string()))
    }

    /// The newest trust list there is here, put in force; and how another one takes its place.
    pub(super) fn start(
        &self,
        data_dir: &Path,
        journal: &Journal,
    ) -> Result<StartedTrust, StartError> {
        let floor = journal.floor(FLOOR)?.map(|(_, version)| version);
        let chosen = self.choose(floor);
        tracing::info!("{}", chosen.in_words());
        if let Some(remark) = &chosen.remark {
            tracing::warn!("trust list: {remark}");
        }
        let watch = TrustWatch::new(&chosen);
        let in_force = InForce::from(self.reader(chosen.list)?);
        let kept = trust::kept_file(data_dir);
        let keys = self.keys.clone();
        let followed =
            keys.map(|keys| trust::followed(in_force.clone(), chosen.origin, keys, kept));
        Ok(StartedTrust {
            in_force,
            followed,
            watch,
        })
    }

    /// A gate that follows no list has a pepper of its own: passback remembers people by row keys.
    pub(super) fn with_own_pepper(&mut self, data_dir: &Path) -> Result<(), StartError> {
        if self.peppers.is_empty() {
            let name = ListId::new(OWN).map_err(|error| StartError::Config(error.to_string()))?;
            self.peppers.push((name, own_pepper(data_dir)?));
        }
        Ok(())
    }
}

impl Files {
    /// Which trust list a gate with these files starts with, in words.
    #[must_use]
    pub fn trust_in_words(&self) -> Vec<String> {
        let chosen = self.trust.choose(None);
        let mut words = vec![chosen.in_words()];
        words.extend(chosen.remark);
        words
    }
}

/// The way to the backend.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) keys: PinnedKeys,
    /// Whose directives are followed; nothing where no key is pinned for them.
    pub(super) addressee: Option<Addressee>,
    /// Nothing where it is plain HTTP.
    pub(super) secure: Option<Secure>,
}

/// What a gate shows its backend.
pub(super) struct Secure {
    pub(super) files: tls::Files,
    /// Validity of the certificate and of the authority.
    pub(super) facts: (Facts, Facts),
    pub(super) date: SharedDate,
}

/// Reads and checks every file the config names, as `check` and `run` both do.
///
/// # Errors
/// [`StartError::File`] or [`StartError::Config`].
pub fn read_files(config: &Config) -> Result<Files, StartError> {
    let path = &config.trust_file;
    let trust = TrustList::parse(&text(path)?).map_err(|error| file(path, error.to_string()))?;
    let mut peppers = Vec::new();
    let mut followed = Vec::new();
    for list in &config.lists {
        let mut pepper_ids = Vec::new();
        for path in std::iter::once(&list.pepper_file).chain(&list.next_pepper_file) {
            let pepper = read_pepper(path)?;
            pepper_ids.push(pepper.id());
            peppers.push((list.name.clone(), pepper));
        }
        followed.push(Followed {
            list: list.name.clone(),
            pepper_ids,
        });
    }
    let mut trust = TrustFiles {
        file: trust,
        kept: trust::kept_file(&config.data_dir),
        peppers,
        keys: None,
    };
    trust.reader(trust.file.clone())?;
    let mut link = None;
    if let Some(backend) = &config.backend {
        let of_key = |key: &str, error: &dyn std::error::Error| {
            StartError::Config(format!("key `backend.{key}`: {error}"))
        };
        let keys =
            PinnedKeys::parse(&backend.list_keys).map_err(|error| of_key("list_keys", &error))?;
        if !backend.trust_keys.is_empty() {
            let keys = PinnedKeys::parse(&backend.trust_keys);
            trust.keys = Some(keys.map_err(|error| of_key("trust_keys", &error))?);
        }
        let addressee = addressee(config, backend, of_key)?;
        let (client, secure) = connect(config, backend, of_key)?;
        link = Some(Link {
            client,
            keys,
            addressee,
            secure,
        });
    }
    Ok(Files {
        reader_keys: reader_keys(config)?,
        trust,
        followed,
        link,
    })
}

/// Whose directives the gate follows.
fn addressee(
    config: &Config,
    backend: &Backend,
    of_key: impl Fn(&str, &dyn std::error::Error) -> StartError,
) -> Result<Option<Addressee>, StartError> {
    if backend.directive_keys.is_empty() {
        return Ok(None);
    }
    let keys = PinnedKeys::parse(&backend.directive_keys)
        .map_err(|error| of_key("directive_keys", &error))?;
    Ok(Some(Addressee::new(&config.gate, &backend.groups, keys)))
}

/// The client of this backend: with the gate's certificate if it is called by TLS.
fn connect(
    config: &Config,
    backend: &Backend,
    of_key: impl Fn(&str, &dyn std::error::Error) -> StartError,
) -> Result<(Client, Option<Secure>), StartError> {
    let of_url = |error: ClientError| of_key("url", &error);
    let (Some(certificate), Some(key), Some(ca)) =
        (&backend.certificate, &backend.key, &backend.ca)
    else {
        return Ok((Client::new(&backend.url).map_err(of_url)?, None));
    };
    let files = tls::Files {
        certificate: certificate.clone(),
        key: key.clone(),
        ca: ca.clone(),
    };
    let material = Material::read_for(&files, &config.gate)
        .map_err(|tls::FileError { path, why }| StartError::File { path, why })?;
    let date = SharedDate::new(Utc::default());
    let client = Client::secure(&backend.url, &material, date.date()).map_err(of_url)?;
    let facts = (material.facts, material.authority);
    let secure = Secure { files, facts, date };
    Ok((client, Some(secure)))
}

fn file(path: &Path, why: String) -> StartError {
    StartError::File {
        path: path.into(),
        why,
    }
}

fn text(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|error| file(path, error.to_string()))
}

/// Reads the gate's own pepper, or makes it.
fn own_pepper(data_dir: &Path) -> Result<Pepper, StartError> {
    let path = data_dir.join(format!("{OWN}.pepper"));
    if path.exists() {
        return read_pepper(&path);
    }
    let failed = |error: std::io::Error| file(&path, error.to_string());
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut()).map_err(|error| file(&path, error.to_string()))?;
    let text = zeroize::Zeroizing::new(hex::encode(secret.as_ref()));
    let mut beside = tempfile::NamedTempFile::new_in(data_dir).map_err(failed)?;
    beside.write_all(text.as_bytes()).map_err(failed)?;
    beside.as_file().sync_all().map_err(failed)?;
    beside.persist(&path).map_err(|error| failed(error.error))?;
    std::fs::File::open(data_dir)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    read_pepper(&path)
}

/// The keys of all OSDP readers.
fn reader_keys(config: &Config) -> Result<Vec<(String, Key)>, StartError> {
    let readers = config.lanes.iter().flat_map(|lane| &lane.readers);
    readers
        .filter_map(|reader| Some((&reader.name, reader.osdp.as_ref()?)))
        .map(|(name, osdp)| Ok((name.clone(), reader_key(&osdp.key_file)?)))
        .collect()
}

/// The key of an OSDP reader, out of its file.
///
/// # Errors
/// [`StartError`] if everybody may read it, or it is no key.
pub fn reader_key(path: &Path) -> Result<Key, StartError> {
    not_for_everybody(path, "whoever has it can speak for the reader")?;
    let secret = zeroize::Zeroizing::new(text(path)?);
    let wrong = || file(path, "a key has 32 hex digits".into());
    let mut bytes = zeroize::Zeroizing::new([0_u8; 16]);
    let digits = secret.trim_ascii().as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    let key = Key::new(*bytes);
    if is_public_key(&key) {
        let why = "this is the key that the standard prints, everybody has it: give the reader one of its own";
        return Err(file(path, why.into()));
    }
    Ok(key)
}

fn read_pepper(path: &Path) -> Result<Pepper, StartError> {
    not_for_everybody(path, "whoever has it can enumerate ID numbers")?;
    let secret = zeroize::Zeroizing::new(text(path)?);
    Pepper::parse(&secret).map_err(|error| file(path, error.to_string()))
}

fn not_for_everybody(path: &Path, danger: &str) -> Result<(), StartError> {
    let mode = std::fs::metadata(path)
        .map_err(|error| file(path, error.to_string()))?
        .permissions()
        .mode();
    if mode & 0o007 != 0 {
        let why = format!("everybody may use it; {danger}: chmod o-rwx");
        return Err(file(path, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_key_is_32_hex_digits_is_not_the_public_one_and_not_for_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reader.key");
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            reader_key(&path)
        };
        let key = "944b8eddcbaa2b5fe2b0148d1b2f95c9\n";
        assert_eq!(read(key, 0o640).unwrap().expose()[..2], [0x94, 0x4B]);
        for (text, mode, sentence) in [
            (
                key,
                0o644,
                "everybody may use it; whoever has it can speak for the reader",
            ),
            (
                "303132333435363738393a3b3c3d3e3f",
                0o600,
                "the key that the standard prints",
            ),
            ("94 4b", 0o600, "a key has 32 hex digits"),
            (
                "+44b8eddcbaa2b5fe2b0148d1b2f95c9",
                0o600,
                "a key has 32 hex digits",
            ),
        ] {
            let error = read(text, mode).unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_gate_without_lists_has_a_pepper_of_its_own_that_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = own_pepper(dir.path()).unwrap();
        assert!(first == own_pepper(dir.path()).unwrap());
        let path = dir.path().join("own.pepper");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        assert!(own_pepper(tempfile::tempdir().unwrap().path()).unwrap() != first);
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(
            own_pepper(dir.path()),
            Err(StartError::File { .. })
        ));
    }
}
