//! The link of a gate to the centre, as its mood has it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::centre::Centre;
use super::mood::Mood;
use super::plant::Plant;
use crate::domain::{GateId, HealthOutcome, ListId};
use crate::sync::claim_wire::{ClaimAsked, ClaimWon};
use crate::sync::client::{Ask, ClaimReply, Fetched, LinkError, Transport};
use crate::sync::hex;
use crate::sync::manifest::ChunkId;
use crate::sync::wire::{Acknowledged, Answer, Delivery};

/// The link of one gate; clones are the same one.
#[derive(Clone)]
pub(super) struct Link {
    centre: Centre,
    gate: usize,
    plant: Option<Plant>,
    /// The epoch under which this gate delivered first.
    first_epoch: Arc<Mutex<Option<String>>>,
}

/// What a captive portal says to everything.
fn nonsense() -> Vec<u8> {
    b"<html>Welcome! \x00 Please log in</html>".to_vec()
}

fn fetched(envelope: Vec<u8>, ask: &Ask) -> Fetched {
    let etag = Some(hex::encode(&sha(&envelope)));
    if ask.etag == etag {
        return Fetched::Same;
    }
    Fetched::New { etag, envelope }
}

impl Link {
    /// The link of a gate, by its place.
    #[must_use]
    pub(super) fn new(centre: Centre, gate: usize, plant: Option<Plant>) -> Self {
        Self {
            centre,
            gate,
            plant,
            first_epoch: Arc::default(),
        }
    }

    /// A record sent under a stale epoch: whoever sends has not noticed that a new one has begun.
    fn under_first_epoch(&self, delivery: &[u8]) -> Result<(Vec<u8>, String), LinkError> {
        let mut sent: Delivery =
            serde_json::from_slice(delivery).map_err(|_| LinkError::Status(400))?;
        let mut first = self
            .first_epoch
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = sent.epoch.clone();
        if let Some(first) = &*first {
            sent.epoch.clone_from(first);
        }
        first.get_or_insert_with(|| now.clone());
        let body = serde_json::to_vec(&sent).map_err(|_| LinkError::Status(500))?;
        Ok((body, now))
    }

    fn take(&self, delivery: &[u8]) -> Result<Vec<u8>, LinkError> {
        let taken = self.centre.state().inbox.take(delivery);
        taken.map_err(|status| match status {
            409 => LinkError::Conflict,
            other => LinkError::Status(other),
        })
    }
}

impl Transport for Link {
    async fn manifest(&self, _list: &ListId, ask: &Ask) -> Result<Fetched, LinkError> {
        let state = self.centre.state();
        let mood = state.there(self.gate)?;
        if state.newest.is_empty() {
            return Err(LinkError::NotFound);
        }
        if mood == Mood::Nonsense {
            return Ok(fetched(nonsense(), ask));
        }
        let envelope = state.manifest(mood).map_err(|_| LinkError::Status(500))?;
        Ok(fetched(envelope, ask))
    }

    async fn trust(&self, ask: &Ask) -> Result<Fetched, LinkError> {
        let state = self.centre.state();
        let mood = state.there(self.gate)?;
        if mood == Mood::Nonsense {
            return Ok(fetched(nonsense(), ask));
        }
        let envelope = state.papers.trust(mood);
        if envelope.is_empty() {
            return Err(LinkError::NotFound);
        }
        Ok(fetched(envelope.to_vec(), ask))
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Vec<u8>, LinkError> {
        let state = self.centre.state();
        if state.there(self.gate)? == Mood::Nonsense {
            return Ok(nonsense());
        }
        state.chunks.get(id).cloned().ok_or(LinkError::NotFound)
    }

    async fn passages(&self, delivery: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        let stale = self.plant == Some(Plant::StaleEpoch);
        let (delivery, epoch) = if stale {
            self.under_first_epoch(&delivery)?
        } else {
            (delivery, String::new())
        };
        let there = self.centre.state().there(self.gate);
        let mood = match there {
            // It arrives; only the answer does not.
            Err(LinkError::Late) => {
                let _ = self.take(&delivery);
                return Err(LinkError::Late);
            }
            there => there?,
        };
        match mood {
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
            Mood::Repeating => {
                let _ = self.take(&delivery);
            }
            Mood::Well
            | Mood::Away
            | Mood::Late
            | Mood::Failing
            | Mood::Forging
            | Mood::RollingBack
            | Mood::Swapping => {}
        }
        let answer = self.take(&delivery)?;
        if !stale {
            return Ok(answer);
        }
        let mut answer: Acknowledged =
            serde_json::from_slice(&answer).map_err(|_| LinkError::Status(500))?;
        answer.epoch = epoch;
        serde_json::to_vec(&answer).map_err(|_| LinkError::Status(500))
    }

    async fn directives(
        &self,
        gate: &GateId,
        _groups: &[GateId],
        ask: &Ask,
    ) -> Result<Fetched, LinkError> {
        let state = self.centre.state();
        let mood = state.there(self.gate)?;
        if mood == Mood::Nonsense {
            return Ok(fetched(nonsense(), ask));
        }
        let answer = state.papers.directives(gate, mood);
        let answer = answer.map_err(|_| LinkError::Status(500))?;
        Ok(fetched(answer.ok_or(LinkError::NotFound)?, ask))
    }

    async fn claim(&self, asked: Vec<u8>, _within: Duration) -> Result<ClaimReply, LinkError> {
        let state = self.centre.state();
        let mut asked: ClaimAsked =
            serde_json::from_slice(&asked).map_err(|_| LinkError::Status(400))?;
        if self.plant == Some(Plant::RetryRefused) {
            asked.takes_over.clear();
        }
        let body = serde_json::to_vec(&asked).map_err(|_| LinkError::Status(500))?;
        let ask = || state.claims.claim(state.now, &body);
        let mood = match state.there(self.gate) {
            // It arrives; only the answer does not.
            Err(LinkError::Late) => {
                let _ = ask();
                return Err(LinkError::Late);
            }
            there => there?,
        };
        if mood == Mood::Nonsense {
            return Ok(ClaimReply::Won(nonsense()));
        }
        if mood == Mood::Repeating {
            let _ = ask();
        }
        if self.plant == Some(Plant::ClaimWonTwice) {
            let won = ClaimWon {
                claim_id: asked.claim_id,
                before: None,
            };
            let won = serde_json::to_vec(&won).map_err(|_| LinkError::Status(500))?;
            return Ok(ClaimReply::Won(won));
        }
        match ask() {
            Ok(Ok(won)) => Ok(ClaimReply::Won(won)),
            Ok(Err(taken)) => Ok(ClaimReply::Taken(taken)),
            Err(410) => Ok(ClaimReply::Gone),
            Err(status) => Err(LinkError::Status(status)),
        }
    }

    async fn take_back(
        &self,
        gate: &GateId,
        claim: &str,
        _within: Duration,
    ) -> Result<(), LinkError> {
        let state = self.centre.state();
        state.there(self.gate)?;
        if self.plant == Some(Plant::RetryRefused) {
            return Ok(());
        }
        let done = state.claims.take_back(state.now, gate, claim);
        done.map_err(LinkError::Status)
    }

    async fn resolve(&self, question: Vec<u8>, _within: Duration) -> Result<Vec<u8>, LinkError> {
        let state = self.centre.state();
        if state.there(self.gate)? == Mood::Nonsense {
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
