//! `[policy]`: what a site wants for each outcome, per direction.

use serde::Deserialize;

use crate::domain::{Assurance, Rule};

/// `[policy]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// On the way in.
    pub entry: Rules,
    /// On the way out: nobody is trapped, so "hold" is refused here.
    #[serde(with = "ExitRules")]
    pub exit: Rules,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            entry: Rules::default(),
            exit: Rules::all_open(),
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
