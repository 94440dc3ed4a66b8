//! Bodies of the calls that are not lists (DESIGN §7). Gate and backend share them.
//!
//! Every answer says what it answers: a gate takes none that is meant for another gate, another life of its journal or
//! another question.
//!
//! **Acknowledgements.** `acked_seq` is at least `first_seq - 1` (nothing of the delivery was kept) and at most the last
//! number of the delivery. Above that, the gate deletes nothing and sends again later. Below that, the backend has lost
//! records which the gate has deleted after an acknowledgement (a restored copy): they cannot be sent again. The gate
//! says so once, and sends what it has under a new epoch, which may begin at any number, so that nothing waits for what
//! will not come.
//!
//! **Holes.** A backend takes a delivery that does not go on from what it has, for the same reason, and keeps the numbers
//! that are missing as a hole: it is logged, counted, and listed by `GET /v1/holes`. An epoch that begins above 1 goes on
//! from another epoch of the same gate (by number and chain), or there is a hole before it.

use serde::{Deserialize, Serialize};

use crate::domain::{GateId, HealthOutcome, IssuerId, ListId, ListVersion};

/// Most records of one delivery.
pub const EVENTS_MAX: usize = 8_000;
/// Most bytes of record text in one delivery, unless a single record is longer.
pub const EVENT_BYTES_MAX: usize = 2 << 20;

/// `POST /v1/passages`: records in order, without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Who sends.
    pub gate: GateId,
    /// Life of the journal: 32 hex digits.
    pub epoch: String,
    /// Number of the first record.
    pub first_seq: u64,
    /// The records.
    pub events: Vec<Delivered>,
}

/// One record, exactly as the journal keeps it, so that its hash can be computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Its number.
    pub seq: u64,
    /// Its link of the chain, 64 hex digits: SHA-256(link before, text).
    pub hash: String,
    /// Its JSON text.
    pub record: String,
}

/// Answer to a [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Whose delivery.
    pub gate: GateId,
    /// Under which epoch.
    pub epoch: String,
    /// The backend has every record of this epoch up to here.
    pub acked_seq: u64,
}

/// `POST /v1/resolve`: one credential. It names a person and is neither stored nor logged by whoever gets it.
#[derive(Serialize, Deserialize)]
pub struct Question {
    /// Who asks.
    pub gate: GateId,
    /// Repeated in the answer: 16 random hex digits.
    #[serde(default)]
    pub id: String,
    /// Kind of identifier, as in row keys: `opaque`, `id_card`, or a signed profile.
    pub profile: String,
    /// Who made the code.
    pub issuer: IssuerId,
    /// The text of the code, or the number of the card.
    pub identifier: String,
    /// The lists to answer from; empty: all.
    #[serde(default)]
    pub lists: Vec<ListId>,
    /// Those of them that hold what its issuer made; absent: all of them. The others are asked about the person only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Vec<ListId>>,
}

/// Answer to a [`Question`]; 404 if nobody knows the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question that is answered.
    #[serde(default)]
    pub id: String,
    /// The worst colour, or why there is none.
    pub health: HealthOutcome,
    /// The person: 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Latest start of validity, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u64>,
    /// Earliest end of validity, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u64>,
    /// Entitlements of all rows, joined.
    #[serde(default)]
    pub entitlements: u16,
    /// The lists that spoke.
    #[serde(default)]
    pub lists: Vec<ListVersion>,
    /// Where what decided comes from, as the lists count regions; 0: nobody says.
    #[serde(default)]
    pub region: u8,
}
