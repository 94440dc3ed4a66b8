//! The link to the centre, as its mood has it.

use std::time::Duration;

use super::centre::{Centre, Mood};
use crate::domain::{HealthOutcome, ListId};
use crate::sync::client::{Ask, Fetched, LinkError, Transport};
use crate::sync::hex;
use crate::sync::manifest::ChunkId;
use crate::sync::wire::{Acknowledged, Answer, Delivery};

/// What a captive portal says to everything.
fn nonsense() -> Vec<u8> {
    b"<html>Welcome! \x00 Please log in</html>".to_vec()
}

impl Transport for Centre {
    async fn manifest(&self, _list: &ListId, ask: &Ask) -> Result<Fetched, LinkError> {
        let state = self.state();
        state.there()?;
        if state.newest.is_empty() {
            return Err(LinkError::NotFound);
        }
        let envelope = match state.mood {
            Mood::Nonsense => nonsense(),
            Mood::Forging => state.forged.clone(),
            Mood::RollingBack => state.first.clone(),
            Mood::Swapping => state.swapped.clone(),
            Mood::Well | Mood::Away | Mood::Late | Mood::Failing | Mood::Greedy => {
                state.newest.clone()
            }
        };
        let etag = Some(hex::encode(&sha(&envelope)));
        if ask.etag == etag {
            return Ok(Fetched::Same);
        }
        Ok(Fetched::New { etag, envelope })
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, LinkError> {
        let state = self.state();
        state.there()?;
        if state.mood == Mood::Nonsense {
            return Ok(nonsense());
        }
        state.chunks.get(id).cloned().ok_or(LinkError::NotFound)
    }

    async fn passages(&self, delivery: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        let state = self.state();
        if state.mood == Mood::Late {
            // It arrives; only the answer does not.
            let _ = state.inbox.take(&delivery);
        }
        state.there()?;
        match state.mood {
            Mood::Nonsense => return Ok(nonsense()),
            Mood::Greedy => {
                let sent: Delivery =
                    serde_json::from_slice(&delivery).map_err(|_| LinkError::Status(400))?;
                let last = sent.events.last().map_or(0, |event| event.seq);
                let acknowledged = Acknowledged {
                    gate: sent.gate,
                    epoch: sent.epoch,
                    acked_seq: last.saturating_add(7),
                };
                return serde_json::to_vec(&acknowledged).map_err(|_| LinkError::Status(500));
            }
            Mood::Well
            | Mood::Away
            | Mood::Late
            | Mood::Failing
            | Mood::Forging
            | Mood::RollingBack
            | Mood::Swapping => {}
        }
        state.inbox.take(&delivery).map_err(|status| match status {
            409 => LinkError::Conflict,
            other => LinkError::Status(other),
        })
    }

    async fn resolve(&self, question: Vec<u8>, _within: Duration) -> Result<Vec<u8>, LinkError> {
        let state = self.state();
        state.there()?;
        if state.mood == Mood::Nonsense {
            return Ok(nonsense());
        }
        let question: serde_json::Value =
            serde_json::from_slice(&question).map_err(|_| LinkError::Status(400))?;
        let text = |field: &str| question.get(field).and_then(|text| text.as_str());
        let identifier = text("identifier");
        let row = identifier.and_then(|text| state.visitors.get(text));
        let row = row.ok_or(LinkError::NotFound)?;
        let answer = Answer {
            id: text("id").unwrap_or_default().to_owned(),
            health: row.colour.map_or(HealthOutcome::NotApplied, Into::into),
            subject: Some(hex::encode(&row.subject.0)),
            valid_from: None,
            valid_until: None,
            entitlements: row.entitlements,
            lists: Vec::new(),
            region: row.region,
        };
        serde_json::to_vec(&answer).map_err(|_| LinkError::Status(500))
    }
}

fn sha(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
