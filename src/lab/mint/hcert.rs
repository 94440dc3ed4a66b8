//! Health certificates of a lab, as the EU made them (hcert_spec 1.0.8): about nobody.

use std::io::Write as _;

use ciborium::Value;
use coset::cwt::{ClaimsSetBuilder, Timestamp};
use coset::{
    CborSerializable as _, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana,
};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};

use super::{MintError, Minted, Seed, failed, hex, p256_point};
use crate::domain::Utc;

/// Who signs certificates.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The key.
    pub key: p256::SecretKey,
    /// Its id, eight bytes.
    pub key_id: Vec<u8>,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// When it was issued.
    pub issued: Utc,
    /// Last second of the signature.
    pub expires: Utc,
    /// Identifier of the certificate (UVCI).
    pub id: String,
    /// The doses of a vaccination: this one, of so many.
    pub doses: (u8, u8),
    /// Day of the dose, `YYYY-MM-DD`.
    pub day: String,
}

impl Certificate {
    /// The last dose of two, a month ago.
    ///
    /// # Errors
    /// [`MintError`] for a time that no calendar has.
    pub fn at(seed: Seed, now: Utc) -> Result<Self, MintError> {
        let ago = |days: u64| Utc::from_secs(now.as_secs().saturating_sub(days * 86_400));
        Ok(Self {
            issued: ago(29),
            expires: Utc::from_secs(now.as_secs() + 365 * 86_400),
            id: format!(
                "URN:UVCI:01:XX:{}",
                hex(&seed.bytes("uvci")[..8]).to_uppercase()
            ),
            doses: (2, 2),
            day: day(ago(30))?,
        })
    }
}

impl Issuer {
    /// The key of a seed.
    ///
    /// # Errors
    /// [`MintError`] for one seed in 2^32.
    pub fn new(seed: Seed) -> Result<Self, MintError> {
        Ok(Self {
            key: seed.p256("hcert issuer")?,
            key_id: seed.bytes("hcert key id")[..8].to_vec(),
        })
    }

    /// A certificate as its text.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn code(&self, certificate: &Certificate) -> Result<String, MintError> {
        let header = HeaderBuilder::new()
            .algorithm(iana::Algorithm::ES256)
            .key_id(self.key_id.clone())
            .build();
        let seconds =
            |at: Utc| Timestamp::WholeSeconds(at.as_secs().try_into().unwrap_or(i64::MAX));
        let health = Value::Map(vec![(1.into(), certificate.body())]);
        let claims = ClaimsSetBuilder::new()
            .issuer("XX".into())
            .issued_at(seconds(certificate.issued))
            .expiration_time(seconds(certificate.expires))
            .claim(iana::CwtClaimName::Hcert, health)
            .build();
        let key = SigningKey::from(&self.key);
        let signed = CoseSign1Builder::new()
            .protected(header)
            .payload(claims.to_vec().map_err(failed("claims"))?)
            .create_signature(&[], |message| {
                let signature: Signature = key.sign(message);
                signature.to_bytes().to_vec()
            })
            .build();
        text(&signed.to_tagged_vec().map_err(failed("a certificate"))?)
    }

    /// `[[issuer]]` of a trust list.
    #[must_use]
    pub fn trust(&self, id: &str) -> String {
        format!(
            "[[issuer]]\nid = \"{id}\"\nprofile = \"hcert\"\nclass = \"health\"\nregion = \"XX\"\n\n\
             [[issuer.key]]\nid = \"hex:{}\"\nalgorithm = \"ES256\"\npublic = \"{}\"\n",
            hex(&self.key_id),
            p256_point(&self.key),
        )
    }

    /// A certificate like most.
    pub(super) fn minted(&self, seed: Seed, at: Utc) -> Result<Minted, MintError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        Ok(Minted {
            text: self.code(&Certificate::at(seed, at)?)?,
            trust: self.trust("lab-hcert"),
            keys: vec![("issuer", pem.map_err(failed("PKCS#8"))?.to_string())],
        })
    }
}

impl Certificate {
    fn body(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let map = |entries: Vec<(&str, Value)>| {
            Value::Map(entries.into_iter().map(|(k, v)| (text(k), v)).collect())
        };
        let dose = map(vec![
            ("tg", text("840539006")),
            ("vp", text("1119349007")),
            ("mp", text("EU/1/20/1528")),
            ("ma", text("ORG-100030215")),
            ("dn", self.doses.0.into()),
            ("sd", self.doses.1.into()),
            ("dt", text(&self.day)),
            ("co", text("XX")),
            ("is", text("LAB")),
            ("ci", text(&self.id)),
        ]);
        map(vec![
            ("ver", text("1.3.0")),
            ("nam", map(vec![("fnt", text("NOBODY"))])),
            ("dob", text("1990-01-01")),
            ("v", Value::Array(vec![dose])),
        ])
    }
}

/// The text of a signed certificate: zlib, base45, and the prefix.
///
/// # Errors
/// [`MintError`] if a library fails.
pub fn text(signed: &[u8]) -> Result<String, MintError> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
    out.write_all(signed).map_err(failed("zlib"))?;
    let packed = out.finish().map_err(failed("zlib"))?;
    Ok(format!("HC1:{}", base45::encode(packed)))
}

/// A day as certificates write it.
pub(super) fn day(at: Utc) -> Result<String, MintError> {
    let seconds = i64::try_from(at.as_secs()).map_err(|_| MintError::Range("a time"))?;
    let stamp = jiff::Timestamp::from_second(seconds).map_err(failed("a day"))?;
    Ok(stamp.strftime("%Y-%m-%d").to_string())
}
