//! A browser behind its driver, and what is asked of every page.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::cdp::domains::emulation::SetDeviceMetricsOverride;
use thirtyfour::prelude::*;
use tokio::time::Instant;

/// Longest wait for something that has to come; only a failing test takes so long.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a driver of its own, on a port that it picks, and a browser with an empty profile.
    pub(crate) async fn start() -> Self {
        // The client of the driver wants one, though it speaks plain HTTP to this machine; a test before may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect(
                "chromedriver: Debian package chromium-driver, which `.ci/setup tests` installs",
            );
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split("successfully on port ").nth(1)?.to_owned()))
            .expect("the driver says its port");
        let port: u16 = port.trim_end_matches('.').parse().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut wanted = DesiredCapabilities::chrome();
        for arg in [
            "--headless=new",
            // The tests may run as root, and look at pages of this very machine only.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
            "--mute-audio",
        ] {
            wanted.add_arg(arg).unwrap();
        }
        let folder = format!("--user-data-dir={}", profile.path().display());
        wanted.add_arg(&folder).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted)
            .await
            .expect("a browser starts");
        Self {
            driver,
            process,
            _profile: profile,
        }
    }

    pub(crate) async fn end(self) {
        self.driver.clone().quit().await.unwrap();
    }

    /// A screen of this size, in pixels of the page.
    pub(crate) async fn screen(&self, (width, height): (u32, u32)) {
        let metrics = SetDeviceMetricsOverride {
            width,
            height,
            device_scale_factor: 1.0,
            mobile: false,
            scale: None,
            screen_orientation: None,
        };
        self.driver
            .cdp()
            .send(metrics)
            .await
            .expect("the screen takes a size");
    }

    pub(crate) async fn ask(&self, script: &str, args: Vec<Value>) -> Value {
        let answer = self.driver.execute(script, args).await.expect(script);
        answer.json().clone()
    }

    /// Waits until a script says true; how long that took.
    pub(crate) async fn waits_for(&self, what: &str, script: &str) -> Duration {
        let begun = Instant::now();
        while self.ask(script, Vec::new()).await != json!(true) {
            assert!(begun.elapsed() < PATIENCE, "never came: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    /// What is clipped, lies over something else, or can hardly be told from its ground; empty if nothing.
    pub(crate) async fn layout(&self) -> Vec<String> {
        let answer = self.ask(include_str!("layout.js"), Vec::new()).await;
        serde_json::from_value(answer).unwrap()
    }

    /// What axe-core has against the page: rule and place; empty if nothing.
    pub(crate) async fn axe(&self) -> Vec<String> {
        let there = self.ask("return typeof axe === 'object'", Vec::new()).await;
        if there != json!(true) {
            self.ask(&axe_core(), Vec::new()).await;
        }
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                (found) => done(found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html} ${node.failureSummary}`))),
                (error) => done(['axe-core broke off: ' + error]));";
        let answer = self.driver.execute_async(script, Vec::new()).await.unwrap();
        serde_json::from_value(answer.json().clone()).unwrap()
    }

    /// A picture of the page in `monitoring/pictures`, if pictures are to be made.
    pub(crate) async fn photograph(&self, name: &str) {
        let png = self.driver.screenshot_as_png().await.unwrap();
        let picture = image::load_from_memory(&png).unwrap();
        assert!(picture.width() > 0, "the page can be looked at");
        if std::env::var_os("PICTURES").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring/pictures");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), &png).unwrap();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver and the browser that it started are a group of processes of their own.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.process.wait();
    }
}

/// axe-core, as npm has it; `.ci/setup tests` puts it under the target directory.
fn axe_core() -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_turnstiled"));
    let target = program.parent().and_then(Path::parent).unwrap();
    let file = target.join("foreign/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `.ci/setup tests` puts it there",
            file.display()
        )
    })
}
