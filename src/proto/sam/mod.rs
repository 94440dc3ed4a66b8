//! SAM_V and SAM_A: the certified security modules inside every resident ID card reader.
//!
//! The module and the card authenticate each other; the host sends short commands and gets plain text back.
//! Source: GA 467 and GA/T 467-2019 as quoted by several vendors; the frames in the tests were recomputed.

mod buffer;
mod card;
mod frame;
mod latch;
mod machine;
mod pad;

pub use buffer::ReplyBuffer;
pub use card::{CardError, card_of, encode_read, encode_text};
pub use frame::{
    Command, FrameError, LEN_MAX, Reply, Verdict, decode, decode_command, encode_reply,
};
pub use machine::{Input, Output, SamMachine};
