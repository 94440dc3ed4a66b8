//! Online answers, from the lists this backend has.

use serde::Deserialize;

use super::keys::Keys;
use super::store::{Store, StoreError};
use crate::codes::row_key::{ID_CARD, OPAQUE, row_key};
use crate::domain::{GateId, HealthOutcome, IssuerId, Personal, Row, Standing};
use crate::sync::hex::Hex;
use crate::sync::online::Resolved;

/// Body of `POST /v1/resolve`. It holds personal data: it is not kept and not logged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who asks.
    pub gate: GateId,
    /// `opaque` or `id_card`.
    pub kind: String,
    /// Who made the credential.
    pub issuer: IssuerId,
    /// Its identifier.
    #[serde(deserialize_with = "personal")]
    pub identifier: Personal<String>,
}

fn personal<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Personal<String>, D::Error> {
    String::deserialize(d).map(Personal::new)
}

/// Answers from every list; `None` if nobody knows the credential.
///
/// # Errors
/// [`StoreError`].
pub fn resolve(
    store: &Store,
    keys: &Keys,
    question: &Question,
) -> Result<Option<Resolved>, StoreError> {
    let Some(kind) = [OPAQUE, ID_CARD]
        .into_iter()
        .find(|kind| *kind == question.kind)
    else {
        return Ok(None);
    };
    let mut standing = Standing::unknown();
    for list in store.list_names()? {
        let key = row_key(
            &keys.pepper(&list)?,
            kind,
            &question.issuer,
            question.identifier.expose(),
        );
        // An identifier that has no key is nobody's.
        let Ok(key) = key else { continue };
        if let Some(value) = store.row(&list, &key)? {
            let row = Row::decode(&value).map_err(|error| StoreError::Failed(error.to_string()))?;
            standing.join(&row);
        }
    }
    Ok(
        (standing.health != HealthOutcome::Unknown).then(|| Resolved {
            health: standing.health,
            subject: standing.subject.map(|subject| Hex(subject.0)),
            valid_from: standing.valid_from.map(crate::domain::Utc::as_secs),
            valid_until: standing.valid_until.map(crate::domain::Utc::as_secs),
            entitlements: standing.entitlements,
        }),
    )
}
