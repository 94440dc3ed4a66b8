//! Enrols a gate: everything it needs to find, believe and convince this backend, in one new directory.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ca::Authority;
use super::secrets::{self, io_error, write_durably};
use super::{BackendError, public_key_text, trust};
use crate::domain::{GateId, ListId, Utc};

/// What to make.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// For whom.
    pub gate: GateId,
    /// How long the certificate lives, in days.
    pub days: u32,
    /// The address that the gate calls.
    pub url: String,
    /// The lists that it follows; empty: all that have a pepper.
    pub lists: Vec<ListId>,
    /// The new directory.
    pub out: PathBuf,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Last instant of the certificate.
    pub not_after: Utc,
    /// The lists.
    pub lists: Vec<ListId>,
}

#[derive(Serialize)]
struct Fragment<'a> {
    backend: Link<'a>,
    list: Vec<List>,
}

#[derive(Serialize)]
struct Link<'a> {
    url: &'a str,
    certificate: &'a str,
    key: &'a str,
    ca: &'a str,
    list_keys: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_keys: Option<[String; 1]>,
}

#[derive(Serialize)]
struct List {
    name: ListId,
    pepper_file: String,
}

/// Makes the bundle of a gate: whole, or not at all. A backend may be running on the data directory.
///
/// # Errors
/// [`BackendError::Exists`] if there is something where it should go; [`BackendError::NoList`] without any list.
pub fn enrol(data: &Path, wanted: &Enrolment, now: Utc) -> Result<Enrolled, BackendError> {
    let out = &wanted.out;
    if occupied(out).map_err(|source| io_error(out, source))? {
        return Err(BackendError::Exists(out.clone()));
    }
    let lists = lists(data, &wanted.lists)?;
    let authority = Authority::open_or_create(data, now)?;
    let issued = authority.gate(&wanted.gate, wanted.days, now)?;
    let list_key = public_key_text(&secrets::signing_key(data)?);
    let trust_key = trust::public_key(data)?;

    let parent = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let failed = |source| io_error(out, source);
    fs::create_dir_all(parent).map_err(failed)?;
    // For its owner only, and gone again if anything goes wrong.
    let beside = tempfile::Builder::new()
        .prefix(".enrol-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(failed)?;
    let write = |name: &str, text: &str, mode| {
        let path = beside.path().join(name);
        write_durably(&path, text.as_bytes(), mode).map_err(|source| io_error(&path, source))
    };
    write("gate.key", &issued.key, 0o600)?;
    write("gate.pem", &issued.certificate, 0o644)?;
    write("ca.pem", &authority.pem, 0o644)?;
    write("list.pub", &format!("{list_key}\n"), 0o644)?;
    for list in &lists {
        let from = secrets::pepper_file(data, list);
        let pepper = fs::read_to_string(&from).map_err(|source| io_error(&from, source))?;
        let pepper = zeroize::Zeroizing::new(pepper);
        write(&pepper_name(list), &pepper, 0o600)?;
    }
    write(
        "gate-fragment.toml",
        &fragment(wanted, list_key, trust_key, &lists)?,
        0o644,
    )?;
    fs::rename(beside.path(), out).map_err(failed)?;
    // Its old path is gone.
    let _ = beside.keep();
    fs::File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(failed)?;
    Ok(Enrolled {
        not_after: issued.not_after,
        lists,
    })
}

/// True unless there is nothing, or an empty directory.
fn occupied(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    }
}

/// The lists of the gate, each with a pepper.
fn lists(data: &Path, wanted: &[ListId]) -> Result<Vec<ListId>, BackendError> {
    let lists = if wanted.is_empty() {
        secrets::lists_with_pepper(data)?
    } else {
        wanted.to_vec()
    };
    if lists.is_empty() {
        return Err(BackendError::NoList);
    }
    for list in &lists {
        secrets::pepper(data, list)?;
    }
    Ok(lists)
}

fn pepper_name(list: &ListId) -> String {
    format!("{list}.pepper")
}

fn fragment(
    wanted: &Enrolment,
    list_key: String,
    trust_key: Option<String>,
    lists: &[ListId],
) -> Result<String, BackendError> {
    let list = |list: &ListId| List {
        name: list.clone(),
        pepper_file: pepper_name(list),
    };
    let tables = toml::to_string(&Fragment {
        backend: Link {
            url: &wanted.url,
            certificate: "gate.pem",
            key: "gate.key",
            ca: "ca.pem",
            list_keys: [list_key],
            trust_keys: trust_key.map(|key| [key]),
        },
        list: lists.iter().map(list).collect(),
    })
    .map_err(|error| BackendError::Issue(error.to_string()))?;
    let gate = &wanted.gate;
    Ok(format!(
        "# What the config of gate \"{gate}\" needs: its first line is gate = \"{gate}\", these tables come at its end.\n\
         # The files lie beside the config, or are credentials of the service (LoadCredential=gate.key:/... and so on).\n\
         # To renew the certificate, enrol again and put gate.pem and gate.key in place: no restart is needed.\n\n\
         {tables}"
    ))
}
