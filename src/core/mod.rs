//! The gate, sans I/O: events and the clock in, actions out. No clock is read, nothing waits, nothing is random, so a
//! day at a gate can be replayed in milliseconds.
//!
//! [`Gate::step`] takes one event; [`Gate::deadline`] says when it wants to be called again at the latest. Each lane
//! has a decision desk (who is served, who is asked about, whose grant is on its way to the disk) and a machine that
//! follows barrier and aisle.

mod desk;
mod gate;
pub mod lane;
pub mod passback;
pub mod policy;
pub mod replay;
pub mod settings;
mod signs;

pub use gate::{Gate, LaneView};
pub use settings::{Barrier, LaneSettings, OnTrouble, Rules, Settings};

#[cfg(test)]
mod tests;
