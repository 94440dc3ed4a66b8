//! `turnstiled demo`: a gate with two lanes, a second one beside it, and no hardware. People come with phones and cards, the backend goes and
//! comes back, and every outcome is compared with the one that had to come.
//!
//! What stands in for hardware speaks the real thing: camera frames are pictures of screens that the real pipeline
//! reads, the card readers are SAM modules on pseudo-terminals behind the real serial driver, relays and beams are
//! lines behind the GPIO trait, the backend is the reference backend, cache and journal are files.

pub mod cast;
mod enrolled;
pub mod film;
pub mod lane;
pub mod props;
mod second;
mod service;
pub mod stage;
pub mod table;

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use tokio::sync::mpsc;

use self::cast::{Act, Person};
use self::lane::{DemoLane, Witness};
use self::props::Props;
use self::second::Second;
use self::stage::Stage;
use self::table::{Spread, Table};
use crate::backend::Clock;
use crate::domain::{Direction, Medium};
use crate::drivers::MonoClock;

/// Arguments of the demo.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Draws the people.
    pub seed: u64,
    /// How many of them.
    pub passengers: usize,
    /// Where the pages are served.
    pub listen: SocketAddr,
    /// The last line is the table as one JSON object.
    pub json: bool,
    /// People keep coming until somebody stops it.
    pub stay: bool,
}

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Files and devices of the stage.
    #[error("cannot set the stage")]
    Io(#[from] std::io::Error),
    /// The backend.
    #[error(transparent)]
    Backend(#[from] crate::backend::BackendError),
    /// The gate's config: a mistake of ours.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The gate.
    #[error(transparent)]
    Start(#[from] crate::runtime::StartError),
    /// The gate is not ready in time.
    #[error("the gate is not ready: {0}")]
    NotReady(String),
    /// Codes of a lab's issuers.
    #[error(transparent)]
    Mint(#[from] super::mint::MintError),
    /// Anything else about the stage.
    #[error("cannot set the stage: {0}")]
    Stage(String),
}

/// Runs the demo until it is over or `stop` ends; true if everything came as it had to.
///
/// # Errors
/// [`DemoError`].
pub async fn run(
    settings: &Settings,
    clock: Clock,
    stop: impl Future<Output = std::io::Result<()>>,
    out: &mut (dyn Write + Send),
) -> Result<bool, DemoError> {
    let people = cast::draw(settings.passengers, settings.seed, clock())?;
    let (seed, listen) = (settings.seed, settings.listen);
    let (stage, lanes) = Stage::set_with(&people, seed, listen, clock.clone(), zone()).await?;
    stage.wait_until_ready().await?;
    let second = Second::open(&stage, seed).await?;
    writeln!(
        out,
        "a gate with lanes entry (flap) and exit (tripod), and a second one beside it; status page http://{0}/, passenger displays \
         http://{0}/display/entry and http://{0}/display/exit, metrics http://{0}/metrics",
        stage.gate.pages
    )?;
    let mut show = Show {
        stage,
        lanes,
        second,
        clock,
        witnesses: Vec::new(),
        buffered: 0,
    };
    let played = tokio::select! {
        played = show.play(people, settings, out) => played,
        stopped = stop => Ok(stopped?),
    };
    played?;
    show.close(settings, out).await
}

/// Both gates are of one zone: who is in, is in for both of them.
fn zone() -> Props {
    let zone = "[passback]\nscope = \"zone\"\narea = \"demo\"\n\n[http]";
    Props {
        replace: vec![("[http]".into(), zone.into())],
        ..Props::default()
    }
}

struct Show {
    stage: Stage,
    lanes: [DemoLane; 2],
    second: Second,
    clock: Clock,
    witnesses: Vec<Witness>,
    buffered: u64,
}

impl Show {
    async fn play(
        &mut self,
        people: Vec<Person>,
        settings: &Settings,
        out: &mut (dyn Write + Send),
    ) -> Result<(), DemoError> {
        for act in [Act::Connected, Act::Beside, Act::Alone, Act::Again] {
            match act {
                Act::Connected => {}
                Act::Beside => writeln!(out, "--- at the second gate")?,
                Act::Alone => {
                    self.stage.lose_backend().await;
                    writeln!(out, "--- the backend is gone")?;
                }
                Act::Again => {
                    self.buffered = self.stage.gate.journal.status().backlog;
                    self.stage.bring_back_backend().await?;
                    writeln!(
                        out,
                        "--- the backend is back; {} records wait for it",
                        self.buffered
                    )?;
                }
            }
            self.serve(
                people
                    .iter()
                    .filter(|person| person.act == act)
                    .cloned()
                    .collect(),
                out,
            )
            .await?;
        }
        if !settings.stay {
            return Ok(());
        }
        let mut seed = settings.seed;
        loop {
            seed = seed.wrapping_add(1);
            let people = cast::rush_hour(10, seed, (self.clock)());
            self.stage.enrol(&people).await?;
            self.serve(people, out).await?;
        }
    }

    /// The lanes serve their people side by side; each is told about as they go.
    async fn serve(
        &mut self,
        people: Vec<Person>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), DemoError> {
        let (beside, first): (Vec<_>, Vec<_>) = people
            .into_iter()
            .partition(|person| person.act == Act::Beside);
        let (entering, leaving): (Vec<_>, Vec<_>) = first
            .into_iter()
            .partition(|person| person.direction == Direction::Entry);
        let (told, mut telling) = mpsc::channel(4);
        let [entry, exit] = &mut self.lanes;
        let lanes = async {
            tokio::join!(
                serve_lane(entry, entering, told.clone()),
                serve_lane(exit, leaving, told.clone()),
                serve_lane(&mut self.second.lane, beside, told.clone())
            );
            drop(told);
        };
        let witnesses = &mut self.witnesses;
        let tell = async {
            while let Some(witness) = telling.recv().await {
                writeln!(out, "{}", line(witnesses.len() + 1, &witness))?;
                witnesses.push(witness);
            }
            Ok::<_, std::io::Error>(())
        };
        let ((), said) = tokio::join!(lanes, tell);
        Ok(said?)
    }

    async fn close(
        mut self,
        settings: &Settings,
        out: &mut (dyn Write + Send),
    ) -> Result<bool, DemoError> {
        self.buffered = self.buffered.max(self.stage.backlog_alone());
        self.stage.bring_back_backend().await?;
        let mut table = Table::of(settings.seed, &self.witnesses);
        table.buffered = self.buffered;
        (table.delivered, table.duplicates, table.lost) = self.stage.delivered().await?;
        table.disk_sync_ms = disk_sync(self.stage.folder())?;
        self.second.close().await;
        self.stage.strike().await?;
        writeln!(out)?;
        for line in table.lines() {
            writeln!(out, "{line}")?;
        }
        for witness in self
            .witnesses
            .iter()
            .filter(|witness| !witness.is_expected())
        {
            let (verdict, reason) = witness.person.expected;
            writeln!(
                out,
                "  {}: expected {} {}",
                witness.person.story,
                verdict.as_str(),
                reason.as_str()
            )?;
        }
        if settings.json {
            let json = serde_json::to_string(&table).map_err(std::io::Error::from)?;
            writeln!(out, "{json}")?;
        }
        Ok(table.unexpected == 0 && table.lost == 0 && table.duplicates == 0)
    }
}

async fn serve_lane(lane: &mut DemoLane, people: Vec<Person>, told: mpsc::Sender<Witness>) {
    for person in people {
        let witness = lane.serve(person).await;
        if told.send(witness).await.is_err() {
            return;
        }
    }
}

/// One person in one line: who came with what, decision, reason, times, outcome.
fn line(number: usize, witness: &Witness) -> String {
    let Witness {
        person,
        decided,
        released,
        outcomes,
    } = witness;
    let medium = match person.carries.medium() {
        Medium::QrCode => "QR code",
        Medium::IdCard => "ID card",
        Medium::Staff => "staff",
        Medium::Tag => "tag",
    };
    let decision = decided.map_or_else(
        || "nothing decided".to_owned(),
        |decided| format!("{} {}", decided.verdict.as_str(), decided.reason.as_str()),
    );
    let times = released.map_or_else(String::new, |(own, whole)| {
        format!(
            "own {:.1} ms, whole {:.0} ms",
            own.as_secs_f64() * 1e3,
            whole.as_secs_f64() * 1e3
        )
    });
    let outcomes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
    let mark = if witness.is_expected() { ' ' } else { '!' };
    let (story, direction) = (person.story, person.direction.as_str());
    format!(
        "{mark}{number:>3}  {direction:<5}  {medium}  {story:<36}  {decision:<28}  {times:<28}  {}",
        outcomes.join(", ")
    )
    .trim_end()
    .to_owned()
}

/// What one durable append costs on the disk of `folder`: a file, 4 KiB, fdatasync.
fn disk_sync(folder: &Path) -> std::io::Result<Spread> {
    let clock = MonoClock::start();
    let mut file = File::create(folder.join("disk-sync"))?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = clock.now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(clock.now().since(started));
    }
    Ok(Spread::of(times))
}
