//! What a stage may have that the demo does not: another way to the backend, another date, another config.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::enrolled::list_id;
use super::{DemoError, cast};
use crate::backend::Backend;
use crate::config::{self, Config};
use crate::runtime::clock::DateSource;

const TRUST: &str = include_str!("trust.toml");
const CONFIG: &str = include_str!("gate.toml");

/// How a stage differs from that of the demo.
#[derive(Default)]
pub struct Props {
    /// Where the gate looks for the backend; `None`: where it is.
    pub url: Option<String>,
    /// Says the date at the gate.
    pub date: Option<Box<dyn DateSource>>,
    /// What is replaced in the gate's config.
    pub replace: Vec<(String, String)>,
    /// The backend has what it needs, and is gone again before the gate starts.
    pub away_at_boot: bool,
}

/// Writes the files of the gate and reads them back as `run` would.
pub(super) fn write_config(
    folder: &Path,
    backend: &Backend,
    listen: SocketAddr,
    props: &Props,
) -> Result<Config, DemoError> {
    let url = props.url.clone().unwrap_or_else(|| backend.url());
    let text = props
        .replace
        .iter()
        .fold(CONFIG.to_owned(), |text, (from, to)| text.replace(from, to))
        .replace("{url}", &url)
        .replace("{key}", &backend.list_public_key())
        .replace(
            "{pepper}",
            &backend
                .pepper_file(&list_id("health")?)
                .display()
                .to_string(),
        )
        .replace("{user}", &std::fs::metadata(folder)?.uid().to_string())
        .replace("{listen}", &listen.to_string());
    let path = folder.join("gate.toml");
    std::fs::write(&path, text)?;
    let trust = format!("{TRUST}\n{}", cast::issuers()?);
    std::fs::write(folder.join("trust.toml"), trust)?;
    std::fs::create_dir(folder.join("lines"))?;
    Ok(config::load(&path)?)
}
