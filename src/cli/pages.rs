//! `turnstiled pages`: man pages and shell completions, written from the arguments themselves when the package is built, so
//! that they cannot say anything else than the program does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

use super::{CANNOT_CREATE, Cli, Failure};

/// Where they go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for `man/` and `completions/`; made if it is not there
    folder: PathBuf,
}

/// Writes a man page for each command, and completions for each shell that clap knows.
///
/// # Errors
/// [`Failure`] with 73 and the folder that cannot be written.
pub fn run(args: &Args) -> Result<u8, Failure> {
    write(&args.folder).map_err(|error| Failure {
        code: CANNOT_CREATE,
        sentence: format!("cannot write pages into {}: {error}", args.folder.display()),
    })?;
    Ok(0)
}

fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(Cli::command(), man)?;
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut Cli::command(), "turnstiled", &completions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_each_shell_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        let args = Args {
            folder: folder.path().join("new"),
        };
        assert_eq!(run(&args).unwrap(), 0);
        let read = |name: &str| fs::read_to_string(args.folder.join(name)).unwrap();
        for page in ["turnstiled", "turnstiled-run", "turnstiled-backend-enrol"] {
            let text = read(&format!("man/{page}.1"));
            assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
        }
        assert!(read("man/turnstiled-run.1").contains("\\-\\-config"));
        for file in ["turnstiled.bash", "_turnstiled", "turnstiled.fish"] {
            assert!(
                read(&format!("completions/{file}")).contains("doctor"),
                "{file}"
            );
        }
        assert!(!args.folder.join("man/turnstiled-pages.1").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = Args {
            folder: file.path().join("under-a-file"),
        };
        let failure = run(&args).unwrap_err();
        assert_eq!(failure.code, CANNOT_CREATE);
        assert!(failure.sentence.contains("under-a-file"), "{failure:?}");
    }
}
