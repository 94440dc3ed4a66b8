//! OSDP readers of another make (libosdp) on a pseudo-terminal: taps, keys, replays, cuts, noise, eight on one line.
//! Skipped, loudly, where `.ci/setup` could not install libosdp.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time;
use turnstiled::domain::{Assurance, Direction, LaneId, Personal, Prompt, Shown};
use turnstiled::drivers::serial::{
    LineSetup, Look, Looks, Provision, ReaderSettings, Seat, run_osdp,
};
use turnstiled::drivers::{MonoClock, Port, ReaderEvent, ReaderReport};

const KEY: &str = "944b8eddcbaa2b5fe2b0148d1b2f95c9";
const OTHER_KEY: &str = "00112233445566778899aabbccddeeff";

/// The Python that `.ci/setup` has given libosdp to, under the target directory.
fn python() -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let python = target.join("foreign/venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    eprintln!(
        "SKIPPED: no libosdp at {}; .ci/setup installs it",
        python.display()
    );
    None
}

/// The readers at the other end of the line.
struct Readers {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Readers {
    fn start(arguments: &[String]) -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/osdp_reader.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Some(Self {
            child,
            said,
            _folder: folder,
            path,
        })
    }

    fn with_keys(addresses: std::ops::Range<u8>, key: &str) -> Option<Self> {
        let arguments: Vec<_> = addresses
            .map(|address| format!("{address}={key}"))
            .collect();
        Self::start(&arguments)
    }

    fn order(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    fn was_told(&self, what: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line == what)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our side of the line.
struct Gate {
    events: mpsc::Receiver<ReaderEvent>,
    looks: watch::Sender<Looks>,
    line: mpsc::Sender<Provision>,
}

impl Gate {
    fn start(path: &Path, addresses: std::ops::Range<u8>, key: &str) -> Self {
        let bytes = u128::from_str_radix(key, 16).unwrap().to_be_bytes();
        let seats = addresses.map(|address| Seat {
            port: Arc::new(Port {
                lane: LaneId(0),
                direction: Direction::Entry,
                name: format!("reader-{address}"),
            }),
            settings: ReaderSettings {
                address,
                key: Personal::new(bytes),
                assurance: Assurance::Identifier,
            },
        });
        let (sender, events) = mpsc::channel(256);
        let (looks, looks_out) = watch::channel(Looks::default());
        let (asked, provisions) = mpsc::channel(1);
        let line = run_osdp(
            LineSetup {
                port: path.to_owned(),
                baud: 115_200,
                driver_direction: false,
            },
            seats.collect(),
            looks_out,
            provisions,
            MonoClock::start(),
            sender,
        );
        tokio::spawn(line);
        Self {
            events,
            looks,
            line: asked,
        }
    }

    /// What is reported within this time, counts of faults left out.
    async fn heard(&mut self, within: Duration) -> Vec<String> {
        let mut heard = Vec::new();
        let end = time::Instant::now() + within;
        while let Ok(Some(event)) = time::timeout_at(end, self.events.recv()).await {
            heard.extend(words(&event));
        }
        heard
    }

    /// Waits until this is reported; says how long that took.
    async fn waits_for(&mut self, what: &str, within: Duration) -> Duration {
        let since = time::Instant::now();
        let end = time::Instant::now() + within;
        loop {
            let event = time::timeout_at(end, self.events.recv()).await;
            let event = event
                .unwrap_or_else(|_| panic!("{what:?} did not come"))
                .unwrap();
            if words(&event).as_deref() == Some(what) {
                return since.elapsed();
            }
        }
    }
}

fn words(event: &ReaderEvent) -> Option<String> {
    let what = match &event.report {
        ReaderReport::Presented(presentation) => match &presentation.shown {
            Shown::Tag(tag) => tag.identifier().expose().clone(),
            other @ (Shown::Code(_) | Shown::Card(_) | Shown::TooLong) => format!("{other:?}"),
        },
        ReaderReport::Prompt(Prompt::LiftAndRetap) => "tap again".into(),
        ReaderReport::Up(true) => "up".into(),
        ReaderReport::Up(false) => "down".into(),
        ReaderReport::Faults(_) | ReaderReport::Port(_) | ReaderReport::Identified(_) => {
            return None;
        }
        other @ (ReaderReport::Prompt(_)
        | ReaderReport::Blind(_)
        | ReaderReport::Frame { .. }
        | ReaderReport::Provisioned(_)
        | ReaderReport::TooFast(_)
        | ReaderReport::NotAuthentic
        | ReaderReport::Tamper(_)
        | ReaderReport::PowerFailure(_)) => format!("{other:?}"),
    };
    Some(format!("{} {what}", event.port.name))
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn taps_come_through_a_secure_channel_and_lights_follow_the_lane() {
    let Some(mut readers) = Readers::with_keys(5..6, KEY) else {
        return;
    };
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    gate.waits_for("reader-5 up", 5 * SECOND).await;
    time::sleep(SECOND).await;
    for card in ["A5C3F080", "A5C3F0C0", "A5C3F000"] {
        readers.order(&format!("tap 5 26 {card}"));
        let took = gate
            .waits_for(&format!("reader-5 bits26:{card}"), 2 * SECOND)
            .await;
        eprintln!("tap to event: {} ms", took.as_millis());
    }
    gate.looks.send_modify(|looks| {
        looks.insert((LaneId(0), Direction::Entry), Look::Go);
    });
    readers.order("tamper 5 1");
    gate.waits_for("reader-5 Tamper(true)", 2 * SECOND).await;
    time::sleep(SECOND).await;
    // Blue when it came up, green to go, with one beep.
    for told in ["led 5 4", "led 5 2", "buzzer 5 1"] {
        assert!(
            readers.was_told(told),
            "{told}: {:?}",
            readers.said.lock().unwrap()
        );
    }
}

#[tokio::test]
async fn a_reader_with_another_key_is_refused_and_its_cards_are_not_taken() {
    let Some(mut readers) = Readers::with_keys(5..6, OTHER_KEY) else {
        return;
    };
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    readers.order("tap 5 26 A5C3F080");
    assert_eq!(gate.heard(6 * SECOND).await, ["reader-5 down"]);
}

#[tokio::test]
async fn a_recorded_session_opens_nothing() {
    let Some(mut readers) = Readers::with_keys(5..6, KEY) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    readers.order(&format!("record {}", tape.display()));
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    gate.waits_for("reader-5 up", 5 * SECOND).await;
    time::sleep(SECOND).await;
    // As people do who are asked to: where the machine is busy for half a second, the tap counts as old.
    let mut is_read = false;
    for _ in 0..5 {
        if !is_read {
            readers.order("tap 5 26 A5C3F080");
            let heard = gate.heard(SECOND).await;
            is_read = heard.iter().any(|text| text == "reader-5 bits26:A5C3F080");
        }
    }
    assert!(is_read);
    drop((gate, readers));
    let replay = ["--replay".to_owned(), tape.display().to_string()];
    let readers = Readers::start(&replay).unwrap();
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    assert_eq!(gate.heard(8 * SECOND).await, ["reader-5 down"]);
}

#[tokio::test]
async fn after_a_cut_of_twelve_seconds_the_reader_is_back_within_a_second_and_asks_for_a_new_tap() {
    let Some(mut readers) = Readers::with_keys(5..6, KEY) else {
        return;
    };
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    gate.waits_for("reader-5 up", 5 * SECOND).await;
    readers.order("away");
    gate.waits_for("reader-5 down", 3 * SECOND).await;
    readers.order("tap 5 26 A5C3F080");
    time::sleep(12 * SECOND).await;
    readers.order("back");
    let back = gate.waits_for("reader-5 up", 5 * SECOND).await;
    eprintln!("back after {} ms", back.as_millis());
    assert!(back <= SECOND + Duration::from_millis(200), "{back:?}");
    let heard = gate.heard(2 * SECOND).await;
    assert!(
        heard.iter().all(|text| text == "reader-5 tap again"),
        "{heard:?}"
    );
    readers.order("tap 5 26 A5C3F0C0");
    gate.waits_for("reader-5 bits26:A5C3F0C0", 2 * SECOND).await;
}

#[tokio::test]
async fn noise_before_every_answer_loses_no_tap() {
    let Some(mut readers) = Readers::with_keys(5..6, KEY) else {
        return;
    };
    readers.order("noise 53 ff 00 53");
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    gate.waits_for("reader-5 up", 5 * SECOND).await;
    time::sleep(SECOND).await;
    for n in 0..5_u8 {
        let card = format!("A5C3{n:02X}80");
        readers.order(&format!("tap 5 26 {card}"));
        gate.waits_for(&format!("reader-5 bits26:{card}"), 2 * SECOND)
            .await;
    }
}

#[tokio::test]
async fn eight_readers_share_one_line() {
    let Some(mut readers) = Readers::with_keys(0..8, KEY) else {
        return;
    };
    let mut gate = Gate::start(&readers.path, 0..8, KEY);
    let up = gate.heard(4 * SECOND).await;
    assert_eq!(
        up.iter().filter(|text| text.ends_with(" up")).count(),
        8,
        "{up:?}"
    );
    let mut took = Vec::new();
    for n in 0..24_u8 {
        let (address, card) = (n % 8, format!("A5C3{n:02X}80"));
        readers.order(&format!("tap {address} 26 {card}"));
        let what = format!("reader-{address} bits26:{card}");
        took.push(gate.waits_for(&what, 2 * SECOND).await);
    }
    took.sort();
    eprintln!(
        "tap to event with eight readers: median {:?}, worst {:?}",
        took[12], took[23]
    );
}

#[tokio::test]
async fn a_new_reader_is_given_its_key_when_somebody_asks_and_serves_with_it_from_then_on() {
    let Some(mut readers) = Readers::with_keys(5..6, "new") else {
        return;
    };
    let mut gate = Gate::start(&readers.path, 5..6, KEY);
    assert_eq!(
        gate.heard(3 * SECOND).await,
        ["reader-5 down"],
        "nobody has asked"
    );
    let provision = Provision {
        address: 5,
        until: time::Instant::now() + 60 * SECOND,
    };
    gate.line.send(provision).await.unwrap();
    gate.waits_for("reader-5 Provisioned(Taken)", 10 * SECOND)
        .await;
    gate.waits_for("reader-5 up", 5 * SECOND).await;
    time::sleep(SECOND).await;
    readers.order("tap 5 26 A5C3F080");
    gate.waits_for("reader-5 bits26:A5C3F080", 2 * SECOND).await;
}
