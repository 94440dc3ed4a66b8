//! What the package promises without being built: the units are tight, each open thing has its reason beside it, each udev rule too,
//! and the configs that go with the drawings are good. `make deb` builds it and tries it in a clean Debian root.

#![expect(clippy::unwrap_used, reason = "what cannot be read has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Settings that shut something, and the value that does so. Any other value, or none, is open and wants a reason.
const SHUT: &[(&str, &str)] = &[
    ("PrivateNetwork", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateUsers", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateIPC", "yes"),
    ("ProcSubset", "pid"),
    ("ProtectProc", "invisible"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RemoveIPC", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("UMask", "0077"),
    ("IPAddressAllow", "none"),
];

/// Settings that open something by being there.
const OPENS: &[&str] = &[
    "DeviceAllow",
    "SupplementaryGroups",
    "RestrictAddressFamilies",
    "StateDirectory",
    "RuntimeDirectory",
    "ReadWritePaths",
    "BindPaths",
];

const UNITS: &[&str] = &["turnstiled.service", "turnstiled-backend.service"];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap()
}

/// Settings of a unit: key, value, and the comment above it; lines in a row with the same key share the one above the first.
fn settings(unit: &str) -> Vec<(String, String, String)> {
    let (mut found, mut comment, mut in_comment) = (Vec::new(), String::new(), false);
    for line in unit.lines() {
        if let Some(words) = line.strip_prefix('#') {
            if !in_comment {
                comment.clear();
            }
            comment.push_str(words);
            in_comment = true;
            continue;
        }
        let was_comment = std::mem::take(&mut in_comment);
        if line.is_empty() {
            comment.clear();
        } else if let Some((key, value)) = line.split_once('=') {
            let same = found
                .last()
                .is_some_and(|(before, _, _): &(String, String, String)| before == key);
            if !was_comment && !same {
                comment.clear();
            }
            found.push((key.to_owned(), value.to_owned(), comment.clone()));
        }
    }
    found
}

/// Open settings of a unit whose comment does not begin with "Open:".
fn without_reason(unit: &str) -> Vec<String> {
    let settings = settings(unit);
    let mut wrong: Vec<_> = settings
        .iter()
        .filter(|(key, value, comment)| {
            let shut = SHUT.iter().find(|(name, _)| name == key);
            let is_open = OPENS.contains(&key.as_str()) || shut.is_some_and(|(_, to)| to != value);
            is_open && !comment.trim_start().starts_with("Open: ")
        })
        .map(|(key, value, _)| format!("{key}={value} has no reason beside it"))
        .collect();
    for (name, to) in SHUT {
        if !settings.iter().any(|(key, _, _)| key == name) {
            wrong.push(format!("{name}={to} is missing: open, and nobody says why"));
        }
    }
    wrong
}

#[test]
fn each_open_thing_of_a_unit_has_its_reason_beside_it() {
    for unit in UNITS {
        let wrong = without_reason(&read(&format!("systemd/{unit}")));
        assert!(wrong.is_empty(), "{unit}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn an_open_thing_without_a_reason_is_found() {
    let unit = read("systemd/turnstiled.service");
    let silent = unit.replace("# Open: cameras.\n", "\n");
    assert_eq!(
        without_reason(&silent),
        ["DeviceAllow=char-video4linux rw has no reason beside it"]
    );
    let missing = unit.replace("RestrictNamespaces=yes\n", "");
    assert_eq!(without_reason(&missing).len(), 1);
    let loose = unit.replace("ProtectClock=yes", "ProtectClock=no");
    assert_eq!(without_reason(&loose).len(), 1);
}

/// `systemd-analyze` without a running systemd; what it says of a unit and whether it is content.
fn exposure(unit: &Path) -> Option<(bool, String)> {
    let ran = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(unit)
        .output();
    let Ok(ran) = ran else {
        eprintln!("SKIPPED: systemd-analyze is not installed (Debian package systemd)");
        return None;
    };
    let said = [ran.stdout, ran.stderr].concat();
    Some((
        ran.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn the_exposure_of_the_units_is_two_at_most() {
    for unit in UNITS {
        let Some((is_tight, said)) = exposure(&project(&format!("systemd/{unit}"))) else {
            return;
        };
        assert!(is_tight, "{said}");
        assert!(said.contains("Overall exposure level"), "{said}");
    }
    // The threshold is what decides: a unit without a sandbox is over it.
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("bare.service");
    fs::write(&bare, "[Service]\nExecStart=/bin/true\n").unwrap();
    assert!(!exposure(&bare).unwrap().0);
}

#[test]
fn the_daemon_is_watched_and_never_given_up() {
    let unit = settings(&read("systemd/turnstiled.service"));
    for wanted in [
        ("Type", "notify"),
        ("WatchdogSec", "10"),
        ("Restart", "always"),
        ("StartLimitIntervalSec", "0"),
        ("RestartPreventExitStatus", "78"),
        ("User", "turnstiled"),
        ("SupplementaryGroups", "dialout video gpio"),
        ("DevicePolicy", "closed"),
    ] {
        let has =
            |(key, value, _): &(String, String, String)| (key.as_str(), value.as_str()) == wanted;
        assert!(unit.iter().any(has), "{wanted:?}");
    }
}

#[test]
fn each_udev_rule_has_its_reason_above_it() {
    let rules = read("udev/70-turnstiled.rules");
    let mut before = "";
    let mut count = 0;
    for line in rules.lines() {
        if !line.is_empty() && !line.starts_with('#') {
            count += 1;
            assert!(before.len() > 20, "no reason above: {line}");
        }
        // Rules in a row share the reason of the first.
        if line.is_empty() || line.starts_with('#') {
            before = line;
        }
    }
    assert!(count >= 8, "{count} rules");
}

#[test]
fn the_configs_of_the_drawings_pass_check() {
    let mut count = 0;
    for entry in fs::read_dir(project("hardware")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".toml") || name == "trust.toml" {
            continue;
        }
        count += 1;
        let config = turnstiled::config::load(&path);
        assert!(config.is_ok(), "{name}: {config:?}");
    }
    assert!(count >= 4, "{count} configs");
}

/// Commands of `turnstiled` in a page: code spans, and lines of code that begin with it or name it behind another program.
fn commands(page: &str) -> Vec<String> {
    let spans = page.split('`').skip(1).step_by(2).map(str::to_owned);
    let lines = page
        .lines()
        .filter(|line| line.starts_with("    ") && line.contains("turnstiled "))
        .map(|line| line.trim().to_owned());
    spans
        .chain(lines)
        .filter_map(|text| {
            let at = text.find("turnstiled ")?;
            // Not the name of a package, a user or a unit.
            let before = text.get(..at)?.chars().next_back();
            let is_command = before.is_none_or(|c| c == ' ' || c == '/');
            let text = text
                .get(at..)?
                .split(['|', '>', ';', '#', '&', '['])
                .next()?;
            let word = text.split_whitespace().nth(1)?;
            (is_command && word.starts_with(|c: char| c.is_ascii_lowercase()))
                .then(|| text.trim().to_owned())
        })
        .collect()
}

#[test]
fn each_command_of_the_pages_is_one_that_the_program_takes() {
    let mut pages = vec![project("README.md")];
    let hardware = fs::read_dir(project("hardware")).unwrap();
    pages.extend(hardware.map(|entry| entry.unwrap().path()));
    let mut count = 0;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|end| end == "md"))
    {
        for command in commands(&fs::read_to_string(page).unwrap()) {
            // Words as a shell would give them; `--help` behind them is answered only if all of them are understood.
            let command = command.replace("${ROWS:-", "").replace('}', "");
            let words = command
                .split_whitespace()
                .skip(1)
                .filter(|word| *word != "...");
            let ran = Command::new(env!("CARGO_BIN_EXE_turnstiled"))
                .args(words.map(|word| word.trim_matches(['"', '\''])))
                .arg("--help")
                .output()
                .unwrap();
            count += 1;
            let said = String::from_utf8_lossy(&ran.stderr);
            // A value in capitals stands for another.
            let is_understood = ran.status.success() || said.contains("error: invalid value");
            assert!(is_understood, "{}: {command}: {said}", page.display());
        }
    }
    assert!(count >= 20, "{count} commands");
}
