//! What a technician wants to know of the files that a config names, and of the way to the backend.

use std::time::Duration;

use reqwest::Method;

use super::files::Files;
use crate::domain::Utc;
use crate::sync::client::{self, LinkError};
use crate::sync::tls::Facts;

impl Files {
    /// Validity of the gate's certificate and of the authority that it believes; nothing where it shows none.
    #[must_use]
    pub fn certificates(&self) -> Option<&(Facts, Facts)> {
        let link = self.link.as_ref()?;
        link.secure.as_ref().map(|secure| &secure.facts)
    }

    /// Knocks at the backend, at this date: nothing without one, or else whether anybody answers, whatever it says.
    pub async fn knocks(&self, date: Utc, within: Duration) -> Option<Result<(), String>> {
        let link = self.link.as_ref()?;
        if let Some(secure) = &link.secure {
            secure.date.raise_floor(date);
        }
        let request = link.client.request(Method::GET, "/v1/trust", None);
        Some(
            match tokio::time::timeout(within, client::send(request)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(LinkError::Untrusted(refusal))) => Err(refusal.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", within.as_secs())),
            },
        )
    }
}
