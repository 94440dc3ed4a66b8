//! From a template to a request. What is put in is always the value of a field, escaped as its place demands, so that no
//! code can say anything but itself.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;

use super::written::{Method, Written};
use crate::domain::Personal;

/// `None` if there is nothing to send for this kind of credential, or the address does not hold.
pub(super) fn build(
    http: &reqwest::Client,
    written: &Written,
    card: bool,
    identifier: &Personal<String>,
    now_s: u64,
) -> Option<RequestBuilder> {
    let template = if card { &written.card } else { &written.code }.as_ref()?;
    let now = now_s.to_string();
    let filled = |text: &str| fill(text, identifier.expose(), &now);
    let mut url = Url::parse(&written.url).ok()?;
    if !template.query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        for (name, text) in &template.query {
            pairs.append_pair(name, &filled(text));
        }
    }
    let method = match written.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let request = http.request(method, url);
    if let Some(json) = &template.json {
        let fields = json
            .iter()
            .map(|(name, value)| (name.clone(), json_of(value, &filled)));
        return Some(request.json(&Value::Object(fields.collect())));
    }
    if template.form.is_empty() {
        return Some(request);
    }
    // A form is written as the query of an address is.
    let mut form = Url::parse("http://form.invalid").ok()?;
    for (name, text) in &template.form {
        form.query_pairs_mut().append_pair(name, &filled(text));
    }
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    Some(
        request
            .header(CONTENT_TYPE, kind)
            .body(form.query().unwrap_or_default().to_owned()),
    )
}

/// Puts values in the place of their names, once: what a code holds is not looked at again.
fn fill(text: &str, identifier: &str, now: &str) -> String {
    let mut parts = text
        .split("{identifier}")
        .map(|part| part.replace("{unix_s}", now));
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |filled, part| filled + identifier + &part)
}

fn json_of(value: &toml::Value, filled: &impl Fn(&str) -> String) -> Value {
    match value {
        toml::Value::String(text) => Value::String(filled(text)),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(is) => Value::from(*is),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(all) => all.iter().map(|value| json_of(value, filled)).collect(),
        toml::Value::Table(table) => {
            let fields = table
                .iter()
                .map(|(name, value)| (name.clone(), json_of(value, filled)));
            Value::Object(fields.collect())
        }
    }
}
