//! A station of two gates and a backend: no code is used twice, and one person behind many codes goes in once.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use turnstiled::backend::{Backend, Mode, system_clock};
use turnstiled::cli;
use turnstiled::codes::row_key::{ID_CARD, OPAQUE, row_key};
use turnstiled::domain::{
    Colour, Decided, IdCard, IdCardKind, IssuerId, LaneId, ListId, Outcome, Personal, Reason, Row,
    Subject, Verdict,
};
use turnstiled::drivers::MonoClock;
use turnstiled::drivers::gpio::Layout;
use turnstiled::drivers::gpio::memory::Wires;
use turnstiled::lab::mint::{Seed, ride_cwt, ride_v81};
use turnstiled::lab::sam_module::{AfterRead, SamModule};
use turnstiled::runtime::observe::Observation;
use turnstiled::runtime::staff::wire::{Reply, Request, Result as Came};
use turnstiled::runtime::{self, Running, Stand};
use turnstiled::store::codes::Change;

use crate::site::{PATIENCE, STEP};
use crate::terminal::Scanner;

const CONFIG: &str = r#"
gate = "{gate}"
data_dir = "{gate}"
trust_file = "trust.toml"
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }
staff = { socket = "{gate}.sock" }
passback = {passback}

[[list]]
name = "health"
pepper_file = "{pepper}"

[backend]
url = "{url}"
list_keys = ["{key}"]
poll_ms = 200

[gpio]
driver = "simulated"
folder = "{gate}-lines"

[[lane]]
name = "in"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 2000
outputs = { release_entry = 17 }
sensors = { entry_beam = 5, exit_beam = 6 }
reader = [
    { name = "in-codes", direction = "entry", line = { port = "{gate}-in" } },
    { name = "in-cards", direction = "entry", id_card = { port = "{gate}-cards" } },
]

[[lane]]
name = "out"
barrier = "flap"
fail = "secure"
directions = ["exit"]
release_ms = 2000
outputs = { release_exit = 18 }
sensors = { entry_beam = 7, exit_beam = 8 }
reader = [{ name = "out-codes", direction = "exit", line = { port = "{gate}-out" } }]

[[lane]]
name = "beside"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 2000
outputs = { release_entry = 19 }
sensors = { entry_beam = 9, exit_beam = 10 }
reader = [{ name = "beside-codes", direction = "entry", line = { port = "{gate}-beside" } }]
"#;

const TRUST: &str = r#"
version = 1

[[issuer]]
id = "health"
profile = "opaque"
class = "health"
detect = [{ prefix = "HC:" }]

# An electronic health card and a social security code: opaque, their rows lead to the same person.
[[issuer]]
id = "e-health-card"
profile = "opaque"
class = "health"
detect = [{ prefix = "EHC:" }]

[[issuer]]
id = "social-security"
profile = "opaque"
class = "health"
detect = [{ prefix = "SSC:" }]

[[issuer]]
id = "rides"
profile = "opaque"
class = "ride"
detect = [{ prefix = "RC:" }]
dynamic = true
window_s = 60

[[issuer]]
id = "id-card"
profile = "idcard"
class = "identity"

"#;

const OFF: &str = r#"{ mode = "off" }"#;
const ZONE: &str = r#"{ scope = "zone", area = "line-2" }"#;
const IN: LaneId = LaneId(0);
const OUT: LaneId = LaneId(1);
const BESIDE: LaneId = LaneId(2);
const IN_ORDER: (Verdict, Reason) = (Verdict::Grant, Reason::InOrder);
const REPLAYED: (Verdict, Reason) = (Verdict::Deny, Reason::Replayed);
const PASSBACK: (Verdict, Reason) = (Verdict::Deny, Reason::Passback);
/// A number with a right check digit and a region code that is given to nobody.
const CARD: &str = "100000199001010011";
/// A scanner shows a code once more only after it was gone for so long.
const AWAY: Duration = Duration::from_millis(2_300);
/// Where a story is about what the backend answers, the gate waits for that, however busy this machine is. How long gates
/// wait is told in a story of its own.
const PATIENT: Option<Duration> = Some(Duration::from_secs(10));

/// One gate of the station.
struct Gate {
    name: &'static str,
    running: Running,
    wires: Wires,
    scanners: [Scanner; 3],
    cards: SamModule,
    observations: mpsc::Receiver<Observation>,
}

struct Station {
    folder: TempDir,
    backend: Option<Backend>,
    passback: &'static str,
    claim_patience: Option<Duration>,
}

/// What people show, the issuer of it, and which person that is.
type People<'a> = &'a [(&'a str, &'a str, u64)];

impl Station {
    async fn open(passback: &'static str, people: People<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = start(&folder, ([127, 0, 0, 1], 0).into()).await;
        enrol(&backend, people).await;
        let rides = ride_cwt::Chain::new(Seed(1)).unwrap().trust("ride-open");
        let national = ride_v81::Chain::new(Seed(1), ride_v81::SM2_ID).unwrap();
        let national = national.trust("ride-national").replacen(
            "\n\n",
            "\noffline = { unknown = \"allow\" }\nlist = []\n\n",
            1,
        );
        let trust = format!("{TRUST}{rides}\n{national}");
        std::fs::write(folder.path().join("trust.toml"), trust).unwrap();
        Self {
            folder,
            backend: Some(backend),
            passback,
            claim_patience: PATIENT,
        }
    }

    /// A gate that starts; one that was there before has its config already.
    async fn gate(&self, name: &'static str) -> Gate {
        let path = self.folder.path().join(format!("{name}.toml"));
        if let Some(backend) = &self.backend {
            let pepper = backend.pepper_file(&ListId::new("health").unwrap());
            let text = CONFIG
                .replace("{gate}", name)
                .replace("{passback}", self.passback)
                .replace("{url}", &backend.url())
                .replace("{key}", &backend.list_public_key())
                .replace("{pepper}", &pepper.display().to_string());
            std::fs::write(&path, text).unwrap();
        }
        let config = turnstiled::config::load(&path).unwrap();
        let mono = MonoClock::start();
        let wires = Wires::new(&Layout::new(&config), mono);
        let port = |side: &str| self.folder.path().join(format!("{name}-{side}"));
        let scanners = ["in", "out", "beside"].map(|side| Scanner::plug_in(&port(side)));
        let cards = SamModule::start(port("cards"), AfterRead::Quiet).unwrap();
        let (observer, observations) = mpsc::channel(65_536);
        let stand = Stand {
            board: Some(Box::new(wires.opener())),
            observer: Some(observer),
            claim_patience: self.claim_patience,
            ..Stand::default()
        };
        let running = runtime::start(&config, mono, stand).await.unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let status = running.status.borrow().clone();
            if !status.devices.is_empty() && status.unready().is_empty() {
                break;
            }
            let missing = status.unready();
            assert!(Instant::now() < until, "{name} is not ready: {missing:?}");
            sleep(Duration::from_millis(5)).await;
        }
        Gate {
            name,
            running,
            wires,
            scanners,
            cards,
            observations,
        }
    }

    async fn lose_backend(&mut self) -> std::net::SocketAddr {
        let backend = self.backend.take().unwrap();
        let addr = backend.addr();
        backend.shutdown().await;
        addr
    }

    async fn bring_back(&mut self, addr: std::net::SocketAddr) {
        self.backend = Some(start(&self.folder, addr).await);
    }
}

async fn start(folder: &TempDir, listen: std::net::SocketAddr) -> Backend {
    let data = folder.path().join("backend");
    Backend::start_with(listen, &data, system_clock())
        .await
        .unwrap()
}

async fn enrol(backend: &Backend, people: People<'_>) {
    let list = ListId::new("health").unwrap();
    let pepper = backend.pepper(&list).unwrap();
    let change = |(shown, issuer, person): &(&str, &str, u64)| {
        let kind = if *issuer == "id-card" {
            ID_CARD
        } else {
            OPAQUE
        };
        let key = row_key(&pepper, kind, &IssuerId::new(issuer).unwrap(), shown).unwrap();
        let row = Row {
            subject: Subject(person.to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(Colour::Green),
            entitlements: 1,
            region: 0,
        };
        Change::Put(key, row.encode())
    };
    let changes = people.iter().map(change).collect();
    backend.import(&list, Mode::Replace, changes).await.unwrap();
}

/// The same code with the other signature that ECDSA takes for it: n - s, the last 32 bytes, in the place of s.
fn negated(code: &[u8]) -> Vec<u8> {
    const P256_ORDER: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC,
        0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let mut altered = code.to_vec();
    let s_at = altered.len() - 32;
    let mut borrow = 0;
    for (byte, n) in altered[s_at..].iter_mut().zip(P256_ORDER).rev() {
        let difference = i16::from(n) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference & 0xFF).unwrap();
    }
    assert_ne!(code, altered);
    altered
}

fn card() -> IdCard {
    IdCard {
        number: Personal::new(CARD.into()),
        kind: IdCardKind::Resident,
        valid_from: "20200101".into(),
        valid_until: None,
    }
}

impl Gate {
    /// A code is held under the scanner of a lane; what is decided of it.
    async fn shows(&mut self, lane: LaneId, code: &str) -> (Verdict, Reason) {
        self.scanners[usize::from(lane.0)].shows(code);
        self.decides().await
    }

    /// The ID card is laid on the reader, and lifted.
    async fn taps(&mut self) -> (Verdict, Reason) {
        self.cards.present(card());
        let decided = self.decides().await;
        self.cards.lift();
        decided
    }

    async fn decides(&mut self) -> (Verdict, Reason) {
        let Decided {
            verdict, reason, ..
        } = self
            .sees(|seen| match seen {
                Observation::Decided(decided) => Some(decided),
                Observation::Released { .. } | Observation::Ended(..) | Observation::Shown(..) => {
                    None
                }
            })
            .await;
        (verdict, reason)
    }

    async fn sees<T>(&mut self, is: impl Fn(Observation) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let next = timeout_at(until, self.observations.recv()).await;
            let Ok(Some(seen)) = next else {
                panic!("nothing of the kind comes at {}", self.name);
            };
            if let Some(found) = is(seen) {
                return found;
            }
        }
    }

    /// Whoever was let through goes, once the barrier is open.
    async fn walks(&mut self, lane: LaneId) {
        self.sees(|seen| matches!(seen, Observation::Released { .. }).then_some(()))
            .await;
        let (first, second) = match lane {
            IN => (5, 6),
            OUT => (8, 7),
            _ => (9, 10),
        };
        for (a, b) in [(true, false), (true, true), (false, true), (false, false)] {
            self.wires.set_input(first, a);
            self.wires.set_input(second, b);
            sleep(STEP).await;
        }
        assert_eq!(self.ends().await, Outcome::Passed);
    }

    async fn ends(&mut self) -> Outcome {
        self.sees(|seen| match seen {
            Observation::Ended(_, _, outcome, _) => Some(outcome),
            Observation::Decided(_) | Observation::Released { .. } | Observation::Shown(..) => None,
        })
        .await
    }

    fn metric(&self, series: &str) -> u64 {
        crate::outside::metric(&crate::outside::get(self.running.pages, "/metrics"), series)
    }

    /// Seconds of a series.
    fn seconds(&self, series: &str) -> f64 {
        let page = crate::outside::get(self.running.pages, "/metrics");
        let line = page.lines().find(|line| line.starts_with(series)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn counts(&self, result: &str, when: &str, count: u64) {
        let series = format!("turnstile_claims_total{{result=\"{result}\",when=\"{when}\"}}");
        let until = Instant::now() + PATIENCE;
        while self.metric(&series) < count {
            assert!(Instant::now() < until, "{series} at {}", self.name);
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.metric(&series), count, "{series} at {}", self.name);
    }

    fn forgive(&self, folder: &Path) -> Reply {
        let ask = Request::Forgive {
            lane: "in".into(),
            direction: None,
        };
        cli::lane::ask(&folder.join(format!("{}.sock", self.name)), &ask).unwrap()
    }

    /// Everything in the journal.
    fn records(&self) -> Vec<serde_json::Value> {
        let stored = self
            .running
            .journal
            .read(0, usize::MAX, usize::MAX)
            .unwrap();
        let texts = stored.iter().map(|stored| &stored.record);
        texts
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screenshot_is_refused_at_the_lane_beside_and_at_the_other_gate() {
    let mut station = Station::open(OFF, &[("RC:RIDER", "rides", 1)]).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    assert_eq!(north.shows(IN, "RC:RIDER").await, IN_ORDER);
    north.walks(IN).await;
    // The lane beside needs nobody else to know; the other gate asks.
    assert_eq!(north.shows(BESIDE, "RC:RIDER").await, REPLAYED);
    assert_eq!(south.shows(IN, "RC:RIDER").await, REPLAYED);
    north.counts("won", "in_time", 1).await;
    south.counts("replayed", "in_time", 1).await;
    assert_eq!(north.metric("turnstile_claim_wait_seconds_count"), 1);
    // The record at the other gate says where it was used.
    let refused = |records: Vec<serde_json::Value>| {
        let mut refused = records
            .into_iter()
            .filter(|one| one["reason"] == "replayed");
        refused.next().unwrap()
    };
    let until = Instant::now() + PATIENCE;
    while !south
        .records()
        .iter()
        .any(|one| one["reason"] == "replayed")
    {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(refused(south.records())["elsewhere"]["gate"], "north");
    // Over a restart of the gate, while nobody else could tell it, and of the backend it stays used.
    let addr = station.lose_backend().await;
    north.running.stop().await;
    drop((north.scanners, north.cards));
    let mut north = station.gate("north").await;
    assert_eq!(north.shows(IN, "RC:RIDER").await, REPLAYED);
    station.bring_back(addr).await;
    let mut east = station.gate("east").await;
    assert_eq!(east.shows(IN, "RC:RIDER").await, REPLAYED);
    for gate in [north, south, east] {
        gate.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_did_not_walk_is_served_again_here_and_at_the_other_gate() {
    let people = [("RC:HERE", "rides", 1), ("RC:THERE", "rides", 2)];
    let station = Station::open(OFF, &people).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    for code in ["RC:HERE", "RC:THERE"] {
        assert_eq!(north.shows(IN, code).await, IN_ORDER);
        assert_eq!(north.ends().await, Outcome::NoEntryAfterGrant);
    }
    assert_eq!(north.shows(IN, "RC:HERE").await, IN_ORDER);
    north.walks(IN).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(south.shows(IN, "RC:THERE").await, IN_ORDER);
    south.walks(IN).await;
    sleep(AWAY).await;
    assert_eq!(south.shows(IN, "RC:HERE").await, REPLAYED);
    assert_eq!(north.shows(BESIDE, "RC:THERE").await, REPLAYED);
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_signature_changes_nothing_at_either_gate() {
    let station = Station::open(OFF, &[]).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    let now = system_clock()();
    let chain = ride_cwt::Chain::new(Seed(1)).unwrap();
    let token = ride_cwt::Token {
        colour: Some(Colour::Green),
        validity_s: Some(600),
        ..ride_cwt::Token::at(Seed(1), now)
    };
    let token = chain.token(&token).unwrap();
    let code = chain.code(token, now, b"12345678").unwrap();
    let altered = negated(&code);
    let first = north.shows(IN, &ride_cwt::text(&code)).await;
    assert_eq!(first.0, Verdict::Grant, "{first:?}");
    north.walks(IN).await;
    assert_eq!(
        north.shows(BESIDE, &ride_cwt::text(&altered)).await,
        REPLAYED
    );
    assert_eq!(south.shows(IN, &ride_cwt::text(&altered)).await, REPLAYED);
    // SM2: no second signature can be made of one, and the copy is a copy.
    let chain = ride_v81::Chain::new(Seed(1), ride_v81::SM2_ID).unwrap();
    let ride = ride_v81::Ride {
        validity_s: 600,
        ..ride_v81::Ride::at(Seed(1), now)
    };
    let code = chain.code(&ride, ride_v81::Dialect::default()).unwrap();
    let first = north.shows(IN, &turnstiled::lab::mint::hex(&code)).await;
    assert_eq!(first, (Verdict::Grant, Reason::SiteRule));
    north.walks(IN).await;
    sleep(AWAY).await;
    assert_eq!(
        south.shows(IN, &turnstiled::lab::mint::hex(&code)).await,
        REPLAYED
    );
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_backend_each_gate_goes_by_what_it_knows_and_tells_it_afterwards() {
    let people = [("RC:RIDER", "rides", 1), ("RC:TWICE", "rides", 2)];
    let mut station = Station::open(OFF, &people).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    let addr = station.lose_backend().await;
    assert_eq!(north.shows(IN, "RC:RIDER").await, IN_ORDER);
    north.walks(IN).await;
    assert_eq!(north.shows(BESIDE, "RC:RIDER").await, REPLAYED);
    north.counts("unanswered", "in_time", 1).await;
    // Both gates let the same code through: nobody could know.
    for gate in [&mut north, &mut south] {
        assert_eq!(gate.shows(IN, "RC:TWICE").await, IN_ORDER);
        gate.walks(IN).await;
    }
    station.bring_back(addr).await;
    north.counts("won", "late", 1).await;
    // It is refused elsewhere as soon as the backend has been told, and what happened twice is counted.
    sleep(AWAY).await;
    assert_eq!(south.shows(IN, "RC:RIDER").await, REPLAYED);
    let until = Instant::now() + PATIENCE;
    let late = |gate: &Gate, result: &str| {
        gate.metric(&format!(
            "turnstile_claims_total{{result=\"{result}\",when=\"late\"}}"
        ))
    };
    while late(&north, "replayed") + late(&south, "replayed") < 1 {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(10)).await;
    }
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_and_every_code_of_one_person_are_one_person_at_every_gate_of_the_zone() {
    let people = [
        ("HC:PAPER", "health", 7),
        ("EHC:PHONE", "e-health-card", 7),
        ("SSC:PHONE", "social-security", 7),
        (CARD, "id-card", 7),
        ("HC:OTHER", "health", 8),
    ];
    let station = Station::open(ZONE, &people).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    // Somebody without a phone is served like any other.
    assert_eq!(north.taps().await, IN_ORDER);
    north.walks(IN).await;
    for code in ["HC:PAPER", "EHC:PHONE", "SSC:PHONE"] {
        assert_eq!(south.shows(IN, code).await, PASSBACK, "{code}");
        assert_eq!(north.shows(BESIDE, code).await, PASSBACK, "{code}");
    }
    assert_eq!(south.shows(IN, "HC:OTHER").await, IN_ORDER);
    south.walks(IN).await;
    // Out at the other gate by another of their codes, and in again where they came in first.
    assert_eq!(south.shows(OUT, "SSC:PHONE").await, IN_ORDER);
    south.walks(OUT).await;
    sleep(AWAY).await;
    assert_eq!(north.shows(IN, "EHC:PHONE").await, IN_ORDER);
    north.walks(IN).await;
    assert_eq!(south.taps().await, PASSBACK);
    // Nothing that was shown is kept anywhere.
    for gate in [&north, &south] {
        let kept = format!("{:?}", gate.records());
        assert!(!kept.contains(CARD) && !kept.contains("PHONE"), "{kept}");
    }
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_steps_back_is_outside_for_every_gate_of_the_zone() {
    let station = Station::open(ZONE, &[("HC:PAPER", "health", 7)]).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    assert_eq!(north.shows(IN, "HC:PAPER").await, IN_ORDER);
    assert_eq!(north.ends().await, Outcome::NoEntryAfterGrant);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(south.shows(IN, "HC:PAPER").await, IN_ORDER);
    south.walks(IN).await;
    assert_eq!(north.shows(BESIDE, "HC:PAPER").await, PASSBACK);
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_forgive_whoever_was_refused_last_and_are_recorded_and_nobody_is_named() {
    let station = Station::open(ZONE, &[("HC:PAPER", "health", 7)]).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    let folder = station.folder.path();
    assert_eq!(north.shows(IN, "HC:PAPER").await, IN_ORDER);
    north.walks(IN).await;
    let nobody = south.forgive(folder);
    assert_eq!(nobody.result, Came::Refused);
    assert!(nobody.said[0].contains("nobody was refused"), "{nobody:?}");
    assert_eq!(south.shows(IN, "HC:PAPER").await, PASSBACK);
    let forgiven = south.forgive(folder);
    assert_eq!(forgiven.result, Came::Done, "{forgiven:?}");
    sleep(AWAY).await;
    assert_eq!(south.shows(IN, "HC:PAPER").await, IN_ORDER);
    south.walks(IN).await;
    sleep(AWAY).await;
    assert_eq!(south.shows(IN, "HC:PAPER").await, PASSBACK, "once");
    let records = south.records();
    let staff: Vec<_> = records
        .iter()
        .filter(|one| one["kind"] == "staff")
        .collect();
    assert_eq!(staff.len(), 1, "{staff:?}");
    assert_eq!(staff[0]["deed"], "forgive");
    let ours = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder).unwrap());
    assert_eq!(staff[0]["uid"], ours);
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_passback_lets_through_and_keeps_it_in_the_record() {
    let soft = r#"{ mode = "soft", scope = "station", area = "main" }"#;
    let station = Station::open(soft, &[("HC:PAPER", "health", 7)]).await;
    let (mut north, mut south) = (station.gate("north").await, station.gate("south").await);
    assert_eq!(north.shows(IN, "HC:PAPER").await, IN_ORDER);
    north.walks(IN).await;
    let again = south.shows(IN, "HC:PAPER").await;
    assert_eq!(again, (Verdict::Grant, Reason::Passback));
    south.walks(IN).await;
    let records = south.records();
    let passed = records
        .iter()
        .find(|one| one["reason"] == "passback")
        .unwrap();
    assert_eq!(passed["elsewhere"]["gate"], "north");
    north.running.stop().await;
    south.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_answers_a_claim_the_gate_goes_by_its_own_memory_after_150_ms() {
    let mut station = Station::open(OFF, &[("RC:RIDER", "rides", 1)]).await;
    station.claim_patience = None;
    let mut north = station.gate("north").await;
    let addr = station.lose_backend().await;
    // Somebody takes every call there, and says nothing.
    let silent = tokio::net::TcpListener::bind(addr).await.unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((call, _)) = silent.accept().await {
            held.push(call);
        }
    });
    assert_eq!(north.shows(IN, "RC:RIDER").await, IN_ORDER);
    let waited = north.seconds("turnstile_claim_wait_seconds_sum");
    println!(
        "the answer to a claim was waited for {:.0} ms",
        waited * 1e3
    );
    // No sooner, and no later than a busy machine takes to hear its own clock.
    assert!((0.140..0.5).contains(&waited), "{waited} s");
    north.walks(IN).await;
    north.counts("unanswered", "in_time", 1).await;
    // Nobody needs to be asked about what this gate knows.
    assert_eq!(north.shows(BESIDE, "RC:RIDER").await, REPLAYED);
    assert_eq!(north.metric("turnstile_claim_wait_seconds_count"), 1);
    north.running.stop().await;
}
