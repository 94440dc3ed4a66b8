//! Demo, emulators and simulator.
