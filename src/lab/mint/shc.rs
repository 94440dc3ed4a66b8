//! SMART Health Cards of a lab: about nobody.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::hcert::day;
use super::{MintError, Minted, Seed, failed, p256_point};
use crate::domain::Utc;

/// Where a lab's keys would lie.
const ISSUER: &str = "https://lab.example/shc";

/// Who signs cards.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The key.
    pub key: p256::SecretKey,
    /// Its id: the thumbprint (RFC 7638).
    pub key_id: String,
}

/// What a card says.
#[derive(Clone, Debug)]
pub struct Card {
    /// First second.
    pub not_before: Utc,
    /// Last second; cards mostly have none.
    pub expires: Option<Utc>,
    /// Days of the doses, `YYYY-MM-DD`.
    pub doses: Vec<String>,
    /// What a list of revoked cards calls it.
    pub revocation_id: Option<String>,
}

impl Card {
    /// Two doses, the last one a month ago.
    ///
    /// # Errors
    /// [`MintError`] for a time that no calendar has.
    pub fn at(seed: Seed, now: Utc) -> Result<Self, MintError> {
        let ago = |days: u64| Utc::from_secs(now.as_secs().saturating_sub(days * 86_400));
        Ok(Self {
            not_before: ago(29),
            expires: None,
            doses: vec![day(ago(58))?, day(ago(30))?],
            revocation_id: Some(seed.digits("rid", 12)),
        })
    }
}

impl Issuer {
    /// The key of a seed.
    ///
    /// # Errors
    /// [`MintError`] for one seed in 2^32.
    pub fn new(seed: Seed) -> Result<Self, MintError> {
        let key = seed.p256("shc issuer")?;
        let point = key.public_key().to_sec1_point(false);
        let (x, y) = point.as_bytes().split_at(1).1.split_at(32);
        // Members in the order of the alphabet, without white space (RFC 7638 §3.2).
        let jwk = format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            URL_SAFE_NO_PAD.encode(x),
            URL_SAFE_NO_PAD.encode(y),
        );
        Ok(Self {
            key,
            key_id: URL_SAFE_NO_PAD.encode(Sha256::digest(jwk)),
        })
    }

    /// A card as its text.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn code(&self, card: &Card) -> Result<String, MintError> {
        let header = json!({ "alg": "ES256", "zip": "DEF", "kid": self.key_id });
        let mut body = card.body();
        if let Some(id) = &card.revocation_id {
            body["vc"]["rid"] = json!(id);
        }
        if let Some(at) = card.expires {
            body["exp"] = json!(at.as_secs());
        }
        Ok(text(&self.jws(&header.to_string(), &body.to_string())?))
    }

    /// Packs and signs.
    ///
    /// # Errors
    /// [`MintError`] if a library fails.
    pub fn jws(&self, header: &str, body: &str) -> Result<String, MintError> {
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
        packed
            .write_all(body.as_bytes())
            .map_err(failed("deflate"))?;
        let packed = packed.finish().map_err(failed("deflate"))?;
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(packed)
        );
        let signature: Signature = SigningKey::from(&self.key).sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        Ok(format!("{signed}.{signature}"))
    }

    /// `[[issuer]]` of a trust list.
    #[must_use]
    pub fn trust(&self, id: &str) -> String {
        format!(
            "[[issuer]]\nid = \"{id}\"\nprofile = \"shc\"\nclass = \"health\"\nregion = \"XX\"\n\n\
             [[issuer.key]]\nid = \"{}\"\nalgorithm = \"ES256\"\npublic = \"{}\"\n",
            self.key_id,
            p256_point(&self.key),
        )
    }

    /// A card like most.
    pub(super) fn minted(&self, seed: Seed, at: Utc) -> Result<Minted, MintError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF);
        Ok(Minted {
            text: self.code(&Card::at(seed, at)?)?,
            trust: self.trust("lab-shc"),
            keys: vec![("issuer", pem.map_err(failed("PKCS#8"))?.to_string())],
        })
    }
}

impl Card {
    fn body(&self) -> Value {
        let dose = |(i, day): (usize, &String)| {
            json!({
                "fullUrl": format!("resource:{}", i + 1),
                "resource": {
                    "resourceType": "Immunization",
                    "status": "completed",
                    "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": "208" }] },
                    "patient": { "reference": "resource:0" },
                    "occurrenceDateTime": day,
                },
            })
        };
        let patient = json!({
            "fullUrl": "resource:0",
            "resource": { "resourceType": "Patient", "name": [{ "family": "Nobody" }], "birthDate": "1990-01-01" },
        });
        let doses = self.doses.iter().enumerate().map(dose);
        let entries: Vec<_> = std::iter::once(patient).chain(doses).collect();
        json!({
            "iss": ISSUER,
            "nbf": self.not_before.as_secs(),
            "vc": {
                "type": [
                    "https://smarthealth.cards#health-card",
                    "https://smarthealth.cards#immunization",
                    "https://smarthealth.cards#covid19",
                ],
                "credentialSubject": {
                    "fhirVersion": "4.0.1",
                    "fhirBundle": { "resourceType": "Bundle", "type": "collection", "entry": entries },
                },
            },
        })
    }
}

/// The text of a JWS: two digits a character, 45 less than its code.
#[must_use]
pub fn text(jws: &str) -> String {
    let mut out = String::from("shc:/");
    for byte in jws.bytes() {
        // Writing into a string does not fail.
        let _ = write!(out, "{:02}", byte.saturating_sub(45));
    }
    out
}
