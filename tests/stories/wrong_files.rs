//! Whoever writes a config, a CSV or a command wrongly is told what, where, and what is allowed.

use std::fs;
use std::path::Path;
use std::process::Command;

fn turnstiled(home: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_turnstiled"))
        .args(args)
        .current_dir(home)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The shipped example, with the files it names beside it.
fn example() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware");
    let text = fs::read_to_string(shipped.join("example.toml")).unwrap();
    let local = |line: &str| match line.split_once(" = ") {
        Some(("trust_file", _)) => "trust_file = \"trust.toml\"".to_owned(),
        Some(("pepper_file", value)) => {
            let name = value
                .trim_matches('"')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            format!("pepper_file = \"{name}\"")
        }
        _ => line.to_owned(),
    };
    let text: Vec<_> = text.lines().map(local).collect();
    for line in text.iter().filter(|line| line.starts_with("pepper_file")) {
        let name = line.split('"').nth(1).unwrap();
        fs::write(folder.path().join(name), "5a".repeat(32)).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(folder.path().join(name), private).unwrap();
    }
    fs::write(folder.path().join("gate.toml"), text.join("\n")).unwrap();
    fs::copy(shipped.join("trust.toml"), folder.path().join("trust.toml")).unwrap();
    folder
}

#[test]
fn the_shipped_example_is_good() {
    let folder = example();
    let (code, said) = turnstiled(folder.path(), &["check", "gate.toml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_typo_in_the_config_is_named_with_its_line_and_ends_in_78() {
    let folder = example();
    let path = folder.path().join("gate.toml");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replacen("barrier = ", "barier = ", 1);
    let line = text
        .lines()
        .position(|line| line.starts_with("barier"))
        .unwrap()
        + 1;
    fs::write(&path, text).unwrap();
    for command in [
        vec!["check", "gate.toml"],
        vec!["run", "--config", "gate.toml"],
    ] {
        let (code, said) = turnstiled(folder.path(), &command);
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains("gate.toml")
                && said.contains("barier")
                && said.contains(&format!("line {line}")),
            "{said}"
        );
    }
}

#[test]
fn a_missing_file_a_public_pepper_and_a_bad_trust_list_are_refused_by_name() {
    let folder = example();
    fs::remove_file(folder.path().join("trust.toml")).unwrap();
    let (code, said) = turnstiled(folder.path(), &["check", "gate.toml"]);
    assert_eq!(
        (code, said.contains("trust.toml")),
        (Some(78), true),
        "{said}"
    );
    fs::write(folder.path().join("trust.toml"), "version = 0").unwrap();
    let (code, said) = turnstiled(folder.path(), &["check", "gate.toml"]);
    assert_eq!(
        (code, said.contains("trust.toml")),
        (Some(78), true),
        "{said}"
    );

    let folder = example();
    let pepper = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let pepper = pepper
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "pepper"))
        .unwrap();
    fs::set_permissions(&pepper, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, said) = turnstiled(folder.path(), &["check", "gate.toml"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("enumerate"), "{said}");
}

#[test]
fn a_wrong_line_of_a_csv_is_named_without_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "kind,issuer,identifier,colour\nopaque,health,HC:SECRET,blue\n";
    fs::write(folder.path().join("people.csv"), csv).unwrap();
    let import = [
        "codes",
        "import",
        "--list",
        "health",
        "--data",
        "d",
        "people.csv",
    ];
    let (code, said) = turnstiled(folder.path(), &import);
    assert_eq!(code, Some(65), "{said}");
    assert!(
        said.contains("colour") && said.contains("green") && said.contains('2'),
        "{said}"
    );
    assert!(!said.contains("SECRET"), "{said}");
}

#[test]
fn an_unreadable_picture_is_said_to_be_one_and_the_next_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("torn.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    let blank = image::GrayImage::from_pixel(64, 64, image::Luma([200]));
    blank.save(folder.path().join("blank.png")).unwrap();
    let (code, said) = turnstiled(
        folder.path(),
        &["codes", "read-image", "--json", "torn.png", "blank.png"],
    );
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["file"], "torn.png");
    assert!(lines[0]["error"].is_string());
    assert_eq!(lines[1]["texts"], serde_json::json!([]));
    assert!(lines[1]["cpu_us"].is_u64());
}

#[test]
fn an_impossible_crowd_and_a_public_address_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = turnstiled(folder.path(), &["demo", "--passengers", "5"]);
    assert_eq!(
        (code, said.contains("30 to 2000")),
        (Some(2), true),
        "{said}"
    );
    let (code, said) = turnstiled(
        folder.path(),
        &["backend", "--listen", "0.0.0.0:0", "--data", "d"],
    );
    assert_eq!(
        (
            code,
            said.contains("loopback") || said.contains("this machine")
        ),
        (Some(64), true),
        "{said}"
    );
}

#[test]
fn an_rppal_gate_on_another_board_is_told_what_to_use() {
    let folder = example();
    if fs::read_to_string("/proc/device-tree/model")
        .is_ok_and(|model| model.contains("Raspberry Pi"))
    {
        eprintln!("SKIPPED: this is a Raspberry Pi, rppal works here");
        return;
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_turnstiled"));
    let path = folder.path().join("gate.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.lines().map(|line| {
        if line.starts_with("data_dir") {
            "data_dir = \"data\""
        } else {
            line
        }
    });
    let text: Vec<_> = text
        .map(|line| {
            if line.starts_with("listen") {
                "listen = \"127.0.0.1:0\""
            } else if line == "[staff]" {
                "[staff]\nsocket = \"staff.sock\""
            } else {
                line
            }
        })
        .collect();
    fs::write(&path, text.join("\n")).unwrap();
    let mut child = child
        .args(["run", "--config", "gate.toml"])
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let logged = [std::io::BufReader::new(
        Box::new(child.stderr.take().unwrap()) as Box<dyn std::io::Read>,
    )];
    let found = logged.into_iter().any(|log| {
        std::io::BufRead::lines(log).take(200).any(|line| {
            line.is_ok_and(|line| {
                line.contains("needs a Raspberry Pi") && line.contains("gpiocdev")
            })
        })
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(found, "the log says what to do");
}
