//! The trust list: which issuers a gate recognises, by which profile, and with which rules. Versioned, read strictly:
//! a bad one is refused whole, and the caller keeps the last good one.
//!
//! It is written as TOML. A file beside the config is read as it is, and believed as the config is. For many gates,
//! `turnstiled codes trust sign` compiles it: files that it names are put into it, and the JSON that comes out, with
//! the date of signing and the date up to which it may be decided by, is signed and served as `GET /v1/trust`.

mod rules;
mod written;

use serde::Deserialize;
pub(super) use written::hex_bytes;

use super::detect::Detect;
use super::keys::IssuerKey;
use super::row_key;
use super::signed::{Params, Terms};
use crate::domain::document::{self, Fault};
use crate::domain::{IdCardKind, IssuerId, ListId, Rule, Utc};

/// Largest trust list: a thousand certificates.
pub const TRUST_BYTES_MAX: usize = 2 << 20;

/// A trust list in hand is a valid one. Issuers stand in the order in which they are tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustList {
    /// Grows with every change.
    pub version: u64,
    /// When it was signed; a file that nobody signed has no such date.
    #[serde(default, deserialize_with = "written::moment")]
    pub created: Option<Utc>,
    /// Last instant at which it is worth deciding by; past it the site's rule `trust_expired` speaks.
    #[serde(default, deserialize_with = "written::moment")]
    pub not_after: Option<Utc>,
    /// By priority, then in the order of the file.
    #[serde(rename = "issuer")]
    pub issuers: Vec<Issuer>,
}

/// Bounds and dialect of a profile whose issuer does not say anything else.
pub(super) fn params_by_default(profile: Profile) -> Params {
    written::Params::default().settled(profile)
}

/// `[[issuer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name in records, row keys and metrics.
    pub id: IssuerId,
    /// Format and checks of what it makes.
    pub profile: Profile,
    /// Where it belongs: GB/T 2260 or ISO 3166. A site's rules for certificates may differ by it.
    pub region: Option<String>,
    /// What its credentials are about: a signed code says nothing of anything else. Absent: of health and ride.
    pub class: Option<Class>,
    /// Codes: shapes of its codes. One of them has to match. `hcert` and `shc` have one by default.
    #[serde(default)]
    pub detect: Vec<Detect>,
    /// `idcard`: the cards it stands for; absent: all four.
    pub cards: Option<Vec<IdCardKind>>,
    /// Lower is tried first.
    #[serde(default = "priority_default")]
    pub priority: u16,
    /// Lists that hold its standings; absent: every list the gate follows; empty: none, a code says what it says.
    pub list: Option<Vec<ListId>>,
    /// `opaque`: true if a code is meant for one use: a copy of it is refused.
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
    /// True if the backend translates its codes into somebody it knows (CODES §1.4, route 2): it is asked about what no
    /// list knows, and its answer is kept for a while.
    #[serde(default)]
    pub translated: bool,
    /// What happens while lists are old, or do not know what it made.
    #[serde(default)]
    pub offline: Offline,
    /// Signed profiles: its keys.
    #[serde(default, rename = "key", deserialize_with = "written::keys")]
    pub keys: Vec<IssuerKey>,
    /// Signed profiles: bounds and dialect, as written.
    #[serde(default, rename = "params")]
    written: written::Params,
    /// The same, with what the profile has by default.
    #[serde(skip, default = "written::Params::unset")]
    params: Params,
}

const fn priority_default() -> u16 {
    100
}

const fn open() -> Rule {
    Rule::Open
}

/// `issuer.profile`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Profile {
    /// A code that only lists and the backend understand.
    #[serde(rename = "opaque")]
    Opaque,
    /// EU health certificate and its kin.
    #[serde(rename = "hcert")]
    Hcert,
    /// SMART Health Card.
    #[serde(rename = "shc")]
    Shc,
    /// National transit ride code.
    #[serde(rename = "ride.v81")]
    RideV81,
    /// Open dynamic ride code.
    #[serde(rename = "ride.cwt")]
    RideCwt,
    /// A resident ID card or residence permit, read by a SAM module.
    #[serde(rename = "idcard")]
    IdCard,
    /// An identifier that a contactless card or tag gives to whoever asks.
    #[serde(rename = "tag")]
    Tag,
}

impl Profile {
    /// Its name in the trust list and in questions to the backend.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Hcert => "hcert",
            Self::Shc => "shc",
            Self::RideV81 => "ride.v81",
            Self::RideCwt => "ride.cwt",
            Self::IdCard => "idcard",
            Self::Tag => "tag",
        }
    }

    /// The kind in its row keys.
    #[must_use]
    pub const fn row_kind(self) -> &'static str {
        match self {
            Self::Opaque => row_key::OPAQUE,
            Self::Hcert | Self::Shc | Self::RideV81 | Self::RideCwt => self.as_str(),
            Self::IdCard => row_key::ID_CARD,
            Self::Tag => row_key::TAG,
        }
    }

    /// True if what it makes carries a signature.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        match self {
            Self::Hcert | Self::Shc | Self::RideV81 | Self::RideCwt => true,
            Self::Opaque | Self::IdCard | Self::Tag => false,
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

impl Class {
    /// True if its codes may say something of health.
    #[must_use]
    pub const fn speaks_of_health(self) -> bool {
        match self {
            Self::Health | Self::Combined => true,
            Self::Ride | Self::Identity => false,
        }
    }

    /// True if its codes may say what somebody may use.
    #[must_use]
    pub const fn speaks_of_rides(self) -> bool {
        match self {
            Self::Ride | Self::Combined => true,
            Self::Health | Self::Identity => false,
        }
    }
}

/// `issuer.offline`: what happens while lists are old, or do not know what the issuer made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// On the way in, what no list knows and the backend does not either, or was not reached; absent: the site's rules.
    pub unknown: Option<Unknown>,
    /// From which age of a list it is stale for what this issuer made, seconds; the list's own limits hold as well.
    pub stale_after_s: Option<u32>,
    /// From which age of a list nobody is let in by it any more, seconds: yellow and red still count, the rest is unknown.
    pub hard_stale_s: Option<u32>,
}

/// `issuer.offline.unknown`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Kept out.
    Deny,
    /// Let in.
    Allow,
    /// Staff are called.
    Assist,
}

impl From<Unknown> for Rule {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Deny => Self::Hold,
            Unknown::Allow => Self::Open,
            Unknown::Assist => Self::Assist,
        }
    }
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
    /// The same in a compiled one, which has no lines.
    #[error("key `{key}`: {sentence}")]
    Compiled {
        /// Path of the key.
        key: String,
        /// What is wrong.
        sentence: String,
    },
}

impl TrustList {
    /// Reads a trust list as it is written: TOML.
    ///
    /// # Errors
    /// [`TrustListError`] with line and key of the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, TrustListError> {
        fits(text.len())?;
        let list: Self = document::parse(text)?;
        list.settled()
            .map_err(|(key, sentence)| document::fault_at(text, &key, sentence).into())
    }

    /// Reads a trust list as it is signed: JSON, with `created` and `not_after`.
    ///
    /// # Errors
    /// [`TrustListError`] with the key of the first thing that is wrong.
    pub fn parse_compiled(json: &[u8]) -> Result<Self, TrustListError> {
        fits(json.len())?;
        let mut document = serde_json::Deserializer::from_slice(json);
        let list: Self = serde_path_to_error::deserialize(&mut document).map_err(|error| {
            TrustListError::Compiled {
                key: error.path().to_string(),
                sentence: error.into_inner().to_string(),
            }
        })?;
        let wrong = |key: String, sentence: String| TrustListError::Compiled { key, sentence };
        document
            .end()
            .map_err(|error| wrong(String::new(), error.to_string()))?;
        for (key, date) in [("created", list.created), ("not_after", list.not_after)] {
            if date.is_none() {
                return Err(wrong(
                    key.into(),
                    "a signed trust list has this date".into(),
                ));
            }
        }
        list.settled()
            .map_err(|(key, sentence)| wrong(key, sentence))
    }

    /// The issuer of that name.
    #[must_use]
    pub fn issuer(&self, id: &IssuerId) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.id == *id)
    }

    /// Checks what concerns more than one key, fills in what profiles have by default, and puts issuers in order.
    fn settled(mut self) -> Result<Self, (String, String)> {
        rules::check(&self)?;
        for issuer in &mut self.issuers {
            issuer.params = issuer.written.settled(issuer.profile);
            if issuer.detect.is_empty() {
                issuer.detect.extend(Detect::of_profile(issuer.profile));
            }
        }
        self.issuers.sort_by_key(|issuer| issuer.priority);
        Ok(self)
    }
}

impl Issuer {
    /// True if the list `id` holds its standings.
    #[must_use]
    pub fn is_held_by(&self, id: &ListId) -> bool {
        self.list.as_ref().is_none_or(|lists| lists.contains(id))
    }

    /// True if the backend may be asked about what it made.
    #[must_use]
    pub fn may_be_asked_about(&self) -> bool {
        match self.profile {
            Profile::Opaque => true,
            Profile::Hcert | Profile::Shc | Profile::RideV81 | Profile::RideCwt | Profile::Tag => {
                self.translated
            }
            Profile::IdCard => self.card_query,
        }
    }

    /// What the decoder of its profile works by.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            keys: &self.keys,
            params: &self.params,
        }
    }
}

fn fits(bytes: usize) -> Result<(), TrustListError> {
    if bytes > TRUST_BYTES_MAX {
        return Err(TrustListError::TooLarge(bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::keys::{Algorithm, KeyStatus};

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

    /// The generator of P-256, compressed; and of SM2.
    const P256: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const SM2: &str = "0232c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7";

    fn ride(rest: &str) -> String {
        format!(
            "version = 4\nnot_after = 2027-01-01T00:00:00Z\n\n[[issuer]]\nid = \"ride\"\nprofile = \"ride.v81\"\n\
             detect = [{{ first_bytes = \"81\" }}]\nlist = []\n\
             offline = {{ unknown = \"deny\", stale_after_s = 60, hard_stale_s = 61 }}\n\
             params = {{ epoch = 2000, field_order = \"signature_first\", validity_max_s = 30 }}\n\n\
             [[issuer.key]]\nid = \"hex:01\"\nalgorithm = \"SM2\"\npublic = \"{SM2}\"\n{rest}"
        )
    }

    #[test]
    fn a_signed_profile_has_keys_parameters_and_an_offline_rule() {
        let list = TrustList::parse(&ride("status = \"retired\"\nvalid_until = 1800000000\n"))
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(list.not_after, Some(Utc::from_secs(1_798_761_600)));
        let issuer = &list.issuers[0];
        let (key, params) = (&issuer.keys[0], &issuer.terms().params);
        assert_eq!(
            (key.id.as_slice(), key.key.algorithm()),
            ([1].as_slice(), Algorithm::Sm2)
        );
        assert_eq!((key.status, key.valid_from), (KeyStatus::Retired, None));
        assert_eq!(key.valid_until, Some(Utc::from_secs(1_800_000_000)));
        assert_eq!(
            (params.epoch_s, params.validity_max_s, params.skew_s),
            (946_656_000, 30, 20)
        );
        assert_eq!(
            (params.signature_first, params.sm2_id.as_str()),
            (true, "1234567812345678")
        );
        assert_eq!(issuer.offline.unknown.map(Rule::from), Some(Rule::Hold));
        assert!(!issuer.is_held_by(&ListId::new("any").unwrap()) && !issuer.may_be_asked_about());
    }

    #[test]
    fn certificates_and_cards_of_the_web_have_a_shape_by_default() {
        for (profile, prefix) in [("hcert", "HC1:"), ("shc", "shc:/")] {
            let text = format!(
                "version = 1\n[[issuer]]\nid = \"a\"\nprofile = \"{profile}\"\ntranslated = true\n[[issuer.key]]\nid = \"k\"\nalgorithm = \"ES256\"\npublic = \"{P256}\"\n"
            );
            let list = TrustList::parse(&text).unwrap_or_else(|e| panic!("{e}"));
            let found = |code: &str| crate::codes::detect::of_code(&list, code).count();
            assert_eq!((found(&format!("{prefix}1")), found("X")), (1, 0));
            assert!(list.issuers[0].may_be_asked_about());
        }
    }

    #[track_caller]
    fn refused(from: &str, to: &str, sentence: &str) {
        let text = ride("");
        assert!(text.contains(from), "{from}");
        let message = TrustList::parse(&text.replacen(from, to, 1)).unwrap_err();
        assert!(message.to_string().contains(sentence), "{message}");
    }

    #[test]
    fn keys_that_are_none_are_refused_by_name() {
        refused(
            "\"hex:01\"",
            "\"hex:0\"",
            "key `issuer[0].key[0]`: behind `hex:`",
        );
        refused(
            "id = \"hex:01\"\n",
            "",
            "a key without a certificate needs an `id`",
        );
        refused("\"SM2\"", "\"ES256\"", "key `issuer[0].key[0]`: `public`: ");
        refused(SM2, "AAAA", "`public`: a public key is not DER");
        refused("public = ", "certificate = ", "`certificate` is PEM");
        refused(
            "hex:01",
            &"x".repeat(65),
            "`id` has 1 to 64 bytes, this has 65",
        );
        let keyless = ride("").split("[[issuer.key]]").next().unwrap().to_owned();
        let message = TrustList::parse(&keyless).unwrap_err().to_string();
        assert!(
            message.contains("needs 1 to 1024 keys, here are 0"),
            "{message}"
        );
    }

    #[test]
    fn parameters_and_rules_that_do_not_fit_the_profile_are_refused_by_name() {
        refused(
            "epoch = 2000",
            "epoch = 1999",
            "key `issuer[0].params.epoch`: times count from 1970 or 2000",
        );
        refused(
            "validity_max_s = 30",
            "validity_max_s = 0",
            "0 s is outside 1 to 86400 s",
        );
        refused(
            "validity_max_s = 30",
            "skew_s = 4000",
            "4000 s is outside 0 to 3600 s",
        );
        refused(
            "hard_stale_s = 61",
            "hard_stale_s = 59",
            "59 s is outside 60 to 31536000 s",
        );
        refused(
            "stale_after_s = 60",
            "stale_after_s = 62",
            "this is shorter than stale_after_s",
        );
        refused("\"deny\"", "\"open\"", "\"open\" is not a choice here");
        refused(
            "\"ride.v81\"",
            "\"ride.cwt\"",
            "key `issuer[0].params.epoch`: profile \"ride.cwt\" has no such parameter",
        );
        refused(
            "\"ride.v81\"",
            "\"opaque\"",
            "allowed are 1 to 16 lists: only a signed code",
        );
        refused(
            "list = []",
            "dynamic = true\nwindow_s = 3",
            "the profile says whether",
        );
        refused(
            "2027-01-01T00:00:00Z",
            "\"soon\"",
            "key `not_after`: a date looks like",
        );
        refused(
            "2027-01-01T00:00:00Z",
            "2027-01-01",
            "key `not_after`: a date looks like",
        );
        refused("\"ride.v81\"", "\"hcert\"", "has no such parameter");
    }

    #[test]
    fn a_compiled_one_has_dates_and_names_keys() {
        let good = r#"{"version":2,"created":1770000000,"not_after":1780000000,"issuer":[{"id":"card","profile":"idcard"}]}"#;
        let list = TrustList::parse_compiled(good.as_bytes()).unwrap();
        assert_eq!(
            (list.version, list.created),
            (2, Some(Utc::from_secs(1_770_000_000)))
        );
        let says = |from: &str, to: &str, sentence: &str| {
            let text = good.replacen(from, to, 1);
            let message = TrustList::parse_compiled(text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(message.contains(sentence), "{message}");
        };
        says(
            "\"created\":1770000000,",
            "",
            "key `created`: a signed trust list has this date",
        );
        says(
            "1780000000",
            "1770000000",
            "key `not_after`: this is not after `created`",
        );
        says(
            "idcard",
            "card",
            "key `issuer[0].profile`: unknown variant `card`",
        );
        says("\"id\"", "\"ids\"", "unknown field `ids`");
        says("}]}", "}]}}", "trailing");
        assert!(TrustList::parse_compiled(&vec![b' '; TRUST_BYTES_MAX + 1]).is_err());
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
