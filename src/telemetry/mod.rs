//! What maintenance sees: metrics, the log, health answers and the status page. Nothing personal gets here.

pub mod display;
pub mod hour;
pub mod http;
pub mod log;
pub mod metrics;
pub mod status;

pub use metrics::Metrics;
pub use status::Status;
