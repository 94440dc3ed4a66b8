//! What people see, in a real browser: every sign of the passenger display in both languages and both orientations, the
//! status page while the demo runs, and what both say when the daemon is killed and comes back.
//!
//! Needs Chromium, its driver, a font with Chinese characters and axe-core, which `.ci/setup tests` installs. `PICTURES=write
//! cargo test --test browser` makes the pictures of `monitoring/pictures` anew.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]
#![expect(clippy::expect_used, reason = "what cannot be set up has failed")]
#![expect(clippy::panic, reason = "a test that fails says why")]

mod browser;
mod daemon_gone;
mod displays;
mod status_page;
