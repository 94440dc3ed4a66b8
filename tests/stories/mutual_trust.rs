//! A stranger with the binary alone: an authority, a backend that listens by TLS, an enrolled gate. Its records arrive;
//! another gate cannot write in its name, and whoever is not enrolled gets no word.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstiled::backend::system_clock;
use turnstiled::domain::GateId;
use turnstiled::sync::client::{self, Client, LinkError, Transport as _};
use turnstiled::sync::tls::{CheckedAt, Date, Files, Material, Whose, Why};

const TURNSTILED: &str = env!("CARGO_BIN_EXE_turnstiled");

pub(crate) const CONFIG: &str = r#"
gate = "North_1"
data_dir = "gate"
trust_file = "trust.toml"
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }
gpio = { driver = "simulated", folder = "lines" }

[[lane]]
name = "entry"
barrier = "flap"
fail = "secure"
directions = ["entry"]
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "camera", direction = "entry", folder = { path = "frames" } }]
"#;

pub(crate) const TRUST: &str = r#"
version = 1
issuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]
"#;

/// A child that does not outlive its test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end: exit code, and what it said.
fn turnstiled(home: &Path, command: &str) -> (Option<i32>, String) {
    let output = Command::new(TURNSTILED)
        .args(command.split_whitespace())
        .current_dir(home)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

pub(crate) fn good(home: &Path, command: &str) -> String {
    let (code, said) = turnstiled(home, command);
    assert_eq!(code, Some(0), "{command}: {said}");
    said
}

/// Starts a command; gives it, and the words that follow `key` in the line that says it is up.
pub(crate) fn start(home: &Path, command: &str, up: &str, keys: &[&str]) -> (Running, Vec<String>) {
    let mut child = Command::new(TURNSTILED)
        .args(command.split_whitespace())
        .current_dir(home)
        .env("RUST_LOG", "info")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let line = loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("{command}: {said:?}"));
        let line = line.unwrap();
        if line.contains(up) {
            break line;
        }
        said.push(line);
    };
    let found = keys.iter().map(|key| {
        let word = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key));
        word.unwrap_or_else(|| panic!("{key} in {line}")).to_owned()
    });
    let found = found.collect();
    // Somebody must go on reading, or its log would block it.
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), found)
}

fn bundle(dir: &Path) -> Files {
    Files {
        certificate: dir.join("gate.pem"),
        key: dir.join("gate.key"),
        ca: dir.join("ca.pem"),
    }
}

/// A client that shows these files.
fn secure(url: &str, files: &Files) -> Client {
    let clock = system_clock();
    let date: Date = Arc::new(move || CheckedAt {
        utc: clock(),
        trusted: true,
    });
    Client::secure(url, &Material::read(files).unwrap(), date).unwrap()
}

fn delivery(gate: &str) -> Vec<u8> {
    serde_json::json!({"gate": gate, "epoch": "00".repeat(16), "first_seq": 1,
        "events": [{"seq": 1, "hash": "ab".repeat(32), "record": "{}"}]})
    .to_string()
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_enrols_a_gate_and_nobody_else_can_write_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let people = "kind,issuer,identifier,colour\nopaque,health,HC:1,green\n";
    fs::write(home.join("people.csv"), people).unwrap();
    good(home, "codes import --list health --data backend people.csv");
    let made = good(home, "backend ca --data backend");
    assert!(made.contains("ca.key"), "{made}");
    let (_backend, found) = start(
        home,
        "backend --data backend --listen 127.0.0.1:0 --tls 127.0.0.1:0",
        "the backend is up",
        &["addr=", "tls="],
    );
    let plain = format!("http://{}", found[0]);
    let port = found[1].rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}");
    let said = good(
        home,
        &format!("backend enrol North_1 --data backend --out site --url {url}"),
    );
    assert!(
        said.contains("North_1") && said.contains("health"),
        "{said}"
    );

    // The bundle is the gate's folder; the config is the site's own lines and the fragment.
    let site = home.join("site");
    for name in ["frames", "lines"] {
        fs::create_dir(site.join(name)).unwrap();
    }
    let fragment = fs::read_to_string(site.join("gate-fragment.toml")).unwrap();
    fs::write(site.join("gate.toml"), format!("{CONFIG}\n{fragment}")).unwrap();
    fs::write(site.join("trust.toml"), TRUST).unwrap();
    good(home, "check site/gate.toml");
    let (_gate, found) = start(
        home,
        "run --config site/gate.toml",
        "the gate decides",
        &["pages="],
    );

    // Its first record, that it has started, arrives, and its list too.
    let near = Client::new(&plain).unwrap();
    let arrived = async || {
        let request = near.request(reqwest::Method::GET, "/v1/passages", Some("gate=North_1"));
        let answer = client::send(request).await.unwrap();
        let text = client::read(answer, 1 << 20).await.unwrap();
        String::from_utf8(text)
            .unwrap()
            .contains("\"kind\":\"started\"")
    };
    wait_for("the first record arrives", arrived).await;
    let pages = Client::new(&format!("http://{}", found[0])).unwrap();
    let metrics = async || {
        let request = pages.request(reqwest::Method::GET, "/metrics", None);
        let answer = client::send(request).await.unwrap();
        let text = client::read(answer, 1 << 20).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    wait_for("the list arrives", async || {
        metrics()
            .await
            .contains("turnstile_list_rows{list=\"health\"} 1")
    })
    .await;
    let text = metrics().await;
    assert!(text.contains("turnstile_backend_up 1"), "{text}");
    assert!(
        text.contains("turnstile_certificate_expires_seconds{certificate=\"gate\"} 3"),
        "a year is some 31 million seconds: {text}"
    );

    // Another gate's certificate is good, and writes as its own gate only.
    good(
        home,
        &format!("backend enrol South_1 --data backend --out south --url {url}"),
    );
    let south = secure(&url, &bundle(&home.join("south")));
    let refused = south.passages(delivery("North_1")).await;
    assert!(
        matches!(&refused, Err(LinkError::Forbidden(why)) if why.contains("South_1")),
        "{refused:?}"
    );
    south.passages(delivery("South_1")).await.unwrap();

    // Somebody else's authority enrols a gate of the same name: nobody here believes it.
    good(
        home,
        "backend enrol North_1 --data stranger --list health --out false",
    );
    let mut files = bundle(&home.join("false"));
    files.ca = site.join("ca.pem");
    match secure(&url, &files).passages(delivery("North_1")).await {
        Err(LinkError::Untrusted(refusal)) => assert_eq!(
            (refusal.whose, refusal.why),
            (Whose::Ours, Why::UnknownAuthority)
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_there_is_not_overwritten_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let says = |command: &str, code: i32, words: &[&str]| {
        let (found, said) = turnstiled(home, command);
        assert_eq!(found, Some(code), "{command}: {said}");
        for word in words {
            assert!(said.contains(word), "{command}: {word} is not in: {said}");
        }
    };
    let listen = "backend --data d --listen 127.0.0.1:0";
    says(
        &format!("{listen} --tls 127.0.0.1:0"),
        66,
        &["ca.pem", "turnstiled backend ca"],
    );
    says(
        "backend enrol g --data d --out o",
        66,
        &["no list", "--list"],
    );
    good(home, "backend enrol g --data d --out o --list health");
    says(
        "backend enrol g --data d --out o",
        73,
        &["o is there already"],
    );
    says("backend ca --data d", 73, &["ca.pem is there already"]);
    says("backend enrol g/h --data d --out p", 2, &["g/h", "0-9"]);
    says(
        "backend enrol g --data d --out p --days 0",
        2,
        &["1..=3650"],
    );
    says(
        "backend enrol g --data d --out p --url http://x",
        2,
        &["https://"],
    );
    says("backend", 2, &["--data"]);
    says(
        &format!("{listen} --tls 127.0.0.1:0 --tls-certificate c.pem"),
        2,
        &["--tls-key"],
    );
    fs::set_permissions(home.join("o/gate.key"), fs::Permissions::from_mode(0o644)).unwrap();
    says(
        &format!(
            "{listen} --tls 127.0.0.1:0 --tls-certificate o/gate.pem --tls-key o/gate.key --tls-ca o/ca.pem"
        ),
        69,
        &["gate.key", "chmod o-rwx"],
    );
    let known = GateId::new("g").unwrap();
    assert!(Material::read_for(&bundle(&home.join("o")), &known).is_err());
}

/// What a bundle is used with is the config of its own gate, with a key for nobody else.
#[test]
fn a_gate_with_anothers_bundle_or_an_open_key_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    good(
        home,
        "backend enrol North_1 --data d --out site --list health",
    );
    let site = home.join("site");
    let fragment = fs::read_to_string(site.join("gate-fragment.toml")).unwrap();
    let config = |name: &str| {
        let text = format!("{CONFIG}\n{fragment}").replace("North_1", name);
        fs::write(site.join("gate.toml"), text).unwrap();
    };
    fs::create_dir(site.join("frames")).unwrap();
    fs::write(site.join("trust.toml"), TRUST).unwrap();
    config("North_1");
    good(home, "check site/gate.toml");
    config("South_1");
    let (code, said) = turnstiled(home, "check site/gate.toml");
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("gate.pem") && said.contains("North_1") && said.contains("South_1"),
        "{said}"
    );
    config("North_1");
    fs::set_permissions(site.join("gate.key"), fs::Permissions::from_mode(0o604)).unwrap();
    let (code, said) = turnstiled(home, "check site/gate.toml");
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("gate.key") && said.contains("chmod"),
        "{said}"
    );
}

/// Waits for a condition, with patience: a loaded machine is slow.
async fn wait_for(what: &str, done: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !done().await {
        assert!(Instant::now() < until, "{what}: not within 90 s");
        sleep(Duration::from_millis(50)).await;
    }
}
