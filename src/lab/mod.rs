//! Demo, emulators and simulator: everything that stands in for hardware and people.

pub mod camera;
mod canvas;
pub mod demo;
pub mod line_faults;
pub mod mint;
pub mod random;
pub mod reader;
pub mod sam_module;
pub mod screen;
pub mod simulate;
mod terminal;
