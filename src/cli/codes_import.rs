//! `turnstiled codes import`: a CSV of people becomes a new version of a list.
//!
//! Row keys are made here, with the pepper in the backend's folder; identifiers go nowhere. If no backend runs on that
//! folder the rows go straight into its store, else they are posted to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use super::{DATA_ERROR, Failure, UNAVAILABLE, output, runtime};
use crate::backend::http::IMPORT_BYTES_MAX;
use crate::backend::import;
use crate::backend::keys::Keys;
use crate::backend::lists::{self, Extent, Imported};
use crate::backend::store::{Store, StoreError};
use crate::domain::{ListId, RowKey};
use crate::runtime::clock::backend_clock;
use crate::store::codes::Change;
use crate::sync::chunk::{WIRE_ROW_LEN, wire_row};
use crate::sync::client::Client;

/// How long a backend may take to make a new version.
const IMPORT_TIME: Duration = Duration::from_secs(300);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List to import into
    #[arg(long)]
    list: String,
    /// Folder of the backend: its pepper makes the row keys
    #[arg(long)]
    data: PathBuf,
    /// Where the backend listens, if one runs on that folder
    #[arg(long, default_value = "http://127.0.0.1:9480")]
    backend: String,
    /// Keep rows that the file does not name (otherwise the file is the whole list)
    #[arg(long)]
    patch: bool,
    /// CSV: kind,issuer,identifier,colour[,valid_from,valid_until,entitlements,subject,region]
    file: PathBuf,
}

/// Imports; nothing is imported if one line is wrong.
///
/// # Errors
/// [`Failure`] with 65 for the file, 69 for the backend.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let data_error = |sentence: String| Failure {
        code: DATA_ERROR,
        sentence,
    };
    let list = ListId::new(&args.list).map_err(|error| Failure {
        code: 2,
        sentence: format!("--list: {error}"),
    })?;
    let unavailable = |error: StoreError| Failure::new(UNAVAILABLE, &error);
    let keys = Keys::open(&args.data).map_err(unavailable)?;
    let pepper = keys.pepper(&list).map_err(unavailable)?;
    let file = File::open(&args.file)
        .map_err(|error| data_error(format!("{}: {error}", args.file.display())))?;
    let rows = import::csv(BufReader::new(file), &pepper).map_err(|error| {
        let failure = Failure::new(DATA_ERROR, &error);
        data_error(format!("{}: {}", args.file.display(), failure.sentence))
    })?;
    let count = rows.len();
    let extent = if args.patch {
        Extent::Patch
    } else {
        Extent::Replace
    };
    let imported = match Store::open(&args.data) {
        Ok(store) => lists::import(&store, &keys, backend_clock()(), &list, rows, extent)
            .map_err(unavailable)?,
        Err(StoreError::InUse { .. }) => post(args, &list, &rows)?,
        Err(error) => return Err(unavailable(error)),
    };
    let Imported {
        version,
        rows,
        changed,
    } = imported;
    let said = writeln!(
        std::io::stdout(),
        "{count} people read, {changed} rows changed; list {list} is version {version} with {rows} rows"
    );
    said.map_err(|error| output(&error))?;
    Ok(0)
}

fn post(args: &Args, list: &ListId, rows: &BTreeMap<RowKey, Change>) -> Result<Imported, Failure> {
    let unavailable = |error: &dyn std::error::Error| Failure::new(UNAVAILABLE, error);
    if rows.len() * WIRE_ROW_LEN > IMPORT_BYTES_MAX {
        let most = IMPORT_BYTES_MAX / WIRE_ROW_LEN;
        let sentence =
            format!("a running backend takes at most {most} rows at once; stop it to import more");
        return Err(Failure {
            code: UNAVAILABLE,
            sentence,
        });
    }
    let body: Vec<u8> = rows.values().flat_map(wire_row).collect();
    let client = Client::new(&args.backend).map_err(|error| unavailable(&error))?;
    let path = format!("v1/lists/{list}/import?patch={}", args.patch);
    let answer = runtime()?.block_on(client.post_bytes(&path, body, 4_096, IMPORT_TIME));
    let answer = answer.map_err(|error| unavailable(&error))?;
    serde_json::from_slice(&answer).map_err(|error| unavailable(&error))
}
