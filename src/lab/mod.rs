//! Demo, emulators and simulator: everything that stands in for hardware and people.

mod canvas;
pub mod demo;
pub mod random;
pub mod sam_module;
pub mod screen;
pub mod simulate;
