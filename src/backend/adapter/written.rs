//! An adapter as it is written. Checked as it is read, so that one in hand works by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::codes::row_key::{ID_CARD, OPAQUE};
use crate::domain::document::{self, Fault};
use crate::domain::{Colour, HealthOutcome, IssuerId};

const NAMES_MAX: usize = 64;
const DEADLINE_MS: std::ops::RangeInclusive<u16> = 50..=1_400;
const AT_ONCE: std::ops::RangeInclusive<u16> = 1..=256;
/// Values in one table.
const VALUES_MAX: usize = 256;
/// Fields of a request, at any depth.
const FIELDS_MAX: usize = 64;
const DEPTH_MAX: u8 = 6;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Issuers of codes that the service is asked about.
    #[serde(default)]
    issuer: Vec<IssuerId>,
    /// Issuers of ID cards whose number it is asked about; a gate sends one only where its trust list says so.
    #[serde(default)]
    card_issuer: Vec<IssuerId>,
    /// "GET" or "POST".
    pub(super) method: Method,
    /// Where; `https://`, or `http://` on this machine.
    pub(super) url: String,
    /// Authorities that the service's certificate may come from, PEM.
    pub(super) ca: Option<PathBuf>,
    /// How long it may take, ms.
    #[serde(default = "deadline_default")]
    pub(super) deadline_ms: u16,
    /// Questions under way at once.
    #[serde(default = "at_once_default")]
    pub(super) at_once_max: u16,
    /// Headers whose values lie in files.
    #[serde(default)]
    pub(super) credentials: BTreeMap<String, PathBuf>,
    /// What is sent for a code.
    pub(super) code: Option<Template>,
    /// What is sent for the number of a card.
    pub(super) card: Option<Template>,
    /// What the answer means.
    pub(super) answer: Answer,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Method {
    /// All of it in the address.
    #[serde(rename = "GET")]
    Get,
    /// With a body.
    #[serde(rename = "POST")]
    Post,
}

/// What is sent. In texts `{identifier}` stands for the code or number, `{unix_s}` for the time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Template {
    /// Behind the `?` of the address.
    pub(super) query: BTreeMap<String, String>,
    /// A form as the body.
    pub(super) form: BTreeMap<String, String>,
    /// A JSON document as the body.
    pub(super) json: Option<toml::Table>,
}

/// What an answer means. Places are JSON pointers (RFC 6901).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// HTTP statuses beside 200 that mean something.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, Outcome>,
    /// The service's own return code.
    pub(super) return_code: Option<Table<Outcome>>,
    /// The colour.
    pub(super) health: Option<Table<Outcome>>,
    /// Hours since the last test.
    pub(super) test_hours: Option<TestHours>,
    /// Where the standing comes from, as the lists count regions.
    pub(super) region: Option<Table<u8>>,
    /// When the service found out.
    pub(super) found_at: Option<FoundAt>,
    /// Who it is, as lists know them (translation).
    pub(super) person: Option<Person>,
}

/// A place, and what its values mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table<T> {
    /// Where.
    pub(super) at: String,
    /// What each value means; every other one is nonsense.
    pub(super) values: BTreeMap<String, T>,
}

/// One meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The rest of the answer counts.
    Ok,
    /// Green.
    Green,
    /// Yellow.
    Yellow,
    /// Red.
    Red,
    /// The service knows nobody.
    Unknown,
    /// Known, but has not applied for a code.
    NotApplied,
    /// The service could not find out.
    QueryFailed,
    /// Whom the service asked did not answer it.
    TimedOut,
}

impl Outcome {
    /// `None`: the rest of the answer counts.
    pub(super) const fn health(self) -> Option<HealthOutcome> {
        Some(match self {
            Self::Ok => return None,
            Self::Green => HealthOutcome::Green,
            Self::Yellow => HealthOutcome::Yellow,
            Self::Red => HealthOutcome::Red,
            Self::Unknown => HealthOutcome::Unknown,
            Self::NotApplied => HealthOutcome::NotApplied,
            Self::QueryFailed => HealthOutcome::QueryFailed,
            Self::TimedOut => HealthOutcome::TimedOut,
        })
    }
}

/// Hours since the last test, and what becomes of a green code when they are too many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestHours {
    /// Where.
    pub(super) at: String,
    /// A green code counts up to so many.
    pub(super) max: u16,
    /// What it is beyond, and without a test.
    pub(super) beyond: Colour,
}

/// When the service found out what it says: freshness of the standing, whatever the code's own validity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoundAt {
    /// Where; a number.
    pub(super) at: String,
    /// "s" or "ms" since 1970.
    pub(super) unit: Unit,
    /// An older answer is none: query failed.
    pub(super) age_max_s: u32,
}

/// Unit of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
}

/// Who it is, in the words of the rows of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// Where their identifier stands.
    pub(super) at: String,
    /// Kind of their row.
    pub(super) kind: String,
    /// Issuer in their row.
    pub(super) issuer: IssuerId,
}

const fn deadline_default() -> u16 {
    600
}

const fn at_once_default() -> u16 {
    32
}

impl Written {
    /// Reads and checks.
    ///
    /// # Errors
    /// [`Fault`] with the first thing that is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let written: Self = document::parse(text)?;
        written
            .check()
            .map_err(|(key, sentence)| document::fault_at(text, key, sentence))?;
        Ok(written)
    }

    /// True if the service is asked about what this issuer made.
    pub(super) fn is_for(&self, kind: &str, issuer: &IssuerId) -> bool {
        if kind == ID_CARD {
            self.card_issuer.contains(issuer)
        } else {
            self.issuer.contains(issuer)
        }
    }

    /// An issuer that both are for.
    pub(super) fn shares_with(&self, other: &Self) -> Option<&IssuerId> {
        let codes = self.issuer.iter().find(|one| other.issuer.contains(one));
        let cards = self.card_issuer.iter();
        codes.or_else(|| {
            cards
                .into_iter()
                .find(|one| other.card_issuer.contains(one))
        })
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let names = self.issuer.len().saturating_add(self.card_issuer.len());
        if !(1..=NAMES_MAX).contains(&names) {
            return Err((
                "issuer",
                format!(
                    "an adapter is for 1 to {NAMES_MAX} issuers, in `issuer` and `card_issuer`"
                ),
            ));
        }
        for (key, wanted, template) in [
            ("code", !self.issuer.is_empty(), &self.code),
            ("card", !self.card_issuer.is_empty(), &self.card),
        ] {
            match template {
                Some(template) if wanted => {
                    template.check(self.method).map_err(|why| (key, why))?
                }
                None if !wanted => {}
                Some(_) => {
                    return Err((
                        key,
                        "nobody is asked about so: no issuer is named for it".into(),
                    ));
                }
                None => {
                    return Err((
                        key,
                        "what is sent is missing, for the issuers that are named".into(),
                    ));
                }
            }
        }
        self.check_address()?;
        if !DEADLINE_MS.contains(&self.deadline_ms) {
            let sentence = format!("{} ms is outside 50 to 1400 ms", self.deadline_ms);
            return Err(("deadline_ms", sentence));
        }
        if !AT_ONCE.contains(&self.at_once_max) {
            let sentence = format!("{} is outside 1 to 256", self.at_once_max);
            return Err(("at_once_max", sentence));
        }
        self.answer.check()
    }

    fn check_address(&self) -> Result<(), (&'static str, String)> {
        let address = |sentence: &str| Err(("url", sentence.to_owned()));
        let Ok(url) = reqwest::Url::parse(&self.url) else {
            return address("an address looks like https://verify.example/health/verify");
        };
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let here = bare
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
            return address(
                "names, passwords and what follows a `?` belong to `credentials` and `query`",
            );
        }
        match (url.scheme(), &self.ca) {
            ("https", Some(_)) => Ok(()),
            ("https", None) => Err((
                "ca",
                "https:// needs the authorities that are believed, for example \"/etc/ssl/certs/ca-certificates.crt\""
                    .into(),
            )),
            ("http", None) if here => Ok(()),
            ("http", Some(_)) if here => Err(("ca", "only https:// has authorities".into())),
            _ => address("codes name people: only https://, or http:// on this machine (127.0.0.1, [::1])"),
        }
    }
}

impl Template {
    fn check(&self, method: Method) -> Result<(), String> {
        let bodies = usize::from(!self.form.is_empty()) + usize::from(self.json.is_some());
        if bodies > 1 {
            return Err("a request has a `form` or a `json`, not both".into());
        }
        if method == Method::Get && bodies > 0 {
            return Err("GET has a `query` and no body".into());
        }
        let mut texts: Vec<&str> = self
            .query
            .values()
            .chain(self.form.values())
            .map(String::as_str)
            .collect();
        let mut fields = texts.len();
        if let Some(json) = &self.json {
            for value in json.values() {
                collect(value, 1, &mut fields, &mut texts)?;
            }
        }
        if fields > FIELDS_MAX {
            return Err(format!(
                "{fields} fields are given; allowed are {FIELDS_MAX}"
            ));
        }
        if texts.iter().any(|text| text.contains("{identifier}")) {
            Ok(())
        } else {
            Err("no text in it holds {identifier}: nobody would be asked about".into())
        }
    }
}

fn collect<'a>(
    value: &'a toml::Value,
    depth: u8,
    fields: &mut usize,
    texts: &mut Vec<&'a str>,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("it is deeper than {DEPTH_MAX} levels"));
    }
    *fields = fields.saturating_add(1);
    let deeper = depth.saturating_add(1);
    match value {
        toml::Value::String(text) => texts.push(text),
        toml::Value::Array(all) => {
            for value in all {
                collect(value, deeper, fields, texts)?;
            }
        }
        toml::Value::Table(table) => {
            for value in table.values() {
                collect(value, deeper, fields, texts)?;
            }
        }
        toml::Value::Datetime(_) => return Err("JSON has no dates: write it as a text".into()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {}
    }
    Ok(())
}

impl Answer {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let places = [
            (
                "answer.return_code.at",
                self.return_code.as_ref().map(|one| &one.at),
            ),
            ("answer.health.at", self.health.as_ref().map(|one| &one.at)),
            (
                "answer.test_hours.at",
                self.test_hours.as_ref().map(|one| &one.at),
            ),
            ("answer.region.at", self.region.as_ref().map(|one| &one.at)),
            (
                "answer.found_at.at",
                self.found_at.as_ref().map(|one| &one.at),
            ),
            ("answer.person.at", self.person.as_ref().map(|one| &one.at)),
        ];
        for (key, place) in places {
            if place.is_some_and(|at| !at.starts_with('/') || at.len() > 200) {
                return Err((key, "a place is a JSON pointer, like /data/status".into()));
            }
        }
        if self.health.is_none() && self.person.is_none() {
            return Err((
                "answer",
                "it says neither `health` nor `person`: nothing would be known".into(),
            ));
        }
        for (key, table) in [
            ("answer.return_code", &self.return_code),
            ("answer.health", &self.health),
        ] {
            if let Some(table) = table
                && !(1..=VALUES_MAX).contains(&table.values.len())
            {
                return Err((key, format!("allowed are 1 to {VALUES_MAX} values")));
            }
        }
        let health = self.health.as_ref();
        if health.is_some_and(|health| health.values.values().any(|one| *one == Outcome::Ok)) {
            return Err(("answer.health", "\"ok\" is no colour".into()));
        }
        if let Some(person) = &self.person
            && ![OPAQUE, ID_CARD].contains(&person.kind.as_str())
        {
            let sentence = format!("\"{}\" is none of \"{OPAQUE}\", \"{ID_CARD}\"", person.kind);
            return Err(("answer.person.kind", sentence));
        }
        Ok(())
    }
}
