//! Validated settings. A [`Config`] in hand is a valid one.

pub mod tree;
pub mod types;

pub use tree::Config;
