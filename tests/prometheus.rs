//! A real Prometheus scrapes real pages: each alert of `monitoring/alerts.yml` fires for its fault and falls silent after it.
//!
//! The rules are the shipped ones, with their times made short: minutes and hours would be waited for otherwise. Faults of
//! most alerts are series of a registry that is served like the daemon's; a daemon beside it really sees a fire and is killed.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]
#![expect(clippy::expect_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use turnstiled::telemetry::display::{Displays, Signs};
use turnstiled::telemetry::http::{self, Pages};
use turnstiled::telemetry::{Metrics, Status};

/// Longest wait for an alert; only a failing test takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sets or heals the fault of every alert that a registry can show.
fn fault(metrics: &Metrics, on: bool) {
    let level = i64::from(on);
    let alarm = |lane: &str, alarm: &str| {
        let gauge = metrics.alarm.with_label_values(&[lane, alarm]);
        gauge.set(level);
    };
    metrics
        .device_up
        .with_label_values(&["entry-camera"])
        .set(1 - level);
    let (state, before) = if on {
        ("frozen", "up")
    } else {
        ("up", "frozen")
    };
    Metrics::set_one_of(&metrics.device_state, "entry-camera", state, before);
    alarm("gate", "fire");
    for fault in [
        "obstruction",
        "barrier_fault",
        "held_open",
        "sensor_fault",
        "reader_tampered",
        "reader_power",
        "reader_provisioning",
    ] {
        alarm("north", fault);
    }
    let (line, was) = if on {
        ("degraded", "ready")
    } else {
        ("ready", "degraded")
    };
    Metrics::set_one_of(&metrics.reader_port_state, "entry-card", line, was);
    alarm("gate", "unrecorded");
    metrics.journal_unwritten.set(3 * level);
    metrics.journal_limit.set(100);
    metrics.journal_bytes.set(if on { 90 } else { 10 });
    metrics
        .journal_oldest_age
        .set(if on { 4_000.0 } else { 2.0 });
    metrics.backend_up.set(1 - level);
    metrics
        .certificate_expires
        .with_label_values(&["gate"])
        .set(if on { 86_400.0 } else { 90.0 * 86_400.0 });
    metrics
        .list_age
        .with_label_values(&["health"])
        .set(if on { 90_000.0 } else { 60.0 });
    metrics.clock_trusted.set(1 - level);
    let board = metrics
        .machine
        .celsius
        .with_label_values(&["cpu-thermal-0"]);
    board.set(if on { 84.0 } else { 51.0 });
    let wear = metrics.machine.wear.with_label_values(&["mmcblk0", "a"]);
    wear.set(if on { 0.9 } else { 0.1 });
    metrics.machine.disk_size.set(1_000.0);
    metrics.machine.disk_free.set(if on { 20.0 } else { 700.0 });
}

/// What is counted while the fault lasts.
fn happens(metrics: &Metrics) {
    metrics
        .device_faults
        .with_label_values(&["lines"])
        .inc_by(5);
    let passages = &metrics.passages;
    passages.with_label_values(&["north", "forced"]).inc_by(9);
    let stages = &metrics.stages;
    stages.own_share.with_label_values(&["north"]).observe(0.4);
    stages.journal_append.observe(0.4);
    metrics.journal_dropped.inc();
    metrics
        .tls_refusals
        .with_label_values(&["theirs", "expired"])
        .inc();
    metrics.list_failures.with_label_values(&["health"]).inc();
    metrics.delivery_failures.inc();
    metrics.epoch_conflicts.inc();
}

/// Every alert of the rules, and a copy of them whose times are short.
fn rules() -> (BTreeSet<String>, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring/alerts.yml");
    let text = fs::read_to_string(path).unwrap();
    let alerts = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    let mut short = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if line.trim_start().starts_with("for: ") {
            line = "        for: 1s".into();
        }
        // Ranges of a rate: `[15m]`.
        while let Some((head, rest)) = line.split_once("m]").or_else(|| line.split_once("h]")) {
            let head = head.trim_end_matches(|c: char| c.is_ascii_digit());
            line = format!("{head}6s]{rest}");
        }
        short.push_str(&line);
        short.push('\n');
    }
    (alerts, short)
}

/// Pages of a registry that the test holds.
async fn registry() -> (Metrics, u16, watch::Sender<bool>) {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopping) = watch::channel(false);
    let (_, status) = watch::channel(Arc::<Status>::default());
    let (_, heartbeat) = watch::channel(Instant::now());
    let (_, signs) = watch::channel(Arc::<Signs>::default());
    let pages = Pages {
        metrics: metrics.clone(),
        status,
        heartbeat,
        displays: Displays::new(signs),
    };
    tokio::spawn(http::serve(listener, pages, stopping));
    (metrics, port, stop)
}

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let free = StdListener::bind(("127.0.0.1", 0)).unwrap();
    free.local_addr().unwrap().port()
}

const GATE: &str = r#"
gate = "real"
data_dir = "gate"
trust_file = "trust.toml"
list = [{ name = "health", pepper_file = "health.pepper" }]
http = { listen = "127.0.0.1:{port}" }
clock = { trust = "always" }
gpio = { driver = "simulated", folder = "lines", fire_loop = 9 }

[[lane]]
name = "out"
barrier = "flap"
fail = "safe"
directions = ["exit"]
outputs = { release_exit = 18 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [{ name = "frames", direction = "exit", folder = { path = "frames" } }]
"#;

/// A daemon whose only reader is a folder that `home` has, or has not.
fn daemon(home: &Path, port: u16) -> Process {
    fs::write(
        home.join("gate.toml"),
        GATE.replace("{port}", &port.to_string()),
    )
    .unwrap();
    fs::write(
        home.join("trust.toml"),
        "version = 1\nissuer = [{ id = \"health\", profile = \"opaque\", detect = [{ prefix = \"HC:\" }] }]\n",
    )
    .unwrap();
    let pepper = home.join("health.pepper");
    fs::write(&pepper, "5a".repeat(32)).unwrap();
    fs::set_permissions(&pepper, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_turnstiled"))
        .args(["run", "--config", "gate.toml"])
        .current_dir(home)
        .env_remove("NOTIFY_SOCKET")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

/// Starts Prometheus on these targets.
fn prometheus(home: &Path, rules: &str, targets: [u16; 2]) -> (Process, u16) {
    let port = free_port();
    fs::write(home.join("alerts.yml"), rules).unwrap();
    let [registry, real] = targets;
    let config = format!(
        "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
         rule_files: [alerts.yml]\n\
         scrape_configs:\n  - job_name: turnstile\n    static_configs:\n      - targets: ['127.0.0.1:{registry}', '127.0.0.1:{real}']\n"
    );
    fs::write(home.join("prometheus.yml"), config).unwrap();
    let mut child = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(home)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prometheus: the Debian package, which `.ci/setup tests` installs");
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    (Process(child), port)
}

/// What Prometheus answers; nothing while it is still starting.
async fn asked(port: u16, path: &str) -> serde_json::Value {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return serde_json::Value::Null;
    };
    // Of version 1.0: an answer in one piece.
    let request = format!("GET /api/v1/{path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_default()
}

/// Alerts that fire now: name and port of the instance.
async fn firing(port: u16) -> BTreeSet<(String, u16)> {
    let answer = asked(port, "alerts").await;
    let alerts = answer
        .pointer("/data/alerts")
        .and_then(|alerts| alerts.as_array().cloned());
    let firing = alerts.unwrap_or_default();
    let firing = firing.iter().filter(|alert| alert["state"] == "firing");
    firing
        .map(|alert| {
            let labels = &alert["labels"];
            let instance = labels["instance"].as_str().unwrap();
            let port = instance.rsplit(':').next().unwrap().parse().unwrap();
            (labels["alertname"].as_str().unwrap().to_owned(), port)
        })
        .collect()
}

async fn waits_for(what: &str, port: u16, holds: impl Fn(&BTreeSet<(String, u16)>) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = firing(port).await;
        if holds(&now) {
            return;
        }
        assert!(
            Instant::now() < until,
            "never came: {what}; firing: {now:?}"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_for_its_fault_and_falls_silent_after_it() {
    let (alerts, short) = rules();
    let (metrics, shown, _serving) = registry().await;
    let home = tempfile::tempdir().unwrap();
    let gate_home = tempfile::tempdir().unwrap();
    fs::create_dir(gate_home.path().join("frames")).unwrap();
    let lines = gate_home.path().join("lines");
    fs::create_dir(&lines).unwrap();
    // The fire loop is whole.
    fs::write(lines.join("gpio9"), "1").unwrap();
    let real = free_port();
    let gate = daemon(gate_home.path(), real);
    let (_prometheus, port) = prometheus(home.path(), &short, [shown, real]);

    fault(&metrics, false);
    let until = Instant::now() + PATIENCE;
    loop {
        let up = asked(port, "query?query=sum(up)").await;
        if up["data"]["result"][0]["value"][1] == "2" {
            break;
        }
        assert!(Instant::now() < until, "both are not scraped: {up}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let quiet = |now: &BTreeSet<(String, u16)>| now.is_empty();
    waits_for("silence of two good gates", port, quiet).await;

    // Everything goes wrong at the registry, and goes on until all of it is noticed.
    fault(&metrics, true);
    let lasts = Arc::new(AtomicBool::new(true));
    let (goes_on, counted) = (Arc::clone(&lasts), metrics.clone());
    let happening = tokio::spawn(async move {
        while goes_on.load(Ordering::Relaxed) {
            happens(&counted);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    let wanted: BTreeSet<_> = alerts
        .iter()
        // A registry whose pages are served cannot be gone.
        .filter(|alert| *alert != "TurnstileGone")
        .map(|alert| (alert.clone(), shown))
        .collect();
    waits_for("every alert", port, |now| *now == wanted).await;
    lasts.store(false, Ordering::Relaxed);
    happening.await.unwrap();
    fault(&metrics, false);
    waits_for("silence after every fault", port, quiet).await;

    // A real daemon: somebody opens the fire loop, and it is killed.
    fs::write(lines.join("gpio9"), "0").unwrap();
    let fire = ("TurnstileFire".to_owned(), real);
    waits_for("the fire", port, |now| now.contains(&fire)).await;
    drop(gate);
    let gone = ("TurnstileGone".to_owned(), real);
    let only_gone = |now: &BTreeSet<_>| now.contains(&gone) && now.len() == 1;
    waits_for("that it is gone", port, only_gone).await;
    fs::write(lines.join("gpio9"), "1").unwrap();
    let _gate = daemon(gate_home.path(), real);
    // The latch of a fire outlives the daemon: only a person resets it.
    let only_fire = |now: &BTreeSet<_>| now.contains(&fire) && now.len() == 1;
    waits_for("that it is back, and the fire with it", port, only_fire).await;
}
