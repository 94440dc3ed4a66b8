//! Luma frame in, text out. Pure: no clock, no I/O, and no frame that stalls it.
//!
//! ```text
//! luma: [height x width] u8 -> stage 1: Otsu bitmap -> finders counted -> rqrr, contained -> texts
//!                           -> stage 2: rqrr's own binariser  ...
//!                           -> stage 3: inverted, for dark mode ...
//! ```
//!
//! The stages are a list ([`pipeline::STAGES`]); the first that reads something ends the frame. Each runs on the very
//! bitmap in which the finder patterns were counted: too few, and there is nothing to read; too many, and somebody holds
//! up a picture that is made to hurt, so the frame is given up (a frame is 33 ms).

pub mod binarise;
pub mod contain;
pub mod finders;
pub mod frame;
pub mod pipeline;

pub use frame::Luma;
pub use pipeline::{Reading, read};
