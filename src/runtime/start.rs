//! From a config to a running gate: stores opened, drivers started, the loop turning.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::assess::{self, Assessment, Assessor};
use super::board::{Board, LaneBoard, Sources};
use super::certificates::Certificates;
use super::clock::{DateSource, SystemDate, WallClock};
use super::files::{StartError, read_files};
use super::gateway::{Gateway, Inlets};
use super::lines;
use super::link::{Link, look_after, start_sync};
use super::machine;
use super::observe::Observation;
use super::orders::Order;
use super::perform::{Outlets, Performer};
use super::readers;
use super::running::Running;
use super::service::{Barriers, Readers};
use super::settings;
use super::staff::{self, Desk};
use super::trust_watch::TrustWatch;
use crate::config::Config;
use crate::config::tree;
use crate::core::Gate;
use crate::domain::{Event, ListId};
use crate::drivers::MonoClock;
use crate::drivers::camera::{CameraError, FrameSource, Presence};
use crate::drivers::gpio::{self, GpioError};
use crate::drivers::serial::Looks;
use crate::store::codes::{Codes, SledCodes, Verify};
use crate::store::journal::{Journal, Limits, spawn_writer};
use crate::store::learned::Learned;
use crate::sync::SyncEvent;
use crate::telemetry::display::{Displays, Signs};
use crate::telemetry::http::{self, Pages};
use crate::telemetry::status::MachineStatus;
use crate::telemetry::{Metrics, Status};

/// Presentations and reports of all readers that may wait for the loop.
const READER_EVENTS: usize = 64;
/// Everything else that may wait for the loop.
const EVENTS: usize = 256;
/// What staff ask for that may wait for the loop.
const ORDERS: usize = 8;

/// Opens a board, as often as it is asked.
pub type OpenBoard = Box<dyn FnMut() -> Result<Box<dyn gpio::Board>, GpioError> + Send>;

/// Opens a source of frames, as often as it is asked.
pub type OpenSource = Arc<dyn Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + Sync>;

/// What stands in for hardware; all empty for a gate with real devices.
#[derive(Default)]
pub struct Stand {
    /// Opens the gate's board instead of the configured driver.
    pub board: Option<OpenBoard>,
    /// The same for the boards that lanes of these names have of their own.
    pub lane_boards: Vec<(String, OpenBoard)>,
    /// Opens the source of the reader of this name instead of its folder.
    pub sources: Vec<(String, OpenSource)>,
    /// Sees what people see.
    pub observer: Option<mpsc::Sender<Observation>>,
    /// Says the date instead of the system.
    pub date: Option<Box<dyn DateSource>>,
    /// How long an answer to a claim is waited for, in the place of `backend.claim_ms`: where a story is about the answer,
    /// and the machine has others to serve.
    pub claim_patience: Option<Duration>,
}

impl Stand {
    /// Opens boards by their names as devices; each is asked for once.
    fn boards(&mut self) -> impl FnMut(&str) -> Option<OpenBoard> + use<> {
        let mut own = std::mem::take(&mut self.lane_boards);
        let mut of_gate = self.board.take();
        move |name| match name.strip_prefix("lines.") {
            None => of_gate.take(),
            Some(lane) => {
                let at = own.iter().position(|(known, _)| known == lane)?;
                Some(own.swap_remove(at).1)
            }
        }
    }
}

/// Starts everything.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
#[expect(
    clippy::too_many_lines,
    reason = "one part a line, in the order they depend on each other"
)]
pub async fn start(
    config: &Config,
    mono: MonoClock,
    mut stand: Stand,
) -> Result<Running, StartError> {
    let opener = stand.boards();
    let mut files = read_files(config)?;
    let listen = config.http.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| StartError::Listen { listen, source })?;
    let pages = listener
        .local_addr()
        .map_err(|source| StartError::Listen { listen, source })?;
    let (journal, restored) = Journal::open(
        &config.data_dir.join("journal"),
        Limits::of_mib(config.journal.size_mib_max.get())
            .keeping(config.journal.keep_acked_h.duration()),
    )?;
    let names: Vec<ListId> = config.lists.iter().map(|list| list.name.clone()).collect();
    // Ten million rows take a while to read: people do not wait for it.
    let codes = SledCodes::open(&config.data_dir.join("codes"), &names, Verify::Later)?;
    codes.verify_beside()?;
    let cache: Arc<dyn Codes> = Arc::new(codes);

    let (stop, stopping) = watch::channel(false);
    let (stop_tasks, tasks_stopping) = watch::channel(false);
    let (readers_in, readers) = mpsc::channel(READER_EVENTS);
    let (assessed_in, assessments) = mpsc::channel(READER_EVENTS);
    let (written_in, written) = mpsc::channel(EVENTS);
    let (sync_in, synced) = mpsc::channel::<SyncEvent>(EVENTS);
    let (answers_in, answers) = mpsc::channel(EVENTS);
    let (claimed_in, claimed) = mpsc::channel(EVENTS);
    let (orders_in, orders) = mpsc::channel::<Order>(ORDERS);
    let socket = staff::bind(config)?;

    let date = match stand.date {
        Some(date) => date,
        None => Box::new(SystemDate::start(config.clock.trust, mono)?),
    };
    files.trust.with_own_pepper(&config.data_dir)?;
    let trust = files.trust.start(&config.data_dir, &journal)?;
    let mut clock = WallClock::new(mono, date, restored.clock_floor);
    let created = trust.in_force.reader().trust().created;
    created
        .into_iter()
        .for_each(|created| clock.raise_floor(created));
    names
        .iter()
        .filter_map(|list| cache.state(list))
        .for_each(|state| clock.raise_floor(state.created));
    let writer = spawn_writer(journal.clone(), written_in, Arc::new(move || mono.now()))?;
    let boards = config.boards();
    let (lines, lines_out) = lines::start(&boards, mono, opener)?;
    let learned = learned(config);
    let (assessor, newest) = watch::channel(Arc::new(Assessor {
        trust: trust.in_force.clone(),
        cache: Arc::clone(&cache),
        lists: lists(config),
        certificates: config.certificates.clone(),
        learned: learned.clone(),
    }));
    let assessors = start_assessors(config, &newest, &assessed_in)?;
    let (looks, looks_out) = watch::channel(Looks::default());
    let osdp = readers::OsdpReaders {
        keys: std::mem::take(&mut files.reader_keys),
        looks: looks_out,
    };
    let presences: Vec<Presence> = config.lanes.iter().map(|_| Presence::default()).collect();
    let keyed = readers::start(config, mono, &stand.sources, &osdp, &presences, &readers_in)?;
    let certificates = files.link.as_mut().and_then(|link| {
        let secure = link.secure.take()?;
        let floor = clock.floor();
        Some(look_after(
            config,
            secure,
            floor,
            link.client.clone(),
            &tasks_stopping,
        ))
    });
    let addressee = files.link.as_ref().and_then(|link| link.addressee.as_ref());
    let directed = match addressee {
        Some(addressee) => addressee.accepted(&journal)?,
        None => Vec::new(),
    };
    let uplink = Arc::new(Notify::new());
    let link = Link {
        cache: &cache,
        journal: &journal,
        mono,
        uplink: &uplink,
        learned: learned.as_ref(),
        sync: sync_in,
        answers: answers_in,
        claimed: claimed_in,
        trust: trust.followed,
        directed: directed.clone(),
    };
    let process = getrandom::u64().map_err(|error| StartError::Random(error.to_string()))?;
    let asked = start_sync(
        config,
        files.link,
        &files.followed,
        link,
        process,
        &tasks_stopping,
    );
    let (status_in, status) = watch::channel(Arc::default());
    let (signs_in, signs) = watch::channel(Arc::new(settings::signs(config)));
    let (heartbeat_in, heartbeat) = watch::channel(Instant::now());
    let metrics = Metrics::new(&Registry::new())?;
    let served = Pages {
        metrics: metrics.clone(),
        status: status.clone(),
        heartbeat,
        displays: Displays::new(signs),
    };
    tokio::spawn(serve_pages(listener, served, tasks_stopping.clone()));
    let (machine_in, machine) = watch::channel(MachineStatus::default());
    tokio::spawn(machine::watch(
        "/sys".into(),
        config.data_dir.clone(),
        metrics.clone(),
        machine_in,
        tasks_stopping.clone(),
    ));
    let (allowed, may) = watch::channel(config.staff.clone().unwrap_or_default());
    if let Some(socket) = socket {
        let desk = Desk::new(config, may, status.clone(), orders_in.clone()).keyed(keyed);
        tokio::spawn(socket.serve(desk, tasks_stopping));
    }
    let board = Board::new(
        metrics,
        sources(
            config,
            cache,
            learned,
            certificates,
            journal.clone(),
            trust.watch,
            (status_in, signs_in, heartbeat_in, machine),
        ),
    );
    board.follows(&directed);
    let observer = stand.observer;
    let outlets = Outlets {
        lines,
        boards: boards
            .into_iter()
            .map(|board| (board.name, board.lanes))
            .collect(),
        looks,
        writer,
        assessors,
        online: asked.online,
        claims: asked.claims,
        uplink,
        observer,
        stop_tasks,
    };
    let mut actions = Vec::new();
    let mut core = settings::core_settings(config);
    core.claims = core
        .claims
        .map(|configured| stand.claim_patience.unwrap_or(configured));
    let mut gate = Gate::new(core, restored, clock.now(), &mut actions);
    if config.gpio.fire_loop.is_none() {
        // No loop will ever say it.
        gate.step(clock.now(), Event::Fire(false), &mut actions);
    }
    if !directed.is_empty() {
        gate.step(clock.now(), Event::Directed(directed), &mut actions);
    }
    let readers_known = Readers::new(config);
    let barriers = Barriers::new(config.lanes.len());
    let mut perform = Performer::new(outlets, board, readers_known, barriers);
    perform.tell_presence(config, presences);
    let gateway = Gateway::new(clock, gate, perform, actions);
    let inlets = Inlets {
        readers,
        assessments,
        lines: lines_out,
        orders,
        written,
        sync: synced,
        answers,
        claimed,
    };
    let task = tokio::spawn(gateway.run(inlets, stopping));
    tracing::info!(gate = %config.gate, lanes = config.lanes.len(), %pages, "the gate decides");
    Ok(Running {
        status,
        pages,
        journal,
        config: config.clone(),
        assessor,
        allowed,
        orders: orders_in,
        stop,
        task,
    })
}

async fn serve_pages(listener: TcpListener, pages: Pages, stop: watch::Receiver<bool>) {
    if let Err(error) = http::serve(listener, pages, stop).await {
        tracing::error!(%error, "the pages are not served any more");
    }
}

/// What the loop shows: to the pages, to the displays, and that it turns; and what it shows of the machine.
type Windows = (
    watch::Sender<Arc<Status>>,
    watch::Sender<Arc<Signs>>,
    watch::Sender<Instant>,
    watch::Receiver<MachineStatus>,
);

fn sources(
    config: &Config,
    cache: Arc<dyn Codes>,
    learned: Option<Arc<Learned>>,
    certificates: Option<Certificates>,
    journal: Journal,
    trust: TrustWatch,
    (status, signs, heartbeat, machine): Windows,
) -> Sources {
    let lane = |lane: &tree::Lane| LaneBoard {
        name: lane.name.clone(),
        barrier: settings::barrier_name(lane.barrier),
        directions: lane.directions.clone(),
        sensors: lane
            .sensors
            .lines()
            .into_iter()
            .map(|(_, sensor, _)| sensor)
            .collect(),
    };
    let readers = config
        .lanes
        .iter()
        .flat_map(|lane| &lane.readers)
        .map(|reader| reader.name.clone());
    Sources {
        gate: config.gate.to_string(),
        lanes: config.lanes.iter().map(lane).collect(),
        devices: readers
            .chain(config.boards().into_iter().map(|board| board.name))
            .collect(),
        lists: lists(config),
        cache,
        learned,
        certificates,
        journal,
        trust,
        status,
        signs,
        heartbeat,
        remember: config.passback.remember_min.duration(),
        has_backend: config.backend.is_some(),
        machine,
    }
}

/// Where online answers are kept; nothing where nobody is asked.
fn learned(config: &Config) -> Option<Arc<Learned>> {
    let backend = config.backend.as_ref().filter(|backend| backend.resolve)?;
    let (known_for, nobody_for) = (&backend.learned_s, &backend.learned_unknown_s);
    let learned = Learned::new(known_for.duration(), nobody_for.duration());
    Some(Arc::new(learned))
}

fn start_assessors(
    config: &Config,
    newest: &watch::Receiver<Arc<Assessor>>,
    out: &mpsc::Sender<Assessment>,
) -> Result<Vec<SyncSender<assess::Job>>, StartError> {
    let spawn = |lane: &tree::Lane| assess::spawn(newest.clone(), &lane.name, out.clone());
    Ok(config.lanes.iter().map(spawn).collect::<Result<_, _>>()?)
}

/// The lists that are followed, and from which age each counts as stale.
pub(super) fn lists(config: &Config) -> Vec<(ListId, Duration)> {
    let list = |list: &tree::List| (list.name.clone(), list.stale_after_min.duration());
    config.lists.iter().map(list).collect()
}
