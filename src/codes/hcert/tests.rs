use std::io::Write as _;

use ciborium::cbor;
use p256::ecdsa::signature::Signer as _;
use p384::ecdsa::signature::hazmat::PrehashSigner as _;

use super::*;
use crate::codes::signed::Params;
use crate::codes::trust_list::{Profile, params_by_default};

const ISSUED_S: u64 = 1_790_000_000;
const EXPIRES_S: u64 = 1_800_000_000;
const KEY_ID: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const OTHER_ID: [u8; 8] = [9; 8];

fn secret() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

fn key() -> IssuerKey {
    let point = secret().verifying_key().to_sec1_point(true);
    IssuerKey {
        id: KEY_ID.to_vec(),
        key: PublicKey::from_point(crate::codes::keys::Algorithm::Es256, point.as_bytes()).unwrap(),
        usage: Vec::new(),
        status: KeyStatus::Active,
        valid_from: None,
        valid_until: None,
    }
}

fn params() -> Params {
    params_by_default(Profile::Hcert)
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

fn text(cose: &Value) -> String {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(&bytes(cose)).unwrap();
    format!("HC1:{}", base45::encode(out.finish().unwrap()))
}

/// A code with these headers and this payload, signed.
fn code_of(protected: &Value, unprotected: Value, payload: &Value) -> String {
    let (protected, payload) = (bytes(protected), bytes(payload));
    let signed = cbor!([
        "Signature1",
        Value::Bytes(protected.clone()),
        Value::Bytes(vec![]),
        Value::Bytes(payload.clone())
    ]);
    let signature: p256::ecdsa::Signature = secret().sign(&bytes(&signed.unwrap()));
    text(&Value::Array(vec![
        Value::Bytes(protected),
        unprotected,
        Value::Bytes(payload),
        Value::Bytes(signature.to_bytes().to_vec()),
    ]))
}

fn header(id: [u8; 8]) -> Value {
    Value::Map(vec![
        (1.into(), (-7).into()),
        (4.into(), Value::Bytes(id.to_vec())),
    ])
}

fn empty() -> Value {
    Value::Map(Vec::new())
}

fn dose() -> Value {
    cbor!({"v" => [{"tg" => "840539006", "mp" => "EU/1/20/1528", "dn" => 2, "sd" => 2, "dt" => "2026-09-01", "co" => "XX", "ci" => "URN:UVCI:01:XX:1"}]}).unwrap()
}

fn test() -> Value {
    cbor!({"t" => [{"tg" => "840539006", "tt" => "LP6464-4", "sc" => "2026-09-01T12:00:00+02:00", "tr" => "260415000", "co" => "XX", "ci" => "URN:UVCI:01:XX:2"}]}).unwrap()
}

fn recovery() -> Value {
    cbor!({"r" => [{"tg" => "840539006", "fr" => "2026-08-01", "df" => "2026-08-12", "du" => "2027-01-28", "co" => "XX", "ci" => "URN:UVCI:01:XX:3"}]}).unwrap()
}

fn claims(health: Value) -> Value {
    Value::Map(vec![
        (1.into(), "XX".into()),
        (4.into(), EXPIRES_S.into()),
        (6.into(), ISSUED_S.into()),
        ((-260).into(), Value::Map(vec![(1.into(), health)])),
    ])
}

fn code(health: Value) -> String {
    code_of(&header(KEY_ID), empty(), &claims(health))
}

fn read_by(code: &str, keys: &[IssuerKey]) -> Result<SignedCode, CodeFault> {
    let params = params();
    read(
        code,
        &Terms {
            keys,
            params: &params,
        },
    )
}

fn says(health: Value) -> Result<Certificate, CodeFault> {
    match read_by(&code(health), &[key()])?.health {
        Some(Health::Certificate(certificate)) => Ok(*certificate),
        other => panic!("{other:?}"),
    }
}

fn at(text: &str) -> Utc {
    moment::instant(text).unwrap()
}

#[test]
fn doses_tests_and_recoveries_are_read() {
    let statement = |health| says(health).unwrap().statement;
    assert!(
        statement(dose())
            == Statement::Dose {
                number: 2,
                of: Some(2),
                given: at("2026-09-01T00:00:00Z"),
                product: "EU/1/20/1528".into()
            }
    );
    assert!(
        statement(test())
            == Statement::Test {
                kind: TestKind::NucleicAcid,
                taken: at("2026-09-01T10:00:00Z"),
                positive: false
            }
    );
    assert!(
        statement(recovery())
            == Statement::Recovery {
                first_positive: at("2026-08-01T00:00:00Z"),
                from: at("2026-08-12T00:00:00Z"),
                until: at("2027-01-28T23:59:59.999Z")
            }
    );
    let read = read_by(&code(dose()), &[key()]).unwrap();
    assert_eq!(read.identifier.expose(), "URN:UVCI:01:XX:1");
    assert_eq!(read.valid_from, Some(Utc::from_secs(ISSUED_S - 20)));
    assert_eq!(read.valid_until, Some(Utc::from_secs(EXPIRES_S)));
    assert_eq!((read.replay, read.entitlements), (None, None));
    assert_eq!(says(dose()).unwrap().country.as_deref(), Some("XX"));
}

#[test]
fn the_key_id_is_that_of_the_signed_header_or_else_of_the_other_one() {
    let unprotected = |id: [u8; 8]| Value::Map(vec![(4.into(), Value::Bytes(id.to_vec()))]);
    let only_algorithm = || Value::Map(vec![(1.into(), (-7).into())]);
    let read = |protected: &Value, unprotected| {
        let code = code_of(protected, unprotected, &claims(dose()));
        read_by(&code, &[key()]).map(|_| ())
    };
    assert_eq!(read(&header(KEY_ID), empty()), Ok(()));
    assert_eq!(read(&header(KEY_ID), unprotected(OTHER_ID)), Ok(()));
    assert_eq!(read(&only_algorithm(), unprotected(KEY_ID)), Ok(()));
    for (protected, unprotected) in [
        (header(OTHER_ID), empty()),
        (header(OTHER_ID), unprotected(KEY_ID)),
        (only_algorithm(), unprotected(OTHER_ID)),
        (only_algorithm(), empty()),
    ] {
        assert_eq!(read(&protected, unprotected), Err(CodeFault::UnknownKey));
    }
}

#[test]
fn the_algorithm_has_to_be_the_keys() {
    let named = |algorithm: Option<i64>| {
        let mut header = vec![(4.into(), Value::Bytes(KEY_ID.to_vec()))];
        header.extend(algorithm.map(|algorithm| (1.into(), algorithm.into())));
        let code = code_of(&Value::Map(header), empty(), &claims(dose()));
        read_by(&code, &[key()]).map(|_| ())
    };
    assert_eq!(named(Some(-7)), Ok(()));
    for algorithm in [Some(-37), Some(-35), Some(-8), Some(-257), Some(5), None] {
        assert_eq!(
            named(algorithm),
            Err(CodeFault::Signature("issuer")),
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_p384_key_under_the_name_es256_is_taken() {
    let secret = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let point = secret.verifying_key().to_sec1_point(true);
    let key = IssuerKey {
        key: PublicKey::from_point(crate::codes::keys::Algorithm::Es384, point.as_bytes()).unwrap(),
        ..key()
    };
    let mut parts = unpack(&code(dose())).unwrap();
    let hash = Sha256::digest(parts.signed());
    let signature: p384::ecdsa::Signature = secret.sign_prehash(&hash).unwrap();
    parts.signature = signature.to_bytes().to_vec();
    let params = params();
    let keys = [key];
    let terms = Terms {
        keys: &keys,
        params: &params,
    };
    assert_eq!(parts.signature.len(), 96);
    assert!(signer(&parts, &terms).is_ok());
    parts.signature[0] ^= 1;
    assert_eq!(
        signer(&parts, &terms).unwrap_err(),
        CodeFault::Signature("issuer")
    );
}

#[test]
fn all_keys_of_one_id_are_tried_up_to_four() {
    let other = |n: u8| {
        let secret = p256::ecdsa::SigningKey::from_slice(&[n; 32]).unwrap();
        let point = secret.verifying_key().to_sec1_point(true);
        IssuerKey {
            key: PublicKey::from_point(crate::codes::keys::Algorithm::Es256, point.as_bytes())
                .unwrap(),
            ..key()
        }
    };
    let code = code(dose());
    assert!(read_by(&code, &[other(1), other(2), other(3), key()]).is_ok());
    assert_eq!(
        read_by(&code, &[other(1), other(2), other(3), other(4), key()]).unwrap_err(),
        CodeFault::Signature("issuer")
    );
}

#[test]
fn a_key_vouches_for_what_its_certificate_allows() {
    use Usage as U;
    for (usage, allowed) in [
        (vec![], [true, true, true]),
        (vec![U::Vaccination], [true, false, false]),
        (vec![U::Test], [false, true, false]),
        (vec![U::Recovery], [false, false, true]),
        (vec![U::Test, U::Recovery], [false, true, true]),
    ] {
        let keys = [IssuerKey { usage, ..key() }];
        for (health, allowed) in [dose(), test(), recovery()].into_iter().zip(allowed) {
            let read = read_by(&code(health), &keys).map(|_| ());
            let expected = if allowed {
                Ok(())
            } else {
                Err(CodeFault::KeyUsage)
            };
            assert_eq!(read, expected, "{:?}", keys[0].usage);
        }
    }
}

#[test]
fn a_key_narrows_the_time_while_it_is_in_use_and_not_after_it_was_retired() {
    let window = |status, from: Option<u64>, until: Option<u64>| {
        let key = IssuerKey {
            status,
            valid_from: from.map(Utc::from_secs),
            valid_until: until.map(Utc::from_secs),
            ..key()
        };
        let read = read_by(&code(dose()), &[key])?;
        let seconds = |at: Option<Utc>| at.unwrap().as_secs();
        Ok((seconds(read.valid_from), seconds(read.valid_until)))
    };
    let (late, early) = (Some(ISSUED_S + 100), Some(EXPIRES_S - 100));
    assert_eq!(
        window(KeyStatus::Active, late, early),
        Ok((ISSUED_S + 100, EXPIRES_S - 100))
    );
    assert_eq!(
        window(KeyStatus::Active, Some(0), Some(u64::MAX / 1000)),
        Ok((ISSUED_S - 20, EXPIRES_S))
    );
    assert_eq!(
        window(KeyStatus::Retired, None, early),
        Ok((ISSUED_S - 20, EXPIRES_S))
    );
    assert_eq!(
        window(KeyStatus::Retired, None, Some(ISSUED_S - 1)),
        Err(CodeFault::Terms("issued after its key was retired"))
    );
    assert_eq!(
        window(KeyStatus::Revoked, None, None),
        Err(CodeFault::KeyRevoked)
    );
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let both = {
        let (Value::Map(mut a), Value::Map(b)) = (dose(), test()) else {
            panic!()
        };
        a.extend(b);
        Value::Map(a)
    };
    let fault = |health| says(health).unwrap_err();
    assert_eq!(fault(both), CodeFault::Terms("more than one statement"));
    assert_eq!(fault(empty()), CodeFault::Terms("certificate"));
    for (name, health) in [("v", dose()), ("t", test()), ("r", recovery())] {
        let Value::Map(entries) = &health else {
            panic!()
        };
        let Some(Value::Map(fields)) = entries[0].1.as_array().map(|list| list[0].clone()) else {
            panic!()
        };
        for (i, (field, _)) in fields.iter().enumerate() {
            let mut rest = fields.clone();
            rest.remove(i);
            let health = Value::Map(vec![(name.into(), Value::Array(vec![Value::Map(rest)]))]);
            match field.as_text().unwrap() {
                // Nothing looks at it: rules and revocation go by the issuer.
                "co" => assert!(says(health).is_ok()),
                field => assert!(
                    matches!(fault(health), CodeFault::Terms(named) if named == field),
                    "{field}"
                ),
            }
        }
    }
    for missing in [4, 6] {
        let Value::Map(mut claims) = claims(dose()) else {
            panic!()
        };
        claims.retain(|(key, _)| *key != Value::from(missing));
        let code = code_of(&header(KEY_ID), empty(), &Value::Map(claims));
        assert!(
            matches!(read_by(&code, &[key()]), Err(CodeFault::Terms(_))),
            "{missing}"
        );
    }
}

/// Hashes by Python's hashlib.
#[test]
fn it_can_be_revoked_by_identifier_by_country_and_by_signature() {
    let code = code(dose());
    let names = read_by(&code, &[key()]).unwrap().revocation;
    let parts = unpack(&code).unwrap();
    let r: [u8; 32] = Sha256::digest(&parts.signature[..32]).into();
    let r: String = r[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        names,
        [
            "uci:b87b6cf34a1a0852c392d4c65a955a92".to_owned(),
            format!("signature:{r}"),
            "countrycodeuci:ed5f7926677aae86c3d74d1b4bccbed4".to_owned(),
        ]
    );
    // An altered s leaves the names as they are.
    let key = key();
    let claims = Claims::of(&parts).unwrap();
    let mut altered = parts;
    altered.signature = [&altered.signature[..32], &[0; 32]].concat();
    assert_eq!(
        revocation(&altered, &key, &claims, "URN:UVCI:01:XX:1"),
        names
    );
}

#[test]
fn the_last_letters_of_base45_stand_for_one_byte() {
    let code = code(dose());
    let packed = base45::decode(&code[4..]).unwrap();
    assert_eq!(format!("HC1:{}", base45::encode(&packed)), code);
    for tail in ["0", "00", "::", "T5"] {
        assert!(unpack(&format!("{code}{tail}")).is_err(), "{tail}");
    }
}
