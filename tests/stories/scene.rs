//! A gate, and people of the demo's cast picked by their stories.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use turnstiled::backend::system_clock;
use turnstiled::config::types::{Active, Line, Pin};
use turnstiled::domain::{Decided, Direction, IdCard, Outcome, Personal, Reason, Verdict};
use turnstiled::lab::demo::cast::{self, Act, Carries, PASSENGERS_MIN, Person, Walk};
use turnstiled::lab::demo::lane::{DemoLane, Witness};
use turnstiled::lab::demo::stage::Stage;
use turnstiled::runtime::observe::Observation;
use turnstiled::telemetry::Status;

/// How long something may take that has to come: a machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
/// At a lane that has no trouble nobody waits longer than this, on a machine that has others to serve.
const UNNOTICED: Duration = Duration::from_secs(2);

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) people: Vec<Person>,
    lanes: [DemoLane; 2],
    /// Who of a crowd has been here.
    served: Vec<usize>,
}

impl Scene {
    /// A gate whose backend knows the whole cast.
    pub(crate) async fn new(seed: u64) -> Self {
        Self::with(PASSENGERS_MIN, seed).await
    }

    /// A gate with enough people for a long day, whose backend has gone: what is kept, the gate keeps.
    pub(crate) async fn on_its_own(seed: u64) -> Self {
        let mut scene = Self::with(6 * PASSENGERS_MIN, seed).await;
        scene.stage.lose_backend().await;
        scene
    }

    async fn with(passengers: usize, seed: u64) -> Self {
        let people = cast::draw(passengers, seed, system_clock()()).unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (stage, lanes) = Stage::set(&people, seed, any_port, system_clock())
            .await
            .unwrap();
        Self {
            stage,
            people,
            lanes,
            served: Vec::new(),
        }
    }

    /// The lane on the way in, where the trouble is.
    pub(crate) const fn entry(&mut self) -> &mut DemoLane {
        &mut self.lanes[0]
    }

    /// The lane beside it, on the way out.
    pub(crate) const fn exit(&mut self) -> &mut DemoLane {
        &mut self.lanes[1]
    }

    /// The next of the crowd whom the lists know as green, and who has not been here yet.
    pub(crate) fn somebody(&mut self, direction: Direction, has_card: bool) -> Person {
        let fits = |person: &Person| {
            let carries_card = matches!(person.carries, Carries::Card { .. });
            person.direction == direction
                && carries_card == has_card
                && person.expected == (Verdict::Grant, Reason::InOrder)
                && person.walk == Walk::Through
                && matches!(person.known, cast::Known::Synced(_))
                && (person.act != Act::Connected || !person.story.contains("first time"))
        };
        let mut people = self.people.iter().enumerate();
        let (at, person) = people
            .find(|(at, person)| fits(person) && !self.served.contains(at))
            .expect("the crowd is large enough");
        self.served.push(at);
        person.clone()
    }

    /// Somebody with a green code comes in, and passes.
    pub(crate) async fn phone_passes(&mut self) {
        let person = self.somebody(Direction::Entry, false);
        self.passes(person).await;
    }

    /// Somebody with a green card comes in, and passes.
    pub(crate) async fn card_passes(&mut self) {
        let person = self.somebody(Direction::Entry, true);
        self.passes(person).await;
    }

    /// At the lane beside, somebody leaves as if nothing were wrong.
    pub(crate) async fn beside_nobody_notices(&mut self) {
        let person = self.somebody(Direction::Exit, false);
        let end_to_end = self.passes(person).await;
        assert!(end_to_end < UNNOTICED, "beside: {end_to_end:?}");
    }

    async fn passes(&mut self, person: Person) -> Duration {
        let direction = person.direction;
        let lane = if direction == Direction::Entry {
            self.entry()
        } else {
            self.exit()
        };
        let witness = lane.serve(person).await;
        expect(
            &witness,
            Verdict::Grant,
            Reason::InOrder,
            &[Outcome::Passed],
        );
        witness.released.unwrap().1
    }

    /// What the status page knows now.
    pub(crate) fn status(&self) -> std::sync::Arc<Status> {
        self.stage.gate.status.borrow().clone()
    }

    /// Waits until the page says so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Status) -> bool) {
        let mut status = self.stage.gate.status.clone();
        let waited = timeout(LIMIT, status.wait_for(|status| holds(status)))
            .await
            .is_ok();
        assert!(waited, "{what}: not in {LIMIT:?}: {:?}", self.status());
    }

    /// Waits until a device stands so, and its metrics say the same.
    pub(crate) async fn until_device(&self, name: &str, state: &str) {
        let what = format!("{name} is {state}");
        self.until(&what, |status| device(status, name) == state)
            .await;
        let up = f64::from(u8::from(state == "up"));
        let series = format!("turnstile_device_up{{device=\"{name}\"}}");
        self.until_metric(&series, |value| value.to_bits() == up.to_bits())
            .await;
        let series = format!("turnstile_device_state{{device=\"{name}\",state=\"{state}\"}}");
        self.until_metric(&series, |value| value > 0.5).await;
    }

    /// Waits until a sign shows this.
    pub(crate) async fn until_sign(&self, lane: &str, prompt: &str) {
        let what = format!("the sign of {lane} shows {prompt}");
        self.until(&what, |status| sign(status, lane) == prompt)
            .await;
    }

    /// Waits until a series has such a value; one that is not there counts as zero.
    pub(crate) async fn until_metric(&self, series: &str, fits: impl Fn(f64) -> bool) {
        let until = Instant::now() + LIMIT;
        while !fits(self.metric(series).await) {
            assert!(
                Instant::now() < until,
                "{series}: {}",
                self.metric(series).await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The value of a series; zero if it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.page("/metrics").await;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// A page of the gate, with its head.
    pub(crate) async fn page(&self, path: &str) -> String {
        let host = self.stage.gate.pages.to_string();
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// What the journal has kept, oldest first.
    pub(crate) fn kept(&self) -> Vec<String> {
        let records = self.stage.gate.journal.read(0, 10_000, usize::MAX).unwrap();
        records.into_iter().map(|record| record.record).collect()
    }

    /// How many records have all of these words.
    pub(crate) fn kept_with(&self, words: &[&str]) -> usize {
        let kept = self.kept();
        let fits = |record: &&String| words.iter().all(|word| record.contains(word));
        kept.iter().filter(fits).count()
    }

    /// The backend is back, gets every record once, and the gate ends.
    pub(crate) async fn ends_with_every_record_delivered(mut self) {
        self.stage.bring_back_backend().await.unwrap();
        let (stored, twice, lost) = self.stage.delivered().await.unwrap();
        assert!(stored > 0);
        assert_eq!((twice, lost), (0, 0));
        self.stage.strike().await.unwrap();
    }

    /// The person of this story comes, and goes again.
    pub(crate) async fn comes(&mut self, story: &str) -> Witness {
        let person = self
            .people
            .iter()
            .find(|person| person.story == story)
            .expect("the cast has this story")
            .clone();
        let [entry, exit] = &mut self.lanes;
        let lane = if person.direction == Direction::Entry {
            entry
        } else {
            exit
        };
        lane.serve(person).await
    }
}

/// One person comes to a gate of their own; what must come of it is said here once more, and not taken from the cast.
pub(crate) async fn alone(
    seed: u64,
    story: &str,
    verdict: Verdict,
    reason: Reason,
    outcomes: &[Outcome],
) {
    let mut scene = Scene::new(seed).await;
    let witness = scene.comes(story).await;
    expect(&witness, verdict, reason, outcomes);
    scene.stage.strike().await.unwrap();
}

pub(crate) fn expect(witness: &Witness, verdict: Verdict, reason: Reason, outcomes: &[Outcome]) {
    let story = witness.person.story;
    let decided = witness
        .decided
        .unwrap_or_else(|| panic!("{story}: nothing was decided"));
    assert_eq!(
        (decided.verdict, decided.reason),
        (verdict, reason),
        "{story}"
    );
    assert_eq!(witness.outcomes, outcomes, "{story}");
    assert_eq!(
        witness.released.is_some(),
        verdict == Verdict::Grant,
        "{story}: the relay"
    );
}

/// How a device stands by the status page.
pub(crate) fn device<'a>(status: &'a Status, name: &str) -> &'a str {
    let mut devices = status.devices.iter();
    let found = devices.find(|device| device.name == name);
    found.expect("the device is on the page").state
}

/// What the sign of a lane shows, on its only side.
pub(crate) fn sign<'a>(status: &'a Status, lane: &str) -> &'a str {
    let mut lanes = status.lanes.iter();
    let lane = lanes.find(|found| found.name == lane);
    lane.expect("the lane is on the page").prompts[0].1
}

/// True if staff are called to a lane for this.
pub(crate) fn has_alarm(status: &Status, lane: &str, alarm: &str) -> bool {
    let mut alarms = status.alarms.iter();
    alarms.any(|(place, what)| place == lane && what == alarm)
}

/// A line by its number, active while high.
pub(crate) fn line(pin: u8) -> Line {
    Line {
        pin: Pin::from(pin),
        active: Active::High,
    }
}

/// What is seen at a lane, until this comes or the time is up.
pub(crate) async fn watch(
    lane: &mut DemoLane,
    for_long: Duration,
    is_last: impl Fn(&Observation) -> bool,
) -> Vec<Observation> {
    let (until, mut seen) = (Instant::now() + for_long, Vec::new());
    while let Ok(Some(observation)) = tokio::time::timeout_at(until, lane.seen.recv()).await {
        seen.push(observation);
        if is_last(&observation) {
            break;
        }
    }
    seen
}

/// The decisions among what was seen.
pub(crate) fn decisions(seen: &[Observation]) -> Vec<Decided> {
    let decided = seen.iter().filter_map(|observation| match observation {
        Observation::Decided(decided) => Some(*decided),
        Observation::Released { .. } | Observation::Ended(..) | Observation::Shown(..) => None,
    });
    decided.collect()
}

/// Shows what somebody carries, as they do who are not served.
pub(crate) fn show(lane: &DemoLane, person: &Person) {
    match &person.carries {
        Carries::Phone(text) => lane.scene.show(text),
        Carries::Card { number, kind } => lane.module.present(IdCard {
            number: Personal::new(number.clone()),
            kind: *kind,
            valid_from: "20200101".into(),
            valid_until: None,
        }),
    }
}
