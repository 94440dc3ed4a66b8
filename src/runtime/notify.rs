//! systemd readiness and watchdog (`Type=notify`, `WatchdogSec=`). Without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The gate has its devices' drivers running and decides.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The gate is going down.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The loop turned.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear [`alive`]: half of `WatchdogSec`, if it watches this process.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let pid = std::env::var("WATCHDOG_PID").ok();
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let usec: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(usec / 2))
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd did not take a notification");
    }
}
