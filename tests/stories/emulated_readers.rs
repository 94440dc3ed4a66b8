//! A gate is tried without its parts: `turnstiled demo reader` stands in for every kind, with faults, `doctor reader` says in
//! plain words what it meets, and `lane provision` gives an OSDP reader its key.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use turnstiled::lab::reader::Kind;

use crate::outside::{Gate, TURNSTILED, command, home, waits_for};

const KEY: &str = "944b8eddcbaa2b5fe2b0148d1b2f95c9";

/// An emulated reader at `port` in this folder, with a card every so often.
struct Emulated(Child);

impl Emulated {
    fn start(home: &Path, kind: &str, more: &[&str]) -> Self {
        let mut child = Command::new(TURNSTILED)
            .args(["demo", "reader", kind, "--pty", "port", "--every", "900"])
            .args(more)
            .current_dir(home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(told.next().unwrap().unwrap().contains("lays a card"));
        waits_for("the port", || home.join("port").exists());
        Self(child)
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lanes(device: &str) -> String {
    format!(
        r#"
[staff]
socket = "staff.sock"

[gpio]
driver = "simulated"
folder = "lines"

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
outputs = {{ release_entry = 17 }}
sensors = {{ entry_beam = 5, exit_beam = 6 }}
reader = [{{ name = "card", direction = "entry", {device} }}]
"#
    )
}

fn home_with(device: &str) -> tempfile::TempDir {
    let folder = home(&lanes(device));
    let key = folder.path().join("card.key");
    std::fs::write(&key, KEY).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

const OSDP: &str = "osdp = { port = \"port\", address = 5, key_file = \"card.key\" }";

/// Kind, its name on the command line, its device in the config.
const KINDS: [(Kind, &str, &str); 7] = [
    (Kind::IdCard, "id-card", "id_card = { port = \"port\" }"),
    (Kind::Osdp, "osdp", OSDP),
    (Kind::Line, "line", "line = { port = \"port\" }"),
    (Kind::Rdm6300, "rdm6300", "rdm6300 = { port = \"port\" }"),
    (
        Kind::WiegandText,
        "wiegand-text",
        "wiegand = { port = \"port\", form = \"text\", bits = [26] }",
    ),
    (
        Kind::WiegandBytes,
        "wiegand-bytes",
        "wiegand = { port = \"port\", form = \"bytes\", bits = [26] }",
    ),
    (Kind::Pn532, "pn532", "pn532 = { port = \"port\" }"),
];

/// What `doctor reader` says of an emulated reader, and whether it has read something.
fn examined(kind: &str, device: &str, faults: &[&str]) -> (Option<i32>, String) {
    let folder = home_with(device);
    let key = format!("5={KEY}");
    let mut more = faults.to_vec();
    if kind == "osdp" {
        more.extend(["--osdp-key", &key]);
    }
    let _reader = Emulated::start(folder.path(), kind, &more);
    let asked = [
        "doctor",
        "reader",
        "card",
        "--config",
        "gate.toml",
        "--for",
        "40s",
    ];
    command(folder.path(), &asked)
}

/// Every kind at the same time: most of it is waiting.
fn each_kind(faults: &[&str]) -> Vec<(Kind, Option<i32>, String)> {
    std::thread::scope(|scope| {
        let examined = KINDS.map(|(kind, name, device)| {
            let examine = move || examined(name, device, faults);
            (kind, scope.spawn(examine))
        });
        let told = examined.into_iter().map(|(kind, examined)| {
            let (code, said) = examined.join().unwrap();
            (kind, code, said)
        });
        told.collect()
    })
}

#[test]
fn the_doctor_reads_a_card_on_an_emulated_reader_of_every_kind_and_says_nothing_of_it() {
    for (kind, code, said) in each_kind(&[]) {
        assert_eq!(code, Some(0), "{kind:?}: {said}");
        assert!(said.contains(" was read"), "{kind:?}: {said}");
        assert!(said.contains("it works at"), "{kind:?}: {said}");
        assert!(said.contains("bad bytes"), "{kind:?}: {said}");
        for number in 1..20 {
            assert!(!said.contains(&kind.shown(number)), "{kind:?}: {said}");
        }
    }
}

#[test]
fn each_fault_of_an_emulated_reader_is_survived_and_told() {
    for faults in [
        ["--chunk", "1"],
        ["--noise", "3"],
        ["--wrong-checksum", "3"],
        ["--stall", "4"],
        ["--unplug", "1500"],
    ] {
        for (kind, code, said) in each_kind(&faults) {
            // What has no start mark is spoiled by noise before it, each time.
            let is_lost = faults[0] == "--noise"
                && matches!(kind, Kind::Line | Kind::WiegandText | Kind::WiegandBytes);
            if is_lost {
                assert!(said.contains("bad bytes"), "{kind:?}, {faults:?}: {said}");
            } else {
                assert_eq!(code, Some(0), "{kind:?}, {faults:?}: {said}");
                assert!(said.contains(" was read"), "{kind:?}, {faults:?}: {said}");
            }
        }
    }
}

fn port(gate: &Gate, key: &str) -> String {
    let status = gate.status();
    let devices = status["devices"].as_array().unwrap();
    let card = devices.iter().find(|device| device["name"] == "card");
    let port = &card.unwrap()["port"];
    port[key].as_str().unwrap_or_default().to_owned()
}

fn provision(home: &Path, lasts: &str) -> (Option<i32>, String) {
    let asked = [
        "lane",
        "--socket",
        "staff.sock",
        "provision",
        "card",
        "--for",
        lasts,
    ];
    command(home, &asked)
}

#[test]
fn a_new_reader_is_given_its_key_by_a_command_and_then_serves() {
    let folder = home_with(OSDP);
    let gate = Gate::start(folder.path());
    let _reader = Emulated::start(folder.path(), "osdp", &["--osdp-key", "5=new"]);
    waits_for("it is not served without its key", || {
        port(&gate, "state") == "lost"
    });
    let (code, said) = provision(folder.path(), "30s");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("it has taken its key"), "{said}");
    waits_for("it is served", || port(&gate, "state") == "ready");
    assert_eq!(port(&gate, "provisioning"), "taken");
    // The gate holds the port: the doctor asks it.
    let asked = [
        "doctor",
        "reader",
        "card",
        "--config",
        "gate.toml",
        "--for",
        "30s",
    ];
    let (code, said) = command(folder.path(), &asked);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the gate runs and holds the port"), "{said}");
    assert!(said.contains("something was read, in "), "{said}");
    for secret in [KEY, &Kind::Osdp.shown(1)] {
        assert!(!said.contains(secret), "{said}");
        assert!(gate.log().iter().all(|line| !line.contains(secret)));
    }
}

#[test]
fn a_reader_that_has_its_key_is_given_none_and_serves_again_when_the_time_is_over() {
    let folder = home_with(OSDP);
    let gate = Gate::start(folder.path());
    let key = format!("5={KEY}");
    let _reader = Emulated::start(folder.path(), "osdp", &["--osdp-key", &key]);
    waits_for("it is served", || port(&gate, "state") == "ready");
    let (code, said) = provision(folder.path(), "2s");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not asked for a key in time"), "{said}");
    waits_for("it is served again", || port(&gate, "state") == "ready");
    let (code, said) = provision(folder.path(), "6m");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("300 seconds"), "{said}");
}
