//! What the backend of the demo knows of its people.

use super::DemoError;
use super::cast::{Carries, Known, Person};
use crate::backend::{Backend, Mode};
use crate::codes::row_key::{ID_CARD, OPAQUE, row_key};
use crate::domain::{IssuerId, ListId};
use crate::store::codes::Change;

/// Gives the backend the rows of those it knows: `health` is followed by the gate, `visitors` is not. Gives the new
/// version of `health`.
pub(super) async fn enrol(
    backend: &Backend,
    people: &[Person],
    mode: Mode,
) -> Result<u64, DemoError> {
    let mut version = 0;
    for name in ["health", "visitors"] {
        let list = list_id(name)?;
        let pepper = backend.pepper(&list)?;
        let mut changes = Vec::new();
        for person in people {
            let row = match (person.known, name) {
                (Known::Synced(row), "health") | (Known::OnlineOnly(row), "visitors") => row,
                (Known::Synced(_) | Known::OnlineOnly(_) | Known::No, _) => continue,
            };
            let (kind, issuer, identifier) = match &person.carries {
                Carries::Phone(text) if text.starts_with("RC:") => (OPAQUE, "ride", text),
                Carries::Phone(text) if text.starts_with("GB:") => (OPAQUE, "national", text),
                Carries::Phone(text) => (OPAQUE, "health", text),
                Carries::Card { number, .. } => (ID_CARD, "id-card", number),
            };
            let stage = |error: String| DemoError::Stage(error);
            let issuer = IssuerId::new(issuer).map_err(|error| stage(error.to_string()))?;
            let key = row_key(&pepper, kind, &issuer, identifier)
                .map_err(|error| stage(error.to_string()))?;
            changes.push(Change::Put(key, row.encode()));
        }
        let imported = backend.import(&list, mode, changes).await?;
        if name == "health" {
            version = imported.version;
        }
    }
    Ok(version)
}

pub(super) fn list_id(name: &str) -> Result<ListId, DemoError> {
    ListId::new(name).map_err(|error| DemoError::Stage(error.to_string()))
}
