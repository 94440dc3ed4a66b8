//! From a config to a running gate: stores opened, drivers started, the loop turning.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::assess::{self, Assessment, Assessor};
use super::board::{Board, LaneBoard, Sources};
use super::certificates::Certificates;
use super::clock::{DateSource, SystemDate, WallClock};
use super::files::{self, Secure, StartError, read_files};
use super::gateway::{Answer, Gateway, Inlets, Order};
use super::observe::Observation;
use super::online::Online;
use super::perform::{Outlets, Performer};
use super::readers;
use super::service::{Barriers, Readers};
use super::settings;
use super::trust::{self, InForce};
use super::trust_watch::TrustWatch;
use crate::config::Config;
use crate::config::tree;
use crate::core::Gate;
use crate::domain::{ListId, Utc};
use crate::drivers::MonoClock;
use crate::drivers::camera::{CameraError, FrameSource};
use crate::drivers::gpio::{self, GpioError, GpioEvent, Layout};
use crate::drivers::serial::Looks;
use crate::store::codes::{Codes, SledCodes, Verify};
use crate::store::journal::{Journal, Limits, spawn_writer};
use crate::store::learned::Learned;
use crate::sync::tls::{
    self,
    renew::{self, Renewal},
};
use crate::sync::{self, Client, Followed, FollowedTrust, Parts, Report, SyncEvent};
use crate::telemetry::http::{self, Pages};
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
    /// Opens the board instead of the configured driver.
    pub board: Option<OpenBoard>,
    /// Opens the source of the reader of this name instead of its folder.
    pub sources: Vec<(String, OpenSource)>,
    /// Sees what people see.
    pub observer: Option<mpsc::Sender<Observation>>,
    /// Says the date instead of the system.
    pub date: Option<Box<dyn DateSource>>,
}

/// A running gate.
pub struct Running {
    /// Newest snapshot for the pages.
    pub status: watch::Receiver<Arc<Status>>,
    /// Where the pages are.
    pub pages: SocketAddr,
    /// The journal, to be looked at.
    pub journal: Journal,
    /// What staff ask of it.
    pub orders: mpsc::Sender<Order>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends when the loop has ended without being told to: a broken invariant. Its lines are in their safe state then,
    /// and the process is of no use any more. After this, [`Running::stop`] is not called.
    pub async fn broke_off(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the loop broke off");
        }
    }

    /// Stops the gate: lines into their safe state, the last records on the disk.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the loop broke off");
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
pub async fn start(config: &Config, mono: MonoClock, stand: Stand) -> Result<Running, StartError> {
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
    let (lines_in, lines_out) = mpsc::channel(EVENTS);
    let (written_in, written) = mpsc::channel(EVENTS);
    let (sync_in, synced) = mpsc::channel::<SyncEvent>(EVENTS);
    let (answers_in, answers) = mpsc::channel(EVENTS);
    let (orders_in, orders) = mpsc::channel(ORDERS);

    let date = match stand.date {
        Some(date) => date,
        None => Box::new(SystemDate::start(config.clock.trust, mono)?),
    };
    files.trust.with_own_pepper(&config.data_dir)?;
    let trust = start_trust(config, &files.trust, &journal)?;
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
    let (commands, lines_thread) = start_lines(config, mono, stand.board, lines_in)?;
    let learned = learned(config);
    let assessors = start_assessors(config, &trust.in_force, &cache, &learned, &assessed_in)?;
    let (looks, looks_out) = watch::channel(Looks::default());
    let osdp = readers::OsdpReaders {
        keys: std::mem::take(&mut files.reader_keys),
        looks: looks_out,
    };
    readers::start(config, mono, &stand.sources, &osdp, &readers_in)?;
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
    let uplink = Arc::new(Notify::new());
    let link = Link {
        cache: &cache,
        journal: &journal,
        mono,
        uplink: &uplink,
        learned: learned.as_ref(),
        sync: sync_in,
        answers: answers_in,
        trust: trust.followed,
    };
    let online = start_sync(config, files.link, &files.followed, link, &tasks_stopping);
    let (status_in, status) = watch::channel(Arc::default());
    let (heartbeat_in, heartbeat) = watch::channel(Instant::now());
    let metrics = Metrics::new(&Registry::new())?;
    let served = Pages {
        metrics: metrics.clone(),
        status: status.clone(),
        heartbeat,
    };
    tokio::spawn(serve_pages(listener, served, tasks_stopping));
    let board = Board::new(
        metrics,
        sources(
            config,
            cache,
            learned,
            certificates,
            journal.clone(),
            trust.watch,
            (status_in, heartbeat_in),
        ),
    );
    let observer = stand.observer;
    let outlets = Outlets {
        looks,
        lines: commands,
        lines_thread,
        writer,
        assessors,
        online,
        uplink,
        observer,
        stop_tasks,
    };
    let mut actions = Vec::new();
    let gate = Gate::new(
        settings::core_settings(config),
        restored,
        clock.now(),
        &mut actions,
    );
    let readers_known = Readers::new(config);
    let barriers = Barriers::new(config.lanes.len());
    let perform = Performer::new(outlets, board, readers_known, barriers);
    let gateway = Gateway::new(clock, gate, perform, actions);
    let inlets = Inlets {
        readers,
        assessments,
        lines: lines_out,
        orders,
        written,
        sync: synced,
        answers,
    };
    let task = tokio::spawn(gateway.run(inlets, stopping));
    tracing::info!(gate = %config.gate, lanes = config.lanes.len(), %pages, "the gate decides");
    Ok(Running {
        status,
        pages,
        journal,
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

fn sources(
    config: &Config,
    cache: Arc<dyn Codes>,
    learned: Option<Arc<Learned>>,
    certificates: Option<Certificates>,
    journal: Journal,
    trust: TrustWatch,
    (status, heartbeat): (watch::Sender<Arc<Status>>, watch::Sender<Instant>),
) -> Sources {
    let lane = |lane: &tree::Lane| LaneBoard {
        name: lane.name.clone(),
        barrier: settings::barrier_name(lane.barrier),
        directions: lane.directions.clone(),
    };
    let readers = config
        .lanes
        .iter()
        .flat_map(|lane| &lane.readers)
        .map(|reader| reader.name.clone());
    Sources {
        gate: config.gate.to_string(),
        lanes: config.lanes.iter().map(lane).collect(),
        devices: readers.chain(["lines".to_owned()]).collect(),
        lists: lists(config),
        cache,
        learned,
        certificates,
        journal,
        trust,
        status,
        heartbeat,
        remember: config.passback.remember_min.duration(),
        has_backend: config.backend.is_some(),
    }
}

/// Where online answers are kept; nothing where nobody is asked.
fn learned(config: &Config) -> Option<Arc<Learned>> {
    let backend = config.backend.as_ref().filter(|backend| backend.resolve)?;
    let (known_for, nobody_for) = (&backend.learned_s, &backend.learned_unknown_s);
    let learned = Learned::new(known_for.duration(), nobody_for.duration());
    Some(Arc::new(learned))
}

/// Looks after the gate's certificates: reads them again when their files change, and knows when they end.
fn look_after(
    config: &Config,
    secure: Secure,
    floor: Utc,
    client: Client,
    stop: &watch::Receiver<bool>,
) -> Certificates {
    let Secure { files, facts, date } = secure;
    date.raise_floor(floor);
    let (send, ends) = watch::channel(facts);
    let renewal = Renewal::new(files, Some(config.gate.clone()));
    let checked_at = date.date();
    let take = move |material: tls::Material| match client.renew(&material, Arc::clone(&checked_at))
    {
        Ok(()) => {
            tracing::info!("certificate, key and authority are read again");
            send.send_replace((material.facts, material.authority));
        }
        Err(error) => tracing::error!(%error, "the new certificate is not used"),
    };
    tokio::spawn(renew::run(renewal, renew::LOOK, stop.clone(), take));
    Certificates::new(ends, date)
}

type Lines = (SyncSender<gpio::Command>, std::thread::JoinHandle<()>);

fn start_lines(
    config: &Config,
    mono: MonoClock,
    board: Option<OpenBoard>,
    events: mpsc::Sender<GpioEvent>,
) -> Result<Lines, StartError> {
    let layout = Layout::new(config);
    let (commands, taken) = sync_channel(EVENTS);
    let thread = match board {
        Some(open) => gpio::spawn(open, layout, taken, events, mono)?,
        None => {
            let open = gpio::opener(&config.gpio, &layout);
            gpio::spawn(open, layout, taken, events, mono)?
        }
    };
    Ok((commands, thread))
}

fn start_assessors(
    config: &Config,
    trust: &InForce,
    cache: &Arc<dyn Codes>,
    learned: &Option<Arc<Learned>>,
    out: &mpsc::Sender<Assessment>,
) -> Result<Vec<SyncSender<assess::Job>>, StartError> {
    let assessor = Arc::new(Assessor {
        trust: trust.clone(),
        cache: Arc::clone(cache),
        lists: lists(config),
        certificates: config.certificates.clone(),
        learned: learned.clone(),
    });
    let spawn = |lane: &tree::Lane| assess::spawn(Arc::clone(&assessor), &lane.name, out.clone());
    Ok(config.lanes.iter().map(spawn).collect::<Result<_, _>>()?)
}

/// The trust list of a gate that starts.
struct StartedTrust {
    in_force: InForce,
    followed: Option<FollowedTrust>,
    watch: TrustWatch,
}

/// The newest trust list there is here, put in force; and how another one takes its place.
fn start_trust(
    config: &Config,
    files: &files::TrustFiles,
    journal: &Journal,
) -> Result<StartedTrust, StartError> {
    let floor = journal
        .floor(sync::trust::FLOOR)?
        .map(|(_, version)| version);
    let chosen = files.choose(floor);
    tracing::info!("{}", chosen.in_words());
    if let Some(remark) = &chosen.remark {
        tracing::warn!("trust list: {remark}");
    }
    let watch = TrustWatch::new(&chosen);
    let in_force = InForce::from(files.reader(chosen.list)?);
    let kept = trust::kept_file(&config.data_dir);
    let followed = files
        .keys
        .clone()
        .map(|keys| trust::followed(in_force.clone(), chosen.origin, keys, kept));
    Ok(StartedTrust {
        in_force,
        followed,
        watch,
    })
}

/// The lists that are followed, and from which age each counts as stale.
fn lists(config: &Config) -> Vec<(ListId, Duration)> {
    let list = |list: &tree::List| (list.name.clone(), list.stale_after_min.duration());
    config.lists.iter().map(list).collect()
}

/// What talks to the backend needs of the gate.
struct Link<'a> {
    cache: &'a Arc<dyn Codes>,
    journal: &'a Journal,
    mono: MonoClock,
    uplink: &'a Arc<Notify>,
    learned: Option<&'a Arc<Learned>>,
    sync: mpsc::Sender<SyncEvent>,
    answers: mpsc::Sender<Answer>,
    trust: Option<FollowedTrust>,
}

/// Starts what follows lists and delivers passages; gives whom to ask online. Nothing of it without a backend.
fn start_sync(
    config: &Config,
    found: Option<files::Link>,
    followed: &[Followed],
    link: Link<'_>,
    stop: &watch::Receiver<bool>,
) -> Option<Online> {
    let (backend, found) = config.backend.as_ref().zip(found)?;
    let mono = link.mono;
    let parts = Arc::new(Parts {
        gate: config.gate.clone(),
        transport: Arc::new(found.client),
        codes: Arc::clone(link.cache),
        journal: link.journal.clone(),
        keys: found.keys,
        poll: backend.poll_ms.duration(),
        report: Arc::new(Report::new(link.sync)),
        wake: Arc::clone(link.uplink),
        now: Arc::new(move || mono.now()),
    });
    let mut tasks = sync::start(&parts, followed, stop);
    if let Some(trust) = link.trust {
        tasks.spawn(sync::trust::follow(Arc::clone(&parts), trust, stop.clone()));
    }
    tokio::spawn(async move { while tasks.join_next().await.is_some() {} });
    link.learned.map(|learned| {
        // No list named: the backend may know more than the lists this gate follows.
        let (transport, report) = (Arc::clone(&parts.transport), Arc::clone(&parts.report));
        Online::new(
            sync::Online::new(config.gate.clone(), &[], transport, report),
            link.answers,
            Arc::clone(learned),
            mono,
        )
    })
}
