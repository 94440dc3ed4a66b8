//! What people notice, one file a story. The gate is the real one: real pipeline, serial driver, backend, cache and
//! journal; cameras, card modules and lines are the emulated ones of the demo.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a story that cannot be set up has failed"
)]

mod backend_away;
mod from_outside;
mod learned;
mod mutual_trust;
mod nobody_is_trapped;
mod nothing_personal;
mod rider_is_refused;
mod rider_passes;
mod scene;
mod used_codes;
mod walks;
mod wrong_files;
