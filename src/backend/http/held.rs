//! Signed documents that change now and then: the answer is held while the caller has the newest.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio::time;

use super::super::inner::Inner;

/// Longest time an answer is held.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What a caller has, and how long it waits.
#[derive(Deserialize)]
pub(super) struct Held {
    have: Option<u64>,
    #[serde(default)]
    wait: u64,
}

/// A signed document as it is sent.
pub(in super::super) trait Sent {
    /// Its version.
    fn version(&self) -> u64;
    /// Its mark.
    fn etag(&self) -> &str;
    /// The envelope.
    fn envelope(&self) -> &str;
}

/// The newest document; held while the caller has it, or while it is not there yet. `None`: it is not there.
pub(super) async fn newest<S: Sent>(
    inner: &Inner,
    find: impl Fn() -> Option<Arc<S>>,
    held: &Held,
    headers: &HeaderMap,
) -> Option<Response> {
    let mark = headers.get(IF_NONE_MATCH);
    let same = |found: &S| mark.is_some_and(|mark| mark.as_bytes() == found.etag().as_bytes());
    let at_hand = |found: &S| held.have == Some(found.version()) && (mark.is_none() || same(found));
    let found = wait(inner, find, held.wait, at_hand).await?;
    let etag = (ETAG, found.etag().to_owned());
    if same(&found) {
        return Some((StatusCode::NOT_MODIFIED, [etag]).into_response());
    }
    let kind = (CONTENT_TYPE, "application/vnd.dsse+json".to_owned());
    let cache = (CACHE_CONTROL, "no-cache".to_owned());
    Some(([etag, kind, cache], found.envelope().to_owned()).into_response())
}

async fn wait<S>(
    inner: &Inner,
    find: impl Fn() -> Option<Arc<S>>,
    wait_s: u64,
    at_hand: impl Fn(&S) -> bool,
) -> Option<Arc<S>> {
    let (mut news, mut stop) = (inner.news.subscribe(), inner.stop.clone());
    let waited = time::sleep(Duration::from_secs(wait_s).min(WAIT_MAX));
    tokio::pin!(waited);
    loop {
        let found = find();
        let hold = found.as_ref().is_none_or(|found| at_hand(found));
        if !hold {
            return found;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return found },
            _ = stop.wait_for(|stop| *stop) => return found,
            () = &mut waited => return found,
        }
    }
}
