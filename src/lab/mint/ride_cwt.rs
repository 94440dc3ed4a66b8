//! Open ride codes of a lab: issuer and phone in one hand. The format is described in `codes::ride_cwt`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value;
use coset::cwt::{ClaimsSetBuilder, Timestamp};
use coset::{AsCborValue as _, CborSerializable as _, CoseSign1, CoseSign1Builder, Header, iana};
use ed25519_dalek::Signer as _;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};

use super::{MintError, Minted, Seed, failed, hex};
use crate::domain::{Colour, Utc};

/// The header parameter that carries the token (RFC 9528, `kcwt`).
const TOKEN: i64 = 14;
/// The claim of this format.
const RIDE: i64 = -65_537;

/// A key that signs: what an issuer has, or what a phone keeps in its hardware.
#[derive(Clone, Debug)]
pub enum Key {
    /// Edwards curve 25519.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// P-256.
    P256(p256::SecretKey),
}

/// An issuer and one phone.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The issuer's key.
    pub issuer: Key,
    /// Its id.
    pub key_id: Vec<u8>,
    /// The phone's key.
    pub phone: Key,
}

/// What the issuer says of the holder.
#[derive(Clone, Debug)]
pub struct Token {
    /// The holder's account.
    pub account: String,
    /// First second of the token.
    pub not_before: Option<Utc>,
    /// Last second of the token.
    pub expires: Utc,
    /// For how long a code of the phone is good, seconds.
    pub validity_s: Option<u16>,
    /// The holder's colour.
    pub colour: Option<Colour>,
    /// What the holder may use; bit 0 is the ride.
    pub entitlements: Option<u16>,
}

impl Token {
    /// A token like most: good for a day, its codes for a minute, and it says all that it can say.
    #[must_use]
    pub fn at(seed: Seed, now: Utc) -> Self {
        Self {
            account: format!("R{}", seed.digits("account", 15)),
            not_before: None,
            expires: Utc::from_secs(now.as_secs() + 86_400),
            validity_s: Some(60),
            colour: Some(Colour::Green),
            entitlements: Some(1),
        }
    }
}

impl Chain {
    /// The keys of a seed: the issuer's on the Edwards curve, the phone's on P-256, which phones keep in hardware.
    ///
    /// # Errors
    /// [`MintError`] for one seed in 2^32.
    pub fn new(seed: Seed) -> Result<Self, MintError> {
        let issuer = ed25519_dalek::SigningKey::from_bytes(&seed.bytes("ride.cwt issuer"));
        Ok(Self {
            issuer: Key::Ed25519(Box::new(issuer)),
            key_id: seed.bytes("ride.cwt key id")[..2].to_vec(),
            phone: Key::P256(seed.p256("ride.cwt phone")?),
        })
    }

    /// The issuer's part: it changes once a day.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn token(&self, token: &Token) -> Result<CoseSign1, MintError> {
        let mut claims = ClaimsSetBuilder::new()
            .subject(token.account.clone())
            .expiration_time(seconds(token.expires))
            .claim(
                iana::CwtClaimName::Cnf,
                Value::Map(vec![(1.into(), self.phone.public())]),
            );
        if let Some(from) = token.not_before {
            claims = claims.not_before(seconds(from));
        }
        let says = [
            (1, token.validity_s.map(Value::from)),
            (2, token.colour.map(colour)),
            (3, token.entitlements.map(Value::from)),
        ];
        let says: Vec<_> = says
            .into_iter()
            .filter_map(|(key, value)| Some((Value::from(key), value?)))
            .collect();
        if !says.is_empty() {
            claims = claims.private_claim(RIDE, Value::Map(says));
        }
        let claims = claims.build().to_vec().map_err(failed("claims"))?;
        Ok(self.sign_token(claims))
    }

    /// The issuer's part around claims as they are, good or not.
    #[must_use]
    pub fn sign_token(&self, claims: Vec<u8>) -> CoseSign1 {
        let header = Header {
            key_id: self.key_id.clone(),
            ..self.issuer.header()
        };
        signed(&self.issuer, header, claims)
    }

    /// The phone's part: a code for now, around the token.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn code(&self, token: CoseSign1, made: Utc, nonce: &[u8]) -> Result<Vec<u8>, MintError> {
        let claims = ClaimsSetBuilder::new()
            .issued_at(seconds(made))
            .cwt_id(nonce.to_vec())
            .build();
        self.sign_code(token, claims.to_vec().map_err(failed("claims"))?)
    }

    /// The phone's part around a payload as it is, good or not.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn sign_code(&self, token: CoseSign1, payload: Vec<u8>) -> Result<Vec<u8>, MintError> {
        let token = token.to_cbor_value().map_err(failed("a token"))?;
        let mut header = self.phone.header();
        header.rest.push((coset::Label::Int(TOKEN), token));
        let code = signed(&self.phone, header, payload);
        code.to_vec().map_err(failed("a code"))
    }

    /// `[[issuer]]` of a trust list.
    #[must_use]
    pub fn trust(&self, id: &str) -> String {
        let (algorithm, public) = match &self.issuer {
            Key::Ed25519(key) => ("Ed25519", spki(&key.verifying_key().to_bytes())),
            Key::P256(key) => ("ES256", super::p256_point(key)),
        };
        format!(
            "[[issuer]]\nid = \"{id}\"\nprofile = \"ride.cwt\"\nclass = \"combined\"\n\
             detect = [{{ prefix = \"RC1:\" }}]\n\n\
             [[issuer.key]]\nid = \"hex:{}\"\nalgorithm = \"{algorithm}\"\npublic = \"{public}\"\n",
            hex(&self.key_id),
        )
    }

    /// A code like most.
    pub(super) fn minted(&self, seed: Seed, at: Utc) -> Result<Minted, MintError> {
        let token = self.token(&Token::at(seed, at))?;
        let nonce = seed.bytes(&format!("nonce {}", at.as_secs()));
        Ok(Minted {
            text: text(&self.code(token, at, &nonce[..8])?),
            trust: self.trust("lab-ride-cwt"),
            keys: vec![("issuer", self.issuer.pem()?), ("phone", self.phone.pem()?)],
        })
    }
}

impl Key {
    fn header(&self) -> Header {
        let algorithm = match self {
            Self::Ed25519(_) => iana::Algorithm::EdDSA,
            Self::P256(_) => iana::Algorithm::ES256,
        };
        Header {
            alg: Some(coset::Algorithm::Assigned(algorithm)),
            ..Header::default()
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::P256(key) => {
                let key = SigningKey::from(key);
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::signature::Signer::sign(&key, message);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// The public key as a `COSE_Key` (RFC 9053 §7).
    fn public(&self) -> Value {
        let (kind, curve, x, odd) = match self {
            Self::Ed25519(key) => (1, 6, key.verifying_key().as_bytes().to_vec(), None),
            Self::P256(key) => {
                let point = key.public_key().to_sec1_point(true);
                let (tag, x) = point.as_bytes().split_at(1);
                (2, 1, x.to_vec(), Some(tag == [3]))
            }
        };
        let mut map = vec![
            (1.into(), kind.into()),
            ((-1).into(), curve.into()),
            ((-2).into(), Value::Bytes(x)),
        ];
        map.extend(odd.map(|odd| ((-3).into(), Value::Bool(odd))));
        Value::Map(map)
    }

    fn pem(&self) -> Result<String, MintError> {
        let pem = match self {
            Self::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map(|pem| pem.to_string()).map_err(failed("PKCS#8"))
    }
}

/// A code as its text: the prefix and base45.
#[must_use]
pub fn text(code: &[u8]) -> String {
    format!("RC1:{}", base45::encode(code))
}

fn signed(key: &Key, header: Header, payload: Vec<u8>) -> CoseSign1 {
    CoseSign1Builder::new()
        .protected(header)
        .payload(payload)
        .create_signature(&[], |message| key.sign(message))
        .build()
}

/// A public key on the Edwards curve as trust lists hold it: the base64 of its SPKI (RFC 8410 §4).
fn spki(point: &[u8; 32]) -> String {
    let head = [
        0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    STANDARD.encode([&head, &point[..]].concat())
}

fn seconds(at: Utc) -> Timestamp {
    Timestamp::WholeSeconds(i64::try_from(at.as_secs()).unwrap_or(i64::MAX))
}

fn colour(colour: Colour) -> Value {
    Value::from(match colour {
        Colour::Green => 0,
        Colour::Yellow => 1,
        Colour::Red => 2,
    })
}
