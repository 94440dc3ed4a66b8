//! `turnstiled codes pack`: a CSV file becomes a folder that any web server can serve to gates.

use std::fmt;
use std::path::{Path, PathBuf};

use super::codes_import::{ImportError, read};
use crate::backend::pack::{PackError, Packed, Packer};
use crate::backend::{Mode, system_clock};
use crate::domain::ListId;

/// Makes manifest and chunks out of a CSV file, without a backend. The columns are those of `codes import`.
#[derive(Clone, Debug, clap::Args)]
pub struct PackArgs {
    /// The file; its first line names the columns. It is the whole list.
    #[arg(value_name = "IN.csv")]
    pub file: PathBuf,
    /// The folder to serve; other lists may be in it already.
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// The list; if absent, named like the file.
    #[arg(long, value_parser = ListId::new)]
    pub list: Option<ListId>,
    /// Where signing key and peppers lie, never to be served; made at the first time. If absent, OUT.secrets.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// A signed recovery, after newer versions than those in OUT were lost: an era above theirs.
    #[arg(long, value_name = "NUMBER")]
    pub era: Option<u32>,
    /// For how long the manifest calls the list fresh. Pack again before that, changed or not.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=720))]
    pub fresh_hours: u64,
}

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum PackRunError {
    /// The file's name is no name of a list.
    #[error("{0} is not named like a list; say which one it is with --list")]
    NoList(PathBuf),
    /// The rows.
    #[error(transparent)]
    Read(#[from] ImportError),
    /// The folder.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl PackRunError {
    /// The exit code of `sysexits`: 64 a missing name, 65 bad data, 66 no input, 69 the folder cannot be used.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NoList(_) | Self::Pack(PackError::Era { .. }) => 64,
            Self::Read(error) => error.exit_code(),
            Self::Pack(PackError::Foreign { .. }) => 65,
            Self::Pack(_) => 69,
        }
    }
}

/// What was packed, and what a gate's config needs.
#[derive(Clone, Debug)]
pub struct Summary {
    list: ListId,
    out: PathBuf,
    packed: Packed,
    public_key: String,
    pepper_file: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packed {
            era,
            version,
            rows,
            written,
            chunks,
            changed,
        } = &self.packed;
        let (list, out) = (&self.list, self.out.display());
        let what = if *changed {
            "is now"
        } else {
            "has not changed and stays"
        };
        writeln!(
            f,
            "list {list} {what} at era {era}, version {version}, with {rows} rows in {chunks} chunks; {written} written"
        )?;
        writeln!(
            f,
            "serve {out} and give gates its address as `backend.url`, and:"
        )?;
        writeln!(f, "[backend]\nlist_keys = [\"{}\"]", self.public_key)?;
        let pepper = self.pepper_file.display();
        write!(
            f,
            "[[list]]\nname = \"{list}\"\npepper_file = \"{pepper}\"   # a copy of it, mode 0600"
        )
    }
}

/// Packs the file.
///
/// # Errors
/// [`PackRunError`]; what is served stays as it was then.
pub fn run(args: &PackArgs) -> Result<Summary, PackRunError> {
    let list = match &args.list {
        Some(list) => list.clone(),
        None => named(&args.file).ok_or_else(|| PackRunError::NoList(args.file.clone()))?,
    };
    let data = args.data.clone().unwrap_or_else(|| beside(&args.out));
    let packer = Packer::new(&args.out, &data)?;
    let pepper = packer.pepper(&list)?;
    let rows = read(&args.file, &pepper, Mode::Replace, &data)?;
    let fresh_s = args.fresh_hours.saturating_mul(3_600);
    let now = system_clock()();
    let packed = packer.pack(&list, pepper.id(), rows, args.era, now, fresh_s)?;
    Ok(Summary {
        out: args.out.clone(),
        packed,
        public_key: packer.public_key()?,
        pepper_file: packer.pepper_file(&list),
        list,
    })
}

fn named(file: &Path) -> Option<ListId> {
    ListId::new(file.file_stem()?.to_str()?).ok()
}

/// `OUT.secrets`, whether or not `OUT` ends in a slash.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.components().collect::<PathBuf>().into_os_string();
    name.push(".secrets");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(dir: &Path, file: &str, more: &[&str]) -> Result<Summary, PackRunError> {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            pack: PackArgs,
        }
        let out = format!("{}/", dir.join("out").display());
        let file = dir.join(file).display().to_string();
        let args = [&["pack", &file, &out], more].concat();
        run(&<Cli as clap::Parser>::try_parse_from(args).unwrap().pack)
    }

    #[test]
    fn two_arguments_are_enough_and_the_config_lines_come_out() {
        let dir = tempfile::tempdir().unwrap();
        let csv = "kind,issuer,identifier,colour\nopaque,demo,CODE-1,green\n";
        std::fs::write(dir.path().join("health.csv"), csv).unwrap();
        let said = pack(dir.path(), "health.csv", &[]).unwrap().to_string();
        assert!(
            said.starts_with("list health is now at era 1, version 1, with 1 rows"),
            "{said}"
        );
        let pepper = dir.path().join("out.secrets/peppers/health.pepper");
        assert!(
            said.contains(&pepper.display().to_string()) && pepper.exists(),
            "{said}"
        );
        assert!(dir.path().join("out/v1/lists/health/manifest").exists());
        let again = pack(dir.path(), "health.csv", &[]).unwrap().to_string();
        assert!(again.starts_with("list health has not changed"), "{again}");
        let era = pack(dir.path(), "health.csv", &["--era", "0"]).unwrap_err();
        assert_eq!(era.exit_code(), 64);
    }

    #[test]
    fn a_bad_line_or_name_is_told_and_nothing_is_packed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("my people.csv"), "kind\n").unwrap();
        let error = pack(dir.path(), "my people.csv", &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("say which one it is with --list")
        );
        let error = pack(dir.path(), "my people.csv", &["--list", "health"]).unwrap_err();
        assert_eq!(error.exit_code(), 65);
        assert!(!dir.path().join("out/v1/lists/health").exists());
        assert_eq!(
            pack(dir.path(), "none.csv", &[]).unwrap_err().exit_code(),
            66
        );
    }
}
