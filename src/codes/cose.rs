//! `COSE_Sign1` (RFC 9052 §4.2) and the CBOR in it, within bounds. What it says is not looked at here.

use ciborium::Value;

use super::keys::Algorithm;
use super::signed::CodeFault;

/// How deep CBOR may be nested (DESIGN §3).
const DEPTH_MAX: usize = 16;
/// Items in one piece of CBOR: a health certificate has about 60. It keeps what they become small, as one takes a byte
/// of a code and 32 of memory.
const ITEMS_MAX: usize = 4_096;

/// Tags that may stand around it: CWT (RFC 8392 §6), and inside of that `COSE_Sign1`.
const TAG_CWT: u64 = 61;
const TAG_SIGN1: u64 = 18;

/// Header parameters (RFC 9052 §3.1).
const ALGORITHM: i64 = 1;
const CRITICAL: i64 = 2;
const KEY_ID: i64 = 4;

/// A `COSE_Sign1` with its payload inside.
#[derive(Debug)]
pub(super) struct Sign1 {
    protected: Vec<u8>,
    /// The protected header.
    pub(super) header: Map,
    unprotected: Map,
    /// What is signed beside the header.
    pub(super) payload: Vec<u8>,
    /// As it stands there; nothing was checked yet.
    pub(super) signature: Vec<u8>,
}

impl Sign1 {
    /// Reads the bytes of one: with tag 18, with 61 and 18, or with none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CodeFault> {
        Self::of(cbor(bytes).ok_or(CodeFault::Form("CBOR"))?)
    }

    /// Reads one that stands in other CBOR.
    pub(super) fn of(value: Value) -> Result<Self, CodeFault> {
        const WRONG: CodeFault = CodeFault::Form("COSE_Sign1");
        let parts = untagged(value).and_then(|value| value.into_array().ok());
        let parts: [Value; 4] = parts.and_then(|parts| parts.try_into().ok()).ok_or(WRONG)?;
        let [
            Value::Bytes(protected),
            Value::Map(unprotected),
            Value::Bytes(payload),
            Value::Bytes(signature),
        ] = parts
        else {
            return Err(WRONG);
        };
        // No bytes stand for an empty map.
        let header = if protected.is_empty() {
            Map::default()
        } else {
            Map::read(&protected).ok_or(CodeFault::Form("protected header"))?
        };
        if header.has(CRITICAL) {
            return Err(CodeFault::Form("critical header"));
        }
        Ok(Self {
            protected,
            header,
            unprotected: Map(unprotected),
            payload,
            signature,
        })
    }

    /// What the signature is over (RFC 9052 §4.4).
    pub(super) fn signed(&self) -> Vec<u8> {
        let parts = [
            Value::Text("Signature1".into()),
            Value::Bytes(self.protected.clone()),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ];
        let mut out = Vec::new();
        // Writing into a vector does not fail.
        let _ = ciborium::into_writer(&Value::Array(parts.into()), &mut out);
        out
    }

    /// The id of the key. What is signed wins; the unprotected header has a say only where that is silent (CODES §2.1).
    pub(super) fn key_id(&self) -> Option<&[u8]> {
        self.parameter(KEY_ID)?.as_bytes().map(Vec::as_slice)
    }

    /// The algorithm it names, if that is one of ours (RFC 9053 §2, RFC 8230 §2, RFC 9864 §2).
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match i64::try_from(self.parameter(ALGORITHM)?.as_integer()?).ok()? {
            -7 | -9 => Some(Algorithm::Es256),
            -35 | -51 => Some(Algorithm::Es384),
            -37 => Some(Algorithm::Ps256),
            -8 | -19 => Some(Algorithm::Ed25519),
            _ => None,
        }
    }

    fn parameter(&self, key: i64) -> Option<&Value> {
        if self.header.has(key) {
            self.header.get(key)
        } else {
            self.unprotected.get(key)
        }
    }
}

/// The CWT tag has no meaning without the other one.
fn untagged(value: Value) -> Option<Value> {
    match value {
        Value::Tag(TAG_CWT, inner) => match *inner {
            Value::Tag(TAG_SIGN1, inner) => Some(*inner),
            _ => None,
        },
        Value::Tag(TAG_SIGN1, inner) => Some(*inner),
        other => Some(other),
    }
}

/// A CBOR map that is looked into by numbers or names.
#[derive(Debug, Default)]
pub(super) struct Map(Vec<(Value, Value)>);

impl Map {
    /// The map that these bytes are.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        cbor(bytes).and_then(Self::of)
    }

    /// The map that this is.
    pub(super) fn of(value: Value) -> Option<Self> {
        value.into_map().ok().map(Self)
    }

    /// True if the key is there, once or more often.
    pub(super) fn has(&self, key: impl Into<Value>) -> bool {
        let key = key.into();
        self.0.iter().any(|(name, _)| *name == key)
    }

    /// What stands there. A key that stands there twice says nothing.
    pub(super) fn get(&self, key: impl Into<Value>) -> Option<&Value> {
        let key = key.into();
        let mut found = self.0.iter().filter(|(name, _)| *name == key);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// The whole number that stands there.
    pub(super) fn number(&self, key: impl Into<Value>) -> Option<i64> {
        self.get(key)?.as_integer()?.try_into().ok()
    }

    /// The text that stands there.
    pub(super) fn text(&self, key: impl Into<Value>) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The map that stands there.
    pub(super) fn map(&self, key: impl Into<Value>) -> Option<Self> {
        self.get(key)?.as_map().cloned().map(Self)
    }
}

/// One piece of CBOR (RFC 8949) that ends where `bytes` ends, within the bounds.
pub(super) fn cbor(bytes: &[u8]) -> Option<Value> {
    let rest = skip(bytes, DEPTH_MAX, &mut ITEMS_MAX.clone())?;
    if !rest.is_empty() {
        return None;
    }
    ciborium::from_reader(bytes).ok()
}

/// What follows the first item. Counts nesting and items before anything is kept.
fn skip<'a>(bytes: &'a [u8], depth: usize, items: &mut usize) -> Option<&'a [u8]> {
    const BREAK: u8 = 0xFF;
    let depth = depth.checked_sub(1)?;
    *items = items.checked_sub(1)?;
    let (first, rest) = bytes.split_first()?;
    let (argument, mut rest) = match first & 0x1F {
        small @ 0..=23 => (Some(u64::from(small)), rest),
        size @ 24..=27 => {
            let (argument, rest) = rest.split_at_checked(1 << (size - 24))?;
            let number = argument.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            (Some(number), rest)
        }
        31 => (None, rest),
        _ => return None,
    };
    let inside = match (first >> 5, argument) {
        (0 | 1 | 7, Some(_)) => return Some(rest),
        (2 | 3, Some(len)) => return rest.get(usize::try_from(len).ok()?..),
        (4, Some(len)) => len,
        (5, Some(pairs)) => pairs.checked_mul(2)?,
        (6, Some(_)) => 1,
        // Of indefinite length; what may stand in it is for the library to say.
        (2..=5, None) => {
            while *rest.first()? != BREAK {
                rest = skip(rest, depth, items)?;
            }
            return rest.get(1..);
        }
        _ => return None,
    };
    for _ in 0..inside {
        rest = skip(rest, depth, items)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign1(header: &str) -> Vec<u8> {
        hex(&format!("84{header}41014102"))
    }

    fn hex(text: &str) -> Vec<u8> {
        crate::codes::trust_list::hex_bytes(text).unwrap()
    }

    #[test]
    fn tags_may_be_18_or_61_and_18_or_none() {
        let plain = sign1("40a0");
        let tagged = |tags: &str| Sign1::read(&[hex(tags), plain.clone()].concat());
        for tags in ["", "d2", "d83dd2"] {
            let read = tagged(tags).unwrap();
            assert_eq!((read.payload, read.signature), (vec![1], vec![2]), "{tags}");
        }
        for tags in ["d83d", "d2d83d", "d2d2", "d83dd83dd2", "d1", "d83dd1"] {
            assert!(tagged(tags).is_err(), "{tags}");
        }
    }

    #[test]
    fn what_is_signed_wins_over_the_unprotected_header() {
        let key_id = |header| {
            Sign1::read(&sign1(header))
                .unwrap()
                .key_id()
                .map(<[u8]>::to_vec)
        };
        assert_eq!(key_id("44a1044107a0"), Some(vec![7]));
        assert_eq!(key_id("44a1044107a1044108"), Some(vec![7]));
        assert_eq!(key_id("40a1044108"), Some(vec![8]));
        assert_eq!(key_id("41a0a1044108"), Some(vec![8]));
        assert_eq!(key_id("40a0"), None);
        // Signed, and twice, and no bytes: the other header cannot repair that.
        assert_eq!(key_id("47a2044107044109a1044108"), None);
        assert_eq!(key_id("43a10407a1044108"), None);
    }

    #[test]
    fn the_algorithm_is_read_like_the_key_id() {
        let algorithm = |header| Sign1::read(&sign1(header)).unwrap().algorithm();
        assert_eq!(algorithm("43a10126a0"), Some(Algorithm::Es256));
        assert_eq!(algorithm("44a1013822a0"), Some(Algorithm::Es384));
        assert_eq!(algorithm("44a1013824a0"), Some(Algorithm::Ps256));
        assert_eq!(algorithm("43a10127a0"), Some(Algorithm::Ed25519));
        assert_eq!(algorithm("40a1013824"), Some(Algorithm::Ps256));
        // HMAC; a name; nothing.
        assert_eq!(algorithm("43a10105a0"), None);
        assert_eq!(algorithm("45a101624553a0"), None);
        assert_eq!(algorithm("40a0"), None);
    }

    #[test]
    fn a_header_that_has_to_be_understood_is_refused() {
        assert_eq!(
            Sign1::read(&sign1("45a102811863a0")).unwrap_err(),
            CodeFault::Form("critical header")
        );
    }

    #[test]
    fn nesting_is_bounded_and_so_is_the_number_of_items() {
        let nested = |depth: usize| [vec![0x81; depth - 1], vec![0]].concat();
        assert!(cbor(&nested(16)).is_some() && cbor(&nested(17)).is_none());
        let endless =
            |depth: usize| [vec![0x9F; depth - 1], vec![0], vec![0xFF; depth - 1]].concat();
        assert!(cbor(&endless(16)).is_some() && cbor(&endless(17)).is_none());
        let tags = |depth: usize| [vec![0xC1; depth - 1], vec![0]].concat();
        assert!(cbor(&tags(16)).is_some() && cbor(&tags(17)).is_none());
        let many = |count: u16| {
            let head = [&[0x99][..], &count.to_be_bytes()].concat();
            [head, vec![0; count.into()]].concat()
        };
        assert!(cbor(&many(4_095)).is_some() && cbor(&many(4_096)).is_none());
        // Lengths that nothing stands behind.
        for text in [
            "9bffffffffffffffff",
            "bbffffffffffffffff",
            "5bffffffffffffffff00",
            "9f00",
            "ff",
            "1c",
            "",
        ] {
            assert!(cbor(&hex(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn every_truncation_is_refused_and_so_is_a_tail() {
        let whole = sign1("44a1044107a1044108");
        for cut in 0..whole.len() {
            assert!(Sign1::read(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(Sign1::read(&[&whole[..], &[0]].concat()).is_err());
    }
}
