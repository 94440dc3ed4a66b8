//! Who was turned away, and why: counted every time, logged once until it is put right.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};
use tokio::time::Instant;

use super::BackendError;
use crate::domain::{GateId, Utc};
use crate::sync::tls::{Material, Refusal, Whose, Why};

/// The same is logged again after so long.
const AGAIN: Duration = Duration::from_secs(3_600);
/// Most things that are remembered as logged. A flood of strangers costs log lines beyond it, and no memory.
const LOGGED_MAX: usize = 1_024;

/// What was logged: a connection that did not come about, or a call that somebody may not make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Logged {
    Connection(IpAddr, Whose, Why),
    Call(GateId, String),
}

/// Counters and what was logged.
pub(super) struct Seen {
    registry: Registry,
    /// `turnstile_backend_refused_connections_total{certificate,reason}`
    connections: IntCounterVec,
    /// `turnstile_backend_forbidden_calls_total{call}`
    calls: IntCounterVec,
    /// `turnstile_backend_certificate_expires_seconds{certificate}`
    expires: GaugeVec,
    logged: Mutex<BTreeMap<Logged, Instant>>,
}

impl Seen {
    pub(super) fn new() -> Result<Self, BackendError> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let series = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(series.clone()))?;
            Ok::<_, prometheus::Error>(series)
        };
        let connections = counters(
            "turnstile_backend_refused_connections_total",
            "Connections refused for a certificate, ours or theirs",
            &["certificate", "reason"],
        )?;
        let calls = counters(
            "turnstile_backend_forbidden_calls_total",
            "Calls that a gate made and may not make",
            &["call"],
        )?;
        let expires = GaugeVec::new(
            Opts::new(
                "turnstile_backend_certificate_expires_seconds",
                "Until a certificate ends",
            ),
            &["certificate"],
        )?;
        registry.register(Box::new(expires.clone()))?;
        Ok(Self {
            registry,
            connections,
            calls,
            expires,
            logged: Mutex::default(),
        })
    }

    /// A connection did not come about.
    pub(super) fn refused(&self, from: IpAddr, refusal: &Refusal) {
        let (certificate, reason) = (refusal.whose.as_str(), refusal.why.as_str());
        self.connections
            .with_label_values(&[certificate, reason])
            .inc();
        if self.is_new(Logged::Connection(from, refusal.whose, refusal.why)) {
            tracing::warn!(%from, certificate, reason, error = %refusal, "a client is refused");
        }
    }

    /// A connection came about: what is refused from there later is worth a line again.
    pub(super) fn accepted(&self, from: IpAddr) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|what, _| !matches!(what, Logged::Connection(of, ..) if *of == from));
    }

    /// A gate made a call that it may not make.
    pub(super) fn forbidden(&self, gate: &GateId, call: &str, why: &str) {
        self.calls.with_label_values(&[call]).inc();
        if self.is_new(Logged::Call(gate.clone(), why.into())) {
            tracing::warn!(%gate, call, error = why, "a gate may not do this");
        }
    }

    /// When our certificate and the authority end.
    pub(super) fn certificates(&self, material: &Material, now: Utc) {
        for (name, facts) in [
            ("backend", &material.facts),
            ("authority", &material.authority),
        ] {
            let (left, over) = (facts.not_after.since(now), now.since(facts.not_after));
            let expires = self.expires.with_label_values(&[name]);
            expires.set(left.as_secs_f64() - over.as_secs_f64());
        }
    }

    /// The Prometheus text of every series.
    pub(super) fn render(&self) -> Result<String, BackendError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    fn is_new(&self, what: Logged) -> bool {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged
            .get(&what)
            .is_some_and(|at| now.duration_since(*at) < AGAIN)
        {
            return false;
        }
        if logged.len() >= LOGGED_MAX {
            logged.clear();
        }
        logged.insert(what, now);
        true
    }
}
