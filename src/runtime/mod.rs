//! The rim's centre: one loop owns the gate, turns what drivers, store and backend say into events, and performs the
//! actions in order. Nothing here decides.

pub mod assess;
pub mod board;
mod care;
pub mod certificates;
pub mod clock;
pub mod files;
mod floods;
mod freshness;
pub mod gateway;
mod lights;
pub mod lines;
mod link;
pub mod look;
pub mod machine;
pub mod notify;
pub mod observe;
pub mod online;
pub mod orders;
pub mod perform;
mod ports;
mod readers;
pub mod running;
pub mod service;
pub mod settings;
pub mod staff;
pub mod start;
pub mod trust;
pub mod trust_watch;

pub use files::StartError;
pub use running::Running;
pub use start::{Stand, start};
