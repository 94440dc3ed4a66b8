//! What the policy of a site is made of beside its rules, whoever writes it: the config, its policy file, or a directive.

use serde::{Deserialize, Serialize};

use super::decision::Rule;
use super::directive::RuleChanges;
use super::ids::IssuerId;

/// More than there are provinces and issuers of one site.
const OVERLAYS_MAX: usize = 64;
/// Names in one overlay.
const NAMES_MAX: usize = 64;
/// Entitlements are numbered up to this.
const ENTITLEMENT_MAX: u8 = 15;
/// Why nobody is held on the way out.
pub const NOBODY_IS_TRAPPED: &str =
    "nobody is trapped: on the way out only \"open\" and \"assist\" are allowed";

/// A rule about keys that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Path of the key.
    pub key: String,
    /// What is wrong and what is allowed.
    pub sentence: String,
}

/// Fails with a key and a sentence.
///
/// # Errors
/// Always: these.
pub fn broken<T>(key: impl Into<String>, sentence: impl Into<String>) -> Result<T, Broken> {
    Err(Broken {
        key: key.into(),
        sentence: sentence.into(),
    })
}

/// One thing that somebody needs to pass: `"health"`, `"ride"`, `"entitlement-1"` to `"entitlement-15"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Requirement {
    /// A health outcome that the rules let pass.
    Health,
    /// An entitlement by its number; 0 is the ride.
    Entitlement(u8),
}

impl TryFrom<String> for Requirement {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let numbered = || {
            let number = word.strip_prefix("entitlement-")?.parse().ok()?;
            (1..=ENTITLEMENT_MAX).contains(&number).then_some(number)
        };
        match word.as_str() {
            "health" => Ok(Self::Health),
            "ride" => Ok(Self::Entitlement(0)),
            _ => numbered().map(Self::Entitlement).ok_or_else(|| {
                format!("\"{word}\" is none of \"health\", \"ride\", \"entitlement-1\" to \"entitlement-{ENTITLEMENT_MAX}\"")
            }),
        }
    }
}

impl From<Requirement> for String {
    fn from(required: Requirement) -> Self {
        match required {
            Requirement::Health => "health".into(),
            Requirement::Entitlement(0) => "ride".into(),
            Requirement::Entitlement(number) => format!("entitlement-{number}"),
        }
    }
}

/// Entitlements that are needed, all of them; bit 0 is the ride.
#[must_use]
pub fn entitlements(required: &[Requirement]) -> u16 {
    let bits = required.iter().map(|required| match required {
        Requirement::Health => 0,
        Requirement::Entitlement(number) => 1_u16.checked_shl((*number).into()).unwrap_or(0),
    });
    bits.fold(0, |all, bit| all | bit)
}

/// Rules for what some issuers made, or for standings that come from some regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Issuers, as the trust list names them; absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuer: Vec<IssuerId>,
    /// Source regions, as the lists count them; absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub region: Vec<u8>,
    /// What is different on the way in.
    #[serde(default, skip_serializing_if = "RuleChanges::is_empty")]
    pub entry: RuleChanges,
    /// What is different on the way out, where "hold" is refused.
    #[serde(default, skip_serializing_if = "RuleChanges::is_empty")]
    pub exit: RuleChanges,
}

/// Checks what is needed to pass; keys begin with `at`.
///
/// # Errors
/// [`Broken`]: the first rule that does not hold.
pub fn check_required(at: &str, required: &[Requirement]) -> Result<(), Broken> {
    if required.is_empty() {
        return broken(
            format!("{at}required"),
            "somebody needs at least one thing to pass: \"health\", \"ride\"; a lane that lets everybody pass has mode \"free\"",
        );
    }
    let twice = |(n, one)| required.iter().take(n).any(|before| before == one);
    if required.iter().enumerate().any(twice) {
        return broken(format!("{at}required"), "the same is required twice");
    }
    Ok(())
}

/// Checks overlays; keys begin with `at`.
///
/// # Errors
/// [`Broken`]: the first rule that does not hold.
pub fn check_overlays(at: &str, overlays: &[Overlay]) -> Result<(), Broken> {
    if overlays.len() > OVERLAYS_MAX {
        let sentence = format!(
            "{} overlays are given; allowed are up to {OVERLAYS_MAX}",
            overlays.len()
        );
        return broken(format!("{at}overlay"), sentence);
    }
    for (i, overlay) in overlays.iter().enumerate() {
        let names = overlay.issuer.len().max(overlay.region.len());
        if names > NAMES_MAX {
            let sentence = format!("{names} names are given; allowed are up to {NAMES_MAX}");
            return broken(format!("{at}overlay[{i}]"), sentence);
        }
        if names == 0 {
            let sentence = "an overlay names an `issuer` or a `region`; for everybody change the rules themselves";
            return broken(format!("{at}overlay[{i}]"), sentence);
        }
        if overlay.exit.holds() {
            return broken(format!("{at}overlay[{i}].exit"), NOBODY_IS_TRAPPED);
        }
    }
    Ok(())
}

/// Checks rules of the way out, by their names.
///
/// # Errors
/// [`Broken`] at the first that holds people.
pub fn check_exit<'a>(
    at: &str,
    rules: impl IntoIterator<Item = (&'a str, Rule)>,
) -> Result<(), Broken> {
    match rules.into_iter().find(|(_, rule)| *rule == Rule::Hold) {
        Some((key, _)) => broken(format!("{at}exit.{key}"), NOBODY_IS_TRAPPED),
        None => Ok(()),
    }
}
