//! A gate whose backend may lie and whose date may jump, and what people and operators see of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use turnstiled::backend::{Clock, Mode, system_clock};
use turnstiled::domain::{
    ClockQuality, Colour, Direction, ListId, Mono, Outcome, Reason, Row, RowKey, Subject, Utc,
    Verdict,
};
use turnstiled::lab::demo::cast::{self, PASSENGERS_MIN, Person};
use turnstiled::lab::demo::lane::{DemoLane, Witness};
use turnstiled::lab::demo::props::Props;
use turnstiled::lab::demo::stage::Stage;
use turnstiled::runtime::clock::DateSource;
use turnstiled::store::codes::Change;
use turnstiled::sync::dsse;
use turnstiled::sync::manifest::{Manifest, PAYLOAD_TYPE};
use turnstiled::telemetry::Status;

use crate::liar::Liar;
use crate::scene::expect;
use crate::told::Log;

/// On a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Link {
    pub(crate) stage: Stage,
    pub(crate) lanes: [DemoLane; 2],
    pub(crate) people: Vec<Person>,
    pub(crate) liar: Liar,
    pub(crate) log: Log,
}

impl Link {
    /// A gate that is ready, with the liar (who tells the truth) between it and its backend.
    pub(crate) async fn new(log: Log, seed: u64) -> Self {
        let link = Self::with(log, seed, system_clock(), Props::default(), Vec::new()).await;
        link.ready().await;
        link
    }

    /// The same with other props, not waited for. `more` people than the cast.
    pub(crate) async fn with(
        log: Log,
        seed: u64,
        clock: Clock,
        props: Props,
        more: Vec<Person>,
    ) -> Self {
        let mut people = cast::draw(PASSENGERS_MIN, seed, system_clock()()).unwrap();
        people.extend(more);
        let liar = Liar::start().await;
        let props = Props {
            url: Some(liar.url.clone()),
            ..props
        };
        let any_port = "127.0.0.1:0".parse().unwrap();
        let (stage, lanes) = Stage::set_with(&people, seed, any_port, clock, props)
            .await
            .unwrap();
        liar.ask(stage.backend_addr());
        let link = Self {
            stage,
            lanes,
            people,
            liar,
            log,
        };
        link.until("every device works", |status| {
            !status.devices.is_empty() && status.devices.iter().all(|device| device.up)
        })
        .await;
        link
    }

    pub(crate) async fn ready(&self) {
        self.stage.wait_until_ready().await.unwrap();
    }

    pub(crate) fn status(&self) -> Arc<Status> {
        self.stage.gate.status.borrow().clone()
    }

    /// Waits until the status page says so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Status) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(&self.status()) {
            assert!(
                Instant::now() < until,
                "{what}: not within {PATIENCE:?}\n{:?}\n{}",
                self.status(),
                self.log
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a series has at least this value.
    pub(crate) async fn until_metric(&self, series: &str, at_least: f64) {
        let until = Instant::now() + PATIENCE;
        while self
            .metric(series)
            .await
            .is_none_or(|value| value < at_least)
        {
            assert!(
                Instant::now() < until,
                "{series}: not {at_least} within {PATIENCE:?}\n{}",
                self.log
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Era and version of the list in force.
    pub(crate) fn version(&self) -> Option<(u32, u64)> {
        self.status().lists[0].version
    }

    pub(crate) async fn until_version(&self, version: Option<(u32, u64)>) {
        self.until(&format!("the list is {version:?}"), |status| {
            status.lists[0].version == version
        })
        .await;
    }

    pub(crate) async fn comes(&mut self, story: &str) -> Witness {
        let person = self.people.iter().find(|person| person.story == story);
        let person = person
            .unwrap_or_else(|| panic!("nobody is {story}"))
            .clone();
        let lane = usize::from(person.direction == Direction::Exit);
        let mut witness = self.lanes[lane].serve(person.clone()).await;
        // On a machine that stood still for a second they are told to show it again, and do.
        for _ in 0..3 {
            if witness.decided.is_none() {
                witness = self.lanes[lane].serve(person.clone()).await;
            }
        }
        witness
    }

    /// They come, are granted for this reason, and pass.
    pub(crate) async fn passes(&mut self, story: &str, reason: Reason) {
        let witness = self.comes(story).await;
        expect(&witness, Verdict::Grant, reason, &[Outcome::Passed]);
    }

    /// They come and are not let pass.
    pub(crate) async fn refused(&mut self, story: &str, verdict: Verdict, reason: Reason) {
        let witness = self.comes(story).await;
        expect(&witness, verdict, reason, &[]);
    }

    /// A page of the gate: status line, headers and body.
    pub(crate) async fn page(&self, path: &str) -> String {
        let host = self.stage.gate.pages;
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// The value of a series, with its labels as they are scraped.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let page = self.page("/metrics").await;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// A new version of the list at the backend: one more row, of nobody in the cast.
    pub(crate) async fn publish(&self, n: u8) -> u64 {
        let row = Row {
            subject: Subject::NONE,
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(Colour::Green),
            entitlements: 1,
            region: 0,
        };
        let change = Change::Put(RowKey([n; 16]), row.encode());
        let backend = self.stage.backend().unwrap();
        backend
            .import(&health(), Mode::Patch, vec![change])
            .await
            .unwrap()
            .version
    }

    /// Everything is delivered, each record once.
    pub(crate) async fn everything_arrives_once(&self) {
        self.until("everything is delivered", |status| status.backlog == 0)
            .await;
        let (_, twice, lost) = self.stage.delivered().await.unwrap();
        assert_eq!((twice, lost), (0, 0), "{}", self.log);
    }

    /// The gate's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.stage.folder().join("gate")
    }

    /// The gate starts again; `between` may change its folder while it is off.
    pub(crate) async fn restarted(
        self,
        date: Option<Box<dyn DateSource>>,
        between: impl FnOnce(&Path),
    ) -> Self {
        let Self {
            stage,
            mut lanes,
            people,
            liar,
            log,
        } = self;
        let stage = stage.restart(&mut lanes, date, between).await.unwrap();
        let link = Self {
            stage,
            lanes,
            people,
            liar,
            log,
        };
        link.until("every device works", |status| {
            !status.devices.is_empty() && status.devices.iter().all(|device| device.up)
        })
        .await;
        link
    }

    /// The key that the gate believes: what a thief of it could do.
    pub(crate) fn stolen_key(&self) -> SigningKey {
        let text =
            std::fs::read_to_string(self.stage.folder().join("backend/keys/lists.key")).unwrap();
        SigningKey::from_bytes(&turnstiled::sync::hex::decode(text.trim()).unwrap())
    }

    /// The kept records that hold this text.
    pub(crate) fn records(&self, part: &str) -> usize {
        let records = self
            .stage
            .gate
            .journal
            .read(0, usize::MAX, usize::MAX)
            .unwrap();
        records
            .iter()
            .filter(|stored| stored.record.contains(part))
            .count()
    }

    pub(crate) async fn ends(self) {
        self.stage.strike().await.unwrap();
    }
}

pub(crate) fn health() -> ListId {
    ListId::new("health").unwrap()
}

/// The manifest in an envelope.
pub(crate) fn opened(envelope: &[u8]) -> Manifest {
    use base64::Engine as _;
    let envelope: serde_json::Value = serde_json::from_slice(envelope).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

pub(crate) fn signed(manifest: &Manifest, key: &SigningKey) -> Vec<u8> {
    let payload = serde_json::to_vec(manifest).unwrap();
    dsse::sign(PAYLOAD_TYPE, &payload, key).into_bytes()
}

/// The date of a gate, and a time daemon, in the hands of the story.
#[derive(Clone, Default)]
pub(crate) struct Calendar(Arc<Mutex<Day>>);

#[derive(Default)]
struct Day {
    ahead_ms: i64,
    word: ClockQuality,
    /// The date jumped after the word was given.
    is_old: bool,
}

impl Calendar {
    /// The right date, and a daemon that says so.
    pub(crate) fn synchronised() -> Self {
        let calendar = Self::default();
        calendar.vouch(ClockQuality::Synchronised);
        calendar
    }

    pub(crate) fn jump(&self, days: i64) {
        let mut day = self.0.lock().unwrap();
        day.ahead_ms += days * 86_400_000;
        day.is_old = true;
    }

    pub(crate) fn drift(&self, ms: i64) {
        self.0.lock().unwrap().ahead_ms += ms;
    }

    /// The daemon says this, of the date as it is now.
    pub(crate) fn vouch(&self, word: ClockQuality) {
        let mut day = self.0.lock().unwrap();
        (day.word, day.is_old) = (word, false);
    }

    pub(crate) fn boxed(&self) -> Option<Box<dyn DateSource>> {
        Some(Box::new(self.clone()))
    }
}

impl DateSource for Calendar {
    fn date(&self) -> Utc {
        let now = system_clock()().as_millis();
        Utc::from_millis(now.saturating_add_signed(self.0.lock().unwrap().ahead_ms))
    }

    fn vouched(&mut self, jumped: Option<Mono>) -> ClockQuality {
        let day = self.0.lock().unwrap();
        if jumped.is_some() && day.is_old {
            ClockQuality::Untrusted
        } else {
            day.word
        }
    }
}

/// Every file under a folder, with its bytes.
pub(crate) fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
