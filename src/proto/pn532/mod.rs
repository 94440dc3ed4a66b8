//! PN532 on its high-speed UART, 115200 8N1: finds type A tags and reads their UID. It never authenticates a card.
//!
//! Sources: NXP UM0701-02 §6.2 as quoted by raspberrypi.stackexchange 133944 and others; Seeed-Studio/PN532 #38 (without
//! bounded retries the module searches for ever); nfc-tools/libnfc #166 (resynchronise after stale bytes).

mod frame;
mod machine;

pub use frame::{ACK, Frame, FrameBuffer, FrameError, LEN_MAX, decode, encode};
pub use machine::{Command, Input, Output, Pn532Machine};
