//! What the board hears from outside the loop: sync, and a config that was read again.

use std::sync::Arc;
use std::time::Duration;

use super::{Board, signed};
use crate::domain::{Directive, ListId, Utc};
use crate::runtime::trust_watch::TrustWatch;
use crate::sync::SyncEvent;
use crate::telemetry::status::ReloadStatus;

impl Board {
    /// These directives are accepted: now, or before the gate was started.
    pub(in crate::runtime) fn follows(&self, directives: &[Arc<Directive>]) {
        for directive in directives {
            let target = directive.target.to_string();
            let version = self.metrics.directive_version.with_label_values(&[target]);
            version.set(signed(directive.version));
        }
    }

    /// What sync says; a date if something signed says that it is at least that late.
    pub fn synced(&mut self, event: SyncEvent) -> Option<Utc> {
        match event {
            SyncEvent::ListApplied { list, state, .. } => {
                tracing::info!(%list, era = state.era, version = state.version, rows = state.rows, "list applied");
                Some(self.floor(state.created))
            }
            SyncEvent::ListCurrent { state, .. } => Some(self.floor(state.created)),
            SyncEvent::ListFailed { list, .. } => {
                self.metrics
                    .list_failures
                    .with_label_values(&[list.as_str()])
                    .inc();
                None
            }
            SyncEvent::TrustApplied {
                version,
                created,
                not_after,
            } => {
                self.sources.trust.applied(version, not_after);
                Some(self.floor(created))
            }
            SyncEvent::TrustFailed { .. } => {
                self.metrics.trust_failures.inc();
                None
            }
            SyncEvent::Directed { directives } => {
                self.follows(&directives);
                None
            }
            SyncEvent::DirectiveFailed { .. } => {
                self.metrics.directive_failures.inc();
                None
            }
            SyncEvent::BackendUp(up) => {
                self.backend_up = Some(up);
                self.metrics.backend_up.set(up.into());
                None
            }
            SyncEvent::Untrusted { whose, why } => {
                let labels = [whose.as_str(), why.as_str()];
                self.metrics.tls_refusals.with_label_values(&labels).inc();
                None
            }
            SyncEvent::Delivered { records, .. } => {
                self.metrics.delivered.inc_by(records);
                None
            }
            SyncEvent::DeliveryRefused { .. } => {
                self.metrics.delivery_failures.inc();
                None
            }
            SyncEvent::BackendLost { from, to } => {
                let records = to.saturating_sub(from).saturating_add(1);
                self.metrics.backend_lost.inc_by(records);
                None
            }
            SyncEvent::EpochConflict { .. } => {
                self.metrics.epoch_conflicts.inc();
                None
            }
        }
    }

    /// Something signed is of this date.
    fn floor(&self, date: Utc) -> Utc {
        if let Some(certificates) = &self.sources.certificates {
            certificates.raise_floor(date);
        }
        date
    }

    /// From which age each list counts as stale, from now on.
    pub fn stale_after(&mut self, lists: Vec<(ListId, Duration)>) {
        self.freshness.set(lists.iter().cloned());
        self.sources.lists = lists;
    }

    /// The trust list that is in force from now on.
    pub(in crate::runtime) fn trusts(&mut self, trust: TrustWatch) {
        self.sources.trust = trust;
    }

    /// The config was read again; `said`: what was not taken up, or why nothing was.
    pub fn reloaded(&mut self, taken: bool, said: Vec<String>) {
        let result = match (taken, said.is_empty()) {
            (true, true) => "taken",
            (true, false) => "partly",
            (false, _) => "refused",
        };
        self.metrics.reloads.with_label_values(&[result]).inc();
        self.reload = Some(ReloadStatus {
            at_ms: self.now.as_millis(),
            taken,
            said,
        });
    }
}
