//! Asks the backend about one credential that no list knows.

use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientError};
use crate::domain::{GateId, HealthOutcome, IssuerId, Personal, Standing, Subject, Utc};

/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 4_096;

/// A question. It holds personal data, and goes nowhere but to the backend.
#[derive(Clone, Debug)]
pub struct Question {
    /// Namespace of the identifier, `opaque` or `id_card`.
    pub kind: &'static str,
    /// Who made the credential.
    pub issuer: IssuerId,
    /// Its identifier in canonical form.
    pub identifier: Personal<String>,
}

/// Body of `POST /v1/resolve`.
#[derive(Serialize)]
struct Body<'a> {
    gate: &'a GateId,
    kind: &'static str,
    issuer: &'a IssuerId,
    identifier: &'a str,
}

/// Answer of `POST /v1/resolve` to somebody who is known; 404 means that nobody knows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolved {
    /// Colour, or one of the outcomes that are none.
    pub health: HealthOutcome,
    /// Who it is, 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<super::hex::Hex<8>>,
    /// First second of validity, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u64>,
    /// Last second of validity, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u64>,
    /// Entitlements as bits.
    #[serde(default)]
    pub entitlements: u16,
}

/// Asks one backend.
#[derive(Clone, Debug)]
pub struct Resolver {
    client: Client,
    gate: GateId,
    within: Duration,
}

impl Resolver {
    /// Asks as `gate`; a call takes at most `within`.
    #[must_use]
    pub const fn new(client: Client, gate: GateId, within: Duration) -> Self {
        Self {
            client,
            gate,
            within,
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// The outcome that is no colour: unknown, query failed, or timed out, which includes a backend that is away.
    pub async fn resolve(&self, question: &Question) -> Result<Standing, HealthOutcome> {
        let Question {
            kind,
            issuer,
            identifier,
        } = question;
        let body = Body {
            gate: &self.gate,
            kind,
            issuer,
            identifier: identifier.expose(),
        };
        let answer = self
            .client
            .post("v1/resolve", &body, ANSWER_BYTES_MAX, self.within)
            .await;
        let bytes = answer.map_err(|error| match error {
            ClientError::Status(StatusCode::NOT_FOUND) => HealthOutcome::Unknown,
            ClientError::Away(_) => HealthOutcome::TimedOut,
            ClientError::Status(_)
            | ClientError::TooLong(_)
            | ClientError::Nonsense(_)
            | ClientError::Address(_) => HealthOutcome::QueryFailed,
        })?;
        let resolved: Resolved =
            serde_json::from_slice(&bytes).map_err(|_| HealthOutcome::QueryFailed)?;
        Ok(standing(&resolved))
    }
}

fn standing(resolved: &Resolved) -> Standing {
    Standing {
        health: resolved.health,
        subject: resolved.subject.map(|subject| Subject(subject.0)),
        valid_from: resolved.valid_from.map(Utc::from_secs),
        valid_until: resolved
            .valid_until
            .map(|until| Utc::from_millis(until.saturating_mul(1000).saturating_add(999))),
        entitlements: resolved.entitlements,
        ..Standing::unknown()
    }
}
