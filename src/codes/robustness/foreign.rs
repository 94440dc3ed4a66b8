//! Codes that programs in another language make from the description alone, and signatures that OpenSSL checks.

use std::path::Path;
use std::process::Command;

use sm2::dsa::SigningKey;
use sm2::pkcs8::{EncodePublicKey as _, LineEnding};

use super::{NOW, SEED, gate, good, good_from_to};
use crate::lab::mint::ride_v81::{Chain, Dialect, Ride, SM2_ID};

fn script(name: &str) -> serde_json::Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/foreign")
        .join(name);
    let ran = Command::new("python3")
        .arg(&file)
        .arg(NOW.as_secs().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{name}: {said}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn a_gate_takes_an_open_ride_code_of_a_phone_that_was_written_from_its_description() {
    let made = script("ride_code.py");
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let trust = format!(
        "[[issuer]]\nid = \"city\"\nprofile = \"ride.cwt\"\ndetect = [{{ prefix = \"RC1:\" }}]\n\
         [[issuer.key]]\nid = \"hex:{}\"\nalgorithm = \"ES256\"\npublic = \"{}\"\n",
        text("key_id"),
        text("public"),
    );
    let credential = good(&gate(&trust), &text("code"));
    assert_eq!(good_from_to(&credential), (Some(-20), Some(60)));
}

#[test]
fn a_gate_takes_a_national_ride_code_that_was_signed_by_openssl() {
    let made = script("ride_v81.py");
    let root = made["root"].as_str().unwrap();
    let trust = format!(
        "[[issuer]]\nid = \"city\"\nprofile = \"ride.v81\"\ndetect = [{{ first_bytes = \"81\" }}]\n\
         [[issuer.key]]\nid = \"hex:01\"\nalgorithm = \"SM2\"\npublic = \"{root}\"\n"
    );
    let credential = good(&gate(&trust), made["code"].as_str().unwrap());
    assert_eq!(good_from_to(&credential), (Some(-20), Some(600)));
}

#[test]
fn openssl_takes_the_three_signatures_of_a_national_ride_code_of_ours() {
    let chain = Chain::new(SEED, SM2_ID).unwrap();
    let code = chain
        .code(&Ride::at(SEED, NOW), Dialect::default())
        .unwrap();
    let issuer_at = code.len() - 65 - 4 - 65;
    let phone_at = code.len() - 65;
    for (key, signed, signature) in [
        (&chain.root, &code[9..56], &code[56..120]),
        (
            &chain.issuer,
            &code[3..issuer_at],
            &code[issuer_at + 1..issuer_at + 65],
        ),
        (&chain.phone, &code[..phone_at], &code[phone_at + 1..]),
    ] {
        assert!(openssl_takes(key, signed, signature));
        let mut other = signed.to_vec();
        other[0] ^= 1;
        assert!(!openssl_takes(key, &other, signature));
    }
}

fn openssl_takes(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let file = home.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    };
    let key = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let signature = sm2::dsa::Signature::from_slice(signature).unwrap().to_der();
    let ran = Command::new("openssl")
        .args([
            "pkeyutl", "-verify", "-pubin", "-rawin", "-digest", "sm3", "-pkeyopt",
        ])
        // Left out, OpenSSL takes an empty id.
        .arg(format!("distid:{SM2_ID}"))
        .arg("-inkey")
        .arg(file("key", key.as_bytes()))
        .arg("-sigfile")
        .arg(file("signature", signature.as_bytes()))
        .arg("-in")
        .arg(file("message", message))
        .output()
        .unwrap();
    ran.status.success()
}
