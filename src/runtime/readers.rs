//! Starts the driver of each reader.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::files::StartError;
use super::start::OpenSource;
use crate::config::Config;
use crate::domain::LaneId;
use crate::drivers::{MonoClock, Port, ReaderEvent, camera, serial};

/// Starts a thread or a task for each reader of the config; `sources` stand in for some of them.
pub(super) fn start(
    config: &Config,
    mono: MonoClock,
    sources: &[(String, OpenSource)],
    events: &mpsc::Sender<ReaderEvent>,
) -> Result<(), StartError> {
    for (lane, settings) in (0..).map(LaneId).zip(&config.lanes) {
        for reader in &settings.readers {
            let port = Arc::new(Port {
                lane,
                direction: reader.direction,
                name: reader.name.clone(),
            });
            let events = events.clone();
            if let Some((_, source)) = sources.iter().find(|(name, _)| *name == reader.name) {
                let source = Arc::clone(source);
                camera::spawn_source(move || source(), port, mono, events)?;
            } else if let Some(settings) = &reader.camera {
                camera::spawn_camera(settings, port, mono, events)?;
            } else if let Some(settings) = &reader.folder {
                camera::spawn_folder(settings, port, mono, events)?;
            } else if let Some(settings) = reader.id_card.clone() {
                tokio::spawn(
                    async move { serial::run_id_card(&settings, port, mono, events).await },
                );
            } else if let Some(settings) = reader.line.clone() {
                tokio::spawn(async move { serial::run_line(&settings, port, mono, events).await });
            }
        }
    }
    Ok(())
}
