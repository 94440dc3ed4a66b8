//! National transit ride codes of a lab: root, issuer and phone in one hand.

use sm2::dsa::SigningKey;
use sm2::dsa::signature::Signer as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::pkcs8::{EncodePrivateKey as _, LineEnding};

use super::{MintError, Minted, Seed, failed, hex};
use crate::domain::Utc;

/// The distinguishing id that everybody uses who agreed on nothing else (GB/T 35276).
pub const SM2_ID: &str = "1234567812345678";

/// Three keys, each signed by the one before.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The key that gates have.
    pub root: SigningKey,
    /// The transit company's.
    pub issuer: SigningKey,
    /// The phone's.
    pub phone: SigningKey,
    /// The place of the root among those of its authority.
    pub root_index: u8,
}

/// What a code says.
#[derive(Clone, Debug)]
pub struct Ride {
    /// Card account number, packed BCD.
    pub card: [u8; 10],
    /// When the phone made it.
    pub made: Utc,
    /// For how long it is good, seconds.
    pub validity_s: u16,
    /// Up to when the phone may make codes.
    pub authorised_until: Utc,
    /// Last month of the issuer's certificate: month, and year of the century, packed BCD.
    pub last_month: [u8; 2],
    /// The issuer's private area, at most 32 bytes.
    pub area: Vec<u8>,
}

/// The dialect of an issuer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialect {
    /// Zero of the times, seconds since 1970.
    pub epoch_s: u32,
    /// True if the issuer's signature stands before the private area.
    pub signature_first: bool,
}

impl Ride {
    /// A ride like most: good for a minute, the phone for a month, the issuer for a year or more.
    #[must_use]
    pub fn at(seed: Seed, made: Utc) -> Self {
        let digits = seed.digits("card", 20);
        let mut card = [0; 10];
        for (byte, pair) in card.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = pair.iter().fold(0, |all, digit| all << 4 | (digit - b'0'));
        }
        // Twelve average months after 1970 are close enough for a certificate of more than a year.
        let years = u8::try_from(made.as_secs() / 31_556_952 + 1970 + 1 - 2000).unwrap_or(99);
        Self {
            card,
            made,
            validity_s: 60,
            authorised_until: Utc::from_secs(made.as_secs() + 30 * 86_400),
            last_month: [0x12, years / 10 % 10 << 4 | years % 10],
            area: vec![0x5F, 0, 0, 0, 0, 0, 0, 1],
        }
    }
}

impl Chain {
    /// The keys of a seed. SM2 signs the id with every message, so the keys are for one id.
    ///
    /// # Errors
    /// [`MintError`] for one seed in 2^32.
    pub fn new(seed: Seed, sm2_id: &str) -> Result<Self, MintError> {
        let key = |name| {
            let secret = sm2::SecretKey::from_slice(&seed.bytes(name)).map_err(failed("SM2"))?;
            SigningKey::new(sm2_id, &secret).map_err(failed("an SM2 key"))
        };
        Ok(Self {
            root: key("ride.v81 root")?,
            issuer: key("ride.v81 issuer")?,
            phone: key("ride.v81 phone")?,
            root_index: 1,
        })
    }

    /// The issuer's certificate, signed by the root.
    #[must_use]
    pub fn certificate(&self, last_month: [u8; 2]) -> Vec<u8> {
        let mut out = vec![0x24, 0x01, 0x01, 0x00, 0x00, self.root_index];
        let signed_from = out.len();
        out.extend([0x12, 0x00, 0x00, 0x90, 0x01]);
        out.extend(last_month);
        out.extend([0x00, 0x00, 0x01, 0x04, 0x04, 0x00, 0x21]);
        out.extend(point(&self.issuer));
        let signature = sign(&self.root, out.get(signed_from..).unwrap_or_default());
        out.extend(signature);
        out
    }

    /// A code as the bytes that a phone shows.
    ///
    /// # Errors
    /// [`MintError::Range`].
    pub fn code(&self, ride: &Ride, dialect: Dialect) -> Result<Vec<u8>, MintError> {
        const RANGE: MintError = MintError::Range("the private area");
        let area_len = u8::try_from(ride.area.len()).map_err(|_| RANGE)?;
        let rest = u16::try_from(329 + ride.area.len()).map_err(|_| RANGE)?;
        let moment = |at: Utc| {
            let seconds = at.as_secs().checked_sub(dialect.epoch_s.into());
            let seconds = seconds.and_then(|s| u32::try_from(s).ok());
            seconds
                .map(u32::to_be_bytes)
                .ok_or(MintError::Range("a time"))
        };
        let mut out = vec![0x81];
        out.extend(rest.to_be_bytes());
        out.extend(self.certificate(ride.last_month));
        out.extend([0; 16]);
        out.extend(ride.card);
        out.extend([0x00, 0x00, 0x90, 0x01, 0x00, 0x00, 0x00, 0x01]);
        out.extend([0x01, 0x00, 0x27, 0x10]);
        out.extend(point(&self.phone));
        out.extend(moment(ride.authorised_until)?);
        out.extend(ride.validity_s.to_be_bytes());
        let area = [&[area_len], ride.area.as_slice()].concat();
        if !dialect.signature_first {
            out.extend(&area);
        }
        let signature = sign(&self.issuer, out.get(3..).unwrap_or_default());
        out.push(0x15);
        out.extend(signature);
        if dialect.signature_first {
            out.extend(&area);
        }
        out.extend(moment(ride.made)?);
        let signature = sign(&self.phone, &out);
        out.push(0x15);
        out.extend(signature);
        Ok(out)
    }

    /// `[[issuer]]` of a trust list.
    #[must_use]
    pub fn trust(&self, id: &str) -> String {
        format!(
            "[[issuer]]\nid = \"{id}\"\nprofile = \"ride.v81\"\nclass = \"ride\"\n\
             detect = [{{ first_bytes = \"81\" }}]\n\n\
             [[issuer.key]]\nid = \"hex:{:02x}\"\nalgorithm = \"SM2\"\npublic = \"{}\"\n",
            self.root_index,
            hex(&point(&self.root)),
        )
    }

    /// A ride like most, as text: ISO 8859-1, as QR readers give it.
    pub(super) fn minted(&self, seed: Seed, at: Utc) -> Result<Minted, MintError> {
        let bytes = self.code(&Ride::at(seed, at), Dialect::default())?;
        let pem = |key: &SigningKey| {
            let secret = sm2::SecretKey::from(*key.as_nonzero_scalar());
            let pem = secret.to_pkcs8_pem(LineEnding::LF);
            pem.map(|pem| pem.to_string()).map_err(failed("PKCS#8"))
        };
        Ok(Minted {
            text: text(&bytes),
            trust: self.trust("lab-ride-v81"),
            keys: vec![
                ("root", pem(&self.root)?),
                ("issuer", pem(&self.issuer)?),
                ("phone", pem(&self.phone)?),
            ],
        })
    }
}

/// Bytes as QR readers give them that know text only: ISO 8859-1.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn point(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(true).as_bytes().to_vec()
}

fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let signature: sm2::dsa::Signature = key.sign(message);
    signature.to_bytes().into()
}
