//! `gate-fragment.toml`: the lines that a gate's config needs, kept up by the backend.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use super::BackendError;
use super::secrets::{io_error, pepper_file, write_durably};
use crate::domain::ListId;

/// Name of the file.
const FILE: &str = "gate-fragment.toml";

#[derive(Serialize)]
struct Fragment {
    backend: Link,
    list: Vec<List>,
}

#[derive(Serialize)]
struct Link {
    url: String,
    list_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_keys: Option<[String; 1]>,
}

#[derive(Serialize)]
struct List {
    name: String,
    pepper_file: String,
}

pub(super) fn write(
    dir: &Path,
    addr: SocketAddr,
    key: &str,
    trust_key: Option<String>,
    lists: &[ListId],
) -> Result<(), BackendError> {
    let path = dir.join(FILE);
    let list = |list: &ListId| List {
        name: list.to_string(),
        pepper_file: pepper_file(dir, list).display().to_string(),
    };
    let fragment = Fragment {
        backend: Link {
            url: format!("http://{addr}"),
            list_keys: vec![key.to_owned()],
            trust_keys: trust_key.map(|key| [key]),
        },
        list: lists.iter().map(list).collect(),
    };
    let tables = toml::to_string(&fragment).map_err(|error| BackendError::Secret {
        path: path.clone(),
        what: error.to_string(),
    })?;
    let text = format!(
        "# What the config of a gate on this machine needs. Written by the backend.\n\n{tables}"
    );
    write_durably(&path, text.as_bytes(), 0o644).map_err(|source| io_error(&path, source))
}
