//! Starts the driver of each reader.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::files::StartError;
use super::start::OpenSource;
use crate::config::Config;
use crate::config::tree::LineDirection;
use crate::domain::LaneId;
use crate::drivers::camera::Presence;
use crate::drivers::serial::{Key, LineSetup, Looks, Provision, ReaderSettings, Seat};
use crate::drivers::{MonoClock, Port, ReaderEvent, camera, serial};

/// What OSDP readers need beside their config.
pub(super) struct OsdpReaders {
    /// Their keys, by name.
    pub(super) keys: Vec<(String, Key)>,
    /// What they show.
    pub(super) looks: watch::Receiver<Looks>,
}

/// A reader that can be given its key.
pub struct Keyed {
    /// Its name.
    pub name: String,
    /// Its lane.
    pub lane: LaneId,
    /// Its address.
    pub address: u8,
    /// Where it is asked for.
    pub line: mpsc::Sender<Provision>,
}

/// Starts a thread or a task for each reader of the config; `sources` stand in for some of them.
pub(super) fn start(
    config: &Config,
    mono: MonoClock,
    sources: &[(String, OpenSource)],
    osdp: &OsdpReaders,
    presences: &[Presence],
    events: &mpsc::Sender<ReaderEvent>,
) -> Result<Vec<Keyed>, StartError> {
    let mut lines: BTreeMap<PathBuf, (LineSetup, Vec<Seat>)> = BTreeMap::new();
    for (lane, settings) in (0..).map(LaneId).zip(&config.lanes) {
        for reader in &settings.readers {
            let port = Arc::new(Port {
                lane,
                direction: reader.direction,
                name: reader.name.clone(),
            });
            let events = events.clone();
            let presence = presences
                .get(usize::from(lane.0))
                .cloned()
                .unwrap_or_default();
            if let Some((_, source)) = sources.iter().find(|(name, _)| *name == reader.name) {
                let source = Arc::clone(source);
                camera::spawn_where(move || source(), port, mono, events, presence)?;
            } else if let Some(settings) = &reader.camera {
                camera::spawn_camera(settings, port, mono, events, presence)?;
            } else if let Some(settings) = &reader.folder {
                camera::spawn_folder(settings, port, mono, events)?;
            } else if let Some(setup) = serial::Setup::of(reader) {
                tokio::spawn(async move { serial::run(&setup, port, mono, events).await });
            } else if let Some(settings) = &reader.osdp {
                let key = osdp.keys.iter().find(|(name, _)| *name == reader.name);
                let Some((_, key)) = key.cloned() else {
                    // `read_files` reads a key for each of them.
                    let sentence = format!("reader \"{}\" has no key", reader.name);
                    return Err(StartError::Config(sentence));
                };
                let settings_of = ReaderSettings {
                    address: settings.address,
                    key,
                    assurance: settings.assurance(),
                };
                let line = lines.entry(settings.port.clone());
                let (_, seats) = line.or_insert_with(|| {
                    let setup = LineSetup {
                        port: settings.port.clone(),
                        baud: settings.baud,
                        driver_direction: settings.direction == LineDirection::Driver,
                    };
                    (setup, Vec::new())
                });
                seats.push(Seat {
                    port,
                    settings: settings_of,
                });
            }
        }
    }
    let mut keyed = Vec::new();
    for (setup, seats) in lines.into_values() {
        let (looks, events) = (osdp.looks.clone(), events.clone());
        let (line, provisions) = mpsc::channel(1);
        keyed.extend(seats.iter().map(|seat| Keyed {
            name: seat.port.name.clone(),
            lane: seat.port.lane,
            address: seat.settings.address,
            line: line.clone(),
        }));
        tokio::spawn(serial::run_osdp(
            setup, seats, looks, provisions, mono, events,
        ));
    }
    Ok(keyed)
}
