//! Claims: a code that is used once, a person who went this way.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::super::caller::Caller;
use super::super::error::Refusal;
use super::super::inner::Inner;
use super::super::store::claims::{Asked, Id, Order, Person, Said};
use super::json;
use crate::domain::GateId;
use crate::sync::claim_wire::{
    ClaimAsked, ClaimTaken, ClaimWon, Conflict, PersonAsked, TAKES_OVER_MAX, WINDOW_S_MAX,
};
use crate::sync::hex;

/// Longest name of an area.
const AREA_BYTES_MAX: usize = 80;

/// `POST /v1/claims`
pub(super) async fn claim(
    State(inner): State<Arc<Inner>>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let asked: ClaimAsked = json(&headers, &body)?;
    caller.speaks_for(&asked.gate, "/v1/claims", &inner)?;
    let order = checked(&asked)?;
    let said = carry_out(&inner, Order::Claim(order)).await?;
    Ok(match answer(asked, said)? {
        Answer::Won(won) => Json(won).into_response(),
        Answer::Taken(taken) => (StatusCode::CONFLICT, Json(taken)).into_response(),
    })
}

/// What a gate is told of its claim.
pub(in crate::backend) enum Answer {
    /// It is theirs.
    Won(ClaimWon),
    /// Somebody was first.
    Taken(ClaimTaken),
}

/// The words for what came of a claim.
pub(in crate::backend) fn answer(asked: ClaimAsked, said: Said) -> Result<Answer, Refusal> {
    match said {
        Said::Won(before) => {
            let claim_id = asked.claim_id;
            Ok(Answer::Won(ClaimWon { claim_id, before }))
        }
        Said::Taken(conflict, by, holder) => {
            let error = format!(
                "{} at gate \"{}\"",
                match conflict {
                    Conflict::Replay => "this code was used",
                    Conflict::Passback => "this person went this way",
                },
                by.gate
            );
            let claim_id = (by.gate == asked.gate).then(|| hex::encode(&holder));
            Ok(Answer::Taken(ClaimTaken {
                error,
                conflict,
                by,
                claim_id,
            }))
        }
        Said::Gone => {
            let why = "this claim was taken back".into();
            Err(Refusal(StatusCode::GONE, why))
        }
        Said::Other | Said::TakenBack => {
            let why = "this claim id is that of another claim of this gate".into();
            Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, why))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfGate {
    gate: Option<GateId>,
}

/// `DELETE /v1/claims/{id}`: 204, whether it was there or not.
pub(super) async fn take_back(
    State(inner): State<Arc<Inner>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(OfGate { gate }): Query<OfGate>,
) -> Result<StatusCode, Refusal> {
    let id: Id = hex::decode(&id).ok_or_else(|| Refusal::bad("a claim id has 32 hex digits"))?;
    let gate = match (gate, &caller) {
        (Some(gate), _) => gate,
        (None, Caller::Gate(guest)) => guest.gate.clone(),
        (None, Caller::Local) => {
            return Err(Refusal::bad("whose claim it is has to be said: ?gate=NAME"));
        }
    };
    caller.speaks_for(&gate, "/v1/claims/{id}", &inner)?;
    carry_out(&inner, Order::TakeBack(gate, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn carry_out(inner: &Inner, order: Order) -> Result<Said, Refusal> {
    let said = inner.claims.carry_out(order).await?;
    said.ok_or_else(|| {
        let why = "too many claims wait; try again in a moment".into();
        Refusal(StatusCode::SERVICE_UNAVAILABLE, why)
    })
}

pub(in crate::backend) fn checked(asked: &ClaimAsked) -> Result<Asked, Refusal> {
    let claim =
        |id: &String| hex::decode(id).ok_or_else(|| Refusal::bad("a claim id has 32 hex digits"));
    if asked.window > WINDOW_S_MAX {
        let sentence = format!("a window has 0 to {WINDOW_S_MAX} seconds");
        return Err(Refusal::bad(&sentence));
    }
    let code = asked.replay_key.as_ref().map(|key| {
        let key = hex::decode(key).ok_or_else(|| Refusal::bad("a replay key has 64 hex digits"))?;
        Ok::<_, Refusal>((key, asked.window))
    });
    let code = code.transpose()?;
    let person = asked.person.as_ref().map(person).transpose()?;
    if code.is_none() && person.is_none() {
        return Err(Refusal::bad(
            "a claim is about a replay_key, a person, or both",
        ));
    }
    if asked.takes_over.len() > TAKES_OVER_MAX {
        let sentence = format!("a claim takes over at most {TAKES_OVER_MAX} others");
        return Err(Refusal::bad(&sentence));
    }
    // Older than anything that is remembered: it changes nothing.
    let oldest_ms = u64::from(WINDOW_S_MAX).saturating_mul(1_000);
    Ok(Asked {
        gate: asked.gate.clone(),
        claim: claim(&asked.claim_id)?,
        code,
        person,
        takes_over: asked
            .takes_over
            .iter()
            .map(claim)
            .collect::<Result<_, _>>()?,
        age: Duration::from_millis(asked.age_ms.min(oldest_ms)),
    })
}

fn person(asked: &PersonAsked) -> Result<Person, Refusal> {
    let subject = hex::decode::<8>(&asked.key).map(Vec::from);
    let key = subject.or_else(|| hex::decode::<16>(&asked.key).map(Vec::from));
    let key = key.ok_or_else(|| Refusal::bad("a person is 16 or 32 hex digits"))?;
    let named = asked.area.split_once(':').is_some_and(|(kind, name)| {
        matches!(kind, "station" | "zone") && GateId::new(name).is_ok()
    });
    if !named || asked.area.len() > AREA_BYTES_MAX {
        return Err(Refusal::bad("an area is \"station:NAME\" or \"zone:NAME\""));
    }
    if !(1..=WINDOW_S_MAX).contains(&asked.remember_s) {
        let sentence = format!("a passage is remembered for 1 to {WINDOW_S_MAX} seconds");
        return Err(Refusal::bad(&sentence));
    }
    Ok(Person {
        area: asked.area.clone(),
        key,
        direction: asked.direction,
        remember_s: asked.remember_s,
        enforced: asked.enforced,
    })
}
