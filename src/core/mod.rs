//! The gate, sans I/O: events and the clock in, actions out.

pub mod gate;
pub mod lane;
pub mod passback;
pub mod policy;
pub mod replay;
