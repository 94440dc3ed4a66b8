//! `[policy]`: what a site wants for each outcome, per direction. It may be a file of its own, so that one policy is written
//! for many gates: `policy_file`, with the same keys, and those of `[[certificate]]`.

use serde::Deserialize;

use crate::domain::directive::RuleChanges;
use crate::domain::{Assurance, CertificateRules, IssuerId, Rule};

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What somebody needs to pass, all of it.
    pub required: Vec<Requirement>,
    /// On the way in.
    pub entry: Rules,
    /// On the way out: nobody is trapped, so "hold" is refused here.
    #[serde(with = "ExitRules")]
    pub exit: Rules,
    /// Rules for some people in the place of these; the first that fits speaks.
    pub overlay: Vec<Overlay>,
}

/// A policy in a file of its own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    #[serde(default = "health_alone")]
    required: Vec<Requirement>,
    #[serde(default)]
    entry: Rules,
    #[serde(default = "Rules::all_open", with = "ExitRules")]
    exit: Rules,
    #[serde(default)]
    overlay: Vec<Overlay>,
    #[serde(default)]
    certificate: Vec<CertificateRules>,
}

impl PolicyFile {
    /// In two: the policy, and what counts of certificates.
    #[must_use]
    pub fn parts(self) -> (Policy, Vec<CertificateRules>) {
        let policy = Policy {
            required: self.required,
            entry: self.entry,
            exit: self.exit,
            overlay: self.overlay,
        };
        (policy, self.certificate)
    }
}

/// One thing that somebody needs to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Requirement {
    /// A health outcome that the rules let pass.
    Health,
    /// An entitlement by its number; 0 is the ride.
    Entitlement(u8),
}

/// Entitlements are numbered up to this.
const ENTITLEMENT_MAX: u8 = 15;

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

/// `[[policy.overlay]]`: rules for what some issuers made, or for standings that come from some regions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Issuers, as the trust list names them; absent: all.
    #[serde(default)]
    pub issuer: Vec<IssuerId>,
    /// Source regions, as the lists count them; absent: all.
    #[serde(default)]
    pub region: Vec<u8>,
    /// What is different on the way in.
    #[serde(default)]
    pub entry: RuleChanges,
    /// What is different on the way out, where "hold" is refused.
    #[serde(default)]
    pub exit: RuleChanges,
}

impl Policy {
    /// True if the health outcome counts.
    #[must_use]
    pub fn requires_health(&self) -> bool {
        self.required.contains(&Requirement::Health)
    }

    /// Entitlements that are needed, all of them; bit 0 is the ride.
    #[must_use]
    pub fn required_entitlements(&self) -> u16 {
        let bits = self.required.iter().map(|required| match required {
            Requirement::Health => 0,
            Requirement::Entitlement(number) => 1_u16.checked_shl((*number).into()).unwrap_or(0),
        });
        bits.fold(0, |all, bit| all | bit)
    }
}

fn health_alone() -> Vec<Requirement> {
    vec![Requirement::Health]
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            required: health_alone(),
            entry: Rules::default(),
            exit: Rules::all_open(),
            overlay: Vec::new(),
        }
    }
}

/// `[policy.entry]` and `[policy.exit]`. An absent key of `entry` has the default below, one of `exit` is "open".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Green.
    pub green: Rule,
    /// Yellow.
    pub yellow: Rule,
    /// Red.
    pub red: Rule,
    /// No list and no backend knows the person.
    pub unknown: Rule,
    /// Known, but has not applied for a code.
    pub not_applied: Rule,
    /// The backend could not find out.
    pub query_failed: Rule,
    /// Nobody answered in time.
    pub timed_out: Rule,
    /// A list is stale.
    pub stale: Rule,
    /// The trust list is past its date.
    pub trust_expired: Rule,
    /// The decision needs the date and the clock is not trusted.
    pub clock_untrusted: Rule,
    /// How well a credential must be known to be what it says: "identifier", "signed" or "authenticated".
    pub assurance: Assurance,
}

/// The same keys with the defaults of the way out.
#[derive(Deserialize)]
#[serde(remote = "Rules", deny_unknown_fields, default = "Rules::all_open")]
struct ExitRules {
    green: Rule,
    yellow: Rule,
    red: Rule,
    unknown: Rule,
    not_applied: Rule,
    query_failed: Rule,
    timed_out: Rule,
    stale: Rule,
    trust_expired: Rule,
    clock_untrusted: Rule,
    assurance: Assurance,
}

impl Rules {
    /// The default of the way out.
    #[must_use]
    pub const fn all_open() -> Self {
        Self {
            green: Rule::Open,
            yellow: Rule::Open,
            red: Rule::Open,
            unknown: Rule::Open,
            not_applied: Rule::Open,
            query_failed: Rule::Open,
            timed_out: Rule::Open,
            stale: Rule::Open,
            trust_expired: Rule::Open,
            clock_untrusted: Rule::Open,
            assurance: Assurance::Identifier,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            green: Rule::Open,
            yellow: Rule::Assist,
            red: Rule::Hold,
            unknown: Rule::Hold,
            not_applied: Rule::Hold,
            query_failed: Rule::Assist,
            timed_out: Rule::Assist,
            stale: Rule::Assist,
            trust_expired: Rule::Assist,
            clock_untrusted: Rule::Assist,
            assurance: Assurance::Identifier,
        }
    }
}
