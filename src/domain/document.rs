//! Strict reading of a TOML text: every fault names line, column and key, in a sentence for the person who wrote the
//! file. The config and the trust list are read through here.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// Longest sentence kept: a fault may quote the file, and the file may be anything.
const SENTENCE_CHARS_MAX: usize = 600;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Path of the key, `lane[0].release_ms`; empty if the text is no TOML at all.
    pub key: String,
    /// What is wrong.
    pub sentence: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "key `{}`: ", self.key)?;
        }
        f.write_str(&self.sentence)
    }
}

/// Reads `text` as a `T`.
///
/// # Errors
/// [`Fault`] with the first thing that is wrong.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let document = toml::Deserializer::parse(text)
        .map_err(|error| fault(text, String::new(), error.span(), error.message()))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let key = if path == "." { String::new() } else { path };
        fault(text, key, inner.span(), inner.message())
    })
}

/// A fault that a later rule has found at `key`, with the place of that key in the text. A key that is not there
/// gives the place of the table it belongs to.
#[must_use]
pub fn fault_at(text: &str, key: &str, sentence: String) -> Fault {
    let (line, column) = position(text, offset_of(text, key));
    Fault {
        line,
        column,
        key: key.to_owned(),
        sentence,
    }
}

fn fault(text: &str, path: String, span: Option<std::ops::Range<usize>>, message: &str) -> Fault {
    let (key, sentence) = reword(path, message);
    let offset = span.map_or_else(|| offset_of(text, &key), |span| span.start);
    let (line, column) = position(text, offset);
    Fault {
        line,
        column,
        key: key.chars().take(SENTENCE_CHARS_MAX).collect(),
        sentence: sentence.chars().take(SENTENCE_CHARS_MAX).collect(),
    }
}

/// Turns serde's wording into a sentence, and points the path at the key that is meant.
fn reword(path: String, message: &str) -> (String, String) {
    if let Some(field) = quoted(message, "missing field ") {
        let key = join(&path, field);
        return (key, "this key is missing, and it has no default".into());
    }
    if let Some(field) = quoted(message, "unknown field ") {
        // The path may end at the table or at the key, depending on who noticed.
        let key = if path == field || path.ends_with(&format!(".{field}")) {
            path
        } else {
            join(&path, field)
        };
        return (key, unknown_key(field, message));
    }
    if let Some(word) = quoted(message, "unknown variant ") {
        let sentence = match choices(message) {
            Some(choices) => format!("\"{word}\" is not a choice here: {choices}"),
            None => message.to_owned(),
        };
        return (path, sentence);
    }
    if let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        let wanted = match wanted {
            "i64" | "u64" | "u32" | "u16" | "u8" => "a whole number",
            "a boolean" => "true or false",
            "a string" | "path string" => "a text in quotes",
            "a sequence" => "a list in [ ]",
            "a map" => "a table",
            other if other.starts_with("struct ") => "a table",
            other => other,
        };
        return (path, format!("here stands {found}, but {wanted} is wanted"));
    }
    (path, message.to_owned())
}

fn unknown_key(field: &str, message: &str) -> String {
    let Some(choices) = choices(message) else {
        return "there is no such key here".into();
    };
    let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let near = known
        .iter()
        .map(|key| (distance(field, key), key))
        .min()
        .filter(|(distance, key)| *distance <= 2.min(key.len() / 2));
    match near {
        Some((_, key)) => {
            format!("there is no such key here; is `{key}` meant? Known here: {choices}")
        }
        None => format!("there is no such key here; known here: {choices}"),
    }
}

/// The list behind "expected one of" or "expected", as serde writes it.
fn choices(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(", expected ")?;
    Some(rest.strip_prefix("one of ").unwrap_or(rest).to_owned())
}

fn quoted<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message
        .strip_prefix(start)?
        .strip_prefix('`')?
        .split('`')
        .next()
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// Edit distance, for short words only: it is quadratic.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Byte offset of `key` in the text, or of the innermost table on the way to it that is there.
fn offset_of(text: &str, key: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 0;
    };
    let mut offset = 0;
    let mut table = document.get_ref();
    for step in key.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        let Some(mut value) = table.get(name) else {
            return offset;
        };
        offset = value.span().start;
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let item = index
                .trim_end_matches(']')
                .parse::<usize>()
                .ok()
                .and_then(|index| value.get_ref().as_array()?.get(index));
            let Some(item) = item else {
                return offset;
            };
            value = item;
            offset = value.span().start;
        }
        let DeValue::Table(inner) = value.get_ref() else {
            return offset;
        };
        table = inner;
    }
    offset
}

/// Line and column of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text
        .char_indices()
        .take_while(|(at, _)| *at < offset)
        .map(|(_, c)| c);
    before.fold((1, 1), |(line, column), c| {
        if c == '\n' {
            (line + 1, 1)
        } else {
            (line, column + 1)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct File {
        name: String,
        #[serde(default, rename = "lane")]
        lanes: Vec<Lane>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Lane {
        release_ms: i64,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        table: Option<Table>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Table {
        pin: u8,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Flap,
        Tripod,
    }

    fn wrong(text: &str) -> String {
        parse::<File>(text).unwrap_err().to_string()
    }

    #[test]
    fn a_typo_is_refused_by_name_line_and_neighbour() {
        let text = "name = \"a\"\n[[lane]]\nrelase_ms = 5\n";
        assert_eq!(
            wrong(text),
            "line 3, column 1: key `lane[0].relase_ms`: there is no such key here; is `release_ms` meant? \
             Known here: `release_ms`, `kind`, `table`"
        );
    }

    #[test]
    fn a_missing_key_is_named_with_its_table() {
        assert_eq!(
            wrong("name = \"a\"\n\n[[lane]]\nkind = \"flap\"\n"),
            "line 3, column 1: key `lane[0].release_ms`: this key is missing, and it has no default"
        );
        assert!(wrong("").contains("key `name`: this key is missing"));
    }

    #[test]
    fn a_wrong_type_says_what_stands_there_and_what_is_wanted() {
        assert_eq!(
            wrong("name = \"a\"\n[[lane]]\nrelease_ms = \"5 s\"\n"),
            "line 3, column 14: key `lane[0].release_ms`: here stands string \"5 s\", but a whole number is wanted"
        );
        assert!(
            wrong("name = 5").contains("here stands integer `5`, but a text in quotes is wanted")
        );
        assert!(wrong("name = \"a\"\nlane = 5").contains("a list in [ ] is wanted"));
    }

    #[test]
    fn a_wrong_choice_lists_the_choices() {
        assert_eq!(
            wrong("name = \"a\"\n[[lane]]\nrelease_ms = 5\nkind = \"swing\"\n"),
            "line 4, column 8: key `lane[0].kind`: \"swing\" is not a choice here: `flap` or `tripod`"
        );
    }

    #[test]
    fn a_text_that_is_no_toml_is_placed() {
        let fault = parse::<File>("name = \"a\"\nlane = [[\n").unwrap_err();
        assert!(fault.line >= 2 && fault.key.is_empty(), "{fault}");
    }

    #[test]
    fn a_rule_finds_the_place_of_its_key_or_of_its_table() {
        let text = "name = \"ä\"\n[[lane]]\nrelease_ms = 1\n[[lane]]\nrelease_ms = 2\ntable = { pin = 3 }\n";
        let place = |key| {
            let fault = fault_at(text, key, String::new());
            (fault.line, fault.column)
        };
        assert_eq!(place("lane[1].release_ms"), (5, 14));
        assert_eq!(place("lane[1].table.pin"), (6, 17));
        assert_eq!(place("lane[1].nothing.at.all"), (4, 1));
        assert_eq!(place("lane[9].x"), place("lane"));
        assert_eq!(place("nothing"), (1, 1));
    }

    #[test]
    fn a_fault_quotes_only_so_much_of_the_file() {
        let text = format!("{} = 1\n", "k".repeat(100_000));
        assert!(wrong(&text).len() < 2_000);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", key in ".{0,20}") {
            let _ = parse::<File>(&text);
            let _ = fault_at(&text, &key, String::new());
        }

        #[test]
        fn no_text_of_this_alphabet_panics(text in "[a-z\\[\\]{}=\"'.,0-9 #\n_-]{0,120}") {
            let _ = parse::<File>(&text);
        }
    }
}
