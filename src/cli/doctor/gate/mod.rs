//! `turnstiled doctor gate`: how a gate and everything around it stands: config, permissions, devices, disk, clock,
//! backend, certificates. Each finding says what is wrong and what to do. The running daemon is asked for what it holds;
//! without one, devices are looked at directly. Nothing is changed.

mod around;
mod devices;
mod running;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::super::table::{Cell, Grade, has_colours, table};
use super::super::{Failure, output, runtime};
use crate::config;
use crate::runtime::files::read_files;

/// Longest wait for the backend.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at a gate and everything around it, and says what to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Config file of the gate, TOML
    #[arg(long)]
    pub config: PathBuf,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `config`, `daemon`, `permissions`, `device`, `disk`, `clock`, `backend`, `certificate`, `board` or `alarm`.
    pub about: &'static str,
    /// Which of them.
    pub name: String,
    /// How it stands.
    pub grade: Grade,
    /// In words.
    pub said: String,
    /// What to do about it.
    pub todo: Option<String>,
}

impl Finding {
    fn good(about: &'static str, name: impl Into<String>, said: impl Into<String>) -> Self {
        Self {
            about,
            name: name.into(),
            grade: Grade::Good,
            said: said.into(),
            todo: None,
        }
    }

    fn bad(
        grade: Grade,
        about: &'static str,
        name: impl Into<String>,
        said: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            about,
            name: name.into(),
            grade,
            said: said.into(),
            todo: Some(todo.into()),
        }
    }
}

/// Looks and tells; 1 if something is wrong.
///
/// # Errors
/// [`Failure`] if nothing can be told.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let findings = look(args)?;
    let wrong = findings.iter().any(|finding| finding.grade == Grade::Wrong);
    if args.json {
        let text = serde_json::to_string(&findings).map_err(|error| Failure::new(1, &error))?;
        writeln!(out, "{text}").map_err(|error| output(&error))?;
        return Ok(wrong.into());
    }
    let colours = has_colours();
    let row = |finding: &Finding| -> Vec<Cell> {
        vec![
            (finding.grade.word().into(), Some(finding.grade)),
            (finding.about.into(), None),
            (finding.name.clone(), None),
            (finding.said.clone(), None),
        ]
    };
    let rows: Vec<_> = findings.iter().map(row).collect();
    let lines = table(&["", "about", "which", "how it stands"], &rows, colours);
    lines
        .iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .map_err(|error| output(&error))?;
    let todo = findings.iter().filter_map(|finding| {
        let todo = finding.todo.as_ref()?;
        Some(format!("{} {}: {todo}", finding.about, finding.name))
    });
    for (n, todo) in (1..).zip(todo) {
        let head = if n == 1 { "\nWhat to do:\n" } else { "" };
        writeln!(out, "{head}{n}. {todo}").map_err(|error| output(&error))?;
    }
    // Who reads along on a terminal sees it at once.
    stdout().flush().map_err(|error| output(&error))?;
    Ok(wrong.into())
}

/// Everything that can be found out. A config that cannot be read is the only finding then.
fn look(args: &Args) -> Result<Vec<Finding>, Failure> {
    let path = args.config.display().to_string();
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            let why = Failure::new(1, &error).sentence;
            let todo = "correct that key; hardware/example.toml explains every one";
            let finding = Finding::bad(Grade::Wrong, "config", path, why, todo);
            return Ok(vec![finding]);
        }
    };
    let lanes = config.lanes.len();
    let mut found = vec![Finding::good(
        "config",
        path,
        format!("gate {}, {lanes} lanes", config.gate),
    )];
    let daemon = running::ask(&config);
    found.extend(daemon.findings());
    match daemon.status() {
        Some(status) => found.extend(devices::held(status)),
        None => found.extend(devices::direct(&config)),
    }
    found.extend(around::folder(&config));
    found.extend(around::disk(&config));
    found.extend(around::board(&config));
    found.push(around::clock(&config, daemon.status()));
    match read_files(&config) {
        Err(error) => {
            let why = Failure::new(1, &error).sentence;
            let todo = "put a good file there; a secret is readable by its owner only";
            found.push(Finding::bad(Grade::Wrong, "config", "files", why, todo));
        }
        Ok(files) => {
            found.push(Finding::good(
                "config",
                "files",
                files.trust_in_words().join("; "),
            ));
            found.extend(around::certificates(&files));
            let knocked = runtime()?.block_on(files.knocks(around::date(), PATIENCE));
            found.push(around::backend(&config, knocked));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_cannot_be_read_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gate.toml");
        std::fs::write(&config, "gate = \"x\"\ngatte = 1\n").unwrap();
        let args = Args { config, json: true };
        let mut out = Vec::new();
        assert_eq!(run(&args, &mut out).unwrap(), 1);
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(found[0]["about"], "config");
        assert_eq!(found[0]["grade"], "wrong");
        assert!(found[0]["said"].as_str().unwrap().contains("gatte"));
        assert!(found[0]["todo"].is_string());
    }
}
