//! `turnstiled codes import`: a CSV file becomes a list.
//!
//! Identifiers do not leave this process: it makes the row keys itself, with the pepper of the list. Over HTTP the
//! backend says in which file on this machine the pepper lies, never what it is; whoever may not read that file
//! cannot import. Nothing is sent before the last line has been read and found good.

mod body;
mod csv;
mod rows;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use zeroize::Zeroize as _;

use crate::backend::{BackendError, Imported, Mode, Offline, StoreError};
use crate::codes::row_key::{Pepper, PepperError};
use crate::domain::ListId;
use crate::sync::client::{self, Client, ClientError, LinkError};
use crate::sync::spool::{Spool, SpoolError};
use body::FileBody;
use rows::ReadError;

pub use csv::CsvError;

/// A large list takes its time.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Makes a list out of a CSV file with the columns kind, issuer, identifier, colour, and if wanted valid_from,
/// valid_until, entitlements, subject, region.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ImportArgs {
    /// The list.
    #[arg(long, value_parser = ListId::new)]
    pub list: ListId,
    /// The file; its first line names the columns.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The backend to import through.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9480",
        conflicts_with = "data"
    )]
    pub backend: String,
    /// Import straight into this directory, on which no backend is running.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// File with the pepper of the list; if absent, the one that the backend names.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub pepper_file: Option<PathBuf>,
    /// The file is the whole list: who is not in it is taken out. This is the default.
    #[arg(long, conflicts_with = "patch")]
    pub replace: bool,
    /// The file is what changes: who is not in it stays; the colour `removed` takes somebody out.
    #[arg(long)]
    pub patch: bool,
    /// The rows are made with the list's next pepper, which it has from then on. Gates need its file before: see
    /// `next_pepper_file` in their config.
    #[arg(long, conflicts_with = "patch")]
    pub next_pepper: bool,
    /// A signed recovery, after the backend has lost its newest versions: gates accept what they would refuse as old.
    #[arg(long)]
    pub new_era: bool,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is bad.
    #[error("{path}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line and what is wrong with it.
        source: CsvError,
    },
    /// There is no room to sort the rows.
    #[error("rows cannot be put in order")]
    Sort(#[source] SpoolError),
    /// The pepper cannot be read.
    #[error(
        "cannot read the pepper in {path}; run this as the backend's user, or name another file with --pepper-file"
    )]
    PepperFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no pepper.
    #[error("{path} holds no pepper")]
    Pepper {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PepperError,
    },
    /// The file holds the pepper of another list.
    #[error("{path} holds another pepper than that of list {list}")]
    OtherPepper {
        /// The file.
        path: PathBuf,
        /// The list.
        list: ListId,
    },
    /// The address is none.
    #[error(transparent)]
    Address(#[from] ClientError),
    /// The backend is not there.
    #[error("no backend at {url}; start one, or import with --data into its directory")]
    Away {
        /// Its address.
        url: String,
        /// Why.
        source: LinkError,
    },
    /// The backend refused, and says why.
    #[error("the backend refuses: {0}")]
    Refused(String),
    /// A backend is running on the directory.
    #[error("a backend is running on {data}; import through it, with --backend instead of --data")]
    InUse {
        /// The directory.
        data: PathBuf,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Backend(BackendError),
    /// A task ended before its work was done.
    #[error("the work was cut short")]
    CutShort,
}

impl ImportError {
    /// The exit code of `sysexits`: 65 bad data, 66 no input, 69 no backend, 75 try again, 77 no permission.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Line { .. } | Self::Refused(_) => 65,
            Self::Input { .. } => 66,
            Self::PepperFile { .. } | Self::Pepper { .. } | Self::OtherPepper { .. } => 77,
            Self::Address(_) => 64,
            Self::Away { .. } | Self::Backend(_) | Self::Sort(_) | Self::CutShort => 69,
            Self::InUse { .. } => 75,
        }
    }
}

/// What was imported, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The list.
    pub list: ListId,
    /// Lines with a row.
    pub lines: u64,
    /// What it came to.
    pub imported: Imported,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Imported {
            era,
            version,
            rows,
            changed,
        } = self.imported;
        let lines = self.lines;
        let what = if changed {
            "is now"
        } else {
            "has not changed and stays"
        };
        write!(
            f,
            "{lines} lines read; list {} {what} at era {era}, version {version}, with {rows} rows",
            self.list
        )
    }
}

/// Imports the file.
///
/// # Errors
/// [`ImportError`]; nothing was imported then.
pub async fn run(args: &ImportArgs) -> Result<Summary, ImportError> {
    let mode = if args.patch {
        Mode::Patch
    } else {
        Mode::Replace
    };
    match &args.data {
        Some(data) => {
            let (args, data) = (args.clone(), data.clone());
            tokio::task::spawn_blocking(move || offline(&args, &data, mode))
                .await
                .map_err(|_| ImportError::CutShort)?
        }
        None => online(args, mode).await,
    }
}

fn offline(args: &ImportArgs, data: &Path, mode: Mode) -> Result<Summary, ImportError> {
    let failed = |error| {
        if matches!(error, BackendError::Store(StoreError::InUse { .. })) {
            return ImportError::InUse { data: data.into() };
        }
        ImportError::Backend(error)
    };
    let store = Offline::open(data).map_err(failed)?;
    let pepper = if args.next_pepper {
        store.next_pepper(&args.list)
    } else {
        store.pepper(&args.list)
    };
    let pepper = pepper.map_err(failed)?;
    let rows = read(&args.file, &pepper, mode, data)?;
    let lines = rows.rows();
    let imported = store
        .import_rows(&args.list, mode, args.new_era, pepper.id(), rows)
        .map_err(failed)?;
    Ok(Summary {
        list: args.list.clone(),
        lines,
        imported,
    })
}

/// What the backend says of a list's pepper.
#[derive(Deserialize)]
struct Prepared {
    pepper_file: PathBuf,
    pepper_id: u32,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

async fn online(args: &ImportArgs, mode: Mode) -> Result<Summary, ImportError> {
    let list = &args.list;
    let client = Client::new(&args.backend)?;
    let next = args.next_pepper.then_some("next=true");
    let prepare = client.request(Method::PUT, &format!("/v1/lists/{list}"), next);
    let prepared: Prepared = call(args, prepare.timeout(Duration::from_secs(10))).await?;
    let path = args.pepper_file.clone().unwrap_or(prepared.pepper_file);
    let pepper = read_pepper(&path)?;
    if pepper.id() != prepared.pepper_id {
        return Err(ImportError::OtherPepper {
            path,
            list: list.clone(),
        });
    }
    let (pepper_id, file) = (pepper.id(), args.file.clone());
    let rows =
        tokio::task::spawn_blocking(move || read(&file, &pepper, mode, &std::env::temp_dir()))
            .await
            .map_err(|_| ImportError::CutShort)??;
    let lines = rows.rows();
    let mode = match mode {
        Mode::Replace => "replace",
        Mode::Patch => "patch",
    };
    let query = format!("mode={mode}&pepper_id={pepper_id}&new_era={}", args.new_era);
    let path = format!("/v1/lists/{list}/import");
    let import = client
        .request(Method::POST, &path, Some(&query))
        .header("content-type", "application/octet-stream")
        .timeout(IMPORT_TIMEOUT)
        .body(reqwest::Body::wrap(FileBody::new(rows)));
    let imported = call(args, import).await?;
    Ok(Summary {
        list: list.clone(),
        lines,
        imported,
    })
}

async fn call<T: serde::de::DeserializeOwned>(
    args: &ImportArgs,
    request: reqwest::RequestBuilder,
) -> Result<T, ImportError> {
    let away = |source| ImportError::Away {
        url: args.backend.clone(),
        source,
    };
    let response = client::send(request).await.map_err(away)?;
    let status = response.status();
    let body = client::read(response, ANSWER_BYTES_MAX)
        .await
        .map_err(away)?;
    if status != StatusCode::OK {
        let said = serde_json::from_slice(&body).map(|refusal: Refusal| refusal.error);
        return Err(ImportError::Refused(
            said.unwrap_or_else(|_| format!("status {status}")),
        ));
    }
    serde_json::from_slice(&body)
        .map_err(|_| ImportError::Refused("its answer cannot be read".into()))
}

fn read_pepper(path: &Path) -> Result<Pepper, ImportError> {
    let mut text = fs::read_to_string(path).map_err(|source| ImportError::PepperFile {
        path: path.into(),
        source,
    })?;
    let pepper = Pepper::parse(&text);
    text.zeroize();
    pepper.map_err(|source| ImportError::Pepper {
        path: path.into(),
        source,
    })
}

/// The rows of the file, sorted below `dir`.
pub(super) fn read(
    path: &Path,
    pepper: &Pepper,
    mode: Mode,
    dir: &Path,
) -> Result<Spool, ImportError> {
    let input = |source| ImportError::Input {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(input)?;
    let input = BufReader::with_capacity(1 << 16, file);
    rows::read(input, pepper, mode, dir).map_err(|error| match error {
        ReadError::Line(source) => ImportError::Line {
            path: path.into(),
            source,
        },
        ReadError::Spool(source) => ImportError::Sort(source),
    })
}

#[cfg(test)]
mod tests;
