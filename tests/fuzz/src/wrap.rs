//! From the bytes of an input to the text of a code: as it is, or with all layers around it that a phone puts there.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, iana};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::codes::Profile;
use crate::lab::mint::ride_v81::{Chain, Dialect, Ride, SM2_ID};
use crate::lab::mint::{self, hcert, ride_cwt, ride_v81, shc};
use crate::{NOW, SEED};

/// The text of an input; none if there is no such layer.
pub(crate) fn text(profile: Profile, layer: u8, data: &[u8]) -> Option<String> {
    match (profile, layer % 4) {
        (Profile::IdCard | Profile::Tag, _) => None,
        (Profile::Opaque, _) | (_, 0) => Some(latin(data)),
        (Profile::Hcert, 1) => hcert::text(data).ok(),
        (Profile::Hcert, 2) => hcert::text(&by_an_issuer(data)).ok(),
        (Profile::Hcert, _) => Some(format!("HC1:{}", base45::encode(data))),
        (Profile::Shc, 1) => Some(shc::text(&String::from_utf8_lossy(data))),
        (Profile::Shc, 2) => card(data),
        (Profile::Shc, _) => packed_card(data),
        (Profile::RideV81, 1) => Some(mint::hex(data)),
        (Profile::RideV81, 2) => ride(data),
        (Profile::RideV81, _) => {
            // The gate's length and version, so that a change of length is not all that is noticed.
            let mut code = data.to_vec();
            let rest = u16::try_from(code.len().saturating_sub(3)).ok()?.to_be_bytes();
            code.get_mut(..3)?.copy_from_slice(&[0x81, rest[0], rest[1]]);
            Some(latin(&code))
        }
        (Profile::RideCwt, 1) => Some(ride_cwt::text(data)),
        (Profile::RideCwt, 2) => token(data),
        (Profile::RideCwt, _) => payload(data),
    }
}

fn latin(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => ride_v81::text(data),
    }
}

/// Claims as they are, by an issuer of health certificates that the gate knows.
fn by_an_issuer(claims: &[u8]) -> Vec<u8> {
    let Ok(issuer) = hcert::Issuer::new(SEED) else {
        return Vec::new();
    };
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES256)
        .key_id(issuer.key_id.clone())
        .build();
    let key = p256::ecdsa::SigningKey::from(&issuer.key);
    let signed = CoseSign1Builder::new()
        .protected(header)
        .payload(claims.to_vec())
        .create_signature(&[], |message| {
            let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(&key, message);
            signature.to_bytes().to_vec()
        });
    signed.build().to_vec().unwrap_or_default()
}

/// The JSON of a card as it is, packed and signed by an issuer that the gate knows.
fn card(body: &[u8]) -> Option<String> {
    let issuer = shc::Issuer::new(SEED).ok()?;
    let header = format!(r#"{{"alg":"ES256","zip":"DEF","kid":"{}"}}"#, issuer.key_id);
    let jws = issuer.jws(&header, &String::from_utf8_lossy(body)).ok()?;
    Some(shc::text(&jws))
}

/// What stands where packed JSON should be, as it is.
fn packed_card(packed: &[u8]) -> Option<String> {
    let issuer = shc::Issuer::new(SEED).ok()?;
    let header = format!(r#"{{"alg":"ES256","zip":"DEF","kid":"{}"}}"#, issuer.key_id);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(packed));
    let key = p256::ecdsa::SigningKey::from(&issuer.key);
    let signature: p256::ecdsa::Signature =
        p256::ecdsa::signature::Signer::sign(&key, signed.as_bytes());
    Some(shc::text(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))))
}

/// Fields of a ride code out of the data, all three signatures good.
fn ride(data: &[u8]) -> Option<String> {
    let chain = Chain::new(SEED, SM2_ID).ok()?;
    let (card, rest) = data.split_first_chunk::<10>()?;
    let (last_month, rest) = rest.split_first_chunk::<2>()?;
    let (validity, rest) = rest.split_first_chunk::<2>()?;
    let (made, area) = rest.split_first_chunk::<4>()?;
    let ride = Ride {
        card: *card,
        last_month: *last_month,
        validity_s: u16::from_be_bytes(*validity),
        made: crate::domain::Utc::from_secs(u32::from_be_bytes(*made).into()),
        area: area.get(..area.len().min(300))?.to_vec(),
        ..Ride::at(SEED, NOW)
    };
    Some(ride_v81::text(&chain.code(&ride, Dialect::default()).ok()?))
}

/// Claims of a token as they are, by the issuer; the code around it by the phone.
fn token(claims: &[u8]) -> Option<String> {
    let chain = ride_cwt::Chain::new(SEED).ok()?;
    let token = chain.sign_token(claims.to_vec());
    Some(ride_cwt::text(&chain.code(token, NOW, &[7; 8]).ok()?))
}

/// The payload of a code as it is, by the phone.
fn payload(payload: &[u8]) -> Option<String> {
    let chain = ride_cwt::Chain::new(SEED).ok()?;
    let token = chain.token(&ride_cwt::Token::at(SEED, NOW)).ok()?;
    Some(ride_cwt::text(&chain.sign_code(token, payload.to_vec()).ok()?))
}

/// Good codes, whole and from inside.
pub(crate) fn seeds(profile: Profile) -> Vec<Vec<u8>> {
    let minted = |seed| mint::mint(profile, mint::Seed(seed), NOW).map(|minted| minted.text);
    let with = |layer: u8, data: &[u8]| [&[layer], data].concat();
    let mut seeds = Vec::new();
    for seed in [1, 2] {
        if let Ok(text) = minted(seed) {
            seeds.push(match profile {
                Profile::RideV81 => with(0, &mint::picture::bytes_of(&text)),
                _ => with(0, text.as_bytes()),
            });
        }
    }
    seeds.extend(inside(profile).unwrap_or_default());
    seeds
}

fn inside(profile: Profile) -> Option<Vec<Vec<u8>>> {
    let with = |layer: u8, data: &[u8]| [&[layer], data].concat();
    Some(match profile {
        Profile::Opaque => vec![with(0, br#"{"label":"yss"}"#), with(0, b"https://a.example/?q=1")],
        Profile::IdCard => vec![
            b"\x0011010519491231002X\n20200101\n20300101".to_vec(),
            b"\x01810000199001010014\n20200101\n20250101".to_vec(),
            b"\x02XYZ110000000001\n20200101\n20300101".to_vec(),
            "\u{3}911156198001010015\n20200101\n长期".as_bytes().to_vec(),
        ],
        Profile::Tag => vec![
            vec![0, 0, 40, 0, 0x0D, 0x00, 0xC8, 0xD3, 0xB1],
            vec![1, 2, 32, 0, 0x08, 0xA1, 0xB2, 0xC3],
            vec![2, 0, 26, 0, 0xA5, 0xC3, 0xF0, 0x80],
        ],
        Profile::Hcert => {
            let issuer = hcert::Issuer::new(SEED).ok()?;
            let code = issuer.code(&hcert::Certificate::at(SEED, NOW).ok()?).ok()?;
            let packed = base45::decode(code.strip_prefix("HC1:")?).ok()?;
            let mut signed = Vec::new();
            flate2::write::ZlibDecoder::new(&mut signed).write_all(&packed).ok()?;
            let claims = <coset::CoseSign1 as coset::TaggedCborSerializable>::from_tagged_slice(&signed);
            let claims = claims.ok()?.payload?;
            vec![with(1, &signed), with(2, &claims), with(3, &packed)]
        }
        Profile::Shc => {
            let body = br#"{"iss":"https://lab.example/shc","nbf":1795000000,"vc":{"type":["https://smarthealth.cards#health-card"],"credentialSubject":{"fhirVersion":"4.0.1","fhirBundle":{"resourceType":"Bundle","type":"collection","entry":[]}},"rid":"123456789012"}}"#;
            let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
            packed.write_all(body).ok()?;
            let jws = shc::Issuer::new(SEED).ok()?.jws("{}", "{}").ok()?;
            vec![with(1, jws.as_bytes()), with(2, body), with(3, &packed.finish().ok()?)]
        }
        Profile::RideV81 => {
            let chain = Chain::new(SEED, SM2_ID).ok()?;
            let ride = Ride::at(SEED, NOW);
            let code = chain.code(&ride, Dialect::default()).ok()?;
            let made = u32::try_from(NOW.as_secs()).ok()?.to_be_bytes();
            let fields = [&ride.card[..], &ride.last_month, &[0, 60], &made, &ride.area].concat();
            vec![with(1, &code), with(2, &fields), with(3, &code)]
        }
        Profile::RideCwt => {
            let chain = ride_cwt::Chain::new(SEED).ok()?;
            let token = chain.token(&ride_cwt::Token::at(SEED, NOW)).ok()?;
            let claims = token.payload.clone()?;
            let code = chain.code(token, NOW, &[7; 8]).ok()?;
            let payload = coset::CoseSign1::from_slice(&code).ok()?.payload?;
            vec![with(1, &code), with(2, &claims), with(3, &payload)]
        }
    })
}
