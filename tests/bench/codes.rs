//! What it costs to read a code, per profile, beside what OpenSSL takes for the signatures of it in the same run: `make bench`.
//!
//! | Variable | Means |
//! |---|---|
//! | `ROUNDS` | codes of each profile, 2,000 by default |
//! | `TURNSTILED_SHARED` | folder with public health certificates; those on P-384 and RSA come from there |

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "what cannot be set up has failed; figures are printed; a bench reads the clock"
)]

use std::process::Command;
use std::time::Instant;

use turnstiled::codes::{Pepper, Profile, Reader, TrustList};
use turnstiled::domain::{IdCardKind, ListId, Personal, Shown, Utc};
use turnstiled::lab::mint::{self, Seed};

/// 2026-11-24T12:53:20Z.
const NOW: Utc = Utc::from_secs(1_795_524_800);

fn main() {
    let rounds = std::env::var("ROUNDS").map_or(2_000, |text| text.parse().unwrap());
    println!("| Code | p50 | p99 | signatures | OpenSSL takes for them |");
    println!("|---|---|---|---|---|");
    let ec = openssl("ecdsap256");
    let sm2 = openssl("sm2");
    let ed = openssl("ed25519");
    let line = |name: &str, us: &[u64], signed: &str, theirs: Option<u64>| {
        let at = |part: usize| us[(us.len() - 1) * part / 1_000];
        let theirs = theirs.map_or("no openssl here".into(), |us| format!("{us} us"));
        println!(
            "| {name} | {} us | {} us | {signed} | {theirs} |",
            at(500),
            at(990)
        );
        at(990)
    };
    let mut dearest = 0;
    for (profile, signed, theirs) in [
        (Profile::Opaque, "none", Some(0)),
        (Profile::Hcert, "1 ES256", ec),
        (Profile::Shc, "1 ES256", ec),
        (Profile::RideV81, "3 SM2", sm2.map(|us| us * 3)),
        (
            Profile::RideCwt,
            "1 Ed25519, 1 ES256",
            ed.zip(ec).map(|(a, b)| a + b),
        ),
    ] {
        let us = codes(profile, rounds);
        dearest = dearest.max(line(profile.as_str(), &us, signed, theirs));
    }
    dearest = dearest.max(line("idcard", &cards(rounds), "none", Some(0)));
    let shared = std::env::var("TURNSTILED_SHARED");
    for (algorithm, theirs) in [("ES384", "ecdsap384"), ("PS256", "rsa2048")] {
        let signed = format!("1 {algorithm}");
        match shared
            .as_deref()
            .map(|shared| public(shared, algorithm, rounds))
        {
            Ok(us) if !us.is_empty() => {
                dearest = dearest.max(line("hcert", &us, &signed, openssl(theirs)));
            }
            Ok(_) | Err(_) => println!("| hcert | | | {signed}: no such code here | |"),
        }
    }
    println!("\np99 of the dearest: {dearest} us; allowed are 5,000 us");
}

fn gate(trust: &str) -> Reader {
    let trust = TrustList::parse(&format!("version = 1\n{trust}")).unwrap();
    let pepper = (ListId::new("city").unwrap(), Pepper::from_bytes([1; 32]));
    Reader::new(trust, vec![pepper]).unwrap()
}

/// Microseconds for each of so many codes, each another one, sorted.
fn codes(profile: Profile, rounds: u64) -> Vec<u64> {
    let seed = Seed(1);
    let made = |n| Utc::from_secs(NOW.as_secs() + n);
    let gate = gate(&mint::mint(profile, seed, NOW).unwrap().trust);
    let minted = (0..rounds).map(|n| mint::mint(profile, seed, made(n)).unwrap().text);
    let shown: Vec<_> = minted
        .map(|text| Shown::Code(Personal::new(text)))
        .collect();
    timed(&gate, &shown)
}

fn cards(rounds: u64) -> Vec<u64> {
    let gate = gate(&mint::mint(Profile::IdCard, Seed(1), NOW).unwrap().trust);
    let card = |n| Shown::Card(mint::id_card::card(Seed(n), IdCardKind::Resident, NOW).unwrap());
    timed(&gate, &(0..rounds).map(card).collect::<Vec<_>>())
}

fn timed(gate: &Reader, shown: &[Shown]) -> Vec<u64> {
    let mut us: Vec<_> = shown
        .iter()
        .map(|shown| {
            let began = Instant::now();
            let read = gate.read(shown);
            let took = began.elapsed();
            read.unwrap();
            u64::try_from(took.as_micros()).unwrap()
        })
        .collect();
    us.sort_unstable();
    us
}

/// The same for public certificates of a kind of key, each with its own certificate in the trust list.
fn public(shared: &str, algorithm: &str, rounds: u64) -> Vec<u64> {
    let file = std::path::Path::new(shared).join("data/hcert/cases.ndjson");
    let Ok(text) = std::fs::read_to_string(file) else {
        return Vec::new();
    };
    let mut us = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let (Some(code), Some(certificate)) = (case["text"].as_str(), case["certificate"].as_str())
        else {
            continue;
        };
        let trust = format!(
            "version = 1\n[[issuer]]\nid = \"x\"\nprofile = \"hcert\"\n[[issuer.key]]\nalgorithm = \"{algorithm}\"\ncertificate = \"{certificate}\"\n"
        );
        // A certificate of another kind of key is refused here.
        let Ok(trust) = TrustList::parse(&trust) else {
            continue;
        };
        let pepper = (ListId::new("city").unwrap(), Pepper::from_bytes([1; 32]));
        let gate = Reader::new(trust, vec![pepper]).unwrap();
        let shown = Shown::Code(Personal::new(code.to_owned()));
        if gate.read(&shown).is_err() {
            continue;
        }
        let times = usize::try_from(rounds / 10).unwrap().max(1);
        us.extend(timed(
            &gate,
            &std::iter::repeat_n(shown, times).collect::<Vec<_>>(),
        ));
    }
    us.sort_unstable();
    us
}

/// Microseconds of one verification by OpenSSL, by its own measure.
fn openssl(algorithm: &str) -> Option<u64> {
    let ran = Command::new("openssl")
        .args(["speed", "-mr", "-seconds", "1", algorithm])
        .output()
        .ok()?;
    let text = String::from_utf8(ran.stdout).ok()?;
    // Like `+F4:3:256:52947.3:16472.7`: the last two are signatures and verifications a second.
    let line = text.lines().rfind(|line| line.starts_with("+F"))?;
    let a_second: f64 = line.split(':').next_back()?.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some microseconds"
    )]
    Some((1e6 / a_second) as u64)
}
