//! What an operator reads in the log of a gate whose devices go and come back: one line a change, however long it lasts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use turnstiled::lab::sam_module::{AfterRead, SamModule};

const CONFIG: &str = r#"
gate = "log"
data_dir = "gate"
trust_file = "trust.toml"
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }
gpio = { driver = "simulated", folder = "lines" }
list = [{ name = "health", pepper_file = "pepper" }]

[[lane]]
name = "entry"
barrier = "flap"
fail = "secure"
directions = ["entry"]
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "camera", direction = "entry", folder = { path = "frames" } },
    { name = "card", direction = "entry", id_card = { port = "card" } },
]
"#;

const TRUST: &str = r#"
version = 1
issuer = [{ id = "id-card", profile = "idcard" }]
"#;

/// A gate that is running, and what it has logged.
struct Gate {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    fn start(home: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_turnstiled"))
            .args(["run", "--config", "gate.toml"])
            .current_dir(home)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()).lines(),
            Arc::clone(&log),
        );
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, log }
    }

    /// How many lines have all of these words.
    fn count(&self, words: &[&str]) -> usize {
        let log = self.log.lock().unwrap();
        let fits = |line: &&String| words.iter().all(|word| line.contains(word));
        log.iter().filter(fits).count()
    }

    async fn until(&self, words: &[&str], count: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.count(words) < count {
            assert!(
                Instant::now() < until,
                "{words:?} {count} times: {:#?}",
                self.log.lock().unwrap()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_one_line_when_it_begins_and_one_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    for name in ["frames", "lines"] {
        fs::create_dir(home.join(name)).unwrap();
    }
    fs::write(home.join("gate.toml"), CONFIG).unwrap();
    fs::write(home.join("trust.toml"), TRUST).unwrap();
    fs::write(home.join("pepper"), "11".repeat(32)).unwrap();
    fs::set_permissions(home.join("pepper"), fs::Permissions::from_mode(0o600)).unwrap();
    let module = SamModule::start(home.join("card"), AfterRead::Quiet).unwrap();
    let gate = Gate::start(home);
    let (online, offline) = (["card", "is online"], ["card", "is offline"]);
    let (camera_up, camera_down) = (["the camera is up"], ["the camera is down"]);
    let (board_up, board_down) = (["sensors work"], ["sensors are offline"]);
    gate.until(&online, 1).await;
    gate.until(&camera_up, 1).await;
    gate.until(&board_up, 1).await;

    module.unplug();
    fs::rename(home.join("frames"), home.join("frames-gone")).unwrap();
    fs::write(home.join("lines/gpio5"), "torn off").unwrap();
    gate.until(&offline, 1).await;
    gate.until(&camera_down, 1).await;
    gate.until(&board_down, 1).await;
    // Long enough for several tries at each of them.
    sleep(Duration::from_secs(6)).await;
    module.plug();
    fs::rename(home.join("frames-gone"), home.join("frames")).unwrap();
    fs::write(home.join("lines/gpio5"), "0").unwrap();
    gate.until(&online, 2).await;
    gate.until(&camera_up, 2).await;
    gate.until(&board_up, 2).await;

    for (what, count) in [
        (&offline[..], 1),
        (&camera_down, 1),
        (&board_down, 1),
        (&online, 2),
        (&camera_up, 2),
        (&board_up, 2),
        (&["staff are called"], 1),
        // Nobody else speaks of it: every warning is one of these, and staff are called to the lane without a board.
        (&["WARN"], 4),
    ] {
        assert_eq!(
            gate.count(what),
            count,
            "{what:?}: {:#?}",
            gate.log.lock().unwrap()
        );
    }
}
