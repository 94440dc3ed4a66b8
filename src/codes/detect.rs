//! Which issuers may have made a code, by its shape alone. Detection never implies trust.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::trust_list::{Issuer, Profile, TrustList, hex_bytes};
use crate::domain::IdCardKind;

/// Longest code that is looked at, in characters: the densest code a phone shows, with a margin.
pub(super) const CODE_CHARS_MAX: usize = 1_500;
/// Issuers tried for one code.
const CANDIDATES_MAX: usize = 4;
/// Most bytes that a code is told by.
const FIRST_BYTES_MAX: usize = 16;
/// A beginning is cut off somewhere: its last bits say nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Longest text in a condition.
const CONDITION_LEN_MAX: usize = 256;

/// One shape of a code: every condition that is given holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// The code starts so.
    prefix: Option<String>,
    /// The code has at least so many characters.
    length_min: Option<u16>,
    /// The code has at most so many characters.
    length_max: Option<u16>,
    /// The code is a JSON object with this text under `"label"`.
    json_label: Option<String>,
    /// The code is an address of this host.
    url_host: Option<String>,
    /// The code, read as bytes, as hex or as base64, begins with these bytes: hex.
    first_bytes: Option<String>,
}

impl Detect {
    /// The shape that codes of a profile have whoever makes them.
    pub(super) fn of_profile(profile: Profile) -> Option<Self> {
        let prefix = match profile {
            Profile::Hcert => "HC1:",
            Profile::Shc => "shc:/",
            Profile::Opaque
            | Profile::RideV81
            | Profile::RideCwt
            | Profile::IdCard
            | Profile::Tag => return None,
        };
        Some(Self {
            prefix: Some(prefix.to_owned()),
            length_min: None,
            length_max: None,
            json_label: None,
            url_host: None,
            first_bytes: None,
        })
    }

    /// What is wrong with the shape, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let texts = [
            &self.prefix,
            &self.json_label,
            &self.url_host,
            &self.first_bytes,
        ];
        let lengths = [self.length_min, self.length_max];
        if texts.iter().all(|t| t.is_none()) && lengths.iter().all(Option::is_none) {
            return Err(
                "a shape needs at least one of prefix, length_min, length_max, json_label, url_host and first_bytes".into(),
            );
        }
        let bad = |t: &String| {
            t.is_empty() || t.len() > CONDITION_LEN_MAX || t.contains(char::is_control)
        };
        if texts.iter().any(|text| text.as_ref().is_some_and(bad)) {
            return Err(format!(
                "a text of a shape has 1 to {CONDITION_LEN_MAX} bytes and no control characters"
            ));
        }
        if lengths
            .iter()
            .flatten()
            .any(|l| !(1..=CODE_CHARS_MAX).contains(&usize::from(*l)))
        {
            return Err(format!(
                "a length is outside 1 to {CODE_CHARS_MAX} characters"
            ));
        }
        if let (Some(min), Some(max)) = (self.length_min, self.length_max)
            && min > max
        {
            return Err("length_min is larger than length_max".into());
        }
        let is_bytes = |text: &String| {
            hex_bytes(text).is_some_and(|bytes| (1..=FIRST_BYTES_MAX).contains(&bytes.len()))
        };
        if self
            .first_bytes
            .as_ref()
            .is_some_and(|text| !is_bytes(text))
        {
            return Err(format!(
                "first_bytes is hex of 1 to {FIRST_BYTES_MAX} bytes, like \"0018FE01\""
            ));
        }
        Ok(())
    }

    fn matches(&self, code: &str) -> bool {
        let chars = code.chars().count();
        self.prefix
            .as_ref()
            .is_none_or(|prefix| code.starts_with(prefix))
            && self.length_min.is_none_or(|min| chars >= usize::from(min))
            && self.length_max.is_none_or(|max| chars <= usize::from(max))
            && self
                .json_label
                .as_ref()
                .is_none_or(|label| json_label(code).as_deref() == Some(label))
            && self.url_host.as_ref().is_none_or(|host| {
                url_host(code).is_some_and(|found| found.eq_ignore_ascii_case(host))
            })
            && self
                .first_bytes
                .as_deref()
                .is_none_or(|hex| hex_bytes(hex).is_some_and(|bytes| begins_with(code, &bytes)))
    }
}

/// The issuers to try for a code, best first.
pub(super) fn of_code<'a, 'c>(
    trust: &'a TrustList,
    code: &'c str,
) -> impl Iterator<Item = &'a Issuer> + use<'a, 'c> {
    trust
        .issuers
        .iter()
        .filter(|issuer| !matches!(issuer.profile, Profile::IdCard | Profile::Tag))
        .filter(move |issuer| issuer.detect.iter().any(|shape| shape.matches(code)))
        .take(CANDIDATES_MAX)
}

/// The issuer that stands for tags. A text of a code is never one, whatever it says.
pub(super) fn of_tag(trust: &TrustList) -> Option<&Issuer> {
    let mut issuers = trust.issuers.iter();
    issuers.find(|issuer| issuer.profile == Profile::Tag)
}

/// The issuer that stands for a card.
pub(super) fn of_card(trust: &TrustList, kind: IdCardKind) -> Option<&Issuer> {
    trust
        .issuers
        .iter()
        .filter(|issuer| issuer.profile == Profile::IdCard)
        .find(|issuer| {
            issuer
                .cards
                .as_ref()
                .is_none_or(|cards| cards.contains(&kind))
        })
}

/// True if a code begins with these bytes: a code of bytes comes as ISO 8859-1, or was written as hex or base64 by
/// whoever made it (CODES §1.3, §1.5).
pub(super) fn begins_with(code: &str, bytes: &[u8]) -> bool {
    let mut chars = code.chars();
    let plain = bytes
        .iter()
        .all(|byte| chars.next() == Some(char::from(*byte)));
    let written = |chars: usize| code.get(..chars);
    plain
        || written(bytes.len() * 2)
            .and_then(hex_bytes)
            .is_some_and(|found| found == bytes)
        // Whole groups of four characters, so that what follows does not matter.
        || written(bytes.len().div_ceil(3) * 4)
            .and_then(|text| BASE64.decode(text.trim_end_matches('=')).ok())
            .is_some_and(|found| found.starts_with(bytes))
}

fn json_label(code: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Labelled<'a> {
        #[serde(borrow)]
        label: Cow<'a, str>,
    }
    // Length is bounded by the caller, depth by the parser.
    let code = code.starts_with('{').then_some(code)?;
    serde_json::from_str::<Labelled<'_>>(code)
        .ok()
        .map(|found| found.label)
}

fn url_host(code: &str) -> Option<&str> {
    let (scheme, rest) = code.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    host.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(issuers: &str) -> TrustList {
        TrustList::parse(&format!("version = 1\n{issuers}")).unwrap_or_else(|e| panic!("{e}"))
    }

    fn issuer(id: &str, detect: &str, priority: u16) -> String {
        format!(
            "[[issuer]]\nid = \"{id}\"\nprofile = \"opaque\"\ndetect = [{detect}]\npriority = {priority}\n"
        )
    }

    fn found(trust: &TrustList, code: &str) -> Vec<String> {
        of_code(trust, code)
            .map(|issuer| issuer.id.to_string())
            .collect()
    }

    #[test]
    fn every_condition_of_a_shape_holds_and_one_shape_suffices() {
        let trust = trust(&issuer(
            "a",
            "{ prefix = \"AB\", length_max = 4 }, { length_min = 10 }",
            1,
        ));
        for (code, hit) in [
            ("AB", true),
            ("ABCD", true),
            ("ABCDE", false),
            ("XABC", false),
            ("0123456789", true),
        ] {
            assert_eq!(!found(&trust, code).is_empty(), hit, "{code}");
        }
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        let trust = trust(&issuer("a", "{ length_min = 3, length_max = 3 }", 1));
        assert_eq!(found(&trust, "健康码"), ["a"]);
        assert!(found(&trust, "é").is_empty());
    }

    #[test]
    fn issuers_come_by_priority_and_at_most_four() {
        let text: String = (0..6)
            .rev()
            .map(|i| issuer(&format!("i{i}"), "{ prefix = \"A\" }", i))
            .collect();
        assert_eq!(found(&trust(&text), "A1"), ["i0", "i1", "i2", "i3"]);
    }

    #[test]
    fn a_json_label_is_read_and_not_searched_for() {
        let trust = trust(&issuer("a", "{ json_label = \"yss\" }", 1));
        assert_eq!(
            found(&trust, r#"{"x":[1,{"label":"no"}],"label":"yss"}"#),
            ["a"]
        );
        for other in [
            r#"{"x":"\"label\":\"yss\""}"#,
            r#"{"label":"other"}"#,
            r#"{"label":"yss""#,
            "yss",
            "{",
            "{\"label\":1}",
        ] {
            assert!(found(&trust, other).is_empty(), "{other}");
        }
        assert!(found(&trust, &"{\"a\":".repeat(300)).is_empty());
    }

    #[test]
    fn a_host_is_the_whole_host() {
        let trust = trust(&issuer("a", "{ url_host = \"code.example.org\" }", 1));
        for code in [
            "https://code.example.org/?q=1",
            "HTTP://CODE.EXAMPLE.ORG:80",
            "https://u:p@code.example.org#x",
        ] {
            assert_eq!(found(&trust, code), ["a"], "{code}");
        }
        for code in [
            "https://code.example.org.evil.example/",
            "https://evil.example/https://code.example.org",
            "https://code.example.org@evil.example/",
            "ftp://code.example.org",
            "code.example.org",
            "://",
        ] {
            assert!(found(&trust, code).is_empty(), "{code}");
        }
    }

    #[test]
    fn first_bytes_are_found_in_bytes_in_hex_and_in_base64() {
        let trust = trust(&issuer("a", "{ first_bytes = \"0018fe01\" }", 1));
        let bytes: String = [0x00, 0x18, 0xFE, 0x01, 0x41]
            .map(char::from)
            .iter()
            .collect();
        for code in [
            bytes.as_str(),
            "0018FE0141",
            "0018fe01",
            "ABj+AUE=",
            "ABj+AQ==",
        ] {
            assert_eq!(found(&trust, code), ["a"], "{code}");
        }
        for code in [
            "0018FE02",
            "0018FE0",
            "ABj+AkE=",
            "ABj",
            "ÿ",
            "码码码码码码码码",
        ] {
            assert!(found(&trust, code).is_empty(), "{code}");
        }
    }

    #[test]
    fn a_card_goes_to_the_issuer_that_stands_for_it() {
        let card =
            |id, cards| format!("[[issuer]]\nid = \"{id}\"\nprofile = \"idcard\"\n{cards}\n");
        let only = card(
            "foreign",
            "cards = [\"foreign2017\", \"foreign2023\"]\npriority = 1",
        );
        let all = trust(&(only.clone() + &card("all", "")));
        let name =
            |trust: &TrustList, kind| of_card(trust, kind).map(|issuer| issuer.id.to_string());
        assert_eq!(
            name(&all, IdCardKind::Foreign2023).as_deref(),
            Some("foreign")
        );
        assert_eq!(name(&all, IdCardKind::Resident).as_deref(), Some("all"));
        assert_eq!(name(&trust(&only), IdCardKind::Resident), None);
    }
}
