//! Rules of the house that no lint knows: who may import whom, what pure code may not touch, how long a file may be.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot read the tree has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and what of ours it may import (STYLE §2).
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("proto", &["domain"]),
    ("vision", &[]),
    ("codes", &["domain"]),
    ("core", &["domain"]),
    ("store", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["domain"]),
    ("drivers", &["domain", "proto", "vision", "config"]),
    ("sync", &["domain", "store", "config"]),
    ("backend", &["domain", "store", "config", "sync", "codes"]),
    (
        "runtime",
        &[
            "domain",
            "core",
            "codes",
            "proto",
            "vision",
            "config",
            "drivers",
            "store",
            "sync",
            "backend",
            "telemetry",
        ],
    ),
    (
        "lab",
        &[
            "domain",
            "core",
            "codes",
            "proto",
            "vision",
            "config",
            "drivers",
            "store",
            "sync",
            "backend",
            "telemetry",
            "runtime",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "core",
            "codes",
            "proto",
            "vision",
            "config",
            "drivers",
            "store",
            "sync",
            "backend",
            "telemetry",
            "runtime",
            "lab",
        ],
    ),
];

/// Pure code: events and the clock in, actions out.
const PURE: &[&str] = &["domain", "core", "codes", "proto", "vision"];

/// What pure code may not touch.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::io::",
    "std::thread::",
    "std::env",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "getrandom",
    "rustix::",
    "HashMap",
    "HashSet",
];

/// Past this many lines, tests excluded, a file says in its module doc why it is long (STYLE §2).
const LINES_MAX: usize = 400;

/// A promise of the README, and of the page that goes on with it, is a test, or it is nothing.
#[test]
fn every_line_of_what_happens_when_names_tests_that_exist() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).expect("there is a README");
    let table = readme
        .split("## What happens when")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("the README says what happens when");
    let more = fs::read_to_string(project.join("hardware/what-happens-when.md"));
    let table = table.to_owned() + &more.expect("the rest of the table");
    let mut all = Vec::new();
    walk(&root(), &mut all);
    walk(&project.join("tests"), &mut all);
    let read = |file: &PathBuf| fs::read_to_string(file).expect("a source file can be read");
    let code: String = all.iter().map(read).collect();
    let lines: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| **"))
        .filter(|line| !line.starts_with("| Fault"))
        .collect();
    let mut wrong = Vec::new();
    for line in &lines {
        let names: Vec<_> = line.split('`').filter(|name| name.contains("::")).collect();
        let exists = |name: &&str| {
            let function = name.rsplit("::").next().unwrap_or(name);
            code.contains(&format!("fn {function}("))
        };
        if names.is_empty() || !names.iter().all(exists) {
            wrong.push(*line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        lines.len() > 60,
        "the list is complete: {} lines",
        lines.len()
    );
}

#[test]
fn nobody_imports_upwards() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(module) = module_of(&file) else {
            continue;
        };
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == module)
            .expect("every module has a layer");
        for import in imports(&code(&file)) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!(
                    "{}: `crate::{import}` is above `{module}`",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_code_has_no_clock_and_no_input_or_output() {
    let mut wrong = Vec::new();
    for file in sources()
        .into_iter()
        .filter(|file| module_of(file).is_some_and(|m| PURE.contains(&m.as_str())))
    {
        let code = code(&file);
        wrong.extend(
            IMPURE
                .iter()
                .filter(|banned| code.contains(**banned))
                .map(|banned| format!("{}: `{banned}` in pure code", file.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_have_one_responsibility_and_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|file| (code(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(
        long.is_empty(),
        "past {LINES_MAX} lines, look for the seam:\n{}",
        long.join("\n")
    );
}

#[test]
fn every_module_has_its_layer() {
    let modules: Vec<_> = sources()
        .iter()
        .filter_map(|file| module_of(file))
        .collect();
    for (module, _) in LAYERS {
        assert!(
            modules.iter().any(|known| known == module),
            "`{module}` has a layer and no file"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<PathBuf> {
    let mut out = Vec::new();
    walk(&root(), &mut out);
    let tests: Vec<_> = out.iter().flat_map(|file| test_modules(file)).collect();
    out.retain(|file| {
        !tests
            .iter()
            .any(|test| file.starts_with(test) || *file == test.with_extension("rs"))
    });
    out.sort();
    out
}

/// Modules of a file that exist in tests only: `#[cfg(test)] mod name;`, as paths without an extension.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).expect("a source file can be read");
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => {
            file.parent().expect("a file has a folder").to_owned()
        }
        Some(_) => file.with_extension(""),
    };
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.trim();
        let name = line.strip_suffix(';')?.rsplit(' ').next()?;
        line.contains("mod ").then(|| folder.join(name))
    });
    declared.collect()
}

/// Every Rust file below a folder.
fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The top-level module of a file; none for `lib.rs` and `main.rs`.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root()).ok()?;
    let mut parts = inside.components();
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    parts.next().map(|_| first)
}

/// The file without comments and without its tests, which may use whatever they like.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source file can be read");
    // Tests stand last; a module of tests that is only declared here does not end the file.
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every `crate::name`, and every name of `crate::{a::…, b::…}`.
fn imports(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .map(first_word)
                .collect(),
            None => vec![first_word(rest)],
        })
        .filter(|name| !name.is_empty() && name != "macro_rules")
        .collect()
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}
