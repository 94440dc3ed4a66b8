//! Profile `opaque`: any text. It proves nothing by itself; it is as good as the row that a list has for it.

use sha2::{Digest, Sha256};

use crate::domain::{IssuerId, Replay, ReplayKey};

/// Longest code that is looked at, in characters: a version 40 QR code holds more, no issuer of a gate uses it.
pub const CODE_LENGTH_MAX: usize = 1_500;

/// True if the text may be looked at at all: not empty, not too long, nothing that is no character of a code.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= CODE_LENGTH_MAX
        && !text.chars().any(char::is_control)
}

/// The replay memory of a code whose issuer renews it all the time: the same text within the window is a copy.
#[must_use]
pub fn replay(issuer: &IssuerId, text: &str, window_s: u32) -> Replay {
    let hash = Sha256::new()
        .chain_update(issuer.as_str().as_bytes())
        .chain_update([0x1F])
        .chain_update(text.as_bytes())
        .finalize();
    Replay {
        key: ReplayKey(hash.into()),
        window_s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_endless_texts_are_no_codes() {
        assert!(is_well_formed("HC:1 'quoted\" 中文"));
        assert!(is_well_formed(&"中".repeat(CODE_LENGTH_MAX)));
        for bad in [
            "",
            "a\nb",
            "a\0",
            "\u{1f}",
            &"x".repeat(CODE_LENGTH_MAX + 1),
        ] {
            assert!(!is_well_formed(bad));
        }
    }

    #[test]
    fn the_same_text_of_another_issuer_is_another_code() {
        let (a, b) = (IssuerId::new("a").unwrap(), IssuerId::new("b").unwrap());
        assert_eq!(replay(&a, "x", 60), replay(&a, "x", 60));
        assert_ne!(replay(&a, "x", 60).key, replay(&b, "x", 60).key);
    }
}
