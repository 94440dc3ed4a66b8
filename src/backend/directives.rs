//! Directives as they are published: one file a target, signed, in `directives` below the data directory. Whoever
//! publishes needs no running backend, and a running one finds a new file by itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::secrets::{self, io_error, write_durably};
use super::{BackendError, public_key_text};
use crate::domain::directive::{DirectiveFault, LaneMode, PolicyChange, Target};
use crate::domain::{Directive, GateId, Utc};
use crate::sync::directives::{Addressee, sign};
use crate::sync::dsse::PinnedKeys;

/// What to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// For whom.
    pub target: Target,
    /// From when.
    pub not_before: Utc,
    /// Until when.
    pub not_after: Utc,
    /// Wanted lane modes.
    pub modes: Vec<LaneMode>,
    /// Changed rules.
    pub policy: PolicyChange,
}

/// Why nothing is published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The file, the key or the one before.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// It says what none may say.
    #[error("no gate would follow this directive: {0}")]
    Fault(#[from] DirectiveFault),
    /// A bug.
    #[error("a directive cannot be written")]
    Json(#[from] serde_json::Error),
}

/// Signs a directive and puts it in the place of the one before for the same target. Its version is the second of
/// `now`, or one more than the last: a data directory that was restored from a copy does not fall behind its gates.
///
/// # Errors
/// [`PublishError`]; the one before stays then.
pub fn publish(data: &Path, wanted: Publication, now: Utc) -> Result<Directive, PublishError> {
    let key = secrets::directive_key(data)?;
    let path = file(data, &wanted.target);
    let before = match fs::read(&path) {
        Ok(envelope) => {
            let keys = PinnedKeys::parse(&[public_key_text(&key)]).ok();
            let ours = |keys| Addressee {
                targets: vec![wanted.target.clone()],
                keys,
            };
            let before = keys.map(ours).and_then(|ours| ours.open(&envelope).ok());
            let before = before.ok_or_else(|| BackendError::Secret {
                path: path.clone(),
                what: "it is no directive of this backend's key; move it away".into(),
            })?;
            before.version
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(source) => return Err(io_error(&path, source).into()),
    };
    let directive = Directive {
        version: now.as_secs().max(before.saturating_add(1)),
        target: wanted.target,
        not_before: wanted.not_before,
        not_after: wanted.not_after,
        modes: wanted.modes,
        policy: wanted.policy,
    };
    directive.check()?;
    let envelope = sign(&directive, &key)?;
    write_durably(&path, envelope.as_bytes(), 0o644).map_err(|source| io_error(&path, source))?;
    Ok(directive)
}

/// The public key of directives, as configs hold it.
///
/// # Errors
/// [`BackendError::Secret`] or [`BackendError::Io`].
pub fn public_key(data: &Path) -> Result<String, BackendError> {
    Ok(public_key_text(&secrets::directive_key(data)?))
}

/// The newest directives for a gate and its groups, as a JSON array of envelopes.
pub(super) fn newest(
    data: &Path,
    gate: &GateId,
    groups: &[GateId],
) -> Result<String, BackendError> {
    let groups = groups.iter().cloned().map(Target::Group);
    let mut envelopes = Vec::new();
    for target in std::iter::once(Target::Gate(gate.clone())).chain(groups) {
        let path = file(data, &target);
        match fs::read_to_string(&path) {
            Ok(envelope) => envelopes.push(envelope),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(io_error(&path, source)),
        }
    }
    Ok(format!("[{}]", envelopes.join(",")))
}

fn file(data: &Path, target: &Target) -> PathBuf {
    let (kind, name) = match target {
        Target::Gate(name) => ("gate", name),
        Target::Group(name) => ("group", name),
    };
    // A folder a kind: any name is the name of some gate.
    data.join("directives")
        .join(kind)
        .join(format!("{name}.json"))
}
