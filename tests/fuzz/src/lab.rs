//! As in the crate.

#[path = "../../../src/lab/mint/mod.rs"]
pub mod mint;
