//! Times as codes write them.

use ciborium::Value;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use crate::domain::Utc;

/// The last second of 9999: nothing is valid longer, and arithmetic stays far from its bounds.
const SECONDS_MAX: u64 = 253_402_300_799;

/// An instant with an offset (RFC 3339); without one it is taken as UTC, as test data of many countries has it.
pub(crate) fn instant(text: &str) -> Option<Utc> {
    let text = text.trim_ascii();
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        let plain: DateTime = text.parse().ok()?;
        Offset::UTC.to_timestamp(plain).ok()
    })?;
    u64::try_from(stamp.as_millisecond())
        .ok()
        .map(Utc::from_millis)
}

/// The first instant of a day, in UTC; a time behind the day is left out.
pub(super) fn day(text: &str) -> Option<Utc> {
    let date: Date = text.get(..10)?.parse().ok()?;
    let start = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    u64::try_from(start.as_second()).ok().map(Utc::from_secs)
}

/// A `NumericDate` (RFC 8392 §2): whole seconds or with a fraction; some issuers put tag 1 in front.
pub(super) fn numeric(value: &Value) -> Option<Utc> {
    let value = match value {
        Value::Tag(1, inner) => inner,
        other => other,
    };
    if let Some(float) = value.as_float() {
        return seconds(float);
    }
    let number = u64::try_from(value.as_integer()?).ok()?;
    Some(Utc::from_secs(number.min(SECONDS_MAX)))
}

/// Seconds since 1970, as JSON writes them.
pub(super) fn seconds(seconds: f64) -> Option<Utc> {
    if !(seconds >= 0.0) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and casts saturate"
    )]
    let whole = seconds as u64;
    Some(Utc::from_secs(whole.min(SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_an_offset_or_is_utc() {
        for (text, s) in [
            ("1970-01-02T00:00:00Z", Some(86_400)),
            ("1970-01-02T00:00:00", Some(86_400)),
            ("1970-01-02 00:00:00", Some(86_400)),
            ("1970-01-02T00:00:00.123456", Some(86_400)),
            ("1970-01-02T00:00:00.1234567+00:00", Some(86_400)),
            ("1970-01-02T02:00:00+02:00", Some(86_400)),
            ("1970-01-01T22:00:00-0200", Some(86_400)),
            ("1970-01-02", Some(86_400)),
            ("1969-12-31T23:59:59Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(instant(text).map(Utc::as_secs), s, "{text}");
        }
    }

    #[test]
    fn a_day_is_its_first_instant() {
        for (text, s) in [
            ("1970-01-02", Some(86_400)),
            ("1970-01-02T17:00:00Z", Some(86_400)),
            ("1970-01", None),
            ("1970-02-30", None),
            ("1969-12-31", None),
            ("1970-01-0é", None),
        ] {
            assert_eq!(day(text).map(Utc::as_secs), s, "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds() {
        let tagged = Value::Tag(1, Box::new(Value::from(7)));
        for (value, s) in [
            (Value::from(7), Some(7)),
            (Value::from(7.9), Some(7)),
            (tagged, Some(7)),
            (Value::from(u64::MAX), Some(SECONDS_MAX)),
            (Value::from(1e300), Some(SECONDS_MAX)),
            (Value::from(-1), None),
            (Value::from(-0.5), None),
            (Value::from(f64::NAN), None),
            (Value::from("7"), None),
        ] {
            assert_eq!(numeric(&value).map(Utc::as_secs), s, "{value:?}");
        }
    }
}
