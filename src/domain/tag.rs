//! What a reader without a security module brings: an identifier, by which way it came, and how sure it is.

use serde::{Deserialize, Serialize};

use super::credential::Personal;

/// How well it is known that a credential is what it says. In rising order: a rule asks for at least one of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A number or text that anybody who has seen it can show again: a UID, an opaque code.
    #[default]
    Identifier,
    /// An issuer's signature was checked, but a copy of the code is as good as the code.
    Signed,
    /// The card itself has proved that it holds a key.
    Authenticated,
}

impl Assurance {
    /// The word in config and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::Signed => "signed",
            Self::Authenticated => "authenticated",
        }
    }
}

/// Which way an identifier came. The same bytes by another way are another tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// 125 kHz, EM4100: five bytes, the first is the version.
    Em4100,
    /// 13.56 MHz, ISO 14443 type A: the UID, first byte first.
    Iso14443a,
    /// The bits of a Wiegand line or of an OSDP reader, parity included, first bit first.
    Bits,
}

/// Longest identifier, bits. PIV credentials (FASC-N) have 200 and more.
pub const TAG_BITS_MAX: u16 = 512;

/// An identifier that a reader brings. It is not kept as a number: byte order and length belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    kind: TagKind,
    bits: u16,
    id: Personal<Vec<u8>>,
    /// How sure the reader is of it.
    pub assurance: Assurance,
}

impl Tag {
    /// A tag of `bits` bits, first bit first in `id`. `None` if there are none, too many, or not as many as `id` holds.
    #[must_use]
    pub fn new(kind: TagKind, bits: u16, id: Vec<u8>, assurance: Assurance) -> Option<Self> {
        let id = Personal::new(id);
        let fits = usize::from(bits).div_ceil(8) == id.expose().len();
        ((1..=TAG_BITS_MAX).contains(&bits) && fits).then_some(Self {
            kind,
            bits,
            id,
            assurance,
        })
    }

    /// A tag of whole bytes, known by nothing but its identifier.
    #[must_use]
    pub fn of_bytes(kind: TagKind, id: &[u8]) -> Option<Self> {
        let bits = u16::try_from(id.len() * 8).ok()?;
        Self::new(kind, bits, id.to_vec(), Assurance::Identifier)
    }

    /// Its one spelling, as lists hold it: `em4100:0D00C8D3B1`, `iso14443a:04A1B2C3`, `bits26:A5C3F080`.
    #[must_use]
    pub fn identifier(&self) -> Personal<String> {
        let way = match self.kind {
            TagKind::Em4100 => "em4100:".to_owned(),
            TagKind::Iso14443a => "iso14443a:".to_owned(),
            TagKind::Bits => format!("bits{}:", self.bits),
        };
        let id = self.id.expose();
        // Reserved at once, so that no copy stays behind in freed memory.
        let mut text = String::with_capacity(way.len() + 2 * id.len());
        text.push_str(&way);
        let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        text.extend(
            digits
                .filter_map(|digit| char::from_digit(digit.into(), 16))
                .map(|digit| digit.to_ascii_uppercase()),
        );
        Personal::new(text)
    }

    /// True for a UID that the chip makes up anew each time (NXP AN10927: four bytes, the first is 08): it names nobody.
    #[must_use]
    pub fn is_random(&self) -> bool {
        is_random(self.identifier().expose())
    }
}

/// True for an identifier spelled as by [`Tag::identifier`] that is no random UID: what may stand on a list.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let Some((way, id)) = text.split_once(':') else {
        return false;
    };
    let bits = way.strip_prefix("bits").map(str::parse::<u16>);
    let fits = match (way, bits) {
        ("em4100", _) => id.len() == 10,
        ("iso14443a", _) => matches!(id.len(), 8 | 14 | 20),
        (_, Some(Ok(bits))) => {
            (1..=TAG_BITS_MAX).contains(&bits) && id.len() == 2 * usize::from(bits).div_ceil(8)
        }
        (_, Some(Err(_)) | None) => false,
    };
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    fits && id.bytes().all(is_hex) && !is_random(text)
}

/// A reader that hands a UID on as 32 bits counts too.
fn is_random(identifier: &str) -> bool {
    let uid = ["iso14443a:", "bits32:"]
        .into_iter()
        .find_map(|way| identifier.strip_prefix(way));
    uid.is_some_and(|uid| uid.len() == 8 && uid.starts_with("08"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(kind: TagKind, bits: u16, id: &[u8]) -> String {
        let tag = Tag::new(kind, bits, id.to_vec(), Assurance::Identifier).unwrap();
        tag.identifier().expose().clone()
    }

    #[test]
    fn a_tag_has_one_spelling_that_names_the_way_it_came() {
        let id = [0x0D, 0x00, 0xC8, 0xD3, 0xB1];
        assert_eq!(spelled(TagKind::Em4100, 40, &id), "em4100:0D00C8D3B1");
        assert_eq!(spelled(TagKind::Bits, 40, &id), "bits40:0D00C8D3B1");
        let uid = [0xFB, 0x0E, 0xE2, 0x0B];
        assert_eq!(spelled(TagKind::Iso14443a, 32, &uid), "iso14443a:FB0EE20B");
        let bits = [0xA5, 0xC3, 0xF0, 0x80];
        assert_eq!(spelled(TagKind::Bits, 26, &bits), "bits26:A5C3F080");
    }

    #[test]
    fn bits_that_do_not_fit_the_bytes_are_no_tag() {
        for (bits, len) in [(0, 0), (8, 2), (17, 2), (513, 65)] {
            let tag = Tag::new(TagKind::Bits, bits, vec![0; len], Assurance::Identifier);
            assert_eq!(tag, None, "{bits} bits in {len} bytes");
        }
    }

    #[test]
    fn a_random_uid_is_known_by_four_bytes_of_which_the_first_is_08() {
        let is_random = |uid: &[u8]| Tag::of_bytes(TagKind::Iso14443a, uid).unwrap().is_random();
        assert!(is_random(&[8, 1, 2, 3]));
        for fixed in [&[4, 8, 2, 3][..], &[8, 1, 2, 3, 4, 5, 6], &[0x80, 1, 2, 3]] {
            assert!(!is_random(fixed), "{fixed:02X?}");
        }
        assert!(
            Tag::of_bytes(TagKind::Bits, &[8, 1, 2, 3])
                .unwrap()
                .is_random()
        );
        assert!(
            !Tag::of_bytes(TagKind::Em4100, &[8, 1, 2, 3, 4])
                .unwrap()
                .is_random()
        );
    }

    #[test]
    fn what_may_stand_on_a_list_is_spelled_like_a_tag_and_not_random() {
        for good in ["em4100:0D00C8D3B1", "iso14443a:04A1B2C3", "bits26:A5C3F080"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in [
            "iso14443a:08A1B2C3",
            "bits32:08A1B2C3",
            "em4100:0D00C8D3",
            "em4100:0d00c8d3b1",
            "bits26:A5C3F0",
            "bits0:",
            "bits:00",
            "uid:00",
            "0D00C8D3B1",
        ] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }

    #[test]
    fn assurance_rises() {
        assert!(Assurance::Identifier < Assurance::Signed);
        assert!(Assurance::Signed < Assurance::Authenticated);
    }

    #[test]
    fn a_tag_does_not_print_its_identifier() {
        let tag = Tag::of_bytes(TagKind::Iso14443a, &[0xFB, 0x0E, 0xE2, 0x0B]).unwrap();
        assert!(format!("{tag:?}").contains("[personal]"));
    }
}
