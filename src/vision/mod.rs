//! Luma frame in, text out. Pure.
//!
//! A frame is binarised, searched for finder patterns, and goes through the stages of [`pipeline::STAGES`] until one
//! of them reads a text. Every call into the decoder is contained by itself and has a budget: no frame stalls the gate.

pub mod bare;
pub mod binarise;
pub mod bounded;
pub mod contain;
pub mod corners;
pub mod equalise;
pub mod follow;
pub mod format;
pub mod frame;
pub mod known;
pub mod levels;
pub mod locate;
pub mod pipeline;
pub mod place;
pub mod plane;
pub mod sample;
pub mod second;
#[cfg(test)]
mod shared_tests;
pub mod track;

pub use frame::{FrameError, Luma, LumaImage};
pub use pipeline::{Reading, read};
pub use track::Tracker;
