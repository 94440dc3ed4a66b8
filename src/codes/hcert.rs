//! `hcert`: the EU health certificate and its kin. `HC1:`, base45, zlib, `COSE_Sign1`, CWT, and in that the certificate.
//!
//! Source: hcert_spec 1.0.8 and the schema 1.3 of the EU (CODES §2.1, §2.2). A key is trusted because it stands on the
//! list; its id in the signed header counts before the one in the other header, and all keys of that id are tried. What
//! the key may vouch for is written in its certificate. The signature is checked before the claims are looked at.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::cose::{Map, Sign1};
use super::inflate;
use super::keys::{IssuerKey, KeyStatus, PublicKey, Usage};
use super::moment;
use super::signed::{CodeFault, Health, SignedCode, Terms};
use crate::domain::{Certificate, Personal, Statement, TestKind, Utc};

/// What stands in front of the base45.
pub(crate) const PREFIX: &str = "HC1:";
/// Keys of one id that are tried (DESIGN §3).
const KEYS_MAX: usize = 4;
/// Longest identifier of a certificate, bytes: the schema has 80.
const IDENTIFIER_LEN_MAX: usize = 128;
/// Bytes of a hash in revocation lists (CODES §2.2).
const REVOCATION_LEN: usize = 16;

/// Claims (RFC 8392 §3.1; hcert_spec §3.3).
mod claim {
    pub(super) const ISSUER: i64 = 1;
    pub(super) const EXPIRES: i64 = 4;
    pub(super) const ISSUED: i64 = 6;
    pub(super) const HEALTH: i64 = -260;
    pub(super) const HEALTH_V1: i64 = 1;
}

/// Reads a code: its form, its signature, then what it says.
pub(crate) fn read(code: &str, terms: &Terms<'_>) -> Result<SignedCode, CodeFault> {
    let signed = unpack(code)?;
    let key = signer(&signed, terms)?;
    let claims = Claims::of(&signed)?;
    let (valid_from, valid_until) = claims.window(key, terms)?;
    let entry = claims.entry()?;
    if !key.usage.is_empty() && !key.usage.contains(&entry.usage()) {
        return Err(CodeFault::KeyUsage);
    }
    let identifier = entry.identifier()?;
    Ok(SignedCode {
        revocation: revocation(&signed, key, &claims, &entry, &identifier),
        identifier: Personal::new(identifier),
        replay: None,
        window_s: 0,
        valid_from,
        valid_until,
        health: Some(Health::Certificate(Box::new(Certificate {
            disease: entry.text("tg")?.to_owned(),
            statement: entry.statement()?,
            country: claims.country.clone(),
        }))),
        entitlements: None,
    })
}

/// The form, down to the signed bytes.
pub(crate) fn unpack(code: &str) -> Result<Sign1, CodeFault> {
    let text = code.strip_prefix(PREFIX).ok_or(CodeFault::Form("prefix"))?;
    let packed = base45::decode(text).map_err(|_| CodeFault::Form("base45"))?;
    // The last two letters can stand for more than a byte; the library cuts that off.
    if base45::encode(&packed) != text {
        return Err(CodeFault::Form("base45"));
    }
    let bytes = inflate::zlib(&packed).ok_or(CodeFault::Form("zlib"))?;
    Sign1::read(&bytes)
}

/// The key that signed it.
pub(crate) fn signer<'a>(code: &Sign1, terms: &Terms<'a>) -> Result<&'a IssuerKey, CodeFault> {
    let id = code.key_id().ok_or(CodeFault::UnknownKey)?;
    let named = || terms.keys.iter().filter(|key| key.id == id);
    if named().next().is_none() {
        return Err(CodeFault::UnknownKey);
    }
    if named().all(|key| key.status == KeyStatus::Revoked) {
        return Err(CodeFault::KeyRevoked);
    }
    let wrong = CodeFault::Signature("issuer");
    let algorithm = code.algorithm().ok_or(wrong)?;
    let signed = code.signed();
    let id = &terms.params.sm2_id;
    named()
        .filter(|key| key.status != KeyStatus::Revoked)
        .take(KEYS_MAX)
        .find(|key| key.key.verify_as(algorithm, &signed, &code.signature, id))
        .ok_or(wrong)
}

/// What a certificate claims.
pub(crate) struct Claims {
    country: Option<String>,
    issued: Option<Utc>,
    expires: Option<Utc>,
    health: Option<Map>,
}

impl Claims {
    /// Reads the claims; whether the signature holds is not asked here.
    pub(crate) fn of(code: &Sign1) -> Result<Self, CodeFault> {
        let claims = Map::read(&code.payload).ok_or(CodeFault::Form("claims"))?;
        let moment = |claim| claims.get(claim).and_then(moment::numeric);
        let country = claims.text(claim::ISSUER).filter(|text| text.len() <= 2);
        Ok(Self {
            country: country.map(str::to_owned),
            issued: moment(claim::ISSUED),
            expires: moment(claim::EXPIRES),
            health: claims
                .map(claim::HEALTH)
                .and_then(|health| health.map(claim::HEALTH_V1)),
        })
    }

    /// First and last instant. A key that is in use narrows them to its own; one that is not any more has vouched for what
    /// it signed before.
    pub(crate) fn window(
        &self,
        key: &IssuerKey,
        terms: &Terms<'_>,
    ) -> Result<(Option<Utc>, Option<Utc>), CodeFault> {
        let issued = self.issued.ok_or(CodeFault::Terms("time of issue"))?;
        let expires = self.expires.ok_or(CodeFault::Terms("end"))?;
        let skew = std::time::Duration::from_secs(terms.params.skew_s.into());
        let (from, until) = (Some(issued - skew), Some(expires));
        match (key.status, key.valid_until) {
            (KeyStatus::Retired, Some(last)) if issued > last => {
                Err(CodeFault::Terms("issued after its key was retired"))
            }
            (KeyStatus::Retired, _) => Ok((from.max(key.valid_from), until)),
            (KeyStatus::Active | KeyStatus::Revoked, last) => Ok((
                from.max(key.valid_from),
                until.into_iter().chain(last).min(),
            )),
        }
    }

    fn entry(&self) -> Result<Entry, CodeFault> {
        let wrong = CodeFault::Terms("certificate");
        let health = self.health.as_ref().ok_or(wrong)?;
        let mut entries = Vec::new();
        for (name, kind) in [
            ("v", Usage::Vaccination),
            ("t", Usage::Test),
            ("r", Usage::Recovery),
        ] {
            match health.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::Array(list)) => entries.extend(list.iter().map(|item| (kind, item))),
                Some(_) => return Err(wrong),
            }
        }
        match entries.as_slice() {
            [(kind, item)] => {
                let map = Map::of((*item).clone()).ok_or(wrong)?;
                Ok(Entry { kind: *kind, map })
            }
            [] => Err(wrong),
            [..] => Err(CodeFault::Terms("more than one statement")),
        }
    }
}

/// The one thing that a certificate states.
struct Entry {
    kind: Usage,
    map: Map,
}

impl Entry {
    const fn usage(&self) -> Usage {
        self.kind
    }

    fn text(&self, key: &'static str) -> Result<&str, CodeFault> {
        self.map.text(key).ok_or(CodeFault::Terms(key))
    }

    fn identifier(&self) -> Result<String, CodeFault> {
        let text = self.text("ci")?.trim_ascii();
        let fits = (1..=IDENTIFIER_LEN_MAX).contains(&text.len());
        (fits && !text.contains(char::is_control))
            .then(|| text.to_owned())
            .ok_or(CodeFault::Terms("ci"))
    }

    fn day(&self, key: &'static str) -> Result<Utc, CodeFault> {
        moment::day(self.text(key)?).ok_or(CodeFault::Terms(key))
    }

    fn small(&self, key: &'static str) -> Result<u8, CodeFault> {
        let number = self.map.number(key).map(u8::try_from);
        number.and_then(Result::ok).ok_or(CodeFault::Terms(key))
    }

    fn statement(&self) -> Result<Statement, CodeFault> {
        Ok(match self.kind {
            Usage::Vaccination => Statement::Dose {
                number: self.small("dn")?,
                of: Some(self.small("sd")?),
                given: self.day("dt")?,
                product: self.text("mp")?.to_owned(),
            },
            Usage::Test => Statement::Test {
                // LOINC codes of the EU's value set `covid-19-lab-test-type`.
                kind: match self.text("tt")? {
                    "LP6464-4" => TestKind::NucleicAcid,
                    "LP217198-3" => TestKind::Antigen,
                    _ => TestKind::Other,
                },
                taken: moment::instant(self.text("sc")?).ok_or(CodeFault::Terms("sc"))?,
                // SNOMED CT: "detected", and "not detected". Anything else helps nobody.
                positive: match self.text("tr")? {
                    "260373001" => true,
                    "260415000" => false,
                    _ => return Err(CodeFault::Terms("tr")),
                },
            },
            Usage::Recovery => Statement::Recovery {
                first_positive: self.day("fr")?,
                from: self.day("df")?,
                until: last_instant(self.day("du")?),
            },
        })
    }
}

/// The last instant of a day.
fn last_instant(day: Utc) -> Utc {
    day + std::time::Duration::from_millis(86_399_999)
}

/// Under which names lists of the EU's gateway revoke it: hashes of the identifier, of country and identifier, and of the
/// signature, of which ECDSA counts r only, because s can be altered.
fn revocation(
    code: &Sign1,
    key: &IssuerKey,
    claims: &Claims,
    entry: &Entry,
    identifier: &str,
) -> Vec<String> {
    let signature = match key.key {
        PublicKey::Rsa(_) => Some(code.signature.as_slice()),
        PublicKey::P256(_) | PublicKey::P384(_) | PublicKey::Sm2(_) | PublicKey::Ed25519(_) => {
            code.signature.get(..code.signature.len() / 2)
        }
    };
    let mut countries = vec![claims.country.as_deref(), entry.map.text("co")];
    countries.dedup();
    let countries = countries.into_iter().flatten();
    let with_country = countries.map(|country| {
        let text = format!("{country}{identifier}");
        ("countrycodeuci", text.into_bytes())
    });
    let plain = [
        Some(("uci", identifier.as_bytes().to_vec())),
        signature.map(|bytes| ("signature", bytes.to_vec())),
    ];
    let names = plain.into_iter().flatten().chain(with_country);
    names
        .map(|(kind, bytes)| {
            let hash: [u8; 32] = Sha256::digest(bytes).into();
            hash.iter()
                .take(REVOCATION_LEN)
                .fold(format!("{kind}:"), |text, byte| format!("{text}{byte:02x}"))
        })
        .collect()
}
