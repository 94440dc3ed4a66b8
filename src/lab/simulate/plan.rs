//! What a day begins with: everybody's rows at the centre, who comes when, what lasts.

use std::fmt::Display;
use std::time::Duration;

use super::SimulationError;
use super::cast::{self, Known};
use super::centre::Centre;
use super::controller::Lasting;
use super::disk::Disk;
use super::faults::Mix;
use super::world::{DAY, Happens, MS, SECOND, World, utc};
use crate::codes::Pepper;
use crate::codes::row_key::row_key;
use crate::core::Settings;
use crate::domain::{Direction, GateId, IssuerId, ListId};
use crate::store::codes::MemoryCodes;
use crate::store::journal::Limits;

fn wrong(error: &dyn Display) -> SimulationError {
    SimulationError(error.to_string())
}

/// What outlives a power cut, empty.
pub(super) fn lasting(
    settings: Settings,
    mix: &Mix,
    list: ListId,
    pepper: Pepper,
    centre: Centre,
) -> Result<Lasting, SimulationError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| wrong(&error))?;
    Ok(Lasting {
        gate: GateId::new("simulated").map_err(|error| wrong(&error))?,
        list,
        pepper,
        settings,
        disk: Disk::default(),
        limits: Limits {
            bytes_max: if mix.small_journal {
                24 << 10
            } else {
                64 << 20
            },
            free_min: 0,
            keep: Duration::from_secs(1_800),
        },
        codes: MemoryCodes::default(),
        centre,
        runtime,
    })
}

impl World {
    /// Gives the centre everybody's rows.
    pub(super) fn enrol(&mut self) -> Result<(), SimulationError> {
        let mut rows = Vec::new();
        for (n, person) in self.people.iter().enumerate() {
            for (code, (kind, issuer, text)) in (0..).zip(person.identifiers()) {
                let issuer = IssuerId::new(issuer).map_err(|error| wrong(&error))?;
                let key = row_key(&self.lasting.pepper, kind, &issuer, &text)
                    .map_err(|error| wrong(&error))?;
                self.keys.insert((n, code), key);
                match person.known {
                    Known::Listed(row) => rows.push((key, row)),
                    Known::Online(row) => self.lasting.centre.knows(&text, row),
                    Known::Nowhere => {}
                }
            }
        }
        self.lasting.centre.publish(utc(0), &rows)
    }

    /// Draws who comes when, and when the planned faults begin.
    pub(super) fn plan(&mut self, sides: &[Direction]) {
        let mut at = 3 * SECOND;
        let pace = 2 + self.random.below(12);
        while at < DAY {
            // The last of them comes when all is over.
            let guests = self.people.len().saturating_sub(1);
            let visit = cast::visit(&mut self.random, guests, sides);
            self.at(at, Happens::Comes(visit, 0));
            at += self.random.below(pace * SECOND) + 200 * MS;
        }
        for place in 0..self.mix.planned.len() {
            let Some(planned) = self.mix.planned.get(place).copied() else {
                continue;
            };
            self.at(planned.at, Happens::Begins(place));
        }
        for _ in 0..self.random.below(4) {
            let at = self.random.below(DAY);
            self.at(at, Happens::Publishes);
        }
        let at = self.random.below(DAY / 2);
        self.at(at, Happens::BacksUp);
        self.at(0, Happens::Repeat);
    }
}
