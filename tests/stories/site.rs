//! A gate of the story's own: lanes as it writes them, people as it names them, readers on pseudo-terminals, wires
//! that it drives, and everything that people could see, in order.
//!
//! The backend is there until the list has arrived and then goes away, so that the journal keeps every record until the
//! end, when it comes back and gets them.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use turnstiled::backend::{Backend, Mode, system_clock};
use turnstiled::cli;
use turnstiled::codes::row_key::{ID_CARD, OPAQUE, TAG, row_key};
use turnstiled::config::types::{Active, Line, Pin};
use turnstiled::domain::{
    Colour, Decided, Direction, GateId, IssuerId, LaneId, ListId, Outcome, Prompt, Reason, Row,
    Subject, Verdict, tag::is_identifier,
};
use turnstiled::drivers::MonoClock;
use turnstiled::drivers::gpio::Layout;
use turnstiled::drivers::gpio::memory::Wires;
use turnstiled::runtime::observe::Observation;
use turnstiled::runtime::staff::wire::{Reply, Request};
use turnstiled::runtime::start::OpenSource;
use turnstiled::runtime::{self, Running, Stand};
use turnstiled::store::codes::Change;

/// Longest wait for something that has to come; only a failing story takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two steps of a walk: longer than any sensor is debounced.
pub(crate) const STEP: Duration = Duration::from_millis(80);

const CONFIG: &str = r#"
gate = "site"
data_dir = "gate"
trust_file = "trust.toml"
http = { listen = "127.0.0.1:0" }
clock = { trust = "always" }

[[list]]
name = "health"
pepper_file = "{pepper}"

[backend]
url = "{url}"
list_keys = ["{key}"]
poll_ms = 200
resolve = false
"#;

const TRUST: &str = r#"
version = 1
issuer = [
    { id = "health", profile = "opaque", class = "health", detect = [{ prefix = "HC:" }] },
    { id = "id-card", profile = "idcard", class = "identity" },
    { id = "tags", profile = "tag" },
]
"#;

/// Whom the backend knows: what they show, and their colour.
pub(crate) type People<'a> = &'a [(&'a str, Colour)];

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) gate: Running,
    pub(crate) wires: Wires,
    pub(crate) mono: MonoClock,
    /// What could be seen so far.
    pub(crate) seen: Vec<Observation>,
    observations: mpsc::Receiver<Observation>,
    backend_addr: std::net::SocketAddr,
}

/// What is left of a story: the journal's records. The backend has got each of them once.
pub(crate) struct Kept {
    pub(crate) records: Vec<serde_json::Value>,
}

impl Site {
    /// Opens a gate whose config ends in `lanes`. `prepare` plugs devices in: it gets the folder their paths start at,
    /// and the wires, and what it gives back goes to the story.
    pub(crate) async fn open<T>(
        lanes: &str,
        people: People<'_>,
        prepare: impl FnOnce(&std::path::Path, &Wires) -> T,
    ) -> (Self, T) {
        Self::open_with(lanes, people, Vec::new(), prepare).await
    }

    /// The same with sources of frames in the place of folders.
    pub(crate) async fn open_with<T>(
        lanes: &str,
        people: People<'_>,
        sources: Vec<(String, OpenSource)>,
        prepare: impl FnOnce(&std::path::Path, &Wires) -> T,
    ) -> (Self, T) {
        let folder = tempfile::tempdir().unwrap();
        let any_port = ([127, 0, 0, 1], 0).into();
        let data = folder.path().join("backend");
        let backend = Backend::start_with(any_port, &data, system_clock())
            .await
            .unwrap();
        enrol(&backend, people).await;
        let pepper = backend.pepper_file(&ListId::new("health").unwrap());
        let text = CONFIG
            .replace("{url}", &backend.url())
            .replace("{key}", &backend.list_public_key())
            .replace("{pepper}", &pepper.display().to_string());
        let path = folder.path().join("gate.toml");
        std::fs::write(&path, text + lanes).unwrap();
        std::fs::write(folder.path().join("trust.toml"), TRUST).unwrap();
        let config = turnstiled::config::load(&path).unwrap();

        let mono = MonoClock::start();
        let wires = Wires::new(&Layout::new(&config), mono);
        let prepared = prepare(folder.path(), &wires);
        let (observer, observations) = mpsc::channel(65_536);
        let stand = Stand {
            board: Some(Box::new(wires.opener())),
            observer: Some(observer),
            sources,
            ..Stand::default()
        };
        let gate = runtime::start(&config, mono, stand).await.unwrap();
        let backend_addr = backend.addr();
        let site = Self {
            folder,
            gate,
            wires,
            mono,
            seen: Vec::new(),
            observations,
            backend_addr,
        };
        site.waits_for("the gate is ready", |site| {
            let status = site.gate.status.borrow();
            !status.devices.is_empty() && status.unready().is_empty()
        })
        .await;
        backend.shutdown().await;
        (site, prepared)
    }

    /// Waits until something holds.
    pub(crate) async fn waits_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "never came: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the next thing that `is` picks; what comes before it is remembered too.
    pub(crate) async fn sees<T>(
        &mut self,
        what: &str,
        is: impl Fn(&Observation) -> Option<T>,
    ) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let next = timeout_at(until, self.observations.recv()).await;
            let Ok(Some(observation)) = next else {
                panic!("never came: {what}; seen: {:#?}", self.seen);
            };
            self.seen.push(observation);
            if let Some(found) = is(&observation) {
                return found;
            }
        }
    }

    pub(crate) async fn sees_prompt(&mut self, side: Direction, prompt: Prompt) {
        let shown = |seen: &Observation| {
            matches!(seen, Observation::Shown(_, at, is) if (*at, *is) == (side, prompt))
                .then_some(())
        };
        self.sees(&format!("{prompt:?} at {side}"), shown).await;
    }

    /// The next decision.
    pub(crate) async fn sees_decision(&mut self) -> Decided {
        let decided = |seen: &Observation| match seen {
            Observation::Decided(decided) => Some(*decided),
            Observation::Released { .. } | Observation::Ended(..) | Observation::Shown(..) => None,
        };
        self.sees("a decision", decided).await
    }

    /// The relay is commanded.
    pub(crate) async fn sees_release(&mut self) {
        let released =
            |seen: &Observation| matches!(seen, Observation::Released { .. }).then_some(());
        self.sees("the barrier is released", released).await;
    }

    pub(crate) async fn sees_outcome(&mut self, outcome: Outcome) {
        let ended = |seen: &Observation| {
            matches!(seen, Observation::Ended(_, _, is, _) if *is == outcome).then_some(())
        };
        self.sees(&format!("{outcome:?}"), ended).await;
    }

    /// Everything that can be seen now.
    pub(crate) fn looks_around(&mut self) -> &[Observation] {
        while let Ok(observation) = self.observations.try_recv() {
            self.seen.push(observation);
        }
        &self.seen
    }

    pub(crate) fn decisions(&mut self) -> Vec<(Direction, Verdict, Reason)> {
        let decided = |seen: &Observation| match seen {
            Observation::Decided(decided) => {
                Some((decided.direction, decided.verdict, decided.reason))
            }
            Observation::Released { .. } | Observation::Ended(..) | Observation::Shown(..) => None,
        };
        self.looks_around().iter().filter_map(decided).collect()
    }

    pub(crate) fn outcomes(&mut self) -> Vec<Outcome> {
        let ended = |seen: &Observation| match seen {
            Observation::Ended(_, _, outcome, _) => Some(*outcome),
            Observation::Decided(_) | Observation::Released { .. } | Observation::Shown(..) => None,
        };
        self.looks_around().iter().filter_map(ended).collect()
    }

    /// What was shown on one side of a lane.
    pub(crate) fn prompts(&mut self, lane: LaneId, side: Direction) -> Vec<Prompt> {
        let shown = |seen: &Observation| match seen {
            Observation::Shown(at, of, prompt) if (*at, *of) == (lane, side) => Some(*prompt),
            Observation::Decided(_)
            | Observation::Released { .. }
            | Observation::Ended(..)
            | Observation::Shown(..) => None,
        };
        self.looks_around().iter().filter_map(shown).collect()
    }

    /// Breaks beams step by step: `#` broken, outer beam first.
    pub(crate) async fn walks(&self, outer: u8, inner: u8, pictures: &[&str]) {
        for picture in pictures {
            self.wires.set_input(outer, picture.starts_with('#'));
            self.wires.set_input(inner, picture.ends_with('#'));
            sleep(STEP).await;
        }
    }

    /// Asks the gate at its socket, as staff do.
    pub(crate) fn asks(&self, request: &Request) -> Reply {
        cli::lane::ask(&self.folder.path().join("staff.sock"), request).unwrap()
    }

    /// A page of the gate.
    pub(crate) fn page(&self, path: &str) -> String {
        crate::outside::get(self.gate.pages, path)
    }

    /// The value of a series, by the beginning of its line; 0 where it does not exist yet.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        crate::outside::metric(&self.page("/metrics"), series)
    }

    /// Stops the gate after the backend came back and got everything.
    pub(crate) async fn closes(mut self) -> Kept {
        // Who was told to wait is not recorded; everything else that was seen is, a moment later.
        let busy = |(_, _, reason): &(Direction, Verdict, Reason)| *reason == Reason::LaneBusy;
        let decided = self.decisions().iter().filter(|seen| !busy(seen)).count();
        let ended = self.outcomes().len();
        self.waits_for("everything is in the journal", |site| {
            let kept = Kept {
                records: records(&site.gate),
            };
            kept.decisions().len() >= decided && kept.outcomes().len() >= ended
        })
        .await;
        let records = records(&self.gate);
        self.gate.journal.verify().unwrap();
        let backend = Backend::start_with(
            self.backend_addr,
            &self.folder.path().join("backend"),
            system_clock(),
        )
        .await
        .unwrap();
        self.waits_for("everything is delivered", |site| {
            site.gate.journal.status().backlog == 0
        })
        .await;
        let written = self.gate.journal.status().next_seq - 1;
        let counts = backend.counts(&GateId::new("site").unwrap()).unwrap();
        let delivered: u64 = counts.iter().map(|(_, counts)| counts.stored).sum();
        assert_eq!(delivered, written, "each record once");
        assert!(counts.iter().all(|(_, counts)| counts.conflicts == 0));
        self.gate.stop().await;
        backend.shutdown().await;
        Kept { records }
    }
}

impl Kept {
    /// Verdict and reason of each decision that was recorded.
    pub(crate) fn decisions(&self) -> Vec<(String, String)> {
        self.of_kind("decision")
            .map(|record| (text(record, "verdict"), text(record, "reason")))
            .collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<String> {
        self.of_kind("outcome")
            .map(|record| text(record, "outcome"))
            .collect()
    }

    pub(crate) fn of_kind<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a serde_json::Value> {
        self.records
            .iter()
            .filter(move |record| record["kind"] == kind)
    }
}

pub(crate) fn text(record: &serde_json::Value, key: &str) -> String {
    record[key].as_str().unwrap_or_default().to_owned()
}

fn records(gate: &Running) -> Vec<serde_json::Value> {
    let stored = gate.journal.read(0, usize::MAX, usize::MAX).unwrap();
    stored
        .iter()
        .map(|stored| serde_json::from_str(&stored.record).unwrap())
        .collect()
}

async fn enrol(backend: &Backend, people: People<'_>) {
    let list = ListId::new("health").unwrap();
    let pepper = backend.pepper(&list).unwrap();
    let change = |(n, (shown, colour)): (u64, &(&str, Colour))| {
        let (kind, issuer) = if is_identifier(shown) {
            (TAG, "tags")
        } else if shown.contains(':') {
            (OPAQUE, "health")
        } else {
            (ID_CARD, "id-card")
        };
        let key = row_key(&pepper, kind, &IssuerId::new(issuer).unwrap(), shown).unwrap();
        let row = Row {
            subject: Subject(n.to_be_bytes()),
            valid_from_s: 0,
            valid_until_s: 0,
            colour: Some(*colour),
            entitlements: 1,
            region: 0,
        };
        Change::Put(key, row.encode())
    };
    let changes = (1..).zip(people).map(change).collect();
    backend.import(&list, Mode::Replace, changes).await.unwrap();
}

/// A line of the wires.
pub(crate) fn high(pin: u8) -> Line {
    Line {
        pin: Pin::from(pin),
        active: Active::High,
    }
}
