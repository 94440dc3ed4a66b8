#![cfg(feature = "lab")]

use serde_json::{Value, json};

use super::*;
use crate::codes::keys::PublicKey;
use crate::codes::trust_list::{Profile, params_by_default};
use crate::lab::mint::{Seed, shc};

const MADE_S: u64 = 1_790_000_000;

fn issuer() -> shc::Issuer {
    shc::Issuer::new(Seed(1)).unwrap()
}

fn key() -> IssuerKey {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    let point = issuer().key.public_key().to_sec1_point(false);
    IssuerKey {
        id: issuer().key_id.into_bytes(),
        key: PublicKey::from_point(Algorithm::Es256, point.as_bytes()).unwrap(),
        usage: Vec::new(),
        status: KeyStatus::Active,
        valid_from: None,
        valid_until: None,
    }
}

fn read_by(code: &str, key: IssuerKey) -> Result<SignedCode, CodeFault> {
    let params = params_by_default(Profile::Shc);
    let terms = Terms {
        keys: &[key],
        params: &params,
    };
    read(code, &terms)
}

fn card(entries: &Value) -> Value {
    json!({
        "iss": "https://lab.example/shc",
        "nbf": MADE_S,
        "vc": {
            "type": ["https://smarthealth.cards#health-card", TYPE_COVID_19],
            "credentialSubject": { "fhirVersion": "4.0.1", "fhirBundle": { "resourceType": "Bundle", "entry": entries } },
        },
    })
}

fn header() -> Value {
    json!({"alg": "ES256", "zip": "DEF", "kid": issuer().key_id})
}

fn code(header: &Value, body: &Value) -> String {
    shc::text(
        &issuer()
            .jws(&header.to_string(), &body.to_string())
            .unwrap(),
    )
}

fn statement(entries: &Value) -> Option<Statement> {
    let read = read_by(&code(&header(), &card(entries)), key()).unwrap();
    match read.health? {
        Health::Certificate(certificate) => Some(certificate.statement),
        Health::Colour(_) => None,
    }
}

fn patient() -> Value {
    json!({"resource": {"resourceType": "Patient", "birthDate": "1990-01-01", "name": [{"family": "Nobody"}]}})
}

fn dose(day: &str, status: &str) -> Value {
    json!({"resource": {
        "resourceType": "Immunization",
        "status": status,
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "occurrenceDateTime": day,
    }})
}

fn test(loinc: &str, at: &str, result: &str) -> Value {
    json!({"resource": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "effectiveDateTime": at,
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": result}]},
    }})
}

fn at(text: &str) -> Utc {
    moment::instant(text).unwrap()
}

#[test]
fn a_card_of_doses_counts_them() {
    let doses = |number, day: &str| Statement::Dose {
        number,
        of: None,
        given: at(day),
        product: "cvx:208".into(),
    };
    for (entries, found) in [
        (json!([patient()]), None),
        (json!([]), None),
        (
            json!([patient(), dose("2026-01-01", "completed")]),
            Some(doses(1, "2026-01-01")),
        ),
        // Not in order; written twice; never given; without a day.
        (
            json!([
                dose("2026-02-01", "completed"),
                dose("2026-01-01T09:00:00Z", "completed")
            ]),
            Some(doses(2, "2026-02-01")),
        ),
        (
            json!([
                dose("2026-01-01", "completed"),
                dose("2026-01-01", "completed")
            ]),
            Some(doses(1, "2026-01-01")),
        ),
        (json!([dose("2026-01-01", "not-done")]), None),
        (json!([dose("2026", "completed")]), None),
        (
            json!([{"resource": {"resourceType": "Immunization"}}]),
            None,
        ),
    ] {
        assert!(statement(&entries) == found, "{entries}");
    }
}

#[test]
fn a_card_of_tests_says_the_newest() {
    let found = |kind, day: &str, positive| {
        Some(Statement::Test {
            kind,
            taken: at(day),
            positive,
        })
    };
    let (yes, no) = ("260373001", "260415000");
    for (entries, found) in [
        (
            json!([test("94500-6", "2026-01-01", no)]),
            found(TestKind::NucleicAcid, "2026-01-01", false),
        ),
        (
            json!([test("94558-4", "2026-01-01T08:00:00+08:00", yes)]),
            found(TestKind::Antigen, "2026-01-01", true),
        ),
        (
            json!([test("1-8", "2026-01-01", no)]),
            found(TestKind::Other, "2026-01-01", false),
        ),
        (
            json!([
                test("94500-6", "2026-01-02", yes),
                test("94500-6", "2026-01-01", no)
            ]),
            found(TestKind::NucleicAcid, "2026-01-02", true),
        ),
        (json!([test("94500-6", "2026-01-01", "419984006")]), None),
    ] {
        assert!(statement(&entries) == found, "{entries}");
    }
}

#[test]
fn a_card_about_something_else_names_no_disease() {
    let mut body = card(&json!([dose("2026-01-01", "completed")]));
    body["vc"]["type"] = json!(["https://smarthealth.cards#health-card"]);
    let read = read_by(&code(&header(), &body), key()).unwrap();
    let Some(Health::Certificate(certificate)) = read.health else {
        panic!()
    };
    assert_eq!(certificate.disease, "");
}

#[test]
fn a_header_is_es256_deflated_and_names_its_key() {
    let body = card(&json!([]));
    let fault = |change: fn(&mut Value)| {
        let mut header = header();
        change(&mut header);
        read_by(&code(&header, &body), key()).unwrap_err()
    };
    assert_eq!(
        fault(|h| h["alg"] = json!("none")),
        CodeFault::Form("header")
    );
    assert_eq!(
        fault(|h| h["alg"] = json!("HS256")),
        CodeFault::Form("header")
    );
    assert_eq!(
        fault(|h| h["zip"] = json!("GZIP")),
        CodeFault::Form("compression")
    );
    assert_eq!(fault(|h| h["kid"] = json!("")), CodeFault::Form("header"));
    assert_eq!(
        fault(|h| h["kid"] = json!("x".repeat(65))),
        CodeFault::Form("header")
    );
    assert_eq!(fault(|h| h["kid"] = json!(7)), CodeFault::Form("header"));
    assert_eq!(
        fault(|h| h["kid"] = json!("another")),
        CodeFault::UnknownKey
    );
    for key in ["alg", "zip", "kid"] {
        let mut header = header();
        header.as_object_mut().unwrap().remove(key);
        let read = read_by(&code(&header, &body), self::key());
        assert_eq!(read.unwrap_err(), CodeFault::Form("header"), "{key}");
    }
}

#[test]
fn a_body_has_a_beginning_and_a_bundle() {
    let fault = |change: fn(&mut Value)| {
        let mut body = card(&json!([]));
        change(&mut body);
        read_by(&code(&header(), &body), key()).unwrap_err()
    };
    let form = CodeFault::Form("body");
    assert_eq!(fault(|b| b["nbf"] = Value::Null), form);
    assert_eq!(fault(|b| b["nbf"] = json!("2026")), form);
    assert_eq!(fault(|b| b["vc"] = json!({})), form);
    assert_eq!(fault(|b| *b = json!([])), form);
    assert_eq!(fault(|b| b["nbf"] = json!(-1)), CodeFault::Terms("nbf"));
    assert_eq!(fault(|b| b["exp"] = json!(-1)), CodeFault::Terms("exp"));
}

#[test]
fn times_are_those_of_the_card_and_of_its_key() {
    let window = |exp: Option<f64>, status, until: Option<u64>| {
        let mut body = card(&json!([]));
        body["nbf"] = json!(MADE_S as f64 + 0.5);
        body["exp"] = json!(exp);
        let key = IssuerKey {
            status,
            valid_until: until.map(Utc::from_secs),
            ..key()
        };
        let read = read_by(&code(&header(), &body), key)?;
        assert_eq!(read.valid_from, Some(Utc::from_secs(MADE_S - 20)));
        Ok(read.valid_until.map(Utc::as_secs))
    };
    let later = Some(MADE_S + 5);
    assert_eq!(window(None, KeyStatus::Active, None), Ok(None));
    assert_eq!(window(None, KeyStatus::Active, later), Ok(later));
    assert_eq!(
        window(Some(1_790_000_003.9), KeyStatus::Active, later),
        Ok(Some(MADE_S + 3))
    );
    assert_eq!(window(None, KeyStatus::Retired, later), Ok(None));
    assert_eq!(
        window(None, KeyStatus::Retired, Some(MADE_S - 1)),
        Err(CodeFault::Terms("issued after its key was retired"))
    );
    assert_eq!(
        window(None, KeyStatus::Revoked, None),
        Err(CodeFault::KeyRevoked)
    );
}

#[test]
fn it_can_be_revoked_by_its_key_and_the_id_in_it() {
    let revocation = |rid: Value| {
        let mut body = card(&json!([]));
        body["vc"]["rid"] = rid;
        read_by(&code(&header(), &body), key()).unwrap().revocation
    };
    assert_eq!(
        revocation(json!("abc")),
        [format!("shc:{}:abc", issuer().key_id)]
    );
    assert!(revocation(Value::Null).is_empty());
    assert!(revocation(json!("x".repeat(25))).is_empty());
}

#[test]
fn the_id_of_a_key_is_its_thumbprint() {
    assert_eq!(key().key.thumbprint(), Some(issuer().key_id));
}
