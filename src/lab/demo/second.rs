//! A second gate of the same station, with one lane, where health and ride are both asked for.

use tokio::sync::mpsc;

use super::DemoError;
use super::lane::{Aisle, DemoLane};
use super::stage::{Readers, Stage, line, until_ready};
use crate::config;
use crate::drivers::MonoClock;
use crate::drivers::gpio::Layout;
use crate::drivers::gpio::memory::Wires;
use crate::lab::sam_module::AfterRead;
use crate::runtime::{self, Running, Stand};

const LANE: &str = r#"[[lane]]
name = "beside"
barrier = "flap"
fail = "secure"
directions = ["entry"]
release_ms = 1500
outputs = { release_entry = 17, green_light = 22, red_light = 23, buzzer = 24 }
sensors = { entry_beam = 5, exit_beam = 6 }

[[lane.reader]]
name = "beside-camera"
direction = "entry"
folder = { path = "beside-frames" }

[[lane.reader]]
name = "beside-card"
direction = "entry"
id_card = { port = "beside-card" }
"#;

/// The gate, and its lane.
pub(super) struct Second {
    gate: Running,
    /// Its only lane.
    pub(super) lane: DemoLane,
}

impl Second {
    /// Opens it beside the gate of the stage, with the same lists, trust list and backend.
    pub(super) async fn open(stage: &Stage, seed: u64) -> Result<Self, DemoError> {
        let folder = stage.folder();
        let first = std::fs::read_to_string(folder.join("gate.toml"))?;
        let (shared, _lanes) = first.split_once("[[lane]]").unwrap_or((&first, ""));
        let both = "[policy]\nrequired = [\"health\", \"ride\"]\n\n[[policy.overlay]]";
        let text = shared
            .replacen("gate = \"demo\"", "gate = \"demo-second\"", 1)
            .replacen("data_dir = \"gate\"", "data_dir = \"gate-second\"", 1)
            .replacen(
                "socket = \"staff.sock\"",
                "socket = \"staff-second.sock\"",
                1,
            )
            .replacen("folder = \"lines\"", "folder = \"lines-second\"", 1)
            .replacen(
                &format!("listen = \"{}\"", stage.listen),
                "listen = \"127.0.0.1:0\"",
                1,
            )
            .replacen("[[policy.overlay]]", both, 1);
        let path = folder.join("second.toml");
        std::fs::write(&path, text + LANE)?;
        std::fs::create_dir_all(folder.join("lines-second"))?;
        let config = config::load(&path)?;
        let mono = MonoClock::start();
        let wires = Wires::new(&Layout::new(&config), mono);
        let readers = Readers::plug_in(folder, "beside", seed.wrapping_add(2), AfterRead::Quiet)?;
        let (observer, seen) = mpsc::channel(1_024);
        let stand = Stand {
            board: Some(Box::new(wires.opener())),
            sources: vec![readers.source("beside-camera")],
            observer: Some(observer),
            ..Stand::default()
        };
        let gate = runtime::start(&config, mono, stand).await?;
        until_ready(&gate).await?;
        let lane = readers.at_lane(
            "beside",
            wires,
            Aisle::Beams(line(5), line(6)),
            seen,
            folder.join("staff-second.sock"),
        );
        Ok(Self { gate, lane })
    }

    /// Ends it.
    pub(super) async fn close(self) {
        self.gate.stop().await;
    }
}
