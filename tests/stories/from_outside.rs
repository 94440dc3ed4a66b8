//! A stranger with the binary alone: a backend, a list, a gate with a folder as camera, a pseudo-terminal as card
//! reader and files as lines; a picture opens the gate, a card too, SIGTERM leaves the lines safe.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use image::{GrayImage, ImageFormat};
use tokio::time::{Instant, sleep};
use turnstiled::domain::{IdCard, IdCardKind, Personal};
use turnstiled::lab::sam_module::{AfterRead, SamModule};
use turnstiled::lab::screen::{HEIGHT, View, WIDTH, render};

const TURNSTILED: &str = env!("CARGO_BIN_EXE_turnstiled");

const CONFIG: &str = r#"
gate = "outside"
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
release_ms = 2000
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "camera", direction = "entry", folder = { path = "frames", fps = 15 } },
    { name = "card", direction = "entry", id_card = { port = "card" } },
]
"#;

const TRUST: &str = r#"
version = 1
issuer = [
    { id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] },
    { id = "id-card", profile = "idcard" },
]
"#;

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_drives_the_gate_with_files_and_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    for name in ["frames", "lines"] {
        fs::create_dir(home.join(name)).unwrap();
    }
    // Region code 10 is given to nobody.
    let number = "100000195001010019";
    let check = turnstiled::codes::id_card::check_digit(&number.as_bytes()[..17]).unwrap();
    let number = format!("{}{}", &number[..17], char::from(check));
    let people = format!(
        "kind,issuer,identifier,colour\nopaque,health,HC:STRANGER,green\nopaque,health,HC:RED,red\nid_card,id-card,{number},green\n"
    );
    fs::write(home.join("people.csv"), people).unwrap();
    let imported = run(
        home,
        &[
            "codes",
            "import",
            "--list",
            "health",
            "--data",
            "backend",
            "people.csv",
        ],
    );
    assert!(imported.0, "{}", imported.1);

    let _backend = backend(home);
    let fragment = fs::read_to_string(home.join("backend/gate-fragment.toml")).unwrap();
    fs::write(home.join("trust.toml"), TRUST).unwrap();
    fs::write(home.join("gate.toml"), format!("{CONFIG}\n{fragment}")).unwrap();
    let checked = run(home, &["check", "gate.toml"]);
    assert!(checked.0, "{}", checked.1);

    let module = SamModule::start(home.join("card"), AfterRead::Quiet).unwrap();
    let systemd = UnixDatagram::bind(home.join("notify")).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let mut gate = Running(spawn(home, &["run", "--config", "gate.toml"]));
    assert_eq!(
        heard(&systemd),
        "READY=1",
        "systemd hears that the gate decides"
    );
    assert_eq!(heard(&systemd), "WATCHDOG=1", "and that its loop turns");
    wait_for("the relay line exists", || line(home, 17) == Some('0')).await;
    // The list arrives within moments; a red code shown too early would be unknown, and held as well.
    sleep(Duration::from_secs(2)).await;
    show(home, "1-red.png", "HC:RED", 1);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(line(home, 17), Some('0'), "red is held");
    show(home, "2-green.png", "HC:STRANGER", 2);
    wait_for("a picture opens the gate", || line(home, 17) == Some('1')).await;
    walk(home).await;
    wait_for("the flap locks behind them", || line(home, 17) == Some('0')).await;

    module.present(IdCard {
        number: Personal::new(number),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    });
    wait_for("a card opens the gate", || line(home, 17) == Some('1')).await;

    // Nobody has read what systemd was told: that has not held up the gate. Now it listens again.
    (0..30).for_each(|_| assert_eq!(heard(&systemd), "WATCHDOG=1"));
    let pid = gate.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = tokio::task::spawn_blocking(move || gate.0.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0), "a stop is no failure");
    let stopping = std::iter::repeat_with(|| heard(&systemd)).find(|state| state != "WATCHDOG=1");
    assert_eq!(stopping.as_deref(), Some("STOPPING=1"));
    assert_eq!(
        line(home, 17),
        Some('0'),
        "lines are safe after a stop, even in the middle of a grant"
    );
}

/// The next thing that systemd is told.
fn heard(systemd: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let length = systemd.recv(&mut bytes).expect("the gate tells systemd");
    String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
}

fn spawn(home: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(TURNSTILED);
    command
        .args(args)
        .current_dir(home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .env("NOTIFY_SOCKET", home.join("notify"))
        .env("WATCHDOG_USEC", "2000000");
    command.spawn().unwrap()
}

fn run(home: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(TURNSTILED)
        .args(args)
        .current_dir(home)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A backend on a free port, once it has written what gates need.
fn backend(home: &Path) -> Running {
    let mut child = Command::new(TURNSTILED);
    child
        .args(["backend", "--listen", "127.0.0.1:0", "--data", "backend"])
        .current_dir(home);
    let mut child = child
        .env("RUST_LOG", "info")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let up = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("the backend is up"))
    });
    assert!(up.is_some(), "the backend says that it is up");
    // Somebody must go on reading, or its log would block it.
    std::thread::spawn(move || lines.for_each(drop));
    Running(child)
}

fn show(home: &Path, name: &str, text: &str, seed: u64) {
    let picture = render(text, &View::at_rest(seed), seed);
    let (width, height) = (
        u32::try_from(WIDTH).unwrap(),
        u32::try_from(HEIGHT).unwrap(),
    );
    let image = GrayImage::from_raw(width, height, picture.into_pixels()).unwrap();
    image
        .save_with_format(home.join("frames").join(name), ImageFormat::Png)
        .unwrap();
}

async fn walk(home: &Path) {
    for (outer, inner) in [('1', '0'), ('1', '1'), ('0', '1'), ('0', '0')] {
        fs::write(home.join("lines/gpio5"), outer.to_string()).unwrap();
        fs::write(home.join("lines/gpio6"), inner.to_string()).unwrap();
        sleep(Duration::from_millis(120)).await;
    }
}

fn line(home: &Path, pin: u8) -> Option<char> {
    fs::read_to_string(home.join(format!("lines/gpio{pin}")))
        .ok()?
        .chars()
        .next()
}

async fn wait_for(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(15);
    while !done() {
        assert!(Instant::now() < until, "{what}: not within 15 s");
        sleep(Duration::from_millis(20)).await;
    }
}
