//! Profile `idcard`: the number of a card that a SAM module has read and authenticated.
//!
//! GB 11643-1999: 17 digits and a check character by ISO 7064 MOD 11-2 (READERS §1.7). The permit number of the 2017
//! card for foreigners has 15 characters and no check character. Validity dates are days in Beijing, UTC+8.

use jiff::civil::Date;
use jiff::tz::{self, TimeZone};

use crate::domain::{IdCard, IdCardKind, Utc};

/// Weights of the 17 digits, left to right: 2^(17-i) mod 11.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check characters for a sum of 0 to 10.
const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
/// China has one time zone, eight hours ahead.
const BEIJING: TimeZone = TimeZone::fixed(tz::offset(8));

/// Why a card is not taken. No variant holds the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdCardError {
    /// Wrong length or a character that no number has.
    #[error("the number does not have the form of its card")]
    Form,
    /// The date of birth inside the number is no date.
    #[error("the number holds an impossible date")]
    Date,
    /// The check character is another one.
    #[error("the check character does not match")]
    Check,
    /// A validity date is no date.
    #[error("the card's validity is not a date")]
    Validity,
}

/// The check character that belongs to 17 digits; none if they are not 17 digits.
#[must_use]
pub fn check_character(digits: &str) -> Option<char> {
    if digits.len() != WEIGHTS.len() {
        return None;
    }
    let mut sum = 0;
    for (digit, weight) in digits.chars().zip(WEIGHTS) {
        sum += digit.to_digit(10)? * weight;
    }
    usize::try_from(sum % 11)
        .ok()
        .and_then(|sum| CHECKS.get(sum))
        .copied()
}

/// Checks a number against the form of its card.
///
/// # Errors
/// [`IdCardError`], which never repeats the number.
pub fn check(kind: IdCardKind, number: &str) -> Result<(), IdCardError> {
    match kind {
        IdCardKind::Foreign2017 => {
            let form = number.len() == 15
                && number
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            form.then_some(()).ok_or(IdCardError::Form)
        }
        IdCardKind::Resident => check_18(number),
        IdCardKind::HongKongMacaoTaiwan => match number.get(..2) {
            Some("81" | "82" | "83") => check_18(number),
            _ => Err(IdCardError::Form),
        },
        IdCardKind::Foreign2023 if number.starts_with('9') => check_18(number),
        IdCardKind::Foreign2023 => Err(IdCardError::Form),
    }
}

fn check_18(number: &str) -> Result<(), IdCardError> {
    let (Some(body), Some(check)) = (number.get(..17), number.get(17..)) else {
        return Err(IdCardError::Form);
    };
    let expected = check_character(body).ok_or(IdCardError::Form)?;
    let mut given = check.chars();
    let (Some(given), None) = (given.next(), given.next()) else {
        return Err(IdCardError::Form);
    };
    let birth = body.get(6..14).ok_or(IdCardError::Form)?;
    date(birth).ok_or(IdCardError::Date)?;
    if given == expected {
        Ok(())
    } else {
        Err(IdCardError::Check)
    }
}

/// First and last instant of a card's validity; no last one for a card for life.
///
/// # Errors
/// [`IdCardError::Validity`] if the card holds something that is no date.
pub fn validity(card: &IdCard) -> Result<(Option<Utc>, Option<Utc>), IdCardError> {
    let from = start_of(&card.valid_from).ok_or(IdCardError::Validity)?;
    let until = match &card.valid_until {
        None => None,
        Some(last) => {
            let last_day = date(last).ok_or(IdCardError::Validity)?;
            let next_day = last_day
                .tomorrow()
                .ok()
                .and_then(midnight)
                .ok_or(IdCardError::Validity)?;
            Some(next_day - std::time::Duration::from_millis(1))
        }
    };
    Ok((Some(from), until))
}

fn start_of(text: &str) -> Option<Utc> {
    midnight(date(text)?)
}

fn midnight(date: Date) -> Option<Utc> {
    let instant = BEIJING.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    // A card from before 1970 is valid from always.
    Some(Utc::from_millis(
        u64::try_from(instant.as_millisecond()).unwrap_or(0),
    ))
}

/// `YYYYMMDD`.
fn date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year: i16 = text.get(..4)?.parse().ok()?;
    let month: i8 = text.get(4..6)?.parse().ok()?;
    let day: i8 = text.get(6..)?.parse().ok()?;
    if year < 1850 {
        return None;
    }
    Date::new(year, month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Personal;

    /// READERS §1.7: published examples of the standard, given to nobody.
    const PUBLISHED: [&str; 4] = [
        "11010519491231002X",
        "440524188001010014",
        "34052419800101001X",
        "370101190102039973",
    ];

    #[test]
    fn published_numbers_pass() {
        for number in PUBLISHED {
            assert_eq!(check(IdCardKind::Resident, number), Ok(()));
        }
    }

    #[test]
    fn every_single_wrong_digit_is_caught() {
        for number in PUBLISHED {
            for at in 0..17 {
                for digit in "0123456789"
                    .chars()
                    .filter(|digit| !number[at..].starts_with(*digit))
                {
                    let mut wrong = number.to_owned();
                    wrong.replace_range(at..=at, &digit.to_string());
                    assert!(
                        check(IdCardKind::Resident, &wrong).is_err(),
                        "digit {at} changed"
                    );
                }
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_caught() {
        for number in PUBLISHED {
            for at in 0..16 {
                let mut bytes = number.as_bytes().to_vec();
                bytes.swap(at, at + 1);
                let swapped = String::from_utf8(bytes).unwrap();
                assert!(swapped == number || check(IdCardKind::Resident, &swapped).is_err());
            }
        }
    }

    #[test]
    fn each_kind_has_its_form() {
        assert_eq!(
            check(IdCardKind::HongKongMacaoTaiwan, PUBLISHED[0]),
            Err(IdCardError::Form)
        );
        assert_eq!(
            check(IdCardKind::Foreign2023, PUBLISHED[0]),
            Err(IdCardError::Form)
        );
        assert_eq!(check(IdCardKind::Foreign2017, "XYZ990000000001"), Ok(()));
        assert_eq!(
            check(IdCardKind::Foreign2017, "XYZ99000000000"),
            Err(IdCardError::Form)
        );
        for (kind, body) in [
            (IdCardKind::HongKongMacaoTaiwan, "81000019900101001"),
            (IdCardKind::Foreign2023, "91100019900101001"),
        ] {
            let number = format!("{body}{}", check_character(body).unwrap());
            assert_eq!(check(kind, &number), Ok(()));
        }
        for bad in [
            "",
            "1",
            "11010519491331002X",
            "1101051949123100２X",
            "11010519491231002x",
            "110105194912310021X",
        ] {
            assert!(check(IdCardKind::Resident, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn validity_is_whole_days_in_beijing() {
        let card = |from: &str, until: Option<&str>| IdCard {
            number: Personal::new(String::new()),
            kind: IdCardKind::Resident,
            valid_from: from.into(),
            valid_until: until.map(Into::into),
        };
        let (from, until) = validity(&card("20200102", Some("20200102"))).unwrap();
        // 2020-01-01T16:00:00Z to 2020-01-02T15:59:59.999Z
        assert_eq!(
            (from, until),
            (
                Some(Utc::from_secs(1_577_894_400)),
                Some(Utc::from_millis(1_577_980_799_999))
            )
        );
        assert_eq!(validity(&card("20200102", None)).unwrap().1, None);
        for bad in ["20200230", "2020", "2020010a", ""] {
            assert_eq!(validity(&card(bad, None)), Err(IdCardError::Validity));
        }
    }
}
