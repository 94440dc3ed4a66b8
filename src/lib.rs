//! `turnstiled`: a gate controller daemon.

pub mod backend;
pub mod cli;
pub mod codes;
pub mod config;
pub mod core;
pub mod domain;
pub mod drivers;
#[cfg(feature = "lab")]
pub mod lab;
pub mod proto;
pub mod runtime;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod vision;
