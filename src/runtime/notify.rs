//! systemd readiness and watchdog (`Type=notify`, `WatchdogSec=`). Without systemd nothing happens.
//!
//! A notification blocks while systemd does not read its socket, and a gate must not: a thread of its own sends them. What
//! finds no room is dropped; the loop says that it turns four times a second anyhow.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

/// Notifications that may wait.
const WAITING_MAX: usize = 8;

/// Tells systemd how the gate is doing. Its thread ends when it is dropped.
#[derive(Clone, Debug)]
pub struct Systemd {
    states: Option<SyncSender<NotifyState<'static>>>,
}

impl Systemd {
    /// Starts the thread, if systemd wants to hear anything.
    #[must_use]
    pub fn listen() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self { states: None };
        }
        let (states, waiting) = sync_channel::<NotifyState<'static>>(WAITING_MAX);
        let send = move || {
            while let Ok(state) = waiting.recv() {
                if let Err(error) = sd_notify::notify(&[state]) {
                    tracing::debug!(%error, "systemd did not take a notification");
                }
            }
        };
        match std::thread::Builder::new()
            .name("systemd".into())
            .spawn(send)
        {
            Ok(_) => Self {
                states: Some(states),
            },
            Err(error) => {
                tracing::error!(%error, "systemd is not told anything: no thread can be started");
                Self { states: None }
            }
        }
    }

    /// The gate has its drivers running and decides.
    pub fn ready(&self) {
        self.tell(NotifyState::Ready);
    }

    /// The loop turned.
    pub fn alive(&self) {
        self.tell(NotifyState::Watchdog);
    }

    /// The gate is going down.
    pub fn stopping(&self) {
        self.tell(NotifyState::Stopping);
    }

    fn tell(&self, state: NotifyState<'static>) {
        if let Some(states) = &self.states {
            // A full queue means that systemd does not listen; the next word will do.
            let _ = states.try_send(state);
        }
    }
}

/// How long systemd waits for a sign of life before it restarts the gate, if it watches this process.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let pid = std::env::var("WATCHDOG_PID").ok();
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let usec: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(usec))
}
