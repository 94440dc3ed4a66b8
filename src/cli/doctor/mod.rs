//! `turnstiled doctor`: what a technician asks a gate on site. Each subcommand is one module with its arguments and
//! its own report.

pub mod camera;
pub mod gate;
pub mod memory;
pub mod reader;
pub mod storage;

use std::io::Write;

use clap::Subcommand;

use super::Failure;

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum Doctor {
    /// How do this gate and everything around it stand, and what is to be done?
    Gate(gate::Args),
    /// Is this card or disk good enough for a list of so many rows and for the journal?
    Storage(storage::Args),
    /// What does this camera see? Captures some seconds and says in plain words what is wrong with the picture
    Camera(camera::Args),
    /// Does this reader work? Opens its port, or asks the gate that holds it, and waits for a card
    Reader(reader::Args),
}

/// Runs one; 0 if all is good enough, 1 if not.
///
/// # Errors
/// [`Failure`] if it could not be found out.
pub fn run(doctor: &Doctor, out: &mut dyn Write) -> Result<u8, Failure> {
    match doctor {
        Doctor::Gate(args) => gate::run(args, out),
        Doctor::Storage(args) => storage::run(args, out),
        Doctor::Camera(args) => camera::run(args, out),
        Doctor::Reader(args) => reader::run(args, out),
    }
}
