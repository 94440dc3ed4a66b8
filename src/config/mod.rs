//! Validated settings. A [`Config`] in hand is a valid one.

mod backend;
mod backend_rules;
pub mod boards;
mod lane_rules;
pub mod load;
mod policy;
mod policy_rules;
pub mod readers;
mod reload;
mod rules;
pub mod schedule;
mod sensor_rules;
pub mod staff;
pub mod tree;
pub mod types;
mod wiring;

#[cfg(test)]
mod tests;

pub use load::{ConfigError, load, load_policy, parse};
pub use reload::take_up;
pub use tree::Config;
