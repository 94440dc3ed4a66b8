//! `ride.v81`: the national transit ride code, made by a phone and good for a minute or ten, without any network.
//!
//! The official text (JT/T 1179) is not public. Layout and signed ranges are those that four independent public code
//! bases agree on, of which two signatures of a published sample were checked (CODES §1.5). All numbers are big-endian.
//!
//! | Offset | Bytes | Field |
//! |---|---|---|
//! | 0 | 1 | version, 0x81: the certificate is inside |
//! | 1 | 2 | length of what follows |
//! | 3 | 117 | certificate of the issuer's key, see below |
//! | 120 | 16 | payment account, ASCII; may be empty |
//! | 136 | 10 | **card account number**, 20 BCD digits: the identifier here |
//! | 146 | 4 + 4 + 1 + 3 | issuer number, platform number, kind of account, limit of one payment |
//! | 158 | 33 | key of the phone, a compressed SM2 point |
//! | 191 | 4 | authorised until, seconds since the issuer's epoch |
//! | 195 | 2 | validity of a code, seconds |
//! | 197 | 1 + L | the issuer's private area, at most 32 bytes, with its length |
//! | 198+L | 1 + 64 | 0x15, the issuer's signature over bytes 3 up to here |
//! | 263+L | 4 | made at, seconds since the issuer's epoch |
//! | 267+L | 1 + 64 | 0x15, the phone's signature over all bytes up to here |
//!
//! | Offset in the certificate | Bytes | Field |
//! |---|---|---|
//! | 0 | 1 + 4 | head 0x24, service 01 01 00 00 |
//! | 5 | 1 | index of the root key: the id of a key in the trust list, one byte |
//! | 6 | 1 + 4 | format 0x12, issuer, 8 BCD digits |
//! | 11 | 2 | last month of validity, MMYY in BCD |
//! | 13 | 3 | serial number |
//! | 16 | 1 + 1 + 1 + 1 | signed by 04 (SM2), key of 04 (SM2), parameter 00, length 0x21 |
//! | 20 | 33 | the issuer's key, a compressed SM2 point |
//! | 53 | 64 | the root's signature over bytes 6 to 52 |
//!
//! **Dialects** are parameters of the issuer in the trust list. Times may count from 2000 instead of 1970. A metro's public
//! generator puts the issuer's signature in front of the private area and its length, because its phones fill that area in
//! on the way; the issuer's signature then covers what stands before it, and the phone's covers all (inferred).
//!
//! **Text.** Phones show the bytes as they are, and QR readers that give text read them as ISO 8859-1, as ours does for what
//! is no UTF-8; a code cannot be UTF-8, as none begins with 0x81. Scanner modules on serial lines are set to write hex or
//! base64, because a line of raw bytes ends at the first 0x0D of a signature. All three are read; the signed bytes are the
//! same.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};

use super::id_card;
use super::keys::{Algorithm, KeyStatus, PublicKey};
use super::signed::{CodeFault, SignedCode, Terms};
use crate::domain::{Personal, Utc};

/// A code without a private area.
const LEN_MIN: usize = 332;
/// Longest private area.
const AREA_LEN_MAX: usize = 32;
/// Bytes up to and with the length.
const HEAD_LEN: usize = 3;
/// What stands in front of a signature.
const SIGNATURE_TAG: u8 = 0x15;
/// Roots of one index that are tried: the current one and those it replaces.
const ROOTS_MAX: usize = 4;
/// The bit of [`SignedCode::entitlements`] that a ride code stands for.
const RIDE: u16 = 1;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads a code: its form, then root, issuer and phone, each by the key of the one before, then what they say.
pub(crate) fn read(code: &str, terms: &Terms<'_>) -> Result<SignedCode, CodeFault> {
    let bytes = bytes_of(code)?;
    let code = Code::parse(&bytes, terms.params.signature_first)?;
    let root = code.certificate.check(terms)?;
    let holds = |key: &[u8; 33], message, signature: &[u8; 64]| {
        let key = PublicKey::from_point(Algorithm::Sm2, key).ok()?;
        key.verify(message, signature, &terms.params.sm2_id)
            .then_some(())
    };
    holds(
        code.certificate.key,
        code.issuer_signed,
        code.issuer_signature,
    )
    .ok_or(CodeFault::Signature("issuer"))?;
    holds(code.phone_key, code.phone_signed, code.phone_signature)
        .ok_or(CodeFault::Signature("phone"))?;

    let digits = bcd(code.card).ok_or(CodeFault::Terms("card account number"))?;
    let validity_s = u32::from(u16::from_be_bytes(*code.validity));
    if validity_s > terms.params.validity_max_s {
        return Err(CodeFault::Terms("validity"));
    }
    let moment = |field: &[u8; 4]| {
        u64::from(terms.params.epoch_s).saturating_add(u32::from_be_bytes(*field).into())
    };
    let made = moment(code.made);
    let skew_s = terms.params.skew_s;
    let made_from = Utc::from_secs(made.saturating_sub(skew_s.into()));
    let until = [
        Some(Utc::from_secs(made.saturating_add(validity_s.into()))),
        Some(Utc::from_secs(moment(code.authorised_until))),
        Some(code.certificate.valid_until()?),
        root.until,
    ];
    Ok(SignedCode {
        identifier: Personal::new(digits),
        replay: Some(Sha256::digest(code.phone_signed).into()),
        window_s: validity_s.saturating_add(skew_s),
        valid_from: root.from.max(Some(made_from)),
        valid_until: until.into_iter().flatten().min(),
        health: None,
        entitlements: Some(RIDE),
        revocation: Vec::new(),
    })
}

/// The index of the root that a code asks for, as the id of a key. Nothing of the code is checked or believed.
pub(super) fn names_key(code: &str) -> Option<Vec<u8>> {
    let bytes = bytes_of(code).ok()?;
    let certificate = bytes.get(HEAD_LEN..)?.first_chunk()?;
    Some(vec![Certificate::parse(certificate).ok()?.root])
}

/// The bytes of a code, however they came to be text.
fn bytes_of(code: &str) -> Result<Vec<u8>, CodeFault> {
    const NO_BYTES: CodeFault = CodeFault::Form("neither bytes nor hex nor base64");
    let is_text = code.is_ascii();
    let code = if is_text { code.trim_ascii() } else { code };
    // Hex has two bytes for one, and ISO 8859-1 as UTF-8 as well.
    if code.len() > 2 * (LEN_MIN + AREA_LEN_MAX) {
        return Err(CodeFault::Form("too long"));
    }
    if !is_text {
        return code
            .chars()
            .map(|c| u8::try_from(c).map_err(|_| NO_BYTES))
            .collect();
    }
    if code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return hex(code).ok_or(NO_BYTES);
    }
    STANDARD
        .decode(code)
        .or_else(|_| URL_SAFE.decode(code))
        .map_err(|_| NO_BYTES)
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(u8::try_from);
    rest.is_empty().then_some(())?;
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)?.ok()? << 4 | digit(low)?.ok()?))
        .collect()
}

/// Digits of packed BCD; none if one of them is no digit.
fn bcd(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .map(|digit| char::from_digit(digit.into(), 10))
        .collect()
}

/// The fields that somebody looks at, where they stand.
struct Code<'a> {
    certificate: Certificate<'a>,
    card: &'a [u8; 10],
    phone_key: &'a [u8; 33],
    authorised_until: &'a [u8; 4],
    validity: &'a [u8; 2],
    issuer_signed: &'a [u8],
    issuer_signature: &'a [u8; 64],
    made: &'a [u8; 4],
    phone_signed: &'a [u8],
    phone_signature: &'a [u8; 64],
}

impl<'a> Code<'a> {
    fn parse(bytes: &'a [u8], signature_first: bool) -> Result<Self, CodeFault> {
        let mut at = Cursor { bytes, at: 0 };
        if at.take()? != &[0x81] {
            return Err(CodeFault::Form("version"));
        }
        let length = usize::from(u16::from_be_bytes(*at.take()?));
        if length + HEAD_LEN != bytes.len() {
            return Err(CodeFault::Form("length"));
        }
        let certificate = Certificate::parse(at.take()?)?;
        let _payment_account: &[u8; 16] = at.take()?;
        let card = at.take()?;
        let _issuer_platform_kind_limit: &[u8; 12] = at.take()?;
        let phone_key = at.take()?;
        let authorised_until = at.take()?;
        let validity = at.take()?;
        if !signature_first {
            at.area()?;
        }
        let issuer_signed = at.since(HEAD_LEN);
        let issuer_signature = at.signature()?;
        if signature_first {
            at.area()?;
        }
        let made = at.take()?;
        let phone_signed = at.since(0);
        let phone_signature = at.signature()?;
        if at.at != bytes.len() {
            return Err(CodeFault::Form("length of the private area"));
        }
        Ok(Self {
            certificate,
            card,
            phone_key,
            authorised_until,
            validity,
            issuer_signed,
            issuer_signature,
            made,
            phone_signed,
            phone_signature,
        })
    }
}

/// What a root says of its own time.
struct Root {
    from: Option<Utc>,
    until: Option<Utc>,
}

struct Certificate<'a> {
    root: u8,
    last_month: &'a [u8; 2],
    key: &'a [u8; 33],
    signed: &'a [u8],
    signature: &'a [u8; 64],
}

impl<'a> Certificate<'a> {
    fn parse(bytes: &'a [u8; 117]) -> Result<Self, CodeFault> {
        const WRONG: CodeFault = CodeFault::Form("certificate");
        let mut at = Cursor { bytes, at: 0 };
        if at.take()? != &[0x24, 0x01, 0x01, 0x00, 0x00] {
            return Err(WRONG);
        }
        let &[root] = at.take()?;
        let signed_from = at.at;
        if at.take()? != &[0x12] {
            return Err(WRONG);
        }
        let _issuer: &[u8; 4] = at.take()?;
        let last_month = at.take()?;
        let _serial: &[u8; 3] = at.take()?;
        if at.take()? != &[0x04, 0x04, 0x00, 0x21] {
            return Err(WRONG);
        }
        let key = at.take()?;
        let signed = at.since(signed_from);
        let signature = at.take()?;
        Ok(Self {
            root,
            last_month,
            key,
            signed,
            signature,
        })
    }

    /// Finds the root that signed it.
    fn check(&self, terms: &Terms<'_>) -> Result<Root, CodeFault> {
        let named = || terms.keys.iter().filter(|key| key.id == [self.root]);
        if named().next().is_none() {
            return Err(CodeFault::UnknownKey);
        }
        if named().all(|key| key.status == KeyStatus::Revoked) {
            return Err(CodeFault::KeyRevoked);
        }
        named()
            .filter(|key| key.status != KeyStatus::Revoked)
            .take(ROOTS_MAX)
            .find(|key| {
                let sm2_id = &terms.params.sm2_id;
                key.key.verify(self.signed, self.signature, sm2_id)
            })
            // A certificate does not say when it was signed, so it is good while its root is.
            .map(|key| Root {
                from: key.valid_from,
                until: key.valid_until,
            })
            .ok_or(CodeFault::Signature("root"))
    }

    /// The end of its last month, in Beijing.
    fn valid_until(&self) -> Result<Utc, CodeFault> {
        const WRONG: CodeFault = CodeFault::Terms("last month of the certificate");
        let [month, year] = self.last_month.map(|byte| bcd(&[byte])?.parse::<i8>().ok());
        let (month, year) = (month.ok_or(WRONG)?, year.ok_or(WRONG)?);
        id_card::end_of_month(2000 + i16::from(year), month).ok_or(WRONG)
    }
}

/// Takes fields off the front.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], CodeFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.first_chunk().ok_or(CodeFault::Form("too short"))?;
        self.at += N;
        Ok(taken)
    }

    /// The private area with its length. Its content is the issuer's own business.
    fn area(&mut self) -> Result<(), CodeFault> {
        let &[length] = self.take()?;
        let length = usize::from(length);
        if length > AREA_LEN_MAX {
            return Err(CodeFault::Form("length of the private area"));
        }
        self.at += length;
        Ok(())
    }

    fn signature(&mut self) -> Result<&'a [u8; 64], CodeFault> {
        if self.take()? != &[SIGNATURE_TAG] {
            return Err(CodeFault::Form("tag of a signature"));
        }
        self.take()
    }

    /// Everything from an offset up to here.
    fn since(&self, from: usize) -> &'a [u8] {
        self.bytes.get(from..self.at).unwrap_or_default()
    }
}
