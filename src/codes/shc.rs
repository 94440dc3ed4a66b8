//! `shc`: SMART Health Cards. `shc:/` and two digits for each character of a JWS, signed by ES256 over a deflated body.
//!
//! Source: SMART Health Cards Framework 1.4 (CODES §2.5). Keys are those of the issuer's JWKS, as the trust list has them;
//! `kid` is a text. Cards of several codes (`shc:/1/2/`) are deprecated since 2022 and not read. The signature is
//! checked before the body is inflated and looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::inflate;
use super::keys::{Algorithm, IssuerKey, KEY_ID_BYTES_MAX, KeyStatus};
use super::moment;
use super::signed::{CodeFault, Health, SignedCode, Terms};
use crate::domain::certificate::COVID_19;
use crate::domain::{Certificate, Personal, Statement, TestKind, Utc};

/// What stands in front of the digits.
pub(crate) const PREFIX: &str = "shc:/";
/// The character of the digits 00.
const FIRST_CHARACTER: u8 = b'-';
/// Keys of one id that are tried (DESIGN §3).
const KEYS_MAX: usize = 4;
/// Longest `rid`, characters; the framework has 24.
const REVOCATION_ID_LEN_MAX: usize = 24;
/// A card that says this is about COVID-19.
const TYPE_COVID_19: &str = "https://smarthealth.cards#covid19";

/// Reads a code: its form, its signature, then what it says.
pub(crate) fn read(code: &str, terms: &Terms<'_>) -> Result<SignedCode, CodeFault> {
    let card = Card::unpack(code)?;
    let key = card.signer(terms)?;
    let body = card.body()?;
    let (valid_from, valid_until) = body.window(key, terms)?;
    Ok(SignedCode {
        // A card has no number. What is signed names it: the same card always has the same text.
        identifier: Personal::new(card.hash()),
        replay: None,
        window_s: 0,
        valid_from,
        valid_until,
        health: body.certificate().map(Box::new).map(Health::Certificate),
        entitlements: None,
        revocation: body.revocation(&card).into_iter().collect(),
    })
}

/// A card down to its signed text.
pub(crate) struct Card {
    key_id: String,
    /// Header and body in base64, with the dot between: what is signed.
    signed: String,
    packed: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    zip: String,
    kid: String,
}

impl Card {
    /// The form, down to the signed text.
    pub(crate) fn unpack(code: &str) -> Result<Self, CodeFault> {
        let digits = code.strip_prefix(PREFIX).ok_or(CodeFault::Form("prefix"))?;
        if digits.contains('/') {
            return Err(CodeFault::Form("one of several codes"));
        }
        let jws = letters(digits).ok_or(CodeFault::Form("digits"))?;
        let (signed, signature) = jws.rsplit_once('.').ok_or(CodeFault::Form("JWS"))?;
        let (header, packed) = signed.split_once('.').ok_or(CodeFault::Form("JWS"))?;
        let bytes = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text);
            bytes.map_err(|_| CodeFault::Form("base64"))
        };
        let header: Header =
            serde_json::from_slice(&bytes(header)?).map_err(|_| CodeFault::Form("header"))?;
        if header.zip != "DEF" {
            return Err(CodeFault::Form("compression"));
        }
        if header.alg != "ES256" || !(1..=KEY_ID_BYTES_MAX).contains(&header.kid.len()) {
            return Err(CodeFault::Form("header"));
        }
        Ok(Self {
            key_id: header.kid,
            packed: bytes(packed)?,
            signature: bytes(signature)?,
            signed: signed.to_owned(),
        })
    }

    /// The key that signed it.
    pub(crate) fn signer<'a>(&self, terms: &Terms<'a>) -> Result<&'a IssuerKey, CodeFault> {
        let named = || {
            let keys = terms.keys.iter();
            keys.filter(|key| key.id == self.key_id.as_bytes())
        };
        if named().next().is_none() {
            return Err(CodeFault::UnknownKey);
        }
        if named().all(|key| key.status == KeyStatus::Revoked) {
            return Err(CodeFault::KeyRevoked);
        }
        let message = self.signed.as_bytes();
        named()
            .filter(|key| key.status != KeyStatus::Revoked)
            .take(KEYS_MAX)
            .find(|key| {
                key.key
                    .verify_as(Algorithm::Es256, message, &self.signature, "")
            })
            .ok_or(CodeFault::Signature("issuer"))
    }

    /// What it claims; whether the signature holds is not asked here.
    pub(crate) fn body(&self) -> Result<Body, CodeFault> {
        let json = inflate::deflate(&self.packed).ok_or(CodeFault::Form("deflate"))?;
        serde_json::from_slice(&json).map_err(|_| CodeFault::Form("body"))
    }

    fn hash(&self) -> String {
        let hash: [u8; 32] = Sha256::digest(&self.signed).into();
        hash.iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// Two digits are a character, less 45.
fn letters(digits: &str) -> Option<String> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
    let letter = |&[tens, ones]: &[u8; 2]| {
        let number = digit(tens)? * 10 + digit(ones)?;
        Some(char::from(number.checked_add(FIRST_CHARACTER)?))
    };
    rest.is_empty()
        .then(|| pairs.iter().map(letter).collect::<Option<_>>())
        .flatten()
}

/// The body of a card, as far as a gate looks into it.
#[derive(Deserialize)]
pub(crate) struct Body {
    nbf: f64,
    exp: Option<f64>,
    vc: Vc,
}

#[derive(Deserialize)]
struct Vc {
    #[serde(rename = "type", default)]
    types: Vec<String>,
    #[serde(rename = "credentialSubject")]
    subject: Subject,
    rid: Option<String>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(rename = "fhirBundle")]
    bundle: Bundle,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    resource: Resource,
}

/// The resources of FHIR R4 that say something; everything else in a bundle is left out.
#[derive(Deserialize)]
#[serde(tag = "resourceType")]
enum Resource {
    #[serde(rename_all = "camelCase")]
    Immunization {
        #[serde(default)]
        status: String,
        #[serde(default)]
        vaccine_code: Concept,
        occurrence_date_time: Option<String>,
    },
    #[serde(rename_all = "camelCase")]
    Observation {
        #[serde(default)]
        status: String,
        #[serde(default)]
        code: Concept,
        effective_date_time: Option<String>,
        value_codeable_concept: Option<Concept>,
    },
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Concept {
    #[serde(default)]
    coding: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    code: Option<String>,
}

impl Concept {
    fn has(&self, codes: &[&str]) -> bool {
        let mut named = self
            .coding
            .iter()
            .filter_map(|coding| coding.code.as_deref());
        named.any(|code| codes.contains(&code))
    }
}

impl Body {
    /// First and last instant; a card without an end has none. The key's own time narrows them, but for one that was
    /// retired since.
    pub(crate) fn window(
        &self,
        key: &IssuerKey,
        terms: &Terms<'_>,
    ) -> Result<(Option<Utc>, Option<Utc>), CodeFault> {
        let made = moment::seconds(self.nbf).ok_or(CodeFault::Terms("nbf"))?;
        let expires = match self.exp {
            None => None,
            Some(exp) => Some(moment::seconds(exp).ok_or(CodeFault::Terms("exp"))?),
        };
        let skew = std::time::Duration::from_secs(terms.params.skew_s.into());
        let from = Some(made - skew).max(key.valid_from);
        match (key.status, key.valid_until) {
            (KeyStatus::Retired, Some(last)) if made > last => {
                Err(CodeFault::Terms("issued after its key was retired"))
            }
            (KeyStatus::Retired, _) => Ok((from, expires)),
            (KeyStatus::Active | KeyStatus::Revoked, last) => {
                Ok((from, expires.into_iter().chain(last).min()))
            }
        }
    }

    /// What the bundle states: its doses, or else its newest test.
    fn certificate(&self) -> Option<Certificate> {
        let is_covid_19 = self.vc.types.iter().any(|kind| kind == TYPE_COVID_19);
        Some(Certificate {
            disease: if is_covid_19 { COVID_19 } else { "" }.to_owned(),
            statement: self.doses().or_else(|| self.test())?,
            country: None,
        })
    }

    /// Cards list all doses of a series, and do not say how many make one. Two entries of one day are one dose.
    fn doses(&self) -> Option<Statement> {
        let mut doses: Vec<(Utc, &Concept)> = self
            .resources()
            .filter_map(|resource| match resource {
                Resource::Immunization {
                    status,
                    vaccine_code,
                    occurrence_date_time,
                } if status == "completed" => {
                    Some((moment::day(occurrence_date_time.as_ref()?)?, vaccine_code))
                }
                Resource::Immunization { .. } | Resource::Observation { .. } | Resource::Other => {
                    None
                }
            })
            .collect();
        doses.sort_by_key(|(day, _)| *day);
        doses.dedup_by_key(|(day, _)| *day);
        let (given, vaccine) = doses.last()?;
        let code = vaccine
            .coding
            .first()
            .and_then(|coding| coding.code.as_deref());
        Some(Statement::Dose {
            number: u8::try_from(doses.len()).unwrap_or(u8::MAX),
            of: None,
            given: *given,
            product: format!("cvx:{}", code.unwrap_or_default()),
        })
    }

    fn test(&self) -> Option<Statement> {
        let tests = self.resources().filter_map(|resource| match resource {
            Resource::Observation {
                status,
                code,
                effective_date_time,
                value_codeable_concept: Some(value),
            } if matches!(status.as_str(), "final" | "amended" | "corrected") => {
                // SNOMED CT, LOINC answers: detected or positive; not detected or negative.
                let positive = value.has(&["260373001", "10828004", "LA11882-0", "LA6576-8"]);
                let negative = value.has(&["260415000", "260385009", "LA11883-8", "LA6577-6"]);
                let taken = moment::instant(effective_date_time.as_ref()?)?;
                (positive != negative).then_some((taken, positive, kind_of_test(code)))
            }
            Resource::Immunization { .. } | Resource::Observation { .. } | Resource::Other => None,
        });
        let (taken, positive, kind) = tests.max_by_key(|(taken, ..)| *taken)?;
        Some(Statement::Test {
            kind,
            taken,
            positive,
        })
    }

    fn resources(&self) -> impl Iterator<Item = &Resource> {
        let entries = self.vc.subject.bundle.entry.iter();
        entries.map(|entry| &entry.resource)
    }

    /// A list of revoked cards names the key and what the key's owner calls the card.
    fn revocation(&self, card: &Card) -> Option<String> {
        let id = self.vc.rid.as_ref()?;
        let fits = (1..=REVOCATION_ID_LEN_MAX).contains(&id.len());
        fits.then(|| format!("shc:{}:{id}", card.key_id))
    }
}

/// LOINC codes of the framework's value sets for COVID-19.
fn kind_of_test(code: &Concept) -> TestKind {
    if code.has(&[
        "94500-6", "94309-2", "94565-9", "94531-1", "94845-5", "95406-5",
    ]) {
        TestKind::NucleicAcid
    } else if code.has(&["94558-4", "95209-3", "96119-3", "97097-0"]) {
        TestKind::Antigen
    } else {
        TestKind::Other
    }
}
