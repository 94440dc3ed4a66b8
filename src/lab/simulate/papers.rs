//! What the centre signs besides lists: its trust list and its directives.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::json;

use super::SimulationError;
use super::centre::stranger;
use super::mood::Mood;
use crate::domain::directive::{LaneMode, PolicyChange, Target};
use crate::domain::{Directive, GateId, Mode, Utc};
use crate::sync::{directives, dsse, trust};

fn wrong(error: &dyn Display) -> SimulationError {
    SimulationError(error.to_string())
}

/// The signed papers.
#[derive(Default)]
pub(super) struct Papers {
    trust_version: u64,
    trust: Vec<u8>,
    first_trust: Vec<u8>,
    forged_trust: Vec<u8>,
    /// Every directive for a gate, the newest last: envelope and what it says.
    directives: BTreeMap<GateId, Vec<(String, Directive)>>,
}

impl Papers {
    /// Signs the next trust list: from the second version on, guests have codes of their own.
    pub(super) fn publish_trust(
        &mut self,
        today: Utc,
        key: &SigningKey,
    ) -> Result<(), SimulationError> {
        self.trust_version = self.trust_version.saturating_add(1).max(2);
        let document = document(self.trust_version, today)?;
        self.trust = dsse::sign(trust::PAYLOAD_TYPE, &document, key).into_bytes();
        if self.first_trust.is_empty() {
            self.first_trust.clone_from(&self.trust);
        }
        let next = self::document(self.trust_version.saturating_add(9), today)?;
        self.forged_trust = dsse::sign(trust::PAYLOAD_TYPE, &next, &stranger()).into_bytes();
        Ok(())
    }

    /// The trust list as a link in this mood has it; empty: there is none.
    #[must_use]
    pub(super) fn trust(&self, mood: Mood) -> &[u8] {
        match mood {
            Mood::Forging => &self.forged_trust,
            Mood::RollingBack => &self.first_trust,
            Mood::Well
            | Mood::Away
            | Mood::Late
            | Mood::Failing
            | Mood::Nonsense
            | Mood::Greedy
            | Mood::Repeating
            | Mood::Swapping => &self.trust,
        }
    }

    /// The newest version that was ever signed.
    #[must_use]
    pub(super) const fn trust_version(&self) -> u64 {
        self.trust_version
    }

    /// Signs the next directive for a gate.
    pub(super) fn direct(
        &mut self,
        gate: &GateId,
        mode: Option<Mode>,
        from: Utc,
        until: Utc,
        key: &SigningKey,
    ) -> Result<(), SimulationError> {
        let all = self.directives.entry(gate.clone()).or_default();
        let directive = Directive {
            target: Target::Gate(gate.clone()),
            version: all.len() as u64 + 1,
            not_before: from,
            not_after: until,
            modes: mode
                .map(|mode| LaneMode { lane: None, mode })
                .into_iter()
                .collect(),
            policy: PolicyChange::default(),
        };
        let envelope = directives::sign(&directive, key).map_err(|error| wrong(&error))?;
        all.push((envelope, directive));
        Ok(())
    }

    /// The answer about directives for a gate as a link in this mood has it; `None`: there are none.
    ///
    /// # Errors
    /// [`SimulationError`] if one cannot be signed.
    pub(super) fn directives(
        &self,
        gate: &GateId,
        mood: Mood,
    ) -> Result<Option<Vec<u8>>, SimulationError> {
        let Some(all) = self.directives.get(gate) else {
            return Ok(None);
        };
        let (first, newest) = (all.first(), all.last());
        let envelope = match mood {
            Mood::RollingBack => first.map(|(envelope, _)| envelope.clone()),
            Mood::Forging => newest
                .map(|(_, directive)| {
                    let next = Directive {
                        version: directive.version.saturating_add(9),
                        ..directive.clone()
                    };
                    directives::sign(&next, &stranger()).map_err(|error| wrong(&error))
                })
                .transpose()?,
            Mood::Swapping => {
                let mut others = self.directives.iter().filter(|(of, _)| *of != gate);
                let other = others.next().and_then(|(_, all)| all.last());
                other.or(newest).map(|(envelope, _)| envelope.clone())
            }
            Mood::Well
            | Mood::Away
            | Mood::Late
            | Mood::Failing
            | Mood::Nonsense
            | Mood::Greedy
            | Mood::Repeating => newest.map(|(envelope, _)| envelope.clone()),
        };
        Ok(envelope.map(|envelope| format!("[{envelope}]").into_bytes()))
    }

    /// What was ever signed for a gate under a version.
    #[must_use]
    pub(super) fn directive(&self, gate: &GateId, version: u64) -> Option<&Directive> {
        let mut all = self.directives.get(gate)?.iter();
        let of = |(_, directive): &&(String, Directive)| directive.version == version;
        all.find(of).map(|(_, directive)| directive)
    }
}

/// A trust list as it is signed. The first version is the file of the config.
fn document(version: u64, today: Utc) -> Result<Vec<u8>, SimulationError> {
    let mut issuers = json!([
        {"id": "health", "profile": "opaque", "class": "health", "detect": [{"prefix": "HC:"}]},
        {"id": "ride", "profile": "opaque", "class": "ride", "detect": [{"prefix": "RC:"}],
         "dynamic": true, "window_s": 60},
        {"id": "id-card", "profile": "idcard", "class": "identity"},
    ]);
    if let Some(issuers) = issuers.as_array_mut() {
        issuers.push(json!(
            {"id": "guest", "profile": "opaque", "class": "health", "detect": [{"prefix": "GC:"}]}
        ));
    }
    let list = json!({
        "version": version,
        "created": today.as_secs(),
        "not_after": (today + Duration::from_secs(3 * 365 * 86_400)).as_secs(),
        "issuer": issuers,
    });
    serde_json::to_vec(&list).map_err(|error| wrong(&error))
}
