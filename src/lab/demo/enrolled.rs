//! What the backend of the demo knows of its people.

use super::DemoError;
use super::cast::{Carries, Known, Person};
use crate::backend::{Backend, Mode};
use crate::codes::Pepper;
use crate::codes::row_key::{ID_CARD, OPAQUE, SUBJECT, SUBJECT_ISSUER, row_key};
use crate::domain::{Colour, IssuerId, ListId, Row};
use crate::store::codes::Change;
use crate::sync::hex;

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
                (Known::Synced(row) | Known::Joined(row, _), "health")
                | (Known::OnlineOnly(row), "visitors") => row,
                (Known::Synced(_) | Known::Joined(..) | Known::OnlineOnly(_) | Known::No, _) => {
                    continue;
                }
            };
            if let Known::Joined(row, colour) = person.known {
                changes.push(of_person(&pepper, row, colour)?);
            }
            let (kind, issuer, identifier) = match &person.carries {
                Carries::Phone(text) if text.starts_with("RC:") => (OPAQUE, "ride", text),
                Carries::Phone(text) if text.starts_with("GB:") => (OPAQUE, "national", text),
                Carries::Phone(text) if text.starts_with("EHC:") => (OPAQUE, "e-health-card", text),
                Carries::Phone(text) if text.starts_with("SSC:") => {
                    (OPAQUE, "social-security", text)
                }
                Carries::Phone(text) => (OPAQUE, "health", text),
                Carries::Card { number, .. } => (ID_CARD, "id-card", number),
            };
            changes.push(put(&pepper, (kind, issuer, identifier), row)?);
        }
        let imported = backend.import(&list, mode, changes).await?;
        if name == "health" {
            version = imported.version;
        }
    }
    Ok(version)
}

/// What is true of a person however they are known.
fn of_person(pepper: &Pepper, row: Row, colour: Colour) -> Result<Change, DemoError> {
    let row = Row {
        colour: Some(colour),
        entitlements: 0,
        ..row
    };
    let name = hex::encode(&row.subject.0);
    put(pepper, (SUBJECT, SUBJECT_ISSUER, &name), row)
}

/// A row by kind, issuer and identifier.
fn put(pepper: &Pepper, of: (&str, &str, &str), row: Row) -> Result<Change, DemoError> {
    let (kind, issuer, identifier) = of;
    let stage = |error: String| DemoError::Stage(error);
    let issuer = IssuerId::new(issuer).map_err(|error| stage(error.to_string()))?;
    let key = row_key(pepper, kind, &issuer, identifier);
    let key = key.map_err(|error| stage(error.to_string()))?;
    Ok(Change::Put(key, row.encode()))
}

pub(super) fn list_id(name: &str) -> Result<ListId, DemoError> {
    ListId::new(name).map_err(|error| DemoError::Stage(error.to_string()))
}
