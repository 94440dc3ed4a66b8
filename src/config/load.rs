//! From a file to a [`Config`]: read, parse, then the rules that concern more than one key.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::tree::{Config, PolicyFile};
use super::{policy_rules, rules};
use crate::domain::certificate_rules;
use crate::domain::document::{self, Fault};

/// Largest config file.
pub const CONFIG_BYTES_MAX: u64 = 256 * 1024;

/// Names the directory with the credentials of a service (systemd, `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Why there is no config. Every message is meant for the person who wrote the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than any config.
    #[error("{} is larger than {CONFIG_BYTES_MAX} bytes: that is no config file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A key is wrong by itself: unknown, missing, of the wrong type, out of range.
    #[error("{}: {fault}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
    },
    /// A key does not fit the others.
    #[error("{}: {fault}", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
    },
}

impl ConfigError {
    /// Path of the key that is wrong, if it is one key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } => None,
            Self::Value { fault, .. } | Self::Rule { fault, .. } => Some(&fault.key),
        }
    }
}

/// Reads and checks the file at `path`. Relative paths in it start at its folder.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let mut config = parse(path, &read(path)?)?;
    let absolute = std::path::absolute(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    config.resolve_paths(absolute.parent().unwrap_or(Path::new("/")));
    if let Some(file) = &config.policy_file {
        let policy = load_policy(file)?;
        (config.policy, config.certificates) = policy.parts();
    }
    Ok(config)
}

/// Reads and checks a policy in a file of its own.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn load_policy(path: &Path) -> Result<PolicyFile, ConfigError> {
    parse_policy(path, &read(path)?)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}

/// Checks `text` as the policy file `path`.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn parse_policy(path: &Path, text: &str) -> Result<PolicyFile, ConfigError> {
    let path = || path.to_owned();
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > CONFIG_BYTES_MAX) {
        return Err(ConfigError::TooLarge { path: path() });
    }
    let file: PolicyFile = document::parse(text).map_err(|fault| ConfigError::Value {
        path: path(),
        fault,
    })?;
    let (policy, certificates) = file.clone().parts();
    policy_rules::check("", &policy)
        .and_then(|()| certificate_rules::check(&certificates))
        .map_err(|broken| ConfigError::Rule {
            path: path(),
            fault: document::fault_at(text, &broken.key, broken.sentence),
        })?;
    Ok(file)
}

/// Checks `text` as the config file `path`. Relative paths stay as they are.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let path = || path.to_owned();
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > CONFIG_BYTES_MAX) {
        return Err(ConfigError::TooLarge { path: path() });
    }
    let config: Config = document::parse(text).map_err(|fault| ConfigError::Value {
        path: path(),
        fault,
    })?;
    rules::check(&config).map_err(|broken| ConfigError::Rule {
        path: path(),
        fault: document::fault_at(text, &broken.key, broken.sentence),
    })?;
    Ok(config)
}

/// The directory of this service's credentials, if systemd runs it and hands it some.
#[must_use]
pub fn credentials() -> Option<PathBuf> {
    std::env::var_os(CREDENTIALS).map(PathBuf::from)
}

/// Where a secret lies: a value without a slash names a credential, if there is one of that name; everything else is a
/// path that starts at `base`.
#[must_use]
pub fn secret(path: &Path, base: &Path, credentials: Option<&Path>) -> PathBuf {
    let bare = path.components().count() == 1 && path.is_relative();
    let credential = credentials.filter(|_| bare).map(|dir| dir.join(path));
    credential
        .filter(|credential| credential.exists())
        .unwrap_or_else(|| base.join(path))
}

impl Config {
    /// The devices and folders that have to be there for every reader and line to work, with their keys.
    #[must_use]
    pub fn devices(&self) -> Vec<(String, &Path)> {
        let mut devices = Vec::new();
        // The simulated board makes its folder itself.
        let chip = self.gpio.chip.as_deref();
        devices.extend(chip.map(|chip| ("gpio.chip".to_owned(), chip)));
        for (i, lane) in self.lanes.iter().enumerate() {
            let chip = lane.gpio.as_ref().and_then(|gpio| gpio.chip.as_deref());
            devices.extend(chip.map(|chip| (format!("lane[{i}].gpio.chip"), chip)));
            for (j, reader) in lane.readers.iter().enumerate() {
                let of = [
                    ("camera.device", reader.camera.as_ref().map(|c| &c.device)),
                    ("folder.path", reader.folder.as_ref().map(|f| &f.path)),
                    ("id_card.port", reader.id_card.as_ref().map(|s| &s.port)),
                    ("line.port", reader.line.as_ref().map(|s| &s.port)),
                    ("rdm6300.port", reader.rdm6300.as_ref().map(|s| &s.port)),
                    ("wiegand.port", reader.wiegand.as_ref().map(|s| &s.port)),
                    ("pn532.port", reader.pn532.as_ref().map(|s| &s.port)),
                    ("osdp.port", reader.osdp.as_ref().map(|s| &s.port)),
                ];
                let given = of.into_iter().filter_map(|(key, path)| Some((key, path?)));
                devices.extend(
                    given.map(|(key, path)| {
                        (format!("lane[{i}].reader[{j}].{key}"), path.as_path())
                    }),
                );
            }
        }
        devices
    }

    /// Makes every relative path start at `base`, the folder of the config file. Secrets may also lie in the directory
    /// of credentials that systemd hands to its services.
    pub fn resolve_paths(&mut self, base: &Path) {
        self.resolve_secrets(base, credentials().as_deref());
        // Joining an absolute path gives that path.
        let resolve = |path: &mut PathBuf| *path = base.join(&*path);
        resolve(&mut self.data_dir);
        resolve(&mut self.trust_file);
        self.policy_file.iter_mut().for_each(resolve);
        self.staff
            .iter_mut()
            .for_each(|staff| resolve(&mut staff.socket));
        let of_lanes = self.lanes.iter_mut().filter_map(|lane| lane.gpio.as_mut());
        for gpio in std::iter::once(&mut self.gpio).chain(of_lanes) {
            gpio.chip.iter_mut().for_each(resolve);
            gpio.folder.iter_mut().for_each(resolve);
        }
        for reader in self.lanes.iter_mut().flat_map(|lane| &mut lane.readers) {
            reader
                .camera
                .iter_mut()
                .for_each(|c| resolve(&mut c.device));
            reader.folder.iter_mut().for_each(|f| resolve(&mut f.path));
            reader.id_card.iter_mut().for_each(|s| resolve(&mut s.port));
            reader.line.iter_mut().for_each(|s| resolve(&mut s.port));
            reader.rdm6300.iter_mut().for_each(|s| resolve(&mut s.port));
            reader.wiegand.iter_mut().for_each(|s| resolve(&mut s.port));
            reader.pn532.iter_mut().for_each(|s| resolve(&mut s.port));
            reader.osdp.iter_mut().for_each(|s| resolve(&mut s.port));
        }
    }

    pub(super) fn resolve_secrets(&mut self, base: &Path, credentials: Option<&Path>) {
        let resolve = |path: &mut PathBuf| *path = secret(path, base, credentials);
        for list in &mut self.lists {
            resolve(&mut list.pepper_file);
            list.next_pepper_file.iter_mut().for_each(resolve);
        }
        for reader in self.lanes.iter_mut().flat_map(|lane| &mut lane.readers) {
            reader
                .osdp
                .iter_mut()
                .for_each(|s| resolve(&mut s.key_file));
        }
        if let Some(backend) = &mut self.backend {
            let files = [&mut backend.certificate, &mut backend.key, &mut backend.ca];
            files.into_iter().flatten().for_each(resolve);
        }
    }
}
