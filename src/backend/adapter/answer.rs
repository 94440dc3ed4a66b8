//! From what a service answers to an outcome. Nothing that its tables do not name is ever a colour.

use serde_json::Value;

use super::written::{Answer, FoundAt, Table, TestHours, Unit};
use crate::domain::{HealthOutcome, IssuerId, Personal};

/// Longest identifier of a person, bytes.
const IDENTIFIER_BYTES_MAX: usize = 256;
/// How far ahead of us a service's clock may be, seconds.
const AHEAD_MAX_S: u64 = 300;

/// What a service knows.
#[derive(Debug)]
pub(in crate::backend) struct Found {
    /// A colour, or that they have not applied for one; `None`: the service says only who it is.
    pub(in crate::backend) health: Option<HealthOutcome>,
    /// Where that comes from, as the lists count regions.
    pub(in crate::backend) region: u8,
    /// Who it is, as lists know them.
    pub(in crate::backend) person: Option<Somebody>,
}

/// Somebody whom a list may know.
#[derive(Debug)]
pub(in crate::backend) struct Somebody {
    pub(in crate::backend) kind: String,
    pub(in crate::backend) issuer: IssuerId,
    pub(in crate::backend) identifier: Personal<String>,
}

/// No standing, and, where an operator should look, why.
#[derive(Debug)]
pub(super) struct Not {
    pub(super) outcome: HealthOutcome,
    pub(super) why: Option<&'static str>,
}

impl Not {
    const fn nonsense(why: &'static str) -> Self {
        Self {
            outcome: HealthOutcome::QueryFailed,
            why: Some(why),
        }
    }
}

/// Judges an answer.
pub(super) fn judge(table: &Answer, status: u16, body: &[u8], now_s: u64) -> Result<Found, Not> {
    if status != 200 {
        match table
            .statuses
            .get(&status.to_string())
            .map(|one| one.health())
        {
            None => return Err(Not::nonsense("a status that its table does not name")),
            Some(Some(health)) => return alone(health),
            Some(None) => {}
        }
    }
    let document: Value =
        serde_json::from_slice(body).map_err(|_| Not::nonsense("it is no JSON"))?;
    if let Some(codes) = &table.return_code
        && let Some(health) = look_up(codes, &document, "its return code")?.health()
    {
        return alone(health);
    }
    if let Some(found_at) = &table.found_at {
        is_fresh(found_at, &document, now_s)?;
    }
    let health = match &table.health {
        Some(values) => look_up(values, &document, "its health code")?.health(),
        None => None,
    };
    let health = match (health, &table.test_hours) {
        (Some(HealthOutcome::Green), Some(test)) => Some(tested(test, &document)?),
        (health, _) => health,
    };
    let region = match &table.region {
        Some(values) => look_up(values, &document, "its region")?,
        None => 0,
    };
    let person = match &table.person {
        Some(person) => text_at(&document, &person.at).map(|identifier| Somebody {
            kind: person.kind.clone(),
            issuer: person.issuer.clone(),
            identifier: Personal::new(identifier),
        }),
        None => None,
    };
    match health {
        Some(health) => alone(health).map(|found| Found {
            region,
            person,
            ..found
        }),
        None if person.is_some() => Ok(Found {
            health: None,
            region,
            person,
        }),
        None => Err(Not::nonsense("it does not say who it is")),
    }
}

/// A standing out of an outcome alone.
fn alone(health: HealthOutcome) -> Result<Found, Not> {
    match health {
        HealthOutcome::Green
        | HealthOutcome::Yellow
        | HealthOutcome::Red
        | HealthOutcome::NotApplied => Ok(Found {
            health: Some(health),
            region: 0,
            person: None,
        }),
        HealthOutcome::Unknown | HealthOutcome::QueryFailed | HealthOutcome::TimedOut => Err(Not {
            outcome: health,
            why: None,
        }),
    }
}

fn look_up<T: Copy>(table: &Table<T>, document: &Value, what: &'static str) -> Result<T, Not> {
    let value = text_at(document, &table.at);
    let meaning = value.and_then(|value| table.values.get(&value).copied());
    meaning.ok_or_else(|| Not::nonsense(what))
}

/// A text, number or truth value, as a table of values spells it.
fn text_at(document: &Value, at: &str) -> Option<String> {
    let text = match document.pointer(at)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (1..=IDENTIFIER_BYTES_MAX)
        .contains(&text.len())
        .then_some(text)
}

/// Green, if the last test is young enough.
fn tested(rule: &TestHours, document: &Value) -> Result<HealthOutcome, Not> {
    let place = document.pointer(&rule.at);
    let Some(place) = place.filter(|place| !place.is_null()) else {
        return Ok(rule.beyond.into());
    };
    let hours = match place {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim_ascii().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let hours: u64 = hours.ok_or_else(|| Not::nonsense("its hours since the test"))?;
    Ok(if hours <= u64::from(rule.max) {
        HealthOutcome::Green
    } else {
        rule.beyond.into()
    })
}

fn is_fresh(rule: &FoundAt, document: &Value, now_s: u64) -> Result<(), Not> {
    let number = text_at(document, &rule.at).and_then(|text| text.parse::<u64>().ok());
    let number = number.ok_or_else(|| Not::nonsense("its time"))?;
    let at_s = match rule.unit {
        Unit::S => number,
        Unit::Ms => number / 1_000,
    };
    if at_s > now_s.saturating_add(AHEAD_MAX_S) {
        return Err(Not::nonsense("its time is still to come"));
    }
    if now_s.saturating_sub(at_s) > u64::from(rule.age_max_s) {
        return Err(Not::nonsense("what it found out is too old"));
    }
    Ok(())
}
