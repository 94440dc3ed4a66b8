//! `turnstiled codes verify`: codes against a certificate or a trust list, one a line, each with the step at which it
//! fails. A line that cannot be read is answered like all others, and the next one is read.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::{DATA, Failure, trust};
use crate::backend::{self, system_clock};
use crate::codes::examine::{self, Anchors, Examined};
use crate::codes::instant;
use crate::codes::{Profile, TrustList};
use crate::domain::Utc;

/// Longest line, bytes: a code and the longest certificate chain that anybody would paste.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Reads lines `{"case", "text", "certificate", "clock"}` from standard input, and writes for each one
/// `{"case", "profile", "transport_ok", "signature_ok", "within_validity", "reason"}`. The certificate (base64 of DER)
/// stands in for the trust list; without one, and without a trust list, no signature holds. The clock is a time like
/// 2021-05-03T18:00:00Z, by UTC if it says nothing else; without one, validity is null.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Lines are JSON
    #[arg(long, required = true)]
    pub ndjson: bool,
    /// For lines without a certificate: a trust list, TOML, or signed if its name ends in .json
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

/// What is said of a line.
#[derive(Serialize)]
struct Answer {
    case: Value,
    profile: Option<&'static str>,
    transport_ok: bool,
    signature_ok: bool,
    within_validity: Option<bool>,
    reason: String,
}

/// Answers every line.
///
/// # Errors
/// [`Failure`]: 65 or 66 if the trust list cannot be used, 1 if input or output breaks off.
pub fn run(args: &Args, input: &mut impl BufRead, out: &mut impl Write) -> Result<u8, Failure> {
    let trust = args.trust.as_deref().map(trust_list).transpose()?;
    let broken = |error: std::io::Error| Failure::new(1, &error);
    let mut line = Vec::new();
    let mut number: u64 = 0;
    loop {
        let whole = read_line(input, &mut line).map_err(broken)?;
        let Some(whole) = whole else { break };
        number = number.saturating_add(1);
        let answer = if whole {
            answer(&line, trust.as_ref())
        } else {
            Err((
                Value::Null,
                format!("a line has at most {LINE_BYTES_MAX} bytes, this has more"),
            ))
        };
        let answer = answer.unwrap_or_else(|(case, why)| unread(case, number, &why));
        serde_json::to_writer(&mut *out, &answer).map_err(|error| broken(error.into()))?;
        writeln!(out).map_err(broken)?;
    }
    out.flush().map_err(broken)?;
    Ok(0)
}

/// A signed list is one in JSON. Whoever names it here believes it; `codes trust show` asks about its signature.
fn trust_list(file: &Path) -> Result<TrustList, Failure> {
    let signed = file
        .extension()
        .is_some_and(|extension| extension == "json");
    if !signed {
        return trust::compile(file, system_clock()(), 1).map(|(_, list)| list);
    }
    let read = backend::trust::read(file);
    read.map(|(_, list)| list).map_err(|why| Failure {
        code: DATA,
        sentence: format!("{}: {why}", file.display()),
    })
}

/// One line without its end; `Some(false)`: it was too long and is gone, `None`: there is no more.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    let mut any = false;
    let mut fits = true;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(any.then_some(fits));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.split_at(end.unwrap_or(chunk.len())).0;
        fits &= line.len().saturating_add(part.len()) <= LINE_BYTES_MAX;
        if fits {
            line.extend_from_slice(part);
        }
        let taken = part.len().saturating_add(usize::from(end.is_some()));
        input.consume(taken);
        if end.is_some() {
            return Ok(Some(fits));
        }
    }
}

/// The answer, or why there is none: with the case, if the line is clear that far.
fn answer(line: &[u8], trust: Option<&TrustList>) -> Result<Answer, (Value, String)> {
    let no_case = |why: String| (Value::Null, why);
    let line = std::str::from_utf8(line).map_err(|_| no_case("this is not UTF-8".into()))?;
    if line.trim_ascii().is_empty() {
        return Err(no_case("this line is empty".into()));
    }
    // What the library says of a place is of use, and it does not repeat what stands there.
    let fields: Value = serde_json::from_str(line)
        .map_err(|error| no_case(format!("this is not JSON, at column {}", error.column())))?;
    let Value::Object(fields) = fields else {
        return Err(no_case("this is JSON and not an object".into()));
    };
    let case = fields.get("case").cloned().unwrap_or_default();
    if case.is_array() || case.is_object() {
        return Err(no_case("`case` is a text".into()));
    }
    let text_of = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err((case.clone(), format!("`{key}` is a text"))),
    };
    let Some(text) = text_of("text")? else {
        return Err((case, "`text` is missing: what the code holds".into()));
    };
    let (certificate, clock) = (text_of("certificate")?, text_of("clock")?);
    let certificate = certificate.filter(|text| !text.trim_ascii().is_empty());
    let key = certificate
        .map(|certificate| key(certificate, text))
        .transpose();
    let (anchors, key_fault) = match (&key, trust) {
        (Ok(Some(key)), _) => (Anchors::Key(key), None),
        (Err(why), _) => (Anchors::None, Some(why.as_str())),
        (Ok(None), Some(trust)) => (Anchors::Trust(trust), None),
        (Ok(None), None) => (
            Anchors::None,
            Some("neither a certificate nor a trust list"),
        ),
    };
    let examined = examine::examine(text, anchors);
    Ok(described(case, &examined, clock, key_fault))
}

fn key(certificate: &str, text: &str) -> Result<crate::codes::keys::IssuerKey, String> {
    let body: String = certificate
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD
        .decode(body)
        .map_err(|_| "the certificate is not base64".to_owned())?;
    examine::certificate_key(&der, text).map_err(|error| format!("the certificate: {error}"))
}

fn described(
    case: Value,
    examined: &Examined,
    clock: Option<&str>,
    key_fault: Option<&str>,
) -> Answer {
    let (within, time_fault) = within(examined, clock);
    let reason = match (examined.fault, key_fault) {
        (Some(fault), Some(why)) if examined.transport => format!("{fault}: {why}"),
        (Some(fault), _) => fault.to_string(),
        (None, _) => time_fault.unwrap_or("ok").to_owned(),
    };
    Answer {
        case,
        profile: examined.profile.map(Profile::as_str),
        transport_ok: examined.transport,
        signature_ok: examined.signature,
        within_validity: within,
        reason,
    }
}

/// `None`: nobody can say, because times or a clock are missing.
fn within(examined: &Examined, clock: Option<&str>) -> (Option<bool>, Option<&'static str>) {
    let Some((from, until)) = examined.window else {
        return (None, None);
    };
    let Some(clock) = clock else {
        return (None, Some("signed; no clock is given to judge its time by"));
    };
    let Some(now): Option<Utc> = instant(clock) else {
        return (
            None,
            Some("signed; the clock is no time like 2021-05-03T18:00:00Z"),
        );
    };
    if from.is_some_and(|from| now < from) {
        (Some(false), Some("signed, and not yet valid"))
    } else if until.is_some_and(|until| now > until) {
        (Some(false), Some("signed, and expired"))
    } else {
        (Some(true), None)
    }
}

fn unread(case: Value, number: u64, why: &str) -> Answer {
    Answer {
        case,
        profile: None,
        transport_ok: false,
        signature_ok: false,
        within_validity: None,
        reason: format!("line {number}: {why}"),
    }
}

#[cfg(test)]
mod tests;
