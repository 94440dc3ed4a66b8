//! The gate, sans I/O: events and the clocks in, actions out (STYLE §3).
//!
//! ```text
//!  Event ─► Gate ─► Lane ─┬─ Desk ── policy, Ledger (replay, passback, open grants)
//!                         ├─ Aisle ─ debounced levels into facts: entered, crossed, followed, left
//!                         └─ Machine (Flap: every leaf | Tripod) ─► effects ─► Action
//! ```
//!
//! Which mode a lane has is ruled by `Modes`, out of what key switches, staff, directives and the schedule want.
//!
//! Three rules hold everywhere. No barrier is released without a grant that is durable, unless a mode, a fire or
//! the site's rule for a failing journal says so. Each grant ends exactly once. A flap is locked in one place
//! only, when the aisle is clear.

mod claiming;
mod claims;
mod desk;
mod directed;
mod expiring;
mod forgiven;
pub mod gate;
mod lane;
mod ledger;
mod modes;
mod passback;
mod policy;
mod replay;
pub mod settings;
mod slip;
mod turn;

#[cfg(test)]
mod property;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod stories;

pub use gate::{Gate, LaneView};
#[cfg(feature = "lab")]
pub use lane::pairs::Pairs;
pub use policy::preview;
pub use settings::{
    Barrier, Below, Drive, LaneSettings, OnTrouble, Overlay, Passback, Rules, Settings,
};
