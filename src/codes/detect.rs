//! Which issuers a text might come from. Detection never implies trust: it only says whose profile to try.

use super::trust_list::{Detect, Issuer, Profile, TrustList};

/// Issuers tried for one text at most (DESIGN §3).
pub const ISSUERS_TRIED_MAX: usize = 4;

/// Issuers whose rules match the text, highest priority first, then in the order of the list.
#[must_use]
pub fn candidates<'a>(trust: &'a TrustList, text: &str) -> Vec<&'a Issuer> {
    let length = text.chars().count();
    let mut matching: Vec<_> = trust
        .issuers
        .iter()
        .filter(|issuer| issuer.profile != Profile::Idcard)
        .filter(|issuer| {
            issuer
                .detect
                .iter()
                .any(|detect| matches(detect, text, length))
        })
        .collect();
    matching.sort_by_key(|issuer| std::cmp::Reverse(issuer.priority));
    matching.truncate(ISSUERS_TRIED_MAX);
    matching
}

fn matches(detect: &Detect, text: &str, length: usize) -> bool {
    detect
        .prefix
        .as_ref()
        .is_none_or(|prefix| text.starts_with(prefix))
        && detect.length_min.is_none_or(|min| length >= min)
        && detect.length_max.is_none_or(|max| length <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> TrustList {
        TrustList::parse(
            r#"
            version = 1
            [[issuer]]
            id = "any"
            profile = "opaque"
            detect = [{ length_min = 4, length_max = 6 }]
            [[issuer]]
            id = "metro"
            profile = "opaque"
            priority = 9
            detect = [{ prefix = "M:" }, { prefix = "metro:" }]
            [[issuer]]
            id = "card"
            profile = "idcard"
            "#,
        )
        .unwrap()
    }

    fn ids(text: &str) -> Vec<String> {
        candidates(&trust(), text)
            .iter()
            .map(|issuer| issuer.id.to_string())
            .collect()
    }

    #[test]
    fn the_higher_priority_is_tried_first() {
        assert_eq!(ids("M:123"), ["metro", "any"]);
        assert_eq!(ids("metro:1234"), ["metro"]);
    }

    #[test]
    fn all_parts_of_a_rule_must_hold_and_length_counts_characters() {
        assert_eq!(ids("中文中文"), ["any"]);
        assert!(ids("abc").is_empty());
        assert!(ids("1234567").is_empty());
    }
}
