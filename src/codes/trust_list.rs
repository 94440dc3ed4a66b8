//! The trust list: which issuers a gate recognises, by which profile, and with which rules. Versioned, read strictly:
//! a bad one is refused whole, and the caller keeps the last good one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::detect::Detect;
use super::row_key;
use crate::domain::document::{self, Fault};
use crate::domain::{IdCardKind, IssuerId, ListId, Rule};

/// Largest trust list.
pub const TRUST_BYTES_MAX: usize = 256 * 1024;
const ISSUERS_MAX: usize = 256;
const DETECT_MAX: usize = 16;
const LISTS_MAX: usize = 16;
const WINDOW_S: std::ops::RangeInclusive<u32> = 1..=86_400;

/// A trust list in hand is a valid one. Issuers stand in the order in which they are tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustList {
    /// Grows with every change.
    pub version: u64,
    /// By priority, then in the order of the file.
    #[serde(rename = "issuer")]
    pub issuers: Vec<Issuer>,
}

/// `[[issuer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name in records, row keys and metrics.
    pub id: IssuerId,
    /// Format and checks of what it makes.
    pub profile: Profile,
    /// Where it belongs: GB/T 2260 or ISO 3166. For people; no rule looks at it yet.
    pub region: Option<String>,
    /// What its credentials are about. For people; no rule looks at it yet.
    pub class: Option<Class>,
    /// `opaque`: shapes of its codes. One of them has to match.
    #[serde(default)]
    pub detect: Vec<Detect>,
    /// `idcard`: the cards it stands for; absent: all four.
    pub cards: Option<Vec<IdCardKind>>,
    /// Lower is tried first.
    #[serde(default = "priority_default")]
    pub priority: u16,
    /// Lists that hold its standings; absent: every list the gate follows.
    pub list: Option<Vec<ListId>>,
    /// True if a code is meant for one use: a copy of it is refused.
    #[serde(default)]
    pub dynamic: bool,
    /// `dynamic`: how long a use is remembered, seconds: validity and skew.
    pub window_s: Option<u32>,
    /// What a static code, which anybody can copy, does without a second proof beside it.
    #[serde(default = "open")]
    pub static_alone: Rule,
    /// `idcard`: whether the number may be asked about at the backend.
    #[serde(default)]
    pub card_query: bool,
}

const fn priority_default() -> u16 {
    100
}

const fn open() -> Rule {
    Rule::Open
}

/// `issuer.profile`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A code that only lists and the backend understand.
    Opaque,
    /// A resident ID card or residence permit, read by a SAM module.
    IdCard,
}

impl Profile {
    /// Its name in the trust list and in questions to the backend.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::IdCard => "idcard",
        }
    }

    /// The kind in its row keys.
    #[must_use]
    pub const fn row_kind(self) -> &'static str {
        match self {
            Self::Opaque => row_key::OPAQUE,
            Self::IdCard => row_key::ID_CARD,
        }
    }
}

/// `issuer.class`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A health code.
    Health,
    /// A ride code.
    Ride,
    /// Who somebody is.
    Identity,
    /// Health and ride in one.
    Combined,
}

/// Why a text is no trust list.
#[derive(Debug, thiserror::Error)]
pub enum TrustListError {
    /// Larger than any trust list.
    #[error("{0} bytes are too many for a trust list; allowed are {TRUST_BYTES_MAX}")]
    TooLarge(usize),
    /// A key is wrong, or does not fit the others.
    #[error(transparent)]
    Wrong(#[from] Fault),
}

impl TrustList {
    /// Reads a trust list.
    ///
    /// # Errors
    /// [`TrustListError`] with line and key of the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, TrustListError> {
        if text.len() > TRUST_BYTES_MAX {
            return Err(TrustListError::TooLarge(text.len()));
        }
        let mut list: Self = document::parse(text)?;
        list.check()
            .map_err(|(key, sentence)| document::fault_at(text, &key, sentence))?;
        list.issuers.sort_by_key(|issuer| issuer.priority);
        Ok(list)
    }

    /// The issuer of that name.
    #[must_use]
    pub fn issuer(&self, id: &IssuerId) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.id == *id)
    }

    fn check(&self) -> Result<(), (String, String)> {
        if self.version == 0 {
            return Err(("version".into(), "versions count from 1".into()));
        }
        let count = self.issuers.len();
        if !(1..=ISSUERS_MAX).contains(&count) {
            let sentence = format!("{count} issuers are given; allowed are 1 to {ISSUERS_MAX}");
            return Err(("issuer".into(), sentence));
        }
        let mut ids = BTreeMap::new();
        for (i, issuer) in self.issuers.iter().enumerate() {
            let at = |key: &str| format!("issuer[{i}].{key}");
            if let Some(first) = ids.insert(&issuer.id, i) {
                let sentence = format!("\"{}\" is the id of issuer[{first}] already", issuer.id);
                return Err((at("id"), sentence));
            }
            issuer
                .check()
                .map_err(|(key, sentence)| (at(&key), sentence))?;
        }
        Ok(())
    }
}

impl Issuer {
    /// True if the list `id` holds its standings.
    #[must_use]
    pub fn is_held_by(&self, id: &ListId) -> bool {
        self.list.as_ref().is_none_or(|lists| lists.contains(id))
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, sentence: &str| Err((key.to_owned(), sentence.to_owned()));
        match (self.dynamic, self.window_s) {
            (true, None) => {
                return wrong(
                    "window_s",
                    "a dynamic issuer needs this key: 1 to 86400 seconds",
                );
            }
            (false, Some(_)) => {
                return wrong(
                    "window_s",
                    "only an issuer with dynamic = true has a window",
                );
            }
            (true, Some(s)) if !WINDOW_S.contains(&s) => {
                return wrong("window_s", &format!("{s} s is outside 1 to 86400 s"));
            }
            (true, Some(_)) | (false, None) => {}
        }
        if self
            .list
            .as_ref()
            .is_some_and(|l| !(1..=LISTS_MAX).contains(&l.len()))
        {
            return wrong(
                "list",
                "allowed are 1 to 16 lists; leave the key out for all of them",
            );
        }
        if self.region.as_ref().is_some_and(|region| {
            !(1..=16).contains(&region.len())
                || !region
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }) {
            return wrong(
                "region",
                "a region has 1 to 16 characters out of a-z, A-Z, 0-9 and \"-\"",
            );
        }
        match self.profile {
            Profile::Opaque => self.check_opaque(),
            Profile::IdCard => self.check_id_card(),
        }
    }

    fn check_opaque(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, sentence: &str| Err((key.to_owned(), sentence.to_owned()));
        if self.cards.is_some() {
            return wrong("cards", "only profile \"idcard\" has cards");
        }
        if self.card_query {
            return wrong(
                "card_query",
                "only profile \"idcard\" has cards to ask about",
            );
        }
        if !(1..=DETECT_MAX).contains(&self.detect.len()) {
            let sentence =
                "profile \"opaque\" needs 1 to 16 shapes here, like [{ prefix = \"HC1:\" }]";
            return wrong("detect", sentence);
        }
        for (i, detect) in self.detect.iter().enumerate() {
            detect
                .check()
                .map_err(|sentence| (format!("detect[{i}]"), sentence))?;
        }
        Ok(())
    }

    fn check_id_card(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, sentence: &str| Err((key.to_owned(), sentence.to_owned()));
        if !self.detect.is_empty() {
            return wrong(
                "detect",
                "profile \"idcard\" is known by its reader; leave this key out",
            );
        }
        if self.dynamic {
            return wrong(
                "dynamic",
                "a card is shown again and again; leave this key out",
            );
        }
        if self.cards.as_ref().is_some_and(Vec::is_empty) {
            return wrong("cards", "empty: leave the key out for all cards");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"version = 3
[[issuer]]
id = "card"
profile = "idcard"
class = "identity"

[[issuer]]
id = "health"
profile = "opaque"
region = "CN-44"
detect = [{ prefix = "HC" }, { length_min = 10, length_max = 40 }]
priority = 10
list = ["health"]
dynamic = true
window_s = 90
"#;

    #[track_caller]
    fn says(from: &str, to: &str, sentence: &str) {
        assert!(GOOD.contains(from), "{from}");
        let message = TrustList::parse(&GOOD.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(message.contains(sentence), "{message}");
    }

    #[test]
    fn issuers_stand_by_priority() {
        let list = TrustList::parse(GOOD).unwrap();
        let ids: Vec<_> = list.issuers.iter().map(|i| i.id.as_str()).collect();
        assert_eq!((list.version, ids), (3, vec!["health", "card"]));
        let health = list.issuer(&IssuerId::new("health").unwrap()).unwrap();
        assert!(health.is_held_by(&ListId::new("health").unwrap()));
        assert!(!health.is_held_by(&ListId::new("ride").unwrap()));
        assert_eq!(health.static_alone, Rule::Open);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        says(
            "priority",
            "priorty",
            "line 12, column 1: key `issuer[1].priorty`: there is no such key here; is `priority` meant?",
        );
        says(
            "\"idcard\"",
            "\"id_card\"",
            "key `issuer[0].profile`: \"id_card\" is not a choice here",
        );
        says("version = 3\n", "", "key `version`: this key is missing");
        says("version = 3", "version = 0", "versions count from 1");
        says(
            "id = \"health\"",
            "id = \"card\"",
            "line 8, column 6: key `issuer[1].id`: \"card\" is the id of issuer[0] already",
        );
        says(
            "id = \"card\"",
            "id = \"a b\"",
            "key `issuer[0].id`: a name is made of",
        );
        says(
            "prefix = ",
            "sufix = ",
            "key `issuer[1].detect[0].sufix`: there is no such key here",
        );
    }

    #[test]
    fn keys_that_do_not_fit_each_other_are_refused() {
        says(
            "window_s = 90\n",
            "",
            "key `issuer[1].window_s`: a dynamic issuer needs this key",
        );
        says(
            "dynamic = true\n",
            "",
            "only an issuer with dynamic = true has a window",
        );
        says(
            "window_s = 90",
            "window_s = 100000",
            "100000 s is outside 1 to 86400 s",
        );
        says(
            "list = [\"health\"]",
            "list = []",
            "allowed are 1 to 16 lists",
        );
        says("\"CN-44\"", "\"CN 44\"", "a region has 1 to 16 characters");
        says(
            "class = \"identity\"",
            "detect = [{ prefix = \"1\" }]",
            "is known by its reader",
        );
        says(
            "class = \"identity\"",
            "dynamic = true\nwindow_s = 3",
            "a card is shown again and again",
        );
        says(
            "class = \"identity\"",
            "cards = []",
            "key `issuer[0].cards`: empty",
        );
        says(
            "priority = 10",
            "card_query = true",
            "only profile \"idcard\"",
        );
        says(
            "priority = 10",
            "cards = [\"resident\"]",
            "only profile \"idcard\" has cards",
        );
        says(
            "{ prefix = \"HC\" }",
            "{ }",
            "key `issuer[1].detect[0]`: a shape needs at least one",
        );
        says(
            "length_min = 10",
            "length_min = 50",
            "key `issuer[1].detect[1]`: length_min is larger than length_max",
        );
        says(
            "detect = [{ prefix = \"HC\" }, { length_min = 10, length_max = 40 }]\n",
            "",
            "needs 1 to 16 shapes",
        );
    }

    #[test]
    fn a_trust_list_is_bounded() {
        let big = "#".repeat(TRUST_BYTES_MAX + 1);
        assert!(matches!(
            TrustList::parse(&big),
            Err(TrustListError::TooLarge(_))
        ));
        let card = |i| format!("[[issuer]]\nid = \"i{i}\"\nprofile = \"idcard\"\n");
        let many: String = (0..257).map(card).collect();
        let message = TrustList::parse(&format!("version = 1\n{many}")).unwrap_err();
        assert!(
            message
                .to_string()
                .contains("257 issuers are given; allowed are 1 to 256")
        );
    }

    #[test]
    fn the_shipped_example_is_a_trust_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/hardware/trust.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let list = TrustList::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        assert!(list.issuers.iter().any(|i| i.profile == Profile::IdCard));
        assert!(list.issuers.iter().any(|i| i.profile == Profile::Opaque));
    }

    proptest::proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..400, cut in 0usize..40, put in "[a-z0-9\\[\\]{}=\"., \n-]{0,12}") {
            let mut text = GOOD.to_owned();
            let at = at.min(text.len());
            text.replace_range(at..(at + cut).min(text.len()), &put);
            let _ = TrustList::parse(&text);
        }
    }
}
