//! The body of a read reply: lengths, a text block of 256 bytes in UTF-16LE, a photo that nobody looks at.
//!
//! Four cards share the block; the unit at offset 248 says which. Of the text only number, kind and validity are
//! taken out; name, address and photo stay in the caller's buffer and are zeroised with it.

use zeroize::Zeroizing;

use super::frame::encode_reply;
use crate::domain::{IdCard, IdCardKind, Personal};

const TEXT_LEN: usize = 256;
const PHOTO_LEN_MAX: usize = 1024;
const FINGERPRINT_LEN_MAX: usize = 1024;

const NUMBER_AT: usize = 122;
const VALID_FROM_AT: usize = 188;
const VALID_UNTIL_AT: usize = 204;
const KIND_AT: usize = 248;
const DATE_UNITS: usize = 8;
/// "长期": a card for life.
const LONG_TERM: [u16; 2] = [0x957F, 0x671F];

/// Why no card came out of a read reply. No variant holds what the card says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The lengths inside the reply do not add up: read it again.
    #[error("the lengths in the reply do not add up")]
    Lengths,
    /// A kind of card nobody told us about.
    #[error("the kind of this card is not known")]
    Kind,
    /// The number has not the shape of its kind.
    #[error("the number has not the shape of its kind")]
    Number,
    /// A validity date is no date.
    #[error("the validity is not two dates")]
    Validity,
}

/// Takes the card facts out of the data of a read reply.
///
/// # Errors
/// [`CardError`].
pub fn card_of(data: &[u8]) -> Result<IdCard, CardError> {
    let text = text_of(data)?;
    let kind = kind_of(text)?;
    Ok(IdCard {
        number: number_of(text, kind)?,
        kind,
        valid_from: date_at(text, VALID_FROM_AT)?,
        valid_until: valid_until_of(text)?,
    })
}

/// `text length, photo length, text, photo`, or the same with a fingerprint at the third place of both rows.
fn text_of(data: &[u8]) -> Result<&[u8], CardError> {
    let length = |at: usize| -> Result<usize, CardError> {
        let pair = data.get(at..at + 2).and_then(|two| two.try_into().ok());
        pair.map(|two| usize::from(u16::from_be_bytes(two)))
            .ok_or(CardError::Lengths)
    };
    let (text, photo) = (length(0)?, length(2)?);
    if text != TEXT_LEN || photo > PHOTO_LEN_MAX {
        return Err(CardError::Lengths);
    }
    let head = if data.len() == 4 + text + photo {
        4
    } else {
        let fingerprint = length(4)?;
        if fingerprint > FINGERPRINT_LEN_MAX || data.len() != 6 + text + photo + fingerprint {
            return Err(CardError::Lengths);
        }
        6
    };
    data.get(head..head + text).ok_or(CardError::Lengths)
}

fn units(text: &[u8], at: usize) -> impl Iterator<Item = u16> {
    let bytes = text.get(at..).unwrap_or_default();
    bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok())
        .map(u16::from_le_bytes)
}

const fn is_padding(unit: u16) -> bool {
    matches!(unit, 0x0020 | 0x0000 | 0x3000)
}

fn kind_of(text: &[u8]) -> Result<IdCardKind, CardError> {
    match units(text, KIND_AT).next() {
        Some(unit) if is_padding(unit) => Ok(IdCardKind::Resident),
        Some(0x004A) => Ok(IdCardKind::HongKongMacaoTaiwan),
        Some(0x0049) => Ok(IdCardKind::Foreign2017),
        Some(0x0059) => Ok(IdCardKind::Foreign2023),
        Some(_) | None => Err(CardError::Kind),
    }
}

const fn number_units(kind: IdCardKind) -> usize {
    match kind {
        IdCardKind::Foreign2017 => 15,
        IdCardKind::Resident | IdCardKind::HongKongMacaoTaiwan | IdCardKind::Foreign2023 => 18,
    }
}

fn number_of(text: &[u8], kind: IdCardKind) -> Result<Personal<String>, CardError> {
    let expected = number_units(kind);
    // Wrapped from the start and never grown: a refused number is zeroised too.
    let mut number = Zeroizing::new(String::with_capacity(expected));
    for (place, unit) in units(text, NUMBER_AT).take(expected).enumerate() {
        let character = u8::try_from(unit).map_err(|_| CardError::Number)?;
        let fits = match kind {
            IdCardKind::Foreign2017 => character.is_ascii_alphanumeric(),
            IdCardKind::Resident | IdCardKind::HongKongMacaoTaiwan | IdCardKind::Foreign2023 => {
                character.is_ascii_digit()
                    || (place + 1 == expected && matches!(character, b'X' | b'x'))
            }
        };
        if !fits {
            return Err(CardError::Number);
        }
        number.push(char::from(character.to_ascii_uppercase()));
    }
    if number.len() != expected {
        return Err(CardError::Number);
    }
    Ok(Personal::new(std::mem::take(&mut *number)))
}

fn date_at(text: &[u8], at: usize) -> Result<String, CardError> {
    let date: String = units(text, at)
        .take(DATE_UNITS)
        .filter_map(|unit| char::from_u32(unit.into()))
        .filter(char::is_ascii_digit)
        .collect();
    if date.len() == DATE_UNITS {
        Ok(date)
    } else {
        Err(CardError::Validity)
    }
}

fn valid_until_of(text: &[u8]) -> Result<Option<String>, CardError> {
    let mut field = units(text, VALID_UNTIL_AT).take(DATE_UNITS);
    if LONG_TERM.iter().all(|unit| field.next() == Some(*unit)) && field.all(is_padding) {
        return Ok(None);
    }
    date_at(text, VALID_UNTIL_AT).map(Some)
}

/// The module's side: a text block with these facts and blanks elsewhere. What is too long for its field is cut.
#[must_use]
pub fn encode_text(card: &IdCard) -> Zeroizing<[u8; TEXT_LEN]> {
    let mut text = Zeroizing::new([0; TEXT_LEN]);
    for unit in text.chunks_exact_mut(2) {
        unit.copy_from_slice(&[0x20, 0x00]);
    }
    let mut put = |at: usize, len: usize, value: &mut dyn Iterator<Item = u16>| {
        let field = text.get_mut(at..at + len).unwrap_or_default();
        for (unit, value) in field.chunks_exact_mut(2).zip(value) {
            unit.copy_from_slice(&value.to_le_bytes());
        }
    };
    let kind = match card.kind {
        IdCardKind::Resident => ' ',
        IdCardKind::HongKongMacaoTaiwan => 'J',
        IdCardKind::Foreign2017 => 'I',
        IdCardKind::Foreign2023 => 'Y',
    };
    let number_len = 2 * number_units(card.kind);
    put(
        NUMBER_AT,
        number_len,
        &mut card.number.expose().encode_utf16(),
    );
    put(VALID_FROM_AT, 16, &mut card.valid_from.encode_utf16());
    match &card.valid_until {
        Some(date) => put(VALID_UNTIL_AT, 16, &mut date.encode_utf16()),
        None => put(VALID_UNTIL_AT, 16, &mut LONG_TERM.into_iter()),
    }
    put(KIND_AT, 2, &mut std::iter::once(kind as u16));
    text
}

/// The module's side: the reply to a read, 1295 bytes, with an empty photo.
#[must_use]
pub fn encode_read(card: &IdCard) -> Zeroizing<Vec<u8>> {
    let mut data = Zeroizing::new(Vec::with_capacity(4 + TEXT_LEN + PHOTO_LEN_MAX));
    data.extend([0x01, 0x00, 0x04, 0x00]);
    data.extend_from_slice(encode_text(card).as_slice());
    data.resize(4 + TEXT_LEN + PHOTO_LEN_MAX, 0);
    Zeroizing::new(encode_reply([0x00, 0x00, 0x90], &data))
}

#[cfg(test)]
mod tests {
    use super::super::frame::decode;
    use super::*;

    fn card(number: &str, kind: IdCardKind, valid_until: Option<&str>) -> IdCard {
        IdCard {
            number: Personal::new(number.into()),
            kind,
            valid_from: "20200101".into(),
            valid_until: valid_until.map(Into::into),
        }
    }

    fn resident() -> IdCard {
        card("11010519491231002X", IdCardKind::Resident, None)
    }

    fn read(bytes: &[u8]) -> Result<IdCard, CardError> {
        card_of(decode(bytes).unwrap().unwrap().0.data)
    }

    fn body(text: &[u8]) -> Vec<u8> {
        [&[0x01, 0x00, 0x00, 0x00], text].concat()
    }

    #[test]
    fn each_of_the_four_cards_is_read_as_what_it_is() {
        for card in [
            resident(),
            card("440524188001010014", IdCardKind::Resident, Some("20400101")),
            card(
                "810000199001010010",
                IdCardKind::HongKongMacaoTaiwan,
                Some("20290101"),
            ),
            card("XXX110080010101", IdCardKind::Foreign2017, Some("20270101")),
            card(
                "900000198108030020",
                IdCardKind::Foreign2023,
                Some("20330101"),
            ),
        ] {
            assert_eq!(read(&encode_read(&card)), Ok(card));
        }
    }

    #[test]
    fn a_read_reply_has_the_published_size_and_every_prefix_asks_for_more() {
        let bytes = encode_read(&resident());
        assert_eq!((bytes.len(), &bytes[5..7]), (1295, &[0x05, 0x08][..]));
        assert_eq!(&bytes[10..14], [0x01, 0x00, 0x04, 0x00]);
        assert_eq!(&bytes[14 + 122..14 + 126], [b'1', 0, b'1', 0]);
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn every_single_bit_error_of_a_read_reply_is_caught() {
        let good = encode_read(&resident());
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A shorter length may meet the checksum by chance; then the lengths inside do not add up.
            assert!(
                !matches!(decode(&bytes), Ok(Some((reply, _))) if card_of(reply.data).is_ok()),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn fingerprints_that_nobody_asked_for_do_not_move_the_text() {
        let text = encode_text(&resident());
        for fingerprint in [0_u16, 512, 1024] {
            let data = [
                &[0x01, 0x00, 0x04, 0x00],
                &fingerprint.to_be_bytes()[..],
                text.as_slice(),
                &[0; 1024],
                &vec![0; fingerprint.into()],
            ]
            .concat();
            let bytes = encode_reply([0, 0, 0x90], &data);
            let total = [1297, 1809, 2321][usize::from(fingerprint) / 512];
            assert_eq!(bytes.len(), total);
            assert_eq!(read(&bytes), Ok(resident()));
        }
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let text = encode_text(&resident());
        let good = body(text.as_slice());
        assert!(card_of(&good).is_ok());
        for end in 0..good.len() {
            assert_eq!(card_of(&good[..end]), Err(CardError::Lengths), "{end}");
        }
        assert_eq!(
            card_of(&[&good[..], &[0]].concat()),
            Err(CardError::Lengths)
        );
        for head in [
            [0x00, 0xFE, 0x00, 0x00],
            [0x02, 0x00, 0, 0],
            [0x01, 0, 0x04, 0x01],
        ] {
            let bad = [&head[..], text.as_slice()].concat();
            assert_eq!(card_of(&bad), Err(CardError::Lengths));
        }
    }

    #[test]
    fn padding_of_any_usual_sort_is_a_resident_card() {
        for padding in [0x0020_u16, 0x0000, 0x3000] {
            let mut text = encode_text(&resident());
            for at in (220..256).chain(208..220).step_by(2) {
                text[at..at + 2].copy_from_slice(&padding.to_le_bytes());
            }
            assert_eq!(card_of(&body(text.as_slice())), Ok(resident()));
        }
    }

    #[test]
    fn a_kind_nobody_knows_is_not_taken_for_a_resident() {
        let mut text = encode_text(&resident());
        text[248] = b'Q';
        assert_eq!(card_of(&body(text.as_slice())), Err(CardError::Kind));
    }

    #[test]
    fn a_small_x_is_printed_large_and_stands_at_the_end_only() {
        let small = card("11010519491231002x", IdCardKind::Resident, None);
        assert_eq!(read(&encode_read(&small)), Ok(resident()));
        for bad in ["1101051949123100X2", "11010519491231002", "一"] {
            let bad = card(bad, IdCardKind::Resident, None);
            assert_eq!(read(&encode_read(&bad)), Err(CardError::Number));
        }
    }

    #[test]
    fn a_validity_that_is_no_date_is_refused() {
        for bad in ["2020010", "2020-1-1", "", "长"] {
            let bad = card("11010519491231002X", IdCardKind::Resident, Some(bad));
            assert_eq!(read(&encode_read(&bad)), Err(CardError::Validity));
        }
    }
}
