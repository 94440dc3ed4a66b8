//! A signed trust list in the directory of a backend is served; one that gates would refuse is not.

use super::super::Backend;
use super::super::system_clock;
use super::super::tests::ANY_PORT;
use super::*;
use crate::sync::client::{Ask, Client, Fetched, LinkError, Transport as _};

const SOON: Duration = Duration::from_secs(10);

fn compiled(version: u64) -> Vec<u8> {
    format!(
        r#"{{"version":{version},"created":1770000000,"not_after":1780000000,"issuer":[{{"id":"card","profile":"idcard"}}]}}"#
    )
    .into_bytes()
}

fn put(data: &Path, version: u64) -> Signed {
    sign(&compiled(version), version, &key_file(data), &file(data)).unwrap()
}

async fn fetched(client: &Client, have: u64, etag: Option<String>) -> Result<Fetched, LinkError> {
    let ask = Ask {
        have: Some(have),
        wait: SOON,
        etag,
    };
    tokio::time::timeout(SOON * 2, client.trust(&ask))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_trust_list_is_served_without_a_restart_and_an_older_or_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::start_with(ANY_PORT, dir.path(), system_clock())
        .await
        .unwrap();
    let client = Client::new(&backend.url()).unwrap();
    let none = client.trust(&Ask::default()).await;
    assert_eq!(none, Err(LinkError::NotFound));

    // Who waits while there is none is answered when there is one.
    let asking = client.clone();
    let waiting = tokio::spawn(async move { fetched(&asking, 0, None).await });
    let signed = put(dir.path(), 3);
    let Fetched::New { etag, envelope } = waiting.await.unwrap().unwrap() else {
        panic!("nothing new")
    };
    let keys = dsse::PinnedKeys::parse(&[&signed.public_key]).unwrap();
    let opened = crate::sync::SignedTrust::open(envelope, &keys).unwrap();
    assert_eq!((opened.version, opened.document), (3, compiled(3)));

    put(dir.path(), 2);
    fs::write(file(dir.path()), "{").unwrap();
    let ask = Ask {
        etag: etag.clone(),
        ..Ask::default()
    };
    assert_eq!(client.trust(&ask).await, Ok(Fetched::Same));
    let asking = client.clone();
    let waiting = tokio::spawn(async move { fetched(&asking, 3, etag).await });
    put(dir.path(), 4);
    let Fetched::New { envelope, .. } = waiting.await.unwrap().unwrap() else {
        panic!("nothing new")
    };
    let opened = crate::sync::SignedTrust::open(envelope, &keys).unwrap();
    assert_eq!(opened.version, 4);
    backend.shutdown().await;

    // Gates on this machine are told by which key to believe it.
    let fragment = fs::read_to_string(dir.path().join("gate-fragment.toml")).unwrap();
    assert!(
        fragment.contains(&format!("trust_keys = [\"{}\"]", signed.public_key)),
        "{fragment}"
    );
}

#[test]
fn what_is_looked_at_is_bounded_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    fs::write(&path, vec![b' '; ENVELOPE_BYTES_MAX + 1]).unwrap();
    assert!(read(&path).unwrap_err().contains("too many"));
    let bad = br#"{"version":1,"created":1,"not_after":2,"issuer":[]}"#;
    sign(bad, 1, &key_file(dir.path()), &path).unwrap();
    assert!(read(&path).unwrap_err().contains("allowed are 1 to 256"));
    let undated = br#"{"version":1,"created":1,"issuer":[{"id":"card","profile":"idcard"}]}"#;
    sign(undated, 1, &key_file(dir.path()), &path).unwrap();
    assert!(read(&path).unwrap_err().contains("`not_after`"));
    let trust = Trust::new(dir.path());
    assert!(!trust.look() && trust.served().is_none());
}
