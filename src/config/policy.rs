//! `[policy]`: what a site wants for each outcome, per direction. It may be a file of its own, so that one policy is written
//! for many gates: `policy_file`, with the same keys, and those of `[[certificate]]`.

use serde::Deserialize;

use crate::domain::directive::{PolicyChange, RuleChanges};
use crate::domain::policy::entitlements;
pub use crate::domain::policy::{Overlay, Requirement};
use crate::domain::{Assurance, CertificateRules, Rule};

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

    /// The whole policy as a directive has it, in the place of all that a site says.
    #[must_use]
    pub fn into_change(self) -> PolicyChange {
        PolicyChange {
            required: Some(self.required),
            entry: self.entry.as_changes(),
            exit: self.exit.as_changes(),
            overlay: Some(self.overlay),
            certificate: Some(self.certificate),
        }
    }
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
        entitlements(&self.required)
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
    /// The same as changes of whatever rules there are.
    #[must_use]
    pub const fn as_changes(&self) -> RuleChanges {
        RuleChanges {
            green: Some(self.green),
            yellow: Some(self.yellow),
            red: Some(self.red),
            unknown: Some(self.unknown),
            not_applied: Some(self.not_applied),
            query_failed: Some(self.query_failed),
            timed_out: Some(self.timed_out),
            stale: Some(self.stale),
            trust_expired: Some(self.trust_expired),
            clock_untrusted: Some(self.clock_untrusted),
            assurance: Some(self.assurance),
        }
    }

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
