//! Parts of a trust list that are written in another way than they are kept: dates, keys, parameters.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use super::Profile;
use crate::codes::keys::{Algorithm, IssuerKey, KEY_ID_BYTES_MAX, KeyStatus, PublicKey, Usage};
use crate::codes::signed;
use crate::domain::Utc;

/// Longest key or certificate, characters.
const KEY_CHARS_MAX: usize = 16 << 10;
/// Bytes of a key id that is made of its certificate (hcert_spec §2.6.1).
const CERTIFICATE_ID_BYTES: usize = 8;
/// 2000-01-01T00:00:00 in Beijing, seconds since 1970: what codes subtract that count from there (CODES §1.5).
const YEAR_2000_S: u32 = 946_656_000;
/// The id of SM2 signatures where nothing else is agreed (GB/T 35276).
const SM2_ID: &str = "1234567812345678";
/// How far a code may be ahead of the gate's clock, seconds (CODES §1.5).
const SKEW_S: u32 = 20;
/// Longest validity of a ride code, seconds (CODES §1.5).
const VALIDITY_MAX_S: u32 = 1_200;

/// By which algorithms a profile signs.
pub(super) const fn algorithms(profile: Profile) -> &'static [Algorithm] {
    use Algorithm as A;
    match profile {
        Profile::Opaque | Profile::IdCard | Profile::Tag => &[],
        Profile::Hcert => &[A::Es256, A::Es384, A::Ps256],
        Profile::Shc => &[A::Es256],
        Profile::RideV81 => &[A::Sm2],
        Profile::RideCwt => &[A::Ed25519, A::Es256],
    }
}

/// A date: `2027-01-01T00:00:00Z` with or without quotes, or seconds since 1970.
struct Moment(Utc);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(MomentVisitor).map(Self)
    }
}

struct MomentVisitor;

impl<'de> Visitor<'de> for MomentVisitor {
    type Value = Utc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date with a time, like 2027-01-01T00:00:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Utc, E> {
        let wrong = || E::custom("a date looks like 2027-01-01T00:00:00Z, with its time and zone");
        let date: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        u64::try_from(date.as_millisecond())
            .map(Utc::from_millis)
            .map_err(|_| E::custom("dates count from 1970"))
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Utc, E> {
        Ok(Utc::from_secs(seconds))
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Utc, E> {
        u64::try_from(seconds)
            .map(Utc::from_secs)
            .map_err(|_| E::custom("dates count from 1970"))
    }

    /// A date without quotes, as the TOML library hands it over.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Utc, A::Error> {
        let date = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
        self.visit_str(&date.to_string())
    }
}

pub(super) fn moment<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Utc>, D::Error> {
    Moment::deserialize(d).map(|moment| Some(moment.0))
}

/// `[[issuer.key]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    /// As codes name it: text, or `hex:` or `base64:` and bytes; by default that of its certificate.
    id: Option<String>,
    /// Which algorithm it is for.
    algorithm: Algorithm,
    /// The key: PEM, base64 of its SPKI, or hex of its point.
    public: Option<String>,
    /// A certificate instead: PEM, or base64.
    certificate: Option<String>,
    #[serde(default)]
    usage: Option<Vec<Usage>>,
    #[serde(default)]
    status: KeyStatus,
    #[serde(default, deserialize_with = "moment")]
    valid_from: Option<Utc>,
    #[serde(default, deserialize_with = "moment")]
    valid_until: Option<Utc>,
}

/// A key that was checked as it was read, so that a fault names it.
#[derive(Deserialize)]
#[serde(try_from = "Key")]
struct Checked(IssuerKey);

pub(super) fn keys<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IssuerKey>, D::Error> {
    let keys = Vec::<Checked>::deserialize(d)?;
    Ok(keys.into_iter().map(|key| key.0).collect())
}

impl TryFrom<Key> for Checked {
    type Error = String;

    fn try_from(written: Key) -> Result<Self, String> {
        let (key, by_default, usage) = match (&written.public, &written.certificate) {
            (Some(public), None) => (public_key(public, written.algorithm)?, None, Vec::new()),
            (None, Some(certificate)) => {
                let der = certificate_der(certificate)?;
                let (key, usage) = PublicKey::from_certificate(&der).map_err(|e| e.to_string())?;
                let hash: [u8; 32] = Sha256::digest(&der).into();
                let id = hash.iter().copied().take(CERTIFICATE_ID_BYTES).collect();
                (key, Some(id), usage)
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err("a key has one of `public` and `certificate`".into());
            }
        };
        if key.algorithm() != written.algorithm {
            let (found, said) = (key.algorithm(), written.algorithm);
            return Err(format!("this is a key for {found:?}, and not for {said:?}"));
        }
        let id = match (&written.id, by_default) {
            (Some(id), _) => key_id(id)?,
            (None, Some(id)) => id,
            (None, None) => return Err("a key without a certificate needs an `id`".into()),
        };
        Ok(Self(IssuerKey {
            id,
            key,
            usage: written.usage.unwrap_or(usage),
            status: written.status,
            valid_from: written.valid_from,
            valid_until: written.valid_until,
        }))
    }
}

fn key_id(text: &str) -> Result<Vec<u8>, String> {
    let bytes = if let Some(hex) = text.strip_prefix("hex:") {
        hex_bytes(hex).ok_or("behind `hex:` in `id` stands no hex")?
    } else if let Some(base64) = text.strip_prefix("base64:") {
        let bytes = STANDARD.decode(base64);
        bytes.map_err(|_| "behind `base64:` in `id` stands no base64")?
    } else {
        text.as_bytes().to_vec()
    };
    if !(1..=KEY_ID_BYTES_MAX).contains(&bytes.len()) {
        return Err(format!(
            "`id` has 1 to {KEY_ID_BYTES_MAX} bytes, this has {}",
            bytes.len()
        ));
    }
    Ok(bytes)
}

/// PEM of the label, or the plain base64 of what would be in it.
fn der(text: &str, label: &str) -> Option<Vec<u8>> {
    let body = match text.trim_ascii().strip_prefix("-----BEGIN ") {
        None => text,
        Some(pem) => pem
            .strip_prefix(label)?
            .strip_prefix("-----")?
            .strip_suffix("-----")?
            .strip_suffix(label)?
            .strip_suffix("-----END ")?,
    };
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

fn public_key(text: &str, algorithm: Algorithm) -> Result<PublicKey, String> {
    if text.len() > KEY_CHARS_MAX {
        return Err(format!(
            "`public` is longer than {KEY_CHARS_MAX} characters"
        ));
    }
    // A point in hex has a length that no base64 of a key has.
    let point = hex_bytes(text.trim_ascii()).filter(|point| matches!(point.len(), 32 | 33 | 65));
    if let Some(point) = point {
        return PublicKey::from_point(algorithm, &point).map_err(|e| format!("`public`: {e}"));
    }
    let der = der(text, "PUBLIC KEY").ok_or(
        "`public` is PEM (BEGIN PUBLIC KEY), the base64 of what is in it, or a point of 32, 33 or 65 bytes in hex",
    )?;
    PublicKey::from_spki(&der).map_err(|e| format!("`public`: {e}"))
}

fn certificate_der(text: &str) -> Result<Vec<u8>, String> {
    if text.len() > KEY_CHARS_MAX {
        return Err(format!(
            "`certificate` is longer than {KEY_CHARS_MAX} characters"
        ));
    }
    der(text, "CERTIFICATE").ok_or_else(|| {
        "`certificate` is PEM (BEGIN CERTIFICATE), or the base64 of what is in it".into()
    })
}

/// Bytes of hex digits, in either case.
pub(in crate::codes) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    rest.is_empty()
        .then(|| pairs.iter().map(byte).collect::<Option<_>>())
        .flatten()
}

/// `issuer.params` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// `ride.v81`: the year its times count from, 1970 or 2000.
    epoch: Option<u16>,
    /// `ride.v81`, `ride.cwt`: longest validity a code may claim, seconds.
    validity_max_s: Option<u32>,
    /// How far a code may be ahead of the gate's clock, seconds.
    skew_s: Option<u32>,
    /// `ride.v81`: distinguishing id of its signatures.
    sm2_id: Option<String>,
    /// `ride.v81`: what stands first behind the fixed fields.
    field_order: Option<FieldOrder>,
}

/// `issuer.params.field_order`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FieldOrder {
    /// The private area, and then the signature over it.
    AreaFirst,
    /// The signature, and then the private area.
    SignatureFirst,
}

impl Params {
    /// Before they are settled.
    pub(super) fn unset() -> signed::Params {
        Self::default().settled(Profile::Opaque)
    }

    /// With what the profile has by default.
    pub(super) fn settled(&self, profile: Profile) -> signed::Params {
        let longest = match profile {
            Profile::RideV81 | Profile::RideCwt => VALIDITY_MAX_S,
            Profile::Opaque | Profile::Hcert | Profile::Shc | Profile::IdCard | Profile::Tag => {
                u32::MAX
            }
        };
        signed::Params {
            epoch_s: if self.epoch == Some(2000) {
                YEAR_2000_S
            } else {
                0
            },
            validity_max_s: self.validity_max_s.unwrap_or(longest),
            skew_s: self.skew_s.unwrap_or(SKEW_S),
            sm2_id: self.sm2_id.clone().unwrap_or_else(|| SM2_ID.to_owned()),
            signature_first: self.field_order == Some(FieldOrder::SignatureFirst),
        }
    }

    /// What is wrong, with its key.
    pub(super) fn check(&self, profile: Profile) -> Result<(), (String, String)> {
        let (v81, cwt) = (profile == Profile::RideV81, profile == Profile::RideCwt);
        let given = [
            ("epoch", self.epoch.is_some(), v81),
            ("sm2_id", self.sm2_id.is_some(), v81),
            ("field_order", self.field_order.is_some(), v81),
            ("validity_max_s", self.validity_max_s.is_some(), v81 || cwt),
            ("skew_s", self.skew_s.is_some(), profile.is_signed()),
        ];
        for (key, given, has) in given {
            if given && !has {
                let sentence = format!("profile \"{}\" has no such parameter", profile.as_str());
                return Err((key.into(), sentence));
            }
        }
        let wrong = |key: &str, sentence: String| Err((key.to_owned(), sentence));
        if let Some(year) = self.epoch.filter(|year| !matches!(year, 1970 | 2000)) {
            return wrong(
                "epoch",
                format!("times count from 1970 or 2000, not from {year}"),
            );
        }
        if let Some(s) = self.validity_max_s.filter(|s| !(1..=86_400).contains(s)) {
            return wrong("validity_max_s", format!("{s} s is outside 1 to 86400 s"));
        }
        if let Some(s) = self.skew_s.filter(|s| *s > 3_600) {
            return wrong("skew_s", format!("{s} s is outside 0 to 3600 s"));
        }
        let lengths = 1..=64;
        if let Some(id) = self
            .sm2_id
            .as_ref()
            .filter(|id| !lengths.contains(&id.len()))
        {
            return wrong(
                "sm2_id",
                format!("it has 1 to 64 bytes, this has {}", id.len()),
            );
        }
        Ok(())
    }
}
