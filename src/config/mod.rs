//! Validated settings. A [`Config`] in hand is a valid one.

mod backend_rules;
mod certificate_rules;
mod lane_rules;
pub mod load;
mod policy;
mod readers;
mod rules;
pub mod tree;
pub mod types;

#[cfg(test)]
mod tests;

pub use load::{ConfigError, load, parse};
pub use tree::Config;
