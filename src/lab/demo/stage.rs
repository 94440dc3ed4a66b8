//! Sets the stage: the real backend with the people's rows, a gate with its real config, stores and drivers, and what
//! stands in for hardware. Everything lives in one folder that goes when the stage goes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::DemoError;
use super::cast::Person;
use super::enrolled::enrol;
use super::film::Scene;
use super::lane::{Aisle, DemoLane};
use super::props::{Props, write_config};
use super::service::Service;
use crate::backend::{Backend, Clock, Mode};
use crate::config;
use crate::config::types::{Line, Pin};
use crate::domain::{GateId, LaneId};
use crate::drivers::MonoClock;
use crate::drivers::gpio::Layout;
use crate::drivers::gpio::memory::Wires;
use crate::lab::camera::CameraFaults;
use crate::lab::sam_module::{AfterRead, SamModule};
use crate::runtime::clock::DateSource;
use crate::runtime::observe::Observation;
use crate::runtime::start::OpenSource;
use crate::runtime::{self, Running, Stand};

/// How long the backend may take to receive what was buffered.
const DELIVERY_MAX: Duration = Duration::from_secs(15);
/// How long the gate may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(15);

/// Everything that runs in a demo.
pub struct Stage {
    folder: TempDir,
    clock: Clock,
    backend: Option<Backend>,
    backend_addr: SocketAddr,
    /// What its adapter asks.
    _service: Service,
    /// Where the gate's config has its pages.
    pub(super) listen: SocketAddr,
    /// The gate.
    pub gate: Running,
    /// Its name at the backend.
    pub name: GateId,
}

impl Stage {
    /// Builds it for these people; gives the two lanes, entry first.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn set(
        people: &[Person],
        seed: u64,
        listen: SocketAddr,
        clock: Clock,
    ) -> Result<(Self, [DemoLane; 2]), DemoError> {
        let (stage, lanes) = Self::set_with(people, seed, listen, clock, Props::default()).await?;
        stage.wait_until_ready().await?;
        Ok((stage, lanes))
    }

    /// The same with other props. What does not come on a stage with these props is not waited for.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn set_with(
        people: &[Person],
        seed: u64,
        listen: SocketAddr,
        clock: Clock,
        props: Props,
    ) -> Result<(Self, [DemoLane; 2]), DemoError> {
        let folder = tempfile::Builder::new()
            .prefix("turnstiled-demo-")
            .tempdir()?;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let data = folder.path().join("backend");
        let service = Service::start(&data).await?;
        let backend = Backend::start_with(any_port, &data, Arc::clone(&clock)).await?;
        let backend_addr = backend.addr();
        enrol(&backend, people, Mode::Replace).await?;
        let config = write_config(folder.path(), &backend, listen, &props)?;
        let backend = if props.away_at_boot {
            backend.shutdown().await;
            None
        } else {
            Some(backend)
        };

        let mono = MonoClock::start();
        let layout = Layout::new(&config);
        let wires = Wires::new(&layout, mono);
        let [entry, exit] = [
            Readers::plug_in(folder.path(), "entry", seed, AfterRead::Quiet)?,
            Readers::plug_in(
                folder.path(),
                "exit",
                seed.wrapping_add(1),
                AfterRead::Found,
            )?,
        ];
        let (observer, observations) = mpsc::channel(1_024);
        let sources = vec![entry.source("entry-camera"), exit.source("exit-camera")];
        let stand = Stand {
            board: Some(Box::new(wires.opener())),
            sources,
            observer: Some(observer),
            date: props.date,
            ..Stand::default()
        };
        let gate = runtime::start(&config, mono, stand).await?;
        let [entry_seen, exit_seen] = by_lane(observations);
        let staff = folder.path().join("staff.sock");
        let lane = |readers: Readers, name, aisle, seen| {
            readers.at_lane(name, wires.clone(), aisle, seen, staff.clone())
        };
        let lanes = [
            lane(entry, "entry", Aisle::Beams(line(5), line(6)), entry_seen),
            lane(exit, "exit", Aisle::Rotor(line(13)), exit_seen),
        ];
        let name = config.gate.clone();
        let stage = Self {
            folder,
            clock,
            backend,
            backend_addr,
            _service: service,
            listen,
            gate,
            name,
        };
        Ok((stage, lanes))
    }

    /// The gate starts again on what it has kept, as after a power cut that it had time for. `between`: what happens to
    /// its folder while it is off.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn restart(
        mut self,
        lanes: &mut [DemoLane; 2],
        date: Option<Box<dyn DateSource>>,
        between: impl FnOnce(&Path),
    ) -> Result<Self, DemoError> {
        self.gate.stop().await;
        let home = self.folder.path().join("gate");
        until_let_go(&home.join("codes/lock")).await;
        between(&home);
        let config = config::load(&self.folder.path().join("gate.toml"))?;
        let (observer, observations) = mpsc::channel(1_024);
        let [entry, exit] = lanes;
        let stand = Stand {
            board: Some(Box::new(entry.wires.opener())),
            sources: vec![
                ("entry-camera".to_owned(), entry.scene.opener()),
                ("exit-camera".to_owned(), exit.scene.opener()),
            ],
            observer: Some(observer),
            date,
            ..Stand::default()
        };
        self.gate = runtime::start(&config, MonoClock::start(), stand).await?;
        [entry.seen, exit.seen] = by_lane(observations);
        Ok(self)
    }

    /// The backend, while it is there.
    #[must_use]
    pub const fn backend(&self) -> Option<&Backend> {
        self.backend.as_ref()
    }

    /// Where the backend is, or was.
    #[must_use]
    pub const fn backend_addr(&self) -> SocketAddr {
        self.backend_addr
    }

    /// The backend goes away.
    pub async fn lose_backend(&mut self) {
        if let Some(backend) = self.backend.take() {
            backend.shutdown().await;
        }
    }

    /// Records that wait while the backend is gone; none while it is there.
    #[must_use]
    pub fn backlog_alone(&self) -> u64 {
        if self.backend.is_some() {
            0
        } else {
            self.gate.journal.status().backlog
        }
    }

    /// It comes back, at the same address with the same store.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn bring_back_backend(&mut self) -> Result<(), DemoError> {
        if self.backend.is_none() {
            let data = self.folder.path().join("backend");
            self.backend =
                Some(Backend::start_with(self.backend_addr, &data, Arc::clone(&self.clock)).await?);
        }
        Ok(())
    }

    /// Gives the backend new people, and waits until the gate has their rows.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn enrol(&self, people: &[Person]) -> Result<(), DemoError> {
        let Some(backend) = &self.backend else {
            return Ok(());
        };
        let version = enrol(backend, people, Mode::Patch).await?;
        let until = Instant::now() + READY_MAX;
        loop {
            let applied = self
                .gate
                .status
                .borrow()
                .lists
                .iter()
                .any(|list| list.version >= Some((1, version)));
            if applied {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(DemoError::NotReady("new rows have not arrived".into()));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the gate has nothing left to deliver; gives how many records the backend has, how many of them
    /// twice, and how many it lacks.
    ///
    /// # Errors
    /// [`DemoError`].
    pub async fn delivered(&self) -> Result<(u64, u64, u64), DemoError> {
        let until = Instant::now() + DELIVERY_MAX;
        while self.gate.journal.status().backlog > 0 && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        let Some(backend) = &self.backend else {
            return Ok((0, 0, self.gate.journal.status().backlog));
        };
        let written = self.gate.journal.status().next_seq.saturating_sub(1);
        let counts = backend.counts(&self.name)?;
        let stored: u64 = counts.iter().map(|(_, counts)| counts.stored).sum();
        Ok((
            stored,
            stored.saturating_sub(written),
            written.saturating_sub(stored),
        ))
    }

    /// The folder of the stage, to measure its disk.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends everything; nothing is left behind.
    ///
    /// # Errors
    /// [`DemoError`] if the folder cannot be removed.
    pub async fn strike(mut self) -> Result<(), DemoError> {
        self.gate.stop().await;
        if let Some(backend) = self.backend.take() {
            backend.shutdown().await;
        }
        Ok(self.folder.close()?)
    }

    /// Waits until every device works and every list has arrived.
    ///
    /// # Errors
    /// [`DemoError`] naming what is missing.
    pub async fn wait_until_ready(&self) -> Result<(), DemoError> {
        until_ready(&self.gate).await
    }
}

/// Waits until every device of a gate works and every list has arrived.
pub(super) async fn until_ready(gate: &Running) -> Result<(), DemoError> {
    let until = Instant::now() + READY_MAX;
    loop {
        let missing = {
            let status = gate.status.borrow();
            if status.devices.is_empty() {
                vec!["the loop has not turned".into()]
            } else {
                status.unready()
            }
        };
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(DemoError::NotReady(missing.join(", ")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The readers of one lane.
pub(super) struct Readers {
    scene: Scene,
    camera: CameraFaults,
    module: SamModule,
}

impl Readers {
    pub(super) fn plug_in(
        folder: &Path,
        lane: &str,
        seed: u64,
        after_read: AfterRead,
    ) -> std::io::Result<Self> {
        Ok(Self {
            scene: Scene::new(seed),
            camera: CameraFaults::default(),
            module: SamModule::start(folder.join(format!("{lane}-card")), after_read)?,
        })
    }

    /// The source of frames for the reader of this name.
    pub(super) fn source(&self, name: &str) -> (String, OpenSource) {
        (name.to_owned(), self.camera.wrap(self.scene.opener()))
    }

    /// The lane that they stand at.
    pub(super) fn at_lane(
        self,
        name: &'static str,
        wires: Wires,
        aisle: Aisle,
        seen: mpsc::Receiver<Observation>,
        staff: PathBuf,
    ) -> DemoLane {
        DemoLane {
            name,
            staff,
            scene: self.scene,
            camera: self.camera,
            module: self.module,
            wires,
            aisle,
            seen,
            last: None,
        }
    }
}

/// Waits until nobody holds a lock any more: the last look at a list may outlive the gate for a moment.
async fn until_let_go(lock: &Path) {
    let until = Instant::now() + READY_MAX;
    while Instant::now() < until
        && std::fs::File::open(lock).is_ok_and(|file| file.try_lock().is_err())
    {
        sleep(Duration::from_millis(20)).await;
    }
}

pub(super) fn line(pin: u8) -> Line {
    Line {
        pin: Pin::from(pin),
        active: config::types::Active::High,
    }
}

/// Sends each lane what is seen at it.
fn by_lane(mut observations: mpsc::Receiver<Observation>) -> [mpsc::Receiver<Observation>; 2] {
    let (entry_in, entry) = mpsc::channel(1_024);
    let (exit_in, exit) = mpsc::channel(1_024);
    tokio::spawn(async move {
        while let Some(observation) = observations.recv().await {
            let lane = if observation.lane() == LaneId(0) {
                &entry_in
            } else {
                &exit_in
            };
            if lane.send(observation).await.is_err() {
                return;
            }
        }
    });
    [entry, exit]
}
