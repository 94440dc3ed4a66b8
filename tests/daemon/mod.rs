//! The daemon as a process of its own, and what is around it: a backend in this process, people who each have a code,
//! a scanner on a pseudo-terminal, lines that are files, and a disk that can be taped or bad.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "two test binaries share it, each takes what it needs; what cannot be set up has failed"
)]

pub(crate) mod disk;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode as Access, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use turnstiled::backend::directives::public_key;
use turnstiled::backend::{Backend, Counts, Mode, system_clock};
use turnstiled::codes::row_key::{OPAQUE, row_key};
use turnstiled::domain::{Colour, GateId, IssuerId, ListId, Row, Subject};
use turnstiled::store::codes::Change;

use disk::Disk;

const TURNSTILED: &str = env!("CARGO_BIN_EXE_turnstiled");
/// Whatever is waited for comes within this, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The name of every gate here.
pub(crate) const GATE: &str = "outpost";

const CONFIG: &str = r#"
gate = "outpost"
data_dir = "{data}"
trust_file = "trust.toml"
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }
gpio = { driver = "simulated", folder = "lines", fire_loop = 4 }
{more}
[backend]
url = "{url}"
list_keys = ["{key}"]
directive_keys = ["{directives}"]
groups = ["north"]
poll_ms = 200

[[list]]
name = "health"
pepper_file = "{pepper}"

[[lane]]
name = "entry"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 3000
debounce_ms = 2
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "scanner", direction = "entry", line = { port = "scanner" } }]
"#;

const TRUST: &str = r#"
version = 1
issuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]
"#;

/// What a person shows.
pub(crate) fn code(person: u32) -> String {
    format!("HC:{person:06}")
}

/// What records call them: sixteen hex digits.
pub(crate) fn subject(person: u32) -> String {
    format!("{:016x}", u64::from(person) + 1)
}

/// Where a gate lives.
pub(crate) struct Home {
    folder: TempDir,
    backend: Option<Backend>,
    addr: SocketAddr,
    scanner: Scanner,
}

impl Home {
    /// A place with a backend that has `people` green people on its list, and a gate's config with `more` in it.
    pub(crate) async fn new(people: u32, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(folder.path()).unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let backend = Backend::start(any_port, &home.join("backend"))
            .await
            .unwrap();
        enrol(&backend, people).await;
        fs::create_dir(home.join("lines")).unwrap();
        fs::create_dir(home.join("gate")).unwrap();
        fs::write(home.join("trust.toml"), TRUST).unwrap();
        let home = Self {
            scanner: Scanner::plug_in(&home.join("scanner")),
            addr: backend.addr(),
            backend: Some(backend),
            folder,
        };
        home.configure("gate", more);
        home
    }

    /// Writes the gate's config: where its data is, and what else is to be in it.
    pub(crate) fn configure(&self, data: &str, more: &str) {
        let backend = self.backend.as_ref().expect("a backend");
        let list = ListId::new("health").unwrap();
        let directives = public_key(&self.path("backend")).unwrap();
        let text = CONFIG
            .replace("{data}", data)
            .replace("{more}", more)
            .replace("{directives}", &directives)
            .replace("{url}", &backend.url())
            .replace("{key}", &backend.list_public_key())
            .replace(
                "{pepper}",
                &backend.pepper_file(&list).display().to_string(),
            );
        fs::write(self.path("gate.toml"), text).unwrap();
    }

    /// The gate decides from its lists alone.
    pub(crate) fn asks_nobody(&self) {
        let config = self.path("gate.toml");
        let text = fs::read_to_string(&config).unwrap();
        let told = text.replace("poll_ms = 200", "poll_ms = 200\nresolve = false");
        assert_ne!(told, text);
        fs::write(config, told).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap().join(name)
    }

    /// Starts the gate and waits until it has the list.
    pub(crate) async fn gate(&self, disk: &Disk) -> Gate {
        let gate = self.gate_without_list(disk).await;
        eventually("the gate has the list", async || {
            gate.metric("turnstile_list_rows{list=\"health\"}").await > 0.0
        })
        .await;
        gate
    }

    /// Starts the gate and waits until it decides.
    pub(crate) async fn gate_without_list(&self, disk: &Disk) -> Gate {
        let mut command = disk.command(TURNSTILED);
        command.args(["run", "--config", "gate.toml"]);
        command
            .current_dir(self.folder.path())
            .env("RUST_LOG", "info,sled=warn");
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Log::default();
        let written = log.clone();
        // Somebody must go on reading, or its log would block it.
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| written.add(&line))
        });
        let mut gate = Gate {
            child,
            log,
            pages: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let until = Instant::now() + PATIENCE;
        while gate.pages.port() == 0 {
            let said = gate.log.text();
            assert!(gate.child.try_wait().unwrap().is_none(), "it ended: {said}");
            assert!(Instant::now() < until, "it is not up: {said}");
            if let Some((_, rest)) = said.split_once(" pages=") {
                let addr: String = rest.split_whitespace().next().unwrap_or_default().into();
                gate.pages = addr.parse().unwrap_or(gate.pages);
            }
            sleep(Duration::from_millis(5)).await;
        }
        // What is scanned before the driver has the port is thrown away.
        eventually("the scanner works", async || {
            gate.metric("turnstile_device_up{device=\"scanner\"}").await > 0.5
        })
        .await;
        gate
    }

    /// A command of the daemon, here. Gives whether it succeeded, its output and its complaints.
    pub(crate) fn command(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(TURNSTILED)
            .args(args)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// Shows a person's code.
    pub(crate) fn shows(&self, person: u32) {
        self.scanner.send(&code(person));
    }

    /// Shows another code.
    pub(crate) fn shows_text(&self, code: &str) {
        self.scanner.send(code);
    }

    /// Puts rows on the list: kind, issuer and identifier of each.
    pub(crate) async fn puts(&self, rows: &[(&str, &str, &str, Row)]) {
        let backend = self.backend.as_ref().expect("a backend");
        let list = ListId::new("health").unwrap();
        let pepper = backend.pepper(&list).unwrap();
        let change = |(kind, issuer, identifier, row): &(&str, &str, &str, Row)| {
            let issuer = IssuerId::new(issuer).unwrap();
            Change::Put(
                row_key(&pepper, kind, &issuer, identifier).unwrap(),
                row.encode(),
            )
        };
        let changes = rows.iter().map(change).collect();
        backend.import(&list, Mode::Patch, changes).await.unwrap();
    }

    /// True while the relay holds the flap open.
    pub(crate) fn is_released(&self) -> bool {
        self.line(17) == Some('1')
    }

    pub(crate) fn line(&self, pin: u8) -> Option<char> {
        let text = fs::read_to_string(self.folder.path().join(format!("lines/gpio{pin}"))).ok()?;
        text.chars().next()
    }

    /// The beams break and close again in the order of somebody who walks in.
    pub(crate) async fn walks(&self) {
        for (outer, inner) in [('1', '0'), ('1', '1'), ('0', '1'), ('0', '0')] {
            self.beams(outer, inner);
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// Puts a level on a line.
    pub(crate) fn set_line(&self, pin: u8, level: char) {
        let path = self.folder.path().join(format!("lines/gpio{pin}"));
        fs::write(path, level.to_string()).unwrap();
    }

    /// Nobody stands in the beams.
    pub(crate) fn aisle_is_empty(&self) {
        self.beams('0', '0');
    }

    fn beams(&self, outer: char, inner: char) {
        self.set_line(5, outer);
        self.set_line(6, inner);
    }

    /// Shows a code, waits for the flap, walks through, and waits until it has closed.
    pub(crate) async fn passes(&self, person: u32) {
        self.shows(person);
        eventually("the flap opens", async || self.is_released()).await;
        self.walks().await;
        eventually("the flap closes", async || !self.is_released()).await;
    }

    /// The backend goes away.
    pub(crate) async fn lose_backend(&mut self) {
        if let Some(backend) = self.backend.take() {
            backend.shutdown().await;
        }
    }

    /// It comes back where it was, with what it had.
    pub(crate) async fn bring_back_backend(&mut self) {
        if self.backend.is_none() {
            let data = self.path("backend");
            let until = Instant::now() + PATIENCE;
            self.backend = loop {
                match Backend::start_with(self.addr, &data, system_clock()).await {
                    Ok(backend) => break Some(backend),
                    // A connection of the old one may hold the port for a moment.
                    Err(error) => assert!(Instant::now() < until, "{error}"),
                }
                sleep(Duration::from_millis(20)).await;
            };
        }
    }

    /// A person has another colour from now on.
    pub(crate) async fn becomes(&self, person: u32, colour: Colour) {
        let backend = self.backend.as_ref().expect("a backend");
        imports(backend, Mode::Patch, std::iter::once((person, colour))).await;
    }

    /// The list is another one: so many green people.
    pub(crate) async fn lists(&self, people: u32) {
        enrol(self.backend.as_ref().expect("a backend"), people).await;
    }

    /// Where the backend is.
    pub(crate) fn backend_url(&self) -> String {
        self.backend.as_ref().expect("a backend").url()
    }

    /// What the backend counts of this gate, epoch by epoch.
    pub(crate) fn counts(&self) -> Vec<(String, Counts)> {
        let gate = GateId::new(GATE).unwrap();
        self.backend
            .as_ref()
            .expect("a backend")
            .counts(&gate)
            .unwrap()
    }

    /// Every passage record at the backend, in the order of arrival.
    pub(crate) async fn at_backend(&self) -> Vec<Value> {
        let url = self.backend_url();
        let (mut found, mut after) = (Vec::new(), String::from("0"));
        loop {
            let answer = http()
                .get(format!("{url}/v1/passages?after={after}"))
                .send()
                .await
                .unwrap();
            let next = answer.headers()["turnstile-after"]
                .to_str()
                .unwrap()
                .to_owned();
            let text = answer.text().await.unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            found.extend(lines);
            if next == after {
                return found;
            }
            after = next;
        }
    }

    /// Waits until the backend has what it must have; gives all its records, which are in order and without a gap.
    pub(crate) async fn arrives(
        &self,
        what: &str,
        is_there: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let mut records = Vec::new();
        eventually(what, async || {
            records = self.at_backend().await;
            is_there(&records)
        })
        .await;
        in_order(&records);
        records
    }

    /// Waits until the backend knows that so many people have passed.
    pub(crate) async fn have_passed(&self, people: usize) -> Vec<Value> {
        let what = format!("{people} people have passed");
        self.arrives(&what, |records| {
            count(records, "outcome", "passed") == people
        })
        .await
    }
}

async fn enrol(backend: &Backend, people: u32) {
    let rows = (0..people).map(|person| (person, Colour::Green));
    imports(backend, Mode::Replace, rows).await;
}

/// Makes a version of the list.
async fn imports(backend: &Backend, mode: Mode, people: impl Iterator<Item = (u32, Colour)>) {
    let (list, issuer) = (
        ListId::new("health").unwrap(),
        IssuerId::new("health").unwrap(),
    );
    let pepper = backend.pepper(&list).unwrap();
    let row = |(person, colour): (u32, Colour)| {
        let row = Row {
            subject: Subject((u64::from(person) + 1).to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(colour),
            entitlements: 1,
            region: 0,
        };
        let key = row_key(&pepper, OPAQUE, &issuer, &code(person)).unwrap();
        Change::Put(key, row.encode())
    };
    backend
        .import(&list, mode, people.map(row).collect())
        .await
        .unwrap();
}

/// A running gate. It does not outlive its test.
pub(crate) struct Gate {
    child: Child,
    log: Log,
    pages: SocketAddr,
}

impl Gate {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    async fn page(&self, path: &str) -> String {
        let answer = http()
            .get(format!("http://{}{path}", self.pages))
            .send()
            .await;
        match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// A series by its full name; not a number if it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.page("/metrics").await;
        let value = text
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .find(|(name, _)| *name == series);
        value
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// True while this alarm is on.
    pub(crate) async fn alarms(&self, alarm: &str) -> bool {
        for place in ["entry", "gate"] {
            let series = format!("turnstile_alarm{{alarm=\"{alarm}\",lane=\"{place}\"}}");
            if self.metric(&series).await > 0.5 {
                return true;
            }
        }
        false
    }

    /// What the passenger reads.
    pub(crate) async fn prompt(&self) -> String {
        let text = self.page("/status.json").await;
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        status["lanes"][0]["prompts"][0][1]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// How many presentations came to this result: `granted`, or a reason.
    pub(crate) async fn results(&self, result: &str) -> f64 {
        let series = format!(
            "turnstile_presentations_total{{lane=\"entry\",medium=\"qr_code\",result=\"{result}\"}}"
        );
        let counted = self.metric(&series).await;
        if counted.is_nan() { 0.0 } else { counted }
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(told.success());
    }

    /// Power is not cut, but the process is gone at once.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Stops it as systemd would.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end: {}", self.log());
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a process has written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap();
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A scanner module that sends lines.
struct Scanner {
    master: OwnedFd,
    /// Kept open, so that the daemon can close and open its end at will.
    _slave: OwnedFd,
}

impl Scanner {
    fn plug_in(link: &Path) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Access::empty()).unwrap();
        let mut settings = rustix::termios::tcgetattr(&slave).unwrap();
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings).unwrap();
        rustix::fs::symlink(name.as_c_str(), link).unwrap();
        Self {
            master,
            _slave: slave,
        }
    }

    fn send(&self, code: &str) {
        let line = format!("{code}\r\n");
        let written = rustix::io::write(&self.master, line.as_bytes()).unwrap();
        assert_eq!(written, line.len());
    }
}

/// Each record of an epoch once, in order; the first epoch begins with 1.
fn in_order(records: &[Value]) {
    let mut next = BTreeMap::new();
    for record in records {
        let seq = record["seq"].as_u64().unwrap();
        let first = next.is_empty();
        let expected = next.entry(record["epoch"].to_string()).or_insert(seq);
        assert!(
            *expected == seq && (!first || seq == 1),
            "{record} comes where {expected} should"
        );
        *expected += 1;
    }
}

/// How many records say this.
pub(crate) fn count(records: &[Value], key: &str, value: &str) -> usize {
    let says = |one: &&Value| one["record"][key] == value;
    records.iter().filter(says).count()
}

/// Waits for what must come.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done().await {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A client of pages and of the backend on this machine.
fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(turnstiled::sync::tls::plain().unwrap())
        .build()
        .unwrap()
}
