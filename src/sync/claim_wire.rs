//! Bodies of `POST /v1/claims` (DESIGN §7). Gate and backend share them.
//!
//! **Who was first.** A replay key is taken by the first claim of it, for its window. A second claim is refused with where
//! and when, unless it is the same one again. A gate whose own memory, which is durable with its grants, does not know a
//! use that the backend holds of it, names that claim in `takes_over`: the use never came about.
//!
//! **Passback beyond one gate.** The part `person` keeps where somebody went last in an area: the gates of a station, or of
//! a zone. The same way again within `remember_s` is refused; the other way takes its place. `enforced: false` refuses
//! nobody and only notes it: passback is soft, staff forgave, or the gate decided while nobody answered.
//!
//! **Claims that come late.** A gate that got no answer in time decides by itself and claims again later with `age_ms`. A
//! claim that was taken back stays so: a call that arrives after it is answered with 410.

use serde::{Deserialize, Serialize};

use crate::domain::{Direction, Elsewhere, GateId};

/// Longest time that a use may be remembered, in seconds: two days, the most that passback can be set to.
pub const WINDOW_S_MAX: u32 = 2 * 86_400;
/// Most claims that one takes over: one that holds the code, one that holds the person.
pub const TAKES_OVER_MAX: usize = 4;

/// `POST /v1/claims`. At least one of `replay_key` and `person` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimAsked {
    /// Who asks.
    pub gate: GateId,
    /// Names the claim: 32 hex digits, never used by this gate for another.
    pub claim_id: String,
    /// The code: 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_key: Option<String>,
    /// How long its use is remembered, in seconds. 0 to [`WINDOW_S_MAX`].
    #[serde(default)]
    pub window: u32,
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonAsked>,
    /// Claims of this gate that never came about: 32 hex digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes_over: Vec<String>,
    /// How long ago it was, in milliseconds: the gate has decided already.
    #[serde(default)]
    pub age_ms: u64,
}

/// The person part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonAsked {
    /// The gates that passback holds for: `station:NAME` or `zone:NAME`.
    pub area: String,
    /// Who: 16 hex digits of a subject, or 32 of a row key.
    pub key: String,
    /// Which way.
    pub direction: Direction,
    /// How long that is remembered, in seconds. 1 to [`WINDOW_S_MAX`].
    pub remember_s: u32,
    /// False: nobody is refused by it.
    pub enforced: bool,
}

/// 200: the claim is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimWon {
    /// Which claim.
    pub claim_id: String,
    /// Where the person went last, if that is still remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// Where a person went last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Which way.
    pub direction: Direction,
    /// Where and when.
    #[serde(flatten)]
    pub by: Elsewhere,
}

/// 409: somebody was first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimTaken {
    /// In one sentence.
    pub error: String,
    /// What was used.
    pub conflict: Conflict,
    /// Where and when.
    #[serde(flatten)]
    pub by: Elsewhere,
    /// Which claim holds it; told only to the gate whose claim it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<String>,
}

/// What was used already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// The code.
    Replay,
    /// The person went this way.
    Passback,
}
