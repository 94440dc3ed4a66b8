//! Serial wire formats. Pure.

pub mod line;
pub mod sam;
