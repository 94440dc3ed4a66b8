//! `[policy]` and the policy file: rules that concern more than one key, or need more than a type.

use super::rules::{Broken, broken};
use super::tree::{Config, Policy, Rules};
use crate::domain::policy::{check_exit, check_overlays, check_required};

/// A policy stands in one place.
pub(super) fn check_either(config: &Config) -> Result<(), Broken> {
    let here = config.policy != Policy::default() || !config.certificates.is_empty();
    if config.policy_file.is_some() && here {
        return broken(
            "policy_file",
            "the policy is in that file: take the tables [policy] and [[certificate]] out of this one",
        );
    }
    Ok(())
}

/// Checks a policy whose keys begin with `at`; the first rule that does not hold is the answer.
pub(super) fn check(at: &str, policy: &Policy) -> Result<(), Broken> {
    check_required(at, &policy.required)?;
    check_exit(at, rules_of_exit(&policy.exit))?;
    check_overlays(at, &policy.overlay)
}

const fn rules_of_exit(exit: &Rules) -> [(&'static str, crate::domain::Rule); 10] {
    [
        ("green", exit.green),
        ("yellow", exit.yellow),
        ("red", exit.red),
        ("unknown", exit.unknown),
        ("not_applied", exit.not_applied),
        ("query_failed", exit.query_failed),
        ("timed_out", exit.timed_out),
        ("stale", exit.stale),
        ("trust_expired", exit.trust_expired),
        // Too little assurance is a case for staff on the way out, whatever is asked for.
        ("clock_untrusted", exit.clock_untrusted),
    ]
}
