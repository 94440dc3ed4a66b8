//! The trust list: which issuers this gate recognises, by what, and how strictly. A TOML file for now.

use serde::Deserialize;

use crate::domain::{IssuerId, ListId};

/// Longest trust list that is read, bytes.
pub const TRUST_LIST_BYTES_MAX: usize = 1 << 20;
/// Most issuers of one list.
const ISSUERS_MAX: usize = 256;

/// The whole list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustList {
    /// Counts up with every change.
    pub version: u64,
    /// Issuers.
    #[serde(rename = "issuer")]
    pub issuers: Vec<Issuer>,
}

/// `[[issuer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name: part of every row key.
    pub id: IssuerId,
    /// Format and checks of its codes.
    pub profile: Profile,
    /// What its codes look like; a code belongs to it if one of these matches. Not for `idcard`.
    #[serde(default)]
    pub detect: Vec<Detect>,
    /// Among issuers that match, the higher one is tried first.
    #[serde(default)]
    pub priority: u8,
    /// Lists that hold its standings; absent: all lists the gate follows.
    pub lists: Option<Vec<ListId>>,
    /// Its codes are renewed all the time, so the same one twice is a copy.
    #[serde(default)]
    pub dynamic: bool,
    /// `dynamic`: for how long a use is remembered, in seconds: validity and clock skew. 10 to 86400.
    pub window_s: Option<u32>,
}

/// `issuer.profile`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Any text; a list or the backend knows what it means.
    Opaque,
    /// The number of an ID card, read by a SAM module.
    Idcard,
}

/// One way to tell an issuer's codes: all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detect {
    /// The code starts with this.
    pub prefix: Option<String>,
    /// It has at least so many characters.
    pub length_min: Option<usize>,
    /// It has at most so many characters.
    pub length_max: Option<usize>,
}

/// Why a trust list is refused; it is refused whole.
#[derive(Debug, thiserror::Error)]
pub enum TrustListError {
    /// Not the TOML of a trust list: line, key and what is allowed.
    #[error("key `{key}`: {source}")]
    Value {
        /// Path of the key.
        key: String,
        /// What the parser says, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A rule over several keys.
    #[error("{0}")]
    Rule(String),
}

impl TrustList {
    /// Reads and checks a trust list.
    ///
    /// # Errors
    /// [`TrustListError`], which names key and line, or the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, TrustListError> {
        if text.len() > TRUST_LIST_BYTES_MAX {
            return Err(rule(format!(
                "a trust list has at most {TRUST_LIST_BYTES_MAX} bytes, this has {}",
                text.len()
            )));
        }
        let value = |key: String, source| TrustListError::Value {
            key,
            source: Box::new(source),
        };
        let toml = toml::Deserializer::parse(text).map_err(|source| value(".".into(), source))?;
        let list: Self = serde_path_to_error::deserialize(toml)
            .map_err(|error| value(error.path().to_string(), error.into_inner()))?;
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<(), TrustListError> {
        if self.issuers.is_empty() || self.issuers.len() > ISSUERS_MAX {
            return Err(rule(format!(
                "a trust list has 1 to {ISSUERS_MAX} issuers, this has {}",
                self.issuers.len()
            )));
        }
        for (at, issuer) in self.issuers.iter().enumerate() {
            let id = &issuer.id;
            if self
                .issuers
                .iter()
                .take(at)
                .any(|earlier| earlier.id == *id)
            {
                return Err(rule(format!("issuer `{id}` stands twice")));
            }
            match issuer.profile {
                Profile::Idcard if !issuer.detect.is_empty() || issuer.dynamic => {
                    return Err(rule(format!(
                        "issuer `{id}`: an `idcard` has neither `detect` nor `dynamic`"
                    )));
                }
                Profile::Opaque if issuer.detect.is_empty() => {
                    return Err(rule(format!(
                        "issuer `{id}`: an `opaque` issuer needs at least one `detect`"
                    )));
                }
                Profile::Idcard | Profile::Opaque => {}
            }
            match (issuer.dynamic, issuer.window_s) {
                (true, Some(10..=86_400)) | (false, None) => {}
                (true, _) => {
                    return Err(rule(format!(
                        "issuer `{id}`: `dynamic` needs `window_s`, 10 to 86400"
                    )));
                }
                (false, Some(_)) => {
                    return Err(rule(format!(
                        "issuer `{id}`: `window_s` goes with `dynamic = true`"
                    )));
                }
            }
        }
        if self
            .issuers
            .iter()
            .filter(|issuer| issuer.profile == Profile::Idcard)
            .count()
            > 1
        {
            return Err(rule("at most one issuer has the profile `idcard`".into()));
        }
        Ok(())
    }
}

const fn rule(sentence: String) -> TrustListError {
    TrustListError::Rule(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        TrustList::parse(text).unwrap_err().to_string()
    }

    const GOOD: &str = r#"
        version = 1
        [[issuer]]
        id = "health"
        profile = "opaque"
        detect = [{ prefix = "HC:" }]
    "#;

    #[test]
    fn a_good_list_is_read() {
        assert_eq!(TrustList::parse(GOOD).unwrap().issuers.len(), 1);
    }

    #[test]
    fn a_typo_is_refused_by_name_and_line() {
        let text = GOOD.replace("detect", "detekt");
        let said = refusal(&text);
        assert!(said.contains("detekt") && said.contains("line 6"), "{said}");
    }

    #[test]
    fn rules_over_keys_are_sentences() {
        assert!(refusal("version = 1\nissuer = []").contains("1 to 256 issuers"));
        assert!(
            refusal(&format!(
                "{GOOD}\n[[issuer]]\nid=\"health\"\nprofile=\"idcard\""
            ))
            .contains("stands twice")
        );
        assert!(refusal(&format!("{GOOD}\ndynamic = true")).contains("window_s"));
        assert!(refusal(&format!("{GOOD}\nwindow_s = 60")).contains("dynamic = true"));
        assert!(
            refusal(&GOOD.replace("detect = [{ prefix = \"HC:\" }]", ""))
                .contains("at least one `detect`")
        );
        assert!(refusal(&GOOD.replace("\"opaque\"", "\"idcard\"")).contains("neither"));
        assert!(refusal(&GOOD.replace("\"opaque\"", "\"hcert\"")).contains("hcert"));
    }
}
