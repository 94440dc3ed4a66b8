//! `turnstiled backend passages`: what gates have sent to the backend of this machine, for an operator.

use std::io::{self, Write};

use reqwest::Method;

use crate::domain::GateId;
use crate::sync::Client;
use crate::sync::client::{self, ClientError, LinkError};

/// Largest page: a thousand records, each with what stands around it.
const PAGE_BYTES_MAX: usize = 20 << 20;

/// Reads passages back as JSON lines, in the order of their arrival.
#[derive(Clone, Debug, clap::Args)]
pub struct PassagesArgs {
    /// The backend
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9480")]
    backend: String,
    /// Of this gate
    #[arg(long, value_parser = name)]
    gate: Option<String>,
    /// At this lane
    #[arg(long, value_parser = name)]
    lane: Option<String>,
    /// Decisions about this person: 16 hex digits
    #[arg(long, value_parser = name)]
    subject: Option<String>,
    /// Not before this time, such as 2026-11-24T08:00:00Z; a record without a trusted date is at no time
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// Go on after this `number`
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
}

/// Why not all passages are there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassagesError {
    /// The address cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The backend did not answer, or refused.
    #[error("no answer after number {after}")]
    Link {
        /// Where to go on.
        after: u64,
        /// Why.
        source: LinkError,
    },
    /// The backend does not say where to go on.
    #[error("the answer is none of a backend")]
    Nonsense,
    /// Standard output is closed or full.
    #[error("cannot write")]
    Output(#[from] io::Error),
}

impl PassagesError {
    /// The exit code of `sysexits`: 64 for an address or a filter that is refused, 69 for a backend that is not there.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Client(_)
            | Self::Link {
                source: LinkError::Status(400),
                ..
            } => 64,
            Self::Link { .. } | Self::Nonsense => 69,
            Self::Output(_) => 1,
        }
    }
}

/// Writes every passage that is asked for.
///
/// # Errors
/// [`PassagesError`]; what was written until then is whole.
pub async fn run(args: &PassagesArgs, out: &mut impl Write) -> Result<(), PassagesError> {
    let client = Client::new(&args.backend)?;
    let mut after = args.after;
    loop {
        let request = client.request(Method::GET, "/v1/passages", Some(&args.query(after)));
        let link = |source| PassagesError::Link { after, source };
        let answer = match client::send(request).await {
            Ok(response) => client::succeeded(response).await,
            Err(error) => Err(error),
        };
        let answer = answer.map_err(link)?;
        let next = answer
            .headers()
            .get("turnstile-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or(PassagesError::Nonsense)?;
        let page = client::read(answer, PAGE_BYTES_MAX).await.map_err(link)?;
        out.write_all(&page)?;
        if next <= after {
            return Ok(out.flush()?);
        }
        after = next;
    }
}

impl PassagesArgs {
    /// Names, digits and nothing else: no escaping is needed.
    fn query(&self, after: u64) -> String {
        let ms = |at: &jiff::Timestamp| at.as_millisecond().max(0).to_string();
        let given = [
            ("gate", self.gate.clone()),
            ("lane", self.lane.clone()),
            ("subject", self.subject.clone()),
            ("from_ms", self.from.as_ref().map(ms)),
            ("until_ms", self.until.as_ref().map(ms)),
            ("after", Some(after.to_string())),
        ];
        let pairs = given
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", value?)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// A name as gates, lanes and subjects have one.
fn name(text: &str) -> Result<String, String> {
    let name = GateId::new(text).map_err(|error| error.to_string())?;
    Ok(name.into())
}
