//! `turnstiled codes trust`: a trust list as people write it becomes the one that gates believe.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Failure;
use crate::backend::{self, system_clock};
use crate::codes::TrustList;
use crate::codes::trust_list::TRUST_BYTES_MAX;
use crate::domain::Utc;
use crate::sync::dsse::PinnedKeys;
use crate::sync::hex;
use crate::sync::trust::SignedTrust;

/// A data file is wrong.
const DATA: u8 = 65;
/// An input file cannot be read.
const NO_INPUT: u8 = 66;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// `turnstiled codes trust`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Compile a trust list, sign it, and put it where a backend serves it from
    Sign(SignArgs),
    /// Show what a signed trust list says, and whether a key has signed it
    Show(ShowArgs),
}

/// Compiles and signs. Files that the trust list names are put into it: `public_file` and `certificate_file` of a key,
/// `jwks_file` of an issuer.
#[derive(Clone, Debug, clap::Args)]
pub struct SignArgs {
    /// The trust list, TOML
    #[arg(value_name = "TRUST.toml")]
    pub file: PathBuf,
    /// Where a backend lives, running or not: it serves the result within a second. Its key is made at the first time
    #[arg(long, value_name = "DIRECTORY", required_unless_present_all = ["key", "out"])]
    pub data: Option<PathBuf>,
    /// The key to sign with, 64 hex digits; made at the first time. Instead of the backend's own
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The signed trust list. Instead of the place where the backend looks for it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// For how long gates may decide by it, unless the trust list says `not_after`
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    pub days: u64,
}

/// Shows.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The signed trust list
    #[arg(value_name = "TRUST.json")]
    pub file: PathBuf,
    /// A key that should have signed it, as configs hold it; twice for the current and the next
    #[arg(long = "key", value_name = "BASE64")]
    pub keys: Vec<String>,
}

/// Runs it; gives what is to be said.
///
/// # Errors
/// [`Failure`]: 65 if the trust list is wrong or not newer, 66 if a file cannot be read, 69 if the result cannot be
/// written.
pub fn run(command: &Command) -> Result<String, Failure> {
    match command {
        Command::Sign(args) => sign(args, system_clock()()),
        Command::Show(args) => show(args),
    }
}

fn sign(args: &SignArgs, now: Utc) -> Result<String, Failure> {
    let place = |given: &Option<PathBuf>, of_data: fn(&Path) -> PathBuf| {
        let of_data = args.data.as_deref().map(of_data);
        // The arguments cannot be without both.
        given.clone().or(of_data).unwrap_or_default()
    };
    let out = place(&args.out, backend::trust::file);
    let key = place(&args.key, backend::trust::key_file);
    let (compiled, list) = compile(&args.file, now, args.days)?;
    let version = list.version;
    if out.exists() {
        let (_, before) = backend::trust::read(&out).map_err(|why| wrong(&out, &why))?;
        if version <= before.version {
            let sentence = format!(
                "key `version`: {version} is not above {}, the version of {}: gates take a newer one only",
                before.version,
                out.display()
            );
            return Err(wrong(&args.file, &sentence));
        }
    }
    let signed = backend::trust::sign(&compiled, version, &key, &out)
        .map_err(|error| Failure::new(super::UNAVAILABLE, &error))?;
    let mut said = described(&list);
    let _ = write!(
        said,
        "written to {}\ngates believe it with this in their config, under [backend]:\ntrust_keys = [\"{}\"]",
        out.display(),
        signed.public_key
    );
    Ok(said)
}

fn show(args: &ShowArgs) -> Result<String, Failure> {
    let (envelope, list) =
        backend::trust::read(&args.file).map_err(|why| wrong(&args.file, &why))?;
    let mut said = described(&list);
    if args.keys.is_empty() {
        said.push_str("nobody has looked at its signature: name a key with --key");
        return Ok(said);
    }
    let keys = PinnedKeys::parse(&args.keys).map_err(|error| Failure::new(64, &error))?;
    SignedTrust::open(envelope.into_bytes(), &keys)
        .map_err(|error| wrong(&args.file, &error.to_string()))?;
    said.push_str("signed by a key that was named");
    Ok(said)
}

/// One line for the list, and one an issuer.
fn described(list: &TrustList) -> String {
    let until = list.not_after.map_or_else(|| "for ever".into(), date);
    let mut said = format!("trust list: version {}, good until {until}\n", list.version);
    for issuer in &list.issuers {
        let (id, profile, keys) = (&issuer.id, issuer.profile.as_str(), issuer.keys.len());
        let _ = writeln!(
            said,
            "  {id}: {profile}, {keys} keys, priority {}",
            issuer.priority
        );
    }
    said
}

fn date(at: Utc) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "for ever".into(), |date| date.to_string())
}

/// The document to sign, and what it says.
fn compile(path: &Path, now: Utc, days: u64) -> Result<(Vec<u8>, TrustList), Failure> {
    let text = read(path)?;
    let mut table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong(path, &error.to_string()))?;
    if !embed(&mut table, path.parent().unwrap_or(Path::new(".")))? {
        // Nothing was put into it: a fault has a line.
        TrustList::parse(&text).map_err(|error| wrong(path, &error.to_string()))?;
    }
    let mut document = json_of(toml::Value::Table(table));
    let created = now.as_secs();
    if let Value::Object(document) = &mut document {
        document.insert("created".into(), json!(created));
        let until = json!(created.saturating_add(days.saturating_mul(DAY_S)));
        document.entry("not_after").or_insert(until);
    }
    let whole = |document: &Value| serde_json::to_vec(document).unwrap_or_default();
    let read = |document: &Value| TrustList::parse_compiled(&whole(document));
    let list = read(&document).map_err(|error| wrong(path, &error.to_string()))?;
    // Dates go out as whole seconds, as in every other signed document.
    if let (Value::Object(document), Some(end)) = (&mut document, list.not_after) {
        document.insert("not_after".into(), json!(end.as_secs()));
    }
    let list = read(&document).map_err(|error| wrong(path, &error.to_string()))?;
    Ok((whole(&document), list))
}

/// Puts the files in that the trust list names; true if there were any.
fn embed(table: &mut toml::Table, base: &Path) -> Result<bool, Failure> {
    let mut any = false;
    let issuers = table.get_mut("issuer").and_then(toml::Value::as_array_mut);
    for issuer in issuers
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table_mut)
    {
        let jwks = take_path(issuer, "jwks_file", base);
        let keys = issuer
            .entry("key")
            .or_insert_with(|| toml::Value::Array(Vec::new()));
        let toml::Value::Array(keys) = keys else {
            // Not a list of tables: whoever reads the whole says so.
            continue;
        };
        for key in keys.iter_mut().filter_map(toml::Value::as_table_mut) {
            for (named, name) in [
                ("public_file", "public"),
                ("certificate_file", "certificate"),
            ] {
                if let Some(path) = take_path(key, named, base) {
                    key.insert(name.into(), toml::Value::String(read(&path)?));
                    any = true;
                }
            }
        }
        if let Some(path) = jwks {
            keys.extend(jwks_keys(&path)?);
            any = true;
        }
        if keys.is_empty() {
            issuer.remove("key");
        }
    }
    Ok(any)
}

fn take_path(table: &mut toml::Table, key: &str, base: &Path) -> Option<PathBuf> {
    match table.get(key) {
        Some(toml::Value::String(path)) => {
            let path = base.join(path);
            table.remove(key);
            Some(path)
        }
        Some(_) | None => None,
    }
}

/// Keys of a JWK set (RFC 7517), as SMART Health Cards publish them: those for ES256.
fn jwks_keys(path: &Path) -> Result<Vec<toml::Value>, Failure> {
    let text = read(path)?;
    let set: Value =
        serde_json::from_str(&text).map_err(|error| wrong(path, &error.to_string()))?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| wrong(path, "this is no JWK set: it has no \"keys\""))?;
    let mut all = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("kty") != Some("EC") || text("crv") != Some("P-256") {
            continue;
        }
        let half = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?).ok()?;
            <[u8; 32]>::try_from(bytes).ok()
        };
        let (Some(id), Some(x), Some(y)) = (text("kid"), half("x"), half("y")) else {
            let sentence = format!("keys[{i}] has no kid, or no x and y of 32 bytes each");
            return Err(wrong(path, &sentence));
        };
        let point = format!("04{}{}", hex::encode(&x), hex::encode(&y));
        let mut table = toml::Table::new();
        for (name, value) in [("id", id), ("algorithm", "ES256"), ("public", &point)] {
            table.insert(name.into(), toml::Value::String(value.into()));
        }
        all.push(toml::Value::Table(table));
    }
    Ok(all)
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            let fields = table.into_iter().map(|(key, value)| (key, json_of(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure {
        code: NO_INPUT,
        sentence: format!("{}: {error}", path.display()),
    };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > TRUST_BYTES_MAX as u64 {
        let sentence = format!("{length} bytes are too many; allowed are {TRUST_BYTES_MAX}");
        return Err(wrong(path, &sentence));
    }
    fs::read_to_string(path).map_err(failed)
}

fn wrong(path: &Path, why: &str) -> Failure {
    Failure {
        code: DATA,
        sentence: format!("{}: {why}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "[[issuer]]\nid = \"card\"\nprofile = \"idcard\"\n";
    /// SubjectPublicKeyInfo of the generator of P-256, as OpenSSL writes it.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
        6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
        -----END PUBLIC KEY-----\n";
    const JWKS: &str = r#"{"keys":[
        {"kty":"EC","crv":"P-384","kid":"other"},
        {"kty":"EC","kid":"web","use":"sig","alg":"ES256","crv":"P-256",
         "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;

    fn args(folder: &Path, text: &str) -> SignArgs {
        let file = folder.join("trust.toml");
        fs::write(&file, text).unwrap();
        SignArgs {
            file,
            data: Some(folder.join("backend")),
            key: None,
            out: None,
            days: 10,
        }
    }

    fn signed(folder: &Path, text: &str) -> Result<String, Failure> {
        sign(&args(folder, text), Utc::from_secs(1_770_000_000))
    }

    #[test]
    fn files_that_it_names_are_put_into_it_and_it_is_served_with_its_dates() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.pem"), PEM).unwrap();
        fs::write(folder.path().join("jwks.json"), JWKS).unwrap();
        let text = format!(
            "version = 3\n{CARD}[[issuer]]\nid = \"web\"\nprofile = \"shc\"\njwks_file = \"jwks.json\"\n\
             [[issuer.key]]\nid = \"file\"\nalgorithm = \"ES256\"\npublic_file = \"key.pem\"\n"
        );
        let said = signed(folder.path(), &text).unwrap();
        assert!(
            said.contains("version 3, good until 2026-02-12T02:40:00Z"),
            "{said}"
        );
        assert!(said.contains("web: shc, 2 keys"), "{said}");
        let out = folder.path().join("backend/trust.json");
        let (envelope, list) = backend::trust::read(&out).unwrap();
        assert_eq!(list.created, Some(Utc::from_secs(1_770_000_000)));
        let ids: Vec<_> = list.issuers[1]
            .keys
            .iter()
            .map(|key| key.id.as_slice())
            .collect();
        assert_eq!(ids, [b"file".as_slice(), b"web"]);
        let key = said.split('"').nth(1).unwrap().to_owned();
        let keys = PinnedKeys::parse(std::slice::from_ref(&key)).unwrap();
        assert!(SignedTrust::open(envelope.into_bytes(), &keys).is_ok());
        let show = |keys: Vec<String>| {
            show(&ShowArgs {
                file: out.clone(),
                keys,
            })
        };
        assert!(
            show(vec![key])
                .unwrap()
                .ends_with("signed by a key that was named")
        );
        assert!(
            show(Vec::new())
                .unwrap()
                .contains("nobody has looked at its signature")
        );
        let other = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
        assert!(show(vec![other]).is_err());
    }

    #[test]
    fn a_version_goes_up_and_its_own_end_counts() {
        let folder = tempfile::tempdir().unwrap();
        let list =
            |version: u64| format!("version = {version}\nnot_after = 2026-03-01T00:00:00Z\n{CARD}");
        let said = signed(folder.path(), &list(2)).unwrap();
        assert!(said.contains("good until 2026-03-01T00:00:00Z"), "{said}");
        for again in [1, 2] {
            let failure = signed(folder.path(), &list(again)).unwrap_err();
            assert_eq!(failure.code, 65);
            assert!(
                failure.sentence.contains("is not above 2"),
                "{}",
                failure.sentence
            );
        }
        signed(folder.path(), &list(3)).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: &str, code: u8, sentence: &str| {
            let failure = signed(folder.path(), text).unwrap_err();
            assert_eq!(failure.code, code, "{}", failure.sentence);
            assert!(failure.sentence.contains(sentence), "{}", failure.sentence);
            assert!(!folder.path().join("backend").exists());
        };
        refused("version = ", 65, "trust.toml: ");
        refused(
            &format!("verson = 1\n{CARD}"),
            65,
            "line 1, column 1: key `verson`",
        );
        let key = "[[issuer]]\nid = \"a\"\nprofile = \"shc\"\n[[issuer.key]]\nid = \"k\"\nalgorithm = \"ES256\"\n";
        refused(
            &format!("version = 1\n{key}public_file = \"none.pem\"\n"),
            66,
            "none.pem",
        );
        fs::write(folder.path().join("bad.pem"), "bad").unwrap();
        refused(
            &format!("version = 1\n{key}public_file = \"bad.pem\"\n"),
            65,
            "key `issuer[0].key[0]`: `public`",
        );
        let ended = format!("version = 1\nnot_after = 2026-01-01T00:00:00Z\n{CARD}");
        refused(&ended, 65, "key `not_after`: this is not after `created`");
    }
}
