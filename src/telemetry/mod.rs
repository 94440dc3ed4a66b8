//! Metrics, log, HTTP, status page.
