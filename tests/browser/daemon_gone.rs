//! The daemon is killed: both pages say so by themselves, and are right again once it is back.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::browser::Browser;

const CONFIG: &str = r#"
gate = "killed"
data_dir = "gate"
trust_file = "trust.toml"
list = [{ name = "health", pepper_file = "health.pepper" }]
http = { listen = "127.0.0.1:{port}" }
clock = { trust = "always" }

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
reader = [{ name = "camera", direction = "exit", folder = { path = "frames" } }]
"#;

fn start(home: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_turnstiled"))
        .args(["run", "--config", "gate.toml"])
        .current_dir(home)
        .env_remove("NOTIFY_SOCKET")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_is_out_of_service_within_three_seconds_and_is_seen_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let port = {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    fs::create_dir(home.join("frames")).unwrap();
    fs::write(
        home.join("gate.toml"),
        CONFIG.replace("{port}", &port.to_string()),
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

    let mut daemon = start(home);
    let pages = format!("http://127.0.0.1:{port}");
    let until = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the daemon does not come up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let display = Browser::start().await;
    let status = Browser::start().await;
    let url = format!("{pages}/display/out?side=exit&lang=en");
    display.driver.goto(url.as_str()).await.unwrap();
    status.driver.goto(pages.as_str()).await.unwrap();
    let idle = "return document.querySelector('main').dataset.prompt === 'idle'";
    let gone = "return document.querySelector('main').dataset.prompt === 'out_of_service'";
    let away = "return document.body.classList.contains('away')";
    let here = "return !document.body.classList.contains('away')";
    display.waits_for("idle", idle).await;
    status.waits_for("an answer", here).await;

    daemon.kill().unwrap();
    let killed = Instant::now();
    daemon.wait().unwrap();
    display.waits_for("out of service", gone).await;
    let took = killed.elapsed();
    eprintln!("out of service {} ms after the kill", took.as_millis());
    assert!(took <= Duration::from_secs(3), "{took:?}");
    let words = "return document.querySelector('.first.says').textContent === 'Out of service'";
    display.waits_for("the words", words).await;
    status
        .waits_for("that the gate does not answer", away)
        .await;

    let mut daemon = start(home);
    display.waits_for("idle again", idle).await;
    status.waits_for("an answer again", here).await;
    display.end().await;
    status.end().await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
