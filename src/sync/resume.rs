//! A body in parts: where a connection breaks, the next request asks for the rest (`Range`, RFC 9110 section 14). What is
//! fetched so is named by its hash, so whoever answers the second request cannot pass something else off.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{RequestBuilder, StatusCode};

use super::client::{LinkError, link_error, send, succeeded};

/// How long one part may take.
const PART_TIMEOUT: Duration = Duration::from_secs(60);
/// Most parts of one body; each must bring something.
const PARTS_MAX: u32 = 32;

/// Fetches a body of at most `bytes_max` bytes.
///
/// # Errors
/// [`LinkError`]: of the first part that brought nothing, or of the last.
pub(super) async fn fetch(
    bytes_max: usize,
    request: impl Fn() -> RequestBuilder,
) -> Result<Vec<u8>, LinkError> {
    let mut body = Vec::new();
    for _ in 1..PARTS_MAX {
        let before = body.len();
        match part(&mut body, bytes_max, request()).await {
            Err(error) if error.is_away() && body.len() > before => {
                tracing::debug!(%error, bytes = body.len(), "the rest of a chunk is asked for");
            }
            done => return done.map(|()| body),
        }
    }
    part(&mut body, bytes_max, request()).await.map(|()| body)
}

/// Adds to `body` what one answer brings. What came before a break stays.
async fn part(
    body: &mut Vec<u8>,
    bytes_max: usize,
    mut request: RequestBuilder,
) -> Result<(), LinkError> {
    let have = body.len();
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = send(request.timeout(PART_TIMEOUT)).await?;
    let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
        && starts_at(response.headers()) == Some(have);
    if !goes_on {
        // The whole, from a server that does not know of parts; or nothing that fits.
        body.clear();
        response = succeeded(response).await?;
    }
    while let Some(bytes) = response.chunk().await.map_err(|e| link_error(&e))? {
        if body.len().saturating_add(bytes.len()) > bytes_max {
            return Err(LinkError::TooLong);
        }
        body.extend_from_slice(&bytes);
    }
    Ok(())
}

/// The first byte of a `Content-Range: bytes 100-199/200`.
fn starts_at(headers: &HeaderMap) -> Option<usize> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (first, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    first.parse().ok()
}
