//! One task a device. Drivers own a device each, reconnect for ever and never decide.

pub mod backoff;
pub mod camera;
pub mod clock;
pub mod gpio;
pub mod pace;
pub mod reader;
pub mod serial;

pub use clock::MonoClock;
pub use reader::{Blindness, Port, PortNews, PortState, ReaderEvent, ReaderReport};
