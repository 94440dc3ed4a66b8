//! The rim's centre: one loop owns the gate, turns what drivers, store and backend say into events, and performs the
//! actions in order. Nothing here decides.

pub mod clock;
pub mod notify;
pub mod observe;
