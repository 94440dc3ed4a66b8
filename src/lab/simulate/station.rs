//! Builds the station that a script describes: the centre, and the gates before their first start.

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::SimulationError;
use super::aisle::Aisle;
use super::cast::{Known, SUBJECT, halves};
use super::centre::Centre;
use super::controller::Lasting;
use super::disk::Disk;
use super::link::Link;
use super::oracle::Oracle;
use super::plant::Plant;
use super::post::{Place, Post};
use super::script::{GateScript, Script};
use super::world::World;
use crate::codes::Pepper;
use crate::codes::row_key::{row_key, subject_key};
use crate::core::LaneSettings;
use crate::domain::{GateId, IssuerId, ListId};
use crate::store::codes::MemoryCodes;
use crate::store::journal::Limits;

/// The list of the station.
const LIST: &str = "health";

fn wrong(error: &dyn Display) -> SimulationError {
    SimulationError(error.to_string())
}

fn pepper() -> Pepper {
    Pepper::from_bytes([9; 32])
}

/// The centre and the gates.
pub(super) fn build(
    script: &Script,
    plant: Option<Plant>,
) -> Result<(Centre, Vec<Post>), SimulationError> {
    let list = ListId::new(LIST).map_err(|error| wrong(&error))?;
    let centre = Centre::new(list.clone(), pepper().id(), script.gates.len())?;
    let posts = script.gates.iter().enumerate();
    let posts = posts.map(|(at, gate)| post(at, gate, &list, &centre, plant));
    let posts = posts.collect::<Result<_, _>>()?;
    Ok((centre, posts))
}

fn post(
    at: usize,
    gate: &GateScript,
    list: &ListId,
    centre: &Centre,
    plant: Option<Plant>,
) -> Result<Post, SimulationError> {
    let mut settings = gate.settings.clone();
    if let Some(plant) = plant {
        plant.spoil(&mut settings);
    }
    let disk = Disk::default();
    if plant == Some(Plant::AckBeforeSync) {
        disk.lie();
    }
    let lasting = Lasting {
        gate: GateId::new(&format!("gate-{at}")).map_err(|error| wrong(&error))?,
        list: list.clone(),
        pepper: pepper(),
        settings,
        disk,
        limits: Limits {
            bytes_max: if gate.small_journal {
                24 << 10
            } else {
                64 << 20
            },
            free_min: 0,
            keep: Duration::from_secs(1_800),
        },
        codes: MemoryCodes::default(),
        link: Link::new(centre.clone(), at, plant),
        centre: centre.clone(),
        trust: Arc::new(Mutex::new(Vec::new())),
        plant,
    };
    Ok(Post {
        lasting,
        controller: None,
        boot: 0,
        booted_at: 0,
        due: None,
        places: gate.settings.lanes.iter().map(place).collect(),
        shown: Default::default(),
        visits: Default::default(),
        granted: Default::default(),
        writing: false,
        delivering: false,
        lost_before: 0,
        date_offset_s: 0,
        drift: (0, 0),
        drifted: 0,
        vouched: true,
        fire_input: false,
        fire_since: 0,
        reader_away: false,
        camera_blind: false,
        reader_late: false,
        edges_lost: 0,
        edges_doubled: 0,
        write_us: gate.write_us,
        // A journal that is full must not wait for the link, too.
        link_us: if gate.small_journal {
            200_000
        } else {
            gate.link_us
        },
        disk_slow: 0,
        hangs_until: 0,
        flood: false,
        is_small: gate.small_journal,
        fail_safe: gate.fail_safe,
        oracle: Oracle::new(gate.settings.clone(), gate.clean_clock),
        ticks: 0,
    })
}

fn place(lane: &LaneSettings) -> Place {
    Place {
        aisle: Aisle::new(lane),
        told: None,
        blind_until: 0,
        lines_lost: false,
        untold_since: None,
        key: None,
        barrier_faults: 0,
        had_barrier_fault: false,
    }
}

impl World {
    /// Gives the centre everybody's rows.
    pub(super) fn enrol(&mut self) -> Result<(), SimulationError> {
        let (mut rows, pepper) = (Vec::new(), pepper());
        for (n, person) in self.script.people.iter().enumerate() {
            for (code, (kind, issuer, text)) in (0..).zip(person.identifiers()) {
                let issuer = IssuerId::new(issuer).map_err(|error| wrong(&error))?;
                let key = row_key(&pepper, kind, &issuer, &text).map_err(|error| wrong(&error))?;
                self.keys.insert((n, code), key);
                match person.known {
                    Known::Listed(row) => {
                        let [of_code, _] = halves(&person.carries, row);
                        rows.push((key, of_code));
                    }
                    Known::Online(row) => self.centre.knows(&text, row),
                    Known::Nowhere => {}
                }
            }
            if let Known::Listed(row) = person.known {
                let [_, of_person] = halves(&person.carries, row);
                let key = subject_key(&pepper, row.subject).map_err(|error| wrong(&error))?;
                self.keys.insert((n, SUBJECT), key);
                rows.push((key, of_person));
            }
        }
        let today = self.utc(0);
        self.centre.publish(today, &rows)
    }
}
