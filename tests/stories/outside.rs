//! The binary alone: a folder, a process whose log is read along, and its pages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use turnstiled::lab::screen::{HEIGHT, View, WIDTH, render};

pub(crate) const TURNSTILED: &str = env!("CARGO_BIN_EXE_turnstiled");
const PATIENCE: Duration = Duration::from_secs(60);

const HEAD: &str = r#"
gate = "outside"
data_dir = "gate"
trust_file = "trust.toml"
list = [{ name = "health", pepper_file = "health.pepper" }]
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }
"#;

const TRUST: &str = r#"
version = 1
issuer = [
    { id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] },
    { id = "id-card", profile = "idcard" },
]
"#;

/// A folder with a config that ends in `lanes`, and the files it names. Without a backend its list never arrives: who
/// wants in is for staff, and whoever leaves is let out.
pub(crate) fn home(lanes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(home.join("gate.toml"), format!("{HEAD}{lanes}")).unwrap();
    std::fs::write(home.join("trust.toml"), TRUST).unwrap();
    let pepper = home.join("health.pepper");
    std::fs::write(&pepper, "5a".repeat(32)).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&pepper, private).unwrap();
    folder
}

/// A running gate. It does not outlive its story.
pub(crate) struct Gate {
    child: Child,
    home: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) pages: SocketAddr,
}

impl Gate {
    /// Starts it, and waits until it decides.
    pub(crate) fn start(home: &Path) -> Self {
        let mut child = Command::new(TURNSTILED)
            .args(["run", "--config", "gate.toml"])
            .current_dir(home)
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        let mut gate = Self {
            child,
            home: home.into(),
            log,
            pages: ([127, 0, 0, 1], 0).into(),
        };
        let decides = gate.logs("the gate decides");
        let pages = decides.split("pages=").nth(1).unwrap();
        gate.pages = pages.split(' ').next().unwrap().trim().parse().unwrap();
        gate
    }

    /// Waits for a line of the log that holds `words`.
    pub(crate) fn logs(&self, words: &str) -> String {
        let found = || {
            let log = self.log.lock().unwrap();
            log.iter().find(|line| line.contains(words)).cloned()
        };
        waits_for(&format!("a log line with \"{words}\""), || {
            found().is_some()
        });
        found().unwrap()
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn page(&self, path: &str) -> String {
        get(self.pages, path)
    }

    pub(crate) fn metric(&self, series: &str) -> u64 {
        metric(&self.page("/metrics"), series)
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let page = self.page("/status.json");
        serde_json::from_str(page.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The level of a line, as its file says.
    pub(crate) fn line(&self, pin: u8) -> Option<char> {
        line(&self.home, pin)
    }

    /// As a power cut or the kernel's hunger for memory ends it: without a last word.
    pub(crate) fn dies(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn line(home: &Path, pin: u8) -> Option<char> {
    let text = std::fs::read_to_string(home.join(format!("lines/gpio{pin}"))).ok()?;
    text.chars().next()
}

/// Puts a level on a line, as the world does.
pub(crate) fn set_line(home: &Path, pin: u8, level: bool) {
    let path = home.join(format!("lines/gpio{pin}"));
    std::fs::create_dir_all(home.join("lines")).unwrap();
    std::fs::write(path, if level { "1" } else { "0" }).unwrap();
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn waits_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a command says, and its exit code.
pub(crate) fn command(home: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(TURNSTILED)
        .args(args)
        .current_dir(home)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A page, head and body.
pub(crate) fn get(pages: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(pages).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {pages}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The value of a series, by the beginning of its line; 0 where it does not exist yet.
pub(crate) fn metric(page: &str, series: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(series));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Puts a picture of a phone into the folder `frames`, whole or not at all.
pub(crate) fn photograph(home: &Path, name: &str, text: &str, seed: u64) {
    let picture = render(text, &View::at_rest(seed), seed);
    let (width, height) = (
        u32::try_from(WIDTH).unwrap(),
        u32::try_from(HEIGHT).unwrap(),
    );
    let image = image::GrayImage::from_raw(width, height, picture.into_pixels()).unwrap();
    let hidden = home.join("frames").join(format!(".{name}"));
    image
        .save_with_format(&hidden, image::ImageFormat::Png)
        .unwrap();
    std::fs::rename(hidden, home.join("frames").join(name)).unwrap();
}
