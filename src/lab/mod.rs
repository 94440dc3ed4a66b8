//! Demo, emulators and simulator.

pub mod sam_module;
