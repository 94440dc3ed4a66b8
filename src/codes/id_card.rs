//! ID cards, as a SAM module reads them: what makes a number a number, and when a card is valid.
//!
//! Source: GB 11643-1999 (18 digits, ISO 7064 MOD 11-2) for resident cards and for the residence permits of 2018, the
//! notice of 2023 for foreign permanent residents (18 digits, first a 9, in force 2023-12-01); READERS §1.6 and §1.7.
//! The module proves the chip; the number alone proves nothing.

use jiff::civil::Date;
use jiff::tz::Offset;

pub use crate::domain::check_digit;
use crate::domain::{IdCard, IdCardKind, Utc};

/// What a card for life says instead of its last day.
const FOR_LIFE: &str = "长期";

/// What does not hold. It does not repeat the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Too short or too long.
    #[error("the number has the wrong length")]
    Length,
    /// A character that this kind of card does not have there.
    #[error("the number has a character that does not belong there")]
    Character,
    /// Mistyped, misread or made up.
    #[error("the check digit does not hold")]
    CheckDigit,
    /// No such day.
    #[error("the day of birth is no day")]
    Birth,
    /// The number belongs to another kind of card.
    #[error("the number belongs to another kind of card")]
    Kind,
    /// No such day, or the last before the first.
    #[error("the validity is no span of days")]
    Validity,
}

/// First and last instant of a card's validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Start of the first day, Beijing time.
    pub from: Utc,
    /// End of the last day, Beijing time; none for a card for life.
    pub until: Option<Utc>,
}

/// Checks a canonical number: no white space, `X` in upper case.
///
/// # Errors
/// [`CardError`] with the first thing that does not hold.
pub fn check_number(number: &str, kind: IdCardKind) -> Result<(), CardError> {
    if kind == IdCardKind::Foreign2017 {
        // A permit number: three letters of the nationality, then digits. It carries no MOD 11-2 digit.
        return match number.as_bytes().split_at_checked(3) {
            Some((_, rest)) if rest.len() != 12 => Err(CardError::Length),
            Some((nation, rest))
                if nation.iter().all(u8::is_ascii_uppercase)
                    && rest.iter().all(u8::is_ascii_digit) =>
            {
                Ok(())
            }
            Some(_) => Err(CardError::Character),
            None => Err(CardError::Length),
        };
    }
    let Some((first, [last])) = number.as_bytes().split_at_checked(17) else {
        return Err(CardError::Length);
    };
    if !last.is_ascii_digit() && *last != b'X' {
        return Err(CardError::Character);
    }
    let wanted = check_digit(first).ok_or(CardError::Character)?;
    if wanted != *last {
        return Err(CardError::CheckDigit);
    }
    number
        .get(6..14)
        .and_then(day)
        .filter(|birth| birth.year() >= 1800)
        .ok_or(CardError::Birth)?;
    let permit = ["81", "82", "83"]
        .iter()
        .any(|start| number.starts_with(start));
    let fits = match kind {
        IdCardKind::Resident => !permit && !number.starts_with(['0', '9']),
        IdCardKind::HongKongMacaoTaiwan => permit,
        IdCardKind::Foreign2023 => number.starts_with('9'),
        IdCardKind::Foreign2017 => true,
    };
    if fits { Ok(()) } else { Err(CardError::Kind) }
}

/// When the card is valid: whole days of Beijing time, the last one included.
///
/// # Errors
/// [`CardError::Validity`] for a day that is none, a last day before the first, or a permit without a last day.
pub fn validity(card: &IdCard) -> Result<Validity, CardError> {
    let first = day(card.valid_from.trim()).ok_or(CardError::Validity)?;
    let from = midnight(first).ok_or(CardError::Validity)?;
    let until = match card.valid_until.as_deref().map(str::trim) {
        // Only resident cards are for life; permits are for five or ten years (READERS §1.6).
        None | Some(FOR_LIFE) if card.kind == IdCardKind::Resident => None,
        None | Some(FOR_LIFE) => return Err(CardError::Validity),
        Some(text) => {
            let last = day(text).filter(|last| *last >= first);
            Some(last.and_then(end_of).ok_or(CardError::Validity)?)
        }
    };
    Ok(Validity { from, until })
}

/// `YYYYMMDD` as a day of the calendar.
fn day(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year = text.get(..4)?.parse().ok()?;
    let month = text.get(4..6)?.parse().ok()?;
    let day = text.get(6..)?.parse().ok()?;
    Date::new(year, month, day).ok()
}

/// The last instant of a day in Beijing.
fn end_of(day: Date) -> Option<Utc> {
    let next = midnight(day.tomorrow().ok()?)?;
    Some(Utc::from_millis(next.as_millis().saturating_sub(1)))
}

/// The last instant of a month in Beijing; none if there is no such month.
pub(super) fn end_of_month(year: i16, month: i8) -> Option<Utc> {
    end_of(Date::new(year, month, 1).ok()?.last_of_month())
}

/// The instant at which a day begins in Beijing (UTC+8, no summer time). Days before 1970 begin at 0.
fn midnight(day: Date) -> Option<Utc> {
    let beijing = Offset::from_hours(8).ok()?;
    let instant = beijing.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(Utc::from_millis(
        u64::try_from(instant.as_millisecond()).unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Personal;

    /// READERS §1.7, from the standard and its teaching material; nobody's.
    const PUBLISHED: [&str; 4] = [
        "11010519491231002X",
        "440524188001010014",
        "34052419800101001X",
        "370101190102039973",
    ];

    fn numbered(first: &str) -> String {
        format!(
            "{first}{}",
            char::from(check_digit(first.as_bytes()).unwrap())
        )
    }

    fn card(from: &str, until: Option<&str>) -> IdCard {
        IdCard {
            number: Personal::new(String::new()),
            kind: IdCardKind::Resident,
            valid_from: from.into(),
            valid_until: until.map(Into::into),
        }
    }

    #[test]
    fn published_numbers_hold() {
        for number in PUBLISHED {
            assert_eq!(
                check_number(number, IdCardKind::Resident),
                Ok(()),
                "{number}"
            );
        }
    }

    #[test]
    fn every_single_digit_error_is_caught() {
        for number in PUBLISHED {
            for at in 0..18 {
                for other in b"0123456789X"
                    .iter()
                    .filter(|d| **d != number.as_bytes()[at])
                {
                    let mut bytes = number.as_bytes().to_vec();
                    bytes[at] = *other;
                    let wrong = String::from_utf8(bytes).unwrap();
                    let found = check_number(&wrong, IdCardKind::Resident);
                    let expected = if *other == b'X' && at < 17 {
                        CardError::Character
                    } else {
                        CardError::CheckDigit
                    };
                    assert_eq!(found, Err(expected), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn every_swap_of_two_neighbours_is_caught() {
        for number in PUBLISHED {
            for at in 0..17 {
                let mut bytes = number.as_bytes().to_vec();
                bytes.swap(at, at + 1);
                if bytes != number.as_bytes() {
                    let wrong = String::from_utf8(bytes).unwrap();
                    assert!(
                        check_number(&wrong, IdCardKind::Resident).is_err(),
                        "{wrong}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_day_of_birth_is_a_real_day() {
        for (birth, good) in [
            ("20000229", true),
            ("19000229", false),
            ("20010229", false),
            ("20010431", false),
            ("20011301", false),
            ("20010100", false),
            ("17991231", false),
        ] {
            let number = numbered(&format!("110105{birth}001"));
            let found = check_number(&number, IdCardKind::Resident);
            let expected = if good { Ok(()) } else { Err(CardError::Birth) };
            assert_eq!(found, expected, "{birth}");
        }
    }

    #[test]
    fn each_kind_of_card_has_numbers_of_its_own() {
        use IdCardKind::{Foreign2017, Foreign2023, HongKongMacaoTaiwan, Resident};
        let kinds = [Resident, HongKongMacaoTaiwan, Foreign2023];
        for (start, of) in [
            ("110105", Resident),
            ("810000", HongKongMacaoTaiwan),
            ("820000", HongKongMacaoTaiwan),
            ("830000", HongKongMacaoTaiwan),
            ("911156", Foreign2023),
        ] {
            let number = numbered(&format!("{start}19800101001"));
            for kind in kinds {
                let expected = if kind == of {
                    Ok(())
                } else {
                    Err(CardError::Kind)
                };
                assert_eq!(check_number(&number, kind), expected, "{start} {kind:?}");
            }
        }
        assert_eq!(check_number("XYZ110000000001", Foreign2017), Ok(()));
        for bad in [
            "XYZ11000000000",
            "XYZ1100000000011",
            "XY",
            "xyz110000000001",
            "XYZ11000000000X",
            "健康",
        ] {
            assert!(check_number(bad, Foreign2017).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_of_another_shape_is_refused() {
        for bad in [
            "",
            "1",
            "11010519491231002x",
            "11010519491231002",
            "11010519491231002XX",
            "１１０１０５",
            " 1010519491231002X",
        ] {
            assert!(check_number(bad, IdCardKind::Resident).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_card_is_valid_to_the_end_of_its_last_day_in_beijing() {
        let validity = validity(&card("20200101", Some("20291231"))).unwrap();
        // 2019-12-31T16:00:00Z and 2029-12-31T15:59:59.999Z, by `date -u -d`.
        assert_eq!(validity.from, Utc::from_secs(1_577_808_000));
        assert_eq!(validity.until, Some(Utc::from_millis(1_893_427_199_999)));
    }

    #[test]
    fn a_card_for_life_does_not_expire() {
        for until in [None, Some("长期"), Some("长期 ")] {
            assert_eq!(validity(&card("20200101", until)).unwrap().until, None);
        }
    }

    #[test]
    fn a_permit_is_never_for_life() {
        use IdCardKind::{Foreign2017, Foreign2023, HongKongMacaoTaiwan};
        for kind in [HongKongMacaoTaiwan, Foreign2017, Foreign2023] {
            let of = |until| {
                let card = IdCard {
                    kind,
                    ..card("20200101", until)
                };
                validity(&card)
            };
            assert!(of(Some("20250101")).is_ok(), "{kind:?}");
            for until in [None, Some("长期")] {
                assert_eq!(of(until), Err(CardError::Validity), "{kind:?}");
            }
        }
    }

    #[test]
    fn days_that_are_none_are_refused() {
        for (from, until) in [
            ("20200230", None),
            ("", None),
            ("2020-1-1", None),
            ("20200101", Some("20200132")),
            ("20200101", Some("")),
            ("20200101", Some("20191231")),
            ("20200101", Some("99999999")),
            ("２０２００１０１", None),
        ] {
            assert_eq!(
                validity(&card(from, until)),
                Err(CardError::Validity),
                "{from} {until:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_card_panics(number in ".{0,24}", from in ".{0,10}", until in proptest::option::of(".{0,10}")) {
            for kind in [IdCardKind::Resident, IdCardKind::Foreign2017, IdCardKind::Foreign2023] {
                let _ = check_number(&number, kind);
            }
            let _ = validity(&card(&from, until.as_deref()));
        }
    }
}
