#![cfg(feature = "lab")]

use std::path::Path;

use serde_json::json;

use super::*;

fn verify(input: &[u8]) -> Vec<Value> {
    let args = Args {
        ndjson: true,
        trust: None,
    };
    verify_by(&args, input)
}

fn verify_by(args: &Args, mut input: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    assert_eq!(run(args, &mut input, &mut out).unwrap(), 0);
    let lines = std::str::from_utf8(&out).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn said(answer: &Value) -> (bool, bool, Option<bool>, &str) {
    (
        answer["transport_ok"].as_bool().unwrap(),
        answer["signature_ok"].as_bool().unwrap(),
        answer["within_validity"].as_bool(),
        answer["reason"].as_str().unwrap(),
    )
}

/// What the source of a case states: `None` if it does not.
fn stated(expected: &Value, flags: &[&str]) -> Option<bool> {
    let stated: Vec<bool> = flags
        .iter()
        .filter_map(|flag| expected[flag].as_bool())
        .collect();
    (!stated.is_empty()).then(|| stated.iter().all(|flag| *flag))
}

#[test]
fn every_published_case_comes_out_as_its_country_says() {
    let Some(shared) = std::env::var_os("TURNSTILED_SHARED") else {
        eprintln!("SKIPPED: TURNSTILED_SHARED names no folder with the published cases");
        return;
    };
    let cases = std::fs::read(Path::new(&shared).join("data/hcert/cases.ndjson")).unwrap();
    let answers = verify(&cases);
    let cases = std::str::from_utf8(&cases).unwrap().lines();
    let cases: Vec<Value> = cases
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((cases.len(), answers.len()), (292, 292));
    let mut wrong = Vec::new();
    let mut compared = [0; 4];
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(case["case"], answer["case"]);
        let expected = &case["expected"];
        let (transport, signature, within, reason) = said(answer);
        // This one has an extended key usage without any of the three: by hcert_spec its key vouches for everything.
        let usage = (case["case"] != "IS/2DCode/raw/3.json")
            .then_some(reason != "the key may not vouch for this");
        let checks = [
            (
                stated(
                    expected,
                    &[
                        "EXPECTEDUNPREFIX",
                        "EXPECTEDB45DECODE",
                        "EXPECTEDCOMPRESSION",
                        "EXPECTEDDECODE",
                    ],
                ),
                Some(transport),
            ),
            (stated(expected, &["EXPECTEDVERIFY"]), Some(signature)),
            (stated(expected, &["EXPECTEDEXPIRATIONCHECK"]), within),
            (stated(expected, &["EXPECTEDKEYUSAGE"]), usage),
        ];
        for ((stated, found), count) in checks.into_iter().zip(&mut compared) {
            *count += usize::from(stated.is_some() && found.is_some());
            if stated.is_some() && found.is_some() && stated != found {
                wrong.push(format!("{answer}\n    {} {expected}", case["clock"]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(compared.iter().all(|count| *count > 80), "{compared:?}");
}

const NOW: Utc = Utc::from_secs(1_795_524_800);
const NOW_TEXT: &str = "2026-11-24T12:53:20Z";

/// A published-looking code, and the base64 of the certificate of its key.
fn good() -> (String, String) {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
    let issuer = crate::lab::mint::hcert::Issuer::new(crate::lab::mint::Seed(1)).unwrap();
    let pem = p256::pkcs8::EncodePrivateKey::to_pkcs8_pem(&issuer.key, Default::default()).unwrap();
    let key = KeyPair::from_pem_and_sign_algo(&pem, &PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let hash: [u8; 32] = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(
        certificate.der(),
    ))
    .into();
    let issuer = crate::lab::mint::hcert::Issuer {
        key_id: hash[..8].to_vec(),
        ..issuer
    };
    let says = crate::lab::mint::hcert::Certificate::at(crate::lab::mint::Seed(1), NOW).unwrap();
    (
        issuer.code(&says).unwrap(),
        STANDARD.encode(certificate.der()),
    )
}

fn one(line: &Value) -> Value {
    let answers = verify(line.to_string().as_bytes());
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().unwrap()
}

#[test]
fn times_are_judged_by_the_clock_of_the_line() {
    let (text, certificate) = good();
    let at = |clock: Value| {
        one(&json!({"case": 7, "text": text, "certificate": certificate, "clock": clock}))
    };
    for (clock, within, reason) in [
        (json!(NOW_TEXT), Some(true), "ok"),
        (json!("2026-11-24 12:53:20"), Some(true), "ok"),
        (json!("2026-11-24T20:53:20.5+08:00"), Some(true), "ok"),
        (
            json!("2026-10-01T00:00:00Z"),
            Some(false),
            "signed, and not yet valid",
        ),
        (
            json!("2028-01-01T00:00:00Z"),
            Some(false),
            "signed, and expired",
        ),
        (
            Value::Null,
            None,
            "signed; no clock is given to judge its time by",
        ),
        (
            json!("noon"),
            None,
            "signed; the clock is no time like 2021-05-03T18:00:00Z",
        ),
    ] {
        let answer = at(clock.clone());
        assert_eq!(said(&answer), (true, true, within, reason), "{clock}");
        assert_eq!(
            (&answer["case"], &answer["profile"]),
            (&json!(7), &json!("hcert"))
        );
    }
}

#[test]
fn without_the_key_a_code_is_unpacked_and_no_more() {
    let (text, certificate) = good();
    for (certificate, reason) in [
        (
            Value::Null,
            "no key of this id: neither a certificate nor a trust list",
        ),
        (
            json!(" "),
            "no key of this id: neither a certificate nor a trust list",
        ),
        (
            json!("?"),
            "no key of this id: the certificate is not base64",
        ),
        (
            json!("AAAA"),
            "no key of this id: the certificate: a certificate is not DER of X.509",
        ),
    ] {
        let answer =
            one(&json!({"case": "a", "text": text, "certificate": certificate, "clock": NOW_TEXT}));
        assert_eq!(said(&answer), (true, false, Some(true), reason));
    }
    // Another's, in PEM.
    let other = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let answer = one(&json!({"text": text, "certificate": other.cert.pem(), "clock": NOW_TEXT}));
    assert_eq!(
        said(&answer),
        (true, false, Some(true), "no key of this id")
    );
    let answer = one(&json!({"text": text, "certificate": certificate, "clock": NOW_TEXT}));
    assert_eq!(said(&answer), (true, true, Some(true), "ok"));
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_read() {
    let (text, certificate) = good();
    let line = json!({"case": "b", "text": text, "certificate": certificate, "clock": NOW_TEXT})
        .to_string();
    let long = format!("{{\"case\": \"{}\"}}", "x".repeat(LINE_BYTES_MAX));
    let bad: [(&[u8], &str); 9] = [
        (b"", "line 1: this line is empty"),
        (
            b"{\"text\": \"HC1",
            "line 1: this is not JSON, at column 14",
        ),
        (b"[1]", "line 1: this is JSON and not an object"),
        (b"\xFF\xFE", "line 1: this is not UTF-8"),
        (b"{}", "line 1: `text` is missing: what the code holds"),
        (b"{\"text\": 1}", "line 1: `text` is a text"),
        (
            b"{\"text\": \"HC1:\", \"clock\": 5}",
            "line 1: `clock` is a text",
        ),
        (
            b"{\"case\": [], \"text\": \"HC1:\"}",
            "line 1: `case` is a text",
        ),
        (
            long.as_bytes(),
            "line 1: a line has at most 65536 bytes, this has more",
        ),
    ];
    for (bad, reason) in bad {
        let answers = verify(&[bad, b"\r\n", line.as_bytes(), b"\n"].concat());
        assert_eq!(answers.len(), 2, "{reason}");
        let (transport, signature, within, found) = said(&answers[0]);
        assert_eq!(found, reason);
        assert_eq!((transport, signature, within), (false, false, None));
        assert_eq!(said(&answers[1]), (true, true, Some(true), "ok"));
    }
    assert!(verify(b"").is_empty());
    assert_eq!(
        verify(line.as_bytes()).len(),
        1,
        "the last line needs no end"
    );
}

#[test]
fn texts_of_no_profile_are_answered() {
    for (text, reason) in [
        ("", "not of this form: prefix"),
        ("HC2:NCF", "not of this form: prefix"),
        ("hc1:NCF", "not of this form: prefix"),
        ("HC1:ncf", "not of this form: base45"),
        ("HC1:", "not of this form: zlib"),
        ("HC1:::", "not of this form: base45"),
        ("shc:/1/2/5676", "not of this form: one of several codes"),
        ("shc:/567", "not of this form: digits"),
        ("RC1:00", "not of this form: COSE_Sign1"),
    ] {
        let answer = one(&json!({"text": text}));
        assert_eq!(said(&answer), (false, false, None, reason), "{text}");
    }
    let answer = one(&json!({"text": "HC1:0".repeat(400)}));
    assert_eq!(
        said(&answer).3,
        "not of this form: longer than 1500 characters"
    );
}

#[test]
fn codes_of_every_profile_are_checked_by_a_trust_list() {
    use crate::codes::Profile as P;
    use crate::lab::mint::{Minted, Seed, mint};
    let home = tempfile::tempdir().unwrap();
    let profiles = [P::Hcert, P::Shc, P::RideV81, P::RideCwt, P::Opaque];
    let made = profiles.map(|profile| mint(profile, Seed(1), NOW).unwrap());
    let trust: String = made
        .iter()
        .map(|minted: &Minted| minted.trust.as_str())
        .collect();
    let file = home.path().join("trust.toml");
    std::fs::write(&file, format!("version = 1\n{trust}")).unwrap();
    let args = Args {
        ndjson: true,
        trust: Some(file),
    };
    for (profile, minted) in profiles.iter().zip(&made) {
        let line = json!({"text": minted.text, "clock": NOW_TEXT}).to_string();
        let answer = &verify_by(&args, line.as_bytes())[0];
        assert_eq!(answer["profile"], profile.as_str());
        if *profile == P::Opaque {
            let reason = "not of this form: only lists and the backend know what it means";
            assert_eq!(said(answer), (true, false, None, reason));
        } else {
            assert_eq!(said(answer), (true, true, Some(true), "ok"), "{profile:?}");
        }
        // Nobody's, without the list.
        let (_, signature, ..) = said(&one(&json!({"text": minted.text, "clock": NOW_TEXT})));
        assert!(!signature);
    }
}

/// A certificate around the public key of a P-256 secret.
fn p256_certificate(key: &p256::SecretKey) -> Vec<u8> {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
    let pem = p256::pkcs8::EncodePrivateKey::to_pkcs8_pem(key, Default::default()).unwrap();
    let key = KeyPair::from_pem_and_sign_algo(&pem, &PKCS_ECDSA_P256_SHA256).unwrap();
    let params = CertificateParams::default();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// The same around an SM2 point: curve and point of a P-256 one are as long, and nobody looks at who signed it.
fn sm2_certificate(point: &[u8]) -> Vec<u8> {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    const P256_OID: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    const SM2_OID: [u8; 8] = [0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];
    let other = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let replaced = other.public_key().to_sec1_point(false);
    let swap = |der: &[u8], from: &[u8], to: &[u8]| {
        let at = der.windows(from.len()).position(|bytes| bytes == from);
        let at = at.unwrap();
        [&der[..at], to, &der[at + from.len()..]].concat()
    };
    let der = swap(&p256_certificate(&other), &P256_OID, &SM2_OID);
    swap(&der, replaced.as_bytes(), point)
}

#[test]
fn a_certificate_stands_in_for_the_trust_list_of_a_ride_code_too() {
    use crate::lab::mint::ride_cwt::{self, Chain, Key, Token};
    use crate::lab::mint::{Seed, ride_v81};
    use sm2::elliptic_curve::sec1::ToSec1Point as _;
    let verified = |text: &str, certificate: &[u8]| {
        let certificate = STANDARD.encode(certificate);
        one(&json!({"text": text, "certificate": certificate, "clock": NOW_TEXT}))
    };
    let secret = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let strangers = p256_certificate(&p256::SecretKey::from_slice(&[5; 32]).unwrap());
    let chain = Chain {
        issuer: Key::P256(secret.clone()),
        ..Chain::new(Seed(1)).unwrap()
    };
    let token = chain.token(&Token::at(Seed(1), NOW)).unwrap();
    let text = ride_cwt::text(&chain.code(token, NOW, b"12345678").unwrap());
    let answer = verified(&text, &p256_certificate(&secret));
    assert_eq!(said(&answer), (true, true, Some(true), "ok"));
    assert_eq!(answer["profile"], "ride.cwt");
    let answer = verified(&text, &strangers);
    let (_, signature, _, reason) = said(&answer);
    assert_eq!(
        (signature, reason),
        (false, "signature of the issuer does not hold")
    );

    let chain = ride_v81::Chain::new(Seed(1), ride_v81::SM2_ID).unwrap();
    let ride = ride_v81::Ride::at(Seed(1), NOW);
    let code = chain.code(&ride, ride_v81::Dialect::default()).unwrap();
    let text = crate::lab::mint::hex(&code);
    let point = chain.root.verifying_key().to_sec1_point(false);
    let answer = verified(&text, &sm2_certificate(point.as_bytes()));
    assert_eq!(said(&answer), (true, true, Some(true), "ok"));
    assert_eq!(answer["profile"], "ride.v81");
    let answer = verified(&text, &strangers);
    let (_, signature, _, reason) = said(&answer);
    assert_eq!(
        (signature, reason),
        (false, "signature of the root does not hold")
    );
}

#[test]
fn a_trust_list_that_is_not_there_or_wrong_is_told() {
    let home = tempfile::tempdir().unwrap();
    for (name, content) in [("trust.toml", "version = 0"), ("trust.json", "{}")] {
        let file = home.path().join(name);
        std::fs::write(&file, content).unwrap();
        let args = Args {
            ndjson: true,
            trust: Some(file),
        };
        let failure = run(&args, &mut &b""[..], &mut Vec::new()).unwrap_err();
        assert_eq!(failure.code, 65);
        assert!(failure.sentence.contains(name), "{}", failure.sentence);
    }
}
