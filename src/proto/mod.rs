//! Serial wire formats. Pure.

pub mod keyboard;
pub mod latch;
pub mod line;
pub mod osdp;
pub mod pn532;
pub mod sam;
pub mod tags;
