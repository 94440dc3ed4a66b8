//! A technician asks how a gate and everything around it stand.

use std::path::Path;

use serde_json::Value;

use crate::outside::{Gate, command, home, waits_for};

const LANES: &str = r#"
[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "out"
barrier = "flap"
fail = "safe"
directions = ["exit"]
outputs = { release_exit = 18 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "frames", direction = "exit", folder = { path = "frames" } },
    { name = "card", direction = "exit", id_card = { port = "no-card" } },
]
"#;

pub(crate) fn findings(home: &Path) -> (Option<i32>, Vec<Value>) {
    let (code, said) = command(home, &["doctor", "gate", "--config", "gate.toml", "--json"]);
    let found = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    (code, found)
}

/// How the first finding about something stands, and what it says.
pub(crate) fn of(found: &[Value], about: &str, name: &str) -> (String, String) {
    let is = |one: &&Value| one["about"] == about && one["name"].as_str().unwrap().ends_with(name);
    let one = found.iter().find(is);
    let one = one.unwrap_or_else(|| panic!("nothing about {about} {name}: {found:#?}"));
    let word = |key: &str| one[key].as_str().unwrap().to_owned();
    (word("grade"), word("said"))
}

#[test]
fn a_gate_that_does_not_run_has_its_devices_looked_at_and_one_that_runs_is_asked() {
    let folder = home(LANES);
    let home = folder.path();
    std::fs::create_dir(home.join("frames")).unwrap();
    // The doctor has to find the pages: a port of this story's own.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let config = std::fs::read_to_string(home.join("gate.toml")).unwrap();
    let config = config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(home.join("gate.toml"), config).unwrap();

    let (code, found) = findings(home);
    assert_eq!(code, Some(1), "a reader is missing: {found:#?}");
    assert_eq!(of(&found, "daemon", "gate").0, "look");
    assert_eq!(of(&found, "device", "frames").0, "good");
    let (grade, said) = of(&found, "device", "no-card");
    assert_eq!(grade, "wrong", "{said}");
    assert_eq!(of(&found, "backend", "none").0, "good");
    assert_eq!(of(&found, "clock", "date").0, "good");
    for one in &found {
        let good = one["grade"] == "good";
        assert_eq!(
            one["todo"].is_null(),
            good,
            "what is not good has something to do: {one}"
        );
    }

    let gate = Gate::start(home);
    // The status page is written anew some times a second.
    waits_for("the folder is up", || {
        let status = gate.status();
        let devices = status["devices"].as_array().unwrap();
        devices
            .iter()
            .any(|device| device["name"] == "frames" && device["state"] == "up")
    });
    let (code, found) = findings(home);
    assert_eq!(code, Some(1), "{found:#?}");
    let (grade, said) = of(&found, "daemon", "gate");
    assert!(grade == "good" && said.contains("version"), "{said}");
    let (grade, said) = of(&found, "device", "frames");
    assert!(
        grade == "good" && said.contains("daemon holds it"),
        "{said}"
    );
    assert_eq!(of(&found, "device", "card").0, "wrong");
    assert_eq!(of(&found, "permissions", "gate").0, "good");
    let (_, table) = command(home, &["doctor", "gate", "--config", "gate.toml"]);
    assert!(
        table.contains("What to do:") && !table.contains('\u{1b}'),
        "{table}"
    );

    // A config that cannot be read is the only thing that can be told.
    std::fs::write(home.join("gate.toml"), "gate = 7").unwrap();
    let (code, found) = findings(home);
    assert_eq!((code, found.len()), (Some(1), 1));
    assert_eq!(of(&found, "config", "gate.toml").0, "wrong");
    gate.dies();
}
