//! Rules for the table `[backend]`: plain HTTP stays on this machine, everything else is mutual TLS.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::rules::{Broken, broken};
use super::tree::Backend;

/// Checks the table; the first rule that does not hold is the answer.
pub(super) fn check(backend: &Backend) -> Result<(), Broken> {
    if check_url(&backend.url)? {
        check_files_given(backend)?;
    } else {
        check_no_files(backend)?;
    }
    check_keys("backend.list_keys", &backend.list_keys)?;
    if backend.trust_keys.is_empty() {
        return Ok(());
    }
    check_keys("backend.trust_keys", &backend.trust_keys)?;
    let mut shared = backend.trust_keys.iter().enumerate();
    if let Some((i, _)) = shared.find(|(_, key)| backend.list_keys.contains(key)) {
        let sentence = "this key signs lists; the trust list has a key of its own";
        return broken(format!("backend.trust_keys[{i}]"), sentence);
    }
    Ok(())
}

/// Checks the address; true if it is called by TLS.
fn check_url(url: &str) -> Result<bool, Broken> {
    const KEY: &str = "backend.url";
    let Ok(parsed) = reqwest::Url::parse(url) else {
        return broken(
            KEY,
            "this is no address; one looks like \"https://backend.example:9481\" or \"http://127.0.0.1:9480\"",
        );
    };
    let host = parsed.host_str().unwrap_or_default();
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    let tls = parsed.scheme() == "https";
    if !tls && (parsed.scheme() != "http" || !loopback) {
        return broken(
            KEY,
            "only plain HTTP to this machine is allowed: \"http://\" with 127.0.0.1, [::1] or localhost; \
             a backend elsewhere is called by \"https://\", with certificate, key and ca",
        );
    }
    let bare = parsed.username().is_empty() && parsed.password().is_none();
    if !bare || parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
        return broken(
            KEY,
            "only scheme, host and port are allowed here: \"https://backend.example:9481\"",
        );
    }
    Ok(tls)
}

fn files(backend: &Backend) -> [(&'static str, &'static str, bool); 3] {
    [
        (
            "backend.certificate",
            "the certificate of this gate",
            backend.certificate.is_some(),
        ),
        (
            "backend.key",
            "the private key of its certificate",
            backend.key.is_some(),
        ),
        (
            "backend.ca",
            "the authority that the backend's certificate comes from",
            backend.ca.is_some(),
        ),
    ]
}

fn check_files_given(backend: &Backend) -> Result<(), Broken> {
    for (key, what, given) in files(backend) {
        if !given {
            let sentence = format!("\"https\" needs this key: a PEM file with {what}");
            return broken(key, sentence);
        }
    }
    Ok(())
}

fn check_no_files(backend: &Backend) -> Result<(), Broken> {
    for (key, _, given) in files(backend) {
        if given {
            let sentence =
                "plain HTTP shows no certificate; for TLS the url begins with \"https://\"";
            return broken(key, sentence);
        }
    }
    Ok(())
}

fn check_keys(name: &str, keys: &[String]) -> Result<(), Broken> {
    if !(1..=2).contains(&keys.len()) {
        let sentence = format!(
            "{} keys are given; allowed are 1 or 2: the current and the next",
            keys.len()
        );
        return broken(name, sentence);
    }
    let mut seen = BTreeSet::new();
    for (i, key) in keys.iter().enumerate() {
        let path = format!("{name}[{i}]");
        match STANDARD.decode(key) {
            Ok(bytes) if bytes.len() == 32 => {
                if !seen.insert(bytes) {
                    return broken(path, "the same key stands here twice");
                }
            }
            Ok(bytes) => {
                let found = bytes.len();
                return broken(
                    path,
                    format!("an Ed25519 public key has 32 bytes, this has {found}"),
                );
            }
            Err(_) => {
                return broken(
                    path,
                    "this is not base64; an Ed25519 public key is 44 characters that end in \"=\"",
                );
            }
        }
    }
    Ok(())
}
