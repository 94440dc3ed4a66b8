//! HTTP to the backend, bounded in time and bytes.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use serde::Serialize;

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// How long a call may take that is not held by the backend on purpose.
pub const CALL_TIME: Duration = Duration::from_secs(20);

/// Why a call did not end in an answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address in the config is none, or not one that plain HTTP is allowed for.
    #[error("{0}")]
    Address(String),
    /// No connection, or it broke.
    #[error("the backend cannot be reached: {0}")]
    Away(String),
    /// It answered with a status that is no success.
    #[error("the backend answered {0}")]
    Status(StatusCode),
    /// More bytes than such an answer can have.
    #[error("the backend sent more than {0} bytes")]
    TooLong(usize),
    /// Not what such an answer looks like.
    #[error("the backend's answer cannot be read: {0}")]
    Nonsense(String),
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// A client for the backend at `url`.
    ///
    /// # Errors
    /// [`ClientError::Address`] unless it is `http://` on a loopback address: anything else needs mTLS.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let base = Url::parse(url)
            .map_err(|error| ClientError::Address(format!("`{url}` is no URL: {error}")))?;
        let host = base
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let loopback = host == "localhost"
            || host
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if base.scheme() != "http" || !loopback {
            return Err(ClientError::Address(format!(
                "`{url}` is not allowed: plain HTTP is for loopback addresses, as in http://127.0.0.1:9480"
            )));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClientError::Address(error.to_string()))?;
        Ok(Self { base, http })
    }

    /// Gets at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get(
        &self,
        path: &str,
        bytes_max: usize,
        within: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let response = self
            .http
            .get(self.url(path)?)
            .timeout(within)
            .send()
            .await
            .map_err(away)?;
        body(response, bytes_max).await
    }

    /// Posts JSON; gives the status, and the body if it is a success.
    ///
    /// # Errors
    /// [`ClientError::Status`] for anything but a success.
    pub async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        json: &T,
        bytes_max: usize,
        within: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let response = self
            .http
            .post(self.url(path)?)
            .timeout(within)
            .json(json)
            .send()
            .await
            .map_err(away)?;
        body(response, bytes_max).await
    }

    /// Posts bytes.
    ///
    /// # Errors
    /// [`ClientError::Status`] for anything but a success.
    pub async fn post_bytes(
        &self,
        path: &str,
        bytes: Vec<u8>,
        bytes_max: usize,
        within: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let response = self
            .http
            .post(self.url(path)?)
            .timeout(within)
            .body(bytes)
            .send()
            .await
            .map_err(away)?;
        body(response, bytes_max).await
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.base
            .join(path)
            .map_err(|error| ClientError::Address(error.to_string()))
    }
}

async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
    if !response.status().is_success() {
        return Err(ClientError::Status(response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(away)? {
        if bytes.len() + part.len() > bytes_max {
            return Err(ClientError::TooLong(bytes_max));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn away(error: reqwest::Error) -> ClientError {
    // The URL of a call names a list at most; without it the sentence is the same for every call.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    ClientError::Away(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in [
            "http://127.0.0.1:9480",
            "http://localhost:1",
            "http://[::1]:9480/",
        ] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "https://127.0.0.1",
            "ftp://127.0.0.1",
            "http://localhost.evil.example",
            "nonsense",
        ] {
            assert!(
                matches!(Client::new(bad), Err(ClientError::Address(_))),
                "{bad}"
            );
        }
    }
}
